public import Gauge

/// Runs as comma-separated values (RFC 4180, lines end with a line feed): a line of names and then one line for each repeat. Names are the record's
/// keys, with the parts of a path joined by a full stop; what is absent is empty.
public enum CSVOutput {
    private typealias Field = (name: String, value: String)

    public static func text(_ records: [RunRecord]) -> String {
        let rows = records.flatMap { record in record.repeats.map { fields(record.setup, $0) } }
        guard let first = rows.first else { return "" }
        return lines([first.map(\.name)] + rows.map { $0.map(\.value) })
    }

    /// The same with fields of their own before those of a run. A row without a run has only these.
    ///
    /// - Parameters:
    ///   - names: of the fields that stand before a run's.
    ///   - rows: their values, and the run they belong to.
    static func text(_ names: [String], _ rows: [(values: [String], run: RunRecord?)]) -> String {
        var body: [[String]] = []
        var header: [String] = []
        for row in rows {
            guard let run = row.run else {
                body.append(row.values)
                continue
            }
            let runs = run.repeats.map { fields(run.setup, $0) }
            if let first = runs.first { header = first.map(\.name) }
            body += runs.map { row.values + $0.map(\.value) }
        }
        let width = names.count + header.count
        return lines([names + header] + body.map { $0 + Array(repeating: "", count: width - $0.count) })
    }

    /// Any table.
    static func lines(_ rows: [[String]]) -> String { rows.map { $0.map(quoted).joined(separator: ",") + "\n" }.joined() }

    private static func fields(_ setup: RunSetup, _ figures: RunFigures) -> [Field] {
        setupFields(setup) + figureFields(figures) + latency("latency_ns", figures.latency) + latency("service_ns", figures.service)
            + latency("pacer_lateness_ns", figures.pacerLateness) + ledger(figures.ledger) + costs(figures)
    }

    private static func setupFields(_ setup: RunSetup) -> [Field] {
        [
            ("subject", setup.subject), ("workload", setup.workload), ("direction", setup.direction),
            ("connections", "\(setup.connections)"), ("streams", "\(setup.streams)"), ("message_size_bytes", "\(setup.messageSizeBytes)"),
            ("depth", "\(setup.depth)"), ("read_rate_bytes_per_second", cell(setup.readRateBytesPerSecond)), ("rate_per_second", cell(setup.ratePerSecond)), ("seed", "\(setup.seed)"),
        ]
    }

    private static func figureFields(_ figures: RunFigures) -> [Field] {
        [
            ("repeat", "\(figures.repeatIndex)"), ("valid", "\(figures.valid)"), ("partial", "\(figures.partial)"),
            ("duration_seconds", "\(figures.durationSeconds)"), ("payload_bytes", "\(figures.payloadBytes)"),
            ("messages", "\(figures.messages)"), ("failures", "\(figures.failures)"),
            ("goodput_bytes_per_second", cell(figures.goodputBytesPerSecond)), ("messages_per_second", cell(figures.messagesPerSecond)),
            ("jain_fairness", cell(figures.jainFairness)), ("starved_streams", cell(figures.starvedStreams)),
        ]
    }

    private static func latency(_ name: String, _ summary: Measured<LatencySummary>) -> [Field] {
        let parts: [(name: String, path: KeyPath<LatencySummary, Int>)] = [
            ("p50", \.p50), ("p90", \.p90), ("p99", \.p99), ("p999", \.p999), ("max", \.max), ("count", \.count),
        ]
        return parts.map { part in ("\(name).\(part.name)", cell(summary.map { $0[keyPath: part.path] })) }
    }

    private static func ledger(_ ledger: RunLedger) -> [Field] {
        let total = ledger.total
        let fields = total.accounts.map { ("ledger.\($0.name)", "\($0.bytes)") }
            + [("ledger.socket_bytes", "\(total.socketBytes)"), ("ledger.residual", "\(total.residual)")]
        return ledger.absence == nil ? fields : fields.map { ($0.0, "") }
    }

    private static func costs(_ figures: RunFigures) -> [Field] {
        let memory = figures.memory
        return sides("cpu_seconds", figures.cpuSeconds) + sides("cpu_seconds_per_gib", figures.cpuSecondsPerGiB)
            + sides("cpu_nanoseconds_per_message", figures.cpuNanosecondsPerMessage)
            + sides("syscalls_per_mib", figures.syscallsPerMiB) + sides("syscalls_per_message", figures.syscallsPerMessage)
            + sides("allocations_per_message", figures.allocationsPerMessage)
            + [
                ("bytes_copied", cell(figures.bytesCopiedTotal)),
                ("memory.bytes_per_stream_client", cell(memory.bytesPerStreamClient)),
                ("memory.bytes_per_stream_server", cell(memory.bytesPerStreamServer)),
                ("memory.rss_bytes_per_stream_client", cell(memory.rssBytesPerStreamClient)),
                ("memory.rss_bytes_per_stream_server", cell(memory.rssBytesPerStreamServer)),
                ("memory.rss_bytes_client", cell(memory.rssBytesClient)), ("memory.rss_bytes_server", cell(memory.rssBytesServer)),
            ]
    }

    private static func sides(_ name: String, _ figure: BothSides<Measured<Double>>) -> [Field] {
        Side.allCases.map { side in ("\(name).\(side.rawValue)", cell(figure[side])) }
    }

    private static func cell<Value>(_ figure: Measured<Value>) -> String { figure.value.map { "\($0)" } ?? "" }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
        return "\"" + field.replacing("\"", with: "\"\"") + "\""
    }
}
