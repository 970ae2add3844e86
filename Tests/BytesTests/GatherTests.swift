import Bytes
import Testing
import TestSupport

@Suite struct GatherTests {
    /// What is unwritten, through the safe way out.
    static func pending(_ gather: inout Gather) -> [UInt8] {
        let block = Block(capacity: gather.byteCount + 1)
        let count = gather.copyBytes(into: block)
        return block.bytes(0..<count).array()
    }

    @Test func copyingBehindAnOffset() {
        var gather = Gather()
        gather.appendPinned([1, 2, 3, 4])
        let block = Block(copying: [9, 9, 9, 9, 9].rawSpan)
        var cursor = Gather.Cursor()
        let copied = gather.copyBytes(from: &cursor, into: block, at: 2)
        #expect(copied == 3 && block.bytes(0..<5).array() == [9, 9, 1, 2, 3])
        gather.advance(by: copied)
        cursor = Gather.Cursor()
        let nothing = gather.copyBytes(from: &cursor, into: block, at: 5)
        let rest = gather.copyBytes(from: &cursor, into: block, at: 4)
        #expect(nothing == 0 && rest == 1 && block.bytes(0..<5).array() == [9, 9, 1, 2, 4])
    }

    @Test func headersAndPayloadsLeaveInOrder() {
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 4)
        gather.appendBigEndian(UInt32(0x0102_0304))
        gather.endFrame(tag: 1)
        gather.appendBigEndian(UInt64(5))
        gather.endFrame(tag: 2, payload: Slice(copying: [0xA, 0xB]))
        gather.appendVarint(300)
        gather.endFrame(tag: 3, payload: Slice(copying: [0xC, 0xD, 0xE, 0xF, 0x10]))
        gather.appendVarint(0)
        gather.endFrame(tag: 4)
        let bytes = Self.pending(&gather)
        #expect(bytes == [1, 2, 3, 4] + [0, 0, 0, 0, 0, 0, 0, 5, 0xA, 0xB] + [0xAC, 2, 0xC, 0xD, 0xE, 0xF, 0x10] + [0])
        let copied = gather.payloadBytesCopied
        #expect(copied == 2, "only the payload below the threshold is copied")
    }

    @Test func aReferencedPayloadLivesUntilItIsWritten() {
        let pool = BlockPool(blockByteCount: 4096, blocksMax: 1)
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 16)
        if let block = pool.take() {
            gather.appendVarint(1)
            gather.endFrame(tag: 1, payload: Slice(block, 0..<4096))
        }
        #expect(pool.outstanding == 1)
        gather.advance(by: 4000)
        #expect(pool.outstanding == 1)
        gather.advance(by: 97)
        #expect(pool.outstanding == 0)
        let isEmpty = gather.isEmpty
        #expect(isEmpty)
    }

    @Test func onlyFramesNotBegunAreTakenBack() {
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 4)
        for tag in 0..<5 as Range<UInt64> {
            gather.appendBigEndian(UInt32(tag))
            gather.endFrame(tag: tag, payload: Slice(copying: [UInt8](repeating: UInt8(tag), count: 10)))
        }
        _ = Self.pending(&gather)
        gather.advance(by: 14 + 1)
        var tags: [UInt64] = []
        while let frame = gather.popUnbegun() {
            tags.append(frame.tag)
            #expect(frame.payloadByteCount == 10)
        }
        gather.trim()
        #expect(tags == [4, 3, 2])
        let rest = Self.pending(&gather)
        #expect(rest == [0, 0, 1] + [UInt8](repeating: 1, count: 10))
    }

    @Test func aWriteThatEndsOnAFrameLeavesNothingBegun() {
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 4)
        for tag in 0..<3 as Range<UInt64> {
            gather.appendBigEndian(UInt32(tag))
            gather.endFrame(tag: tag)
        }
        gather.advance(by: 4)
        var tags: [UInt64] = []
        while let frame = gather.popUnbegun() { tags.append(frame.tag) }
        gather.trim()
        #expect(tags == [2, 1])
        let isEmpty = gather.isEmpty
        #expect(isEmpty)
    }

    @Test func takingBackWithoutAWriteInBetween() {
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 4)
        for tag in 0..<4 as Range<UInt64> {
            gather.appendVarint(tag)
            gather.endFrame(tag: tag)
        }
        let (last, beforeLast) = (gather.popUnbegun()?.tag, gather.popUnbegun()?.tag)
        #expect(last == 3 && beforeLast == 2)
        gather.trim()
        gather.appendVarint(9)
        gather.endFrame(tag: 9)
        let bytes = Self.pending(&gather)
        #expect(bytes == [0, 1, 9])
    }

    @Test(arguments: [0, 1, 64, 2048]) func aFullGatherSaysSoBeforeItOverflows(copyThreshold: Int) {
        for payloadByteCount in [0, 1, copyThreshold, max(0, copyThreshold - 1), copyThreshold + 1] {
            var gather = Gather(arenaByteCount: 16384, copyThreshold: copyThreshold)
            let payload = Slice(copying: [UInt8](repeating: 7, count: payloadByteCount))
            var frames = 0
            while gather.hasRoom {
                for _ in 0..<4 { gather.appendBigEndian(UInt64(frames)) }
                gather.endFrame(tag: UInt64(frames), payload: payload)
                frames += 1
            }
            let (byteCount, bytes) = (gather.byteCount, Self.pending(&gather))
            #expect(byteCount == frames * (32 + payloadByteCount))
            #expect(bytes.count == byteCount)
            gather.advance(by: byteCount)
            let hasRoom = gather.hasRoom
            #expect(hasRoom)
        }
    }

    /// Random frames, partial writes and frames taken back, against a plain list of byte arrays: what was written must be
    /// exactly what the model says, whatever the order in which that happened.
    @Test(arguments: SeededGenerator.seeds(10)) func againstAPlainModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let copyThreshold = [0, 1, 16, 256, 2048][random.int(0...4)]
        let pool = BlockPool(blockByteCount: 8192, blocksMax: 100_000)
        var gather = Gather(arenaByteCount: random.int(8...64) * 1024, copyThreshold: copyThreshold)
        var model = GatherModel(copyThreshold: copyThreshold)
        for _ in 0..<250 {
            switch random.int(0...9) {
            case 0...5:
                for _ in 0..<random.int(1...12) where gather.hasRoom {
                    model.append(ModelFrame(&random, pool: pool), to: &gather)
                }
            case 6...8:
                model.write(&gather, byteCount: random.size(upTo: gather.byteCount))
                if random.oneIn(2) { model.takeBackAll(&gather, &random) }
            default:
                model.takeBackAll(&gather, &random)
            }
            model.check(&gather)
        }
        model.write(&gather, byteCount: gather.byteCount)
        model.check(&gather)
        model.frames.removeAll()
        model.returned.removeAll()
        #expect(pool.outstanding == 0, "a written frame keeps its payload alive")
    }
}

struct ModelFrame {
    let tag: UInt64
    let header: [UInt32]
    let payload: Slice?
    let isPinned: Bool

    init(_ random: inout SeededGenerator, pool: BlockPool) {
        tag = random.next()
        header = (0..<random.int(1...8)).map { [random] index in UInt32(truncatingIfNeeded: random.seed &+ UInt64(index)) }
        isPinned = random.oneIn(8)
        if isPinned || random.oneIn(4) {
            payload = nil
        } else if let block = pool.take() {
            let count = random.size(upTo: 4096)
            let start = random.int(0...100)
            block.copy(random.bytes(count).rawSpan, at: start)
            payload = Slice(block, start..<start + count)
        } else {
            payload = nil
        }
    }

    func append(to gather: inout Gather) {
        for word in header { gather.appendBigEndian(word) }
        if isPinned { gather.endPinnedFrame() } else if let payload { gather.endFrame(tag: tag, payload: payload) } else { gather.endFrame(tag: tag) }
    }

    var bytes: [UInt8] {
        header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } } + (payload?.bytes.array() ?? [])
    }
}

struct GatherModel {
    let copyThreshold: Int
    /// Payload bytes below the threshold that were appended.
    var copied: UInt64 = 0
    /// Frames appended and not wholly written; the first may have been begun.
    var frames: [ModelFrame] = []
    /// Bytes of the first frame that were written.
    var begun = 0
    /// Frames taken back and not appended again, kept so that the model's slices live as long as the gather's.
    var returned: [ModelFrame] = []

    init(copyThreshold: Int) { self.copyThreshold = copyThreshold }

    mutating func append(_ frame: ModelFrame, to gather: inout Gather) {
        frame.append(to: &gather)
        if let payload = frame.payload, payload.count < copyThreshold { copied += UInt64(payload.count) }
        frames.append(frame)
    }

    var pending: [UInt8] { Array(frames.flatMap(\.bytes).dropFirst(begun)) }

    mutating func write(_ gather: inout Gather, byteCount: Int) {
        let expected = Array(pending.prefix(byteCount))
        let block = Block(capacity: byteCount)
        let copied = gather.copyBytes(into: block)
        #expect(copied == byteCount)
        let written = block.bytes(0..<copied).array()
        #expect(written == expected)
        gather.advance(by: byteCount)
        begun += byteCount
        while let first = frames.first, first.bytes.count <= begun {
            begun -= first.bytes.count
            frames.removeFirst()
        }
    }

    /// Takes back some or all frames that were not begun, then appends some of them again.
    mutating func takeBackAll(_ gather: inout Gather, _ random: inout SeededGenerator) {
        let unbegun = frames.dropFirst(begun > 0 ? 1 : 0).reversed().prefix { !$0.isPinned }.count
        let wanted = random.oneIn(3) ? random.int(0...max(unbegun, 0)) : Int.max
        var taken = 0
        while taken < wanted, let frame = gather.popUnbegun() {
            guard let expected = frames.popLast() else {
                Issue.record("a frame came back that was not there")
                return
            }
            #expect(frame.tag == expected.tag)
            let payload = frame.takePayload()?.shared()
            #expect(payload?.block === expected.payload?.block && payload?.range == expected.payload?.range)
            returned.append(expected)
            taken += 1
        }
        #expect(taken == min(wanted, unbegun))
        gather.trim()
        while let frame = returned.popLast() {
            if gather.hasRoom, random.oneIn(2) {
                append(frame, to: &gather)
            }
        }
    }

    func check(_ gather: inout Gather) {
        let expected = pending
        let (byteCount, isEmpty, copiedByGather) = (gather.byteCount, gather.isEmpty, gather.payloadBytesCopied)
        #expect(copiedByGather == copied)
        #expect(byteCount == expected.count && isEmpty == expected.isEmpty)
        #expect(GatherTests.pending(&gather) == expected)
    }
}
