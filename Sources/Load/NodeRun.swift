import Bytes
import FoundationEssentials
import Gauge
import Kernel
public import Multiformats
import Muxers
import P2P
public import Reactor
import SecureChannels
import Synchronization

/// The client of a run against a libp2p node that knows nothing of runs, made of what such nodes serve (see `NodeWorkload`).
///
/// ```
/// connect ─▶ open streams, each answered once ─▶ start ─▶ warm-up ─▶ begin ─ window ─ end ─▶ stop ─▶ a last ping ─▶ close
/// ```
///
/// Nobody at the other end counts: what was received is checked as far as the protocols allow (the bytes of pings, the sizes of everything), what was
/// uploaded is what this end has sent, and the figures of the other side are absent. The ledger of this side holds as in any run.
public final class NodeRun: Sendable {
    private let scenario: Scenario
    private let workload: NodeWorkload
    private let loops: [EventLoop]
    private let target: Multiaddr
    private let limits: RunLimits
    private let interruption = Mutex(false)

    /// Connections made at once: a node may limit how many it lets shake hands.
    private static let dialsAtOnce = 16

    /// - Parameters:
    ///   - scenario: what to run; not every workload can be served by a node.
    ///   - loops: started loops.
    ///   - target: the node's address, with its peer ID.
    ///   - limits: how long to wait for what.
    /// - Throws: ``ScenarioError`` when a node cannot serve the scenario.
    public init(scenario: Scenario, loops: [EventLoop], target: Multiaddr, limits: RunLimits = RunLimits()) throws {
        try scenario.validate()
        workload = try NodeWorkload(scenario, on: ProtocolStack(scenario.subject), target: target)
        (self.scenario, self.loops, self.target, self.limits) = (scenario, loops, target, limits)
    }

    /// Ends the measured window as soon as possible; what has been measured is kept and marked partial. Any thread.
    public func interrupt() { interruption.withLock { $0 = true } }

    private var isInterrupted: Bool { interruption.withLock { $0 } }

    private typealias Report = @Sendable (Generator.Progress) -> Void

    /// One connection, or a row of them.
    private struct Link: Sendable {
        let host: P2P.Host
        /// Nil where each operation makes its own.
        let connection: PeerConnection?
        let shard: LoopBound<NodeShard>
    }

    private struct Findings {
        let startedAt = Date.now
        var problems: [String] = []
        var begin = Usage()
        var end = Usage()
        var frames: (begin: UInt64, end: UInt64) = (0, 0)
        var hasBegun = false
        var hasEnded = false
        var isPartial = false
    }

    /// Runs once.
    ///
    /// - Returns: the figures; `valid` says whether they may be believed.
    /// - Throws: when nothing could be measured at all: no connection, or a node that does not serve the protocol.
    public func run(progress: @escaping @Sendable (Generator.Progress) -> Void = { _ in }) async throws -> RunFigures {
        let shards = loops.enumerated().map { number, loop in
            // A loop has as large a part of the count as it has of the connections.
            let connections = stride(from: number, to: scenario.connections, by: loops.count)
            let operations = scenario.count.map { count in
                connections.reduce(0) { $0 + count / scenario.connections + ($1 < count % scenario.connections ? 1 : 0) }
            }
            return LoopBound(NodeShard(loop: loop, workload: workload, seed: scenario.seed, operations: operations), on: loop)
        }
        let links = try await connect(shards)
        var findings = Findings()
        do {
            try await openLanes(links)
            try await awaitReady(shards, progress)
        } catch {
            await end(shards, links)
            throw error
        }
        do {
            try await measure(shards, links, &findings, progress)
        } catch {
            findings.problems.append("\(error)")
            findings.isPartial = true
            if findings.hasBegun && !findings.hasEnded { await endWindow(shards, links, &findings) }
        }
        await settle(links, &findings)
        let figures = await figures(shards, links, findings)
        await end(shards, links)
        return figures
    }

    /// Nothing is left of the run.
    private func end(_ shards: [LoopBound<NodeShard>], _ links: [Link]) async {
        for shard in shards { await shard.loop.perform { shard.value.stop() } }
        for link in links { await link.host.close() }
        for shard in shards { await shard.loop.perform { shard.value.forget() } }
    }

    // MARK: Connecting

    private func connect(_ shards: [LoopBound<NodeShard>]) async throws -> [Link] {
        var links: [Link] = []
        do {
            for start in stride(from: 0, to: scenario.connections, by: Self.dialsAtOnce) {
                let numbers = start..<min(start + Self.dialsAtOnce, scenario.connections)
                links += try await withThrowingTaskGroup(of: Link.self) { group in
                    for number in numbers {
                        group.addTask { try await self.link(number, shards[number % shards.count]) }
                    }
                    var made: [Link] = []
                    var failure: (any Error)?
                    while let result = await group.nextResult() {
                        switch result {
                        case .success(let link): made.append(link)
                        case .failure(let error): failure = failure ?? error
                        }
                    }
                    guard let failure else { return made }
                    for link in made { await link.host.close() }
                    throw failure
                }
                if isInterrupted { throw RunError.interrupted }
            }
        } catch {
            for link in links { await link.host.close() }
            throw error
        }
        return links
    }

    private func link(_ number: Int, _ shard: LoopBound<NodeShard>) async throws -> Link {
        var configuration = HostConfiguration(identity: try LocalIdentity(generating: .ed25519))
        configuration.loops = .shared([shard.loop])
        configuration.security = [workload.security]
        configuration.muxers = [workload.muxer]
        configuration.limits.dialNanoseconds = UInt64(limits.answerSeconds * 1e9)
        configuration.limits.upgradeNanoseconds = UInt64(limits.answerSeconds * 1e9)
        configuration.limits.streamsPerConnectionMax = max(configuration.limits.streamsPerConnectionMax, scenario.streams + 16)
        configuration.limits.waitingOpensMax = max(configuration.limits.waitingOpensMax, scenario.streams)
        let host = try P2P.Host(configuration)
        guard workload.kind != .connect else { return Link(host: host, connection: nil, shard: shard) }
        do {
            let connection = try await dial(number, host)
            if workload.kind == .upload || workload.kind == .download { try await probe(connection) }
            return Link(host: host, connection: connection, shard: shard)
        } catch {
            await host.close()
            throw error
        }
    }

    private func dial(_ number: Int, _ host: P2P.Host) async throws(RunError) -> PeerConnection {
        do throws(HostError) {
            return try await host.connect(to: target)
        } catch {
            throw .dialFailed(connection: number, address: "\(target)", reason: "\(error)")
        }
    }

    /// Whether the node serves perf at all: a stream that only uploads would not find out before its end.
    private func probe(_ connection: PeerConnection) async throws(RunError) {
        do throws(HostError) {
            _ = try await Perf.measure(connection, uploadBytes: 0, downloadBytes: 0)
        } catch {
            throw notServed("\(error)")
        }
    }

    private func notServed(_ reason: String) -> RunError { .notServed(node: "\(target)", protocolID: "\(workload.protocolID)", reason: reason) }

    /// Makes and opens what works on each connection.
    private func openLanes(_ links: [Link]) async throws {
        let laneCount = scenario.connections * scenario.streams
        for (index, link) in links.enumerated() {
            let shares = (0..<scenario.streams).map { stream in
                let lane = index * scenario.streams + stream
                return scenario.count.map { $0 / laneCount + (lane < $0 % laneCount ? 1 : 0) }
            }
            let (target, workload, answerSeconds) = (target, workload, limits.answerSeconds)
            let failure: HostError? = await link.shard.loop.perform {
                let shard = link.shard.value
                do throws(HostError) {
                    for (stream, share) in shares.enumerated() {
                        try Self.open(
                            shard, link, workload, UInt32(truncatingIfNeeded: index), UInt64(stream), share, target, answerSeconds)
                    }
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
        }
    }

    private static func open(
        _ shard: NodeShard, _ link: Link, _ workload: NodeWorkload, _ index: UInt32, _ stream: UInt64, _ share: Int?, _ target: Multiaddr,
        _ answerSeconds: Double
    ) throws(HostError) {
        guard let connection = link.connection else {
            let lane = ConnectLane(shard, link.host, target, timeoutNanoseconds: UInt64(answerSeconds * 1e9))
            shard.add(lane)
            return lane.open()
        }
        func open(_ lane: some NodeLane & StreamProtocolHandler) throws(HostError) {
            shard.add(lane)
            try connection.openStream([workload.protocolID], handler: lane)
        }
        switch workload.kind {
        case .ping: try open(PingLane(shard, connection: index, stream: stream))
        case .upload: try open(UploadLane(shard, connection: index, stream: stream))
        case .download: try open(DownloadLane(shard, messages: share))
        case .exchange:
            let lane = ExchangeLane(shard, on: connection, index: index, lane: stream)
            shard.add(lane)
            lane.open()
        case .connect: preconditionFailure("connections of their own have no other")
        }
    }

    private func awaitReady(_ shards: [LoopBound<NodeShard>], _ progress: @escaping Report) async throws {
        let wanted = scenario.connections * scenario.streams
        let limit = Clock.now &+ Nanoseconds(limits.phaseSeconds * 1e9)
        while true {
            let state = await self.state(shards)
            progress(.connecting(ready: state.ready, of: wanted))
            if let failure = state.failure { throw notServed("\(failure)") }
            if state.ready >= wanted { return }
            if isInterrupted { throw RunError.interrupted }
            guard Clock.now < limit else {
                throw notServed("of \(wanted) streams \(state.ready) were answered within \(limits.phaseSeconds) s")
            }
            await sleep(0.002)
        }
    }

    // MARK: Phases

    private func measure(
        _ shards: [LoopBound<NodeShard>], _ links: [Link], _ findings: inout Findings, _ progress: @escaping Report
    ) async throws {
        func start() async { for shard in shards { await shard.loop.perform { shard.value.start() } } }
        if scenario.count != nil {
            await beginWindow(shards, links, &findings)
            await start()
            try await awaitCount(shards, since: Clock.now, progress)
            await endWindow(shards, links, &findings)
        } else {
            await start()
            progress(.warmingUp)
            _ = await wait(seconds: scenario.omitSeconds, shards, nil)
            await beginWindow(shards, links, &findings)
            findings.isPartial = await !wait(seconds: scenario.durationSeconds ?? 0, shards, progress)
            await endWindow(shards, links, &findings)
        }
        findings.isPartial = findings.isPartial || isInterrupted
        progress(.finishing)
        for shard in shards { await shard.loop.perform { shard.value.stop() } }
        let limit = Clock.now &+ Nanoseconds(limits.phaseSeconds * 1e9)
        while case let state = await state(shards), state.live > 0 {
            guard Clock.now < limit else { throw RunError.unanswered(max(state.underWay, state.live), seconds: limits.phaseSeconds) }
            await sleep(0.001)
        }
    }

    private func beginWindow(_ shards: [LoopBound<NodeShard>], _ links: [Link], _ findings: inout Findings) async {
        findings.begin = await usage(shards)
        findings.frames.begin = await frames(links)
        for shard in shards { await shard.loop.perform { shard.value.recorder.begin(at: Clock.now) } }
        findings.hasBegun = true
    }

    private func endWindow(_ shards: [LoopBound<NodeShard>], _ links: [Link], _ findings: inout Findings) async {
        for shard in shards { await shard.loop.perform { shard.value.recorder.end(at: Clock.now) } }
        findings.end = await usage(shards)
        findings.frames.end = await frames(links)
        findings.hasEnded = true
    }

    /// Waits until everything has been started and has ended.
    ///
    /// - Throws: ``RunError/stalled(seconds:)`` when nothing moves for as long as a phase may take.
    private func awaitCount(_ shards: [LoopBound<NodeShard>], since began: Nanoseconds, _ progress: @escaping Report) async throws {
        var last = (totals: Recording.Totals(), live: 0, at: began)
        var tick = 0
        while !isInterrupted {
            let state = await state(shards)
            if state.live == 0 || workload.isOperational && state.isSpent && state.underWay == 0 { return }
            let now = Clock.now
            if state.totals != last.totals || state.live != last.live { last = (state.totals, state.live, now) }
            guard now &- last.at < Nanoseconds(limits.phaseSeconds * 1e9) else { throw RunError.stalled(seconds: limits.phaseSeconds) }
            tick += 1
            if tick % 500 == 0 { progress(.measuring(seconds: Double(now &- began) / 1e9, totals: state.totals)) }
            await sleep(0.001)
        }
    }

    /// Waits for a time; false when nothing was left that could be measured before it was over.
    private func wait(seconds: Double, _ shards: [LoopBound<NodeShard>], _ progress: Report?) async -> Bool {
        let began = Clock.now
        let end = began &+ Nanoseconds(seconds * 1e9)
        var tick = 0
        while case let now = Clock.now, now < end, !isInterrupted {
            await sleep(min(Double(end &- now) / 1e9, 0.02))
            tick += 1
            guard tick % 50 == 0 else { continue }
            let state = await state(shards)
            progress?(.measuring(seconds: Double(Clock.now &- began) / 1e9, totals: state.totals))
            if state.live == 0 { return false }
        }
        return true
    }

    /// What is still on its way to this end arrives before the answer to a last ping, and then the connections end in order: their ledgers are whole.
    private func settle(_ links: [Link], _ findings: inout Findings) async {
        for link in links {
            if let connection = link.connection {
                do throws(HostError) {
                    let ping = try await Ping.open(on: connection)
                    _ = try await ping.roundTrip(timeoutNanoseconds: UInt64(limits.answerSeconds * 1e9))
                    await ping.close()
                } catch {
                    findings.problems.append("the node did not answer a last ping: \(error)")
                }
            }
            await link.host.close()
        }
    }

    // MARK: What there is

    private func state(_ shards: [LoopBound<NodeShard>]) async -> NodeShard.Progress {
        var sum = NodeShard.Progress()
        for shard in shards {
            let part = await shard.loop.perform { shard.value.progress }
            sum.ready += part.ready
            sum.live += part.live
            sum.underWay += part.underWay
            sum.isSpent = sum.isSpent && part.isSpent
            sum.totals = sum.totals + part.totals
            sum.failure = sum.failure ?? part.failure
        }
        return sum
    }

    private func usage(_ shards: [LoopBound<NodeShard>]) async -> Usage {
        var usage = Usage()
        for shard in shards { usage.add(await shard.loop.perform { Usage.Counts(of: shard.loop) }) }
        usage.takeProcess(sharesProcess: false)
        return usage
    }

    private func frames(_ links: [Link]) async -> UInt64 {
        var sum: UInt64 = 0
        for link in links { sum += await link.connection?.counters().muxer.sent.dataFrames ?? 0 }
        return sum
    }

    private func sleep(_ seconds: Double) async {
        // Cancelled means that somebody else will end the run; a sleep that ends early does no harm.
        try? await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
    }

    // MARK: Figures

    private func figures(_ shards: [LoopBound<NodeShard>], _ links: [Link], _ findings: Findings) async -> RunFigures {
        let absent = "the node is not StreamGauge's and does not report"
        var figures = RunFigures()
        figures.startedAt = .value(findings.startedAt.formatted(.iso8601))
        figures.partial = findings.isPartial
        var recording = Recording()
        var ledger = SideLedger()
        var steps = ConnectSteps()
        for problem in findings.problems { figures.invalidate(problem) }
        for shard in shards {
            let part = await shard.loop.perform { (shard.value.recorder.recording(), shard.value.harvest) }
            recording.merge(part.0)
            ledger = ledger + part.1.ledger
            steps.merge(part.1.connectSteps)
            for problem in part.1.problemSentences { figures.invalidate("client: \(problem)") }
        }
        for link in links {
            if let connection = link.connection { ledger = ledger + SideLedger(await connection.counters()) }
        }
        if !findings.hasBegun { figures.invalidate("the measured window was never reached") }
        figures.ledger = RunLedger(client: ledger, server: .unavailable(absent))
        for sentence in figures.ledger.imbalances() { figures.invalidate(sentence) }
        rates(recording, into: &figures)
        let reason = workload.isOperational ? "no operation completed in the window" : "the workload has no answers to wait for"
        figures.apply(recording, emptyBecause: reason)
        let closed = "closed loop: an operation starts when the one before it has ended"
        (figures.service, figures.pacerLateness) = (.unavailable(closed), .unavailable(closed))
        (figures.histograms.service, figures.histograms.pacerLateness) = (.unavailable(closed), .unavailable(closed))
        figures.connectSteps = Measured(steps.steps.isEmpty ? nil : steps.steps, else: workload.kind == .connect ? reason : "measured by the workload connect only")
        figures.apply(Gauge.Measured<Fairness>.unavailable("not measured against a node that is not StreamGauge's"))
        figures.costs(client: (findings.begin, findings.end), server: nil, absent: absent)
        figures.framesSent.client = workload.kind == .connect ? .unavailable("each operation has a connection of its own") : .value(findings.frames.end &- findings.frames.begin)
        let uncounted = "not counted in runs against a node"
        (figures.writes.client, figures.bytesCopied.client) = (.unavailable(uncounted), .unavailable(uncounted))
        return figures
    }

    /// What is uploaded is counted where it is sent: nobody else does.
    private func rates(_ recording: Recording, into figures: inout RunFigures) {
        let (totals, seconds) = (recording.totals, recording.durationSeconds)
        func rate(_ count: UInt64) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
        figures.durationSeconds = seconds
        figures.failures = totals.operationsFailed
        figures.payloadBytes = totals.payloadBytesSent + totals.payloadBytesReceived
        figures.goodputUpBytesPerSecond = .value(rate(totals.payloadBytesSent))
        figures.goodputDownBytesPerSecond = .value(rate(totals.payloadBytesReceived))
        figures.goodputBytesPerSecond = .value(rate(figures.payloadBytes))
        figures.messages = workload.isOperational ? totals.operationsCompleted : totals.messagesSent + totals.messagesReceived
        figures.messagesPerSecond = .value(rate(figures.messages))
    }
}
