import Bytes
import Muxers
import Testing

/// What of a stream a write has taken, to the byte of the write: ``Pair`` checks the rest in every test.
@Suite struct UnwrittenTests {
    /// Two streams in one write that is cut at every byte: a message is written when its last byte is, whatever became of the other.
    @Test(arguments: [Kind.yamux, .mplex, .http2]) func aMessageIsWrittenWithItsLastByte(kind: Kind) throws {
        var cut = 0
        var total = 1
        while cut <= total {
            let muxer = kind.make(.initiator, MuxerLimits())
            var gather = Gather()
            var events = EventList()
            let streams = [try muxer.openStream(now: 0), try muxer.openStream(now: 0)]
            // Whatever opens the connection and the streams goes ahead.
            muxer.transmit(into: &gather, byteLimit: .max, now: 0, events: &events)
            gather.advance(by: gather.byteCount)
            muxer.settle(events: &events)
            for (number, stream) in streams.enumerated() { try muxer.send(Slice(copying: [UInt8](repeating: 7, count: 100 + number)), on: stream) }
            #expect(streams.map { muxer.unwrittenByteCount(on: $0, in: gather) } == [100, 101])
            muxer.transmit(into: &gather, byteLimit: .max, now: 0, events: &events)
            #expect(streams.map { muxer.unwrittenByteCount(on: $0, in: gather) } == (kind.takesBack ? [100, 101] : [201, 201]))
            total = gather.byteCount
            gather.advance(by: cut)
            while let frame = gather.popUnbegun() { muxer.takeBack(frame) }
            if !gather.isEmpty { gather.trim() }
            // The frame of the second message is the end of the write.
            let firstEnd = total - 101 - (total - 201) / 2
            if kind.takesBack {
                #expect(muxer.unwrittenByteCount(on: streams[0], in: gather) == (cut >= firstEnd ? 0 : 100), "cut at \(cut) of \(total)")
            }
            #expect((muxer.unwrittenByteCount(on: streams[1], in: gather) == 0) == (cut == total), "cut at \(cut) of \(total)")
            cut += 1
        }
    }
}
