public import Bytes

/// No multiplexer: the connection is the stream, and bytes go through as they are.
///
/// The initiator opens the one stream with ``openStream(now:)``; the responder sees it opened when the first byte (or the end) arrives, or
/// earlier, by ``acceptStream(events:)``. The stream's ends are the connection's, which no byte can express, so the owner of the connection obeys
/// ``connectionDemand``: it shuts down the sending side at `finishSending` and closes at `abort`. In the other direction it calls
/// ``receiveEnd(events:)``, which here is the orderly end of the stream. ``wantsInput`` holds the far end back when the application is slow.
///
/// ```
///   unopened ──openStream / first byte──▶ open ──both ends finished──▶ ended
///                                          └────reset───▶ ended
/// ```
///
/// Invariant: every byte consumed or transmitted is payload.
public final class Passthrough: Muxer {
    /// Empty: nothing is negotiated. Its name in a subject is ``name``.
    public static let protocolID = ""
    /// What stands for it where multiplexers are named.
    public static let name = "none"

    /// Received bytes that the application has not given back, beyond which ``wantsInput`` is false.
    public static let receiveBufferBytesMaxDefault = 4 << 20

    private enum State: BitwiseCopyable {
        case unopened, open, ended
    }

    private static let stream = StreamHandle(index: 0, generation: 1)

    private let role: MuxerRole
    private let limits: MuxerLimits
    private let receiveBufferBytesMax: Int
    /// Reached directly, without an accessor that yields it: such a yield is read after its end in builds without optimisation.
    private let core = Owned(Core())

    /// The hot state, in a struct so that a call checks for exclusive access once.
    private struct Core: ~Copyable {
        var state = State.unopened
        var queues = SliceQueues()
        var queue = SliceQueues.Fifo()
        var queuedBytes = 0
        var unconsumed = 0
        var writableWanted = false
        var hasFinished = false
        /// Everything was transmitted when this side had finished, and not taken back.
        var finishSettled = false
        var remoteHasFinished = false
        var isClosing = false
        var wasAborted = false
        var counters = MuxerCounters()

        mutating func push(_ payload: consuming QueuedSlice) {
            queuedBytes += payload.count
            queues.push(payload, on: &queue)
        }

        /// Takes up to `limit` bytes of the message in front.
        mutating func pop(limit: Int) -> QueuedSlice {
            let payload = queues.popFront(&queue, byteCountMax: limit)
            queuedBytes -= payload.count
            counters.sent.payloadBytes &+= UInt64(payload.count)
            return payload
        }

        mutating func takeBack(_ payload: consuming QueuedSlice) {
            counters.sent.payloadBytes &-= UInt64(payload.count)
            // A stream that was reset meanwhile wants nothing back.
            guard case .open = state else { return }
            queuedBytes += payload.count
            queues.pushFront(payload, on: &queue)
        }

        mutating func end() {
            state = .ended
            queues.removeAll(&queue)
            queuedBytes = 0
            unconsumed = 0
        }
    }

    /// Only the initiator opens the one stream; `receiveBufferBytesMax` is what may be unread before reading stops.
    public init(
        role: MuxerRole, limits: MuxerLimits = MuxerLimits(),
        receiveBufferBytesMax: Int = Passthrough.receiveBufferBytesMaxDefault
    ) {
        self.role = role
        self.limits = limits
        self.receiveBufferBytesMax = receiveBufferBytesMax
    }

    // MARK: Opening

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle {
        guard !core.value.isClosing else { throw .closing }
        guard role == .initiator, case .unopened = core.value.state else { throw .tooManyStreams(limit: 1) }
        core.value.state = .open
        core.value.counters.streamsOpened += 1
        return Self.stream
    }

    /// Opens the responder's stream before anything has arrived, for a responder that speaks first. Harmless when it is open already.
    public func acceptStream(events: inout EventList) {
        guard role == .responder, case .unopened = core.value.state else { return }
        core.value.state = .open
        core.value.counters.streamsAccepted += 1
        events.push(.opened(Self.stream))
    }

    // MARK: Calls of the application

    @discardableResult
    public func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        guard isLive(stream) else { throw .unknownStream }
        guard !core.value.hasFinished else { throw .sendSideClosed }
        let queued = core.value.queuedBytes + payload.count
        guard queued <= limits.sendQueueBytesMax else { throw .sendQueueFull(limitBytes: limits.sendQueueBytesMax) }
        if payload.count == 0 { return queued }
        core.value.push(payload)
        if queued > limits.sendLowWaterBytes { core.value.writableWanted = true }
        return queued
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) {
        guard isLive(stream) else { throw .unknownStream }
        core.value.hasFinished = true
    }

    public func reset(_ stream: StreamHandle, code: UInt32) {
        guard isLive(stream) else { return }
        core.value.wasAborted = true
        core.value.end()
        core.value.counters.streamsReset += 1
    }

    public func consume(_ stream: StreamHandle, byteCount: Int) {
        guard isLive(stream) else { return }
        precondition(byteCount >= 0 && byteCount <= core.value.unconsumed, "more consumed than was delivered")
        core.value.unconsumed -= byteCount
    }

    public func close(code: GoAwayCode) { core.value.isClosing = true }

    // MARK: Receiving

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        let count = bytes.byteCount
        guard count > 0 else { return 0 }
        if case .unopened = core.value.state {
            guard role == .responder, !core.value.isClosing else { throw .unopenedStream(streamID: 0) }
            acceptStream(events: &events)
        }
        core.value.counters.received.payloadBytes &+= UInt64(count)
        guard case .open = core.value.state, !core.value.remoteHasFinished else {
            core.value.counters.lateBytes &+= UInt64(count)
            return count
        }
        core.value.unconsumed += count
        events.push(.data(Self.stream, offset: UInt32(truncatingIfNeeded: offset), count: UInt32(truncatingIfNeeded: count)))
        return count
    }

    public func receiveEnd(events: inout EventList) {
        if !core.value.isClosing { acceptStream(events: &events) }
        guard case .open = core.value.state, !core.value.remoteHasFinished else { return }
        core.value.remoteHasFinished = true
        events.push(.finished(Self.stream))
        closeIfDone(events: &events)
    }

    public var wantsInput: Bool { core.value.unconsumed < receiveBufferBytesMax }

    // MARK: Transmitting

    public var hasOutput: Bool {
        guard case .open = core.value.state else { return false }
        return !core.value.queue.isEmpty || core.value.hasFinished && !core.value.finishSettled
    }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        while gather.byteCount < byteLimit, gather.hasRoom, !core.value.queue.isEmpty {
            gather.endFrame(tag: 0, payload: core.value.pop(limit: limits.framePayloadBytesMax))
        }
        guard core.value.writableWanted, core.value.queuedBytes <= limits.sendLowWaterBytes else { return }
        core.value.writableWanted = false
        events.push(.writable(Self.stream))
    }

    public func takeBack(_ frame: consuming Gather.Frame) {
        if let payload = frame.takePayload() { core.value.takeBack(payload) }
    }

    public func settle(events: inout EventList) {
        guard core.value.hasFinished, core.value.queue.isEmpty, case .open = core.value.state else { return }
        core.value.finishSettled = true
        closeIfDone(events: &events)
    }

    public var connectionDemand: ConnectionDemand {
        if core.value.wasAborted { return .abort }
        return core.value.finishSettled ? .finishSending : .none
    }

    // MARK: Ending

    private func closeIfDone(events: inout EventList) {
        guard core.value.finishSettled, core.value.remoteHasFinished else { return }
        core.value.end()
        events.push(.closed(Self.stream))
    }

    // MARK: Asking

    private func isLive(_ stream: StreamHandle) -> Bool {
        guard case .open = core.value.state else { return false }
        return stream == Self.stream
    }

    public var deadline: Nanoseconds? { nil }
    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {}
    public func ordinal(of stream: StreamHandle) -> UInt64? { isLive(stream) ? 0 : nil }
    public func queuedByteCount(on stream: StreamHandle) -> Int { isLive(stream) ? core.value.queuedBytes : 0 }
    public func isLocal(_ stream: StreamHandle) -> Bool { isLive(stream) && role == .initiator }
    public var streamCount: Int { if case .open = core.value.state { 1 } else { 0 } }
    public var counters: MuxerCounters { core.value.counters }
    public var roundTripTime: Nanoseconds? { nil }
}
