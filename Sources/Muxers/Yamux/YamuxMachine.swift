import Bytes
import CProbes

/// The yamux session of one end: streams, flow control, keepalive.
///
/// Invariants:
/// - For every stream `receiveWindow + unconsumed <= windowTarget`: the far end never holds more credit than the window.
/// - `windowGrowth` is the sum over streams of `windowTarget - windowBytesInitial` and at most the budget.
/// - A stream with something to send is on a list of the scheduler, or its window is shut.
/// - `counters.received.totalBytes` is the number of bytes consumed, less a header that is still incomplete.
///
/// The parts: this file opens, queues and closes; `YamuxReceive` parses; `YamuxTransmit` frames; `YamuxTime` measures round trips and keeps alive.
struct YamuxMachine: ~Copyable {
    let role: MuxerRole
    let limits: YamuxLimits
    var streams = StreamTable()
    var queues = SliceQueues()
    var scheduler: SendScheduler
    var counters = MuxerCounters()

    // Control frames waiting for the next transmit, oldest first.
    var control = RingQueue<YamuxControl>()
    /// Streams whose end was transmitted since the last settle.
    var unsettled = Stack<StreamHandle>()
    /// Something was transmitted since the last settle, and may still be taken back.
    var isTransmitUnsettled = false
    /// Resets of streams whose opening may still be taken back: the far end must not hear of a stream that it was never told of.
    var doubtfulResets = Stack<YamuxDoubtfulReset>()

    // Opening
    var nextLocalID: UInt32
    var highestRemoteID: UInt32 = 0
    var unacknowledged = 0
    var openWasRefused = false

    // Ending
    var closeQueued = false
    var remoteGoAway: UInt32?
    /// The connection is broken: nothing is parsed any more, and only the farewell goes out.
    var hasFailed = false

    // Receiving: a header split across reads, and the body being delivered.
    var carriedHigh: UInt64 = 0
    var carriedLow: UInt32 = 0
    var carriedCount = 0
    var bodyRemaining: UInt32 = 0
    /// Where the body goes; none when its stream has ended.
    var bodyStream: Int?
    /// Flags to apply when the body is complete.
    var bodyFinishes = false

    var windowGrowth = 0
    /// The largest receive window so far.
    var windowBytesLargest = YamuxLimits.windowBytesInitial
    var sendClock = SendClock()
    var transmittedAt: Nanoseconds = 0
    var roundTrip = RoundTrip()
    var marks: MarkerState
    #if BurnsCycles
    var burn = Burn()
    #endif

    init(role: MuxerRole, limits: YamuxLimits) {
        self.role = role
        self.limits = limits
        scheduler = SendScheduler(limits: limits.common)
        nextLocalID = role == .initiator ? 1 : 2
        marks = MarkerState(limits: limits.markers)
    }

    /// What probes call this connection.
    @inline(__always) var connection: UInt { scheduler.connection }

    /// The same number for both ends' identifiers of one opener: they are all odd or all even.
    @inline(__always) func key(_ streamID: UInt32) -> UInt32 { streamID >> 1 }

    @inline(__always) func isLocalID(_ streamID: UInt32) -> Bool { (streamID & 1 == 1) == (role == .initiator) }

    // MARK: Calls of the application

    mutating func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle {
        guard !closeQueued, !hasFailed else { throw .closing }
        if let code = remoteGoAway { throw .goneAway(code: code) }
        guard streams.count < limits.common.streamsMax else { throw .tooManyStreams(limit: limits.common.streamsMax) }
        guard unacknowledged < limits.unacknowledgedStreamsMax else {
            openWasRefused = true
            throw .tooManyUnacknowledgedStreams(limit: limits.unacknowledgedStreamsMax)
        }
        let id = nextLocalID
        guard id < .max - 2 else { throw .streamIDsExhausted }
        nextLocalID += 2
        unacknowledged += 1
        counters.streamsOpened += 1
        return insert(id, flags: [.local, .openPending, .unacknowledged], now: now)
    }

    /// Adds a record and sees to it that its opening, or its acknowledgement, is announced by the next transmit.
    mutating func insert(_ id: UInt32, flags: StreamRecord.Flags, now: Nanoseconds) -> StreamHandle {
        let initial = YamuxLimits.windowBytesInitial
        let record = StreamRecord(
            wireID: id, flags: flags, sendWindow: initial, receiveWindow: initial, windowTarget: initial, windowEpoch: now)
        let index = streams.insert(record, key: key(id))
        let handle = streams.handle(index)
        control.push(.announce(handle))
        cp_stream_opened(connection, UInt(id), flags.contains(.local) ? 1 : 0)
        return handle
    }

    mutating func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        let connection = connection
        let queued = try streams[index].enqueue(payload, on: &queues, limits.common) { stream, count, queued in
            cp_frame_queued(connection, UInt(stream.wireID), count, queued)
        }
        if queued > 0 { wake(index) }
        return queued
    }

    mutating func finish(_ stream: StreamHandle) throws(MuxerError) {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        guard !streams[index].flags.contains(.finishQueued) else { return }
        streams[index].flags.insert(.finishQueued)
        wake(index)
    }

    /// The stream may have something to send.
    @inline(__always)
    mutating func wake(_ index: Int) {
        // Most messages are queued behind others, whose turn is to come already.
        guard streams[index].schedule == .idle else { return }
        guard streams[index].sendWindow > 0 || streams[index].queue.isEmpty else { return scheduler.lacksWindow(index, &streams) }
        scheduler.activate(index, &streams)
    }

    mutating func reset(_ stream: StreamHandle, code: UInt32) {
        guard let index = streams.resolve(stream) else { return }
        // A stream that the far end has never heard of needs no farewell.
        if !streams[index].flags.contains(.openPending) {
            let streamID = streams[index].wireID
            if isTransmitUnsettled && streams[index].flags.contains(.local) {
                doubtfulResets.push(YamuxDoubtfulReset(stream: stream, streamID: streamID, code: code))
            } else {
                control.push(.reset(streamID: streamID, code: code))
            }
        }
        counters.streamsReset += 1
        remove(index)
    }

    mutating func consume(_ stream: StreamHandle, byteCount: Int) {
        guard let index = streams.resolve(stream) else { return }
        precondition(byteCount >= 0 && byteCount <= Int(streams[index].unconsumed), "more consumed than was delivered")
        streams[index].unconsumed -= UInt32(truncatingIfNeeded: byteCount)
        guard !streams[index].flags.contains(.updateQueued) else { return }
        // Grants are batched: one when half the window has been used, so a full window costs two of them.
        let ungranted = streams[index].windowTarget - streams[index].receiveWindow - streams[index].unconsumed
        guard ungranted >= streams[index].windowTarget / 2, !streams[index].flags.contains(.remoteFinished) else { return }
        streams[index].flags.insert(.updateQueued)
        control.push(.update(stream))
    }

    mutating func close(code: UInt32) {
        guard !closeQueued else { return }
        closeQueued = true
        control.push(.goAway(code: code))
    }

    /// Identifiers count up in twos, from 1 at the initiator and from 2 at the responder.
    func ordinal(of stream: StreamHandle) -> UInt64? {
        streams.resolve(stream).map { UInt64((streams[$0].wireID - 1) >> 1) }
    }

    func queuedByteCount(on stream: StreamHandle) -> Int {
        streams.resolve(stream).map { Int(streams[$0].queuedBytes) } ?? 0
    }

    func isLocal(_ stream: StreamHandle) -> Bool {
        streams.resolve(stream).map { streams[$0].flags.contains(.local) } ?? false
    }

    /// The opening of the stream is not waited for any more, if it was.
    @inline(__always)
    mutating func forgetOpening(_ index: Int) {
        guard streams[index].flags.contains(.unanswered) else { return }
        streams[index].flags.remove(.unanswered)
        marks.openingForgotten()
    }

    // MARK: The end of streams

    /// Forgets the stream: its handle is stale from here on.
    mutating func remove(_ index: Int) {
        if bodyStream == index { bodyStream = nil }
        if streams[index].flags.contains(.unacknowledged) { unacknowledged -= 1 }
        forgetOpening(index)
        windowGrowth -= Int(streams[index].windowTarget - YamuxLimits.windowBytesInitial)
        queues.removeAll(&streams[index].queue)
        scheduler.remove(index, &streams)
        let id = streams[index].wireID
        cp_stream_closed(connection, UInt(id))
        streams.remove(index, key: key(id))
    }

    /// Closes the stream if both ends have finished and ours is surely on its way.
    mutating func closeIfDone(_ index: Int, events: inout EventList) {
        let flags = streams[index].flags
        guard flags.isSuperset(of: [.finishSent, .remoteFinished]), !flags.contains(.finishUnsettled) else { return }
        events.push(.closed(streams.handle(index)))
        remove(index)
    }

    mutating func settle(events: inout EventList) {
        streams.recycle()
        isTransmitUnsettled = false
        sendClock.enter(sendState, at: transmittedAt)
        while let reset = doubtfulResets.pop() { control.push(.reset(streamID: reset.streamID, code: reset.code)) }
        while let stream = unsettled.pop() {
            guard let index = streams.resolve(stream), streams[index].flags.contains(.finishSent) else { continue }
            streams[index].flags.remove(.finishUnsettled)
            closeIfDone(index, events: &events)
        }
    }

    /// What holds up the data that is queued.
    private var sendState: SendClock.State {
        if !scheduler.isEmpty { return .sending }
        return scheduler.lackingWindow > 0 ? .window : .idle
    }

    func flow(at now: Nanoseconds) -> MuxerFlow {
        var flow = MuxerFlow()
        (flow.windowStalledNanoseconds, flow.idleNanoseconds) = sendClock.totals(at: now)
        flow.receiveWindowBytesMax = windowBytesLargest
        return flow
    }

    /// The opening of a stream that was reset meanwhile came back: there is nothing left to reset.
    mutating func forgetReset(_ index: Int, generation: UInt32) {
        for place in 0..<doubtfulResets.count {
            let stream = doubtfulResets[place].stream
            guard Int(stream.index) == index, stream.generation & 0xffff == generation else { continue }
            guard let last = doubtfulResets.pop(), place < doubtfulResets.count else { return }
            doubtfulResets[place] = last
            return
        }
    }

    mutating func receiveEnd(events: inout EventList) {
        remoteGoAway = remoteGoAway ?? GoAwayCode.normal.rawValue
        for index in 0..<streams.places where streams[index].generation != 0 {
            guard !streams[index].flags.contains(.remoteFinished) else { continue }
            events.push(.reset(streams.handle(index), .cutOff))
            counters.streamsReset += 1
            remove(index)
        }
    }

    /// What a fatal error leaves to be sent: a go-away that tells the far end why.
    mutating func fail(_ error: MuxerError) -> MuxerError {
        hasFailed = true
        control.removeAll()
        control.push(.goAway(code: GoAwayCode.protocolError.rawValue))
        return error
    }
}

struct YamuxDoubtfulReset: BitwiseCopyable {
    let stream: StreamHandle
    let streamID: UInt32
    let code: UInt32
}

/// A frame that carries no data, waiting for the next transmit.
enum YamuxControl: BitwiseCopyable {
    /// Open the stream, or acknowledge that it was opened, unless a data frame does it.
    case announce(StreamHandle)
    /// Grant what has been consumed.
    case update(StreamHandle)
    case reset(streamID: UInt32, code: UInt32)
    case pong(UInt32)
    case ping
    case goAway(code: UInt32)
}
