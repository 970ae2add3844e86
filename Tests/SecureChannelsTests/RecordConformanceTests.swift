import Bytes
import SecureChannels
import Testing
import TestSupport

/// What every channel must do with data, and must not.
@Suite struct RecordConformanceTests {
    /// Random messages both ways, in blocks of random sizes, read in random pieces: all arrives, in order, and every byte is in one account at any time.
    @Test(arguments: ChannelKind.allCases, SeededGenerator.seeds(12)) func everythingArrives(kind: ChannelKind, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = try ChannelPair.established(kind)
        var (up, down): ([UInt8], [UInt8]) = ([], [])
        var (upWire, downWire): ([UInt8], [UInt8]) = ([], [])
        for _ in 0..<20 {
            let pieces = (0..<random.int(1...4)).map { _ in random.bytes(random.size(upTo: random.oneIn(12) ? 200_000 : 3000)) }
            let blockBytes = random.oneIn(3) ? random.int(SecureChannelLimits.blockBytesMin...5000) : 300_000
            let offset = random.oneIn(2) ? 0 : random.int(0...blockBytes - SecureChannelLimits.blockBytesMin)
            if random.oneIn(2) {
                try pair.initiator.send(pieces, blockBytes: blockBytes, offset: offset)
                up += pieces.joined()
            } else {
                try pair.responder.send(pieces, blockBytes: blockBytes, offset: offset)
                down += pieces.joined()
            }
            upWire += pair.initiator.take()
            downWire += pair.responder.take()
            deliver(&upWire, to: pair.responder, &random)
            deliver(&downWire, to: pair.initiator, &random)
            #expect(pair.initiator.ledgerBalances && pair.responder.ledgerBalances)
        }
        pair.responder.receive(upWire)
        pair.initiator.receive(downWire)
        #expect(pair.responder.opened == up && pair.initiator.opened == down)
        pair.initiator.close()
        pair.responder.close()
        pair.settle()
        for end in [pair.initiator, pair.responder] {
            end.receiveEnd()
            #expect(end.failure == nil && end.ledgerBalances && end.channel.counters.received.unfinishedBytes == 0)
        }
    }

    private func deliver(_ wire: inout [UInt8], to end: ChannelEnd, _ random: inout SeededGenerator) {
        let count = random.oneIn(2) ? wire.count : random.int(0...wire.count)
        end.receive(Array(wire.prefix(count)), cuts: (0..<random.int(0...5)).map { _ in random.size(upTo: count) })
        wire.removeFirst(count)
    }

    /// Records that are cut after every byte, several times, and byte by byte.
    @Test(arguments: ChannelKind.allCases) func splitAtEveryByte(kind: ChannelKind) throws {
        let pair = try ChannelPair.established(kind)
        let message = Array("some text that is sent again and again".utf8)
        var expected: [UInt8] = []
        // A record's frame is smaller than this.
        let count = message.count + 64
        for cut in 0...count {
            try pair.initiator.send(message)
            pair.responder.receive(pair.initiator.take(), cuts: [cut, cut + 1, cut + 7])
            expected += message
            #expect(pair.responder.opened == expected && pair.responder.ledgerBalances, "cut at \(cut)")
        }
        try pair.initiator.send(message)
        pair.responder.receive(pair.initiator.take(), cuts: Array(1...count))
        #expect(pair.responder.opened == expected + message)
    }

    /// A record that lies whole in what was read is not moved; slices that were kept do not change afterwards.
    @Test(arguments: ChannelKind.allCases) func keptSlices(kind: ChannelKind) throws {
        let pair = try ChannelPair.established(kind)
        var kept: [(Slice, [UInt8])] = []
        for number in 0..<20 as Range<UInt8> {
            let message = [UInt8](repeating: number, count: 5000 + Int(number) * 700)
            try pair.initiator.send(message)
            let wire = pair.initiator.take()
            let isWhole = number % 2 == 0
            pair.responder.receive(wire, cuts: isWhole ? [] : [wire.count / 2])
            if isWhole { #expect(!pair.responder.slices.isEmpty && pair.responder.slices.allSatisfy { $0.block === pair.responder.readBlock }) }
            for slice in pair.responder.slices { kept.append((slice, slice.bytes.array())) }
        }
        #expect(kept.reduce(0) { $0 + $1.1.count } >= 20 * 2500)
        for (slice, bytes) in kept { #expect(slice.bytes.array() == bytes) }
    }

    /// A read with the end of a cut record has the beginning of the next, and its slice is still held then: two blocks take turns.
    @Test(arguments: encrypted) func cutRecordsTakeTurnsWithTwoBlocks(kind: ChannelKind) throws {
        let pair = try ChannelPair.established(kind)
        let message = [UInt8](repeating: 3, count: 6000)
        var wire: [UInt8] = []
        func sendAndRead(leaving rest: Int) throws {
            try pair.initiator.send(message)
            wire += pair.initiator.take()
            pair.responder.receive(Array(wire.dropLast(rest)))
            wire = wire.suffix(rest)
        }
        try sendAndRead(leaving: 3000)
        weak var first: Block?
        weak var second: Block?
        for number in 0..<10 {
            try sendAndRead(leaving: 3000)
            let block = try #require(pair.responder.slices.first?.block)
            #expect(block !== pair.responder.readBlock)
            // Gone, and these would be nil.
            if number == 0 { first = block } else if number == 1 { second = block }
            if number > 0 { #expect(block === (number % 2 == 0 ? first : second)) }
        }
        #expect(first !== second && pair.responder.opened == [UInt8](repeating: 3, count: 60_000))
    }

    @Test(arguments: ChannelKind.allCases) func blocksThatAreTooSmall(kind: ChannelKind) throws {
        let pair = try ChannelPair.established(kind)
        var gather = Gather()
        let sealedNothing = try pair.initiator.channel.seal(&gather, into: Block(capacity: 100), at: 0)
        #expect(sealedNothing == 0)
        gather.endFrame(tag: 0, payload: Slice(copying: [UInt8](repeating: 1, count: 1000)))
        let block = Block(capacity: 100)
        let inFullBlock = try pair.initiator.channel.seal(&gather, into: block, at: 100)
        #expect(inFullBlock == 0)
        let count = try pair.initiator.channel.seal(&gather, into: block, at: 100 - SecureChannelLimits.blockBytesMin)
        let left = gather.byteCount
        #expect(count > 0 && count <= SecureChannelLimits.blockBytesMin && left < 1000)
        #expect(pair.initiator.channel.counters.sent.payloadBytes == UInt64(1000 - left))
    }

    // MARK: Channels that notice what happens on the way

    static let encrypted = ChannelKind.allCases.filter(\.isEncrypted)

    /// Records of `count` messages, each by itself.
    private func records(_ pair: ChannelPair, _ count: Int) throws -> [[UInt8]] {
        try (0..<count).map { number in
            try pair.initiator.send(Array("message number \(number)".utf8))
            return pair.initiator.take()
        }
    }

    @Test(arguments: encrypted) func everyBitChanged(kind: ChannelKind) throws {
        let count = try records(try ChannelPair.established(kind), 1)[0].count
        for offset in 0..<count {
            let pair = try ChannelPair.established(kind)
            var record = try records(pair, 1)[0]
            record[offset] ^= 1 << UInt8(offset % 8)
            pair.responder.receive(record, cuts: offset % 2 == 0 ? [] : [count / 2])
            // A length that became larger waits for more; the end then shows it.
            pair.responder.receiveEnd()
            #expect(pair.responder.failure?.origin == .remote && pair.responder.opened.isEmpty, "byte \(offset)")
        }
    }

    @Test(arguments: encrypted) func repeatedLeftOutReordered(kind: ChannelKind) throws {
        for order in [[0, 0], [1], [1, 0], [0, 2], [0, 1, 1]] {
            for isInOneRead in [true, false] {
                let pair = try ChannelPair.established(kind)
                let sent = try records(pair, 3)
                if isInOneRead {
                    pair.responder.receive(order.flatMap { sent[$0] })
                } else {
                    for index in order { pair.responder.receive(sent[index], cuts: [10]) }
                }
                #expect(pair.responder.failure?.origin == .remote, "\(order)")
                // What came before the trouble is authentic.
                let good = order.enumerated().prefix { $0.offset == $0.element }.map { "message number \($0.element)" }.joined()
                #expect(String(decoding: pair.responder.opened, as: UTF8.self) == good)
            }
        }
    }

    /// A record of one direction is not one of the other.
    @Test(arguments: encrypted) func reflected(kind: ChannelKind) throws {
        let pair = try ChannelPair.established(kind)
        pair.initiator.receive(try records(pair, 1)[0])
        #expect(pair.initiator.failure?.origin == .remote && pair.initiator.opened.isEmpty)
    }

    @Test(arguments: encrypted) func endsWithinARecord(kind: ChannelKind) throws {
        let count = try records(try ChannelPair.established(kind), 1)[0].count
        for cut in 0...count {
            let pair = try ChannelPair.established(kind)
            pair.responder.receive(Array(try records(pair, 1)[0].prefix(cut)))
            #expect(pair.responder.ledgerBalances)
            pair.responder.receiveEnd()
            if cut > 0 && cut < count { #expect(pair.responder.failure == .endedInRecord, "after \(cut) bytes") }
        }
    }

    @Test(arguments: encrypted, SeededGenerator.seeds(20)) func garbageForRecords(kind: ChannelKind, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pair = try ChannelPair.established(kind)
        pair.responder.receive(random.bytes(random.int(1...70_000)), cuts: [random.int(0...2000)])
        #expect(pair.responder.opened.isEmpty)
        #expect(pair.responder.failure.map { $0.origin == .remote } ?? true)
    }
}
