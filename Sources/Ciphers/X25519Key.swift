import Bytes
import COpenSSL

/// A key pair of the Diffie-Hellman function X25519 (RFC 7748).
///
/// Invariant: `publicKey` belongs to the private part, which never leaves libcrypto.
public final class X25519Key: Sendable {
    /// Of a public key, a private key and a shared secret.
    public static let byteCount = 32

    private let key: KeyHandle
    /// The 32 bytes to be sent.
    public let publicKey: [UInt8]

    /// A new random pair.
    public convenience init() throws(CipherError) {
        guard let key = unsafe KeyHandle(owning: co_generate("X25519")) else { throw Library.failure("generate an X25519 key") }
        try self.init(key)
    }

    /// The pair of a private key that is given, for test vectors.
    public convenience init(privateKey: RawSpan) throws(CipherError) {
        guard privateKey.byteCount == Self.byteCount else { throw .wrongByteCount(privateKey.byteCount, expected: Self.byteCount) }
        let made = unsafe privateKey.withUnsafeBytes {
            unsafe EVP_PKEY_new_raw_private_key_ex(nil, "X25519", nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count)
        }
        guard let key = unsafe KeyHandle(owning: made) else { throw Library.failure("read an X25519 key") }
        try self.init(key)
    }

    private init(_ key: KeyHandle) throws(CipherError) {
        guard let publicKey = Keys.rawPublic(key, byteCount: Self.byteCount) else { throw Library.failure("read an X25519 key") }
        self.key = key
        self.publicKey = publicKey
    }

    /// What both ends can compute and nobody else.
    ///
    /// - Throws: ``CipherError/weakPublicKey`` when the result is all zeros, whatever this side's key is.
    public func sharedSecret(with publicKey: RawSpan) throws(CipherError) -> Secret {
        guard publicKey.byteCount == Self.byteCount else { throw .wrongByteCount(publicKey.byteCount, expected: Self.byteCount) }
        let theirs = unsafe publicKey.withUnsafeBytes {
            unsafe EVP_PKEY_new_raw_public_key_ex(nil, "X25519", nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count)
        }
        defer { unsafe EVP_PKEY_free(theirs) }
        let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        guard unsafe theirs != nil && EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, theirs) == 1 else {
            throw Library.failure("agree on a key")
        }
        let secret = unsafe Secret(byteCount: Self.byteCount) { bytes in
            var length = Self.byteCount
            return unsafe EVP_PKEY_derive(context, bytes, &length) == 1 && length == Self.byteCount
        }
        // libcrypto refuses a result of zeros, in constant time, and has no other reason to fail here.
        guard let secret else {
            Library.forgetErrors()
            throw .weakPublicKey
        }
        return secret
    }
}
