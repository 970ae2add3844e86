import Bytes
import Testing
import TestSupport

/// Many small messages framed in a row are what they would be framed one by one.
@Suite struct GatherFramesTests {
    /// A queue of messages of 0 to 60 bytes, each of bytes of its own.
    private func queue(_ messages: [[UInt8]], _ queues: inout SliceQueues) -> SliceQueues.Fifo {
        var fifo = SliceQueues.Fifo()
        for message in messages { queues.push(QueuedSlice(Slice(copying: message)), on: &fifo) }
        return fifo
    }

    @Test(arguments: SeededGenerator.seeds(64)) func sameAsOneByOne(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let messages = (0..<Int.random(in: 0...40, using: &random)).map { index in
            [UInt8](repeating: UInt8(index), count: Int.random(in: 1...60, using: &random))
        }
        let copyThreshold = Int.random(in: 20...64, using: &random)
        let arenaBytes = Int.random(in: 200...4000, using: &random)
        let allowance = FrameAllowance(
            framePayloadBytesMax: Int.random(in: 10...80, using: &random), windowBytes: Int.random(in: 1...1500, using: &random),
            payloadByteLimit: Bool.random(using: &random) ? .max : Int.random(in: 1...1500, using: &random), byteLimit: Bool.random(using: &random) ? .max : Int.random(in: 1...2500, using: &random))
        var gather = Gather(arenaByteCount: arenaBytes, copyThreshold: copyThreshold)
        var one = Gather(arenaByteCount: arenaBytes, copyThreshold: copyThreshold)
        var queues = SliceQueues()
        var fifo = queue(messages, &queues)
        var told: [Int] = []
        let series = Gather.FrameSeries(header: 0x0102_0304_0506_0708, firstTag: 11, tag: 12)
        let done = gather.appendFrames(series, from: &queues, &fifo, upTo: allowance) { told.append($0) }

        var (frames, payloadBytes) = (0, 0)
        for message in messages {
            guard one.byteCount < allowance.byteLimit, one.hasRoom, payloadBytes < allowance.payloadByteLimit, message.count < copyThreshold,
                message.count <= allowance.framePayloadBytesMax, payloadBytes + message.count <= allowance.windowBytes
            else { break }
            one.appendFrame(
                header: 0x0102_0304_0506_0708, UInt32(message.count), tag: frames == 0 ? 11 : 12, payload: QueuedSlice(Slice(copying: message)))
            frames += 1
            payloadBytes += message.count
        }
        #expect(done.frames == frames && done.payloadBytes == payloadBytes, "seed \(seed): \(done) in place of \(frames) frames, \(payloadBytes) bytes")
        #expect(told == messages.prefix(frames).map(\.count), "seed \(seed)")
        let (bytes, expected) = (GatherTests.pending(&gather), GatherTests.pending(&one))
        #expect(bytes == expected, "seed \(seed)")
        let (copied, copiedOne) = (gather.payloadBytesCopied, one.payloadBytesCopied)
        #expect(copied == copiedOne, "seed \(seed)")

        // What was not framed is still queued, in order, and what was can be taken back.
        var left: [[UInt8]] = []
        while !fifo.isEmpty { left.append(queues.popFront(&fifo).bytes.array()) }
        #expect(left == messages.dropFirst(frames).map { $0 }, "seed \(seed)")
        #expect(queues.count == 0, "seed \(seed)")
        var tags: [UInt64] = []
        var back: [[UInt8]] = []
        while let frame = gather.popUnbegun() {
            tags.append(frame.tag)
            if let payload = frame.takePayload() { back.append(payload.bytes.array()) }
        }
        #expect(back.reversed() == messages.prefix(frames).map { $0 }, "seed \(seed)")
        #expect(tags.reversed() == (0..<frames).map { $0 == 0 ? 11 : 12 }, "seed \(seed)")
        gather.trim()
        let isEmpty = gather.isEmpty
        #expect(isEmpty, "seed \(seed)")
    }

    /// What is behind frames that wait already counts towards the limit of a write, and places of a queue are used again.
    @Test func goesOnWhereItStopped() {
        var gather = Gather(arenaByteCount: 8192, copyThreshold: 64)
        var queues = SliceQueues()
        var fifo = queue((0..<10).map { [UInt8](repeating: $0, count: 8) }, &queues)
        let series = Gather.FrameSeries(header: 0, firstTag: 1, tag: 1)
        var frames: [Int] = []
        for byteLimit in [50, 50, 120, 1000] {
            let allowance = FrameAllowance(framePayloadBytesMax: 64, windowBytes: 1000, payloadByteLimit: .max, byteLimit: byteLimit)
            frames.append(gather.appendFrames(series, from: &queues, &fifo, upTo: allowance) { _ in }.frames)
        }
        #expect(frames == [3, 0, 3, 4])
        queues.push(QueuedSlice(Slice(copying: [7])), on: &fifo)
        let (count, first) = (queues.count, queues.firstByteCount(fifo))
        #expect(count == 1 && first == 1 && !fifo.hasSeveral)
        gather.advance(by: 200)
        let isEmpty = gather.isEmpty
        #expect(isEmpty)
    }
}
