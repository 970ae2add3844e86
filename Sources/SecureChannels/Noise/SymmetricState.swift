import Bytes
import Ciphers

/// The keys and the hash of a handshake as they develop (Noise specification, section 5.2).
///
/// Invariant: `hash` covers everything that was sent and received so far, in order; both ends have the same.
struct SymmetricState: ~Copyable {
    private var chainingKey: Secret
    private var cipher: CipherState?
    private(set) var hasKey = false
    /// `h` of the specification.
    private(set) var hash: [UInt8]

    /// `InitializeSymmetric`.
    init(protocolName: String) {
        let name = Array(protocolName.utf8)
        precondition(name.count <= SHA256.byteCount, "a longer name would have to be hashed")
        let hash = name + [UInt8](repeating: 0, count: SHA256.byteCount - name.count)
        self.hash = hash
        chainingKey = Secret(copying: hash.rawSpan)
        cipher = nil
    }

    mutating func mixKey(_ input: Secret) throws(SecureChannelError) {
        let keys: (Secret, Secret)
        do { keys = try HKDF.two(chainingKey: chainingKey, input: input.bytes) } catch { throw .library(error) }
        chainingKey = keys.0
        cipher = try CipherState(key: keys.1)
        hasKey = true
    }

    mutating func mixHash(_ data: RawSpan) throws(SecureChannelError) {
        let before = hash
        do { hash = try SHA256.hash(before.rawSpan, data) } catch { throw .library(error) }
    }

    /// `EncryptAndHash`: as it is, while there is no key.
    mutating func encryptAndHash(_ plaintext: RawSpan) throws(SecureChannelError) -> [UInt8] {
        let associated = hash
        let ciphertext = try cipher?.encrypt(plaintext, associated: associated.rawSpan) ?? plaintext.array()
        try mixHash(ciphertext.rawSpan)
        return ciphertext
    }

    /// `DecryptAndHash`; nil when the ciphertext is not authentic.
    mutating func decryptAndHash(_ ciphertext: RawSpan) throws(SecureChannelError) -> [UInt8]? {
        let associated = hash
        let plaintext = hasKey ? try cipher?.decrypt(ciphertext, associated: associated.rawSpan) ?? nil : ciphertext.array()
        try mixHash(ciphertext)
        return plaintext
    }

    /// `Split`: the keys of both directions, the initiator's sending one first.
    func split() throws(SecureChannelError) -> (Secret, Secret) {
        do { return try HKDF.two(chainingKey: chainingKey, input: RawSpan()) } catch { throw .library(error) }
    }
}
