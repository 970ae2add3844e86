import FoundationEssentials
import Gauge
import Kernel

/// Puts together what two drivers said and what the kernel saw, and decides whether it may be believed.
extension DriverRun {
    func figures(_ findings: Findings, _ problems: [String]) -> RunFigures {
        var figures = RunFigures()
        figures.startedAt = .value(findings.startedAt.formatted(.iso8601))
        figures.partial = findings.reports == nil
        for problem in problems { figures.invalidate(problem) }
        figures.ledger = .unavailable("the ends are drivers, which keep none")
        markAbsent(&figures)
        if let reports = findings.reports { reconcile(reports, findings.traffic, into: &figures) }
        if let begin = findings.begin, let end = findings.end {
            rates(begin, end, into: &figures)
            if let reports = findings.reports { latencies(reports.client, into: &figures) }
            costs(begin, end, into: &figures)
        } else if findings.reports != nil {
            figures.invalidate("the measured window was never reached")
        }
        memory(findings.idle, into: &figures)
        return figures
    }

    /// The workload counts operations that have an answer.
    private var isOperational: Bool { [.request, .churn, .mixed].contains(options.workload) }

    private func markAbsent(_ figures: inout RunFigures) {
        let unseen = "not part of the drivers' contract"
        figures.apply(.unavailable(unseen) as Gauge.Measured<Fairness>)
        figures.framesSent = BothSides(both: .unavailable(unseen))
        figures.writes = BothSides(both: .unavailable(unseen))
        figures.wakeups = BothSides(both: .unavailable(unseen))
        figures.bytesCopied = BothSides(both: .unavailable(unseen))
        figures.allocations = BothSides(both: .unavailable(unseen))
        figures.options = BothSides(both: .unavailable(unseen))
        figures.intervalSeconds = .unavailable(unseen)
        figures.connectSteps = .unavailable("measured by the workload connect only")
        let closed = "closed loop: an operation starts when the one before it has ended"
        figures.service = .unavailable(closed)
        figures.pacerLateness = .unavailable(closed)
        figures.histograms.service = .unavailable(closed)
        figures.histograms.pacerLateness = .unavailable(closed)
        figures.latency = .unavailable("the workload has no answers to wait for")
        figures.histograms.latency = .unavailable("the workload has no answers to wait for")
        figures.wire = .unavailable("the run did not reach its end")
    }

    // MARK: Receipts

    private func reconcile(_ reports: BothSides<DriverContract.Report>, _ traffic: Kernel.Measured<PortTraffic>, into figures: inout RunFigures) {
        for side in Side.allCases {
            for problem in reports[side].problems { figures.invalidate("\(side): \(problem)") }
            if reports[side].received.messages > 0 && reports[side].verified == 0 {
                figures.invalidate("the \(side) received \(Units.format(count: reports[side].received.messages)) messages and compared none of them")
            }
        }
        for direction in Direction.allCases {
            let (sent, received) = (reports[direction.sender].sent, reports[direction.receiver].received)
            guard sent != received else { continue }
            func said(_ carried: DriverContract.Carried) -> String {
                "\(Units.format(count: carried.messages)) messages in \(Units.format(count: carried.bytes)) bytes"
            }
            figures.invalidate("the \(direction.sender) sent \(said(sent)) and the \(direction.receiver) received \(said(received))")
        }
        if options.workload == .idle, reports.client.sent.bytes &+ reports.server.sent.bytes > 0 {
            figures.invalidate("streams that should be silent carried \(Units.format(count: reports.client.sent.bytes &+ reports.server.sent.bytes)) bytes")
        }
        figures.wire = wire(reports, traffic)
        guard case .value(let wire) = figures.wire else { return }
        for (direction, bytes) in [(Direction.up, wire.bytesUp), (.down, wire.bytesDown)] {
            let claimed = reports[direction.receiver].received.bytes
            guard bytes < claimed else { continue }
            figures.invalidate(
                "the kernel counted \(Units.format(count: bytes)) bytes from the \(direction.sender) and the \(direction.receiver) claims "
                    + "\(Units.format(count: claimed)) of payload")
        }
    }

    private func wire(_ reports: BothSides<DriverContract.Report>, _ traffic: Kernel.Measured<PortTraffic>) -> Gauge.Measured<WireBytes> {
        guard subject.stack.contains("+") else {
            return .unavailable("without a multiplexer a connection ends with its stream, and the kernel's count with it")
        }
        switch traffic {
        case .unavailable(let reason): return .unavailable(reason)
        case .value(let traffic):
            let wanted = UInt64(options.connections)
            guard traffic.serverSockets == wanted, traffic.clientSockets == wanted else {
                return .unavailable(
                    "of \(wanted) connections the kernel still had \(traffic.clientSockets) at the client and \(traffic.serverSockets) at the server when all streams were over")
            }
            return .value(
                WireBytes(
                    bytesUp: traffic.bytesUp, bytesDown: traffic.bytesDown,
                    payloadBytes: reports.client.received.bytes &+ reports.server.received.bytes))
        }
    }

    // MARK: Rates

    private func rates(_ begin: BothSides<Reading>, _ end: BothSides<Reading>, into figures: inout RunFigures) {
        func window(_ side: Side) -> (seconds: Double, bytes: UInt64, messages: UInt64, completed: UInt64) {
            let (from, to) = (begin[side].counters, end[side].counters)
            return (
                Double(to.timeNanoseconds &- from.timeNanoseconds) / 1e9, to.receivedBytes &- from.receivedBytes,
                to.receivedMessages &- from.receivedMessages, to.completed &- from.completed
            )
        }
        let (client, server) = (window(.client), window(.server))
        for (side, window) in [(Side.client, client), (.server, server)] where !(0.000_1...1e6).contains(window.seconds) {
            return figures.invalidate("the \(side)'s clock says that the window lasted \(window.seconds) s")
        }
        figures.durationSeconds = client.seconds
        figures.payloadBytes = client.bytes &+ server.bytes
        let (up, down) = (Double(server.bytes) / server.seconds, Double(client.bytes) / client.seconds)
        guard options.workload != .idle else {
            for path in [\RunFigures.goodputBytesPerSecond, \.goodputUpBytesPerSecond, \.goodputDownBytesPerSecond, \.messagesPerSecond] {
                figures[keyPath: path] = .unavailable("silent streams carry no messages")
            }
            return
        }
        figures.goodputUpBytesPerSecond = .value(up)
        figures.goodputDownBytesPerSecond = .value(down)
        figures.goodputBytesPerSecond = .value(up + down)
        if figures.payloadBytes == 0 { figures.invalidate("no payload arrived in the window") }
        guard isOperational else {
            figures.messages = client.messages &+ server.messages
            figures.messagesPerSecond = .value(Double(client.messages) / client.seconds + Double(server.messages) / server.seconds)
            return
        }
        figures.messages = client.completed
        figures.messagesPerSecond = .value(Double(client.completed) / client.seconds)
    }

    /// Latency comes with the report.
    private func latencies(_ report: DriverContract.Report, into figures: inout RunFigures) {
        guard isOperational else { return }
        do {
            let histogram = try DriverContract.histogram(report.latency)
            figures.latency = Gauge.Measured(histogram.summary(), else: "no operation completed in the window")
            figures.histograms.latency = Gauge.Measured(histogram.isEmpty ? nil : histogram, else: "no operation completed in the window")
            // Those that end while the window opens or closes may be counted in one of the two only.
            let underWay = UInt64(options.connections * options.streams * options.depth)
            if max(histogram.count, figures.messages) - min(histogram.count, figures.messages) > underWay {
                figures.invalidate("the client completed \(Units.format(count: figures.messages)) operations in the window and has \(Units.format(count: histogram.count)) latencies")
            }
        } catch {
            figures.invalidate("client: \(error)")
        }
    }

    // MARK: Costs

    private func costs(_ begin: BothSides<Reading>, _ end: BothSides<Reading>, into figures: inout RunFigures) {
        for side in Side.allCases {
            let (from, to) = (begin[side].usage, end[side].usage)
            let total = difference(from.processorNanoseconds, to.processorNanoseconds)
            let share = systemShare(from.ticks, to.ticks)
            figures.cpuUserSeconds[side] = total.combined(with: share) { Double($0) / 1e9 * (1 - $1) }
            figures.cpuSystemSeconds[side] = total.combined(with: share) { Double($0) / 1e9 * $1 }
            figures.syscalls[side] = syscalls(side, begin[side], end[side])
        }
        figures.memory.rssBytesClient = end.client.usage.residentBytes.forRecord.map { Int($0) }
        figures.memory.rssBytesServer = end.server.usage.residentBytes.forRecord.map { Int($0) }
        figures.memory.rssPeakBytesClient = end.client.usage.residentPeakBytes.forRecord.map { Int($0) }
        figures.memory.rssPeakBytesServer = end.server.usage.residentPeakBytes.forRecord.map { Int($0) }
        let unknown = "the allocator of a driver is its own"
        figures.memory.allocatedBytesClient = .unavailable(unknown)
        figures.memory.allocatedBytesServer = .unavailable(unknown)
    }

    private func difference(_ from: Kernel.Measured<UInt64>, _ to: Kernel.Measured<UInt64>) -> Gauge.Measured<UInt64> {
        from.forRecord.combined(with: to.forRecord) { $1 &- $0 }
    }

    /// How user and system time share the total: the kernel tells it in ticks only.
    private func systemShare(
        _ from: Kernel.Measured<(user: UInt64, system: UInt64)>, _ to: Kernel.Measured<(user: UInt64, system: UInt64)>
    ) -> Gauge.Measured<Double> {
        from.forRecord.combined(with: to.forRecord) { from, to in
            let (user, system) = (to.user &- from.user, to.system &- from.system)
            return user + system == 0 ? 0.5 : Double(system) / Double(user + system)
        }
    }

    private func syscalls(_ side: Side, _ begin: Reading, _ end: Reading) -> Gauge.Measured<[String: UInt64]> {
        if let from = begin.counters.syscalls, let to = end.counters.syscalls {
            return .value(to.merging(from) { $0 &- $1 }.filter { $0.value > 0 })
        }
        guard kernelCountsCalls[side] else { return .unavailable("the driver does not count them, and the kernel counts read and write only") }
        return begin.usage.calls.forRecord.combined(with: end.usage.calls.forRecord) { from, to in
            ["read": to.reads &- from.reads, "write": to.writes &- from.writes]
        }
    }

    // MARK: Memory

    private func memory(_ idle: (part: BothSides<Memory>, whole: BothSides<Memory>)?, into figures: inout RunFigures) {
        let added = (options.streams - max(1, options.streams / 10)) * options.connections
        func slope(_ side: Side, _ take: (Memory) -> Gauge.Measured<UInt64>) -> Gauge.Measured<Double> {
            guard options.workload == .idle else { return .unavailable("measured by the workload idle only") }
            guard let idle else { return .unavailable("the streams were not all opened") }
            guard added > 0 else { return .unavailable("there are too few streams for a slope") }
            return take(idle.part[side]).combined(with: take(idle.whole[side])) { Double(Int64(bitPattern: $1 &- $0)) / Double(added) }
        }
        let noHeap = "the driver does not tell what is alive on its heap"
        figures.memory.bytesPerStreamClient = slope(.client) { Gauge.Measured($0.heapBytes, else: noHeap) }
        figures.memory.bytesPerStreamServer = slope(.server) { Gauge.Measured($0.heapBytes, else: noHeap) }
        figures.memory.rssBytesPerStreamClient = slope(.client) { $0.residentBytes.forRecord }
        figures.memory.rssBytesPerStreamServer = slope(.server) { $0.residentBytes.forRecord }
    }
}
