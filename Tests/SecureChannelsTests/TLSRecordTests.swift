import Bytes
@testable import Ciphers
import Kernel
import Multiformats
@testable import SecureChannels
import Testing
import TestSupport

/// A far end that keeps to TLS's handshake, and then sends any record that it likes.
private final class RawPeer {
    let end: ChannelEnd
    private(set) var applicationProtocol: [UInt8]?
    private(set) var handshakeFailure: TLSHandshakeError?
    private var keys: Keys?

    private struct Keys: ~Copyable {
        var sending: TLSTrafficKey
        var receiving: TLSTrafficKey
    }

    /// - Parameter role: of the channel at the other end.
    init(channel role: SecureChannelRole, muxers: [ProtocolID] = [], protocols: [String] = ["libp2p"]) throws {
        end = ChannelEnd(try TLSChannel(.init(identity: People.bob, role: role, muxers: muxers), certificate: People.tlsCertificate(People.bob)))
        guard let certificate = People.tlsCertificate(People.mallory) else { preconditionFailure("no certificate") }
        let isClient = role == .responder
        let session = try TLSSession(certificate.context, isClient: isClient, protocols: protocols.map { Array($0.utf8) }) { _ in nil }
        try end.start()
        if isClient { try session.advance(RawSpan()) }
        end.receive(session.takeOutput())
        while session.result == nil && handshakeFailure == nil {
            let flight = end.take()
            guard !flight.isEmpty else { break }
            var offset = 0
            while offset < flight.count && session.result == nil && handshakeFailure == nil {
                let record = Array(flight[offset..<offset + 5 + Int(flight[offset + 3]) << 8 + Int(flight[offset + 4])])
                offset += record.count
                do { try session.advance(record.rawSpan) } catch { handshakeFailure = error }
            }
            end.receive(session.takeOutput())
        }
        guard let result = session.result else { return }
        applicationProtocol = result.applicationProtocol
        let (own, other) = isClient ? (result.clientSecret, result.serverSecret) : (result.serverSecret, result.clientSecret)
        keys = Keys(sending: try TLSTrafficKey(result.suite, secret: own), receiving: try TLSTrafficKey(result.suite, secret: other))
    }

    var failure: SecureChannelError? { end.failure }

    func record(_ content: [UInt8], _ type: TLSContentType) throws -> [UInt8] {
        guard let record = try keys?.sending.seal(content, type) else { preconditionFailure("no handshake") }
        return record
    }

    /// A record of these bytes, in which the type is the last that is not zero.
    func sealInner(_ inner: [UInt8]) throws -> [UInt8] {
        guard let record = try keys?.sending.seal(inner: inner) else { preconditionFailure("no handshake") }
        return record
    }

    func send(_ content: [UInt8], _ type: TLSContentType, cuts: [Int] = []) throws { end.receive(try record(content, type), cuts: cuts) }

    func renewSending() throws {
        if let next = try keys?.sending.next() { keys?.sending = next }
    }

    func renewReceiving() throws {
        if let next = try keys?.receiving.next() { keys?.receiving = next }
    }

    /// What the channel sent, as pairs of type and content.
    func received() throws -> [(UInt8, [UInt8])] {
        let wire = end.take()
        let slice = Slice(copying: wire)
        var (offset, records): (Int, [(UInt8, [UInt8])]) = (0, [])
        while offset < wire.count {
            let whole = offset..<offset + 5 + Int(wire[offset + 3]) << 8 + Int(wire[offset + 4])
            let inner = keys?.receiving.open(slice.block, whole) ?? 0..<0
            let content = try #require(TLSTrafficKey.content(of: slice.block, inner))
            records.append((content.type, slice.block.bytes(content.range).array()))
            if records.last?.0 == 22 { try renewReceiving() }
            offset = whole.upperBound
        }
        return records
    }
}

private let keyUpdate: [UInt8] = [24, 0, 0, 1, 0]
private let keyUpdateRequested: [UInt8] = [24, 0, 0, 1, 1]
/// Lifetime, age, nonce, ticket, no extensions.
private let ticket: [UInt8] = [4, 0, 0, 17, 0, 0, 1, 0, 0, 0, 0, 0, 1, 9, 0, 3, 1, 2, 3, 0, 0]

@Suite struct TLSRecordTests {
    private func bothRoles(_ body: (RawPeer) throws -> Void) throws {
        for role in [SecureChannelRole.initiator, .responder] {
            let peer = try RawPeer(channel: role)
            #expect(peer.end.channel.isEstablished)
            try body(peer)
        }
    }

    /// The alert that the channel sent last, if that was all.
    private func alertSent(_ peer: RawPeer) throws -> TLSAlert? {
        let records = try peer.received()
        return records.count == 1 && records[0].0 == 21 ? TLSAlert(rawValue: records[0].1[1]) : nil
    }

    private func expect(_ content: [UInt8], _ type: TLSContentType, _ failure: TLSFailure, _ alert: TLSAlert?) throws {
        try bothRoles { peer in
            try peer.send(content, type)
            #expect(peer.failure == .tls(failure), "\(content.prefix(10)) \(type)")
            #expect(try alertSent(peer) == alert)
            #expect(peer.end.channel.counters.sent.totalBytes == UInt64(peer.end.writtenCount))
        }
    }

    @Test func recordsOutOfPlace() throws {
        try expect([1], .changeCipherSpec, .unexpectedRecord(type: 20), .unexpectedMessage)
        try expect([], .handshake, .unexpectedRecord(type: 22), .unexpectedMessage)
        try expect([], .alert, .malformedAlert, .decodeError)
        try expect([2], .alert, .malformedAlert, .decodeError)
        try expect([2, 80, 0], .alert, .malformedAlert, .decodeError)
        try expect([2, 80], .alert, .alert(.internalError), nil)
        // Whatever level it claims.
        try expect([1, 51], .alert, .alert(.decryptError), nil)
        try expect([UInt8](repeating: 1, count: 16_385), .applicationData, .recordTooLarge(byteCount: 16_385, limitBytes: 16_384), .recordOverflow)
        for type: UInt8 in [1, 2, 8, 11, 13, 20, 25] { try expect([type, 0, 0, 0], .handshake, .unexpectedMessage(type: type), .unexpectedMessage) }
        try expect([24, 0, 0, 2], .handshake, .malformedMessage(type: 24), .decodeError)
        try expect([24, 0, 0, 0], .handshake, .malformedMessage(type: 24), .decodeError)
        try expect([24, 0, 0, 1, 2], .handshake, .malformedMessage(type: 24), .decodeError)
        try expect(keyUpdate + keyUpdate, .handshake, .unexpectedMessage(type: 24), .unexpectedMessage)
    }

    /// What is not encrypted has no place after the handshake, whatever it says.
    @Test func recordsInTheClear() throws {
        for bytes in [[21, 3, 3, 0, 2, 1, 0], [20, 3, 3, 0, 1, 1], [22, 3, 3, 0, 4, 4, 0, 0, 0], [0, 0, 0, 0, 0]] as [[UInt8]] {
            try bothRoles { peer in
                peer.end.receive(bytes)
                #expect(peer.failure == .tls(.unexpectedRecord(type: bytes[0])))
            }
        }
        try bothRoles { peer in
            peer.end.receive([23, 3, 3, 0x41, 1])
            #expect(peer.failure == .tls(.recordTooLarge(byteCount: 16_641, limitBytes: 16_640)))
        }
    }

    @Test func recordsThatAreTooShort() throws {
        for length in 0..<17 as Range<UInt8> {
            let peer = try RawPeer(channel: .responder)
            peer.end.receive([23, 3, 3, 0, length] + [UInt8](repeating: 0, count: Int(length)), cuts: length % 2 == 0 ? [] : [3])
            #expect(peer.failure == .recordTooShort(byteCount: Int(length)))
        }
    }

    /// Zeros behind a record's type hide its length; a record of nothing else has no type.
    @Test func padding() throws {
        try bothRoles { peer in
            let padded = [7, 8, 9, TLSContentType.applicationData.rawValue] + [UInt8](repeating: 0, count: 50)
            let record = try peer.sealInner(padded)
            peer.end.receive(record)
            #expect(peer.end.opened == [7, 8, 9] && peer.end.ledgerBalances)
            #expect(peer.end.channel.counters.received.recordOverheadBytes == UInt64(record.count - 3))
            peer.end.receive(try peer.sealInner([UInt8](repeating: 0, count: 9)))
            #expect(peer.failure == .tls(.recordWithoutType))
        }
    }

    @Test func tooManyIdleRecords() throws {
        try bothRoles { peer in
            for _ in 0..<3 {
                for _ in 0..<TLSRecords.idleRecordsMax { try peer.send([], .applicationData) }
                try peer.send([1], .applicationData)
            }
            #expect(peer.failure == nil && peer.end.opened == [1, 1, 1] && peer.end.ledgerBalances)
            for _ in 0..<TLSRecords.idleRecordsMax + 1 { try peer.send([], .applicationData) }
            #expect(peer.failure == .tls(.idleRecords(limit: TLSRecords.idleRecordsMax)))
        }
    }

    // MARK: Messages after the handshake

    /// A server may offer tickets, which a client passes over, wherever records cut them.
    @Test func tickets() throws {
        let peer = try RawPeer(channel: .initiator)
        let before = peer.end.channel.counters.received.handshakeBytes
        let wire = try peer.record(ticket + ticket, .handshake)
        peer.end.receive(wire, cuts: [9])
        for byte in ticket { try peer.send([byte], .handshake) }
        try peer.send([5], .applicationData)
        #expect(peer.failure == nil && peer.end.opened == [5] && peer.end.ledgerBalances)
        #expect(peer.end.channel.counters.received.handshakeBytes == before + UInt64(wire.count + ticket.count * 23))
        try peer.send(Array(ticket.prefix(6)), .handshake)
        try peer.send([5], .applicationData)
        #expect(peer.failure == .tls(.unexpectedRecord(type: 23)))

        let other = try RawPeer(channel: .responder)
        try other.send(ticket, .handshake)
        #expect(other.failure == .tls(.unexpectedMessage(type: 4)))
    }

    @Test func keysAreRenewed() throws {
        try bothRoles { peer in
            for number in 0..<5 as Range<UInt8> {
                try peer.send(number % 2 == 0 ? keyUpdate : keyUpdateRequested, .handshake)
                try peer.renewSending()
                try peer.send([number], .applicationData, cuts: [7])
                #expect(try peer.received().isEmpty)
                try peer.end.send([number])
                let records = try peer.received()
                #expect(records.map(\.1) == (number % 2 == 0 ? [[number]] : [keyUpdate, [number]]))
            }
            #expect(peer.end.opened == [0, 1, 2, 3, 4] && peer.end.ledgerBalances)
        }
    }

    /// Requests get one answer together, before the next data of this side.
    @Test func oneAnswerToManyRequests() throws {
        let peer = try RawPeer(channel: .responder)
        var wire: [UInt8] = []
        for _ in 0..<3 {
            wire += try peer.record(keyUpdateRequested, .handshake)
            try peer.renewSending()
        }
        peer.end.receive(wire)
        #expect(try peer.received().isEmpty)
        for number in 7...8 as ClosedRange<UInt8> {
            try peer.end.send([number])
            #expect(try peer.received().map(\.1) == (number == 7 ? [keyUpdate, [7]] : [[8]]))
        }
        try peer.send([1], .applicationData)
        #expect(peer.failure == nil && peer.end.opened == [1] && peer.end.ledgerBalances)
    }

    /// A far end that asks for new keys and never reads does not make this side hold answers, however often it asks.
    @Test func requestsHoldNothing() throws {
        let peer = try RawPeer(channel: .responder)
        func ask(_ count: Int) throws {
            for _ in 0..<count {
                try peer.send(keyUpdateRequested, .handshake)
                try peer.renewSending()
                try peer.send([1], .applicationData)
            }
        }
        func heldBytes() -> Int? {
            guard let allocated = ThreadHeap.allocatedBytes().value, let freed = ThreadHeap.deallocatedBytes().value else { return nil }
            return Int(truncatingIfNeeded: allocated &- freed)
        }
        try ask(100)
        let before = heldBytes()
        let count = 10_000
        try ask(count)
        #expect(try peer.received().isEmpty && peer.failure == nil && peer.end.ledgerBalances && peer.end.opened.count == 100 + count)
        // The test itself keeps the byte of each request.
        if let before { #expect(try #require(heldBytes()) - before < 4 * count) }
        try peer.end.send([2])
        #expect(try peer.received().map(\.1) == [keyUpdate, [2]])
    }

    /// A key that was used up is followed by the next, between two records; a record sealed with the old key is none of the new.
    @Test(arguments: SeededGenerator.seeds(10)) func keysAreUsedUp(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = try ChannelPair.established(.tls)
        for end in [pair.initiator, pair.responder] { (end.channel as? TLSChannel)?.setRecordsPerKeyMax(UInt64(random.int(1...4))) }
        var expected: [UInt8] = []
        for _ in 0..<20 {
            let message = random.bytes(random.int(1...40_000))
            expected += message
            try pair.initiator.send([message], blockBytes: random.oneIn(3) ? SecureChannelLimits.blockBytesMin + random.int(0...3000) : 100_000)
            try pair.responder.send(message)
            pair.settle(cuts: [random.int(0...40_000), random.int(0...1000)])
        }
        #expect(pair.initiator.opened == expected && pair.responder.opened == expected)
        #expect(pair.initiator.ledgerBalances && pair.responder.ledgerBalances && pair.initiator.failure == nil)
        #expect(pair.responder.channel.counters.received.handshakeBytes > 1000)
    }

    // MARK: Farewells

    @Test func farewells() throws {
        let pair = try ChannelPair.established(.tls)
        try pair.initiator.send([1, 2])
        pair.initiator.close()
        pair.initiator.close()
        pair.responder.receive(pair.initiator.take())
        #expect(pair.responder.opened == [1, 2] && (pair.responder.channel as? TLSChannel)?.hasHeardFarewell == true)
        pair.responder.receiveEnd()
        #expect(pair.responder.failure == nil)
        // The other direction goes on.
        try pair.responder.send([3])
        pair.initiator.receive(pair.responder.take())
        #expect(pair.initiator.opened == [3])
        pair.initiator.receiveEnd()
        #expect(pair.initiator.failure == .tls(.endedWithoutFarewell) && pair.initiator.failure?.origin == .remote)
        // After an error there is nothing to say.
        #expect(pair.initiator.channel.close().isEmpty)
    }

    @Test func nothingIsReadBehindTheFarewell() throws {
        try bothRoles { peer in
            let records = [try peer.record([1, 90], .alert), try peer.record([1, 0], .alert), try peer.record([4], .applicationData)]
            peer.end.receive(records.flatMap { $0 } + [0, 1, 2])
            peer.end.receive([3])
            peer.end.receiveEnd()
            #expect(peer.failure == nil && peer.end.opened.isEmpty && peer.end.ledgerBalances)
        }
    }

    @Test func noFarewellBeforeTheHandshake() throws {
        let channel = try TLSChannel(.init(identity: People.bob, role: .initiator))
        try channel.start()
        #expect(channel.close().isEmpty)
    }

    // MARK: Application protocols

    @Test func applicationProtocols() throws {
        let muxers: [ProtocolID] = ["/yamux/1.0.0", "/mplex/6.7.0"]
        for (offered, chosen) in [
            (["libp2p"], "libp2p"), (["/mplex/6.7.0", "/yamux/1.0.0", "libp2p"], "/mplex/6.7.0"), (["/other/1", "libp2p"], "libp2p"),
            (["h2", "/yamux/1.0.0"], "/yamux/1.0.0"),
        ] {
            let peer = try RawPeer(channel: .responder, muxers: muxers, protocols: offered)
            #expect(peer.applicationProtocol == Array(chosen.utf8) && peer.end.channel.isEstablished)
            #expect(peer.end.channel.remote?.muxer == muxers.first { $0.description == chosen })
        }
        // An end that does not know of ALPN.
        let silent = try RawPeer(channel: .responder, muxers: muxers, protocols: [])
        #expect(silent.end.channel.isEstablished && silent.end.channel.remote?.muxer == nil && silent.applicationProtocol == nil)
        // The server must not go on when nothing is supported (section "ALPN").
        let foreign = try RawPeer(channel: .responder, muxers: muxers, protocols: ["h2", "http/1.1"])
        #expect(foreign.handshakeFailure == .alert(.noApplicationProtocol))
        guard case .tls(.refused(_, .noApplicationProtocol)) = foreign.failure else {
            Issue.record("\(foreign.failure as Any)")
            return
        }
    }
}
