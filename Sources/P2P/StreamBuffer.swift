import Bytes
import Reactor

/// What lies between the callbacks of a stream and the tasks that read and write it: received slices, and who waits for what.
///
/// Invariant: a reader waits only while nothing is received and no end is known; received bytes are given back as credit when they are read; after
/// ``abandoned()`` no received byte is held, and the stream only until it has ended. All on the loop.
final class StreamBuffer: StreamProtocolHandler {
    typealias ReadResult = Result<[UInt8]?, HostError>
    typealias WriteResult = Result<Void, HostError>

    private var stream: RoutedStream?
    private let highWaterBytes: Int
    private var received = ReceiveQueue()
    private var hasReceivedEnd = false
    /// Why nothing can be written any more, nor read, but for what had arrived completely.
    private var failure: HostError?
    /// The failure came when the far end had said everything: what it said is still read to its end.
    private var failedBehindEnd: Bool {
        guard hasReceivedEnd else { return false }
        return switch failure {
        case .connectionEnded?, .hostClosed?: true
        default: false
        }
    }
    private var isEnded = false
    /// Nobody reads any more: what arrives is dropped.
    private var isDiscarding = false
    private var reader: ((ReadResult) -> Void)?
    private var readerByteCountMax = Int.max
    private var writers: [(WriteResult) -> Void] = []
    private var opener: ((Result<Stream, HostError>) -> Void)?
    private let service: (@Sendable (Stream) async throws -> Void)?
    private var task: Task<Void, Never>?
    private var deadlineTimer: LoopTimer?

    /// For a stream that the far end opens: `body` runs when the protocol is known.
    init(_ limits: HostLimits, serving body: @escaping @Sendable (Stream) async throws -> Void) {
        highWaterBytes = limits.sendHighWaterBytes
        service = body
    }

    /// For a stream that this end opens.
    init(_ limits: HostLimits, opened: @escaping (Result<Stream, HostError>) -> Void) {
        highWaterBytes = limits.sendHighWaterBytes
        service = nil
        opener = opened
    }

    // MARK: Reading

    var isReadReady: Bool { !received.isEmpty || hasReceivedEnd || failure != nil || isEnded }

    /// The next slice, or its first bytes; nil at the end of the stream. Only when ready.
    func takeSlice(_ byteCountMax: Int) throws(HostError) -> Slice? {
        guard let slice = received.take(byteCountMax) else {
            if let failure, !failedBehindEnd { throw failure }
            return nil
        }
        stream?.consume(byteCount: slice.count)
        return slice
    }

    private func takeBytes(_ byteCountMax: Int) -> ReadResult {
        do throws(HostError) {
            guard let slice = try takeSlice(byteCountMax) else { return .success(nil) }
            return .success(slice.bytes.array())
        } catch {
            return .failure(error)
        }
    }

    /// Bytes now, or later through `completion`.
    func read(_ byteCountMax: Int, _ completion: @escaping (ReadResult) -> Void) {
        if isReadReady { return completion(takeBytes(byteCountMax)) }
        precondition(reader == nil, "one task at a time reads a stream")
        reader = completion
        readerByteCountMax = byteCountMax
    }

    /// Calls `completion` once something can be read without waiting.
    func whenReadReady(_ completion: @escaping () -> Void) {
        if isReadReady { return completion() }
        precondition(reader == nil, "one task at a time reads a stream")
        readerByteCountMax = 0
        reader = { _ in completion() }
    }

    private func wakeReader() {
        guard let reader, isReadReady else { return }
        self.reader = nil
        reader(readerByteCountMax == 0 ? .success(nil) : takeBytes(readerByteCountMax))
    }

    // MARK: Writing

    /// What a write found.
    enum WriteOutcome {
        case done
        /// Queued, and more than enough waits: go on when there is room.
        case full
    }

    func write(_ slice: consuming Slice) throws(HostError) -> WriteOutcome {
        if let failure { throw failure }
        guard let stream, !isEnded else { throw .streamClosed }
        return try stream.send(slice) > highWaterBytes ? .full : .done
    }

    func whenWritable(_ completion: @escaping (WriteResult) -> Void) {
        if let failure { return completion(.failure(failure)) }
        guard !isEnded else { return completion(.failure(.streamClosed)) }
        writers.append(completion)
    }

    func finish() throws(HostError) {
        if let failure { throw failure }
        stream?.finish()
    }

    func reset(_ error: HostError, code: UInt32) {
        guard let stream, !isEnded else { return }
        stream.reset(.failed(error), code: code)
    }

    /// The stream is reset unless it ends, or this is called again, within so many nanoseconds; nil for no such end.
    func setDeadline(_ nanoseconds: UInt64?) {
        deadlineTimer?.cancel()
        deadlineTimer = nil
        guard let nanoseconds, let stream, !isEnded else { return }
        let loop = stream.connection.loop
        deadlineTimer = loop.schedule(at: loop.refreshNow() &+ nanoseconds) { [weak self] in
            self?.reset(.timedOut(afterNanoseconds: nanoseconds), code: 0)
        }
    }

    /// Nobody will read: what has arrived and what comes is given back as credit.
    func discard() {
        isDiscarding = true
        stream?.consume(byteCount: received.removeAll())
    }

    /// The last user of the stream let go of it.
    func abandoned() {
        if let stream, !isEnded, !stream.hasFinishedSending { reset(.streamClosed, code: 0) }
        discard()
    }

    // MARK: StreamProtocolHandler

    func streamStarted(_ stream: RoutedStream) {
        self.stream = stream
        let face = Stream(self, stream)
        if let opener {
            self.opener = nil
            return opener(.success(face))
        }
        guard let service else { return }
        let loop: EventLoop = stream.connection.loop
        task = Task(executorPreference: loop) { await face.serve(service) }
    }

    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        if isDiscarding { return range.count }
        let connection = stream.connection
        let copied = received.append(block, range) { connection.keep($0, $1) }
        connection.noteCopiedOut(copied)
        wakeReader()
        // What the reader took was given back already.
        return 0
    }

    func streamFinished(_ stream: RoutedStream) {
        hasReceivedEnd = true
        wakeReader()
    }

    func streamWritable(_ stream: RoutedStream) {
        let waiting = writers
        writers = []
        for writer in waiting { writer(.success(())) }
    }

    func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {
        isEnded = true
        setDeadline(nil)
        self.stream = nil
        if case .failed(let error) = end {
            failure = error
            // A reset takes what was not read with it.
            if !failedBehindEnd { _ = received.removeAll() }
        }
        if let opener {
            self.opener = nil
            opener(.failure(failure ?? .streamClosed))
        }
        wakeReader()
        let waiting = writers
        writers = []
        for writer in waiting { writer(failure.map { .failure($0) } ?? .success(())) }
        if case .failed = end { task?.cancel() }
        task = nil
    }

    func openFailed(_ error: HostError) {
        failure = error
        isEnded = true
        let opener = self.opener
        self.opener = nil
        opener?(.failure(error))
    }
}
