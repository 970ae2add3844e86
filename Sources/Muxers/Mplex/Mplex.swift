public import Bytes

/// mplex (`/mplex/6.7.0`), complete, for either end of a connection. See ``Muxer`` for the order of calls and `MplexMachine` for the
/// machine itself: this class only gives it an identity, so that a connection can hold any muxer.
///
/// mplex has no windows: a sender is held back by nothing but the connection, and a slow reader's stream is reset when more than
/// ``MplexLimits/receiveBufferBytesMax`` of it are unread. It has no pings and no go-away either: ``roundTripTime`` is always nil, and
/// ``close(code:)`` refuses new streams without telling the far end why.
public final class Mplex: Muxer {
    public static let protocolID = "/mplex/6.7.0"
    private let state: Owned<MplexMachine>

    /// - Parameters:
    ///   - role: of no consequence here, as both ends number their streams from 0; taken so that all muxers are made alike.
    ///   - limits: what this end accepts and keeps.
    public init(role: MuxerRole, limits: MplexLimits = MplexLimits()) {
        state = Owned(MplexMachine(limits: limits))
        state.value.scheduler.connection = UInt(bitPattern: ObjectIdentifier(self))
    }

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle { try state.value.openStream() }

    @discardableResult
    public func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try state.value.send(payload, on: stream)
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) { try state.value.finish(stream) }
    public func reset(_ stream: StreamHandle, code: UInt32) { state.value.reset(stream) }
    public func consume(_ stream: StreamHandle, byteCount: Int) { state.value.consume(stream, byteCount: byteCount) }

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        try state.value.receive(bytes, at: offset, events: &events)
    }

    public func receiveEnd(events: inout EventList) { state.value.receiveEnd(events: &events) }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        state.value.transmit(into: &gather, byteLimit: byteLimit, events: &events)
    }

    public func takeBack(_ frame: consuming Gather.Frame) { state.value.takeBack(frame) }
    public func settle(events: inout EventList) { state.value.settle(events: &events) }
    public var hasOutput: Bool { state.value.hasOutput }
    public var deadline: Nanoseconds? { nil }
    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {}
    public func close(code: GoAwayCode) { state.value.isClosing = true }
    public func ordinal(of stream: StreamHandle) -> UInt64? { state.value.ordinal(of: stream) }
    public func queuedByteCount(on stream: StreamHandle) -> Int { state.value.queuedByteCount(on: stream) }
    public func unwrittenByteCount(on stream: StreamHandle, in gather: borrowing Gather) -> Int {
        state.value.queuedByteCount(on: stream) + gather.unwrittenPayloadByteCount { state.value.isOfFrame(tag: $0, stream) }
    }
    public func isLocal(_ stream: StreamHandle) -> Bool { state.value.isLocal(stream) }
    public var streamCount: Int { state.value.streams.count }
    public var counters: MuxerCounters { state.value.counters }
    public var roundTripTime: Nanoseconds? { nil }
}
