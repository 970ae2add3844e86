import Bytes
import COpenSSL

/// The private half of a peer's identity: signs.
///
/// Invariant: `publicKey` belongs to the private part, unless an RSA key was read whose parts do not belong together: its encoding has both, and they are not
/// checked against each other. What such a key signs convinces nobody.
public final class IdentityKey: Sendable {
    public let type: IdentityKeyType
    public let publicKey: IdentityPublicKey
    private let key: KeyHandle

    /// A new random key.
    ///
    /// - Parameters:
    ///   - type: what kind of key.
    ///   - rsaBits: size of an RSA key; a key of 2,048 bits takes about 50 ms, one of 4,096 about a second. Other kinds have one size.
    /// - Throws: ``CipherError/keySizeRefused(bits:allowed:)``, or what the library could not do.
    public convenience init(generating type: IdentityKeyType, rsaBits: Int = 2048) throws(CipherError) {
        if type == .rsa && !IdentityKeyType.rsaBitsAllowed.contains(rsaBits) {
            throw .keySizeRefused(bits: rsaBits, allowed: IdentityKeyType.rsaBitsAllowed)
        }
        let key = switch type {
        case .rsa: unsafe KeyHandle(owning: co_generate_rsa(rsaBits))
        case .ed25519: unsafe KeyHandle(owning: co_generate("ED25519"))
        case .secp256k1: unsafe KeyHandle(owning: co_generate_ec(Curve.secp256k1.name))
        case .ecdsa: unsafe KeyHandle(owning: co_generate_ec(Curve.p256.name))
        }
        guard let key else { throw Library.failure("generate a key") }
        try self.init(key, type)
    }

    /// Reads a key from the field `Data` of libp2p's `PrivateKey` message (see ``keyData()``).
    public convenience init(_ type: IdentityKeyType, keyData: RawSpan) throws(CipherError) {
        guard let key = Self.decode(type, keyData) else {
            Library.forgetErrors()
            throw .malformedKey(type)
        }
        try self.init(key, type)
        if type == .ed25519 {
            // The public key stands behind the seed: once, or twice in files of old versions.
            let own = publicKey.keyData
            for start in stride(from: 32, to: keyData.byteCount, by: 32) {
                guard own.rawSpan.equals(keyData.extracting(start..<start + 32)) else { throw .mismatchedKeyPair }
            }
        }
    }

    private init(_ key: KeyHandle, _ type: IdentityKeyType) throws(CipherError) {
        publicKey = try IdentityPublicKey(key, type)
        self.key = key
        self.type = type
    }

    /// Signs `message` as the specification says for this type of key: RSA PKCS #1 v1.5 or ECDSA in DER over SHA-256, with the low value of `s` for
    /// secp256k1; Ed25519 over the message itself.
    public func sign(_ message: RawSpan) throws(CipherError) -> [UInt8] {
        let context = unsafe EVP_MD_CTX_new()
        defer { unsafe EVP_MD_CTX_free(context) }
        var length = IdentityKeyType.signatureBytesMax
        var signature = [UInt8](repeating: 0, count: length)
        let isSigned = unsafe EVP_DigestSignInit_ex(context, nil, type.digest, nil, nil, key.pointer, nil) == 1
            && signature.withUnsafeMutableBufferPointer { signature in
                unsafe message.withUnsafeBytes { message in
                    unsafe EVP_DigestSign(
                        context, signature.baseAddress, &length, message.baseAddress?.assumingMemoryBound(to: UInt8.self), message.count) == 1
                }
            }
        guard isSigned else { throw Library.failure("sign") }
        signature.removeLast(signature.count - length)
        return type == .secp256k1 ? try Self.lowS(signature) : signature
    }

    /// What stands in the field `Data` of libp2p's `PrivateKey` message: seed and public key (Ed25519), the scalar (secp256k1), a DER ECPrivateKey of
    /// RFC 5915 (ECDSA), or a DER RSAPrivateKey of PKCS #1 (RSA). The secret is the only copy that is made of it here.
    public func keyData() throws(CipherError) -> Secret {
        let secret: Secret? = switch type {
        case .ed25519: Self.seed(key, followedBy: publicKey.keyData)
        case .secp256k1: Self.scalar(key)
        case .ecdsa, .rsa: unsafe Keys.der(key, { unsafe i2d_PrivateKey($0, $1) }) { Secret(copying: $0) }
        }
        guard let secret else { throw Library.failure("write a private key") }
        return secret
    }

    private static func seed(_ key: KeyHandle, followedBy publicKey: [UInt8]) -> Secret? {
        let seedByteCount = 32
        return unsafe Secret(byteCount: seedByteCount + publicKey.count) { bytes in
            var length = seedByteCount
            guard unsafe EVP_PKEY_get_raw_private_key(key.pointer, bytes, &length) == 1, length == seedByteCount else { return false }
            for (index, byte) in publicKey.enumerated() { unsafe bytes[seedByteCount + index] = byte }
            return true
        }
    }

    private static func scalar(_ key: KeyHandle) -> Secret? {
        unsafe Secret(byteCount: Curve.scalarByteCount) { unsafe co_ec_scalar(key.pointer, $0, Int32(Curve.scalarByteCount)) == 1 }
    }

    private static func lowS(_ signature: [UInt8]) throws(CipherError) -> [UInt8] {
        var low = [UInt8](repeating: 0, count: signature.count + 1)
        let length = unsafe signature.withUnsafeBufferPointer { signature in
            unsafe low.withUnsafeMutableBufferPointer { low in
                unsafe co_low_s(Curve.secp256k1.number, signature.baseAddress, signature.count, low.baseAddress, low.count)
            }
        }
        guard length > 0 else { throw Library.failure("sign") }
        low.removeLast(low.count - length)
        return low
    }

    private static func decode(_ type: IdentityKeyType, _ data: RawSpan) -> KeyHandle? {
        switch type {
        case .ed25519:
            guard data.byteCount == 64 || data.byteCount == 96 else { return nil }
            return unsafe data.withUnsafeBytes {
                unsafe KeyHandle(
                    owning: EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), 32))
            }
        case .secp256k1:
            return data.byteCount == Curve.scalarByteCount ? pair(.secp256k1, scalar: data) : nil
        case .ecdsa:
            return decodeP256(data)
        case .rsa:
            return unsafe Keys.key(data) { unsafe d2i_PrivateKey(EVP_PKEY_RSA, nil, &$0, $1) }
        }
    }

    /// The scalar is taken out and the key made anew: that checks the curve, and that the public point belongs to it.
    private static func decodeP256(_ data: RawSpan) -> KeyHandle? {
        guard let read = unsafe Keys.key(data, { unsafe d2i_PrivateKey(EVP_PKEY_EC, nil, &$0, $1) }), unsafe Keys.groupName(read.pointer) == "prime256v1",
            let secret = scalar(read)
        else { return nil }
        guard let made = pair(.p256, scalar: secret.bytes), unsafe EVP_PKEY_eq(made.pointer, read.pointer) == 1 else { return nil }
        return made
    }

    private static func pair(_ curve: Curve, scalar: RawSpan) -> KeyHandle? {
        unsafe scalar.withUnsafeBytes {
            unsafe KeyHandle(
                owning: co_ec_private_key(curve.name, curve.number, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count))
        }
    }
}
