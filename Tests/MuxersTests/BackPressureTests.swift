import Muxers
import Testing
import TestSupport

/// Slow readers, shut windows, full pipes: nothing is lost, nothing grows without bound, nothing stands still for ever.
@Suite struct BackPressureTests {
    static let roughPlans = SeededGenerator.seeds(8).map { FaultPlan.rough($0) }

    @Test(arguments: Kind.all, roughPlans) func slowReader(kind: Kind, plan: FaultPlan) throws {
        var random = SeededGenerator(seed: plan.seed)
        let pair = kind.pair(plan)
        let (near, far) = try pair.open()
        let limit = plan.isTedious ? 4_000 : 60_000
        pair.responder.consumption = .perTurn(byteCount: limit / 20)
        for _ in 0..<10 { try pair.initiator.send(random.bytes(random.int(1...limit)), on: near) }
        try pair.initiator.finish(near)
        try pair.settle()
        #expect(pair.responder.log(far).received == pair.initiator.log(near).sent)
        #expect(pair.responder.log(far).remoteHasFinished)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers) func aSlowReaderDoesNotStopOthers(kind: Kind) throws {
        let pair = kind.pair()
        let (slow, slowFar) = try pair.open()
        let (quick, quickFar) = try pair.open()
        pair.responder.consumption = .byHand
        try pair.initiator.send([UInt8](repeating: 1, count: 1 << 20), on: slow)
        try pair.settle()
        for _ in 0..<20 {
            try pair.initiator.send([UInt8](repeating: 2, count: 30_000), on: quick)
            try pair.settle()
            pair.responder.consume(quickFar, byteCount: pair.responder.log(quickFar).unconsumed)
            try pair.settle()
        }
        #expect(pair.responder.log(quickFar).received.count == 600_001)
        #expect(pair.responder.log(slowFar).unconsumed > 0)
        try pair.checkLedger()
    }

    @Test(arguments: Kind.multiplexers.filter(\.hasWindows)) func aWindowIsUsedUpAndRefilled(kind: Kind) throws {
        let pair = kind.pair()
        pair.responder.consumption = .byHand
        let stream = try pair.initiator.open()
        let window = kind.windowBytes
        // Both ends' settings first, where a protocol has them.
        try pair.settle()
        try pair.initiator.send([UInt8](repeating: 3, count: 3 * window), on: stream)
        try pair.settle()
        let accepted = try #require(pair.responder.accepted.first)
        #expect(pair.responder.log(accepted).received.count == window, "exactly the window is used")
        #expect(pair.initiator.muxer.queuedByteCount(on: stream) == 2 * window)
        #expect(!pair.initiator.muxer.hasOutput, "a shut window is no reason to try again")
        // A small part given back grants nothing yet: grants are batched. The rest does.
        pair.responder.consume(accepted, byteCount: 10)
        try pair.settle()
        #expect(pair.responder.log(accepted).received.count == window)
        for _ in 0..<100 where pair.responder.log(accepted).received.count < 3 * window {
            pair.responder.consumeAll()
            try pair.settle()
        }
        #expect(pair.responder.log(accepted).received.count == 3 * window)
        #expect(pair.initiator.muxer.queuedByteCount(on: stream) == 0)
        let grants = pair.responder.muxer.counters.sent.windowUpdateFrames
        #expect(grants >= 1 && grants <= 8, "about two grants a window: \(grants)")
        try pair.checkLedger()
    }

    /// A window opened one byte at a time must not become one frame a byte, nor a finish that overtakes data.
    @Test(arguments: Kind.multiplexers.filter(\.hasWindows)) func aFinishWaitsBehindAShutWindow(kind: Kind) throws {
        let pair = kind.pair()
        pair.responder.consumption = .byHand
        let stream = try pair.initiator.open()
        let window = kind.windowBytes
        try pair.settle()
        try pair.initiator.send([UInt8](repeating: 3, count: window + 1), on: stream)
        try pair.initiator.finish(stream)
        try pair.settle()
        let accepted = try #require(pair.responder.accepted.first)
        #expect(!pair.responder.log(accepted).remoteHasFinished)
        pair.responder.consumeAll()
        try pair.settle()
        #expect(pair.responder.log(accepted).remoteHasFinished)
        #expect(pair.responder.log(accepted).received.count == window + 1)
        try pair.checkLedger()
    }

    /// Both ends send far more than pipes and windows hold, and read little by little.
    @Test(arguments: Kind.all + Kind.allMarked, roughPlans) func symmetricBackPressureEnds(kind: Kind, plan: FaultPlan) throws {
        var random = SeededGenerator(seed: plan.seed)
        let pair = kind.pair(plan)
        let streamCount = kind.testDescription == "none" ? 1 : 2
        var streams: [(StreamHandle, StreamHandle)] = []
        for _ in 0..<streamCount { streams.append(try pair.open()) }
        let share = plan.isTedious ? 20_000 : 600_000 / streamCount
        for end in [pair.initiator, pair.responder] { end.consumption = .perTurn(byteCount: share / 50) }
        for (near, far) in streams {
            try pair.initiator.send(random.bytes(share), on: near)
            try pair.responder.send(random.bytes(share), on: far)
            try pair.initiator.finish(near)
            try pair.responder.finish(far)
        }
        try pair.settle()
        for (near, far) in streams {
            #expect(pair.initiator.log(near).isClosed && pair.responder.log(far).isClosed)
            #expect(pair.initiator.log(near).received.count == share)
            #expect(pair.responder.log(far).received.count == share + 1)
        }
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all) func aProducerIsToldWhenItsQueueHasFallen(kind: Kind) throws {
        var limits = MuxerLimits()
        limits.sendQueueBytesMax = 100_000
        limits.sendLowWaterBytes = 20_000
        let pair = kind.pair(limits: limits)
        let (near, far) = try pair.open()
        let queued = try pair.initiator.send([UInt8](repeating: 1, count: 15_000), on: near)
        #expect(queued == 15_000)
        try pair.settle()
        #expect(pair.initiator.log(near).writableCount == 0, "the queue was never above the mark")
        for round in 1...5 {
            try pair.initiator.send([UInt8](repeating: 1, count: 60_000), on: near)
            try pair.initiator.send([UInt8](repeating: 1, count: 40_000), on: near)
            #expect(throws: MuxerError.sendQueueFull(limitBytes: 100_000)) { try pair.initiator.send([1], on: near) }
            #expect(pair.initiator.muxer.queuedByteCount(on: near) == 100_000)
            try pair.settle()
            #expect(pair.initiator.log(near).writableCount == round)
        }
        #expect(pair.responder.log(far).received.count == 1 + 15_000 + 500_000)
        try pair.checkLedger()
    }

    @Test func mplexResetsTheStreamOfASlowReader() throws {
        var limits = MplexLimits()
        limits.receiveBufferBytesMax = 100_000
        let pair = Pair(.calm()) { Mplex(role: $0, limits: limits) }
        pair.responder.consumption = .byHand
        let (slow, slowFar) = try pair.open()
        let (other, otherFar) = try pair.open()
        try pair.initiator.send([UInt8](repeating: 1, count: 99_999), on: slow)
        try pair.settle()
        #expect(pair.responder.log(slowFar).unconsumed == 100_000 && pair.responder.log(slowFar).isLive, "the limit itself is allowed")
        try pair.initiator.send([2], on: slow)
        try pair.settle()
        #expect(pair.responder.log(slowFar).reset == .readerTooSlow && pair.initiator.log(slow).reset == .farEnd(code: 0))
        #expect(pair.responder.muxer.counters.lateBytes == 1)
        try pair.initiator.send([3], on: other)
        try pair.settle()
        #expect(pair.responder.log(otherFar).received == [1, 3])
        try pair.checkLedger()
    }

    @Test func theBareConnectionStopsReadingForASlowReader() throws {
        let pair = Pair(.calm()) { Passthrough(role: $0, receiveBufferBytesMax: 50_000) }
        pair.responder.consumption = .byHand
        let (near, far) = try pair.open()
        try pair.initiator.send([UInt8](repeating: 1, count: 1 << 20), on: near)
        try pair.settle()
        let held = pair.responder.log(far).unconsumed
        #expect(held >= 50_000 && held < 50_000 + pair.plan.pipeBytesMax + 1)
        #expect(pair.initiator.muxer.queuedByteCount(on: near) > 0, "the sender is held back by the connection")
        while pair.responder.log(far).received.count < 1 << 20 + 1, pair.responder.consumeAll() { try pair.settle() }
        #expect(pair.responder.log(far).received.count == 1 << 20 + 1)
        try pair.checkLedger()
    }
}
