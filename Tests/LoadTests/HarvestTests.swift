import Gauge
@testable import Load
import Testing

@Suite struct HarvestTests {
    @Test func problemsAreBoundedAndCounted() {
        var harvest = Harvest()
        #expect(harvest.problemSentences == [])
        for number in 0..<Harvest.problemsMax { harvest.note("problem \(number)") }
        #expect(harvest.problemSentences.count == Harvest.problemsMax)
        for number in 0..<1000 { harvest.note("more \(number)") }
        #expect(harvest.problemSentences.count == Harvest.problemsMax + 1)
        #expect(harvest.problemSentences.last?.contains("1000") == true)
    }

    @Test func longestSilenceIsOfTheWindow() {
        var harvest = Harvest()
        harvest.noteSilence(500)
        harvest.beginWindow()
        harvest.noteSilence(20)
        harvest.noteSilence(7)
        #expect(harvest.longestSilence == 20)
    }

    private func receipt(_ bytes: UInt64, checksum: UInt64, _ direction: Direction = .up) -> Receipt {
        Receipt(connection: 9, stream: 9, direction: direction, bytes: bytes, messages: 1, checksum: checksum)
    }

    private func pool(_ receipts: [(Receipt, UInt64)]) -> [Receipt] {
        var pool = PooledReceipts()
        for (receipt, key) in receipts { pool.add(receipt, key) }
        return pool.receipts(connection: 3)
    }

    @Test func poolsAddUp() {
        let list = pool([(receipt(10, checksum: 5), 77), (receipt(20, checksum: 6), 78), (receipt(3, checksum: 7, .down), 79)])
        #expect(list.map(\.direction) == [.up, .down] && list.map(\.connection) == [3, 3])
        #expect(list.map(\.bytes) == [30, 3] && list.map(\.messages) == [2, 1])
    }

    /// Both ends add in their own order.
    @Test func orderDoesNotMatter() {
        let streams = (0..<50).map { (number: UInt64) -> (Receipt, UInt64) in (receipt(number, checksum: number * 31), number * 0x9e37_79b9) }
        #expect(pool(streams) == pool(streams.reversed()))
    }

    /// A connection that is made again may be accepted by another loop, which keeps a pool of its own.
    @Test func poolsOfSeveralLoopsAreOne() {
        let streams = (0..<20).map { (number: UInt64) -> (Receipt, UInt64) in
            (receipt(number, checksum: number * 31, number % 3 == 0 ? .down : .up), number * 77)
        }
        let parts = pool(Array(streams[..<7])) + pool(Array(streams[7...]))
        #expect(PooledReceipts.merged(parts.shuffled()) == pool(streams))
        #expect(PooledReceipts.merged([]) == [])
    }

    /// What one stream lost and another gained does not cancel, and neither do two streams' contents exchanged.
    @Test func exchangesAreSeen() {
        let honest = pool([(receipt(10, checksum: 5), 77), (receipt(20, checksum: 6), 91)])
        #expect(pool([(receipt(10, checksum: 6), 77), (receipt(20, checksum: 5), 91)]) != honest, "checksums exchanged")
        #expect(pool([(receipt(20, checksum: 5), 77), (receipt(10, checksum: 6), 91)]) != honest, "bytes exchanged")
        #expect(pool([(receipt(11, checksum: 5), 77), (receipt(19, checksum: 6), 91)]) != honest, "a byte moved")
        #expect(pool([(receipt(10, checksum: 5), 77)]) != honest, "a stream lost")
    }
}
