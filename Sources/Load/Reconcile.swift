import FoundationEssentials
import Gauge
import Muxers

/// Puts the two sides' accounts together, and decides whether they may be believed.
extension Attempt {
    func figures(_ findings: Findings, _ client: SideOutcome, _ clientReceipts: [Receipt]) -> RunFigures {
        var figures = RunFigures()
        figures.startedAt = .value(findings.startedAt.formatted(.iso8601))
        figures.partial = findings.isPartial
        let server = findings.server?.outcome
        for problem in findings.problems { figures.invalidate(problem) }
        for problem in client.problems { figures.invalidate("client: \(problem)") }
        for problem in server?.problems ?? [] { figures.invalidate("server: \(problem)") }
        if !findings.hasBegun { figures.invalidate("the measured window was never reached") }

        figures.ledger = RunLedger(
            client: client.ledger, server: Measured(server?.ledger, else: "the server did not report"))
        for sentence in figures.ledger.imbalances() { figures.invalidate(sentence) }
        reconcile(clientReceipts, findings.server?.receipts, into: &figures)
        rates(client, server, into: &figures)
        latencies(client, server, into: &figures)
        figures.costs(client: (client.begin, client.end), server: server.map { ($0.begin, $0.end) }, absent: "the server did not report")
        memory(findings, client, server, into: &figures)
        link(client, server, into: &figures)
        return figures
    }

    // MARK: Receipts

    private func reconcile(_ client: [Receipt], _ server: [Receipt]?, into figures: inout RunFigures) {
        guard let server else { return figures.invalidate("the server sent no receipts") }
        let sent = client.filter { $0.direction == .up } + server.filter { $0.direction == .down }
        let received = server.filter { $0.direction == .up } + client.filter { $0.direction == .down }
        let comparison = ReceiptLedger.compare(sent: sent, received: received)
        for sentence in comparison.sentences { figures.invalidate(sentence) }
    }

    // MARK: Rates

    private func rates(_ client: SideOutcome, _ server: SideOutcome?, into figures: inout RunFigures) {
        let up = server?.recording ?? Recording()
        let down = client.recording
        func rate(_ count: UInt64, _ recording: Recording) -> Double {
            recording.durationSeconds > 0 ? Double(count) / recording.durationSeconds : 0
        }
        let upRate = rate(up.totals.payloadBytesReceived, up)
        let downRate = rate(down.totals.payloadBytesReceived, down)
        let reason = "the server did not report"
        figures.goodputUpBytesPerSecond = server == nil ? .unavailable(reason) : .value(upRate)
        figures.goodputDownBytesPerSecond = .value(downRate)
        figures.goodputBytesPerSecond = server == nil ? .unavailable(reason) : .value(upRate + downRate)
        figures.payloadBytes = up.totals.payloadBytesReceived + down.totals.payloadBytesReceived
        figures.durationSeconds = down.durationSeconds > 0 ? down.durationSeconds : up.durationSeconds
        if isOperational {
            figures.messages = down.totals.operationsCompleted
            figures.messagesPerSecond = .value(rate(down.totals.operationsCompleted, down))
        } else if scenario.flows[0].verb == .hold {
            figures.messagesPerSecond = .unavailable("silent streams carry no messages")
        } else {
            figures.messages = up.totals.messagesReceived + down.totals.messagesReceived
            figures.messagesPerSecond = .value(rate(up.totals.messagesReceived, up) + rate(down.totals.messagesReceived, down))
        }
        figures.intervals = []
        fairness(client, server, into: &figures)
    }

    /// The workload counts operations that have an answer.
    private var isOperational: Bool { [.request, .churn, .connect].contains(scenario.flows[0].verb) }

    private func fairness(_ client: SideOutcome, _ server: SideOutcome?, into figures: inout RunFigures) {
        let bytes = client.windowBytes + (server?.windowBytes ?? [])
        let silence = max(client.longestSilenceNanoseconds, server?.longestSilenceNanoseconds ?? 0)
        let reason = scenario.flows[0].verb.isEphemeral ? "every operation has a stream of its own" : "no stream received payload in the window"
        figures.apply(Measured(Fairness(bytesPerStream: bytes, longestSilenceNanoseconds: silence), else: reason))
    }

    // MARK: Latency

    private func latencies(_ client: SideOutcome, _ server: SideOutcome?, into figures: inout RunFigures) {
        let reason = isOperational ? "no operation completed in the window" : "the workload has no answers to wait for"
        let intervals = figures.intervals
        figures.apply(client.recording, emptyBecause: reason)
        let steps = client.connectSteps.steps
        figures.connectSteps = Measured(steps.isEmpty ? nil : steps, else: scenario.flows[0].verb == .connect ? reason : "measured by the workload connect only")
        if !isOperational { figures.intervals = intervals }
        figures.latencyStages = StageJoin.stages(client: client.stages, server: server?.stages, scenario: scenario)
        guard scenario.ratePerSecond != nil else {
            let closed = "closed loop: an operation starts when the one before it has ended"
            figures.service = .unavailable(closed)
            figures.pacerLateness = .unavailable(closed)
            figures.histograms.service = .unavailable(closed)
            figures.histograms.pacerLateness = .unavailable(closed)
            return
        }
        guard let lateness = figures.pacerLateness.value else { return }
        if UInt64(lateness.p99) > Pacer.latenessP99Max {
            figures.invalidate(
                "the generator could not keep its schedule: at the 99th percentile it was \(lateness.p99 / 1000) us late (limit \(Pacer.latenessP99Max / 1000) us); lower --rate or free the machine")
        }
    }

    // MARK: The link

    private func link(_ client: SideOutcome, _ server: SideOutcome?, into figures: inout RunFigures) {
        let isSecured = stack.security != nil
        figures.stalls = BothSides(
            client: .value(StallTimes.shares(from: client.begin, to: client.end, isSecured: isSecured)),
            server: Measured(server.map { StallTimes.shares(from: $0.begin, to: $0.end, isSecured: isSecured) }, else: "the server did not report"))
        guard let shape = stack.link else {
            figures.link = .unavailable("there is no emulated link")
            figures.windowTrajectory = .unavailable("observed over an emulated link only")
            return
        }
        figures.link = .value(LinkAccount.figures(shape, figures))
        let trajectories = LinkAccount.trajectories(shape, client: client.flowSamples, server: server?.flowSamples ?? [])
        figures.windowTrajectory = Measured(trajectories.isEmpty ? nil : trajectories, else: server == nil ? "the server did not report" : "no payload was carried")
    }

    // MARK: Memory

    private func memory(_ findings: Findings, _ client: SideOutcome, _ server: SideOutcome?, into figures: inout RunFigures) {
        let added = (scenario.streams - (stack.hasMuxer ? max(1, scenario.streams / 10) : 0)) * scenario.connections
        func slope(_ from: Usage?, _ to: Usage?) -> Measured<Double> {
            guard let from, let to else {
                return .unavailable(scenario.flows[0].verb == .hold ? "the streams were not all opened" : "measured by the workload idle only")
            }
            guard added > 0 else { return .unavailable("there are too few streams for a slope") }
            return from.allocatedBytes.combined(with: to.allocatedBytes) { Double(Int64(bitPattern: $1 &- $0)) / Double(added) }
        }
        // Without a muxer there is no second part: what a stream costs is what its connection costs.
        let from = stack.hasMuxer ? findings.halfway : findings.baseline
        figures.memory.bytesPerStreamClient = slope(from?.client, from == nil ? nil : client.begin)
        figures.memory.bytesPerStreamServer = slope(from?.server, from == nil ? nil : server?.begin)
    }
}

extension RunFigures {
    /// Takes what each side used in the window, and what it held at the window's end.
    ///
    /// - Parameter reason: why there is nothing of the server.
    mutating func costs(client: (begin: Usage, end: Usage), server: (begin: Usage, end: Usage)?, absent reason: String) {
        func both<Value>(_ take: (Usage, Usage) -> Gauge.Measured<Value>) -> BothSides<Gauge.Measured<Value>> {
            BothSides(client: take(client.begin, client.end), server: server.map { take($0.begin, $0.end) } ?? .unavailable(reason))
        }
        func seconds(_ path: KeyPath<Usage, Gauge.Measured<UInt64>>) -> BothSides<Gauge.Measured<Double>> {
            both { begin, end in
                begin[keyPath: path].combined(with: end[keyPath: path]) { Double($1 &- $0) / 1e9 }
            }
        }
        func bytes(_ usage: Usage?, _ path: KeyPath<Usage, Gauge.Measured<UInt64>>) -> Gauge.Measured<Int> {
            usage.map { $0[keyPath: path].map { Int($0) } } ?? .unavailable(reason)
        }
        cpuUserSeconds = seconds(\.userNanoseconds)
        cpuSystemSeconds = seconds(\.systemNanoseconds)
        allocations = both { begin, end in begin.allocations.combined(with: end.allocations) { $1 &- $0 } }
        syscalls = both { begin, end in
            .value(end.syscalls.merging(begin.syscalls) { $0 &- $1 }.filter { $0.value > 0 })
        }
        wakeups = both { .value($1.wakeups &- $0.wakeups) }
        framesSent = both { .value($1.framesSent &- $0.framesSent) }
        writes = both { .value($1.writes &- $0.writes) }
        bytesCopied = both { .value($1.bytesCopied &- $0.bytesCopied) }
        options = both { begin, _ in begin.socketOptions.isEmpty ? .unavailable("no socket was open") : .value(begin.socketOptions) }
        memory.rssBytesClient = bytes(client.end, \.residentBytes)
        memory.rssBytesServer = bytes(server?.end, \.residentBytes)
        memory.rssPeakBytesClient = bytes(client.end, \.residentPeakBytes)
        memory.rssPeakBytesServer = bytes(server?.end, \.residentPeakBytes)
        memory.allocatedBytesClient = bytes(client.end, \.allocatedBytes)
        memory.allocatedBytesServer = bytes(server?.end, \.allocatedBytes)
    }
}
