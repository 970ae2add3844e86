import Bytes
import Gauge
import Testing

@Suite struct ReceiptListTests {
    private func decoded(_ bytes: [UInt8], receiptsMax: Int = ReceiptList.receiptsMax) throws(ReceiptDecodingError) -> [Receipt] {
        let slice = Slice(copying: bytes)
        return try ReceiptList.decode(slice.bytes, receiptsMax: receiptsMax)
    }

    private func random(_ count: Int, seed: UInt64) -> [Receipt] {
        var random = Seeded(seed)
        return (0..<count).map { _ in
            Receipt(
                connection: UInt32.random(in: 0...(.max), using: &random), stream: UInt64.random(in: 0..<(1 << 63), using: &random),
                direction: Bool.random(using: &random) ? .up : .down, bytes: random.next(), messages: random.next(), checksum: random.next(),
                lastMessageChecksum: random.next())
        }
    }

    @Test func roundTrip() throws {
        let seed = UInt64.random(in: .min ... .max)
        for count in [0, 1, 2, 1000] {
            let receipts = random(count, seed: seed)
            #expect(try decoded(ReceiptList.encode(receipts)) == receipts, "seed \(seed)")
        }
    }

    @Test func everyTruncationIsAnError() {
        let bytes = ReceiptList.encode(random(3, seed: 7))
        for length in 0..<bytes.count {
            #expect(throws: ReceiptDecodingError.self) { try decoded(Array(bytes.prefix(length))) }
        }
    }

    @Test func brokenListsAreNamed() {
        let list = ReceiptList.encode([Receipt(connection: 1, stream: 2, direction: .up)])
        #expect(throws: ReceiptDecodingError.notAReceiptList) { try decoded(Array("GET / HTTP/1.1".utf8)) }
        #expect(throws: ReceiptDecodingError.notAReceiptList) { try decoded([]) }
        var broken = list
        broken[4] = 2
        #expect(throws: ReceiptDecodingError.unknownVersion(2)) { try decoded(broken) }
        broken = list
        broken[6] = 7
        #expect(throws: ReceiptDecodingError.unknownDirection(7, atByte: 6)) { try decoded(broken) }
        #expect(throws: ReceiptDecodingError.trailingBytes(1)) { try decoded(list + [0]) }
        #expect(throws: ReceiptDecodingError.tooManyReceipts(1, limit: 0)) { try decoded(list, receiptsMax: 0) }
        let manyAnnounced = Array("SGRL".utf8) + [1, 0xff, 0xff, 0x7f]
        #expect(throws: ReceiptDecodingError.truncated(atByte: 8)) { try decoded(manyAnnounced) }
        let connectionOf33Bits = Array("SGRL".utf8) + [1, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10] + Array(repeating: 0, count: 40)
        #expect(throws: ReceiptDecodingError.connectionOutOfRange(1 << 32, atByte: 7)) { try decoded(connectionOf33Bits) }
        let padded = Array("SGRL".utf8) + [1, 1, 0, 0x80, 0x00] + Array(repeating: 0, count: 40)
        #expect(throws: ReceiptDecodingError.malformedNumber(atByte: 7)) { try decoded(padded) }
    }

    @Test func noiseNeverTraps() {
        let seed = UInt64.random(in: .min ... .max)
        var noise = Seeded(seed)
        let valid = ReceiptList.encode(random(5, seed: seed))
        for round in 0..<5_000 {
            var bytes = valid
            switch round % 3 {
            case 0:
                for _ in 0..<Int.random(in: 1...8, using: &noise) {
                    bytes[Int.random(in: bytes.indices, using: &noise)] = UInt8.random(in: 0...255, using: &noise)
                }
            default:
                bytes = round % 3 == 1 ? Array(bytes.prefix(6)) : []
                for _ in 0..<Int.random(in: 0...120, using: &noise) { bytes.append(UInt8.random(in: 0...255, using: &noise)) }
            }
            // Whatever decodes must be the one encoding of what it decodes to.
            if let receipts = try? decoded(bytes) { #expect(ReceiptList.encode(receipts) == bytes, "seed \(seed)") }
        }
    }
}

@Suite struct ReceiptLedgerTests {
    private let receipt = Receipt(
        connection: 3, stream: 17, direction: .up, bytes: 655_360, messages: 10, checksum: 0xabc, lastMessageChecksum: 0xdef)

    private func sentence(sent: Receipt?, received: Receipt?) -> [String] {
        ReceiptLedger.compare(sent: sent.map { [$0] } ?? [], received: received.map { [$0] } ?? []).sentences
    }

    @Test func equalReceiptsAgreeInAnyOrder() {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        let receipts = (0..<200).map { (index: UInt64) -> Receipt in
            let direction: Direction = index & 1 == 0 ? .up : .down
            return Receipt(connection: UInt32(index & 7), stream: index, direction: direction, bytes: random.next())
        }
        let comparison = ReceiptLedger.compare(sent: receipts.shuffled(using: &random), received: receipts.shuffled(using: &random))
        #expect(comparison.agrees && comparison.sentences.isEmpty, "seed \(seed)")
    }

    @Test func missingBytesAreSaid() {
        var received = receipt
        received.bytes = 655_296
        received.messages = 9
        received.checksum = 0
        #expect(
            sentence(sent: receipt, received: received) == [
                "connection 3, stream 17, up: the client sent 655,360 bytes in 10 messages, the server received 655,296 bytes in 9 messages"
            ])
    }

    @Test func missingReceiptsAreSaid() {
        #expect(
            sentence(sent: receipt, received: nil)
                == ["connection 3, stream 17, up: the client sent 655,360 bytes in 10 messages, the server gave no receipt"])
        var down = receipt
        down.direction = .down
        down.bytes = 1
        down.messages = 1
        #expect(
            sentence(sent: nil, received: down)
                == ["connection 3, stream 17, down: the client received 1 byte in 1 message, the server gave no receipt"])
    }

    @Test func changedContentsAreSaid() {
        var received = receipt
        received.checksum = 0xabd
        #expect(
            sentence(sent: receipt, received: received) == [
                "connection 3, stream 17, up: 655,360 bytes in 10 messages went through, but their contents changed on the way "
                    + "(checksum 0000000000000abc sent, 0000000000000abd received)"
            ])
        received = receipt
        received.lastMessageChecksum = 0
        #expect(
            sentence(sent: receipt, received: received) == [
                "connection 3, stream 17, up: the contents of the last of 10 messages changed on the way "
                    + "(checksum 0000000000000def sent, 0000000000000000 received)"
            ])
    }

    @Test func aSecondReceiptIsSaid() {
        let comparison = ReceiptLedger.compare(sent: [receipt, receipt], received: [receipt])
        #expect(comparison.sentences == ["connection 3, stream 17, up: the client gave two receipts"])
        let other = ReceiptLedger.compare(sent: [receipt], received: [receipt, receipt, receipt])
        #expect(other.total == 2 && other.discrepancies.first == .duplicate(receipt, .server))
    }

    @Test func streamsWhoseBytesWereSwappedAreFoundBoth() {
        var other = receipt
        other.stream = 19
        other.checksum = 0x123
        var (left, right) = (receipt, other)
        swap(&left.checksum, &right.checksum)
        let comparison = ReceiptLedger.compare(sent: [receipt, other], received: [left, right])
        #expect(comparison.total == 2)
    }

    @Test func longListsAreCapped() {
        let sent = (0..<50).map { Receipt(connection: 0, stream: UInt64($0), direction: .up, bytes: 1) }
        let comparison = ReceiptLedger.compare(sent: sent, received: [])
        #expect(comparison.total == 50 && comparison.discrepancies.count == 20 && !comparison.agrees)
        #expect(comparison.sentences.last == "and 30 more streams whose receipts differ")
    }
}
