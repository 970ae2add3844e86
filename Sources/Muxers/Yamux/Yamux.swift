public import Bytes

/// yamux (`/yamux/1.0.0`), complete, for either end of a connection. See ``Muxer`` for the order of calls and
/// ``YamuxMachine`` for the machine itself: this class only gives it an identity, so that a connection can hold any muxer.
public final class Yamux: Muxer {
    public static let protocolID = "/yamux/1.0.0"
    private var machine: YamuxMachine

    public init(role: MuxerRole, limits: YamuxLimits = YamuxLimits()) {
        machine = YamuxMachine(role: role, limits: limits)
    }

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle { try machine.openStream(now: now) }

    @discardableResult
    public func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try machine.send(payload, on: stream)
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) { try machine.finish(stream) }
    public func reset(_ stream: StreamHandle, code: UInt32) { machine.reset(stream, code: code) }
    public func consume(_ stream: StreamHandle, byteCount: Int) { machine.consume(stream, byteCount: byteCount) }

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        try machine.receive(bytes, at: offset, now: now, events: &events)
    }

    public func receiveEnd(events: inout EventList) { machine.receiveEnd(events: &events) }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        machine.transmit(into: &gather, byteLimit: byteLimit, now: now, events: &events)
    }

    public func takeBack(_ frame: consuming Gather.Frame) { machine.takeBack(frame) }
    public func settle(events: inout EventList) { machine.settle(events: &events) }
    public var hasOutput: Bool { machine.hasOutput }
    public var deadline: Nanoseconds? { machine.deadline }

    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        try machine.advanceTime(to: now, events: &events)
    }

    public func close(code: GoAwayCode) { machine.close(code: code.rawValue) }
    public func ordinal(of stream: StreamHandle) -> UInt64? { machine.ordinal(of: stream) }
    public func queuedByteCount(on stream: StreamHandle) -> Int { machine.queuedByteCount(on: stream) }
    public func isLocal(_ stream: StreamHandle) -> Bool { machine.isLocal(stream) }
    public var streamCount: Int { machine.streams.count }
    public var counters: MuxerCounters { machine.counters }
    public var roundTripTime: Nanoseconds? { machine.roundTrip.latest }
}
