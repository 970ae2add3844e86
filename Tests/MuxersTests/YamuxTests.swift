import Muxers
import Testing
import TestSupport

/// yamux on the wire, byte for byte, and what it makes of a far end that keeps the rules, bends them or breaks them.
@Suite struct YamuxTests {
    private func responder() -> Lone { Lone(.responder, Yamux(role: .responder)) }

    // MARK: What it writes

    @Test func theFirstDataOpensTheStream() throws {
        let lone = Lone(.initiator, Yamux(role: .initiator))
        let stream = try lone.end.open()
        try lone.end.send([1, 2, 3], on: stream)
        #expect(lone.take() == YamuxFrame.data(.syn, 1, [1, 2, 3]))
        try lone.end.send([4], on: stream)
        #expect(lone.take() == YamuxFrame.data(.none, 1, [4]))
        try lone.end.finish(stream)
        #expect(lone.take() == YamuxFrame.data(.fin, 1, []))
        let second = try lone.end.open()
        #expect(lone.take() == YamuxFrame.windowUpdate(.syn, 3, 0), "without data a window update opens")
        lone.end.reset(second, code: 5)
        #expect(lone.take() == YamuxFrame.windowUpdate(.rst, 3, 5))
    }

    @Test func theResponderUsesEvenIdentifiersAndAcknowledges() throws {
        let lone = responder()
        lone.feed(YamuxFrame.data(.syn, 1, [9]))
        #expect(lone.take() == YamuxFrame.windowUpdate(.ack, 1, 0))
        lone.feed(YamuxFrame.data(.syn, 3, [9]))
        try lone.end.send([5], on: lone.end.accepted[1])
        #expect(lone.take() == YamuxFrame.data(.ack, 3, [5]), "an answer acknowledges by the way")
        _ = try lone.end.open()
        _ = try lone.end.open()
        #expect(lone.take() == YamuxFrame.windowUpdate(.syn, 2, 0) + YamuxFrame.windowUpdate(.syn, 4, 0))
    }

    @Test func anEndBeforeTheAcknowledgementIsAFrameOfItsOwn() throws {
        let lone = responder()
        lone.feed(YamuxFrame.data(.syn, 1, [9]))
        try lone.end.finish(lone.end.accepted[0])
        #expect(lone.take() == YamuxFrame.windowUpdate(.ack, 1, 0) + YamuxFrame.data(.fin, 1, []))
    }

    @Test func pingsAreAnsweredAndGoAwaysTold() {
        let lone = responder()
        lone.feed(YamuxFrame.ping(0xDEAD_BEEF))
        #expect(lone.take() == YamuxFrame.pong(0xDEAD_BEEF))
        lone.feed(YamuxFrame.goAway(0))
        #expect(lone.end.goAwayCode == 0 && lone.end.failure == nil)
        lone.end.muxer.close(code: .normal)
        #expect(lone.take() == YamuxFrame.goAway(0))
    }

    @Test func creditIsGivenBackInHalvesOfTheWindow() {
        let lone = responder()
        let half = Int(YamuxLimits.windowBytesInitial) / 2
        lone.feed(YamuxFrame.data(.syn, 1, [UInt8](repeating: 1, count: half - 1)))
        #expect(lone.take() == YamuxFrame.windowUpdate(.ack, 1, 0))
        lone.feed(YamuxFrame.data(.none, 1, [1]))
        // The round trip is measured along with it: a window grows by how fast it is used up.
        #expect(lone.take() == YamuxFrame.windowUpdate(.none, 1, UInt32(half)) + YamuxFrame.ping(1))
    }

    // MARK: What it tolerates

    @Test func aWindowUpdateWithTheOpeningRaisesTheWindow() throws {
        let lone = responder()
        lone.feed(YamuxFrame.windowUpdate(.syn, 1, 100))
        let window = Int(YamuxLimits.windowBytesInitial) + 100
        try lone.end.send([UInt8](repeating: 1, count: window + 5), on: lone.end.accepted[0])
        _ = lone.take()
        #expect(lone.end.muxer.counters.sent.payloadBytes == UInt64(window))
        lone.feed(YamuxFrame.windowUpdate(.none, 1, 5))
        #expect(lone.take() == YamuxFrame.data(.none, 1, [1, 1, 1, 1, 1]))
    }

    @Test func flagsMayComeTogether() {
        let lone = responder()
        lone.feed(YamuxFrame.header(0, 1 | 4, 1, 2) + [7, 8])
        let log = lone.end.log(lone.end.accepted[0])
        #expect(log.received == [7, 8] && log.remoteHasFinished)
        lone.feed(YamuxFrame.header(1, 1 | 4, 3, 0))
        #expect(lone.end.log(lone.end.accepted[1]).remoteHasFinished)
        lone.feed(YamuxFrame.header(1, 1 | 8, 5, 0))
        #expect(lone.end.failure == nil && lone.end.muxer.streamCount == 2)
    }

    @Test func identifiersMaySkip() {
        let lone = responder()
        lone.feed(YamuxFrame.data(.syn, 101, [1]) + YamuxFrame.data(.syn, 7, [2]) + YamuxFrame.data(.syn, 0xFFFF_FFFF, [3]))
        #expect(lone.end.failure == nil && lone.end.accepted.count == 3)
    }

    @Test func lateFramesForStreamsThatEndedAreDropped() throws {
        let lone = responder()
        lone.feed(YamuxFrame.data(.syn, 1, [1]))
        lone.end.reset(lone.end.accepted[0])
        lone.feed(YamuxFrame.data(.none, 1, [1, 2, 3]) + YamuxFrame.windowUpdate(.none, 1, 9))
        lone.feed(YamuxFrame.data(.fin, 1, []) + YamuxFrame.windowUpdate(.rst, 1, 0))
        #expect(lone.end.failure == nil && lone.end.muxer.counters.lateBytes == 3)
        #expect(lone.end.muxer.counters.received.totalBytes == lone.end.bytesRead)
    }

    @Test func anUnaskedPongIsIgnored() {
        let lone = responder()
        lone.feed(YamuxFrame.pong(3) + YamuxFrame.pong(0x8000_0001))
        #expect(lone.end.failure == nil && lone.end.roundTrips.isEmpty)
    }

    @Test func dataBehindTheEndBreaksTheStreamOnly() {
        let lone = responder()
        lone.feed(YamuxFrame.data(.syn, 1, [1]) + YamuxFrame.data(.fin, 1, []) + YamuxFrame.data(.none, 1, [2, 3]))
        #expect(lone.end.failure == nil)
        #expect(lone.end.log(lone.end.accepted[0]).reset == .dataAfterEnd)
        #expect(lone.end.muxer.counters.lateBytes == 2)
    }

    // MARK: What it refuses

    static let broken: [(String, [UInt8], MuxerError)] = [
        ("another version", [1] + [UInt8](repeating: 0, count: 11), .unsupportedVersion(1)),
        ("an unknown type", YamuxFrame.header(4, 0, 1, 0), .unknownFrameType(4)),
        ("an opening with our parity", YamuxFrame.data(.syn, 2, []), .wrongStreamParity(streamID: 2)),
        ("an opening of the session", YamuxFrame.data(.syn, 0, []), .wrongStreamParity(streamID: 0)),
        ("a second opening", YamuxFrame.data(.syn, 1, []) + YamuxFrame.data(.syn, 1, []), .duplicateStream(streamID: 1)),
        ("data of a stream never opened", YamuxFrame.data(.none, 5, [1]), .unopenedStream(streamID: 5)),
        ("data of a stream we never opened", YamuxFrame.data(.none, 2, [1]), .unopenedStream(streamID: 2)),
        ("data of the session", YamuxFrame.data(.none, 0, [1]), .unopenedStream(streamID: 0)),
        (
            "more than the window", YamuxFrame.header(0, 1, 1, 256 << 10 + 1),
            .windowExceeded(streamID: 1, byteCount: 256 << 10 + 1, windowBytes: 256 << 10)
        ),
        (
            "a window beyond 32 bits", YamuxFrame.windowUpdate(.syn, 1, .max), .windowOverflow(streamID: 1)
        ),
        ("a ping of a stream", YamuxFrame.header(2, 1, 1, 0), .sessionFrameExpected(streamID: 1)),
        ("a go-away of a stream", YamuxFrame.header(3, 0, 1, 0), .sessionFrameExpected(streamID: 1)),
    ]

    @Test(arguments: broken) func whatBreaksTheRules(what: String, bytes: [UInt8], error: MuxerError) {
        for chunk in [1, 5, 12, Int.max] {
            let lone = responder()
            #expect(lone.feed(bytes, chunk: chunk) == error, "\(what)")
            #expect(error.origin == .remote)
            #expect(lone.take().suffix(12) == YamuxFrame.goAway(1)[...], "the far end is told")
            #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
            #expect(throws: MuxerError.closing) { try lone.end.muxer.openStream(now: 0) }
        }
    }
}
