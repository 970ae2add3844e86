import Bytes
import COpenSSL

#if canImport(Glibc)
import Glibc
#endif

/// What is wrong with the far end's certificate (libp2p specification "libp2p TLS Handshake", section "Peer Authentication").
public enum TLSCertificateFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// There must be one certificate.
    case chainLength(Int)
    case malformed
    case notVersion3
    /// It has the field `subjectUniqueId` or `issuerUniqueId`.
    case uniqueIdentifier
    case notYetValid
    case expired
    /// A key of another type, curve or size than those in ``TLSPeerCertificate``.
    case keyRefused
    case keyUsage
    case selfSignature
    /// A critical extension that is not understood here.
    case criticalExtension(oid: String)
    case extensionMissing
    case extensionRepeated

    public var description: String {
        switch self {
        case .chainLength(let count): "\(count) certificates where there must be one"
        case .malformed: "not an X.509 certificate"
        case .notVersion3: "an X.509 certificate of an old version, which cannot have extensions"
        case .uniqueIdentifier: "a certificate with unique identifiers, which are forbidden"
        case .notYetValid: "a certificate that is not valid yet; the clock of one of the two machines may be wrong"
        case .expired: "a certificate that is no longer valid; the clock of one of the two machines may be wrong"
        case .keyRefused: "a certificate with a key of a type or size that is not accepted"
        case .keyUsage: "a certificate whose key is not meant for signing handshakes"
        case .selfSignature: "a certificate whose own signature is wrong or too weak"
        case .criticalExtension(let oid): "a certificate with the critical extension \(oid), which is not understood"
        case .extensionMissing: "a certificate without libp2p's extension"
        case .extensionRepeated: "a certificate that has libp2p's extension more than once"
        }
    }

    /// What the far end is told.
    var alert: TLSAlert {
        switch self {
        case .notYetValid, .expired: .certificateExpired
        case .keyRefused, .keyUsage, .criticalExtension: .unsupportedCertificate
        case .selfSignature: .decryptError
        default: .badCertificate
        }
    }
}

/// A certificate that keeps libp2p's rules for certificates; who it belongs to is in ``signedKey``, which nobody has looked at yet.
///
/// The rules: version 3, within its time, its own signature right, the extension for the host's key there once, no other critical
/// extension but those that say what the key is for. Its key is one of: ECDSA on P-256, P-384 or P-521, Ed25519, RSA of 2,048 to 8,192 bits.
public struct TLSPeerCertificate: Equatable, Sendable {
    /// libp2p Public Key Extension.
    static let extensionOID = "1.3.6.1.4.1.53594.1.1"
    /// Bits of security that a certificate's own signature must have: SHA-1 has fewer.
    static let signatureBitsMin: Int32 = 112

    /// The value of libp2p's extension.
    public let signedKey: [UInt8]
    /// The certificate's own key: what the host's key must have signed.
    public let subjectPublicKeyInfo: [UInt8]

    /// Reads a certificate in DER and checks it.
    ///
    /// - Parameters:
    ///   - der: the certificate, with nothing behind it.
    ///   - time: seconds since 1970.
    public init(der: RawSpan, time: Int64) throws(TLSCertificateFault) {
        let certificate = unsafe der.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
            var position = unsafe UnsafePointer<UInt8>?(start)
            let certificate = unsafe d2i_X509(nil, &position, bytes.count)
            if unsafe position == start + bytes.count { return unsafe certificate }
            unsafe X509_free(certificate)
            return nil
        }
        defer {
            unsafe X509_free(certificate)
            Library.forgetErrors()
        }
        guard let certificate = unsafe certificate else { throw .malformed }
        unsafe try self.init(certificate, time: time)
    }

    init(_ certificate: OpaquePointer, time: Int64) throws(TLSCertificateFault) {
        guard unsafe X509_get_version(certificate) == 2 else { throw .notVersion3 }
        guard unsafe co_has_unique_id(certificate) == 0 else { throw .uniqueIdentifier }
        switch unsafe co_time_order(certificate, time) {
        case 0: break
        case -1: throw .notYetValid
        case 1: throw .expired
        default: throw .malformed
        }
        unsafe signedKey = try Self.readExtensions(certificate)
        guard let key = unsafe X509_get0_pubkey(certificate), unsafe Self.isPermitted(key) else { throw .keyRefused }
        guard unsafe co_may_sign(certificate) == 1 else { throw .keyUsage }
        guard unsafe co_signature_bits(certificate) >= Self.signatureBitsMin && X509_verify(certificate, key) == 1 else { throw .selfSignature }
        var memory: UnsafeMutablePointer<UInt8>?
        let length = unsafe i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &memory)
        guard length > 0, let start = unsafe memory else { throw .malformed }
        subjectPublicKeyInfo = unsafe Array(UnsafeBufferPointer(start: start, count: Int(length)))
        unsafe co_free(start)
    }

    private static func readExtensions(_ certificate: OpaquePointer) throws(TLSCertificateFault) -> [UInt8] {
        var found: [UInt8]?
        for index in 0..<(unsafe X509_get_ext_count(certificate)) {
            guard let item = unsafe X509_get_ext(certificate, index) else { throw .malformed }
            let oid = unsafe oid(item)
            if oid == extensionOID {
                guard found == nil else { throw .extensionRepeated }
                var length = 0
                let start = unsafe co_extension_value(item, &length)
                found = unsafe Array(UnsafeBufferPointer(start: start, count: length))
            } else if unsafe X509_EXTENSION_get_critical(item) != 0, !understood.contains(oid) {
                throw .criticalExtension(oid: oid)
            }
        }
        guard let found else { throw .extensionMissing }
        return found
    }

    /// Basic constraints and key usage: what they can forbid is a chain, which there is none of, and signing, which is looked at.
    private static let understood = ["2.5.29.15", "2.5.29.19"]

    private static func oid(_ item: OpaquePointer) -> String {
        var text = [CChar](repeating: 0, count: 80)
        unsafe text.withUnsafeMutableBufferPointer { unsafe co_extension_oid(item, $0.baseAddress, $0.count) }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func isPermitted(_ key: OpaquePointer) -> Bool {
        if unsafe EVP_PKEY_is_a(key, "ED25519") == 1 { return true }
        if unsafe EVP_PKEY_is_a(key, "EC") == 1 {
            let curve = unsafe Keys.groupName(key)
            // A curve must be named, not described (RFC 5480, section 2.1.1), even where the description is that of one with a name.
            return unsafe ["prime256v1", "secp384r1", "secp521r1"].contains(curve) && co_has_described_curve(key) == 0
        }
        guard unsafe EVP_PKEY_is_a(key, "RSA") == 1 else { return false }
        // The same limits as for identity keys, for the same reasons.
        return unsafe IdentityKeyType.rsaBitsAllowed.contains(Int(EVP_PKEY_get_bits(key)))
            && (1...IdentityKeyType.rsaExponentBitsMax).contains(Int(co_rsa_exponent_bits(key)))
    }
}

/// The key of this side's certificate: ECDSA on P-256, as every implementation of libp2p understands it, and unrelated to the host's key.
public final class TLSCertificateKey: Sendable {
    let key: KeyHandle
    /// What the host's key must sign.
    public let subjectPublicKeyInfo: [UInt8]

    /// A new random key.
    public init() throws(CipherError) {
        guard let key = unsafe KeyHandle(owning: co_generate_ec(Curve.p256.name)), let der = unsafe Keys.der(key, { unsafe i2d_PUBKEY($0, $1) }) else {
            throw Library.failure("generate a key")
        }
        self.key = key
        subjectPublicKeyInfo = der
    }
}

/// The clock on the wall, which certificates go by.
func secondsSince1970() -> Int64 { Int64(time(nil)) }
