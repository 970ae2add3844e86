/// Why a multiplexer refuses a call or gives up a connection. ``origin`` says who caused it.
public enum MuxerError: Error, Equatable, Sendable {
    /// Who caused it.
    public enum Origin: Sendable {
        /// This side.
        case local
        /// The far end.
        case remote
    }

    // Calls that were refused; the connection goes on.
    /// The handle is stale, or was never one.
    case unknownStream
    /// This side of the stream is finished.
    case sendSideClosed
    /// More waits on the stream than ``MuxerLimits/sendQueueBytesMax`` allows; nothing of the payload was queued.
    case sendQueueFull(limitBytes: Int)
    /// ``MuxerLimits/streamsMax`` is reached.
    case tooManyStreams(limit: Int)
    /// The far end has yet to acknowledge that many; ``MuxerEvent/canOpen`` tells when it has.
    case tooManyUnacknowledgedStreams(limit: Int)
    /// A new connection is needed: identifiers are not used twice.
    case streamIDsExhausted
    /// In this protocol only the side that dialled opens streams.
    case responderOpensNone
    /// The far end takes no new streams: opening one is refused.
    case goneAway(code: UInt32)
    /// This side ends the connection, or the far end broke the protocol before.
    case closing

    // What the far end did; the connection is over.
    /// A frame of another version of yamux.
    case unsupportedVersion(UInt8)
    /// A type, or with mplex a flag, that the protocol does not have.
    case unknownFrameType(UInt8)
    /// A number in a header, and what is wrong with it.
    case malformedVarint(String)
    /// A frame announces more than may be in one.
    case frameTooLarge(byteCount: UInt64, limitBytes: Int)
    /// More data came than the stream's window allowed.
    case windowExceeded(streamID: UInt64, byteCount: Int, windowBytes: Int)
    /// The window was raised beyond what can be counted.
    case windowOverflow(streamID: UInt64)
    /// The far end opened a stream with an identifier of this side's.
    case wrongStreamParity(streamID: UInt64)
    /// The far end opened a stream that is open already.
    case duplicateStream(streamID: UInt64)
    /// Something came for a stream that nobody has opened.
    case unopenedStream(streamID: UInt64)
    /// A frame about the connection names a stream.
    case sessionFrameExpected(streamID: UInt64)
    /// The far end provokes answers and does not read them.
    case tooManyControlFrames(limit: Int)
    /// What HTTP/2 forbids, in the words of the library that found it, with the code of RFC 9113, section 7.
    case protocolViolation(code: UInt32, reason: String)
    /// A ping was not answered in time.
    case keepaliveTimeout(afterNanoseconds: Nanoseconds)

    /// Who caused it.
    public var origin: Origin {
        switch self {
        case .unknownStream, .sendSideClosed, .sendQueueFull, .tooManyStreams, .tooManyUnacknowledgedStreams, .streamIDsExhausted, .closing,
            .responderOpensNone:
            .local
        default:
            .remote
        }
    }
}

extension MuxerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownStream: "there is no such stream, or not any more"
        case .sendSideClosed: "this side of the stream is finished"
        case .sendQueueFull(let limit): "more than \(limit) bytes wait to be sent on the stream"
        case .tooManyStreams(let limit): "the connection has \(limit) streams already, as many as it may"
        case .tooManyUnacknowledgedStreams(let limit): "the far end has yet to acknowledge \(limit) streams"
        case .streamIDsExhausted: "the connection has used all identifiers of streams: a new one is needed"
        case .responderOpensNone: "only the side that dialled opens streams in this protocol"
        case .closing: "the connection is being closed"
        case .unsupportedVersion(let version): "a frame has version \(version) of the protocol, which is unknown"
        case .unknownFrameType(let type): "a frame has the unknown type \(type)"
        case .malformedVarint(let reason): "a frame's header holds a malformed number: \(reason)"
        case .frameTooLarge(let byteCount, let limit): "a frame announces \(byteCount) bytes; at most \(limit) may be in one"
        case .windowExceeded(let id, let byteCount, let window):
            "\(byteCount) bytes came on stream \(id), whose window allowed \(window)"
        case .windowOverflow(let id): "the window of stream \(id) was raised beyond what can be counted"
        case .wrongStreamParity(let id): "the far end opened stream \(id), an identifier of this side's"
        case .duplicateStream(let id): "the far end opened stream \(id), which is open already"
        case .unopenedStream(let id): "a frame came for stream \(id), which nobody has opened"
        case .sessionFrameExpected(let id): "a frame about the whole connection names stream \(id)"
        case .tooManyControlFrames(let limit): "\(limit) answers wait for a far end that asks for more and does not read them"
        case .protocolViolation(let code, let reason): "the far end broke the protocol (code \(code)): \(reason)"
        case .keepaliveTimeout(let nanoseconds): "no answer to a ping within \(Double(nanoseconds / 1_000_000) / 1000) s"
        case .goneAway(let code): "the far end takes no new streams (code \(code))"
        }
    }
}
