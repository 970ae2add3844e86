import Muxers
import Testing
import TestSupport

/// Random operations at both ends against a plain model: what was sent on a stream, who has finished and who has reset it. Thousands of
/// steps a seed, over bytes that travel as the seed's plan says.
@Suite struct ModelTests {
    @Test(arguments: Kind.multiplexers + Kind.allMarked, SeededGenerator.seeds(10)) func randomOperations(kind: Kind, seed: UInt64) throws {
        var plan = FaultPlan.rough(seed)
        // A model test wants many operations under way more than it wants many pieces.
        plan.pipeBytesMax = max(plan.pipeBytesMax, 2000)
        plan.writeBytesMax = max(plan.writeBytesMax, 500)
        var limits = MuxerLimits()
        limits.streamsMax = 60
        limits.sendQueueBytesMax = 350_000
        limits.sendLowWaterBytes = 10_000
        let pair = kind.pair(plan, limits: limits)
        for end in [pair.initiator, pair.responder] { end.consumption = .byHand }
        var model = Model(random: SeededGenerator(seed: seed), limits: limits)
        for _ in 0..<1200 {
            try model.act(on: pair)
            if model.random.oneIn(2) { try pair.turn() }
        }
        try model.wind(up: pair)
    }
}

/// The application of both ends, and what must come of it.
struct Model {
    var random: SeededGenerator
    let limits: MuxerLimits
    /// What messages are pieces of.
    private let text: [UInt8]

    init(random: SeededGenerator, limits: MuxerLimits) {
        self.random = random
        self.limits = limits
        text = self.random.bytes(40_000)
    }



    mutating func act(on pair: Pair) throws {
        let end = random.oneIn(2) ? pair.initiator : pair.responder
        guard random.int(0...9) > 1, let stream = end.handles.suffix(80).randomElement(using: &random) else { return try open(end) }
        switch random.int(0...20) {
        case 0...8: try send(end, stream)
        case 9...10: try finish(end, stream)
        case 11: end.reset(stream, code: UInt32(random.int(0...9)))
        case 12...17: end.consume(stream, byteCount: random.size(upTo: end.log(stream).isLive ? end.log(stream).unconsumed : 0))
        case 18: end.consumeAll()
        default: try pair.turn()
        }
    }

    private func open(_ end: End) throws {
        do {
            _ = try end.open()
        } catch {
            switch error {
            case .tooManyStreams(let limit): #expect(limit == limits.streamsMax && end.muxer.streamCount >= limit)
            case .tooManyUnacknowledgedStreams: break
            case .responderOpensNone: #expect(end.role == .responder)
            default: throw error
            }
        }
    }

    private mutating func send(_ end: End, _ stream: StreamHandle) throws {
        let log = end.log(stream)
        let count = random.oneIn(20) ? 300_000 : random.size(upTo: 20_000)
        let start = random.int(0...text.count - 20_000)
        do {
            let message = count > 20_000 ? [UInt8](repeating: text[start], count: count) : Array(text[start..<start + count])
            try end.send(message, on: stream)
            #expect(log.isLive && !log.hasFinished)
        } catch {
            switch error {
            case .unknownStream: #expect(!log.isLive)
            case .sendSideClosed: #expect(log.hasFinished)
            case .sendQueueFull: #expect(end.muxer.queuedByteCount(on: stream) + count > limits.sendQueueBytesMax)
            default: throw error
            }
        }
    }

    private func finish(_ end: End, _ stream: StreamHandle) throws {
        let isLive = end.log(stream).isLive
        do {
            try end.finish(stream)
            #expect(isLive)
        } catch {
            guard case .unknownStream = error else { throw error }
            #expect(!isLive)
        }
    }

    /// Finishes everything, reads everything, and compares both ends.
    func wind(up pair: Pair) throws {
        for end in [pair.initiator, pair.responder] {
            end.consumption = .atOnce
            end.consumeAll()
        }
        try pair.settle()
        for end in [pair.initiator, pair.responder] {
            for stream in end.handles where end.log(stream).isLive { try end.finish(stream) }
        }
        try pair.settle()
        #expect(pair.initiator.failure == nil && pair.responder.failure == nil)
        #expect(pair.initiator.muxer.streamCount == 0 && pair.responder.muxer.streamCount == 0)
        for (here, there) in [(pair.initiator, pair.responder), (pair.responder, pair.initiator)] {
            for (key, log) in here.logs where key.wireID < 1 << 60 { compare(key, log, there.logs[key]) }
        }
        try pair.checkLedger()
    }

    private func compare(_ key: StreamKey, _ here: StreamLog, _ there: StreamLog?) {
        guard let there else {
            // The far end never knew of it: it was reset before it was announced, or refused for want of room.
            #expect(here.wasReset || here.resetCode != nil, "\(key) was lost")
            return
        }
        if here.isClosed {
            // The far end may have reset it after it had finished, and before it heard that we had too.
            #expect(there.isClosed || there.wasReset, "\(key) closed at one end only")
            #expect(here.hasFinished && there.hasFinished)
            #expect(there.received == here.sent || there.wasReset, "\(key) lost bytes")
        } else {
            #expect(here.wasReset || here.resetCode != nil, "\(key) never ended")
            #expect(there.wasReset || there.resetCode != nil || there.isClosed && here.hasFinished, "\(key) was reset at one end only")
            #expect(there.received.count <= here.sent.count)
        }
    }
}
