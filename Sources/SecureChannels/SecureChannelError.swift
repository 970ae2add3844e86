public import Ciphers
public import Multiformats

/// Why a secure channel gives up its connection. ``origin`` says who caused it.
public enum SecureChannelError: Error, Equatable, Sendable {
    /// Who caused it.
    public enum Origin: Sendable {
        /// This side.
        case local
        /// The far end.
        case remote
    }

    // The handshake: what the far end sent.
    /// Longer than any honest handshake; nothing of it was kept.
    case handshakeTooLarge(byteCount: Int, limitBytes: Int)
    /// Too short for what must be in it.
    case handshakeTooShort(message: String, byteCount: Int)
    /// Its tag is wrong: falsified on the way, or made with other keys.
    case handshakeNotAuthentic(message: String)
    /// A message is not the protobuf that the specification says.
    case malformedHandshake(MultiformatError)
    /// The varint before a message is not one.
    case malformedLength
    /// Something that a handshake must hold is not in it.
    case missingField(HandshakeField)
    /// A key of the handshake or of the far end's identity that cannot be used.
    case keyRefused(CipherError)
    /// The far end does not have the private key of the identity it claims.
    case badSignature(claimed: PeerID)
    /// The far end is somebody else.
    case peerIDMismatch(expected: PeerID, actual: PeerID)
    /// The peer ID that the far end sent does not belong to the key it sent.
    case peerIDNotOfKey(claimed: PeerID, actual: PeerID)
    /// More multiplexers are offered than ``SecureChannelLimits/muxersMax``.
    case tooManyMuxers(limit: Int)
    /// Both ends offered multiplexers, none in common.
    case noCommonMuxer(remote: [ProtocolID])

    // Records: what the far end sent.
    /// Not even a tag fits into it.
    case recordTooShort(byteCount: Int)
    /// Its tag is wrong: falsified, repeated, left out or out of order. `number` counts records from 0.
    case recordNotAuthentic(number: UInt64)

    // How the far end stopped.
    /// Before the handshake was done.
    case endedInHandshake
    /// A record was begun and not ended.
    case endedInRecord

    /// What only TLS knows.
    case tls(TLSFailure)

    // This side.
    /// libcrypto failed.
    case library(CipherError)
    /// The last nonce of a key has been used: a new connection is needed.
    case nonceExhausted

    /// Who caused it.
    public var origin: Origin {
        switch self {
        case .library, .nonceExhausted: .local
        default: .remote
        }
    }
}

/// What a handshake must hold.
public enum HandshakeField: String, Sendable {
    /// The public key of the host.
    case identityKey = "public key"
    /// What proves that the host has the private key.
    case identitySignature = "signature"
    /// The host's ID.
    case peerID = "peer ID"
}

extension SecureChannelError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .handshakeTooLarge(let byteCount, let limit): "the far end's handshake message has \(byteCount) bytes; at most \(limit) are accepted"
        case .handshakeTooShort(let message, let byteCount): "the far end's handshake message (\(message)) has only \(byteCount) bytes"
        case .handshakeNotAuthentic(let message): "the far end's handshake message (\(message)) was falsified, or made with other keys"
        case .malformedHandshake(let error): "the far end's handshake message is malformed: \(error)"
        case .malformedLength: "the length of the far end's handshake message is malformed"
        case .missingField(let field): "the far end's handshake has no \(field.rawValue)"
        case .keyRefused(let error): "the far end's key is refused: \(error)"
        case .badSignature(let claimed): "the far end claims to be \(claimed) and cannot prove it"
        case .peerIDMismatch(let expected, let actual): "the far end is \(actual), not \(expected)"
        case .peerIDNotOfKey(let claimed, let actual): "the far end claims to be \(claimed) with the key of \(actual)"
        case .tooManyMuxers(let limit): "the far end offers more than \(limit) multiplexers"
        case .noCommonMuxer(let remote): "the far end offers none of this side's multiplexers, only \(remote.map(\.description).joined(separator: ", "))"
        case .recordTooShort(let byteCount): "the far end sent a record of \(byteCount) bytes, too short for its tag"
        case .recordNotAuthentic(let number): "record \(number) from the far end was falsified, repeated or is out of order"
        case .endedInHandshake: "the far end closed the connection during the handshake"
        case .endedInRecord: "the connection ended within a record"
        case .tls(let failure): "\(failure)"
        case .library(let error): "\(error)"
        case .nonceExhausted: "the keys of this connection are used up"
        }
    }
}
