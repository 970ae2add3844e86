import Gauge

/// The byte ledger as a table whose columns add up.
enum LedgerTable {
    static func lines(_ ledger: RunLedger, width: Int) -> [String] {
        var columns: [(title: String, ledger: ByteLedger)] = [("client\nsent", ledger.client.sent)]
        let server = ledger.server.value
        if let server { columns.append(("server\nreceived", server.received)) }
        if let server { columns.append(("server\nsent", server.sent)) }
        columns.append(("client\nreceived", ledger.client.received))
        guard columns.contains(where: { $0.ledger != .zero }) else { return [] }
        // The client's own columns stay when there is no room for all four.
        var table = TextTable(
            [TextTable.Column("", .left)]
                + columns.map { TextTable.Column($0.title, importance: $0.title.hasPrefix("client") ? .max : 1) })
        func add(_ name: String, _ value: (ByteLedger) -> String) { table.add([name] + columns.map { value($0.ledger) }) }
        for index in ByteLedger.zero.accounts.indices where columns.contains(where: { $0.ledger.accounts[index].bytes > 0 }) {
            add(name(ByteLedger.zero.accounts[index].name)) { Units.format(count: $0.accounts[index].bytes) }
        }
        table.addRule()
        add("accounted for") { Units.format(count: $0.accounted) }
        add("system calls") { Units.format(count: $0.socketBytes) }
        if columns.contains(where: { $0.ledger.kernelBytes.value != nil }) {
            add("the kernel's count") { $0.kernelBytes.value.map { Units.format(count: $0) } ?? "-" }
        }
        add("residual") { Units.format(count: $0.residual != 0 ? $0.residual : ($0.kernelResidual.value ?? 0)) }
        var lines = table.lines(width: width, indent: 2)
        let absent = ledger.client.sent.kernelBytes.reason.map { "the kernel's count is not available: \($0)" }
        let serverAbsent = ledger.server.reason.map { "the server's ledger is not available: \($0)" }
        for note in [absent, serverAbsent].compactMap({ $0 }) { lines += note.wrapped(to: width - 2).map { "  " + $0 } }
        return lines
    }

    private static func name(_ account: String) -> String { account.split(separator: "_").joined(separator: " ") }
}

/// What each side paid, as a table.
enum CostTable {
    static func lines(_ figures: RunFigures, width: Int) -> [String] {
        var table = TextTable([TextTable.Column("", .left), TextTable.Column("client"), TextTable.Column("server")])
        var reasons: [(side: Side?, reason: String, names: [String])] = []
        /// Figures that are absent for the same reason share a line.
        func absent(_ name: String, _ side: Side?, _ reason: String) {
            if let index = reasons.firstIndex(where: { $0.side == side && $0.reason == reason }) {
                reasons[index].names.append(name)
            } else {
                reasons.append((side, reason, [name]))
            }
        }
        func add<Value>(_ name: String, _ figure: BothSides<Measured<Value>>, _ describe: (Value) -> String) {
            let unmeasured = Measured<Value>.unmeasured.reason
            guard figure.client.value != nil || figure.server.value != nil else {
                if let reason = figure.client.reason, reason != unmeasured { absent(name, nil, reason) }
                return
            }
            table.add([name] + Side.allCases.map { figure[$0].value.map(describe) ?? "-" })
            for side in Side.allCases {
                if let reason = figure[side].reason, reason != unmeasured { absent(name, side, reason) }
            }
        }
        func sides<Value>(_ client: Measured<Value>, _ server: Measured<Value>) -> BothSides<Measured<Value>> {
            BothSides(client: client, server: server)
        }
        let memory = figures.memory
        add("CPU", figures.cpuSeconds) { Units.format(seconds: $0) }
        if figures.payloadBytes > 0 { add("CPU per GiB", figures.cpuSecondsPerGiB) { Units.format(seconds: $0) } }
        if figures.messages > 0 { add("CPU per message", figures.cpuNanosecondsPerMessage) { Units.format(nanoseconds: $0) } }
        if figures.payloadBytes > 0 { add("system calls per MiB", figures.syscallsPerMiB, Units.significant) }
        if figures.messages > 0 { add("system calls per message", figures.syscallsPerMessage, Units.significant) }
        add("wake-ups", figures.wakeups) { Units.format(count: $0) }
        add("bytes copied", figures.bytesCopied) { copied in
            let share = figures.payloadBytes > 0 && copied > 0 ? " (\(Units.significant(Double(copied) * 100 / Double(figures.payloadBytes))) %)" : ""
            return Units.format(bytes: copied) + share
        }
        if figures.messages > 0 { add("allocations per message", figures.allocationsPerMessage, Units.significant) }
        add("memory resident", sides(memory.rssBytesClient, memory.rssBytesServer)) { Units.format(bytes: $0) }
        add("memory allocated", sides(memory.allocatedBytesClient, memory.allocatedBytesServer)) { Units.format(bytes: $0) }
        add("memory per stream", sides(memory.bytesPerStreamClient, memory.bytesPerStreamServer)) { "\(Units.significant($0)) B" }
        guard !table.isEmpty else { return [] }
        let notes = callsByName(figures).flatMap { $0.wrappedList(to: width - 2, indent: 2) }
            + reasons.flatMap { side, reason, names in
                "\((names + [side?.rawValue].compactMap { $0 }).joined(separator: ", ")): not available: \(reason)".wrapped(to: width - 2, indent: 2)
            }
        return table.lines(width: width, indent: 2) + notes.map { "  " + $0 }
    }

    /// The most frequent system calls of each side.
    private static func callsByName(_ figures: RunFigures) -> [String] {
        Side.allCases.compactMap { side in
            guard let calls = figures.syscalls[side].value, !calls.isEmpty else { return nil }
            let ordered = calls.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
            let listed = ordered.prefix(6).map { "\($0.key) \(Units.format(count: $0.value))" }
            let rest = ordered.dropFirst(6).reduce(0) { $0 + $1.value }
            return "system calls, \(side): " + (listed + (rest > 0 ? ["others \(Units.format(count: rest))"] : [])).joined(separator: ", ")
        }
    }
}

/// How connections came up, step by step.
enum ConnectTable {
    static func lines(_ figures: RunFigures, width: Int) -> [String] {
        guard let steps = figures.connectSteps.value, !steps.isEmpty else { return [] }
        var table = TextTable([
            TextTable.Column("", .left), TextTable.Column("p50"), TextTable.Column("p99", importance: 2), TextTable.Column("max", importance: 1),
            TextTable.Column("round trips"),
        ])
        func add(_ name: String, _ latency: LatencySummary, _ roundTrips: Double) {
            let times = [latency.p50, latency.p99, latency.max].map { Units.format(nanoseconds: $0) }
            table.add([name] + times + [roundTrips == 0 ? "" : Units.significant(roundTrips)])
        }
        for step in steps { add(step.name, step.latency, step.roundTrips) }
        if let all = figures.latency.value { add("all of it", all, steps.reduce(0) { $0 + $1.roundTrips }) }
        return table.lines(width: width, indent: 2)
    }
}

/// Where the time of messages went, stage by stage.
enum StageTable {
    static func lines(_ figures: RunFigures, width: Int) -> [String] {
        guard let all = figures.latencyStages.value, !all.isEmpty else { return [] }
        var table = TextTable([
            TextTable.Column("", .left), TextTable.Column("mean"), TextTable.Column("share"), TextTable.Column("p50"), TextTable.Column("p99"),
            TextTable.Column("max", importance: 1),
        ])
        for stages in all {
            let whole = stages.summaries[.total]?.mean ?? 0
            for stage in LatencyStages.Stage.allCases {
                guard let summary = stages.summaries[stage] else { continue }
                let times = [summary.p50, summary.p99, summary.max].map { Units.format(nanoseconds: $0) }
                let share = whole > 0 ? "\(Units.significant(100 * Double(summary.mean) / Double(whole))) %" : ""
                table.add(["\(stages.verb) \(stages.direction), \(stage.rawValue)", Units.format(nanoseconds: summary.mean), share] + times)
            }
        }
        let counts = all.map { "\($0.verb) \($0.direction) \(Units.format(count: UInt64($0.summaries[.total]?.count ?? 0)))" }
        return table.lines(width: width, indent: 2) + "sampled messages: \(counts.joined(separator: ", "))".wrappedList(to: width - 2, indent: 2).map { "  " + $0 }
    }
}
