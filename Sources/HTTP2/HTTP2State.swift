import Bytes
import Muxers

/// What a session found in received bytes, or what came of frames it sent, in order.
enum Signal: BitwiseCopyable {
    /// The far end opened a stream.
    case request(Int32)
    /// Bytes of a stream, at an offset of the block they lie in.
    case data(Int32, offset: UInt32, count: UInt32)
    /// The far end has finished its side.
    case ended(Int32)
    /// The far end reset the stream.
    case reset(Int32, code: UInt32)
    /// libnghttp2 has let go of the stream: in order, by a reset, or because it was refused.
    case closed(Int32, code: UInt32)
    case goAway(code: UInt32)
}

/// What the session is asked to do on account of a signal.
enum Reaction {
    case none
    case respond(Int32)
    case refuse(Int32)
    case consumeConnection(Int)
}

/// What the session is told when it asks for a stream's data.
enum NextFrame {
    /// So many bytes, and whether they are the stream's last.
    case payload(Int, isLast: Bool)
    /// There is nothing, for the time being.
    case wait
}

/// Everything about the streams of one connection that libnghttp2 does not know: queues, handles, what was delivered and what was counted.
///
/// It never calls the session; what the session is to do comes back as a result. So the session's callbacks can use the state while the session runs.
struct HTTP2State: ~Copyable {
    /// REFUSED_STREAM (RFC 9113, section 7): nothing was done, the stream may be tried again.
    static let refusedStream: UInt32 = 7
    /// Most events that one signal makes.
    static let eventsPerSignalMax = 3

    let role: MuxerRole
    let limits: MuxerLimits
    var streams = StreamTable()
    var queues = SliceQueues()
    var counters = MuxerCounters()
    var signals = RingQueue<Signal>()
    /// What is to be told to the application when the transmit that caused it is over.
    var written = Stack<MuxerEvent>()
    private var scanner: FrameScanner
    /// Payload that live streams got of what was scanned last.
    private var deliveredBytes = 0

    /// Streams whose end was transmitted since the last settle.
    private var unsettled = Stack<StreamHandle>()
    /// Credit of the connection that streams held when they ended.
    private var released = Stack<UInt32>()

    // Opening and ending
    private var lastOpenedID: Int32 = 0
    /// Openings up to this have been transmitted, or were given up before.
    private var lastSettledID: Int32 = 0
    private var isClosing = false
    /// To be said when the openings before it have been.
    private var goAwayQueued: UInt32?
    private var remoteGoAway: UInt32?
    /// The connection is broken: nothing is parsed any more, and only the farewell goes out.
    var hasFailed = false

    init(role: MuxerRole, limits: MuxerLimits) {
        self.role = role
        self.limits = limits
        scanner = FrameScanner(isServer: role == .responder)
    }

    // MARK: Calls of the application

    func checkOpening() throws(MuxerError) {
        guard !isClosing, !hasFailed else { throw .closing }
        if let code = remoteGoAway { throw .goneAway(code: code) }
        guard streams.count < limits.streamsMax else { throw .tooManyStreams(limit: limits.streamsMax) }
    }

    mutating func opened(_ id: Int32) -> StreamHandle {
        lastOpenedID = id
        counters.streamsOpened &+= 1
        return streams.insert(id)
    }

    /// Queues a message. Returns the bytes then queued, and the stream if libnghttp2 waits to hear of it.
    mutating func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> (queued: Int, waiting: Int32?) {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        guard !streams[index].flags.contains(.finishQueued) else { throw .sendSideClosed }
        let count = payload.count
        let queued = Int(streams[index].queuedBytes) + count
        guard queued <= limits.sendQueueBytesMax else { throw .sendQueueFull(limitBytes: limits.sendQueueBytesMax) }
        guard count > 0 else { return (queued, nil) }
        queues.push(payload, on: &streams[index].queue)
        streams[index].queuedBytes = UInt32(truncatingIfNeeded: queued)
        if queued > limits.sendLowWaterBytes { streams[index].flags.insert(.writableWanted) }
        return (queued, takeWaiting(index))
    }

    mutating func finish(_ stream: StreamHandle) throws(MuxerError) -> Int32? {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        guard !streams[index].flags.contains(.finishQueued) else { return nil }
        streams[index].flags.insert(.finishQueued)
        return takeWaiting(index)
    }

    private mutating func takeWaiting(_ index: Int) -> Int32? {
        guard streams[index].flags.contains(.waiting) else { return nil }
        streams[index].flags.remove(.waiting)
        return streams[index].id
    }

    /// Forgets the stream, which libnghttp2 is then told to reset.
    mutating func reset(_ stream: StreamHandle) -> (id: Int32, unconsumed: Int)? {
        guard let index = streams.resolve(stream) else { return nil }
        counters.streamsReset &+= 1
        let id = streams[index].id
        return (id, remove(index))
    }

    /// Takes note that bytes are given back. Returns the stream whose credit it is.
    mutating func consume(_ stream: StreamHandle, byteCount: Int) -> Int32? {
        guard let index = streams.resolve(stream) else { return nil }
        precondition(byteCount >= 0 && byteCount <= Int(streams[index].unconsumed), "more consumed than was delivered")
        streams[index].unconsumed -= UInt32(truncatingIfNeeded: byteCount)
        return byteCount > 0 ? streams[index].id : nil
    }

    /// Returns whether this is the first call.
    mutating func close(_ code: GoAwayCode) -> Bool {
        guard !isClosing else { return false }
        isClosing = true
        goAwayQueued = code.rawValue
        return true
    }

    /// The code of a go-away whose time has come.
    mutating func takeGoAway() -> UInt32? {
        guard let code = goAwayQueued, lastSettledID >= lastOpenedID else { return nil }
        goAwayQueued = nil
        return code
    }

    // MARK: Asking

    /// Clients number their streams 1, 3, 5 (RFC 9113, section 5.1.1).
    func ordinal(of stream: StreamHandle) -> UInt64? {
        streams.resolve(stream).map { UInt64(streams[$0].id >> 1) }
    }

    func queuedByteCount(on stream: StreamHandle) -> Int {
        streams.resolve(stream).map { Int(streams[$0].queuedBytes) } ?? 0
    }

    mutating func recycle() { streams.recycle() }

    // MARK: Receiving

    mutating func scan(_ bytes: RawSpan, from offset: Int, eventsMax: Int) -> Int {
        scanner.scan(bytes, from: offset, eventsMax: eventsMax, &counters.received)
    }

    /// What came and no stream got was for streams that have ended.
    mutating func noteLate() {
        counters.lateBytes &+= UInt64(max(scanner.takePayload() - deliveredBytes, 0))
        deliveredBytes = 0
    }

    func controlFailure(limit: Int, _ count: Int) -> MuxerError? {
        count > limit + limits.streamsMax ? .tooManyControlFrames(limit: limit) : nil
    }

    var hasSignals: Bool { !signals.isEmpty }

    mutating func nextSignal() -> Signal? { signals.pop() }

    mutating func handle(_ signal: Signal, events: inout EventList) -> Reaction {
        switch signal {
        case .request(let id): return accept(id, events: &events)
        case .data(let id, let offset, let count):
            guard let index = streams.find(id) else { return .consumeConnection(Int(count)) }
            streams[index].unconsumed &+= count
            deliveredBytes += Int(count)
            events.push(.data(streams.handle(index), offset: offset, count: count))
        case .ended(let id):
            guard let index = streams.find(id), !streams[index].flags.contains(.remoteFinished) else { return .none }
            streams[index].flags.insert(.remoteFinished)
            events.push(.finished(streams.handle(index)))
            closeIfDone(index, events: &events)
        case .reset(let id, let code): return end(id, code: code, events: &events)
        case .closed(let id, let code):
            settleOpening(id)
            // In order is what both ends' finishing tells already.
            return code == 0 ? .none : end(id, code: code, events: &events)
        case .goAway(let code):
            remoteGoAway = code
            events.push(.goAway(code: code))
        }
        return .none
    }

    private mutating func accept(_ id: Int32, events: inout EventList) -> Reaction {
        guard streams.count < limits.streamsMax, !isClosing else {
            counters.streamsReset &+= 1
            return .refuse(id)
        }
        counters.streamsAccepted &+= 1
        events.push(.opened(streams.insert(id)))
        return .respond(id)
    }

    /// The stream was reset by the far end, or by libnghttp2 for something that the far end did.
    private mutating func end(_ id: Int32, code: UInt32, events: inout EventList) -> Reaction {
        guard let index = streams.find(id) else { return .none }
        events.push(.reset(streams.handle(index), .farEnd(code: code)))
        counters.streamsReset &+= 1
        return .consumeConnection(remove(index))
    }

    mutating func receiveEnd(events: inout EventList) {
        remoteGoAway = remoteGoAway ?? GoAwayCode.normal.rawValue
        for index in 0..<streams.places where streams[index].generation != 0 {
            guard !streams[index].flags.contains(.remoteFinished) else { continue }
            events.push(.reset(streams.handle(index), .cutOff))
            counters.streamsReset &+= 1
            _ = remove(index)
        }
    }

    // MARK: Transmitting, while the session runs

    /// What the stream sends next, `limit` bytes at most.
    mutating func nextFrame(_ id: Int32, limit: Int) -> NextFrame {
        // A stream that was given up has nothing to send; its reset is on its way.
        guard let index = streams.find(id) else { return .wait }
        let finishes = streams[index].flags.contains(.finishQueued)
        guard !streams[index].queue.isEmpty else {
            if finishes { return .payload(0, isLast: true) }
            streams[index].flags.insert(.waiting)
            return .wait
        }
        let count = min(queues.firstByteCount(streams[index].queue), limit, limits.framePayloadBytesMax)
        return .payload(count, isLast: finishes && count == Int(streams[index].queuedBytes))
    }

    /// Takes what ``nextFrame(_:limit:)`` promised. Nil when it is the end alone.
    mutating func takePayload(_ id: Int32, byteCount: Int, isLast: Bool) -> QueuedSlice? {
        guard let index = streams.find(id) else { preconditionFailure("a frame of a stream that has ended") }
        if isLast {
            streams[index].flags.insert([.finishSent, .finishUnsettled])
            unsettled.push(streams.handle(index))
        }
        counters.sent.add(FrameScanner.headerByteCount, ofFrame: FrameType.data, isEmptyData: byteCount == 0)
        guard byteCount > 0 else { return nil }
        counters.sent.payloadBytes &+= UInt64(byteCount)
        counters.sent.dataFrames &+= 1
        streams[index].queuedBytes &-= UInt32(truncatingIfNeeded: byteCount)
        if streams[index].flags.contains(.writableWanted), Int(streams[index].queuedBytes) <= limits.sendLowWaterBytes {
            streams[index].flags.remove(.writableWanted)
            written.push(.writable(streams.handle(index)))
        }
        return queues.popFront(&streams[index].queue, byteCountMax: byteCount)
    }

    mutating func takeWritten(_ events: inout EventList) {
        for index in 0..<written.count { events.push(written[index]) }
        written.removeAll()
    }

    /// Counts a frame that the session has put out, not one of data. `id` is its stream.
    mutating func noteControl(type: UInt8, id: Int32, byteCount: Int) {
        counters.sent.add(byteCount, ofFrame: type)
        if type == FrameType.windowUpdate { counters.sent.windowUpdateFrames &+= 1 }
        if type == FrameType.headers { settleOpening(id) }
    }

    /// The stream's opening has been transmitted, or never will be. Openings are transmitted in order.
    mutating func settleOpening(_ id: Int32) { lastSettledID = max(lastSettledID, id) }

    // MARK: The end of streams

    mutating func settle(events: inout EventList) {
        streams.recycle()
        while let stream = unsettled.pop() {
            guard let index = streams.resolve(stream) else { continue }
            streams[index].flags.remove(.finishUnsettled)
            closeIfDone(index, events: &events)
        }
    }

    mutating func takeReleased() -> Int? { released.pop().map(Int.init) }

    /// Closes the stream if both ends have finished and ours is surely on its way.
    private mutating func closeIfDone(_ index: Int, events: inout EventList) {
        let flags = streams[index].flags
        guard flags.isSuperset(of: [.finishSent, .remoteFinished]), !flags.contains(.finishUnsettled) else { return }
        events.push(.closed(streams.handle(index)))
        let unconsumed = remove(index)
        if unconsumed > 0 { released.push(UInt32(truncatingIfNeeded: unconsumed)) }
    }

    /// Forgets the stream: its handle is stale from here on. Returns what of the connection's credit it held.
    private mutating func remove(_ index: Int) -> Int {
        let unconsumed = Int(streams[index].unconsumed)
        queues.removeAll(&streams[index].queue)
        streams.remove(index)
        return unconsumed
    }
}
