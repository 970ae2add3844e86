import Bytes
@testable import Ciphers
import Foundation
import Kernel
import Multiformats
@testable import SecureChannels
import Testing

/// The certificates that libp2p's specification publishes.
private struct SpecificationVectors: Decodable {
    struct Certificate: Decodable {
        let name: String
        let peerID: String?
        let certificate: String
    }

    let specification: [Certificate]

    static func read() throws -> [Certificate] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try JSONDecoder().decode(Self.self, from: Data(contentsOf: folder.appending(path: "Vectors/tls-certificates.json"))).specification
    }
}

@Suite struct SignedKeyTests {
    private func remote(_ certificate: String) throws(SecureChannelError) -> RemoteIdentity {
        let digits = certificate.map { UInt8($0.hexDigitValue ?? 0) }
        let der = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        let parsed: TLSPeerCertificate
        do { parsed = try TLSPeerCertificate(der: der.rawSpan, time: 1_900_000_000) } catch { throw .tls(.certificate(error)) }
        let key = parsed.signedKey
        return try SignedKey(der: key.rawSpan).verified(
            certificateKey: parsed.subjectPublicKeyInfo, SecureChannelConfiguration(identity: People.alice, role: .initiator))
    }

    @Test func specification() throws {
        let vectors = try SpecificationVectors.read()
        #expect(vectors.map(\.peerID) == [
            "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv", "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE",
            "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs", nil,
        ])
        for vector in vectors.dropLast() {
            let remote = try remote(vector.certificate)
            #expect(remote.peerID.description == vector.peerID)
        }
        let claimed = try PeerID("QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE")
        let last = vectors[3].certificate
        #expect(throws: SecureChannelError.badSignature(claimed: claimed)) { try remote(last) }
    }

    @Test(arguments: [0, 1, 0x7f, 0x80, 0xff, 0x100, 1062]) func lengths(count: Int) throws {
        let key = [UInt8](repeating: 7, count: count)
        let der = SignedKey(publicKey: key, signature: [1]).der
        let read = try SignedKey(der: der.rawSpan)
        #expect(read.publicKey == key && read.signature == [1])
    }

    @Test func malformed() {
        let good: [UInt8] = [0x30, 6, 4, 1, 9, 4, 1, 8]
        let bad: [[UInt8]] = [
            [], [0x30], [0x30, 0], good + [0], Array(good.dropLast()), [0x31] + good.dropFirst(), [0x30, 6, 5, 1, 9, 4, 1, 8], [0x30, 3, 4, 1, 9],
            [0x30, 9, 4, 1, 9, 4, 1, 8, 4, 1, 8], [0x30, 0x81, 6] + good.dropFirst(2), [0x30, 0x80] + good.dropFirst(2) + [0, 0],
            [0x30, 0x82, 0, 6] + good.dropFirst(2), [0x30, 0x83, 0, 0, 6] + good.dropFirst(2), [0x30, 6, 4, 2, 9, 4, 1, 8], [0x30, 6, 4, 1, 9, 4, 0x81, 8],
        ]
        for der in bad {
            #expect(throws: SecureChannelError.tls(.malformedSignedKey), "\(der)") { try SignedKey(der: der.rawSpan) }
        }
    }
}

@Suite struct TLSHandshakeTests {
    /// Names and sizes of messages are what a waterfall of the handshake shows.
    @Test func messages() throws {
        let pair = try ChannelPair.established(.tls)
        let messages = pair.initiator.channel.handshakeMessages
        let fromServer = ["ServerHello", "EncryptedExtensions", "CertificateRequest", "Certificate", "CertificateVerify", "Finished"]
        #expect(messages.map(\.name) == ["ClientHello"] + fromServer + ["Certificate", "CertificateVerify", "Finished"])
        #expect(messages.map { $0.direction == .sent } == [true] + fromServer.map { _ in false } + [true, true, true])
        let received = messages.filter { $0.direction == .received }.reduce(0) { $0 + $1.byteCount }
        #expect(received == pair.initiator.readCount)
    }

    /// One certificate and one context serve any number of connections; one made for a connection serves as well.
    @Test func certificateOfOnesOwn() throws {
        let initiator = ChannelEnd(try TLSChannel(.init(identity: People.alice, role: .initiator)))
        let responder = ChannelEnd(try TLSChannel(.init(identity: People.bob, role: .responder)))
        try ChannelPair(initiator: initiator, responder: responder).settle()
        #expect(initiator.channel.isEstablished && responder.channel.remote?.peerID == People.alice.peerID)
    }

    private struct Bad {
        let name: String
        var content: TLSContext.Certificate
        let failure: SecureChannelError
        let alert: TLSAlert
    }

    private func badCertificates(_ key: TLSCertificateKey) throws -> [Bad] {
        let honest = try SignedKey(People.mallory, certificateKey: key.subjectPublicKeyInfo)
        let ofAnother = try SignedKey(People.mallory, certificateKey: try TLSCertificateKey().subjectPublicKeyInfo)
        let year = 365 * 86_400
        func bad(
            _ name: String, _ signedKey: [UInt8]? = nil, from: Int = 0, to: Int? = nil, oid: String? = nil, _ failure: SecureChannelError, _ alert: TLSAlert
        ) -> Bad {
            var content = TLSContext.Certificate(signedKey: signedKey ?? honest.der)
            content.validFrom = from
            content.validTo = to ?? year
            content.oid = oid ?? content.oid
            return Bad(name: name, content: content, failure: failure, alert: alert)
        }
        return [
            bad("expired", from: -year, to: -10, .tls(.certificate(.expired)), .certificateExpired),
            bad("not yet valid", from: 3600, .tls(.certificate(.notYetValid)), .certificateExpired),
            bad("no extension", oid: "1.3.6.1.4.1.53594.1.2", .tls(.certificate(.extensionMissing)), .badCertificate),
            bad("malformed extension", honest.der + [0], .tls(.malformedSignedKey), .badCertificate),
            bad("another certificate's", ofAnother.der, .badSignature(claimed: People.mallory.peerID), .badCertificate),
            bad(
                "another's identity", SignedKey(publicKey: People.bob.publicKey.encoded, signature: honest.signature).der,
                .badSignature(claimed: People.bob.peerID), .badCertificate),
            bad(
                "malformed key", SignedKey(publicKey: [8], signature: honest.signature).der, .malformedHandshake(.truncated(.protobuf)), .badCertificate),
        ]
    }

    /// Each fault of a certificate, from either end: the other notices, and says so.
    @Test(arguments: [SecureChannelRole.initiator, .responder]) func badCertificates(of role: SecureChannelRole) throws {
        let key = try TLSCertificateKey()
        for bad in try badCertificates(key) {
            let context = try TLSContext(key, bad.content, suites: TLSCipherSuite.preferred)
            let mallory = ChannelEnd(
                try TLSChannel(.init(identity: People.mallory, role: role), certificate: TLSCertificate(context, identity: People.mallory)))
            let honest = ChannelEnd(
                try TLSChannel(.init(identity: People.alice, role: role == .initiator ? .responder : .initiator)))
            let (initiator, responder) = role == .initiator ? (mallory, honest) : (honest, mallory)
            try ChannelPair(initiator: initiator, responder: responder).settle()
            #expect(honest.failure == bad.failure && !honest.channel.isEstablished && honest.channel.remote == nil, "\(bad.name)")
            #expect(mallory.failure == .tls(.alert(bad.alert)), "\(bad.name)")
            #expect(UInt64(honest.writtenCount) == honest.channel.counters.sent.totalBytes)
        }
    }

    @Test(arguments: TLSCipherSuite.allCases) func eachSuite(suite: TLSCipherSuite) throws {
        let key = try TLSCertificateKey()
        let content = TLSContext.Certificate(signedKey: try SignedKey(People.bob, certificateKey: key.subjectPublicKeyInfo).der, isCritical: true)
        let certificate = TLSCertificate(try TLSContext(key, content, suites: [suite]), identity: People.bob)
        let initiator = ChannelEnd(try TLSChannel(.init(identity: People.alice, role: .initiator)))
        let responder = ChannelEnd(try TLSChannel(.init(identity: People.bob, role: .responder), certificate: certificate))
        let pair = try ChannelPair(initiator: initiator, responder: responder)
        pair.settle()
        try initiator.send(Array("some words".utf8))
        try responder.send([UInt8](repeating: 3, count: 40_000))
        pair.settle()
        #expect(responder.opened == Array("some words".utf8) && initiator.opened.count == 40_000)
    }

    @Test func otherProtocols() throws {
        for text in ["GET / HTTP/1.1\r\n\r\n", "\u{13}/multistream/1.0.0\n"] {
            let end = ChannelEnd(try TLSChannel(.init(identity: People.bob, role: .responder)))
            try end.start()
            end.receive(Array(text.utf8))
            #expect(end.failure == .tls(.notTLS))
        }
    }

    /// A ClientHello of TLS 1.2 is answered with an alert that says why.
    @Test func olderVersion() throws {
        let end = ChannelEnd(try TLSChannel(.init(identity: People.bob, role: .responder)))
        try end.start()
        let body = [3, 3] + [UInt8](repeating: 5, count: 32) + [0, 0, 2, 0xc0, 0x2b, 1, 0]
        end.receive([22, 3, 1, 0, UInt8(body.count + 4), 1, 0, 0, UInt8(body.count)] + body)
        guard case .tls(.refused(_, .protocolVersion)) = end.failure else {
            Issue.record("\(end.failure as Any)")
            return
        }
        let alert = end.take()
        #expect(alert.count == 7 && alert.first == 21 && alert.suffix(2) == [2, 70], "\(alert)")
        #expect(end.channel.counters.sent.handshakeBytes == 7)
    }

    /// Nothing that libssl keeps outlives its connection.
    @Test(.enabled(if: ThreadHeap.allocatedBytes().value != nil, "the allocator does not count bytes: this needs jemalloc"))
    func nothingLeaks() throws {
        func run(_ count: Int) throws {
            for number in 0..<count {
                let pair = try ChannelPair(.tls, initiatorExpects: number % 3 == 0 ? People.mallory.peerID : People.bob.peerID)
                pair.settle()
                #expect(pair.isEstablished == (number % 3 != 0))
            }
        }
        func heldBytes() throws -> Int {
            let (allocated, freed) = (try #require(ThreadHeap.allocatedBytes().value), try #require(ThreadHeap.deallocatedBytes().value))
            return Int(truncatingIfNeeded: allocated &- freed)
        }
        try run(30)
        let before = try heldBytes()
        let count = 300
        try run(count)
        let grown = try heldBytes() - before
        #expect(grown < 16 * count, "\(grown) bytes more after \(count) handshakes")
    }
}
