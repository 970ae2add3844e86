import Bytes
import Ciphers
import Multiformats

/// What libp2p puts into the second and third message of the handshake (libp2p specification "noise-libp2p", section "The libp2p Handshake
/// Payload"): the identity, the proof that it goes with the Noise key, and the multiplexers offered.
struct Payload {
    /// The encoded `PublicKey` message.
    let identityKey: [UInt8]
    let identitySignature: [UInt8]
    let muxers: [ProtocolID]

    /// What is signed: this, then the Noise key (section "Static Key Authentication").
    static let signaturePrefix = Array("noise-libp2p-static-key:".utf8)

    private enum Field {
        static let identityKey: UInt32 = 1
        static let identitySignature: UInt32 = 2
        static let extensions: UInt32 = 4
        /// Within `NoiseExtensions`; its field 1 is WebTransport's.
        static let streamMuxers: UInt32 = 2
    }

    init(identityKey: [UInt8], identitySignature: [UInt8], muxers: [ProtocolID]) {
        self.identityKey = identityKey
        self.identitySignature = identitySignature
        self.muxers = muxers
    }

    /// Decodes what the far end sent. Unknown fields are passed over.
    init(_ bytes: RawSpan) throws(SecureChannelError) {
        var key: [UInt8]?
        var signature: [UInt8]?
        var muxers: [ProtocolID] = []
        do {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field.number {
                case Field.identityKey: key = reader.array(try field.bytes())
                case Field.identitySignature: signature = reader.array(try field.bytes())
                // Of a message within the message, repetitions add up.
                case Field.extensions: try Self.readExtensions(reader.bytes(try field.bytes()), &muxers)
                default: break
                }
            }
        } catch {
            throw .malformedHandshake(error)
        }
        guard muxers.count <= SecureChannelLimits.muxersMax else { throw .tooManyMuxers(limit: SecureChannelLimits.muxersMax) }
        guard let key else { throw .missingField(.identityKey) }
        guard let signature else { throw .missingField(.identitySignature) }
        self.init(identityKey: key, identitySignature: signature, muxers: muxers)
    }

    private static func readExtensions(_ bytes: RawSpan, _ muxers: inout [ProtocolID]) throws(MultiformatError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard field.number == Field.streamMuxers else { continue }
            // What is no protocol ID cannot be one of ours.
            if let id = try? ProtocolID(bytes: reader.bytes(try field.bytes())) { muxers.append(id) }
        }
    }

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.append(identityKey, field: Field.identityKey)
        writer.append(identitySignature, field: Field.identitySignature)
        if !muxers.isEmpty {
            var extensions = ProtobufWriter()
            for muxer in muxers { extensions.append(muxer.utf8, field: Field.streamMuxers) }
            writer.append(extensions.bytes, field: Field.extensions)
        }
        return writer.bytes
    }

    /// Whose payload it is, when the signature goes with the Noise key that the same handshake proved the sender to have.
    func verified(noiseKey: [UInt8], _ configuration: SecureChannelConfiguration) throws(SecureChannelError) -> RemoteIdentity {
        let (publicKey, peerID) = try configuration.verify(
            encodedKey: identityKey, signature: identitySignature, message: Self.signaturePrefix + noiseKey)
        return RemoteIdentity(peerID: peerID, publicKey: publicKey, muxer: try EarlyMuxer.choose(configuration, remote: muxers))
    }
}

/// A Noise key with the proof that it belongs to an identity. One may serve all connections of a process: the specification allows it (section
/// "Static Key Authentication"), and it saves making a key and a signature for each. It must not be kept longer than the process lives.
public final class NoiseStaticKey: Sendable {
    let key: X25519Key
    let signature: [UInt8]
    let identity: LocalIdentity

    /// A new key, and the signature of `identity` that says whose it is.
    public init(signedBy identity: LocalIdentity) throws(SecureChannelError) {
        self.identity = identity
        do {
            key = try X25519Key()
            let message = Payload.signaturePrefix + key.publicKey
            signature = try identity.key.sign(message.rawSpan)
        } catch {
            throw .library(error)
        }
    }
}
