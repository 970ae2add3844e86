import Bytes
import CProbes
import Gauge
import Kernel
import Muxers
import P2P
import Reactor

/// One side of a run in this process: its shards, one a loop, driven through the phases together.
final class SideRun: Sendable {
    let side: Side
    let scenario: Scenario
    let shards: [LoopBound<Shard>]
    /// Client and server are one process: what belongs to whom cannot be told apart.
    let sharesProcess: Bool
    private let heapDumps: HeapDumps?

    /// - Parameter operations: how many operations all shards together may start; nil for no limit.
    init(
        side: Side, scenario: Scenario, stack: ProtocolStack, loops: [EventLoop], operations: Int?, sharesProcess: Bool
    ) async throws {
        self.side = side
        self.scenario = scenario
        self.sharesProcess = sharesProcess
        var shards: [LoopBound<Shard>] = []
        for (number, loop) in loops.enumerated() {
            func part(_ whole: Int) -> Int { whole / loops.count + (number < whole % loops.count ? 1 : 0) }
            let (share, streams) = (operations.map(part), part(scenario.connections) * scenario.streams)
            let rate = side == .client ? scenario.ratePerSecond.map { $0 / Double(loops.count) } : nil
            let made = await loop.perform { () -> Result<LoopBound<Shard>, any Error> in
                Result {
                    let shard = try Shard(loop: loop, side: side, scenario: scenario, stack: stack, operations: share, streams: streams)
                    if let rate { shard.pacer = Pacer(shard: shard, ratePerSecond: rate) }
                    return LoopBound(shard, on: loop)
                }
            }
            shards.append(try made.get())
        }
        self.shards = shards
        // Before the first connection, so that what streams hold is seen.
        heapDumps = HeapDumps(side: side, sharesProcess: sharesProcess)
    }

    /// Runs `body` on every shard's loop, one after the other.
    @discardableResult
    func onEach<R: Sendable>(_ body: @escaping @Sendable (Shard) -> R) async -> [R] {
        var results: [R] = []
        for shard in shards {
            results.append(await shard.loop.perform { body(shard.value) })
        }
        return results
    }

    /// Waits until `condition` holds on every shard; false when it does not within `seconds`.
    func wait(seconds: Double, until condition: @escaping @Sendable (Shard) -> Bool) async -> Bool {
        let limit = Clock.now &+ Nanoseconds(seconds * 1e9)
        for shard in shards {
            let held = await withCheckedContinuation { continuation in
                shard.loop.submit { shard.value.wait(until: limit, condition) { continuation.resume(returning: $0) } }
            }
            guard held else { return false }
        }
        return true
    }

    // MARK: Phases

    func begin() async -> Usage {
        await onEach { $0.beginWindow() }
        let usage = await usage { cp_measuring_begun($0 == .server ? 1 : 0) }
        heapDumps?.dump(.begin)
        return usage
    }

    func end() async -> Usage {
        let usage = await usage { cp_measuring_ended($0 == .server ? 1 : 0) }
        heapDumps?.dump(.end)
        await onEach { $0.endWindow() }
        return usage
    }

    func state() async -> SideState {
        let each = await onEach { shard -> (Recording.Totals, streams: Int, isSpent: Bool) in
            var streams = 0
            shard.forEachLive { streams += $0.liveLanes }
            return (shard.recorder.totals, streams, shard.operationsAreSpent)
        }
        return SideState(
            totals: each.reduce(Recording.Totals()) { $0 + $1.0 }, streams: each.reduce(0) { $0 + $1.streams },
            isSpent: !each.contains { !$0.isSpent }, usage: await usage())
    }

    /// What this side has used so far. `mark` is called on each shard's thread as its counters are read.
    func usage(_ mark: @escaping @Sendable (Side) -> Void = { _ in }) async -> Usage {
        var usage = Usage()
        let each = await onEach { shard in
            mark(shard.side)
            return shard.counts()
        }
        for counts in each { usage.add(counts) }
        usage.takeProcess(sharesProcess: sharesProcess)
        return usage
    }

    /// Everything that is left when all connections have ended.
    func outcome(begin: Usage, end: Usage) async -> (SideOutcome, [Receipt]) {
        let each = await onEach { shard in
            (shard.recorder.recording(), shard.harvest.ledger, shard.harvest.problemSentences, shard.harvest.windowBytes,
             shard.harvest.longestSilence, shard.harvest.allReceipts, shard.liveCount, shard.harvest.connectSteps)
        }
        let samples = FlowSampler.merged(await onEach { $0.sampler?.samples ?? [] })
        var outcome = SideOutcome(begin: begin, end: end)
        outcome.flowSamples = samples
        var receipts: [Receipt] = []
        for (recording, ledger, problems, bytes, silence, list, live, steps) in each {
            outcome.recording.merge(recording)
            outcome.ledger = outcome.ledger + ledger
            outcome.problems += problems
            outcome.windowBytes += bytes
            outcome.longestSilenceNanoseconds = max(outcome.longestSilenceNanoseconds, silence)
            receipts += list
            outcome.connectSteps.merge(steps)
            if live > 0 { outcome.problems.append("\(live) connections were still open at the end") }
        }
        outcome.problems += heapDumps?.problems ?? []
        outcome.stages = await stageNotes()
        return (outcome, scenario.flows.contains { $0.verb.isEphemeral } ? PooledReceipts.merged(receipts) : receipts)
    }
}

extension SideRun {
    /// What all shards noted of the stages of latency; nil where they are not measured.
    private func stageNotes() async -> StageNotes? {
        guard scenario.measuresStages == true else { return nil }
        var all = StageNotes(bootID: StageNotes.bootIDHere)
        for notes in await onEach({ $0.stages?.notes }).compactMap({ $0 }) {
            all.sent.merge(notes.sent)
            all.received.merge(notes.received)
        }
        return all
    }
}

/// What one side hands over at the end, beside its receipts.
struct SideOutcome: Codable, Equatable, Sendable {
    var recording = Recording()
    var ledger = SideLedger()
    var problems: [String] = []
    var windowBytes: [UInt64] = []
    var longestSilenceNanoseconds: UInt64 = 0
    var connectSteps = ConnectSteps()
    /// Nil where stages of latency are not measured.
    var stages: StageNotes?
    /// Over an emulated link.
    var flowSamples: [FlowSample] = []
    var begin: Usage
    var end: Usage

    init(begin: Usage, end: Usage) {
        self.begin = begin
        self.end = end
    }
}

/// What a side has used up to a moment; the window's share is a difference of two.
struct Usage: Codable, Equatable, Sendable {
    var takenAt: UInt64 = Clock.now
    var userNanoseconds: Gauge.Measured<UInt64> = .unmeasured
    var systemNanoseconds: Gauge.Measured<UInt64> = .unmeasured
    var residentBytes: Gauge.Measured<UInt64> = .unmeasured
    var residentPeakBytes: Gauge.Measured<UInt64> = .unmeasured
    var allocatedBytes: Gauge.Measured<UInt64> = .unmeasured
    var allocations: Gauge.Measured<UInt64> = .unmeasured
    var syscalls: [String: UInt64] = [:]
    var wakeups: UInt64 = 0
    var framesSent: UInt64 = 0
    var writes: UInt64 = 0
    var bytesCopied: UInt64 = 0
    var socketOptions: [String: OptionValue] = [:]
    var stalls = StallTimes()

    /// One shard's counts.
    struct Counts: Sendable {
        var syscalls: [String: UInt64] = [:]
        var wakeups: UInt64 = 0
        var framesSent: UInt64 = 0
        var writes: UInt64 = 0
        var bytesCopied: UInt64 = 0
        var socketOptions: [String: OptionValue] = [:]
        var stalls = StallTimes()

        /// What a loop has counted itself. On the loop.
        init(of loop: EventLoop) {
            ThreadHeap.settleCounts()
            for (name, count) in loop.counts.byName where count > 0 { syscalls[name] = count }
            wakeups = loop.turnCounts.wakeups
        }
    }

    mutating func add(_ counts: Counts) {
        syscalls.merge(counts.syscalls) { $0 + $1 }
        wakeups += counts.wakeups
        framesSent += counts.framesSent
        writes += counts.writes
        bytesCopied += counts.bytesCopied
        stalls += counts.stalls
        if socketOptions.isEmpty { socketOptions = counts.socketOptions }
    }

    /// The figures that only the process as a whole has.
    mutating func takeProcess(sharesProcess: Bool) {
        guard !sharesProcess else {
            let reason = Gauge.Measured<UInt64>.unavailable("client and server share one process")
            (userNanoseconds, systemNanoseconds, residentBytes, residentPeakBytes) = (reason, reason, reason, reason)
            (allocatedBytes, allocations) = (reason, reason)
            return
        }
        let process = ProcessUsage.now()
        let heap = HeapUsage.now()
        userNanoseconds = .value(process.userNanoseconds)
        systemNanoseconds = .value(process.systemNanoseconds)
        residentBytes = process.residentBytes.forRecord
        residentPeakBytes = process.residentPeakBytes.forRecord
        allocatedBytes = heap.allocatedBytes.forRecord
        allocations = heap.allocationCount.forRecord
    }
}

extension Kernel.Measured {
    /// The same in the form that records have.
    var forRecord: Gauge.Measured<Value> {
        switch self {
        case .value(let value): .value(value)
        case .unavailable(let reason): .unavailable(reason)
        }
    }
}

extension Shard {
    func counts() -> Usage.Counts {
        var counts = Usage.Counts(of: loop)
        counts.framesSent = harvest.framesSent
        counts.writes = harvest.writes
        counts.bytesCopied = harvest.bytesCopied
        counts.stalls = harvest.stalls
        forEachLive { traffic in
            guard let connection = traffic.connection else { return }
            counts.framesSent += connection.muxer.counters.sent.dataFrames
            counts.writes += connection.writes
            counts.bytesCopied += connection.bytesCopied
            counts.stalls.add(connection, withheldNanoseconds: traffic.withheldNanoseconds, at: loop.now)
            if counts.socketOptions.isEmpty { counts.socketOptions = socketOptions(of: connection) }
        }
        return counts
    }

    /// What the kernel made of the options of a connection's socket; nothing where there is no socket.
    private func socketOptions(of connection: Connection) -> [String: OptionValue] {
        let channel = (connection.channel as? SecuredChannel)?.raw ?? connection.channel
        guard let settings = loop.settings(of: channel) else { return [:] }
        var options: [String: OptionValue] = [
            "so_rcvbuf": .number(settings.receiveBufferBytes), "so_sndbuf": .number(settings.sendBufferBytes),
            "so_rcvlowat": .number(settings.receiveLowWaterBytes), "tcp_nodelay": settings.noDelay == true ? 1 : 0,
        ]
        if let mark = settings.notSentLowWaterBytes { options["tcp_notsent_lowat"] = .number(mark) }
        if let name = settings.congestionControl { options["tcp_congestion"] = .name(name) }
        return options
    }

    /// Calls back with true as soon as `condition` holds, or with false at `limit`.
    func wait(until limit: Nanoseconds, _ condition: @escaping (Shard) -> Bool, _ done: @escaping (Bool) -> Void) {
        if condition(self) { return done(true) }
        let timer = loop.makeTimer { [unowned self] in
            onProgress = nil
            done(condition(self))
        }
        timer.arm(at: limit)
        onProgress = { [unowned self] in
            guard condition(self) else { return }
            onProgress = nil
            timer.cancel()
            done(true)
        }
    }
}
