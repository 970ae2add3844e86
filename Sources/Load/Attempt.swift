import Bytes
import FoundationEssentials
import Gauge
import Kernel
import Muxers
import Reactor

/// One repeat of a run, from the first connection to the figures.
struct Attempt: Sendable {
    let generator: Generator
    let control: ControlClient
    let local: SideRun
    let token: UInt64
    let address: SocketAddress
    let progress: @Sendable (Generator.Progress) -> Void

    var scenario: Scenario { generator.scenario }
    var stack: ProtocolStack { generator.stack }
    private var limits: RunLimits { generator.limits }

    /// What is known so far; a failure half-way keeps it.
    struct Findings {
        var startedAt = Date.now
        var problems: [String] = []
        var isPartial = false
        var baseline: (client: Usage, server: Usage)?
        var halfway: (client: Usage, server: Usage)?
        var clientBegin = Usage()
        var clientEnd = Usage()
        var hasBegun = false
        var hasEnded = false
        var server: (outcome: SideOutcome, receipts: [Receipt])?
    }

    func run() async -> RunFigures {
        var findings = Findings()
        do {
            try await measure(&findings)
        } catch {
            findings.problems.append("\(error)")
            findings.isPartial = true
            if findings.hasBegun && !findings.hasEnded { findings.clientEnd = await local.end() }
        }
        let (outcome, receipts) = await local.outcome(begin: findings.clientBegin, end: findings.clientEnd)
        return figures(findings, outcome, receipts)
    }

    private func measure(_ findings: inout Findings) async throws {
        if scenario.flows[0].verb == .hold { findings.baseline = (await local.usage(), try await serverState().usage) }
        try await connect()
        if scenario.flows[0].verb == .hold {
            findings.halfway = (await local.usage(), try await serverState().usage)
            await local.onEach { $0.openRemainingStreams() }
            try await awaitStreams(scenario.connections * scenario.streams)
        }
        if scenario.count != nil {
            try await begin(&findings)
            try await start()
            try await awaitCount()
            if isSource {
                try await stopAndFinish()
                try await awaitArrival()
                try await end(&findings)
            } else {
                try await end(&findings)
                try await stopAndFinish()
            }
        } else {
            try await start()
            progress(.warmingUp)
            await sleep(seconds: scenario.omitSeconds) { _ in generator.isInterrupted }
            try await begin(&findings)
            await awaitTime()
            try await end(&findings)
            try await stopAndFinish()
        }
        findings.isPartial = generator.isInterrupted
        let (reply, receipts) = try await control.call(
            .collect(timeoutSeconds: limits.phaseSeconds), seconds: limits.phaseSeconds + limits.answerSeconds)
        guard case .outcome(let outcome) = reply else { throw ControlError.malformed("an outcome was expected") }
        findings.server = (outcome, try ReceiptList.decode(Slice(copying: receipts).bytes))
    }

    /// Control messages overtake what is still on an emulated link: the window must not close at the server before the last message is there.
    private func awaitArrival() async throws {
        guard stack.link != nil else { return }
        let limit = Clock.now &+ Nanoseconds(limits.phaseSeconds * 1e9)
        while case let streams = try await serverState().streams, streams > 0 {
            guard Clock.now < limit else { throw RunError.streamsLeft(streams, seconds: limits.phaseSeconds) }
            await sleep(seconds: 0.002) { _ in false }
        }
    }

    /// Messages are counted where they arrive, so the window lasts until the last one has.
    private var isSource: Bool { scenario.flows[0].verb.isBulk }

    private func serverState() async throws -> SideState {
        guard case .progress(let state) = try await control.call(.progress).reply else {
            throw ControlError.malformed("the server's state was expected")
        }
        return state
    }

    // MARK: Connecting

    private func connect() async throws {
        let perConnection = stack.hasMuxer ? 1 : scenario.streams
        let dialler = Dialler(
            address: address, token: token, streams: 0..<perConnection, scenario: scenario, responder: generator.memoryResponder)
        let failure = await dialler.dialAll(local)
        if let failure { throw failure }
        guard scenario.flows[0].verb != .connect else { return }
        let isIdle = scenario.flows[0].verb == .hold && stack.hasMuxer
        try await awaitStreams(isIdle ? scenario.connections * max(1, scenario.streams / 10) : scenario.streamsInAll)
    }

    /// Waits until both sides have that many streams.
    private func awaitStreams(_ wanted: Int) async throws {
        let limit = Clock.now &+ Nanoseconds(limits.phaseSeconds * 1e9)
        while true {
            let mine = await local.state().streams
            let server = try await serverState()
            let theirs = server.streams
            progress(.connecting(ready: min(mine, theirs), of: wanted))
            if mine >= wanted && theirs >= wanted { return }
            if let reason = server.acceptFailure { throw RunError.notAccepted(reason: reason) }
            guard Clock.now < limit else { throw RunError.streamsMissing(client: mine, server: theirs, wanted: wanted) }
            if generator.isInterrupted { throw RunError.interrupted }
            await sleep(seconds: 0.002) { _ in false }
        }
    }

    // MARK: Phases

    private func start() async throws {
        try await control.call(.start)
        await local.onEach { $0.startTraffic() }
    }

    private func begin(_ findings: inout Findings) async throws {
        try await control.call(.begin)
        findings.clientBegin = await local.begin()
        generator.windowBegan(at: findings.clientBegin.takenAt)
        findings.hasBegun = true
    }

    private func end(_ findings: inout Findings) async throws {
        findings.clientEnd = await local.end()
        generator.windowEnded(at: findings.clientEnd.takenAt)
        findings.hasEnded = true
        try await control.call(.end)
    }

    private func stopAndFinish() async throws {
        progress(.finishing)
        let seconds = limits.phaseSeconds
        await local.onEach { $0.stopTraffic() }
        try await control.call(.stop)
        if await !local.wait(seconds: seconds, until: { $0.outstanding == 0 && $0.dialling == 0 }) {
            throw RunError.unanswered(await local.onEach { $0.outstanding + $0.dialling }.reduce(0, +), seconds: seconds)
        }
        // Each end must check its whole last message: the receiver is told before the sender sends it.
        try await control.call(.checkAll)
        await local.onEach { $0.checkAll() }
        try await control.call(.finish)
        await local.onEach { $0.finishTraffic() }
        if await !local.wait(seconds: seconds, until: { $0.liveCount == 0 }) {
            let left = await local.onEach { $0.liveCount }.reduce(0, +)
            throw RunError.unfinished(connections: left, seconds: seconds)
        }
    }

    private func awaitTime() async {
        let began = Clock.now
        await sleep(seconds: scenario.durationSeconds ?? 0) { tick in
            if generator.isInterrupted || control.isOver { return true }
            guard tick % 50 == 49 else { return false }
            await tell(since: began)
            return await isCutOff
        }
    }

    /// Every data connection is gone, and no other will come: the rest of the window would measure nothing.
    private var isCutOff: Bool {
        get async {
            await !local.onEach { $0.hasConnections }.contains(true)
        }
    }

    /// Waits until every operation has been started, and answered where there is an answer.
    ///
    /// - Throws: ``RunError/stalled(seconds:)`` when neither side gets any further for as long as a phase may take.
    private func awaitCount() async throws {
        let began = Clock.now
        var tick = 0
        var last: (mine: [Shard.Advance], theirs: Recording.Totals, at: Nanoseconds) = ([], Recording.Totals(), began)
        while !generator.isInterrupted && !control.isOver {
            let mine = await local.onEach { $0.advance }
            if try await isDone(mine) { return }
            tick += 1
            if tick % 100 == 0 {
                let theirs = try await serverState().totals
                if mine != last.mine || theirs != last.theirs { last = (mine, theirs, Clock.now) }
                guard Clock.now &- last.at < Nanoseconds(limits.phaseSeconds * 1e9) else {
                    throw RunError.stalled(seconds: limits.phaseSeconds)
                }
            }
            if tick % 500 == 0 { await tell(since: began) }
            await sleep(seconds: 0.001) { _ in false }
        }
    }

    private func isDone(_ shards: [Shard.Advance]) async throws -> Bool {
        let verb = scenario.flows[0].verb
        // Without connections, and without one on its way, nothing more can happen.
        if shards.allSatisfy({ $0.connections == 0 }) { return true }
        guard isSource else {
            return shards.reduce(0) { $0 + $1.completed } >= UInt64(scenario.count ?? 0)
        }
        guard verb == .receive || shards.allSatisfy({ $0.left == 0 }) else { return false }
        guard scenario.serverSends else { return true }
        return try await serverState().isSpent
    }

    private func tell(since began: Nanoseconds) async {
        // A server that does not answer is noticed by the phase that needs it.
        guard let theirs = try? await serverState().totals else { return }
        var totals = await local.state().totals
        totals.payloadBytesReceived += theirs.payloadBytesReceived
        totals.messagesReceived += theirs.messagesReceived
        progress(.measuring(seconds: Double(Clock.now &- began) / 1e9, totals: totals))
    }

    /// Sleeps in short steps, so that an interruption is heard.
    private func sleep(seconds: Double, unless: (Int) async -> Bool) async {
        let end = Clock.now &+ Nanoseconds(seconds * 1e9)
        var tick = 0
        while case let now = Clock.now, now < end {
            try? await Task.sleep(nanoseconds: min(end &- now, 20_000_000))
            if await unless(tick) { return }
            tick += 1
        }
    }
}
