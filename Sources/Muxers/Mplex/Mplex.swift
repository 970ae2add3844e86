public import Bytes

/// mplex (`/mplex/6.7.0`), complete, for either end of a connection. See ``Muxer`` for the order of calls and ``MplexMachine`` for the
/// machine itself: this class only gives it an identity, so that a connection can hold any muxer.
///
/// mplex has no windows: a sender is held back by nothing but the connection, and a slow reader's stream is reset when more than
/// ``MplexLimits/receiveBufferBytesMax`` of it are unread. It has no pings and no go-away either: ``roundTripTime`` is always nil, and
/// ``close(code:)`` refuses new streams without telling the far end why.
public final class Mplex: Muxer {
    public static let protocolID = "/mplex/6.7.0"
    private var machine: MplexMachine

    /// - Parameter role: of no consequence here, as both ends number their streams from 0; taken so that all muxers are made alike.
    public init(role: MuxerRole, limits: MplexLimits = MplexLimits()) {
        machine = MplexMachine(limits: limits)
    }

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle { try machine.openStream() }

    @discardableResult
    public func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try machine.send(payload, on: stream)
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) { try machine.finish(stream) }
    public func reset(_ stream: StreamHandle, code: UInt32) { machine.reset(stream) }
    public func consume(_ stream: StreamHandle, byteCount: Int) { machine.consume(stream, byteCount: byteCount) }

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        try machine.receive(bytes, at: offset, events: &events)
    }

    public func receiveEnd(events: inout EventList) { machine.receiveEnd(events: &events) }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        machine.transmit(into: &gather, byteLimit: byteLimit, events: &events)
    }

    public func takeBack(_ frame: consuming Gather.Frame) { machine.takeBack(frame) }
    public func settle(events: inout EventList) { machine.settle(events: &events) }
    public var hasOutput: Bool { machine.hasOutput }
    public var deadline: Nanoseconds? { nil }
    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {}
    public func close(code: GoAwayCode) { machine.isClosing = true }
    public func ordinal(of stream: StreamHandle) -> UInt64? { machine.ordinal(of: stream) }
    public func queuedByteCount(on stream: StreamHandle) -> Int { machine.queuedByteCount(on: stream) }
    public func isLocal(_ stream: StreamHandle) -> Bool { machine.isLocal(stream) }
    public var streamCount: Int { machine.streams.count }
    public var counters: MuxerCounters { machine.counters }
    public var roundTripTime: Nanoseconds? { nil }
}
