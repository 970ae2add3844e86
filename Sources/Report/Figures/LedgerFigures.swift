import Gauge

/// Where the bytes on the wire went.
enum LedgerFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "ledger", title: "Bytes on the wire",
            lead: "Every byte that the sockets carried, by what it was for. The bars show what was carried beside the payload; the table has all of it, for each "
                + "direction, and each row adds up: accounted for is the sum of the accounts, and must be what the system calls carried.",
            panels: Reported.panels(reported.groups, id: "ledger") { panel($0, id: $1) })
    }

    private static let accounts = ByteLedger.zero.accounts.map(\.name)

    private static func words(_ account: String) -> String { account.split(separator: "_").joined(separator: " ") }

    private static func panel(_ group: Reported.Group, id: String) -> Figure.Panel? {
        let runs = group.runs.filter { $0.figures.ledger.total.socketBytes > 0 || $0.figures.wire.value != nil }
        guard !runs.isEmpty else { return nil }
        var table = DataTable(
            [.text("subject", key: "subject"), .text("direction")] + accounts.map { .number(words($0), $0) } + [
                .number("accounted for", "accounted"), .number("system calls", "socket_bytes"), .number("the kernel's count", "kernel_bytes"),
                .number("residual", "residual"),
            ])
        var notes: [String] = []
        for run in runs {
            let ledger = run.figures.ledger
            if ledger.total.socketBytes > 0 {
                for row in rows(run.name, ledger) { table.add(row.cells, isSum: row.isSum) }
            } else if let wire = run.figures.wire.value {
                notes.append(
                    "\(run.name) keeps no ledger; the kernel counted \(Units.format(count: wire.bytesUp)) bytes up and "
                        + "\(Units.format(count: wire.bytesDown)) bytes down, with \(Units.format(count: wire.payloadBytes)) bytes of payload.")
            }
        }
        return Figure.Panel(title: group.title, picture: picture(runs, group.title, id), table: table.withoutEmptyColumns, notes: notes, isWide: true)
    }

    private static func rows(_ name: String, _ ledger: RunLedger) -> [DataTable.Row] {
        let (up, down) = (ledger.client.sent, ledger.client.received)
        let server = ledger.server.value
        /// The sender's kernel, or the receiver's, which saw the same bytes.
        func kernel(_ own: ByteLedger, _ far: ByteLedger?) -> Measured<UInt64> {
            own.kernelBytes.value == nil ? far?.kernelBytes ?? own.kernelBytes : own.kernelBytes
        }
        let kernels = (kernel(up, server?.received), kernel(down, server?.sent))
        func row(_ direction: String, _ bytes: ByteLedger, _ kernel: Measured<UInt64>, isSum: Bool = false) -> DataTable.Row {
            var cells: [DataTable.Cell] = [.text(name), .text(direction)] + bytes.accounts.map { DataTable.Cell.count($0.bytes) }
            cells += [.count(bytes.accounted), .count(bytes.socketBytes)]
            cells += [kernel.value.map { DataTable.Cell.count($0) } ?? .absent(kernel.reason ?? ""), .count(bytes.residual)]
            return DataTable.Row(cells: cells, isSum: isSum)
        }
        let both = kernels.0.combined(with: kernels.1) { $0 &+ $1 }
        return [row("up", up, kernels.0), row("down", down, kernels.1), row("both", ledger.total, both, isSum: true)]
    }

    private static func picture(_ runs: [Reported.Run], _ title: String, _ id: String) -> Picture? {
        let carriers = runs.filter { $0.figures.ledger.total.socketBytes > 0 }
        // Without payload there is nothing to take parts of.
        let isShare = carriers.allSatisfy { $0.figures.ledger.total.payload > 0 }
        let used = accounts.indices.filter { index in
            accounts[index] != "payload" && carriers.contains { $0.figures.ledger.total.accounts[index].bytes > 0 }
        }
        guard !carriers.isEmpty, !used.isEmpty else { return nil }
        let rows = carriers.map { run in
            let total = run.figures.ledger.total
            let values = used.map { index in
                let bytes = Double(total.accounts[index].bytes)
                return isShare ? bytes * 100 / Double(total.payload) : bytes
            }
            let overhead = total.frameOverheadRatio.value.map { "\(Units.significant($0 * 100)) %" } ?? Units.format(bytes: total.socketBytes)
            return PartsChart.Row(label: run.name, values: values, text: overhead)
        }
        let chart = PartsChart(
            id: id, title: "bytes beside the payload, \(title)", axisTitle: isShare ? "beside the payload, of the payload" : "carried",
            quantity: isShare ? .percent : .bytes, parts: used.map { words(accounts[$0]) }, rows: rows, isStacked: true)
        return chart.picture
    }
}

/// What each side paid.
enum CostFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "costs", title: "Costs",
            lead: "What each end's process used in the window: processor time, system calls, copies, allocations and memory.",
            panels: Reported.panels(reported.groups, id: "costs") { panel($0, id: $1) } + comparisonPanels(reported))
    }

    private struct Cost: Sendable {
        let title: String
        let key: String
        let quantity: Quantity
        let read: @Sendable (RunFigures, Side) -> Measured<Double>
    }

    private static let costs: [Cost] = [
        Cost(title: "CPU", key: "cpu_seconds", quantity: .nanoseconds) { $0.cpuSeconds[$1] },
        Cost(title: "CPU per GiB", key: "cpu_seconds_per_gib", quantity: .secondsPerGiB) { $0.cpuSecondsPerGiB[$1] },
        Cost(title: "CPU per message", key: "cpu_nanoseconds_per_message", quantity: .nanoseconds) { $0.cpuNanosecondsPerMessage[$1] },
        Cost(title: "calls per MiB", key: "syscalls_per_mib", quantity: .number) { $0.syscallsPerMiB[$1] },
        Cost(title: "calls per message", key: "syscalls_per_message", quantity: .number) { $0.syscallsPerMessage[$1] },
        Cost(title: "wake-ups", key: "wakeups", quantity: .number) { $0.wakeups[$1].map { Double($0) } },
        Cost(title: "copied", key: "bytes_copied_by_side", quantity: .bytes) { $0.bytesCopied[$1].map { Double($0) } },
        Cost(title: "allocations per message", key: "allocations_per_message", quantity: .number) { $0.allocationsPerMessage[$1] },
        Cost(title: "resident", key: "memory.rss_bytes", quantity: .bytes) { figures, side in
            (side == .client ? figures.memory.rssBytesClient : figures.memory.rssBytesServer).map { Double($0) }
        },
        Cost(title: "allocated", key: "memory.allocated_bytes", quantity: .bytes) { figures, side in
            (side == .client ? figures.memory.allocatedBytesClient : figures.memory.allocatedBytesServer).map { Double($0) }
        },
        Cost(title: "per silent stream", key: "memory.bytes_per_stream", quantity: .bytes) { figures, side in
            side == .client ? figures.memory.bytesPerStreamClient : figures.memory.bytesPerStreamServer
        },
    ]

    private static func panel(_ group: Reported.Group, id: String) -> Figure.Panel? {
        var table = DataTable([.text("subject", key: "subject"), .text("side")] + costs.map { .number($0.title, $0.key) })
        for run in group.runs {
            for side in Side.allCases {
                table.add([.text(run.name), .text(side.rawValue)] + costs.map { cost -> DataTable.Cell in
                    let figure = cost.read(run.figures, side)
                    return cost.key == "cpu_seconds" ? .of(figure) { Units.format(seconds: $0) } : .of(figure, cost.quantity)
                })
            }
        }
        let shown = table.withoutEmptyColumns
        guard shown.columns.contains(where: { !$0.isText }) else { return nil }
        return Figure.Panel(title: group.title, picture: picture(group, id), table: shown, isWide: true)
    }

    /// Processor time by what the workload is made for: bytes, or messages.
    private static func picture(_ group: Reported.Group, _ id: String) -> Picture? {
        let key = group.metric == .goodput ? "cpu_seconds_per_gib" : "cpu_nanoseconds_per_message"
        guard let cost = costs.first(where: { $0.key == key }) else { return nil }
        let rows = group.runs.compactMap { run -> PartsChart.Row? in
            let values = Side.allCases.map { cost.read(run.figures, $0).value }
            guard values.contains(where: { $0 != nil }) else { return nil }
            return PartsChart.Row(label: run.name, values: values)
        }
        guard !rows.isEmpty else { return nil }
        return PartsChart(
            id: id, title: "\(cost.title) at each end, \(group.title)", axisTitle: cost.title, quantity: cost.quantity,
            parts: Side.allCases.map(\.rawValue), rows: rows,
            isStacked: false).picture
    }

    private static func comparisonPanels(_ reported: Reported) -> [Figure.Panel] {
        reported.comparisons.enumerated().flatMap { number, comparison in
            comparison.record.workloads.enumerated().compactMap { index, workload in
                panel(comparison.record, workload, id: "costs-of-\(number + 1)-\(index + 1)")
            }
        }
    }

    /// The metrics that a comparison's workload is not made for, each subject's median.
    private static func panel(_ record: ComparisonRecord, _ workload: ComparisonRecord.Workload, id: String) -> Figure.Panel? {
        let metrics = workload.metrics.filter { metric in metric.role == .detail && metric.values.contains { $0.spread.value != nil } }
        guard !metrics.isEmpty else { return nil }
        let subjects = [record.subjects.baseline] + record.subjects.candidates
        func median(_ metric: ComparisonRecord.Metric, _ subject: String) -> Measured<Double> {
            metric.values.first { $0.run == RoundRun(subject) }?.spread.map(\.median) ?? .unavailable("it was not measured")
        }
        var table = DataTable([.text("subject", key: "subject")] + metrics.map { .number($0.metric.title, $0.metric.name) })
        for subject in subjects { table.add([.text(subject)] + metrics.map { DataTable.Cell.of(median($0, subject), Quantity($0.metric.unit)) }) }
        let pairs = ["cpu_ns_per_message", "cpu_seconds_per_gib"].map { name in
            Side.allCases.compactMap { side in metrics.first { $0.metric.name == "\(name)_\(side)" } }
        }
        let picture = pairs.first { $0.count == 2 }.map { sides in
            PartsChart(
                id: id, title: "CPU at each end, \(workload.label)",
                axisTitle: sides[0].metric.name.hasSuffix("gib_client") ? "CPU per GiB" : "CPU per message",
                quantity: Quantity(sides[0].metric.unit), parts: Side.allCases.map(\.rawValue),
                rows: subjects.compactMap { subject in
                    let values = sides.map { median($0, subject).value }
                    return values.contains { $0 != nil } ? PartsChart.Row(label: subject, values: values) : nil
                }, isStacked: false).picture
        }
        return Figure.Panel(title: workload.label, picture: picture, table: table, isWide: true)
    }
}
