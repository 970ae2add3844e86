import Muxers
import Testing
import TestSupport

/// Who sends when: sparse streams ahead of bulk, bulk streams alike, nobody never.
@Suite struct SchedulingTests {
    /// A calm pipe that is small against what the streams want to send, so that the order is the scheduler's.
    static func narrow(_ seed: UInt64 = 1) -> FaultPlan {
        var plan = FaultPlan.calm(seed)
        plan.pipeBytesMax = 32 << 10
        plan.transmitBytesMax = 128 << 10
        return plan
    }

    /// What is in the pipe and the one frame that was begun cannot be overtaken; all else is, unless frames cannot be taken back.
    static func aheadBytesMax(_ kind: Kind, _ plan: FaultPlan) -> Int {
        plan.pipeBytesMax + MuxerLimits().framePayloadBytesMax + (kind.takesBack ? 0 : plan.transmitBytesMax)
    }

    @Test(arguments: Kind.multiplexers.filter(\.sendsSparseFirst)) func aSparseStreamOvertakesBulk(kind: Kind) throws {
        let pair = kind.pair(Self.narrow())
        pair.responder.consumption = .atOnce
        var bulk: [StreamHandle] = []
        for _ in 0..<20 { bulk.append(try pair.open().near) }
        let (near, far) = try pair.open()
        for stream in bulk { try pair.initiator.send([UInt8](repeating: 1, count: 1 << 20), on: stream) }
        for _ in 0..<50 {
            for _ in 0..<7 { try pair.turn() }
            let before = pair.responder.arrivals.count
            try pair.initiator.send([UInt8](repeating: 2, count: 64), on: near)
            let wanted = pair.responder.log(far).received.count + 64
            try pair.run { pair.responder.log(far).received.count == wanted }
            let overtook = pair.responder.arrivals[before...].prefix { $0.stream != pair.responder.key(far) }
            let ahead = overtook.reduce(0) { $0 + $1.byteCount }
            #expect(ahead <= Self.aheadBytesMax(kind, pair.plan))
        }
        #expect(pair.initiator.muxer.queuedByteCount(on: bulk[0]) > 0, "the bulk was still going")
    }

    @Test(arguments: Kind.multiplexers) func bulkStreamsShareAlike(kind: Kind) throws {
        let pair = kind.pair(Self.narrow())
        var streams: [(near: StreamHandle, far: StreamHandle)] = []
        for _ in 0..<10 { streams.append(try pair.open()) }
        // Messages of quite different sizes: the share is in bytes, not in messages.
        for (index, stream) in streams.enumerated() {
            let message = [UInt8](repeating: UInt8(index), count: 500 << index)
            for _ in 0..<(3 << 20) / message.count { try pair.initiator.send(message, on: stream.near) }
        }
        let limits = MuxerLimits()
        for _ in 0..<300 {
            try pair.turn()
            let received = streams.map { pair.responder.log($0.far).received.count }
            guard let least = received.min(), let most = received.max() else { continue }
            #expect(most - least <= 2 * (limits.framePayloadBytesMax + limits.quantumBytes), "\(received)")
        }
        let received = streams.map { Double(pair.responder.log($0.far).received.count) }
        let jain = pow2(received.reduce(0, +)) / (10 * received.reduce(0) { $0 + pow2($1) })
        #expect(jain > 0.99)
        #expect(pair.initiator.muxer.queuedByteCount(on: streams[0].near) > 0, "all were still sending")
    }

    private func pow2(_ value: Double) -> Double { value * value }

    /// Frames are transmitted far beyond what the pipe takes, so that most of every transmit comes back.
    @Test(arguments: Kind.multiplexers, [40, 60, 100]) func busyLittleStreamsDoNotStarveBulk(kind: Kind, littleCount: Int) throws {
        var plan = Self.narrow()
        plan.transmitBytesMax = 512 << 10
        let pair = kind.pair(plan)
        let (bulk, bulkFar) = try pair.open()
        var little: [(near: StreamHandle, far: StreamHandle)] = []
        for _ in 0..<littleCount { little.append(try pair.open()) }
        try pair.initiator.send([UInt8](repeating: 1, count: 1 << 20), on: bulk)
        var turns = 0
        while pair.responder.log(bulkFar).received.count < 1 << 20 {
            // Each always has something to send: more in total than the pipe takes.
            for stream in little where pair.initiator.muxer.queuedByteCount(on: stream.near) == 0 {
                try pair.initiator.send([UInt8](repeating: 2, count: 1000), on: stream.near)
            }
            try pair.turn()
            turns += 1
            try #require(turns < 20_000, "the bulk stream starves at \(pair.responder.log(bulkFar).received.count)")
        }
        let least = little.map { pair.responder.log($0.far).received.count }.min() ?? 0
        #expect(least > 1000, "and neither do the little ones")
    }

    @Test(arguments: Kind.multiplexers) func finishesOfIdleStreamsAreNotHeldUpByBulk(kind: Kind) throws {
        let pair = kind.pair(Self.narrow())
        let bulk = try pair.open().near
        let (near, far) = try pair.open()
        try pair.initiator.send([UInt8](repeating: 1, count: 4 << 20), on: bulk)
        for _ in 0..<5 { try pair.turn() }
        let before = pair.responder.arrivals.count
        try pair.initiator.finish(near)
        try pair.run { pair.responder.log(far).remoteHasFinished }
        let ahead = pair.responder.arrivals[before...].reduce(0) { $0 + $1.byteCount }
        #expect(ahead <= Self.aheadBytesMax(kind, pair.plan))
    }
}
