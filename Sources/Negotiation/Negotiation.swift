public import Bytes
public import Multiformats

/// What one call of a machine's `receive` did.
public struct NegotiationStep<Event> {
    /// How many of the bytes given were the negotiation's. What is behind them belongs to the next call, and after agreement to the protocol agreed on.
    public let consumedBytes: Int
    /// What is to be sent now, ahead of anything the owner sends itself.
    public let reply: Slice?
    /// What the message meant.
    public let event: Event
}

/// Why a negotiation does not come to an agreement. The far end is who causes each of these.
public enum NegotiationError: Error, Equatable, Sendable {
    // The far end broke the rules.
    /// Its first message was not `/multistream/1.0.0`.
    case wrongHeader
    /// The varint before a message is not one, or not its shortest form.
    case malformedLength
    /// A message announces more than ``NegotiationLimits/messageBytesMax``.
    case messageTooLong(byteCount: UInt64, limitBytes: Int)
    /// A message does not end as every message must.
    case missingNewline
    /// The answer to a proposal was neither the proposal nor `na`.
    case unexpectedAnswer(to: ProtocolID)
    /// ``NegotiationLimits/proposalsMax`` is reached.
    case tooManyProposals(limit: Int)
    /// ``NegotiationLimits/listRequestsMax`` is reached.
    case tooManyListRequests(limit: Int)
    /// It ended before anything was agreed on.
    case ended

    // Nothing is wrong, but the two have nothing in common.
    /// Every proposal was answered with `na`.
    case noProtocolInCommon([ProtocolID])
    /// After a refusal the far end ended, or sent what is no proposal: it had settled on its protocol and sent data at once.
    case refusalIgnored
}

extension NegotiationError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongHeader: "the far end does not begin with \(Message.header): it negotiates otherwise or not at all"
        case .malformedLength: "the length of a negotiation message is no varint"
        case .messageTooLong(let byteCount, let limit): "a negotiation message has \(byteCount) bytes; at most \(limit) are accepted"
        case .missingNewline: "a negotiation message does not end with a newline"
        case .unexpectedAnswer(let id): "the answer to the proposal of \(id) is neither the same nor 'na'"
        case .tooManyProposals(let limit): "the far end proposed more than \(limit) protocols"
        case .tooManyListRequests(let limit): "the far end asked for the list of protocols more than \(limit) times"
        case .ended: "the far end ended the stream during negotiation"
        case .noProtocolInCommon(let ids): "the far end speaks none of \(ids.map(\.description).joined(separator: ", "))"
        case .refusalIgnored: "the far end proposed a protocol that is not spoken here, and no other"
        }
    }
}

/// What a far end may ask of a negotiation.
public struct NegotiationLimits: Sendable {
    /// The longest message, with its newline; one that a read has cut is kept until it is whole. go-libp2p reads no longer ones.
    public var messageBytesMax = 1024
    /// Proposals in one negotiation. Each that is refused costs an answer and keeps the stream open; a node speaks two or three dozen protocols in all.
    public var proposalsMax = 64
    /// Requests for the list of protocols in one negotiation: three bytes ask for kilobytes.
    public var listRequestsMax = 4
    /// The longest list that is sent. rust-libp2p reads no longer messages.
    public var listBytesMax = 16_383

    public init() {}
}
