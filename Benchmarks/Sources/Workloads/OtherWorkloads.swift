import Bytes
import Gauge

/// Blocks of a loop's pool are taken and let go. The operation is one block, with its object.
final class PoolWorkload: Workload {
    private let pool: BlockPool
    private var taken: [Block] = []
    private let blocks: Int

    init(blocks: Int) {
        pool = BlockPool(blockByteCount: 65_536, blocksMax: blocks)
        taken.reserveCapacity(blocks)
        self.blocks = blocks
    }

    func runBatch() -> UInt64 {
        for _ in 0..<blocks {
            guard let block = pool.take() else { preconditionFailure("the pool has a block for everyone") }
            taken.append(block)
        }
        taken.removeAll(keepingCapacity: true)
        return UInt64(pool.allocations)
    }
}

/// A write that took half of what was offered: frames are appended, the first half is written, the rest is taken back. The operation is one frame
/// appended, half of one written and half of one taken back.
final class GatherWorkload: Workload {
    private var gather = Gather()
    private let payload = someBytes(64)
    private let frames: Int

    init(frames: Int) { self.frames = frames }

    func runBatch() -> UInt64 { Self.run(&gather, payload, frames: frames) }

    private static func run(_ gather: inout Gather, _ payload: Slice, frames: Int) -> UInt64 {
        for tag in 0..<frames {
            gather.appendBigEndian(UInt64(tag))
            gather.appendBigEndian(UInt32(payload.count))
            gather.endFrame(tag: UInt64(tag), payload: payload)
        }
        gather.advance(by: gather.byteCount / 2)
        var sum: UInt64 = 0
        while let frame = gather.popUnbegun() { sum &+= frame.tag }
        gather.trim()
        precondition(gather.isEmpty, "half of the frames are half of the bytes")
        return sum
    }
}

/// Received pieces are compared with what was sent. The operation is one piece of 64 KiB.
final class MatchWorkload: Workload {
    private let payload = Payload(seed: 1)
    private let streamKey = Payload.streamKey(seed: 1, connection: 0, stream: 1, direction: .up)
    private let received: [Slice]

    init(pieces: Int) {
        let sender = Payload(seed: 1)
        let key = streamKey
        received = (0..<pieces).map { Slice(copying: sender.slice(streamKey: key, piece: UInt64($0), count: Payload.pieceBytesMax).shared().bytes) }
    }

    func runBatch() -> UInt64 {
        var matches: UInt64 = 0
        for (piece, slice) in received.enumerated()
        where payload.matches(slice.bytes, streamKey: streamKey, piece: UInt64(piece), offset: 0) { matches += 1 }
        precondition(matches == UInt64(received.count), "a piece is not what was sent")
        return matches
    }
}

/// The checksum of a message of 4 KiB.
final class ChecksumWorkload: Workload {
    private let message = someBytes(4096)
    private let messages: Int

    init(messages: Int) { self.messages = messages }

    func runBatch() -> UInt64 {
        var sum: UInt64 = 0
        for number in 0..<messages {
            let message = message
            let checksum = PayloadChecksum.partial(message.bytes, atOffset: 0)
            sum ^= PayloadChecksum.folded(checksum, message: UInt64(number))
        }
        return sum
    }
}

/// What a handler writes down for an operation: its latency, its bytes and its end. The operation is all three.
final class RecorderWorkload: Workload {
    private let recorder = Recorder(intervalsMax: 1)
    private let operations: Int

    init(operations: Int) {
        self.operations = operations
        recorder.begin(at: 0)
    }

    func runBatch() -> UInt64 {
        for number in 0..<operations {
            recorder.recordLatency(UInt64(truncatingIfNeeded: number &* 9973))
            recorder.received(bytes: 64, messages: 1, at: 1)
            recorder.completed(1, at: 1)
        }
        return recorder.totals.operationsCompleted
    }
}

/// One span of time into a histogram, as reports do.
final class HistogramWorkload: Workload {
    private var histogram = LatencyHistogram()
    private let operations: Int

    init(operations: Int) { self.operations = operations }

    func runBatch() -> UInt64 {
        for number in 0..<operations { histogram.record(UInt64(truncatingIfNeeded: number &* 9973)) }
        return histogram.count
    }
}
