import Bytes
import Muxers
import Testing
import TestSupport

/// Input that no honest far end sends: a typed error or none, never a crash, never without bound.
@Suite struct BadInputTests {
    @Test(arguments: Kind.multiplexers, SeededGenerator.seeds(40)) func garbage(kind: Kind, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let role: MuxerRole = random.oneIn(2) ? .initiator : .responder
            let lone = Lone(role, kind.make(role, MuxerLimits()))
            if random.oneIn(2) { _ = try? lone.end.open() }
            let error = lone.feed(random.bytes(random.int(1...4000)), chunk: random.int(1...500))
            #expect(error.map { $0.origin == .remote } ?? true)
            #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
            #expect(lone.end.muxer.streamCount <= MuxerLimits().streamsMax)
            lone.receiveEnd()
            _ = lone.take()
        }
    }

    /// Bits that flip on the way: whatever it does to the streams, both ends stay in bounds and say what they found.
    @Test(arguments: Kind.multiplexers, SeededGenerator.seeds(40)) func falsifiedBytes(kind: Kind, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var plan = FaultPlan.rough(seed)
        plan.pipeBytesMax = max(plan.pipeBytesMax, 1000)
        plan.writeBytesMax = max(plan.writeBytesMax, 200)
        for direction in FaultPlan.Direction.allCases {
            for _ in 0..<random.int(1...3) {
                plan.corruptions.append(.init(direction, offset: UInt64(random.int(0...4000)), mask: 1 << UInt8(random.int(0...7))))
            }
        }
        let pair = kind.pair(plan)
        for _ in 0..<30 {
            for end in [pair.initiator, pair.responder] where end.failure == nil {
                guard let stream = try? end.open() else { continue }
                _ = try? end.send(random.bytes(random.size(upTo: 500)), on: stream)
                if random.oneIn(2) { try? end.finish(stream) }
            }
            try pair.turn()
        }
        try pair.settle()
        for end in [pair.initiator, pair.responder] {
            #expect(end.failure.map { $0.origin == .remote } ?? true)
            #expect(end.muxer.streamCount <= MuxerLimits().streamsMax)
        }
    }

    /// The connection is lost after every possible byte.
    @Test(arguments: Kind.multiplexers) func truncatedAtEveryByte(kind: Kind) throws {
        var cut: UInt64 = 0
        var whole: UInt64 = .max
        while cut <= whole {
            var plan = FaultPlan.calm()
            plan.cuts[.toResponder] = cut
            let pair = kind.pair(plan)
            let streams = try (0..<3).map { _ in try pair.initiator.open() }
            for stream in streams { try pair.initiator.send([1, 2, 3, 4, 5], on: stream) }
            try pair.initiator.finish(streams[0])
            pair.initiator.reset(streams[1])
            try pair.settle()
            whole = pair.initiator.bytesWritten
            #expect(pair.responder.failure == nil)
            // What was not finished when the bytes ended is reset; what was is still there, to be answered.
            for stream in pair.responder.accepted {
                let log = pair.responder.log(stream)
                #expect(log.resetCode != nil || log.remoteHasFinished, "cut at \(cut)")
            }
            #expect(throws: MuxerError.self) { try pair.responder.open() }
            cut += 1
        }
        #expect(cut > 20)
    }

    @Test(arguments: Kind.multiplexers) func nothingIsReadAfterAFatalError(kind: Kind) {
        let lone = Lone(.responder, kind.make(.responder, MuxerLimits()))
        #expect(lone.feed([0xFF] + [UInt8](repeating: 0xFF, count: 30)) != nil)
        var events = EventList()
        let bytes: [UInt8] = [0, 0]
        #expect(throws: MuxerError.closing) { try lone.end.muxer.receive(bytes.rawSpan, at: 0, now: 0, events: &events) }
    }

    @Test func theBareConnectionRefusesBytesBeforeItsStreamWasOpened() {
        let lone = Lone(.initiator, Passthrough(role: .initiator))
        #expect(lone.feed([1]) == .unopenedStream(streamID: 0))
    }
}
