import Bytes
@testable import P2P
import Testing
import TestSupport

/// What waits to be read costs memory in proportion to its bytes, whatever the pieces were.
@Suite struct ReceiveQueueTests {
    private func take(_ queue: inout ReceiveQueue, _ byteCountMax: Int = .max) -> [UInt8]? { queue.take(byteCountMax).map { $0.bytes.array() } }

    private func append(_ queue: inout ReceiveQueue, _ block: Block, _ range: Range<Int>) -> Int {
        queue.append(block, range) { Slice($0, $1) }
    }

    @Test(arguments: SeededGenerator.seeds(30))
    func bytesComeOutAsTheyWentIn(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = ReceiveQueue()
        var expected: [UInt8] = []
        var taken: [UInt8] = []
        for _ in 0..<300 {
            let block = Block(copying: random.bytes(4096).rawSpan)
            var start = random.size(upTo: 64)
            for _ in 0..<1 + random.size(upTo: 3) {
                let end = Swift.min(4096, start + random.size(upTo: 1500))
                _ = append(&queue, block, start..<end)
                expected += block.bytes(start..<end).array()
                // Pieces that follow each other, and pieces with a header between.
                start = Swift.min(4096, end + (random.oneIn(2) ? 0 : 12))
            }
            while random.oneIn(2), let bytes = take(&queue, 1 + random.size(upTo: 3000)) { taken += bytes }
            #expect(queue.byteCount == expected.count - taken.count, "seed \(seed)")
        }
        while let bytes = take(&queue) { taken += bytes }
        #expect(taken == expected && queue.isEmpty && queue.byteCount == 0, "seed \(seed)")
    }

    /// A block is let go of with its last byte, and not when all is read.
    @Test func readBlocksAreLetGo() {
        var queue = ReceiveQueue()
        var blocks: [WeakBlock] = []
        for _ in 0..<100 {
            let block = Block(capacity: 4096)
            blocks.append(WeakBlock(block))
            _ = append(&queue, block, 0..<4096)
        }
        for index in 0..<99 {
            _ = queue.take(.max)
            #expect(blocks[index].block == nil && blocks[index + 1].block != nil, "after \(index + 1) reads")
        }
    }

    private final class WeakBlock {
        weak var block: Block?
        init(_ block: Block) { self.block = block }
    }

    /// One byte at a time, each in a block of its own.
    @Test func tinyPiecesPinNoBlocks() {
        var queue = ReceiveQueue()
        var blocks: [WeakBlock] = []
        var copied = 0
        for number in 0..<10_000 {
            let block = Block(copying: [UInt8(number & 255)].rawSpan)
            blocks.append(WeakBlock(block))
            copied += append(&queue, block, 0..<1)
        }
        #expect(blocks.count { $0.block != nil } == 1 && queue.sliceCount <= 4 && copied == 9_999)
        var taken: [UInt8] = []
        while let bytes = take(&queue) { taken += bytes }
        #expect(taken == (0..<10_000).map { UInt8($0 & 255) })
    }

    /// Frames of one read that follow each other are one slice, without a copy.
    @Test func neighboursAreOneSlice() {
        var queue = ReceiveQueue()
        let block = Block(capacity: 4096)
        for start in stride(from: 0, to: 4096, by: 16) { #expect(append(&queue, block, start..<start + 16) == 0) }
        #expect(queue.sliceCount == 1 && queue.byteCount == 4096)
        #expect(queue.removeAll() == 4096 && queue.isEmpty)
    }
}

@Suite struct FifoTests {
    @Test(arguments: SeededGenerator.seeds(20))
    func isAQueue(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var (fifo, model) = (Fifo<Int>(), [Int]())
        for number in 0..<3000 {
            switch random.size(upTo: 5) {
            case 0, 1:
                #expect(fifo.popFirst() == model.first, "seed \(seed)")
                if !model.isEmpty { model.removeFirst() }
            case 2:
                fifo.pushFirst(number)
                model.insert(number, at: 0)
            default:
                fifo.append(number)
                model.append(number)
            }
            #expect(fifo.count == model.count && fifo.first == model.first && fifo.last == model.last, "seed \(seed)")
        }
        #expect(fifo.takeAll() == model && fifo.isEmpty, "seed \(seed)")
    }
}
