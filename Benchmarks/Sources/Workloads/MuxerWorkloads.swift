import Bytes
import Muxers

/// Sending: a message is queued on a stream, framed into a gather, and the gather's bytes are written. The operation is one frame.
///
/// A tool that measures time runs as many batches as fit into it, so the far end's credit can run out: it is granted anew, once in 2 GiB a stream.
final class EncodeWorkload: Workload {
    private let link: Link
    private let payload: Slice
    private let framesPerStream: Int
    private let bytesPerStream: Int
    /// An update of each stream's window, as the far end would send it; nothing where there are no windows.
    private let updates: Slice?
    /// What may still be sent on each stream before ``updates`` are due.
    private var creditBytes = 0
    /// Half of what a window can hold: what is left from before has to fit beside it.
    private static let creditBytesGranted: UInt32 = 1 << 31

    init(_ kind: MuxerKind, payloadBytes: Int, frames: Int, streams: Int) {
        link = Link(kind, streams: streams)
        payload = someBytes(payloadBytes)
        framesPerStream = frames / streams
        bytesPerStream = framesPerStream * payloadBytes
        updates = kind == .yamux ? Slice(copying: (0..<streams).flatMap(Self.windowUpdate)) : nil
        precondition(runBatch() > UInt64(frames * payloadBytes), "not all is sent")
    }

    private static func windowUpdate(stream index: Int) -> [UInt8] {
        [0, 1, 0, 0] + bigEndian(UInt32(2 * index + 1)) + bigEndian(creditBytesGranted)
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private func grantCredit() {
        creditBytes = Int(Self.creditBytesGranted)
        if let updates { link.initiator.receive(updates.block, byteCount: updates.count) }
    }

    func runBatch() -> UInt64 {
        if creditBytes < bytesPerStream { grantCredit() }
        creditBytes -= bytesPerStream
        for stream in link.streams {
            for _ in 0..<framesPerStream { link.initiator.send(payload, on: stream) }
        }
        return UInt64(link.initiator.drain())
    }
}

/// Receiving: bytes that were framed before are parsed, their events are handled and their credit is given back, with the frames that grant it.
/// The operation is one frame.
final class DecodeWorkload: Workload {
    private let link: Link
    private let wire: Block
    private let byteCount: Int

    init(_ kind: MuxerKind, payloadBytes: Int, frames: Int, streams: Int) {
        link = Link(kind, streams: streams)
        let payload = someBytes(payloadBytes)
        wire = Block(capacity: 1 << 20)
        for stream in link.streams {
            for _ in 0..<frames / streams { link.initiator.send(payload, on: stream) }
        }
        byteCount = link.initiator.frame(into: wire)
        _ = runBatch()
        let counters = link.responder.muxer.counters
        precondition(counters.received.payloadBytes == frames * payloadBytes && counters.lateBytes == 0, "not all is delivered")
    }

    func runBatch() -> UInt64 {
        link.responder.receive(wire, byteCount: byteCount)
        return UInt64(link.responder.drain())
    }
}

/// The life of streams: opened, one message of 64 bytes, finished by both ends. The operation is one stream, with the work of both ends.
final class LifeWorkload: Workload {
    private let link: Link
    private let payload = someBytes(64)
    private let streams: Int

    init(_ kind: MuxerKind, streams: Int) {
        link = Link(kind, streams: 1)
        link.responder.finishesInTurn = true
        self.streams = streams
    }

    func runBatch() -> UInt64 {
        for _ in 0..<streams {
            let stream = link.initiator.open()
            link.initiator.send(payload, on: stream)
            link.initiator.finish(stream)
        }
        link.initiator.deliver(to: link.responder)
        link.responder.deliver(to: link.initiator)
        let open = link.initiator.muxer.streamCount + link.responder.muxer.streamCount
        precondition(open == 2, "only the first stream of each side stays open, not \(open)")
        return link.initiator.muxer.counters.streamsOpened
    }
}
