import Muxers
import Testing
import TestSupport

/// Every limit by its name, at its edge.
@Suite struct LimitTests {
    @Test(arguments: Kind.multiplexers) func streamsMaxOfOurOwn(kind: Kind) throws {
        var limits = MuxerLimits()
        limits.streamsMax = 5
        let pair = kind.pair(limits: limits)
        let streams = try (0..<5).map { _ in try pair.initiator.open() }
        #expect(throws: MuxerError.tooManyStreams(limit: 5)) { try pair.initiator.open() }
        pair.initiator.reset(streams[0])
        _ = try pair.initiator.open()
        #expect(throws: MuxerError.tooManyStreams(limit: 5)) { try pair.initiator.open() }
        #expect(MuxerError.tooManyStreams(limit: 5).origin == .local)
    }

    @Test(arguments: Kind.multiplexers) func streamsMaxOfTheFarEnd(kind: Kind) throws {
        var few = MuxerLimits()
        few.streamsMax = 3
        let pair = Pair(.calm()) { kind.make($0, $0 == .responder ? few : MuxerLimits()) }
        let streams = try (0..<5).map { _ in try pair.initiator.open() }
        for stream in streams { try pair.initiator.send([1, 2, 3], on: stream) }
        try pair.settle()
        #expect(pair.responder.muxer.streamCount == 3)
        #expect(streams.filter { pair.initiator.log($0).resetCode != nil }.count == 2)
        #expect(pair.responder.failure == nil && pair.initiator.failure == nil)
        #expect(pair.responder.muxer.counters.lateBytes == 6, "what came for refused streams is dropped and counted")
        try pair.checkLedger()
    }

    @Test(arguments: Kind.all) func sendQueueBytesMax(kind: Kind) throws {
        var limits = MuxerLimits()
        limits.sendQueueBytesMax = 100
        let pair = kind.pair(limits: limits)
        let stream = try pair.initiator.open()
        try pair.initiator.send([UInt8](repeating: 0, count: 100), on: stream)
        #expect(throws: MuxerError.sendQueueFull(limitBytes: 100)) { try pair.initiator.send([1], on: stream) }
        try pair.settle()
        try pair.initiator.send([1], on: stream)
    }

    @Test(arguments: Kind.multiplexers, [1, 100, 65_536]) func framePayloadBytesMax(kind: Kind, limit: Int) throws {
        var limits = MuxerLimits()
        limits.framePayloadBytesMax = limit
        let pair = kind.pair(limits: limits)
        let (near, far) = try pair.open()
        let before = pair.initiator.muxer.counters.sent.dataFrames
        try pair.initiator.send([UInt8](repeating: 1, count: 2 * limit + 1), on: near)
        try pair.settle()
        #expect(pair.initiator.muxer.counters.sent.dataFrames - before == 3)
        #expect(pair.responder.log(far).received.count == 2 * limit + 2)
        try pair.checkLedger()
    }

    @Test func mplexNeverSendsMoreThanTheSpecificationAllows() throws {
        var limits = MplexLimits()
        limits.common.framePayloadBytesMax = 8 << 20
        var plan = FaultPlan.calm()
        plan.pipeBytesMax = 8 << 20
        let pair = Pair(plan) { Mplex(role: $0, limits: limits) }
        let (near, far) = try pair.open()
        try pair.initiator.send([UInt8](repeating: 1, count: 3 << 20), on: near)
        try pair.settle()
        #expect(pair.responder.failure == nil)
        #expect(pair.initiator.muxer.counters.sent.dataFrames == 4)
        #expect(pair.responder.log(far).received.count == 3 << 20 + 1)
    }

    @Test func yamuxUnacknowledgedStreamsMax() throws {
        var limits = YamuxLimits()
        limits.unacknowledgedStreamsMax = 4
        let pair = Pair(.calm()) { Yamux(role: $0, limits: limits) }
        for _ in 0..<4 { _ = try pair.initiator.open() }
        #expect(throws: MuxerError.tooManyUnacknowledgedStreams(limit: 4)) { try pair.initiator.open() }
        try pair.settle()
        #expect(pair.initiator.canOpenCount == 1)
        _ = try pair.initiator.open()
    }

    @Test func yamuxWindowBytesMaxAndBudget() throws {
        var limits = YamuxLimits()
        limits.windowBytesMax = 1 << 20
        limits.windowBudgetBytesMax = 1 << 20
        var plan = FaultPlan.calm()
        plan.delay = 5_000_000...5_000_000
        plan.pipeBytesMax = 16 << 20
        let pair = Pair(plan) { Yamux(role: $0, limits: limits) }
        var streams: [(near: StreamHandle, far: StreamHandle)] = []
        for _ in 0..<4 { streams.append(try pair.open()) }
        for _ in 0..<4 {
            for stream in streams { try pair.initiator.send([UInt8](repeating: 1, count: 3 << 20), on: stream.near) }
            try pair.settle()
        }
        // A reader that stops now holds what the windows allow: no more than the budget and the initial windows.
        pair.responder.consumption = .byHand
        for stream in streams { try pair.initiator.send([UInt8](repeating: 1, count: 8 << 20), on: stream.near) }
        try pair.settle()
        let held = streams.map { pair.responder.log($0.far).unconsumed }
        #expect(held.allSatisfy { $0 <= 1 << 20 })
        #expect(held.reduce(0, +) <= 1 << 20 + 4 * Int(YamuxLimits.windowBytesInitial))
        #expect(held.reduce(0, +) > 4 * Int(YamuxLimits.windowBytesInitial), "some window has grown")
        try pair.checkLedger()
    }

    @Test func yamuxMarkers() throws {
        var limits = YamuxLimits()
        var markers = YamuxMarkers()
        markers.spacingBytes = 1000
        markers.unconfirmedBytesMin = 4000
        markers.unconfirmedBytesMax = 8000
        limits.markers = markers
        limits.common.framePayloadBytesMax = 1000
        let lone = Lone(.initiator, Yamux(role: .initiator, limits: limits))
        let stream = try lone.end.open()
        try lone.end.send([UInt8](repeating: 1, count: 100_000), on: stream)
        _ = lone.take()
        #expect(lone.end.muxer.counters.sent.payloadBytes == 4000, "no more than may be unconfirmed")
        #expect(lone.end.muxer.counters.sent.pingBytes == 4 * 12, "one mark a spacing")
        lone.clock.advance(by: 1_000_000)
        lone.feed(YamuxFrame.pong(0x8000_0003))
        _ = lone.take()
        #expect(lone.end.muxer.counters.sent.payloadBytes > 4000, "an answer lets more go")
        for _ in 0..<200 {
            lone.clock.advance(by: 1_000_000)
            let last = 0x8000_0000 | UInt32(lone.end.muxer.counters.sent.pingBytes / 6) - 1
            lone.feed(YamuxFrame.pong(last))
            let before = lone.end.muxer.counters.sent.payloadBytes
            _ = lone.take()
            #expect(lone.end.muxer.counters.sent.payloadBytes - before <= 8000)
        }
        #expect(lone.end.muxer.counters.sent.payloadBytes == 100_000)
        #expect(lone.end.violations.isEmpty)
    }

    /// Marks are sent while bulk goes both ways with small messages beside it, and at no other time.
    @Test(arguments: [(bulkBack: true, small: true), (true, false), (false, true)])
    func yamuxMarksWhenContended(bulkBack: Bool, small: Bool) throws {
        var limits = YamuxLimits()
        limits.markers = .whenContended
        let spacing = try #require(limits.markers).spacingBytes
        let lone = Lone(.initiator, Yamux(role: .initiator, limits: limits))
        let (bulk, request) = (try lone.end.open(), try lone.end.open())
        lone.feed(YamuxFrame.windowUpdate(.ack, 1, 1 << 30) + YamuxFrame.windowUpdate(.ack, 3, 0))
        for _ in 0..<10 {
            try lone.end.send([UInt8](repeating: 1, count: 4 * spacing), on: bulk)
            if small { try lone.end.send([2, 3], on: request) }
            if bulkBack { lone.feed(YamuxFrame.data(.none, 1, [UInt8](repeating: 4, count: 2 * spacing))) }
            lone.write(byteLimit: .max, taking: .max)
        }
        let sent = lone.end.muxer.counters.sent
        if bulkBack && small {
            #expect(sent.pingBytes > 12, "the far end is asked")
            #expect(sent.payloadBytes < 40 * spacing, "and waited for")
        } else {
            #expect(sent.pingBytes <= (small ? 3 : 1) * 12, "one measures the round trip for the receive window, two look whether the far end is slow")
            #expect(sent.payloadBytes >= 40 * spacing, "nothing waits")
        }
        #expect(lone.end.violations.isEmpty)
    }

    /// A far end that reads more slowly than we write fills its buffers with our data. A mark now and then finds that out, and data then waits for its answers, so that a small message does not
    /// wait behind megabytes; before a far end that is quick enough nothing waits.
    @Test(arguments: [(readPerRound: 50 << 10, isSlow: true), (2 << 20, false)]) func yamuxMarksForASlowFarEnd(readPerRound: Int, isSlow: Bool) throws {
        var limits = YamuxLimits()
        limits.markers = .whenContended
        let markers = try #require(limits.markers)
        let lone = Lone(.initiator, Yamux(role: .initiator, limits: limits))
        let (bulk, request) = (try lone.end.open(), try lone.end.open())
        lone.feed(YamuxFrame.windowUpdate(.ack, 1, 1 << 30) + YamuxFrame.windowUpdate(.ack, 3, 0))
        var written = 0
        var read = 0
        var unanswered: [(value: UInt32, position: Int)] = []
        var backlogs: [Int] = []
        for _ in 0..<900 {
            while lone.end.muxer.queuedByteCount(on: bulk) < 1 << 20 { try lone.end.send([UInt8](repeating: 1, count: markers.spacingBytes), on: bulk) }
            try lone.end.send([2, 3], on: request)
            // What the kernels of both ends hold at most.
            for frame in written - read < 6 << 20 ? YamuxFrame.frames(in: lone.take()) : [] {
                written += frame.byteCount
                if frame.isPing { unanswered.append((frame.length, written)) }
            }
            // 50 us of the far end's reading.
            lone.clock.advance(by: 50_000)
            read = min(read + readPerRound, written)
            backlogs.append(written - read)
            while let mark = unanswered.first, mark.position <= read {
                unanswered.removeFirst()
                lone.feed(YamuxFrame.pong(mark.value))
            }
        }
        let median = backlogs.suffix(500).sorted()[250]
        if isSlow {
            #expect(median <= 2 * markers.unconfirmedBytesMinBeforeSlow, "\(median) bytes wait at the far end")
        } else {
            #expect(written >= 880 << 20, "nothing waits: \(written) bytes in 900 rounds")
        }
        #expect(lone.end.violations.isEmpty)
    }

    @Test func yamuxKeepalive() throws {
        let pair = Pair(.calm()) { Yamux(role: $0) }
        _ = try pair.open()
        try pair.run(for: 100_000_000_000)
        #expect(pair.initiator.failure == nil && pair.responder.failure == nil)
        #expect(!pair.initiator.roundTrips.isEmpty)
        try pair.checkLedger()
    }

    @Test func yamuxGivesUpASilentFarEnd() throws {
        let lone = Lone(.initiator, Yamux(role: .initiator))
        _ = try lone.end.open()
        _ = lone.take()
        let limits = YamuxLimits()
        lone.advance(by: limits.keepaliveNanoseconds - 1)
        #expect(lone.take().isEmpty)
        lone.advance(by: 1)
        #expect(lone.take().count == 12, "a ping")
        lone.advance(by: limits.pingTimeoutNanoseconds)
        #expect(lone.end.failure == .keepaliveTimeout(afterNanoseconds: limits.pingTimeoutNanoseconds))
        #expect(lone.take() == YamuxFrame.goAway(1), "and says so")
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    /// A far end that provokes answers and never reads them.
    @Test func yamuxControlFramesMax() {
        let attacks: [[UInt8]] = [
            YamuxFrame.ping(7),
            YamuxFrame.windowUpdate(.syn, 1, 0) + YamuxFrame.windowUpdate(.rst, 1, 0),
        ]
        for attack in attacks {
            var limits = YamuxLimits()
            limits.controlFramesMax = 1000
            let lone = Lone(.responder, Yamux(role: .responder, limits: limits))
            var rounds = 0
            while lone.end.failure == nil && rounds < 5000 {
                lone.feed(attack)
                rounds += 1
            }
            #expect(lone.end.failure == .tooManyControlFrames(limit: 1000))
            #expect(rounds >= 990)
        }
    }

    @Test func mplexControlFramesMax() {
        var limits = MplexLimits()
        limits.controlFramesMax = 1000
        limits.common.streamsMax = 1
        let lone = Lone(.responder, Mplex(role: .responder, limits: limits))
        lone.feed([0, 0])
        for id in 1...1000 as ClosedRange<UInt64> { lone.feed(MplexFrame.open(id)) }
        #expect(lone.end.failure == nil)
        lone.feed(MplexFrame.open(1001))
        #expect(lone.end.failure == .tooManyControlFrames(limit: 1000))
    }

    @Test func mplexNameBytesMax() {
        var limits = MplexLimits()
        limits.nameBytesMax = 10
        let lone = Lone(.responder, Mplex(role: .responder, limits: limits))
        lone.feed(MplexFrame.open(0, name: [UInt8](repeating: 65, count: 10)))
        #expect(lone.end.failure == nil && lone.end.accepted.count == 1)
        lone.feed(MplexFrame.open(1, name: [UInt8](repeating: 65, count: 11)))
        #expect(lone.end.failure == .frameTooLarge(byteCount: 11, limitBytes: 10))
    }

    @Test func mplexMessageBytesMax() {
        let most = Lone(.responder, Mplex(role: .responder))
        most.feed(MplexFrame.open(0))
        most.feed(MplexFrame.data(2, 0, [UInt8](repeating: 1, count: 1 << 20)))
        #expect(most.end.failure == nil && most.end.log(most.end.accepted[0]).received.count == 1 << 20)
        let more = Lone(.responder, Mplex(role: .responder))
        more.feed(MplexFrame.open(0))
        more.feed(MplexFrame.header(2, 0, length: 1 << 20 + 1))
        #expect(more.end.failure == .frameTooLarge(byteCount: 1 << 20 + 1, limitBytes: 1 << 20))
    }
}
