public import Bytes
public import Muxers

/// HTTP/2 (RFC 9113) as libnghttp2 speaks it, for either end of a connection: what HTTP/2's framing costs beside yamux and mplex, on the same engine.
///
/// libp2p has no protocol ID for it, so it is never negotiated: both ends know. Each stream is a request: the initiator, which is the client, opens one with
/// HEADERS; the responder answers with HEADERS as soon as it has seen them; then DATA goes both ways, and END_STREAM is the half-close. Only the initiator
/// opens streams. See ``/Muxers/Muxer`` for the order of calls.
///
/// What is libnghttp2's is left to it: parsing, HPACK, flow control, and which stream sends next (fair queueing with the weights that all streams have when
/// nobody sets any). It cannot undo what it has framed, so ``takeBack(_:)`` is never called: every frame is pinned in the gather, as it would
/// be in the buffer of any program that uses the library. Payload is not copied on account of the library: received data is reported where
/// it lies, and sent data goes from the stream's queue into the gather behind a header of nine bytes.
///
/// ```
///   receive ──bytes──▶ Session ──signals──▶ HTTP2State ──events──▶ owner
///                         ▲ ▼ frame length, payload
///   transmit ◀─gather── Session
/// ```
///
/// Invariants: while the session runs, nothing else holds the state; `counters.received.totalBytes` is the number of bytes consumed, less a
/// header that is still incomplete.
public final class HTTP2: Muxer {
    /// Empty: nothing is negotiated.
    public static let protocolID = ""

    private let role: MuxerRole
    private let limits: HTTP2Limits
    private let session: Session

    /// The initiator is the client.
    public init(role: MuxerRole, limits: HTTP2Limits = HTTP2Limits()) {
        self.role = role
        self.limits = limits
        session = Session(role: role, limits: limits)
    }

    // MARK: Calls of the application

    public func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle {
        try session.state.value.checkOpening()
        guard role == .initiator else { throw .responderOpensNone }
        guard let id = session.submitRequest() else { throw .streamIDsExhausted }
        return session.state.value.opened(id)
    }

    @discardableResult
    public func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        let (queued, waiting) = try session.state.value.send(payload, on: stream)
        if let waiting { session.resume(waiting) }
        return queued
    }

    public func finish(_ stream: StreamHandle) throws(MuxerError) {
        if let waiting = try session.state.value.finish(stream) { session.resume(waiting) }
    }

    public func reset(_ stream: StreamHandle, code: UInt32) {
        guard let ended = session.state.value.reset(stream) else { return }
        session.reset(ended.id, code: code)
        session.consumeConnection(ended.unconsumed)
    }

    public func consume(_ stream: StreamHandle, byteCount: Int) {
        guard let id = session.state.value.consume(stream, byteCount: byteCount) else { return }
        session.consume(id, byteCount: byteCount)
    }

    public func close(code: GoAwayCode) {
        guard session.state.value.close(code) else { return }
        submitGoAwayIfDue()
    }

    /// The go-away waits for the openings before it: libnghttp2 opens nothing behind it.
    /// Returns whether it was said now.
    @discardableResult
    private func submitGoAwayIfDue() -> Bool {
        guard let code = session.state.value.takeGoAway() else { return false }
        session.submitGoAway(code)
        return true
    }

    // MARK: Receiving

    public func receive(
        _ bytes: RawSpan, at base: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        guard !session.state.value.hasFailed else { throw .closing }
        session.state.value.recycle()
        handleSignals(&events, limit: eventsPerReceiveMax)
        var offset = 0
        while offset < bytes.byteCount, !session.state.value.hasSignals {
            // Only as many frames at a time as cannot overfill the events.
            let count = session.state.value.scan(bytes, from: offset, eventsMax: eventsPerReceiveMax - events.count)
            guard count > 0 else { break }
            let outcome = session.receive(bytes.extracting(offset..<offset + count), at: base + offset)
            offset += count
            handleSignals(&events, limit: eventsPerReceiveMax)
            session.state.value.noteLate()
            if let failure = outcome ?? session.state.value.controlFailure(limit: limits.controlFramesMax, session.controlCount) {
                session.state.value.hasFailed = true
                session.terminate(failure)
                throw failure
            }
        }
        return offset
    }

    public func receiveEnd(events: inout EventList) {
        session.state.value.receiveEnd(events: &events)
    }

    /// Makes events of what the session reported, in order, as long as there are fewer than `limit` of them; a signal makes up to three.
    private func handleSignals(_ events: inout EventList, limit: Int) {
        while events.count <= limit - HTTP2State.eventsPerSignalMax, let signal = session.state.value.nextSignal() {
            switch session.state.value.handle(signal, events: &events) {
            case .none: break
            case .respond(let id): session.submitResponse(id)
            case .refuse(let id): session.reset(id, code: HTTP2State.refusedStream)
            case .consumeConnection(let byteCount): session.consumeConnection(byteCount)
            }
        }
    }

    // MARK: Transmitting

    public var hasOutput: Bool { session.wantsToWrite || session.state.value.hasSignals }

    public func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        session.state.value.recycle()
        handleSignals(&events, limit: eventsPerTransmitMax)
        repeat {
            session.transmit(into: &gather, byteLimit: byteLimit, eventsMax: eventsPerTransmitMax - events.count)
            session.state.value.takeWritten(&events)
            handleSignals(&events, limit: eventsPerTransmitMax)
        } while submitGoAwayIfDue()
    }

    /// Never called: all frames are pinned.
    public func takeBack(_ frame: consuming Gather.Frame) {
        preconditionFailure("libnghttp2 cannot take back a frame")
    }

    public func settle(events: inout EventList) {
        session.state.value.settle(events: &events)
        while let byteCount = session.state.value.takeReleased() { session.consumeConnection(byteCount) }
    }

    // MARK: Asking

    public var deadline: Nanoseconds? { nil }
    public func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {}
    public func ordinal(of stream: StreamHandle) -> UInt64? { session.state.value.ordinal(of: stream) }
    public func queuedByteCount(on stream: StreamHandle) -> Int { session.state.value.queuedByteCount(on: stream) }
    public func isLocal(_ stream: StreamHandle) -> Bool { role == .initiator && session.state.value.ordinal(of: stream) != nil }
    public var streamCount: Int { session.state.value.streams.count }
    public var counters: MuxerCounters { session.state.value.counters }
    public var roundTripTime: Nanoseconds? { nil }
}

/// The limits of an HTTP/2 connection.
public struct HTTP2Limits: Sendable {
    /// Those that all muxers have. The scheduler's own (``/Muxers/MuxerLimits/quantumBytes``, ``/Muxers/MuxerLimits/sparseBytesMax``) are of no consequence:
    /// libnghttp2 decides which stream sends.
    public var common = MuxerLimits()
    /// What one stream may send before the application has read it. Large enough not to hold back a stream on a fast link (1 MiB each millisecond of round
    /// trip is 1 GB/s), small enough for a slow reader.
    public var windowBytes = 1 << 20
    /// The same for the connection: as good as none, so that a slow reader's stream does not hold up the others before its own window does. It is what
    /// libnghttp2's own load generator asks for.
    public var connectionWindowBytes = 1 << 30
    /// Payload of one frame, where ``/Muxers/MuxerLimits/framePayloadBytesMax`` allows as much; also the largest that this end takes, but never less than the protocol's
    /// 16 KiB (RFC 9113, section 6.5.2). That is what libnghttp2's own programs send. Frames are its turns as well: with 64 KiB a request beside a hundred
    /// bulk streams waits eight to nine times as long, for a tenth more goodput of bulk.
    public var frameBytesMax = 16 << 10
    /// Answers and resets waiting to be written: a far end that provokes them and never reads ends its connection.
    public var controlFramesMax = 65_536

    public init() {}
}
