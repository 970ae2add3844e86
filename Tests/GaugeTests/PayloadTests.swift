import Bytes
import Gauge
import Testing

@Suite struct PayloadTests {
    private let payload = Payload(seed: 99)
    private let key = Payload.streamKey(seed: 99, connection: 2, stream: 7, direction: .up)

    private func matches(_ slice: Slice, key: UInt64, piece: UInt64, offset: Int) -> Bool {
        payload.matches(slice.bytes, streamKey: key, piece: piece, offset: offset)
    }

    private func bytes(_ payload: Payload, piece: UInt64) -> [UInt8] {
        payload.slice(streamKey: key, piece: piece, count: 5000).shared().bytes.array()
    }

    @Test func theSameSeedGivesTheSameBytes() {
        let again = Payload(seed: 99)
        let other = Payload(seed: 100)
        for piece: UInt64 in [0, 1, 1_000_000] {
            let expected = bytes(payload, piece: piece)
            #expect(expected.count == 5000)
            #expect(bytes(again, piece: piece) == expected)
            #expect(bytes(other, piece: piece) != expected)
        }
    }

    @Test func everyPartOfTheStreamsNameCounts() {
        let keys = [
            key, Payload.streamKey(seed: 98, connection: 2, stream: 7, direction: .up),
            Payload.streamKey(seed: 99, connection: 3, stream: 7, direction: .up),
            Payload.streamKey(seed: 99, connection: 2, stream: 9, direction: .up),
            Payload.streamKey(seed: 99, connection: 2, stream: 7, direction: .down),
            Payload.streamKey(seed: 99, connection: 7, stream: 2, direction: .up),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test func piecesBeginAtMultiplesOfEightAllOverTheTable() {
        var starts = Set<Int>()
        for piece: UInt64 in 0..<20_000 {
            let start = payload.slice(streamKey: key, piece: piece, count: Payload.pieceBytesMax).shared().range.lowerBound
            #expect(start % 8 == 0 && start >= 0 && start <= 65_528)
            starts.insert(start)
        }
        // 8,192 places, 20,000 throws: about 91 % of them are hit when the hash spreads evenly.
        #expect(starts.count > 7_000)
    }

    @Test func fragmentsMatchWhereTheyBelongAndNowhereElse() {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        let whole = payload.slice(streamKey: key, piece: 5, count: Payload.pieceBytesMax).shared()
        for _ in 0..<200 {
            let from = Int.random(in: 0..<65_000, using: &random)
            let fragment = whole.dropFirst(from).prefix(Int.random(in: 16...500, using: &random))
            #expect(matches(fragment, key: key, piece: 5, offset: from), "seed \(seed)")
            #expect(!matches(fragment, key: key, piece: 5, offset: from + 1), "seed \(seed)")
            #expect(!matches(fragment, key: key, piece: 6, offset: from), "seed \(seed)")
            #expect(!matches(fragment, key: key &+ 1, piece: 5, offset: from), "seed \(seed)")
            var changed = fragment.bytes.array()
            changed[Int.random(in: changed.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let slice = Slice(copying: changed)
            #expect(!matches(slice, key: key, piece: 5, offset: from), "seed \(seed)")
        }
    }

    @Test func fragmentsOutsideAPieceDoNotMatch() {
        let whole = payload.slice(streamKey: key, piece: 0, count: Payload.pieceBytesMax).shared()
        #expect(matches(whole, key: key, piece: 0, offset: 0))
        #expect(!matches(whole, key: key, piece: 0, offset: 1))
        #expect(!matches(whole, key: key, piece: 0, offset: -1))
        #expect(!matches(whole, key: key, piece: 0, offset: .max))
        let nothing = whole.prefix(0)
        #expect(matches(nothing, key: key, piece: 0, offset: 65_536))
    }

    @Test(arguments: [1, 64, 65_535, 65_536, 65_537, 1_000_000])
    func aMessageIsItsPieces(_ messageBytes: Int) {
        let shape = MessageShape(messageBytes: messageBytes)
        var offset = 0
        var pieces: [UInt64] = []
        while offset < messageBytes {
            #expect(shape.offsetInPiece(offset) == 0)
            pieces.append(shape.piece(message: 3, offset: offset))
            let count = shape.bytesLeftInPiece(offset)
            #expect(count > 0 && count <= Payload.pieceBytesMax)
            #expect(shape.bytesLeftInPiece(offset + count - 1) == 1)
            #expect(shape.piece(message: 3, offset: offset + count - 1) == pieces.last)
            offset += count
        }
        #expect(offset == messageBytes)
        #expect(pieces == (0..<shape.piecesPerMessage).map { 3 * shape.piecesPerMessage + $0 })
    }
}

@Suite struct SampleRuleTests {
    @Test func fullIsEveryMessage() {
        #expect((0..<100).allSatisfy { SampleRule.full.isSampled(message: $0, streamKey: 12345) })
    }

    /// However far a stream has come, but for one, and never long without one.
    @Test(arguments: [0, 1, 63, .max, 0x1234_5678, .random(in: .min ... .max)] as [UInt64], [64, 4096] as [UInt64])
    func sampledIsTheFirstAndAtLeastOneInSoMany(key: UInt64, interval: UInt64) {
        let rule = SampleRule.sampled(oneIn: interval)
        var (count, last): (UInt64, UInt64) = (0, 0)
        for message in 0..<100 * interval {
            guard rule.isSampled(message: message, streamKey: key) else {
                #expect((count + 1) * interval > message, "message \(message) with key \(key)")
                continue
            }
            #expect(message - last < 2 * interval, "none from \(last) to \(message) with key \(key)")
            (count, last) = (count + 1, message)
        }
        #expect((100...120).contains(count), "\(count) with key \(key)")
    }

    @Test func oneInOneIsAll() {
        #expect(SampleRule.sampled(oneIn: 1).rankMax == .max && SampleRule.full.rankMax == .max)
    }

    /// What a rule takes, one that takes more takes as well: also `full`.
    @Test(arguments: [0, 77, .random(in: .min ... .max)] as [UInt64]) func rulesAreNested(key: UInt64) {
        for message in 1..<100_000 as Range<UInt64> where SampleRule.sampled(oneIn: 1024).isSampled(message: message, streamKey: key) {
            #expect(SampleRule.standard.isSampled(message: message, streamKey: key), "message \(message) with key \(key)")
        }
    }

    @Test func parsing() throws {
        #expect(try SampleRule(parsing: "full") == .full)
        #expect(try SampleRule(parsing: "sampled") == .sampled(oneIn: 64))
        #expect(try SampleRule(parsing: "1/1024") == .sampled(oneIn: 1024))
        #expect(try SampleRule(parsing: "1/1") == .full)
        for text in ["none", "", "1/0", "1/63", "2/64", "1/-2"] {
            #expect(throws: UnitsError.notASampleRule(text)) { try SampleRule(parsing: text) }
        }
        for rule in [SampleRule.full, .standard, .sampled(oneIn: 4096)] { #expect(try SampleRule(parsing: rule.description) == rule) }
    }
}

@Suite struct PayloadChecksumTests {
    private func whole(_ bytes: [UInt8], at offset: UInt64 = 0) -> UInt64 {
        let slice = Slice(copying: bytes)
        return PayloadChecksum.partial(slice.bytes, atOffset: offset)
    }

    private func random(_ count: Int, _ random: inout Seeded) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    @Test func fragmentsInAnyOrderAddUp() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = Seeded(seed)
        for _ in 0..<200 {
            let message = random(Int.random(in: 0...300, using: &generator), &generator)
            var cuts = [0, message.count]
            for _ in 0..<Int.random(in: 0...9, using: &generator) { cuts.append(Int.random(in: 0...message.count, using: &generator)) }
            cuts.sort()
            var fragments = zip(cuts, cuts.dropFirst()).map { ($0, Array(message[$0..<$1])) }
            fragments.shuffle(using: &generator)
            let sum = fragments.reduce(UInt64(0)) { $0 &+ whole($1.1, at: UInt64($1.0)) }
            #expect(sum == whole(message), "seed \(seed)")
        }
    }

    @Test func everyFlippedBitIsSeen() {
        var generator = Seeded(5)
        var message = random(67, &generator)
        let sum = whole(message)
        for index in message.indices {
            for bit: UInt8 in 0..<8 {
                message[index] ^= 1 << bit
                #expect(whole(message) != sum, "byte \(index), bit \(bit)")
                message[index] ^= 1 << bit
            }
        }
    }

    @Test func exchangedWordsAreSeen() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = Seeded(seed)
        let original = random(64 * 1024, &generator)
        for _ in 0..<300 {
            var message = original
            // Words that differ in one bit only are the hardest case, and the top bit the hardest of them.
            let (left, right) = (Int.random(in: 0..<16_384, using: &generator) * 4, Int.random(in: 0..<16_384, using: &generator) * 4)
            guard left != right else { continue }
            for index in 0..<4 { message[right + index] = message[left + index] }
            let bit = Bool.random(using: &generator) ? 31 : Int.random(in: 0..<32, using: &generator)
            message[right + bit / 8] ^= 1 << UInt8(bit % 8)
            let before = whole(message)
            for index in 0..<4 { message.swapAt(left + index, right + index) }
            #expect(whole(message) != before, "seed \(seed)")
        }
    }

    @Test func offsetsCountBeyondFourGibibytes() {
        let bytes: [UInt8] = Array(1...20)
        #expect(whole(bytes, at: 1 << 33) != whole(bytes))
        #expect(whole(Array(bytes.prefix(7)), at: 1 << 33) &+ whole(Array(bytes.dropFirst(7)), at: 1 << 33 + 7) == whole(bytes, at: 1 << 33))
    }

    @Test func messagesExchangedAreSeen() {
        let (left, right) = (whole([1, 2, 3]), whole([4, 5, 6]))
        let inOrder = PayloadChecksum.folded(left, message: 0) &+ PayloadChecksum.folded(right, message: 64)
        let exchanged = PayloadChecksum.folded(right, message: 0) &+ PayloadChecksum.folded(left, message: 64)
        #expect(inOrder != exchanged)
    }
}
