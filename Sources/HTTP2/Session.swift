import Bytes
import CNghttp2
import Muxers

// This file spells `unsafe`: it is where a C library is called, and calls back with pointers. No pointer leaves it.

/// libnghttp2's session of one connection: owned here alone, freed with this object.
///
/// The library calls back while it runs. A callback reads and writes ``HTTP2State`` and this object's own notes, never the session, and cannot throw: what it
/// finds becomes a ``Signal``, to be handled when the library has returned.
///
/// Invariant: `gather` is set during ``transmit(into:byteLimit:eventsMax:)`` only, and data is framed only then and only as far as it has room.
@safe final class Session {
    /// Reached directly, without an accessor that yields it: such a yield is read after its end in builds without optimisation.
    let state: Owned<HTTP2State>
    private let raw: OpaquePointer
    private let frameBytesMax: Int
    private let isServer: Bool
    /// The client's connection preface comes before its first frame.
    private var isPrefaceDue: Bool
    /// Frames that the library put out before there was a gather, in order.
    private var heldControl: [UInt8] = []
    private var heldStart = 0
    private var heldFrames = 0
    /// A go-away of ours is among the frames that the library has queued.
    private var isOwnGoAwayQueued = false

    // Set while the library runs. Not checked for exclusive access, which would cost each frame: nothing runs between reading and writing them.
    @exclusivity(unchecked) private var gather: UnsafeMutablePointer<Gather>?
    @exclusivity(unchecked) private var byteLimit = 0
    @exclusivity(unchecked) private var eventsMax = 0
    @exclusivity(unchecked) private var receiveBase: UnsafePointer<UInt8>?
    @exclusivity(unchecked) private var receiveOffset = 0

    init(role: MuxerRole, limits: HTTP2Limits) {
        state = Owned(HTTP2State(role: role, limits: limits.common))
        isServer = role == .responder
        isPrefaceDue = role == .initiator
        frameBytesMax = max(limits.frameBytesMax, 1)
        var callbacks = unsafe cn_callbacks(
            frame_received: Callback.frameReceived, data_received: Callback.dataReceived, stream_closed: Callback.streamClosed,
            frame_not_sent: Callback.frameNotSent, send_data: Callback.sendData, read_length: Callback.readLength)
        let window = UInt32(clamping: min(limits.windowBytes, Int(Int32.max)))
        let connectionWindow = UInt32(clamping: min(limits.connectionWindowBytes, Int(Int32.max)))
        // A client may reset each stream that it may have at once, at any time, and after that 33 a second, which is the library's own limit.
        let resetsAtOnce = UInt64(max(limits.common.streamsMax, 1000))
        var own = cn_limits(
            streams_max: UInt32(clamping: limits.common.streamsMax), window_bytes: window, connection_window_bytes: connectionWindow,
            frame_bytes_max: UInt32(min(max(frameBytesMax, 16_384), 1 << 24 - 1)), resets_at_once_max: resetsAtOnce, resets_per_second_max: 33)
        guard let session = unsafe cn_session_new(isServer ? 1 : 0, &callbacks, &own, nil) else { fatalError("out of memory") }
        unsafe raw = session
        unsafe nghttp2_session_set_user_data(raw, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { unsafe nghttp2_session_del(raw) }

    /// The library fails without the far end's doing only when there is no memory, or when it is called wrongly.
    private func check(_ result: Int) {
        guard result >= 0 else { unsafe fatalError("libnghttp2: \(String(cString: nghttp2_strerror(Int32(result))))") }
    }

    // MARK: Calls that queue frames

    /// Opens a stream. Nil when the identifiers are used up.
    func submitRequest() -> Int32? {
        let id = unsafe cn_submit_request(raw, Callback.readData)
        if id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE.rawValue { return nil }
        check(Int(id))
        return id
    }

    func submitResponse(_ id: Int32) { check(Int(unsafe cn_submit_response(raw, id, Callback.readData))) }
    func reset(_ id: Int32, code: UInt32) { check(Int(unsafe nghttp2_submit_rst_stream(raw, 0, id, code))) }
    func submitGoAway(_ code: UInt32) {
        isOwnGoAwayQueued = true
        check(Int(unsafe cn_submit_goaway(raw, code)))
    }

    /// The stream has data again. One that is not open any more has no use for it.
    func resume(_ id: Int32) { _ = unsafe nghttp2_session_resume_data(raw, id) }

    /// Gives back credit of a stream and of the connection.
    func consume(_ id: Int32, byteCount: Int) { check(Int(unsafe nghttp2_session_consume(raw, id, byteCount))) }

    /// Gives back credit of the connection alone.
    func consumeConnection(_ byteCount: Int) {
        guard byteCount > 0 else { return }
        check(Int(unsafe nghttp2_session_consume_connection(raw, byteCount)))
    }

    /// Frames without data that wait to be written.
    var controlCount: Int { unsafe heldFrames + Int(nghttp2_session_get_outbound_queue_size(raw)) }

    var wantsToWrite: Bool { unsafe heldFrames > 0 || nghttp2_session_want_write(raw) != 0 }

    /// Ends the session on account of `failure`: a go-away that says why is the last that it sends.
    func terminate(_ failure: MuxerError) {
        let code = if case .tooManyControlFrames = failure { NGHTTP2_ENHANCE_YOUR_CALM } else { NGHTTP2_PROTOCOL_ERROR }
        // Without effect when the library has ended it already.
        check(Int(unsafe nghttp2_session_terminate_session(raw, UInt32(code.rawValue))))
    }

    // MARK: Receiving

    /// Hands all of `bytes` to the library; `base` is the offset of the first in its block. Returns what is wrong with them, if it ends the connection.
    func receive(_ bytes: RawSpan, at base: Int) -> MuxerError? {
        let queued = unsafe nghttp2_session_get_outbound_queue_size(raw)
        unsafe receiveOffset = base
        let result = unsafe bytes.withUnsafeBytes { buffer -> Int in
            let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            unsafe receiveBase = start
            return unsafe nghttp2_session_mem_recv(raw, start, buffer.count)
        }
        unsafe receiveBase = nil
        if result < 0 { return Self.failure(result) }
        precondition(result == bytes.byteCount, "the library stops only when it is asked to")
        // The library says that the connection is over by the go-away that it queues, and by nothing else.
        return unsafe nghttp2_session_get_outbound_queue_size(raw) > queued ? holdControl() : nil
    }

    private static func failure(_ result: Int) -> MuxerError {
        let reason = unsafe String(cString: nghttp2_strerror(Int32(result)))
        switch Int32(result) {
        case NGHTTP2_ERR_NOMEM.rawValue, NGHTTP2_ERR_CALLBACK_FAILURE.rawValue: fatalError("libnghttp2: \(reason)")
        default: return .protocolViolation(code: UInt32(NGHTTP2_PROTOCOL_ERROR.rawValue), reason: reason)
        }
    }

    /// Takes the frames without data that the library has queued, and looks for a go-away of its own among them.
    private func holdControl() -> MuxerError? {
        while let frame = unsafe nextControl() {
            let code = unsafe goAwayCode(frame)
            unsafe heldControl.append(contentsOf: frame)
            heldFrames += 1
            guard let code else { continue }
            if !isOwnGoAwayQueued { return .protocolViolation(code: code.value, reason: code.reason) }
            isOwnGoAwayQueued = false
        }
        return nil
    }

    /// Code and explanation of a go-away (RFC 9113, section 6.8).
    private func goAwayCode(_ frame: UnsafeBufferPointer<UInt8>) -> (value: UInt32, reason: String)? {
        guard frame.count >= 17, unsafe frame[3] == FrameType.goAway else { return nil }
        let value = unsafe frame[13..<17].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard frame.count > 17 else {
            return (value, unsafe String(cString: nghttp2_http2_strerror(value)))
        }
        let reason = unsafe String(decoding: frame[17...], as: UTF8.self)
        return (value, reason)
    }

    // MARK: Transmitting

    /// Appends frames until `byteLimit` bytes are in the gather, it has no room, `eventsMax` streams have something to tell, or nothing is left.
    func transmit(into target: inout Gather, byteLimit: Int, eventsMax: Int) {
        unsafe self.byteLimit = byteLimit
        unsafe self.eventsMax = eventsMax
        unsafe withUnsafeMutablePointer(to: &target) { pointer in
            unsafe gather = pointer
            while hasRoom, unsafe releaseHeld(into: pointer) {}
            while heldFrames == 0, hasRoom, unsafe nghttp2_session_want_write(raw) != 0, let frame = unsafe nextControl() {
                if unsafe frame.count > 3 && frame[3] == FrameType.goAway { isOwnGoAwayQueued = false }
                unsafe append(frame, to: pointer)
            }
            unsafe gather = nil
        }
    }

    fileprivate var hasRoom: Bool {
        guard let gather = unsafe gather else { return false }
        return unsafe gather.pointee.byteCount < byteLimit && gather.pointee.hasRoom && state.value.written.count < eventsMax
    }

    /// The library's next frame that is not data; data is framed by the way, if there is a gather for it. Nil when nothing is left, or no room.
    /// Valid until the next call.
    private func nextControl() -> UnsafeBufferPointer<UInt8>? {
        var data: UnsafePointer<UInt8>?
        let count = unsafe nghttp2_session_mem_send(raw, &data)
        check(count)
        guard count > 0, let start = unsafe data else { return nil }
        return unsafe UnsafeBufferPointer(start: start, count: count)
    }

    /// Appends one of the frames that were held. Returns whether there was one.
    private func releaseHeld(into target: UnsafeMutablePointer<Gather>) -> Bool {
        guard heldFrames > 0 else { return false }
        heldFrames -= 1
        unsafe heldControl.withUnsafeBufferPointer { held in
            let rest = unsafe UnsafeBufferPointer(rebasing: held[heldStart...])
            // The preface stands alone, before everything else.
            let count = isPrefaceDue ? FrameScanner.prefaceByteCount : unsafe FrameScanner.headerByteCount + (Int(rest[0]) << 16 | Int(rest[1]) << 8 | Int(rest[2]))
            unsafe append(UnsafeBufferPointer(rebasing: rest[..<count]), to: target)
            heldStart += count
        }
        if heldFrames == 0 {
            heldControl.removeAll(keepingCapacity: heldControl.count <= 4096)
            heldStart = 0
        }
        return true
    }

    private func append(_ frame: UnsafeBufferPointer<UInt8>, to target: UnsafeMutablePointer<Gather>) {
        if isPrefaceDue {
            isPrefaceDue = false
            state.value.counters.sent.openCloseBytes &+= UInt64(frame.count)
        } else {
            let id = unsafe Int32(bitPattern: frame[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            unsafe state.value.noteControl(type: frame[3], id: id, byteCount: frame.count)
        }
        // A gather with room has it for a header of 32 bytes. What is longer, such as settings, goes by reference where that is not enough.
        let bytes = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(frame.baseAddress!), byteCount: frame.count)
        guard bytes.byteCount <= 32 else { return unsafe target.pointee.endPinnedFrame(payload: QueuedSlice(Slice(copying: bytes))) }
        for index in 0..<bytes.byteCount { unsafe target.pointee.appendByte(bytes.byte(at: index)) }
        unsafe target.pointee.endPinnedFrame()
    }
}

// MARK: What the library calls

extension Session {
    /// The session that a callback belongs to.
    @inline(__always)
    fileprivate static func of(_ context: UnsafeMutableRawPointer?) -> Session {
        unsafe Unmanaged<Session>.fromOpaque(context!).takeUnretainedValue()
    }

    fileprivate func signal(_ signal: Signal) { state.value.signals.push(signal) }

    fileprivate func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let id = unsafe cn_stream_id(frame)
        switch unsafe UInt32(cn_type(frame)) {
        case NGHTTP2_HEADERS.rawValue:
            if isServer, unsafe cn_is_request(frame) != 0 { signal(.request(id)) }
            if unsafe cn_ends_stream(frame) != 0 { signal(.ended(id)) }
        case NGHTTP2_DATA.rawValue: if unsafe cn_ends_stream(frame) != 0 { signal(.ended(id)) }
        case NGHTTP2_RST_STREAM.rawValue: signal(.reset(id, code: unsafe cn_reset_code(frame)))
        case NGHTTP2_GOAWAY.rawValue: signal(.goAway(code: unsafe cn_goaway_code(frame)))
        default: break
        }
    }

    fileprivate func received(_ data: UnsafePointer<UInt8>, count: Int, on id: Int32) {
        guard let base = unsafe receiveBase else { preconditionFailure("data comes while bytes are received") }
        let offset = unsafe receiveOffset + (data - base)
        signal(.data(id, offset: UInt32(truncatingIfNeeded: offset), count: UInt32(truncatingIfNeeded: count)))
    }

    /// How much of a stream's data goes into its next frame.
    fileprivate func frameLength(_ id: Int32, limit: Int, _ flags: UnsafeMutablePointer<UInt32>) -> Int {
        guard hasRoom else { return Int(NGHTTP2_ERR_PAUSE.rawValue) }
        switch state.value.nextFrame(id, limit: limit) {
        case .wait: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .payload(let count, let isLast):
            unsafe flags.pointee = UInt32(NGHTTP2_DATA_FLAG_NO_COPY.rawValue) | (isLast ? UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue) : 0)
            return count
        }
    }

    /// Puts a frame of data into the gather: the library's header and the stream's payload.
    fileprivate func appendData(_ id: Int32, isLast: Bool, header: UnsafePointer<UInt8>, byteCount: Int) {
        guard let target = unsafe gather else { preconditionFailure("data is framed into a gather only") }
        let words = unsafe UnsafeRawPointer(header)
        unsafe target.pointee.appendBigEndian(UInt64(bigEndian: words.loadUnaligned(as: UInt64.self)))
        unsafe target.pointee.appendByte(header[8])
        if let payload = state.value.takePayload(id, byteCount: byteCount, isLast: isLast) {
            unsafe target.pointee.endPinnedFrame(payload: payload)
        } else {
            unsafe target.pointee.endPinnedFrame()
        }
    }

    fileprivate var largestFrame: Int { frameBytesMax }
}

private enum Callback {
    static let frameReceived: nghttp2_on_frame_recv_callback = { _, frame, context in
        unsafe Session.of(context).received(frame!)
        return 0
    }

    static let dataReceived: nghttp2_on_data_chunk_recv_callback = { _, _, id, data, count, context in
        if count > 0 { unsafe Session.of(context).received(data!, count: count, on: id) }
        return 0
    }

    static let streamClosed: nghttp2_on_stream_close_callback = { _, id, code, context in
        unsafe Session.of(context).signal(.closed(id, code: code))
        return 0
    }

    /// An opening that was given up: its stream was reset, or the far end takes none any more.
    static let frameNotSent: nghttp2_on_frame_not_send_callback = { _, frame, _, context in
        let session = unsafe Session.of(context)
        if unsafe cn_is_request(frame!) != 0 { unsafe session.signal(.closed(cn_stream_id(frame!), code: HTTP2State.refusedStream)) }
        return 0
    }

    static let readLength: nghttp2_data_source_read_length_callback = { _, _, _, _, _, frameBytesMax, context in
        unsafe min(Int(frameBytesMax), Session.of(context).largestFrame)
    }

    static let readData: nghttp2_data_source_read_callback = { _, id, _, limit, flags, _, context in
        unsafe Session.of(context).frameLength(id, limit: limit, flags!)
    }

    static let sendData: nghttp2_send_data_callback = { _, frame, header, count, _, context in
        unsafe Session.of(context).appendData(cn_stream_id(frame!), isLast: cn_ends_stream(frame!) != 0, header: header!, byteCount: count)
        return 0
    }
}
