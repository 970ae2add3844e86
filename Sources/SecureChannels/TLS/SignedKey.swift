import Bytes
import Ciphers
import Multiformats

/// The value of the libp2p Public Key Extension (libp2p specification "libp2p TLS Handshake", section "libp2p Public Key Extension"), in DER:
///
/// ```
/// SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }
/// ```
struct SignedKey {
    /// The encoded `PublicKey` message.
    let publicKey: [UInt8]
    let signature: [UInt8]

    /// What is signed: this, then the certificate's SubjectPublicKeyInfo.
    static let signaturePrefix = Array("libp2p-tls-handshake:".utf8)

    private static let sequence: UInt8 = 0x30
    private static let octetString: UInt8 = 0x04

    init(publicKey: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
    }

    /// The proof that `identity` stands behind the certificate with this key.
    init(_ identity: LocalIdentity, certificateKey: [UInt8]) throws(CipherError) {
        let message = Self.signaturePrefix + certificateKey
        self.init(publicKey: identity.publicKey.encoded, signature: try identity.key.sign(message.rawSpan))
    }

    init(der: RawSpan) throws(SecureChannelError) {
        var offset = 0
        guard let sequence = Self.read(Self.sequence, der, &offset), offset == der.byteCount else { throw .tls(.malformedSignedKey) }
        let content = der.extracting(sequence)
        offset = 0
        guard let key = Self.read(Self.octetString, content, &offset), let signature = Self.read(Self.octetString, content, &offset),
            offset == content.byteCount
        else { throw .tls(.malformedSignedKey) }
        self.init(publicKey: content.extracting(key).array(), signature: content.extracting(signature).array())
    }

    var der: [UInt8] {
        Self.item(Self.sequence, Self.item(Self.octetString, publicKey) + Self.item(Self.octetString, signature))
    }

    /// Whose certificate it is, when the signature goes with the certificate's key, which the same handshake proves the sender to have.
    func verified(certificateKey: [UInt8], _ configuration: SecureChannelConfiguration) throws(SecureChannelError) -> RemoteIdentity {
        let (key, peerID) = try configuration.verify(encodedKey: publicKey, signature: signature, message: Self.signaturePrefix + certificateKey)
        return RemoteIdentity(peerID: peerID, publicKey: key, muxer: nil)
    }

    // MARK: DER (X.690), as far as it is needed

    /// Where the content of the item at `offset` is, which must have this tag and its length in the shortest form; moves the offset behind it.
    private static func read(_ tag: UInt8, _ bytes: RawSpan, _ offset: inout Int) -> Range<Int>? {
        guard bytes.byteCount - offset >= 2, bytes.byte(at: offset) == tag else { return nil }
        let first = Int(bytes.byte(at: offset + 1))
        var (start, length) = (offset + 2, first)
        if first >= 0x80 {
            // 65,535 bytes are more than libssl lets a certificate have.
            let count = first - 0x80
            guard count == 1 || count == 2, bytes.byteCount - start >= count else { return nil }
            length = count == 1 ? Int(bytes.byte(at: start)) : Int(bytes.bigEndian16(at: start))
            guard length >= (count == 1 ? 0x80 : 0x100) else { return nil }
            start += count
        }
        guard bytes.byteCount - start >= length else { return nil }
        offset = start + length
        return start..<offset
    }

    private static func item(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        precondition(count < 0x10000, "a key and a signature are shorter than that")
        let length: [UInt8] =
            switch count {
            case ..<0x80: [UInt8(count)]
            case ..<0x100: [0x81, UInt8(count)]
            default: [0x82, UInt8(count >> 8), UInt8(count & 0xff)]
            }
        return [tag] + length + content
    }
}

/// A certificate that proves an identity, with what TLS needs beside it. One may serve all connections of a process: the specification allows it (section "Peer
/// Authentication"), and making one takes a millisecond and two signatures.
public final class TLSCertificate: Sendable {
    let context: TLSContext
    let identity: LocalIdentity

    /// A new certificate with a key of its own, and the signature of `identity` that says whose it is.
    public init(signedBy identity: LocalIdentity) throws(SecureChannelError) {
        do {
            let key = try TLSCertificateKey()
            context = try TLSContext(key, signedKey: try SignedKey(identity, certificateKey: key.subjectPublicKeyInfo).der)
        } catch {
            throw .library(error)
        }
        self.identity = identity
    }

    /// One of another make, for tests.
    init(_ context: TLSContext, identity: LocalIdentity) {
        self.context = context
        self.identity = identity
    }
}
