public import Bytes

/// yamux (`/yamux/1.0.0`), complete, for either end of a connection. See ``Muxer`` for the order of calls and
/// `YamuxMachine` for the machine itself: this class only gives it an identity, so that a connection can hold any muxer.
public final class Yamux: Muxer {
    public static let protocolID = "/yamux/1.0.0"
    private let state: Owned<YamuxMachine>

    /// The role decides who opens streams with odd identifiers: the initiator.
    public init(role: MuxerRole, limits: YamuxLimits = YamuxLimits()) {
        state = Owned(YamuxMachine(role: role, limits: limits))
        state.value.scheduler.connection = UInt(bitPattern: ObjectIdentifier(self))
    }

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle { try state.value.openStream(now: now) }

    @discardableResult
    public func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try state.value.send(payload, on: stream)
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) { try state.value.finish(stream) }
    public func reset(_ stream: StreamHandle, code: UInt32) { state.value.reset(stream, code: code) }
    public func consume(_ stream: StreamHandle, byteCount: Int) { state.value.consume(stream, byteCount: byteCount) }

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        try state.value.receive(bytes, at: offset, now: now, events: &events)
    }

    public func receiveEnd(events: inout EventList) { state.value.receiveEnd(events: &events) }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        state.value.transmit(into: &gather, byteLimit: byteLimit, now: now, events: &events)
    }

    public func takeBack(_ frame: consuming Gather.Frame) { state.value.takeBack(frame) }
    public func settle(events: inout EventList) { state.value.settle(events: &events) }
    public var hasOutput: Bool { state.value.hasOutput }
    public var deadline: Nanoseconds? { state.value.deadline }

    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        try state.value.advanceTime(to: now, events: &events)
    }

    public func close(code: GoAwayCode) { state.value.close(code: code.rawValue) }
    public func ordinal(of stream: StreamHandle) -> UInt64? { state.value.ordinal(of: stream) }
    public func queuedByteCount(on stream: StreamHandle) -> Int { state.value.queuedByteCount(on: stream) }
    public func unwrittenByteCount(on stream: StreamHandle, in gather: borrowing Gather) -> Int {
        state.value.queuedByteCount(on: stream) + gather.unwrittenPayloadByteCount { state.value.isOfFrame(tag: $0, stream) }
    }
    public func isLocal(_ stream: StreamHandle) -> Bool { state.value.isLocal(stream) }
    public var streamCount: Int { state.value.streams.count }
    public var counters: MuxerCounters { state.value.counters }
    public var roundTripTime: Nanoseconds? { state.value.roundTrip.latest }
    public func flow(at now: Nanoseconds) -> MuxerFlow? { state.value.flow(at: now) }
}
