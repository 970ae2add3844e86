import Bytes
import Muxers
import Testing
import TestSupport

/// What is particular to the connection without a multiplexer.
@Suite struct PassthroughTests {
    @Test func bytesGoThroughAsTheyAre() throws {
        let lone = Lone(.initiator, Passthrough(role: .initiator))
        let stream = try lone.end.open()
        try lone.end.send([1, 2, 3], on: stream)
        try lone.end.send([4], on: stream)
        #expect(lone.take() == [1, 2, 3, 4])
        lone.feed([9, 8])
        #expect(lone.end.log(stream).received == [9, 8])
        let counters = lone.end.muxer.counters
        #expect(counters.sent.totalBytes == counters.sent.payloadBytes && counters.received.totalBytes == 2)
    }

    @Test func thereIsOneStreamAndTheInitiatorOpensIt() throws {
        let pair = Kind.passthrough.pair()
        #expect(throws: MuxerError.tooManyStreams(limit: 1)) { try pair.responder.open() }
        let stream = try pair.initiator.open()
        #expect(throws: MuxerError.tooManyStreams(limit: 1)) { try pair.initiator.open() }
        pair.initiator.reset(stream)
        #expect(throws: MuxerError.tooManyStreams(limit: 1)) { try pair.initiator.open() }
        let closing = Passthrough(role: .initiator)
        closing.close(code: .normal)
        #expect(throws: MuxerError.closing) { try closing.openStream(now: 0) }
    }

    @Test func aResponderMaySpeakFirst() throws {
        let muxer = Passthrough(role: .responder)
        var events = EventList()
        muxer.acceptStream(events: &events)
        muxer.acceptStream(events: &events)
        let count = events.count
        #expect(count == 1)
        guard case .opened(let stream)? = events.pop() else {
            Issue.record("no stream was opened")
            return
        }
        try muxer.send(Slice(copying: [1]), on: stream)
        #expect(muxer.hasOutput && muxer.streamCount == 1)
    }

    @Test func anEmptyStreamIsSeenAtItsEnd() throws {
        let pair = Kind.passthrough.pair()
        let stream = try pair.initiator.open()
        try pair.settle()
        #expect(pair.responder.accepted.isEmpty, "nothing tells of it yet")
        try pair.initiator.finish(stream)
        try pair.settle()
        let accepted = try #require(pair.responder.accepted.first)
        #expect(pair.responder.log(accepted).remoteHasFinished)
        #expect(pair.initiator.muxer.connectionDemand == .finishSending && pair.responder.muxer.connectionDemand == .none)
        try pair.responder.finish(accepted)
        try pair.settle()
        #expect(pair.initiator.log(stream).isClosed && pair.responder.log(accepted).isClosed)
    }

    @Test func theSendingSideEndsOnlyWhenAllIsWritten() throws {
        let lone = Lone(.initiator, Passthrough(role: .initiator))
        let stream = try lone.end.open()
        try lone.end.send([UInt8](repeating: 1, count: 100), on: stream)
        try lone.end.finish(stream)
        #expect(lone.end.muxer.connectionDemand == .none)
        lone.write(byteLimit: 1000, taking: 0)
        #expect(lone.end.muxer.connectionDemand == .none, "all came back")
        lone.beginWrite(byteLimit: 1000)
        #expect(lone.end.muxer.connectionDemand == .none, "the write is under way")
        lone.completeWrite(taking: 100)
        #expect(lone.end.muxer.connectionDemand == .finishSending)
    }

    @Test func aResetAbortsTheConnection() throws {
        let lone = Lone(.initiator, Passthrough(role: .initiator))
        let stream = try lone.end.open()
        try lone.end.send([1, 2, 3], on: stream)
        lone.end.reset(stream)
        #expect(lone.end.muxer.connectionDemand == .abort)
        #expect(lone.take().isEmpty)
        lone.feed([1, 2])
        #expect(lone.end.failure == nil && lone.end.muxer.counters.lateBytes == 2)
        #expect(lone.end.violations.isEmpty)
    }
}
