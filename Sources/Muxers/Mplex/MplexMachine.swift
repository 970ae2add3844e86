import Bytes
import CProbes

/// The mplex session of one end: streams without windows, and no session frames at all.
///
/// Invariants:
/// - For every stream `unconsumed <= receiveBufferBytesMax`.
/// - A stream with something to send is on a list of the scheduler.
/// - `counters.received.totalBytes` is the number of bytes consumed, less a header that is still incomplete.
/// - `wideKeys` and `wideIDs` are inverse to each other and hold live streams only.
///
/// The parts: this file opens, queues and closes; `MplexReceive` parses; `MplexTransmit` frames.
struct MplexMachine: ~Copyable {
    let limits: MplexLimits
    var streams = StreamTable()
    var queues = SliceQueues()
    var scheduler: SendScheduler
    var counters = MuxerCounters()

    // Control messages waiting for the next transmit, oldest first.
    var control = RingQueue<MplexControl>()
    /// Resets among them of streams that the far end opened.
    var provokedResets = 0
    /// Streams whose end was transmitted since the last settle.
    var unsettled = Stack<StreamHandle>()

    /// Both ends count from 0: who opened a stream is told by the flags, not by the number.
    var nextLocalID: UInt32 = 0
    var isClosing = false
    var remoteHasEnded = false
    /// The connection is broken: nothing is parsed any more.
    var hasFailed = false

    // Receiving: a header split across reads, and the body being delivered.
    var reader = MplexHeaderReader()
    var bodyRemaining = 0
    var body = MplexBody.ignored
    /// Where the body goes; none when its stream has ended.
    var bodyStream: Int?

    /// Identifiers up to here are their own key in the stream table; the specification allows 60 bits, so a far end's may be wider and get a
    /// key from above.
    static let narrowIDMax: UInt64 = 0x7fff_ffff
    var wideKeys: [UInt64: UInt32] = [:]
    var wideIDs: [UInt32: UInt64] = [:]
    var nextWideKey = UInt32(MplexMachine.narrowIDMax) + 1

    init(limits: MplexLimits) {
        self.limits = limits
        scheduler = SendScheduler(limits: limits.common)
    }

    // MARK: Calls of the application

    mutating func openStream() throws(MuxerError) -> StreamHandle {
        guard !isClosing, !hasFailed else { throw .closing }
        guard !remoteHasEnded else { throw .goneAway(code: GoAwayCode.normal.rawValue) }
        guard streams.count < limits.common.streamsMax else { throw .tooManyStreams(limit: limits.common.streamsMax) }
        guard UInt64(nextLocalID) <= Self.narrowIDMax else { throw .streamIDsExhausted }
        let index = insert(key: nextLocalID, flags: [.local, .openPending])
        nextLocalID += 1
        counters.streamsOpened += 1
        let stream = streams.handle(index)
        control.push(.open(stream))
        return stream
    }

    mutating func insert(key: UInt32, flags: StreamRecord.Flags) -> Int {
        // There are no windows: ours never shuts, and theirs is judged by what is unconsumed.
        let record = StreamRecord(wireID: key, flags: flags, sendWindow: .max, receiveWindow: 0, windowTarget: 0)
        cp_stream_opened(connection, Self.probed(record), flags.contains(.local) ? 1 : 0)
        return streams.insert(record, key: key)
    }

    mutating func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        let connection = connection
        let queued = try streams[index].enqueue(payload, on: &queues, limits.common) { stream, count, queued in
            cp_frame_queued(connection, Self.probed(stream), count, queued)
        }
        if queued > 0 { scheduler.activate(index, &streams) }
        return queued
    }

    mutating func finish(_ stream: StreamHandle) throws(MuxerError) {
        guard let index = streams.resolve(stream) else { throw .unknownStream }
        guard !streams[index].flags.contains(.finishQueued) else { return }
        streams[index].flags.insert(.finishQueued)
        scheduler.activate(index, &streams)
    }

    mutating func reset(_ stream: StreamHandle) {
        guard let index = streams.resolve(stream) else { return }
        let flags = streams[index].flags
        // A stream that the far end has never heard of needs no farewell.
        if !flags.contains(.openPending) { queueReset(wireID(index), isLocal: flags.contains(.local)) }
        counters.streamsReset += 1
        remove(index)
    }

    mutating func queueReset(_ streamID: UInt64, isLocal: Bool) {
        control.push(.reset(streamID: streamID, isLocal: isLocal))
        if !isLocal { provokedResets += 1 }
    }

    mutating func consume(_ stream: StreamHandle, byteCount: Int) {
        guard let index = streams.resolve(stream) else { return }
        precondition(byteCount >= 0 && byteCount <= Int(streams[index].unconsumed), "more consumed than was delivered")
        streams[index].unconsumed -= UInt32(truncatingIfNeeded: byteCount)
    }

    func ordinal(of stream: StreamHandle) -> UInt64? {
        streams.resolve(stream).map { wireID($0) }
    }

    func queuedByteCount(on stream: StreamHandle) -> Int {
        streams.resolve(stream).map { Int(streams[$0].queuedBytes) } ?? 0
    }

    func isLocal(_ stream: StreamHandle) -> Bool {
        streams.resolve(stream).map { streams[$0].flags.contains(.local) } ?? false
    }

    // MARK: Identifiers

    /// What probes call this connection.
    @inline(__always) var connection: UInt { scheduler.connection }

    /// What probes call a stream: each end may use the same identifier for a stream of its own, so who opened it is the lowest bit, 1 at the end that did.
    @inline(__always)
    static func probed(_ stream: borrowing StreamRecord) -> UInt {
        UInt(stream.wireID) << 1 | UInt(stream.flags.rawValue & StreamRecord.Flags.local.rawValue)
    }

    @inline(__always)
    func wireID(_ index: Int) -> UInt64 {
        let key = streams[index].wireID
        return UInt64(key) <= Self.narrowIDMax ? UInt64(key) : wideIDs[key] ?? 0
    }

    /// The key of a live stream, or nil for a wide identifier that no live stream has.
    @inline(__always)
    func key(_ streamID: UInt64) -> UInt32? {
        streamID <= Self.narrowIDMax ? UInt32(truncatingIfNeeded: streamID) : wideKeys[streamID]
    }

    /// The key for a stream that the far end opens now.
    mutating func makeKey(_ streamID: UInt64) -> UInt32 {
        guard streamID > Self.narrowIDMax else { return UInt32(truncatingIfNeeded: streamID) }
        while wideIDs[nextWideKey] != nil { advanceWideKey() }
        let key = nextWideKey
        advanceWideKey()
        wideKeys[streamID] = key
        wideIDs[key] = streamID
        return key
    }

    /// The map of the stream table takes keys below the largest 32-bit number.
    private mutating func advanceWideKey() {
        nextWideKey = nextWideKey == .max - 1 ? UInt32(Self.narrowIDMax) + 1 : nextWideKey + 1
    }

    // MARK: The end of streams

    /// Forgets the stream: its handle is stale from here on.
    mutating func remove(_ index: Int) {
        if bodyStream == index { bodyStream = nil }
        let key = streams[index].wireID
        if UInt64(key) > Self.narrowIDMax, let streamID = wideIDs.removeValue(forKey: key) {
            wideKeys.removeValue(forKey: streamID)
        }
        queues.removeAll(&streams[index].queue)
        scheduler.remove(index, &streams)
        cp_stream_closed(connection, Self.probed(streams[index]))
        streams.remove(index, key: key)
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
        while let stream = unsettled.pop() {
            guard let index = streams.resolve(stream), streams[index].flags.contains(.finishSent) else { continue }
            streams[index].flags.remove(.finishUnsettled)
            closeIfDone(index, events: &events)
        }
    }

    mutating func receiveEnd(events: inout EventList) {
        remoteHasEnded = true
        for index in 0..<streams.places where streams[index].generation != 0 {
            guard !streams[index].flags.contains(.remoteFinished) else { continue }
            events.push(.reset(streams.handle(index), .cutOff))
            counters.streamsReset += 1
            remove(index)
        }
    }

    /// mplex has no way to say why: what is left is to close the connection.
    mutating func fail(_ error: MuxerError) -> MuxerError {
        hasFailed = true
        control.removeAll()
        provokedResets = 0
        return error
    }
}

/// A message that carries no data, waiting for the next transmit.
enum MplexControl: BitwiseCopyable {
    case open(StreamHandle)
    case reset(streamID: UInt64, isLocal: Bool)
}

/// What the bytes behind a header are.
enum MplexBody: BitwiseCopyable {
    case payload
    /// A stream's name, or what no implementation sends: data behind a close or a reset.
    case ignored
}
