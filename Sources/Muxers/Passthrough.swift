public import Bytes

/// No multiplexer: the connection is its one stream, and nothing is framed. The baseline that every muxer is measured against, behind the same
/// interface, so that the same code drives both.
///
/// The initiator opens the stream, once; the responder hears of it with the first call of `receive` or `receiveEnd`. Finishing the stream asks the
/// owner to half-close the connection (``wantsHalfClose``); the far end's half-close is the end of its side. There is no reset: `reset` asks for
/// the half-close at once and drops what is queued.
public final class Passthrough: Muxer {
    public static let protocolID = ""
    private var machine: PassthroughMachine

    public init(role: MuxerRole, limits: MuxerLimits = MuxerLimits()) {
        machine = PassthroughMachine(role: role, limits: limits)
    }

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle { try machine.openStream() }

    @discardableResult
    public func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try machine.send(payload, on: stream)
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) { try machine.finish(stream) }
    public func reset(_ stream: StreamHandle, code: UInt32) { machine.reset(stream) }
    public func consume(_ stream: StreamHandle, byteCount: Int) {}

    public func receive(
        _ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        machine.receive(bytes.byteCount, at: offset, events: &events)
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
    public func close(code: GoAwayCode) {}
    public func ordinal(of stream: StreamHandle) -> UInt64? { machine.isLive(stream) ? 0 : nil }
    public func queuedByteCount(on stream: StreamHandle) -> Int { machine.isLive(stream) ? machine.queuedBytes : 0 }
    public func isLocal(_ stream: StreamHandle) -> Bool { machine.isLive(stream) && machine.role == .initiator }
    public var streamCount: Int { machine.state == .open ? 1 : 0 }
    public var counters: MuxerCounters { machine.counters }
    public var roundTripTime: Nanoseconds? { nil }
    public var streamIsConnection: Bool { true }
    public var wantsHalfClose: Bool { machine.wantsHalfClose }
}

/// The one stream.
private struct PassthroughMachine: ~Copyable {
    enum State {
        case unopened, open, closed
    }

    let role: MuxerRole
    let limits: MuxerLimits
    var state = State.unopened
    var counters = MuxerCounters()
    var queues = SliceQueues()
    var queue = SliceQueues.Fifo()
    var queuedBytes = 0
    var isFinished = false
    var isRemoteFinished = false
    var isWritableWanted = false
    private let handle = StreamHandle(index: 0, generation: 1)

    init(role: MuxerRole, limits: MuxerLimits) {
        self.role = role
        self.limits = limits
    }

    func isLive(_ stream: StreamHandle) -> Bool { state == .open && stream == handle }

    var hasOutput: Bool { !queue.isEmpty }
    var wantsHalfClose: Bool { isFinished && queue.isEmpty }

    mutating func openStream() throws(MuxerError) -> StreamHandle {
        guard role == .initiator, state == .unopened else { throw .tooManyStreams(limit: 1) }
        state = .open
        counters.streamsOpened += 1
        return handle
    }

    mutating func accept(events: inout EventList) {
        guard state == .unopened else { return }
        state = .open
        if role == .responder {
            counters.streamsAccepted += 1
            events.push(.opened(handle))
        }
    }

    mutating func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        guard isLive(stream) else { throw .unknownStream }
        guard !isFinished else { throw .sendSideClosed }
        guard queuedBytes + payload.count <= limits.sendQueueBytesMax else {
            throw .sendQueueFull(limitBytes: limits.sendQueueBytesMax)
        }
        if payload.isEmpty { return queuedBytes }
        queuedBytes += payload.count
        queues.push(payload, on: &queue)
        if queuedBytes > limits.sendLowWaterBytes { isWritableWanted = true }
        return queuedBytes
    }

    mutating func finish(_ stream: StreamHandle) throws(MuxerError) {
        guard isLive(stream) else { throw .unknownStream }
        isFinished = true
    }

    mutating func reset(_ stream: StreamHandle) {
        guard isLive(stream) else { return }
        queues.removeAll(&queue)
        queuedBytes = 0
        isFinished = true
        state = .closed
        counters.streamsReset += 1
    }

    mutating func receive(_ byteCount: Int, at offset: Int, events: inout EventList) -> Int {
        accept(events: &events)
        counters.received.payloadBytes += UInt64(byteCount)
        guard state == .open else {
            counters.lateBytes += UInt64(byteCount)
            return byteCount
        }
        events.push(.data(handle, offset: UInt32(truncatingIfNeeded: offset), count: UInt32(truncatingIfNeeded: byteCount)))
        return byteCount
    }

    mutating func receiveEnd(events: inout EventList) {
        accept(events: &events)
        guard state == .open, !isRemoteFinished else { return }
        isRemoteFinished = true
        events.push(.finished(handle))
        closeIfDone(events: &events)
    }

    mutating func settle(events: inout EventList) { closeIfDone(events: &events) }

    private mutating func closeIfDone(events: inout EventList) {
        guard state == .open, isRemoteFinished, wantsHalfClose else { return }
        state = .closed
        events.push(.closed(handle))
    }

    mutating func transmit(into gather: inout Gather, byteLimit: Int, events: inout EventList) {
        while gather.byteCount < byteLimit, gather.hasRoom, !queue.isEmpty {
            let payload = queues.popFront(&queue)
            queuedBytes -= payload.count
            counters.sent.payloadBytes += UInt64(payload.count)
            counters.sent.dataFrames += 1
            gather.endFrame(tag: 0, payload: payload)
        }
        if isWritableWanted && queuedBytes <= limits.sendLowWaterBytes {
            isWritableWanted = false
            events.push(.writable(handle))
        }
    }

    mutating func takeBack(_ frame: consuming Gather.Frame) {
        guard let payload = frame.payload else { return }
        counters.sent.payloadBytes -= UInt64(payload.count)
        counters.sent.dataFrames -= 1
        // After a reset nothing is wanted back.
        guard state == .open else { return }
        queuedBytes += payload.count
        queues.pushFront(payload, on: &queue)
    }
}
