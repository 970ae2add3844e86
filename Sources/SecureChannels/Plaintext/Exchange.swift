import Bytes
import Multiformats

/// The one message of the plaintext handshake (libp2p specification "Plaintext Secure Channel", section "Messages"): who the sender claims to be.
struct Exchange {
    let peerID: PeerID
    let publicKey: PublicKey

    init(_ identity: LocalIdentity) {
        peerID = identity.peerID
        publicKey = identity.publicKey
    }

    init(_ bytes: RawSpan) throws(SecureChannelError) {
        var id: [UInt8]?
        var key: [UInt8]?
        do {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field.number {
                case 1: id = reader.array(try field.bytes())
                case 2: key = reader.array(try field.bytes())
                default: break
                }
            }
            guard let id else { throw SecureChannelError.missingField(.peerID) }
            guard let key else { throw SecureChannelError.missingField(.identityKey) }
            peerID = try PeerID(bytes: id.rawSpan)
            publicKey = try PublicKey(encoded: key.rawSpan)
        } catch let error as MultiformatError {
            throw .malformedHandshake(error)
        } catch let error as SecureChannelError {
            throw error
        } catch {
            preconditionFailure("\(error) is of neither kind")
        }
    }

    /// With the length before it, as it goes over the wire.
    var framed: [UInt8] {
        var writer = ProtobufWriter()
        writer.append(peerID.bytes, field: 1)
        writer.append(publicKey.encoded, field: 2)
        var framed: [UInt8] = []
        Varint.append(UInt64(writer.bytes.count), to: &framed)
        return framed + writer.bytes
    }
}
