import Bytes
import COpenSSL

/// The public half of a peer's identity: checks signatures.
///
/// Invariant: `keyData` is the one canonical encoding of the key, so that a key has one peer ID.
public final class IdentityPublicKey: Sendable, Equatable, CustomStringConvertible {
    public let type: IdentityKeyType
    /// What stands in the field `Data` of libp2p's `PublicKey` message: 32 bytes (Ed25519), the compressed point (secp256k1), or a DER
    /// SubjectPublicKeyInfo (ECDSA, RSA).
    public let keyData: [UInt8]
    private let key: KeyHandle

    /// Reads a key that somebody supplied.
    ///
    /// - Throws: ``CipherError/malformedKey(_:)`` for what is not the canonical encoding of a key of this type, ``CipherError/keySizeRefused(bits:allowed:)``
    ///   or ``CipherError/exponentRefused(bits:limit:)``.
    public convenience init(_ type: IdentityKeyType, keyData: RawSpan) throws(CipherError) {
        guard keyData.byteCount <= IdentityKeyType.publicKeyBytesMax, let key = Self.decode(type, keyData) else {
            Library.forgetErrors()
            throw .malformedKey(type)
        }
        try self.init(key, type)
        guard equals(keyData) else { throw .malformedKey(type) }
    }

    /// The public part of `key`.
    init(_ key: KeyHandle, _ type: IdentityKeyType) throws(CipherError) {
        guard let keyData = Self.encode(type, key) else { throw .malformedKey(type) }
        self.key = key
        self.type = type
        self.keyData = keyData
        guard type == .rsa else { return }
        let bits = unsafe Int(EVP_PKEY_get_bits(key.pointer))
        guard IdentityKeyType.rsaBitsAllowed.contains(bits) else { throw .keySizeRefused(bits: bits, allowed: IdentityKeyType.rsaBitsAllowed) }
        let exponentBits = unsafe Int(co_rsa_exponent_bits(key.pointer))
        guard (1...IdentityKeyType.rsaExponentBitsMax).contains(exponentBits) else {
            throw .exponentRefused(bits: exponentBits, limit: IdentityKeyType.rsaExponentBitsMax)
        }
    }

    public static func == (left: IdentityPublicKey, right: IdentityPublicKey) -> Bool {
        left.type == right.type && left.keyData == right.keyData
    }

    public var description: String { "\(type) public key" }

    /// Whether `signature` is this key's for `message`.
    public func verify(_ signature: RawSpan, of message: RawSpan) -> Bool {
        guard (1...IdentityKeyType.signatureBytesMax).contains(signature.byteCount) else { return false }
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            Library.forgetErrors()
        }
        return unsafe EVP_DigestVerifyInit_ex(context, nil, type.digest, nil, nil, key.pointer, nil) == 1
            && signature.withUnsafeBytes { signature in
                unsafe message.withUnsafeBytes { message in
                    unsafe EVP_DigestVerify(
                        context, signature.baseAddress?.assumingMemoryBound(to: UInt8.self), signature.count,
                        message.baseAddress?.assumingMemoryBound(to: UInt8.self), message.count) == 1
                }
            }
    }

    private func equals(_ other: RawSpan) -> Bool {
        let own = keyData
        return own.rawSpan.equals(other)
    }

    private static func decode(_ type: IdentityKeyType, _ data: RawSpan) -> KeyHandle? {
        switch type {
        case .ed25519:
            return unsafe data.withUnsafeBytes {
                unsafe KeyHandle(
                    owning: EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count))
            }
        case .secp256k1:
            return data.byteCount == Curve.compressedByteCount ? point(.secp256k1, data) : nil
        case .ecdsa:
            // Only the point varies: no parser of DER has to see what the far end wrote.
            let prefix = Curve.p256InfoPrefix
            guard data.byteCount == prefix.count + Curve.uncompressedByteCount else { return nil }
            return point(.p256, data.extracting(prefix.count..<data.byteCount))
        case .rsa:
            let key = unsafe Keys.key(data) { unsafe d2i_PUBKEY(nil, &$0, $1) }
            return key?.isOfType("RSA") == true ? key : nil
        }
    }

    private static func point(_ curve: Curve, _ octets: RawSpan) -> KeyHandle? {
        unsafe octets.withUnsafeBytes {
            unsafe KeyHandle(owning: co_ec_public_key(curve.name, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count))
        }
    }

    private static func encode(_ type: IdentityKeyType, _ key: KeyHandle) -> [UInt8]? {
        switch type {
        case .ed25519: Keys.rawPublic(key, byteCount: 32)
        case .secp256k1: encodedPoint(.secp256k1, key, isCompressed: true)
        case .ecdsa: encodedPoint(.p256, key, isCompressed: false).map { Curve.p256InfoPrefix + $0 }
        case .rsa: unsafe Keys.der(key) { unsafe i2d_PUBKEY($0, $1) }
        }
    }

    private static func encodedPoint(_ curve: Curve, _ key: KeyHandle, isCompressed: Bool) -> [UInt8]? {
        let byteCount = isCompressed ? Curve.compressedByteCount : Curve.uncompressedByteCount
        var octets = [UInt8](repeating: 0, count: byteCount)
        let length = unsafe octets.withUnsafeMutableBufferPointer {
            unsafe co_ec_point(key.pointer, curve.number, isCompressed ? 1 : 0, $0.baseAddress, $0.count)
        }
        guard length == byteCount else {
            Library.forgetErrors()
            return nil
        }
        return octets
    }
}
