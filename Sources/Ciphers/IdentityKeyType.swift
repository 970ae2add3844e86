/// The kinds of identity keys, by their numbers in libp2p's specification "Peer Ids and Keys", section "Keys".
public enum IdentityKeyType: UInt64, CaseIterable, Sendable, CustomStringConvertible {
    case rsa = 0
    case ed25519 = 1
    case secp256k1 = 2
    case ecdsa = 3

    public var description: String {
        switch self {
        case .rsa: "RSA"
        case .ed25519: "Ed25519"
        case .secp256k1: "secp256k1"
        case .ecdsa: "ECDSA P-256"
        }
    }

    /// The hash that is signed, as libcrypto calls it; Ed25519 hashes by itself.
    var digest: String? { self == .ed25519 ? nil : "SHA256" }

    /// Sizes of RSA keys that are accepted: below, the key can be broken; above, a signature check takes milliseconds of this side's time for
    /// a few bytes of the far end's. go-libp2p has the same limits.
    public static let rsaBitsAllowed = 2048...8192
    /// An RSA exponent may have this many bits (65,537, which all use, has 17): the time of a check grows with them.
    public static let rsaExponentBitsMax = 31
    /// The longest encoding of a public key: RSA with 8,192 bits takes 1,062 bytes. Longer ones are refused before they are looked at.
    public static let publicKeyBytesMax = 1100
    /// The longest signature: that of RSA with 8,192 bits.
    public static let signatureBytesMax = 1024
}

/// The elliptic curves of identity keys.
enum Curve {
    case p256, secp256k1

    static let scalarByteCount = 32
    static let compressedByteCount = 33
    static let uncompressedByteCount = 65

    var name: String { self == .p256 ? "P-256" : "secp256k1" }
    /// The library's number for it: NID_X9_62_prime256v1, NID_secp256k1.
    var number: Int32 { self == .p256 ? 415 : 714 }

    /// What stands before the uncompressed point in the DER of a P-256 SubjectPublicKeyInfo (RFC 5480): everything else in it is fixed.
    static let p256InfoPrefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
        0x03, 0x42, 0x00,
    ]
}
