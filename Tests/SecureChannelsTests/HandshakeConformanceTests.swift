import Bytes
import Multiformats
import SecureChannels
import Testing
import TestSupport

/// What every channel's handshake must do, and must not.
@Suite struct HandshakeConformanceTests {
    @Test(arguments: ChannelKind.allCases) func bothLearnWhoTheOtherIs(kind: ChannelKind) throws {
        let pair = try ChannelPair(kind, initiatorExpects: People.bob.peerID)
        #expect(pair.initiator.channel.remote == nil && !pair.initiator.channel.isEstablished)
        pair.settle()
        #expect(pair.isEstablished)
        #expect(pair.initiator.channel.remote == RemoteIdentity(peerID: People.bob.peerID, publicKey: People.bob.publicKey, muxer: nil))
        #expect(pair.responder.channel.remote == RemoteIdentity(peerID: People.alice.peerID, publicKey: People.alice.publicKey, muxer: nil))
        #expect(pair.initiator.ledgerBalances && pair.responder.ledgerBalances)
        #expect(pair.initiator.channel.isTransparent == !kind.isEncrypted)
        let sent = pair.initiator.channel.handshakeMessages.filter { $0.direction == .sent }
        let received = pair.responder.channel.handshakeMessages.filter { $0.direction == .received }
        #expect(sent.map(\.name) == received.map(\.name) && sent.map(\.byteCount) == received.map(\.byteCount))
        #expect(sent.reduce(0) { $0 + $1.byteCount } == Int(pair.initiator.channel.counters.sent.handshakeBytes))
    }

    @Test(arguments: ChannelKind.allCases, KeyType.allCases) func everyKindOfIdentity(kind: ChannelKind, type: KeyType) throws {
        let (alice, bob) = (People.person(type), People.person(.ed25519))
        for (initiator, responder) in [(alice, bob), (bob, alice)] {
            let pair = try ChannelPair(kind, alice: initiator, bob: responder, initiatorExpects: responder.peerID)
            pair.settle()
            #expect(pair.isEstablished, "\(pair.initiator.failure as Any) \(pair.responder.failure as Any)")
            #expect(pair.responder.channel.remote?.peerID == initiator.peerID)
        }
    }

    /// A read may end anywhere in a flight.
    @Test(arguments: ChannelKind.allCases) func splitAtEveryByte(kind: ChannelKind) throws {
        let longest = try ChannelPair.established(kind).initiator.readCount
        for cut in 1...longest + 1 {
            let pair = try ChannelPair(kind)
            pair.settle(cuts: [cut])
            #expect(pair.isEstablished && pair.initiator.ledgerBalances && pair.responder.ledgerBalances, "cut at \(cut)")
        }
        let pair = try ChannelPair(kind)
        pair.settle(cuts: Array(1...longest))
        #expect(pair.isEstablished, "byte by byte")
    }

    /// Who speaks last in the handshake may go on at once: what follows comes with it in one read, or is cut anywhere.
    @Test(arguments: ChannelKind.allCases) func dataBehindTheHandshake(kind: ChannelKind) throws {
        func run(cut: Int) throws -> Int {
            let pair = try ChannelPair(kind)
            let greeting = Array("first words".utf8)
            var flight = pair.initiator.take()
            while !pair.initiator.channel.isEstablished {
                pair.responder.receive(flight)
                pair.initiator.receive(pair.responder.take())
                flight = pair.initiator.take()
            }
            try pair.initiator.send(greeting)
            flight += pair.initiator.take()
            pair.responder.receive(flight, cuts: [cut])
            #expect(pair.responder.opened == greeting && pair.responder.ledgerBalances, "cut at \(cut)")
            return flight.count
        }
        let count = try run(cut: 0)
        for cut in 1..<count { _ = try run(cut: cut) }
    }

    @Test(arguments: ChannelKind.allCases) func somebodyElse(kind: ChannelKind) throws {
        let pair = try ChannelPair(kind, initiatorExpects: People.mallory.peerID)
        pair.settle()
        let mismatch = SecureChannelError.peerIDMismatch(expected: People.mallory.peerID, actual: People.bob.peerID)
        #expect(pair.initiator.failure == mismatch && mismatch.origin == .remote)
        #expect(!pair.initiator.channel.isEstablished && pair.initiator.channel.remote == nil)

        let other = try ChannelPair(kind, responderExpects: People.mallory.peerID)
        other.settle()
        #expect(other.responder.failure == .peerIDMismatch(expected: People.mallory.peerID, actual: People.alice.peerID))
        #expect(!other.responder.channel.isEstablished)
    }

    /// Whatever byte of the handshake is changed on the way, no end takes the other for whom it expects.
    @Test(arguments: ChannelKind.allCases) func everyByteChanged(kind: ChannelKind) throws {
        let sample = try ChannelPair.established(kind)
        for isUp in [true, false] {
            let count = isUp ? sample.initiator.writtenCount : sample.responder.writtenCount
            for offset in 0..<count {
                let pair = try ChannelPair(kind, initiatorExpects: People.bob.peerID, responderExpects: People.alice.peerID)
                var passed = 0
                // A signature may be shorter than the sample's, and so the handshake.
                var isFalsified = false
                for _ in 0..<4 {
                    var (up, down) = (pair.initiator.take(), pair.responder.take())
                    if isUp ? falsify(&up, offset - passed) : falsify(&down, offset - passed) { isFalsified = true }
                    passed += isUp ? up.count : down.count
                    pair.responder.receive(up)
                    pair.initiator.receive(down)
                }
                if kind.isEncrypted && isFalsified && !kind.meaninglessBytes.contains(offset) {
                    #expect(!pair.isEstablished, "byte \(offset) \(isUp ? "up" : "down")")
                }
                for end in [pair.initiator, pair.responder] {
                    #expect(end.failure.map { $0.origin == .remote } ?? true)
                    if let remote = end.channel.remote { #expect([People.alice.peerID, People.bob.peerID].contains(remote.peerID)) }
                }
            }
        }
    }

    private func falsify(_ bytes: inout [UInt8], _ offset: Int) -> Bool {
        guard bytes.indices.contains(offset) else { return false }
        bytes[offset] ^= 0x10
        return true
    }

    @Test(arguments: ChannelKind.allCases) func endsWithinTheHandshake(kind: ChannelKind) throws {
        let sample = try ChannelPair.established(kind)
        for count in 0..<sample.initiator.writtenCount {
            let pair = try ChannelPair(kind)
            var left = count
            var isCut = false
            while left > 0 && !isCut {
                let whole = pair.initiator.take()
                let flight = Array(whole.prefix(left))
                left -= flight.count
                isCut = flight.count < whole.count || whole.isEmpty
                pair.responder.receive(flight)
                pair.initiator.receive(pair.responder.take())
            }
            // Where a signature is shorter than the sample's, all of the handshake may have gone through.
            guard !pair.responder.channel.isEstablished else { continue }
            pair.responder.receiveEnd()
            #expect(pair.responder.failure == .endedInHandshake, "after \(count) bytes")
            expectFailed(pair.responder.channel, .endedInHandshake)
        }
        // Before the first byte, at either end.
        for role in [SecureChannelRole.initiator, .responder] {
            let end = ChannelEnd(try kind.make(.init(identity: People.alice, role: role)))
            try end.start()
            end.receiveEnd()
            #expect(end.failure == .endedInHandshake)
            expectFailed(end.channel, .endedInHandshake)
        }
    }

    /// What failed stays failed: every later call throws the same again, and nothing more is to be written.
    private func expectFailed(_ channel: any SecureChannel, _ failure: SecureChannelError) {
        let block = Block(capacity: 100)
        var opened: [Slice] = []
        #expect(throws: failure) { try channel.open(block, 0..<10, into: &opened) }
        #expect(throws: failure) { try channel.open(block, 0..<0, into: &opened) }
        #expect(throws: failure) { try channel.receiveEnd() }
        var gather = Gather()
        gather.endFrame(tag: 0, payload: Slice(copying: [1]))
        #expect(throws: failure) { try channel.seal(&gather, into: block, at: 0) }
        #expect(opened.isEmpty && channel.close().isEmpty && channel.takeOutput().isEmpty && !channel.isEstablished && channel.remote == nil)
    }

    @Test(arguments: ChannelKind.allCases) func longerThanTheLimit(kind: ChannelKind) throws {
        for role in [SecureChannelRole.initiator, .responder] {
            let end = ChannelEnd(try kind.make(.init(identity: People.alice, role: role)))
            try end.start()
            end.receive(kind.oversizedHandshake, cuts: [1])
            let failure = try #require(end.failure)
            guard case .handshakeTooLarge = failure else {
                Issue.record("\(failure)")
                continue
            }
            expectFailed(end.channel, failure)
        }
    }

    @Test(arguments: ChannelKind.allCases, SeededGenerator.seeds(60)) func garbage(kind: ChannelKind, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for role in [SecureChannelRole.initiator, .responder] {
            let end = ChannelEnd(try kind.make(.init(identity: People.alice, role: role)))
            try end.start()
            var bytes = random.bytes(random.int(1...3000))
            // A length that is allowed leads further in.
            if random.oneIn(2) { bytes = plausibleHeader(kind, &random) + bytes }
            end.receive(bytes, cuts: [random.int(0...bytes.count)])
            #expect(!end.channel.isEstablished && end.opened.isEmpty)
            #expect(end.failure.map { $0.origin == .remote } ?? true)
        }
    }

    private func plausibleHeader(_ kind: ChannelKind, _ random: inout SeededGenerator) -> [UInt8] {
        switch kind {
        case .plaintext: [UInt8(random.int(0...127))]
        case .noise: [0, UInt8(random.int(0...200))]
        case .tls: [UInt8(random.int(20...23)), 3, 3, UInt8(random.int(0...2)), UInt8(random.int(0...255))]
        }
    }

    /// The first of the initiator's that both have; nil when one end offers none; an error, or nil again, when both do and none is common.
    @Test(arguments: ChannelKind.allCases) func earlyMuxers(kind: ChannelKind) throws {
        let ids: [ProtocolID] = ["/yamux/1.0.0", "/mplex/6.7.0", "/other/1"]
        let lists: [[ProtocolID]] = [
            [], [ids[0]], [ids[1]], [ids[2]], [ids[0], ids[1]], [ids[1], ids[0]], [ids[2], ids[1]], ids, ids.reversed(),
        ]
        for initiator in lists {
            for responder in lists {
                let pair = try ChannelPair(kind, initiatorMuxers: initiator, responderMuxers: responder)
                pair.settle()
                let common = initiator.first(where: responder.contains)
                if kind.needsCommonMuxer && !initiator.isEmpty && !responder.isEmpty && common == nil {
                    #expect(!pair.isEstablished && pair.initiator.failure == .noCommonMuxer(remote: responder))
                } else {
                    let expected = kind.negotiatesMuxer ? common : nil
                    #expect(pair.isEstablished, "\(initiator) \(responder)")
                    #expect(pair.initiator.channel.remote?.muxer == expected && pair.responder.channel.remote?.muxer == expected)
                }
            }
        }
    }
}
