import Bytes
public import Ciphers
public import Multiformats

/// Who this side is: its private key, and what follows from it. Made once, shared by all connections and threads.
///
/// Invariant: `publicKey` and `peerID` belong to `key`.
public final class LocalIdentity: Sendable {
    /// The private key: signs handshakes.
    public let key: IdentityKey
    /// As peers exchange it.
    public let publicKey: PublicKey
    /// What follows from the public key.
    public let peerID: PeerID

    /// The identity of `key`.
    public init(_ key: IdentityKey) {
        self.key = key
        publicKey = PublicKey(key.publicKey)
        peerID = PeerID(of: publicKey)
    }

    /// A new random identity; Ed25519 is what every implementation of libp2p understands.
    public convenience init(generating type: KeyType = .ed25519) throws(CipherError) {
        self.init(try IdentityKey(generating: IdentityKeyType(type)))
    }

    /// The identity of a key that was kept.
    public convenience init(_ privateKey: PrivateKey) throws(CipherError) {
        let data = privateKey.data
        self.init(try IdentityKey(IdentityKeyType(privateKey.type), keyData: data.rawSpan))
    }

    /// The key as it is kept in a file: in arrays, which nobody overwrites when they go.
    public func privateKey() throws(CipherError) -> PrivateKey {
        let data = try key.keyData()
        do {
            return try PrivateKey(publicKey.type, data: data.bytes.array())
        } catch {
            preconditionFailure("a private key is written otherwise than it is read: \(error)")
        }
    }
}

extension IdentityKeyType {
    public init(_ type: KeyType) {
        self =
            switch type {
            case .rsa: .rsa
            case .ed25519: .ed25519
            case .secp256k1: .secp256k1
            case .ecdsa: .ecdsa
            }
    }
}

extension PublicKey {
    /// The key as peers exchange it.
    public init(_ key: IdentityPublicKey) {
        let type: KeyType =
            switch key.type {
            case .rsa: .rsa
            case .ed25519: .ed25519
            case .secp256k1: .secp256k1
            case .ecdsa: .ecdsa
            }
        do {
            try self.init(type, data: key.keyData)
        } catch {
            preconditionFailure("a public key is written otherwise than it is read: \(error)")
        }
    }

    /// The key ready to check signatures.
    public func verifier() throws(CipherError) -> IdentityPublicKey {
        let data = data
        return try IdentityPublicKey(IdentityKeyType(type), keyData: data.rawSpan)
    }
}

extension PeerID {
    /// The ID of the peer that has `key`.
    public init(of key: PublicKey) {
        self.init(of: key) { encoded in
            guard let digest = try? SHA256.hash(encoded) else { preconditionFailure("no memory for a hash") }
            return digest
        }
    }
}

/// Choosing a multiplexer within the handshake.
enum EarlyMuxer {
    /// The first of the initiator's that both have (libp2p specification "Stream multiplexer negotiation in security handshake", section
    /// "Multiplexer Negotiation over Noise"), or nil when one of the two offers none: it may be older than that.
    static func choose(_ configuration: SecureChannelConfiguration, remote: [ProtocolID]) throws(SecureChannelError) -> ProtocolID? {
        let own = configuration.muxers
        guard !own.isEmpty, !remote.isEmpty else { return nil }
        let (first, second) = configuration.role == .initiator ? (own, remote) : (remote, own)
        guard let chosen = first.first(where: second.contains) else { throw .noCommonMuxer(remote: remote) }
        return chosen
    }
}

extension SecureChannelConfiguration {
    /// Checks the far end's key and the ID that follows from it.
    func check(_ publicKey: PublicKey) throws(SecureChannelError) -> PeerID {
        let actual = PeerID(of: publicKey)
        if let expectedRemote, expectedRemote != actual { throw .peerIDMismatch(expected: expectedRemote, actual: actual) }
        return actual
    }

    /// Whose handshake it is: the owner of the key that `encodedKey` says, when `signature` is that key's for `message`.
    func verify(encodedKey: [UInt8], signature: [UInt8], message: [UInt8]) throws(SecureChannelError) -> (publicKey: PublicKey, peerID: PeerID) {
        let publicKey: PublicKey
        do { publicKey = try PublicKey(encoded: encodedKey.rawSpan) } catch { throw .malformedHandshake(error) }
        let peerID = try check(publicKey)
        let verifier: IdentityPublicKey
        do { verifier = try publicKey.verifier() } catch { throw .keyRefused(error) }
        guard verifier.verify(signature.rawSpan, of: message.rawSpan) else { throw .badSignature(claimed: peerID) }
        return (publicKey, peerID)
    }
}
