import Bytes
import COpenSSL

/// What all TLS connections of a host share: its certificate and what it accepts. Made once; making one takes about a millisecond. Safe to share between threads:
/// libssl only counts its users and reads it.
///
/// Invariant: TLS 1.3 only; one certificate, self-signed; the far end must send one as well, which is judged by ``TLSPeerCertificate`` and then by
/// the connection's owner, never by a chain of trust.
@safe public final class TLSContext: @unchecked Sendable {
    /// From an hour ago, for clocks that disagree, to a hundred years from now, as go-libp2p has it.
    static let validFromDefault = -3600
    static let validToDefault = 100 * 365 * 86_400
    /// The far end's certificate: one with RSA keys and signatures of 8,192 bits all over has some 5,200 bytes.
    static let certificateBytesMax = 16 * 1024
    static let groups = "X25519:P-256"
    /// What this side can check. RSA with PKCS #1 is for a certificate's own signature: TLS 1.3 has no other use for it.
    static let signatures =
        "ECDSA+SHA256:ed25519:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

    let pointer: OpaquePointer

    /// - Parameters:
    ///   - key: the certificate's key.
    ///   - signedKey: the value of libp2p's extension, which says whose certificate it is.
    public convenience init(_ key: TLSCertificateKey, signedKey: [UInt8]) throws(CipherError) {
        try self.init(key, Certificate(signedKey: signedKey), suites: TLSCipherSuite.preferred)
    }

    /// What stands in this side's certificate; another than usual for tests.
    struct Certificate {
        var signedKey: [UInt8]
        var validFrom = TLSContext.validFromDefault
        var validTo = TLSContext.validToDefault
        var oid = TLSPeerCertificate.extensionOID
        var isCritical = false
    }

    init(_ key: TLSCertificateKey, _ content: Certificate, suites: [TLSCipherSuite]) throws(CipherError) {
        let names = suites.map(\.name).joined(separator: ":")
        guard let context = unsafe co_tls_context(names, Self.groups, Self.signatures, Self.certificateBytesMax) else {
            throw Library.failure("prepare TLS")
        }
        let certificate = unsafe content.signedKey.withUnsafeBufferPointer { value in
            unsafe co_self_signed(
                key.key.pointer, content.validFrom, content.validTo, content.oid, content.isCritical ? 1 : 0, value.baseAddress, value.count)
        }
        let isReady = unsafe certificate != nil && SSL_CTX_use_certificate(context, certificate) == 1
            && SSL_CTX_use_PrivateKey(context, key.key.pointer) == 1
        unsafe X509_free(certificate)
        guard isReady else {
            let failure = Library.failure("make a certificate")
            unsafe SSL_CTX_free(context)
            throw failure
        }
        unsafe pointer = unsafe context
        TLSSession.installCallbacks(self)
    }

    deinit { unsafe SSL_CTX_free(pointer) }
}

/// The ciphers of TLS 1.3 (RFC 8446, appendix B.4), but for those that no one offers.
public enum TLSCipherSuite: UInt16, CaseIterable, Sendable {
    case aes128GCM = 0x1301
    case aes256GCM = 0x1302
    case chaCha20Poly1305 = 0x1303

    /// AES where the processor computes it, or else ChaCha20, which needs no help.
    public static let preferred: [TLSCipherSuite] =
        co_has_aes() != 0 ? [.aes128GCM, .aes256GCM, .chaCha20Poly1305] : [.chaCha20Poly1305, .aes128GCM, .aes256GCM]

    public var name: String {
        switch self {
        case .aes128GCM: "TLS_AES_128_GCM_SHA256"
        case .aes256GCM: "TLS_AES_256_GCM_SHA384"
        case .chaCha20Poly1305: "TLS_CHACHA20_POLY1305_SHA256"
        }
    }

    var algorithm: AEADKey.Algorithm {
        switch self {
        case .aes128GCM: .aes128GCM
        case .aes256GCM: .aes256GCM
        case .chaCha20Poly1305: .chaCha20Poly1305
        }
    }

    /// As libcrypto calls the hash of the key schedule.
    var hash: String { self == .aes256GCM ? "SHA384" : "SHA256" }
    var hashByteCount: Int { self == .aes256GCM ? 48 : 32 }
}
