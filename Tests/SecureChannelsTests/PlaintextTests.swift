import Bytes
import Ciphers
import Multiformats
import SecureChannels
import Testing

@Suite struct PlaintextTests {
    private func failure(_ message: [UInt8]) throws -> SecureChannelError? {
        let end = ChannelEnd(PlaintextChannel(.init(identity: People.alice, role: .responder)))
        try end.start()
        var length: [UInt8] = []
        Varint.append(UInt64(message.count), to: &length)
        end.receive(length + message)
        #expect(end.channel.isEstablished == (end.failure == nil))
        return end.failure
    }

    private func exchange(_ id: [UInt8]?, _ key: [UInt8]?) -> [UInt8] {
        var writer = ProtobufWriter()
        if let id { writer.append(id, field: 1) }
        if let key { writer.append(key, field: 2) }
        writer.append("later", field: 7)
        return writer.bytes
    }

    @Test func exchanges() throws {
        let (id, key) = (People.bob.peerID.bytes, People.bob.publicKey.encoded)
        #expect(try failure(exchange(id, key)) == nil)
        #expect(try failure(exchange(nil, key)) == .missingField(.peerID))
        #expect(try failure(exchange(id, nil)) == .missingField(.identityKey))
        #expect(try failure([]) == .missingField(.peerID))
        #expect(
            try failure(exchange(People.mallory.peerID.bytes, key)) == .peerIDNotOfKey(claimed: People.mallory.peerID, actual: People.bob.peerID))
        #expect(try failure(exchange(id, [1])) != nil)
        #expect(try failure(exchange([1], key)) != nil)
        let rsa = try PublicKey(.rsa, data: [0x30, 0])
        #expect(try failure(exchange(PeerID(of: rsa).bytes, rsa.encoded)) == .keyRefused(.malformedKey(.rsa)))
    }

    @Test func lengthsThatAreNone() throws {
        for bytes in [[0x80, 0x00], [UInt8](repeating: 0xff, count: 10)] as [[UInt8]] {
            let end = ChannelEnd(PlaintextChannel(.init(identity: People.alice, role: .initiator)))
            try end.start()
            end.receive(bytes)
            #expect(end.failure == .malformedLength)
        }
    }
}
