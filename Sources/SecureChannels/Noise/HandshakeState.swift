import Bytes
import Ciphers

/// What a handshake message carries beside its payload, and what is mixed in (Noise specification, section 7.1).
enum NoiseToken {
    /// A fresh public key.
    case e
    /// The static public key, encrypted once there is a key.
    case s
    /// Diffie-Hellman of two of the four keys: the initiator's by the first letter, the responder's by the second.
    case ee, es, se
}

/// One message of a pattern.
struct NoiseMessage {
    let tokens: [NoiseToken]

    /// As the specification writes it.
    var name: String { tokens.map { "\($0)" }.joined(separator: ", ") }
}

/// A Noise handshake by the pattern XX (Noise specification, sections 5.3 and 7.5): what libp2p uses, without anything of libp2p.
///
/// ```
///   initiator                                   responder
///             ── 0: e ───────────────────────▶
///             ◀─────────────── 1: e, ee, s, es ──
///             ── 2: s, se ───────────────────▶
///        split()                                 split()
/// ```
///
/// Call order: ``writeMessage(payload:)`` and ``readMessage(_:)`` in turns, the initiator's write first, until ``isFinished``; then ``split()``.
///
/// Invariant: `next` messages are done; those of even number are the initiator's.
///
/// Let it go when it is done: it holds the ephemeral key, without which nobody can decrypt later what was recorded.
final class HandshakeState {
    static let protocolName = "Noise_XX_25519_ChaChaPoly_SHA256"
    static let messages = [
        NoiseMessage(tokens: [.e]), NoiseMessage(tokens: [.e, .ee, .s, .es]), NoiseMessage(tokens: [.s, .se]),
    ]

    private let role: SecureChannelRole
    private let staticKey: X25519Key
    /// Given for test vectors only; otherwise made when it is needed.
    private var ephemeralKey: X25519Key?
    private var symmetric: SymmetricState
    private var remoteEphemeral: [UInt8] = []
    private(set) var remoteStatic: [UInt8] = []
    /// The number of the next message.
    private(set) var next = 0

    init(
        _ role: SecureChannelRole, staticKey: X25519Key, ephemeralKey: X25519Key? = nil, prologue: [UInt8] = []
    ) throws(SecureChannelError) {
        self.role = role
        self.staticKey = staticKey
        self.ephemeralKey = ephemeralKey
        var symmetric = SymmetricState(protocolName: Self.protocolName)
        try symmetric.mixHash(prologue.rawSpan)
        self.symmetric = symmetric
    }

    var isFinished: Bool { next == Self.messages.count }
    var nextName: String { Self.messages[next].name }
    /// Whether the next message is this side's.
    var isToWrite: Bool { !isFinished && (next % 2 == 0) == (role == .initiator) }
    /// A value that both ends share and nobody else can cause to be the same (section 11.2).
    var hash: [UInt8] { symmetric.hash }

    /// The next message, with `payload` in it.
    func writeMessage(payload: RawSpan) throws(SecureChannelError) -> [UInt8] {
        precondition(isToWrite, "not this side's turn")
        var message: [UInt8] = []
        for token in Self.messages[next].tokens {
            switch token {
            case .e:
                let key = try ephemeral()
                ephemeralKey = key
                let publicKey = key.publicKey
                message += publicKey
                try symmetric.mixHash(publicKey.rawSpan)
            case .s:
                let publicKey = staticKey.publicKey
                message += try symmetric.encryptAndHash(publicKey.rawSpan)
            case .ee, .es, .se:
                try mixSharedSecret(token)
            }
        }
        message += try symmetric.encryptAndHash(payload)
        next += 1
        return message
    }

    /// Takes the next message and returns its payload.
    func readMessage(_ message: RawSpan) throws(SecureChannelError) -> [UInt8] {
        precondition(!isToWrite && !isFinished, "not the other side's turn")
        let name = nextName
        var offset = 0
        for token in Self.messages[next].tokens {
            switch token {
            case .e:
                let field = try Self.field(message, &offset, X25519Key.byteCount, name)
                remoteEphemeral = field.array()
                try symmetric.mixHash(field)
            case .s:
                let field = try Self.field(message, &offset, X25519Key.byteCount + (symmetric.hasKey ? AEADKey.tagByteCount : 0), name)
                guard let key = try symmetric.decryptAndHash(field) else { throw .handshakeNotAuthentic(message: name) }
                remoteStatic = key
            case .ee, .es, .se:
                try mixSharedSecret(token)
            }
        }
        let rest = message.extracting(offset..<message.byteCount)
        guard !symmetric.hasKey || rest.byteCount >= AEADKey.tagByteCount else {
            throw .handshakeTooShort(message: name, byteCount: message.byteCount)
        }
        guard let payload = try symmetric.decryptAndHash(rest) else { throw .handshakeNotAuthentic(message: name) }
        next += 1
        return payload
    }

    /// The keys of both directions, the initiator's sending one first.
    func split() throws(SecureChannelError) -> (Secret, Secret) {
        precondition(isFinished, "the handshake is not done")
        return try symmetric.split()
    }

    @_lifetime(copy message)
    private static func field(
        _ message: RawSpan, _ offset: inout Int, _ byteCount: Int, _ name: String
    ) throws(SecureChannelError) -> RawSpan {
        guard message.byteCount - offset >= byteCount else { throw .handshakeTooShort(message: name, byteCount: message.byteCount) }
        offset += byteCount
        return message.extracting(offset - byteCount..<offset)
    }

    private func ephemeral() throws(SecureChannelError) -> X25519Key {
        if let ephemeralKey { return ephemeralKey }
        do { return try X25519Key() } catch { throw .library(error) }
    }

    private func mixSharedSecret(_ token: NoiseToken) throws(SecureChannelError) {
        // Which of this side's keys, and which of the other's: for the responder the letters stand the other way round.
        let isInitiator = role == .initiator
        let (usesOwnStatic, usesRemoteStatic) =
            switch token {
            case .es: (!isInitiator, isInitiator)
            case .se: (isInitiator, !isInitiator)
            default: (false, false)
            }
        guard let own = usesOwnStatic ? staticKey : ephemeralKey else { preconditionFailure("a pattern sends a key before it uses it") }
        let remote = usesRemoteStatic ? remoteStatic : remoteEphemeral
        let secret: Secret
        do {
            secret = try own.sharedSecret(with: remote.rawSpan)
        } catch .weakPublicKey {
            throw .keyRefused(.weakPublicKey)
        } catch {
            throw .library(error)
        }
        try symmetric.mixKey(secret)
    }
}
