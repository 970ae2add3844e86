import Bytes
import Gauge
import Kernel
import Muxers
import P2P

/// One stream to a node, for as long as the run lasts. What the subclasses do on it differs; how it begins, fails and ends does not.
class StreamLane: NodeLane, StreamProtocolHandler {
    fileprivate unowned let shard: NodeShard
    fileprivate private(set) var stream: RoutedStream?
    fileprivate(set) var isReady = false
    private(set) var isOver = false
    /// Nothing more is wanted of the stream: however it ends is right.
    fileprivate var isDone = false

    fileprivate init(_ shard: NodeShard) { self.shard = shard }

    func start() {}
    func stop() {}

    func streamStarted(_ stream: RoutedStream) {
        self.stream = stream
        isReady = true
    }

    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int { range.count }
    func streamFinished(_ stream: RoutedStream) {}
    func streamWritable(_ stream: RoutedStream) {}
    final func openFailed(_ error: HostError) { over(error) }

    final func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {
        self.stream = nil
        if case .failed(let error) = end, !isDone { over(error) } else { isOver = true }
    }

    /// Ends the stream because of something that is not right.
    fileprivate final func fail(_ error: HostError) {
        over(error)
        stream?.reset()
    }

    private func over(_ error: HostError) {
        guard !isOver else { return }
        isOver = true
        tell(error)
    }

    fileprivate func tell(_ error: HostError) { shard.problem(error) }
}

/// Pings again and again on one stream.
///
/// The first ping carries the stream's negotiation: it shows that the node answers, and is not measured.
final class PingLane: StreamLane {
    private let key: UInt64
    /// The number of the ping, and how much of its answer has come.
    private var number: UInt64 = 0
    private var offset = 0
    private var sentAt: Nanoseconds = 0
    private var awaitsAnswer = false

    init(_ shard: NodeShard, connection: UInt32, stream: UInt64) {
        key = Payload.streamKey(seed: shard.payload.seed, connection: connection, stream: stream, direction: .up)
        super.init(shard)
    }

    override func start() { next() }

    override func stop() {
        if !awaitsAnswer { finish() }
    }

    private func next() {
        guard !isOver else { return }
        if shard.begins() {
            send()
        } else if shard.isStopping {
            finish()
        }
    }

    /// A node may well reset a stream that has been finished.
    private func finish() {
        isDone = true
        stream?.finish()
    }

    private func send() {
        guard let stream else { return }
        awaitsAnswer = true
        sentAt = Clock.now
        do throws(HostError) {
            try stream.send(shard.payload.slice(streamKey: key, piece: number, count: NodeWorkload.pingBytes).shared())
            shard.recorder.sent(bytes: NodeWorkload.pingBytes, messages: 1)
        } catch {
            fail(error)
        }
    }

    override func streamStarted(_ stream: RoutedStream) {
        super.streamStarted(stream)
        isReady = false
        send()
    }

    override func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        var start = range.lowerBound
        while start < range.upperBound, !isOver {
            let count = min(NodeWorkload.pingBytes - offset, range.upperBound - start)
            let isRight = awaitsAnswer
                && shard.payload.matches(block.bytes(start..<start + count), streamKey: key, piece: number, offset: offset)
            guard isRight else {
                fail(.wrongPong)
                break
            }
            start += count
            offset += count
            if offset == NodeWorkload.pingBytes { answered() }
        }
        return range.count
    }

    private func answered() {
        offset = 0
        number += 1
        awaitsAnswer = false
        if isReady { shard.completed(startedAt: sentAt, receivedBytes: NodeWorkload.pingBytes) } else { isReady = true }
        next()
    }

    override func streamFinished(_ stream: RoutedStream) {
        if awaitsAnswer { fail(.streamEndedEarly(byteCount: offset, expected: NodeWorkload.pingBytes)) }
    }

    override fileprivate func tell(_ error: HostError) { awaitsAnswer && isReady ? shard.lost(error) : shard.problem(error) }
}

/// Uploads by the perf protocol until it is told to stop, or all messages are sent; over when the node has read everything.
final class UploadLane: StreamLane {
    /// What may wait to be sent on the stream before it is left to drain.
    private static let queuedBytesMax = 256 << 10

    private let key: UInt64
    private let shape: MessageShape
    private var message: UInt64 = 0
    private var isFinished = false

    init(_ shard: NodeShard, connection: UInt32, stream: UInt64) {
        key = Payload.streamKey(seed: shard.payload.seed, connection: connection, stream: stream, direction: .up)
        shape = MessageShape(messageBytes: shard.workload.messageBytes)
        super.init(shard)
    }

    override func start() {
        guard let stream else { return }
        do throws(HostError) {
            // Nothing is to come back.
            try stream.send(Slice(copying: Perf.header(downloadBytes: 0)))
            try pump(stream)
        } catch {
            fail(error)
        }
    }

    override func stop() { finish() }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        stream?.finish()
    }

    private func pump(_ stream: RoutedStream) throws(HostError) {
        while !isFinished {
            guard shard.begins() else { return finish() }
            defer { shard.handedOver() }
            let queued = try shard.send(message, shape, key, on: stream)
            message += 1
            if queued > Self.queuedBytesMax { return }
        }
    }

    override func streamWritable(_ stream: RoutedStream) {
        guard message > 0 else { return }
        do throws(HostError) {
            try pump(stream)
        } catch {
            fail(error)
        }
    }

    override func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        fail(.streamTooLong(expected: 0))
        return range.count
    }

    override func streamFinished(_ stream: RoutedStream) {
        if !isFinished { fail(.streamEndedEarly(byteCount: 0, expected: 0)) }
    }
}

/// Downloads by the perf protocol: so many messages, or until it is told to stop, which resets what is not complete.
final class DownloadLane: StreamLane {
    /// More than any window of time receives.
    private static let endlessBytes: UInt64 = 1 << 50

    private let messageBytes: UInt64
    private let wantedBytes: UInt64
    private var received: UInt64 = 0

    /// - Parameter messages: how many, or nil for no limit.
    init(_ shard: NodeShard, messages: Int?) {
        messageBytes = UInt64(shard.workload.messageBytes)
        wantedBytes = messages.map { UInt64($0) * UInt64(shard.workload.messageBytes) } ?? Self.endlessBytes
        super.init(shard)
    }

    override func start() {
        guard let stream else { return }
        do throws(HostError) {
            try stream.send(Slice(copying: Perf.header(downloadBytes: wantedBytes)))
            stream.finish()
        } catch {
            fail(error)
        }
    }

    override func stop() {
        guard !isOver else { return }
        isDone = true
        stream?.reset()
    }

    override func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        guard UInt64(range.count) <= wantedBytes - received else {
            fail(.streamTooLong(expected: Int(clamping: wantedBytes)))
            return range.count
        }
        let before = received / messageBytes
        received += UInt64(range.count)
        shard.recorder.received(bytes: range.count, messages: Int(received / messageBytes - before), at: Clock.now)
        return range.count
    }

    override func streamFinished(_ stream: RoutedStream) {
        if received != wantedBytes { fail(.streamEndedEarly(byteCount: Int(clamping: received), expected: Int(clamping: wantedBytes))) }
    }
}

/// Streams one after the other, each for one exchange by the perf protocol. The first shows that the node serves it, and is not measured.
final class ExchangeLane: NodeLane {
    private unowned let shard: NodeShard
    private let connection: PeerConnection
    private let key: UInt64
    private var number: UInt64 = 0
    private var isIdle = true
    private(set) var isReady = false
    private(set) var isOver = false

    init(_ shard: NodeShard, on connection: PeerConnection, index: UInt32, lane: UInt64) {
        self.shard = shard
        self.connection = connection
        key = Payload.streamKey(seed: shard.payload.seed, connection: index, stream: lane, direction: .up)
    }

    func start() {
        if isIdle { next() }
    }

    func stop() {
        if isIdle { isOver = true }
    }

    private func next() {
        guard !isOver else { return }
        if shard.begins() {
            open()
        } else {
            isIdle = true
            isOver = shard.isStopping || shard.operationsLeft == 0
        }
    }

    /// Opens the next stream.
    func open() {
        isIdle = false
        number += 1
        let exchange = Exchange(self, number, byteCount: shard.workload.messageBytes)
        do throws(HostError) {
            try connection.openStream([Perf.protocolID], handler: exchange)
        } catch {
            // A connection that takes no stream now takes none later.
            failed(error, isLast: true)
        }
    }

    fileprivate func send(_ number: UInt64, on stream: RoutedStream) throws(HostError) {
        let byteCount = shard.workload.messageBytes
        try stream.send(Slice(copying: Perf.header(downloadBytes: UInt64(byteCount))))
        _ = try shard.send(number, MessageShape(messageBytes: byteCount), key, on: stream)
        stream.finish()
    }

    fileprivate func answered(startedAt start: Nanoseconds, byteCount: Int) {
        if isReady { shard.completed(startedAt: start, receivedBytes: byteCount) } else { isReady = true }
    }

    fileprivate func ended() { next() }

    /// A node that refuses a stream is asked again; one that is gone, or never served any, is not.
    fileprivate func failed(_ error: HostError, isLast: Bool = false) {
        guard !isOver else { return }
        isReady ? shard.lost(error) : shard.problem(error)
        if case .connectionEnded = error { isOver = true }
        if isLast || !isReady { isOver = true }
        next()
    }
}

/// One stream of an ``ExchangeLane``.
private final class Exchange: StreamProtocolHandler {
    private let lane: ExchangeLane
    private let number: UInt64
    private let byteCount: Int
    private let startedAt = Clock.now
    private var received = 0
    private var hasAnswer = false

    init(_ lane: ExchangeLane, _ number: UInt64, byteCount: Int) {
        self.lane = lane
        self.number = number
        self.byteCount = byteCount
    }

    func streamStarted(_ stream: RoutedStream) {
        do throws(HostError) {
            try lane.send(number, on: stream)
        } catch {
            stream.reset()
        }
    }

    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        received += range.count
        if received > byteCount { stream.reset() }
        return range.count
    }

    func streamFinished(_ stream: RoutedStream) {
        guard received == byteCount else { return stream.reset() }
        hasAnswer = true
        lane.answered(startedAt: startedAt, byteCount: byteCount)
    }

    func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {
        if hasAnswer { return lane.ended() }
        if received > byteCount { return lane.failed(.streamTooLong(expected: byteCount)) }
        if case .failed(let error) = end, received == 0 { return lane.failed(error) }
        lane.failed(.streamEndedEarly(byteCount: received, expected: byteCount))
    }

    func openFailed(_ error: HostError) { lane.failed(error) }
}
