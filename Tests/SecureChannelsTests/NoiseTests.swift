import Bytes
import Ciphers
import Foundation
import Multiformats
@testable import SecureChannels
import Testing
import TestSupport

/// Handshakes that others published, in the form that cacophony and snow use.
struct NoiseVector: Decodable, CustomTestStringConvertible {
    struct Message: Decodable {
        let payload: String
        let ciphertext: String
    }

    let source: String
    let protocol_name: String
    let init_prologue: String
    let init_static: String
    let init_ephemeral: String
    let resp_prologue: String
    let resp_static: String
    let resp_ephemeral: String
    let handshake_hash: String?
    let messages: [Message]

    var testDescription: String { source }

    private struct File: Decodable {
        let vectors: [NoiseVector]
    }

    static func read() -> [NoiseVector] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        guard let data = try? Data(contentsOf: folder.appending(path: "Vectors/noise-xx.json")),
            let file = try? JSONDecoder().decode(File.self, from: data) else { return [] }
        return file.vectors
    }
}

private func hex(_ text: String) -> [UInt8] {
    let digits = text.map { UInt8($0.hexDigitValue ?? 0) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

private func key(_ text: String) throws -> X25519Key {
    let bytes = hex(text)
    return try X25519Key(privateKey: bytes.rawSpan)
}

@Suite struct NoiseVectorTests {
    @Test func vectorsAreThere() { #expect(NoiseVector.read().map(\.source) == ["cacophony", "snow"]) }

    @Test(arguments: NoiseVector.read()) func vector(_ vector: NoiseVector) throws {
        #expect(vector.protocol_name == HandshakeState.protocolName)
        let initiator = try HandshakeState(
            .initiator, staticKey: key(vector.init_static), ephemeralKey: key(vector.init_ephemeral), prologue: hex(vector.init_prologue))
        let responder = try HandshakeState(
            .responder, staticKey: key(vector.resp_static), ephemeralKey: key(vector.resp_ephemeral), prologue: hex(vector.resp_prologue))
        var (writer, reader) = (initiator, responder)
        for message in vector.messages.prefix(3) {
            let payload = hex(message.payload)
            let written = try writer.writeMessage(payload: payload.rawSpan)
            #expect(written == hex(message.ciphertext))
            #expect(try reader.readMessage(written.rawSpan) == payload)
            (writer, reader) = (reader, writer)
        }
        #expect(initiator.isFinished && responder.isFinished && initiator.hash == responder.hash)
        if let hash = vector.handshake_hash { #expect(initiator.hash == hex(hash)) }
        try checkTransport(vector, initiator, responder)
    }

    /// Messages go on in turns: the responder's is next.
    private func checkTransport(_ vector: NoiseVector, _ initiator: HandshakeState, _ responder: HandshakeState) throws {
        let (up, down) = try initiator.split()
        let (upOther, downOther) = try responder.split()
        #expect(up.bytes.array() == upOther.bytes.array() && down.bytes.array() == downOther.bytes.array())
        var fromInitiator = try CipherState(key: up)
        var fromResponder = try CipherState(key: down)
        for (number, message) in vector.messages.dropFirst(3).enumerated() {
            let payload = hex(message.payload)
            let sealed =
                number % 2 == 0
                ? try fromResponder.encrypt(payload.rawSpan, associated: RawSpan())
                : try fromInitiator.encrypt(payload.rawSpan, associated: RawSpan())
            #expect(sealed == hex(message.ciphertext))
        }
    }
}

@Suite struct NoiseTests {
    /// A far end that keeps to Noise and not to libp2p.
    private final class Impostor {
        let handshake: HandshakeState
        let end: ChannelEnd

        /// A responder of its own making, opposite an honest initiator.
        init(_ configuration: SecureChannelConfiguration = .init(identity: People.alice, role: .initiator), staticKey: X25519Key) throws {
            handshake = try HandshakeState(.responder, staticKey: staticKey)
            end = ChannelEnd(try NoiseChannel(configuration))
            try end.start()
            let first = end.take()
            _ = try handshake.readMessage(first.rawSpan.extracting(2..<first.count))
        }

        func answer(_ payload: [UInt8]) throws {
            let message = try handshake.writeMessage(payload: payload.rawSpan)
            end.receive([UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message)
        }
    }

    private func payload(_ static_: X25519Key, _ identity: LocalIdentity = People.bob, muxers: [ProtocolID] = []) throws -> Payload {
        let message = Payload.signaturePrefix + static_.publicKey
        return Payload(
            identityKey: identity.publicKey.encoded, identitySignature: try identity.key.sign(message.rawSpan), muxers: muxers)
    }

    private func failure(_ makePayload: (X25519Key) throws -> [UInt8]) throws -> SecureChannelError? {
        let staticKey = try X25519Key()
        let impostor = try Impostor(staticKey: staticKey)
        try impostor.answer(makePayload(staticKey))
        #expect(impostor.end.channel.isEstablished == (impostor.end.failure == nil))
        return impostor.end.failure
    }

    @Test func payloads() throws {
        #expect(try failure { try self.payload($0).encoded } == nil)
        // Somebody else's key, and a proof that was made for another Noise key.
        #expect(
            try failure { Payload(identityKey: People.bob.publicKey.encoded, identitySignature: try self.payload($0, People.mallory).identitySignature, muxers: []).encoded }
                == .badSignature(claimed: People.bob.peerID))
        let other = try X25519Key()
        #expect(try failure { _ in try self.payload(other).encoded } == .badSignature(claimed: People.bob.peerID))
        #expect(try failure { _ in [] } == .missingField(.identityKey))
        #expect(
            try failure { _ in
                var writer = ProtobufWriter()
                writer.append(People.bob.publicKey.encoded, field: 1)
                return writer.bytes
            } == .missingField(.identitySignature))
        #expect(try failure { _ in [0xff] } == .malformedHandshake(.truncated(.protobuf)))
        #expect(
            try failure { Payload(identityKey: [8, 1], identitySignature: try self.payload($0).identitySignature, muxers: []).encoded }
                == .malformedHandshake(.missingField(.publicKey, number: 2)))
        // An RSA key that is none.
        let rsa = try PublicKey(.rsa, data: [0x30, 0])
        #expect(
            try failure { Payload(identityKey: rsa.encoded, identitySignature: try self.payload($0).identitySignature, muxers: []).encoded }
                == .keyRefused(.malformedKey(.rsa)))
    }

    /// Fields of later versions are passed over; an extension may come in parts.
    @Test func extensionsAndUnknownFields() throws {
        let staticKey = try X25519Key()
        let configuration = SecureChannelConfiguration(identity: People.alice, role: .initiator, muxers: ["/b", "/a"])
        let impostor = try Impostor(configuration, staticKey: staticKey)
        var extensions = ProtobufWriter()
        extensions.append([1, 2, 3], field: 1)
        extensions.append("no protocol ID", field: 2)
        extensions.append("/a", field: 2)
        extensions.appendVarint(7, field: 1025)
        var more = ProtobufWriter()
        more.append("/b", field: 2)
        var writer = ProtobufWriter()
        writer.appendVarint(7, field: 3)
        writer.append(extensions.bytes, field: 4)
        writer.append("later", field: 9)
        writer.append(more.bytes, field: 4)
        try impostor.answer(try payload(staticKey).encoded + writer.bytes)
        #expect(impostor.end.failure == nil && impostor.end.channel.remote?.muxer == "/b")
    }

    @Test func tooManyMuxers() throws {
        let many = (0...SecureChannelLimits.muxersMax).map { ProtocolID(stringLiteral: "/muxer/\($0)") }
        #expect(try failure { try self.payload($0, muxers: many).encoded } == .tooManyMuxers(limit: SecureChannelLimits.muxersMax))
        #expect(try failure { try self.payload($0, muxers: Array(many.dropLast())).encoded } == nil)
    }

    /// Ephemeral keys of small order, with which anybody would know the secret.
    @Test func weakEphemeralKey() throws {
        let end = ChannelEnd(try NoiseChannel(.init(identity: People.bob, role: .responder)))
        try end.start()
        end.receive([0, 32] + [UInt8](repeating: 0, count: 32))
        #expect(end.failure == .keyRefused(.weakPublicKey))
    }

    @Test func messagesThatAreTooShort() throws {
        for (bytes, count) in [([0, 0], 0), ([0, 1, 9], 1), ([0, 31] + [UInt8](repeating: 9, count: 31), 31)] {
            let end = ChannelEnd(try NoiseChannel(.init(identity: People.bob, role: .responder)))
            try end.start()
            end.receive(bytes)
            #expect(end.failure == .handshakeTooShort(message: "e", byteCount: count))
        }
        let pair = try ChannelPair(.noise)
        _ = pair.responder
        pair.initiator.receive([0, 90] + [UInt8](repeating: 9, count: 90))
        #expect(pair.initiator.failure == .handshakeNotAuthentic(message: "e, ee, s, es"))
        let other = try ChannelPair(.noise)
        other.initiator.receive([0, 50] + [UInt8](repeating: 9, count: 50))
        #expect(other.initiator.failure == .handshakeTooShort(message: "e, ee, s, es", byteCount: 50))
    }

    @Test func recordsThatAreTooShort() throws {
        for length in 0..<16 {
            for cuts in [[], [1], [2]] {
                let pair = try ChannelPair.established(.noise)
                pair.responder.receive([0, UInt8(length)] + [UInt8](repeating: 0, count: length), cuts: cuts)
                #expect(pair.responder.failure == .recordTooShort(byteCount: length))
            }
        }
    }

    /// The largest record has 65,535 bytes behind its header; what is longer goes into the next.
    @Test func largestRecords() throws {
        let pair = try ChannelPair.established(.noise)
        let message = [UInt8](repeating: 7, count: 65_519 + 1)
        try pair.initiator.send(message)
        let wire = pair.initiator.take()
        #expect(wire.count == 2 + 65_535 + 2 + 17 && wire[0] == 0xff && wire[1] == 0xff)
        pair.responder.receive(wire, cuts: [65_000])
        #expect(pair.responder.opened == message && pair.responder.channel.counters.received.records == 2)
    }

    /// Names and sizes of messages are what a waterfall of the handshake shows.
    @Test func handshakeMessages() throws {
        let pair = try ChannelPair.established(.noise)
        #expect(pair.initiator.channel.handshakeMessages.map(\.name) == ["e", "e, ee, s, es", "s, se"])
        #expect(pair.initiator.channel.handshakeMessages.map(\.direction) == [.sent, .received, .sent])
        // 2 of length and 32 of key; then 2, 32, 32 + 16, 16 and the payload: two fields with their tags and lengths.
        #expect(pair.initiator.channel.handshakeMessages.map(\.byteCount) == [34, 202, 170])
    }

    @Test func lastNonce() throws {
        let pair = try ChannelPair.established(.noise)
        for end in [pair.initiator, pair.responder] { (end.channel as? NoiseChannel)?.setNonces(.max - 1) }
        try pair.initiator.send([1, 2, 3])
        pair.responder.receive(pair.initiator.take())
        #expect(pair.responder.opened == [1, 2, 3])
        #expect(throws: SecureChannelError.nonceExhausted) { try pair.initiator.send([4]) }
        #expect(SecureChannelError.nonceExhausted.origin == .local)
        pair.responder.receive([0, 17] + [UInt8](repeating: 0, count: 17))
        #expect(pair.responder.failure == .nonceExhausted)
    }

    /// A record without content is allowed; it opens to nothing.
    @Test func emptyRecords() throws {
        let staticKey = try X25519Key()
        let impostor = try Impostor(staticKey: staticKey)
        try impostor.answer(try payload(staticKey).encoded)
        let last = impostor.end.take()
        _ = try impostor.handshake.readMessage(last.rawSpan.extracting(2..<last.count))
        var sending = try CipherState(key: try impostor.handshake.split().1)
        var wire: [UInt8] = []
        for text in ["", "a", "", ""] {
            let plaintext = Array(text.utf8)
            let sealed = try sending.encrypt(plaintext.rawSpan, associated: RawSpan())
            wire += [0, UInt8(sealed.count)] + sealed
        }
        impostor.end.receive(wire, cuts: Array(1..<wire.count - 30))
        #expect(impostor.end.opened == [UInt8(ascii: "a")] && impostor.end.slices.isEmpty && impostor.end.ledgerBalances)
        #expect(impostor.end.channel.counters.received.records == 4)
    }
}
