import Bytes
import Testing

@Suite struct BlockTests {
    @Test func aBlockHoldsWhatWasCopiedIntoIt() {
        let block = Block(capacity: 10)
        block.copy(([1, 2, 3] as [UInt8]).rawSpan, at: 4)
        block.setByte(9, at: 9)
        let middle = block.bytes(4..<7).array()
        let last = block.bytes(9..<10).array()
        #expect(middle == [1, 2, 3])
        #expect(last == [9])
        #expect(block.bytes(10..<10).byteCount == 0)
    }

    @Test func anEmptyBlockIsAllowed() {
        let block = Block(capacity: 0)
        #expect(block.bytes(0..<0).byteCount == 0)
        let nothing: [UInt8] = []
        block.copy(nothing.rawSpan, at: 0)
        #expect(block.moveToFront(0..<0) == 0)
    }

    @Test func copyingBytesMakesARightSizedBlock() {
        let block = Block(copying: ([5, 6, 7] as [UInt8]).rawSpan)
        #expect(block.capacity == 3)
        let bytes = block.bytes(0..<3).array()
        #expect(bytes == [5, 6, 7])
    }

    @Test func movingToTheFrontToleratesOverlap() {
        let block = Block(copying: ([0, 1, 2, 3, 4, 5, 6, 7] as [UInt8]).rawSpan)
        #expect(block.moveToFront(2..<8) == 6)
        let moved = block.bytes(0..<6).array()
        #expect(moved == [2, 3, 4, 5, 6, 7])
    }

    @Test func aRangeOutsideTheBlockTraps() async {
        await #expect(processExitsWith: .failure) { _ = Block(capacity: 8).bytes(4..<9).byteCount }
        await #expect(processExitsWith: .failure) { Block(capacity: 8).copy(([1, 2] as [UInt8]).rawSpan, at: 7) }
        await #expect(processExitsWith: .failure) { Block(capacity: 8).setByte(1, at: 8) }
        await #expect(processExitsWith: .failure) { _ = Slice(Block(capacity: 8), 0..<9) }
        await #expect(processExitsWith: .failure) { _ = Slice(Block(capacity: 8), 0..<4).prefix(5) }
    }

    @Test func aSliceKeepsItsBlockAndCutsWithoutCopying() {
        let slice = Slice(Block(copying: ([0, 1, 2, 3, 4, 5] as [UInt8]).rawSpan), 1..<6)
        #expect(slice.count == 5)
        #expect(slice.range == 1..<6)
        let head = slice.prefix(2), tail = slice.dropFirst(2)
        #expect(head.block === slice.block && tail.block === slice.block)
        let (headBytes, tailBytes) = (head.bytes.array(), tail.bytes.array())
        #expect(headBytes == [1, 2])
        #expect(tailBytes == [3, 4, 5])
        #expect(slice.dropFirst(5).isEmpty && slice.prefix(0).isEmpty)
    }
}

@Suite struct BlockPoolTests {
    @Test func aPoolRefusesMoreThanItsLimitAndRecovers() {
        let pool = BlockPool(blockByteCount: 4096, blocksMax: 3)
        var held = [pool.take(), pool.take(), pool.take()]
        let allTaken = held.allSatisfy { $0 != nil }
        #expect(allTaken)
        #expect(pool.take() == nil)
        #expect(pool.outstanding == 3)
        held.removeLast()
        #expect(pool.outstanding == 2)
        #expect(pool.take() != nil)
    }

    @Test func steadyStateAllocatesNothing() {
        let pool = BlockPool(blockByteCount: 4096, blocksMax: 8)
        for _ in 0..<1000 {
            let held = [pool.take(), pool.take()]
            #expect(held.count == 2)
        }
        #expect(pool.allocations == 2)
        #expect(pool.outstanding == 0)
    }

    @Test func theLastSliceReturnsTheBlock() {
        let pool = BlockPool(blockByteCount: 4096, blocksMax: 2)
        var slices: [Slice] = []
        if let block = pool.take() {
            slices.append(Slice(block, 0..<16))
            slices.append(Slice(block, 16..<32))
        }
        #expect(pool.outstanding == 1)
        slices.removeLast()
        #expect(pool.outstanding == 1)
        slices.removeLast()
        #expect(pool.outstanding == 0)
    }

    @Test func aPeakDoesNotStayForEver() {
        let pool = BlockPool(blockByteCount: 64, blocksMax: 200)
        var held: [Block] = []
        for _ in 0..<200 { if let block = pool.take() { held.append(block) } }
        #expect(pool.allocations == 200)
        held.removeAll()
        for _ in 0..<200 { if let block = pool.take() { held.append(block) } }
        #expect(pool.allocations > 200, "free blocks beyond a bound are given back")
        #expect(pool.allocations < 400, "some are kept")
    }

    @Test func aBlockOutlivesTheLastOtherReferenceToItsPool() {
        var pool: BlockPool? = BlockPool(blockByteCount: 64, blocksMax: 1)
        let block = pool?.take()
        pool = nil
        block?.setByte(7, at: 63)
        let last = block.map { $0.bytes(63..<64).byte(at: 0) }
        #expect(last == 7)
    }

    #if DEBUG
    @Test func aFreeBlockIsFilledWithASentinelInDebugBuilds() {
        let pool = BlockPool(blockByteCount: 256, blocksMax: 1)
        if let block = pool.take() {
            for offset in 0..<256 { block.setByte(1, at: offset) }
        }
        let again = pool.take().map { $0.bytes(0..<256).array() }
        #expect(again == [UInt8](repeating: 0xDB, count: 256))
    }
    #endif
}
