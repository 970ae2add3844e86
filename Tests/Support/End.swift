import Bytes
public import Muxers

/// Names a stream at both ends alike: the number on the wire, and who opened it.
public struct StreamKey: Hashable, Sendable {
    public let wireID: UInt64
    public let opener: MuxerRole
}

/// All that one end knows of one stream.
public struct StreamLog {
    public internal(set) var sent: [UInt8] = []
    public internal(set) var received: [UInt8] = []
    /// Received and not given back.
    public internal(set) var unconsumed = 0
    public internal(set) var hasFinished = false
    public internal(set) var remoteHasFinished = false
    /// This end reset it.
    public internal(set) var wasReset = false
    /// The machine reported a reset, for this reason.
    public internal(set) var reset: StreamReset?
    public var resetCode: UInt32? { reset?.code }
    public internal(set) var isClosed = false
    public internal(set) var writableCount = 0

    public var isLive: Bool { !isClosed && !wasReset && resetCode == nil }
}

/// One end of a ``Pair``: a machine, what drives it, and an application that writes down all that happens.
///
/// The application's calls go through this class, so that it knows what to expect; what it sees is checked at once, and
/// what contradicts the contract of ``Muxer`` is kept in ``violations``.
public final class End {
    /// When the application gives back what it received.
    public enum Consumption {
        case atOnce
        /// Only when the test says so.
        case byHand
        /// Up to so many bytes of each stream a turn: a slow reader.
        case perTurn(byteCount: Int)
    }

    public let role: MuxerRole
    public let muxer: any Muxer
    public var consumption = Consumption.atOnce
    /// Called for every event after it was written down.
    public var onEvent: ((MuxerEvent) -> Void)?
    /// Streams the far end opened, in order.
    public private(set) var accepted: [StreamHandle] = []
    public private(set) var logs: [StreamKey: StreamLog] = [:]
    public private(set) var goAwayCode: UInt32?
    public private(set) var canOpenCount = 0
    public private(set) var roundTrips: [Nanoseconds] = []
    /// What `receive` or `advanceTime` threw: the end stops then.
    public internal(set) var failure: MuxerError?
    public private(set) var hasReceivedEnd = false
    public internal(set) var violations: [String] = []
    /// Bytes handed to the pipe, and taken from it.
    public internal(set) var bytesWritten: UInt64 = 0
    public private(set) var bytesRead: UInt64 = 0
    /// The order in which streams' payload came in: one entry for each event.
    public private(set) var arrivals: [(stream: StreamKey, byteCount: Int)] = []
    public private(set) var liveCount = 0

    /// Every handle this end ever had, oldest first.
    public private(set) var handles: [StreamHandle] = []

    /// Up to where each stream has been written, as the machine says.
    private(set) var written: [StreamKey: Int] = [:]
    private var keys: [StreamHandle: StreamKey] = [:]
    private var unconsumedStreams: Set<StreamHandle> = []
    weak var peer: End?
    let clock: VirtualClock
    let checksContent: Bool
    /// Smaller than a connection's, so that tests meet a full one.
    var gather = Gather(arenaByteCount: 64 << 10)
    /// Bytes of a write whose result has not come yet.
    var inFlight: Int? {
        // The application may give the machine something to do meanwhile.
        didSet { if inFlight != nil { appendedNothing = false } }
    }
    /// The last transmit could have appended something and did not.
    private var appendedNothing = false

    /// Most of a header that can be incomplete: two varints or a yamux header.
    static let headerBytesMax = 20

    init(role: MuxerRole, muxer: any Muxer, clock: VirtualClock, checksContent: Bool) {
        self.role = role
        self.muxer = muxer
        self.clock = clock
        self.checksContent = checksContent
    }

    // MARK: The application

    public func open() throws(MuxerError) -> StreamHandle {
        let stream = try muxer.openStream(now: clock.now)
        register(stream, opener: role)
        if !muxer.isLocal(stream) { violations.append("a stream that this end opened is not local") }
        return stream
    }

    @discardableResult
    public func send(_ bytes: [UInt8], on stream: StreamHandle) throws(MuxerError) -> Int {
        let queued = try muxer.send(Slice(copying: bytes), on: stream)
        if let key = keys[stream] { logs[key]?.sent.append(contentsOf: bytes) }
        if queued != muxer.queuedByteCount(on: stream) { violations.append("send says \(queued) bytes are queued, the stream \(muxer.queuedByteCount(on: stream))") }
        return queued
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) {
        try muxer.finish(stream)
        if let key = keys[stream] { logs[key]?.hasFinished = true }
    }

    public func reset(_ stream: StreamHandle, code: UInt32 = 0) {
        let wasLive = muxer.ordinal(of: stream) != nil
        muxer.reset(stream, code: code)
        guard wasLive, let key = keys[stream] else { return }
        logs[key]?.wasReset = true
        ended(stream)
    }

    public func consume(_ stream: StreamHandle, byteCount: Int) {
        guard let key = keys[stream], byteCount > 0 else { return }
        muxer.consume(stream, byteCount: byteCount)
        logs[key]?.unconsumed -= byteCount
        if logs[key]?.unconsumed == 0 { unconsumedStreams.remove(stream) }
    }

    /// Gives back up to `limit` bytes of every stream. Returns whether there was anything to give.
    @discardableResult
    public func consumeAll(upTo limit: Int = .max) -> Bool {
        let streams = unconsumedStreams.sorted { $0.index < $1.index }
        for stream in streams { consume(stream, byteCount: min(limit, log(stream).unconsumed)) }
        return !streams.isEmpty
    }

    public func key(_ stream: StreamHandle) -> StreamKey? { keys[stream] }
    public func log(_ stream: StreamHandle) -> StreamLog { keys[stream].flatMap { logs[$0] } ?? StreamLog() }
    public func handle(_ key: StreamKey) -> StreamHandle? { keys.first { $0.value == key }?.key }

    // MARK: What the machine says

    private func register(_ stream: StreamHandle, opener: MuxerRole) {
        // A stream that ended later in the same batch of events is stale already, and a far end may use a number again after its stream has
        // ended: such a stream gets a number that no wire has.
        let substitute = .max - UInt64(keys.count)
        var key = StreamKey(wireID: muxer.ordinal(of: stream) ?? substitute, opener: opener)
        if logs[key]?.isLive == false { key = StreamKey(wireID: substitute, opener: opener) }
        if logs[key] != nil { violations.append("\(key) was opened twice") }
        if keys[stream] != nil { violations.append("a handle was given out twice") }
        keys[stream] = key
        handles.append(stream)
        logs[key] = StreamLog()
        liveCount += 1
    }

    private func ended(_ stream: StreamHandle) {
        liveCount -= 1
        unconsumedStreams.remove(stream)
        if muxer.ordinal(of: stream) != nil { violations.append("a stream that has ended still has its handle") }
        if muxer.queuedByteCount(on: stream) != 0 { violations.append("a stream that has ended still has bytes queued") }
    }

    /// Handles events that came with `block`'s bytes, or without bytes.
    func handle(_ events: inout EventList, block: Block?, range: Range<Int>) {
        for index in 0..<events.count {
            let event = events[index]
            note(event, block: block, range: range)
            onEvent?(event)
        }
        events.removeAll()
    }

    private func note(_ event: MuxerEvent, block: Block?, range: Range<Int>) {
        switch event {
        case .opened(let stream):
            register(stream, opener: role == .initiator ? .responder : .initiator)
            accepted.append(stream)
            if muxer.isLocal(stream) { violations.append("a stream that the far end opened is local") }
        case .data(let stream, let offset, let count):
            let bytes = Int(offset)..<Int(offset) + Int(count)
            guard let block, bytes.lowerBound >= range.lowerBound, bytes.upperBound <= range.upperBound else {
                return violations.append("data at \(bytes) outside the bytes received, \(range)")
            }
            noteData(stream, block.bytes(bytes).array())
        case .finished(let stream):
            update(stream, event) { log in
                if log.remoteHasFinished { self.violations.append("a stream finished twice") }
                log.remoteHasFinished = true
            }
        case .reset(let stream, let reset):
            update(stream, event) { $0.reset = reset }
            if keys[stream] != nil { ended(stream) }
        case .closed(let stream):
            update(stream, event) { log in
                if !log.hasFinished || !log.remoteHasFinished { self.violations.append("a stream closed before both sides had finished") }
                log.isClosed = true
            }
            if keys[stream] != nil { ended(stream) }
        case .writable(let stream):
            update(stream, event) { $0.writableCount += 1 }
        case .canOpen: canOpenCount += 1
        case .roundTrip(let time): roundTrips.append(time)
        case .goAway(let code): goAwayCode = code
        }
    }

    private func update(_ stream: StreamHandle, _ event: MuxerEvent, _ change: (inout StreamLog) -> Void) {
        guard let key = keys[stream], var log = logs[key] else { return violations.append("\(event) for a stream never opened") }
        if !log.isLive {
            // A reset by this end's handlers may cross events of the same batch; anything else is a mistake.
            if !log.wasReset { violations.append("\(event) for a stream that has ended") }
            return
        }
        change(&log)
        logs[key] = log
    }

    private func noteData(_ stream: StreamHandle, _ bytes: [UInt8]) {
        guard let key = keys[stream] else { return violations.append("data for a stream never opened") }
        guard logs[key]?.isLive == true else {
            if logs[key]?.wasReset != true { violations.append("data for a stream that has ended") }
            return
        }
        if bytes.isEmpty { violations.append("an empty data event") }
        if logs[key]?.remoteHasFinished == true { violations.append("data after the stream's end") }
        checkContent(key, bytes)
        arrivals.append((key, bytes.count))
        logs[key]?.received.append(contentsOf: bytes)
        logs[key]?.unconsumed += bytes.count
        unconsumedStreams.insert(stream)
        if case .atOnce = consumption { consume(stream, byteCount: bytes.count) }
    }

    /// What arrived must be what the far end sent on this stream, from where the last piece ended.
    private func checkContent(_ key: StreamKey, _ bytes: [UInt8]) {
        guard checksContent, key.wireID < 1 << 60, let sent = peer?.logs[key]?.sent else { return }
        let start = logs[key]?.received.count ?? 0
        if start + bytes.count > sent.count {
            violations.append("\(key) received \(start + bytes.count) bytes of \(sent.count) sent")
        } else if !sent.rawSpan.extracting(start..<start + bytes.count).equals(bytes.rawSpan) {
            violations.append("\(key) received other bytes than were sent, from \(start) on")
        }
    }

    // MARK: Driving the machine

    /// Hands `bytes` to the machine, from a block in which they do not begin at the front.
    func receive(_ bytes: [UInt8], margin: Int) {
        let block = Block(capacity: margin + bytes.count)
        block.copy(bytes.rawSpan, at: margin)
        var events = EventList()
        var start = margin
        let end = margin + bytes.count
        while start < end && failure == nil {
            do {
                let consumed = try muxer.receive(block.bytes(start..<end), at: start, now: clock.now, events: &events)
                if consumed < 0 || consumed > end - start { violations.append("receive consumed \(consumed) of \(end - start)") }
                if consumed == 0 && events.isEmpty { violations.append("receive makes no progress") }
                if consumed < end - start && events.count < 16 { violations.append("receive stopped at \(events.count) events") }
                if events.count > eventsPerReceiveMax { violations.append("\(events.count) events from one call") }
                // Nothing is consumed when events of earlier bytes fill the list.
                start += consumed == 0 && events.isEmpty ? 1 : consumed
                bytesRead += UInt64(consumed)
                handle(&events, block: block, range: margin..<end)
            } catch {
                handle(&events, block: block, range: margin..<end)
                failure = error
            }
        }
        check()
    }

    func receiveEnd() {
        hasReceivedEnd = true
        var events = EventList()
        muxer.receiveEnd(events: &events)
        handle(&events, block: nil, range: 0..<0)
        check()
    }

    func advanceTime() {
        guard failure == nil, let deadline = muxer.deadline, deadline <= clock.now else { return }
        var events = EventList()
        do { try muxer.advanceTime(to: clock.now, events: &events) } catch { failure = error }
        handle(&events, block: nil, range: 0..<0)
        if failure == nil, let next = muxer.deadline, next <= clock.now { violations.append("the deadline stays in the past") }
        check()
    }

    /// Asks the machine for frames.
    func transmit(byteLimit: Int) {
        let wanted = muxer.hasOutput, before = gather.byteCount, hadRoom = gather.hasRoom
        var events = EventList()
        muxer.transmit(into: &gather, byteLimit: byteLimit, now: clock.now, events: &events)
        if !wanted && gather.byteCount > before { violations.append("transmit appended although hasOutput was false") }
        appendedNothing = before < byteLimit && hadRoom && gather.byteCount == before && events.count < eventsPerTransmitMax / 2
        handle(&events, block: nil, range: 0..<0)
    }

    /// Completes a write of which `byteCount` bytes were taken.
    func wrote(_ byteCount: Int) {
        gather.advance(by: byteCount)
        bytesWritten += UInt64(byteCount)
        if !gather.isEmpty {
            while let frame = gather.popUnbegun() { muxer.takeBack(frame) }
            gather.trim()
        }
        checkUnwritten()
        var events = EventList()
        muxer.settle(events: &events)
        if appendedNothing, events.isEmpty, inFlight == nil, muxer.hasOutput { violations.append("hasOutput stays true and nothing is done") }
        appendedNothing = false
        handle(&events, block: nil, range: 0..<0)
        check()
    }

    /// What the machine says was written of each stream is more than it says is queued only by what is left in the gather. That it then arrives is for ``Pair/checkLedger()``.
    private func checkUnwritten() {
        // With thousands of streams this would take longer than the test.
        guard handles.count <= 64 else { return }
        for stream in handles {
            guard let key = keys[stream], let log = logs[key], log.isLive else { continue }
            let (unwritten, queued) = (muxer.unwrittenByteCount(on: stream, in: gather), muxer.queuedByteCount(on: stream))
            if unwritten < queued || gather.isEmpty && unwritten != queued {
                violations.append("\(unwritten) bytes of a stream are unwritten, \(queued) queued, \(gather.byteCount) left of the write, \(log.sent.count) sent")
            }
            // Other streams' bytes may count where a machine cannot tell them apart.
            written[key] = max(written[key] ?? 0, log.sent.count - min(unwritten, log.sent.count))
        }
    }

    /// The invariants that hold after every step.
    func check() {
        let counters = muxer.counters
        if counters.sent.totalBytes != bytesWritten + UInt64(gather.byteCount) {
            violations.append("counters say \(counters.sent.totalBytes) bytes sent, the wire \(bytesWritten + UInt64(gather.byteCount))")
        }
        if failure == nil {
            let (received, read) = (counters.received.totalBytes, bytesRead)
            if received > read || read - received > UInt64(Self.headerBytesMax) {
                violations.append("counters say \(received) bytes received, the wire \(read)")
            }
        }
        if muxer.streamCount != liveCount { violations.append("the machine has \(muxer.streamCount) streams, the application \(liveCount)") }
    }
}
