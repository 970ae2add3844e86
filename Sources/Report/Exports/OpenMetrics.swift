import Gauge

extension RecordReport {
    /// The figures in the text format of OpenMetrics 1.0, for a collector: gauges, and summaries of the distributions. Runs of sweeps and searches are in it;
    /// what is absent is left out. Units are the base units that the format asks for: seconds and bytes.
    public var openMetrics: String {
        var exposition = Exposition()
        var number = 0
        func add(_ run: RunRecord, _ source: String) {
            number += 1
            exposition.add(run, labels: [("record", "\(number)"), ("source", source)])
        }
        for run in reported.runs { add(run.record, "run") }
        for sweep in reported.sweeps { for point in sweep.record.points { if let run = point.run.value { add(run, "sweep") } } }
        for search in reported.searches {
            for step in search.record.steps { add(step.run, "rate_search") }
            exposition.add(search.record)
        }
        for comparison in reported.comparisons { exposition.add(comparison.record) }
        for interference in reported.interferences { exposition.add(interference.record) }
        return exposition.text
    }
}

/// Metric families being filled. Samples of a family stand together, whatever the order in which they came.
private struct Exposition {
    typealias Labels = [(name: String, value: String)]

    private struct Family {
        let name: String
        let type: String
        let unit: String
        let help: String
        var samples: [String] = []
    }

    private var families: [Family] = []
    private var seen: Set<String> = []

    var text: String {
        families.map { family in
            let unit = family.unit.isEmpty ? "" : "# UNIT \(family.name) \(family.unit)\n"
            return "# TYPE \(family.name) \(family.type)\n\(unit)# HELP \(family.name) \(Self.escaped(family.help))\n" + family.samples.joined()
        }.joined() + "# EOF\n"
    }

    mutating func gauge(_ name: String, unit: String = "", _ help: String, _ value: Double?, _ labels: Labels) {
        guard let value, value.isFinite else { return }
        sample(name, "gauge", unit, help, [("", labels, value)])
    }

    /// A sample with the same name and labels is not told twice: a collector would refuse all of it.
    private mutating func sample(_ name: String, _ type: String, _ unit: String, _ help: String, _ samples: [(suffix: String, labels: Labels, value: Double)]) {
        let full = "streamgauge_" + name
        let index = families.firstIndex { $0.name == full } ?? families.count
        if index == families.count { families.append(Family(name: full, type: type, unit: unit, help: help)) }
        for sample in samples {
            let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
            let key = "\(full)\(sample.suffix){\(labels)}"
            guard seen.insert(key).inserted else { continue }
            families[index].samples.append("\(key) \(Self.number(sample.value))\n")
        }
    }

    private mutating func summary(_ name: String, _ help: String, _ latency: Measured<LatencySummary>, _ labels: Labels) {
        guard let latency = latency.value else { return }
        let quantiles = [("0.5", latency.p50), ("0.9", latency.p90), ("0.99", latency.p99), ("0.999", latency.p999), ("1", latency.max)]
        let values: [(suffix: String, labels: Labels, value: Double)] = quantiles.map { ("", labels + [("quantile", $0.0)], Double($0.1) / 1e9) }
        sample(name, "summary", "seconds", help, values + [
            ("_count", labels, Double(latency.count)), ("_sum", labels, Double(latency.mean) * Double(latency.count) / 1e9),
        ])
    }

    // MARK: Records

    mutating func add(_ run: RunRecord, labels source: Labels) {
        let (setup, figures) = (run.setup, run.figures)
        let labels = source + [
            ("subject", setup.subject), ("workload", setup.workload), ("direction", setup.direction), ("connections", "\(setup.connections)"),
            ("streams", "\(setup.streams)"), ("message_size_bytes", "\(setup.messageSizeBytes)"),
        ]
        gauge("valid", "1 when the run reconciles, 0 when it must not be believed.", run.valid ? 1 : 0, labels)
        gauge("duration_seconds", unit: "seconds", "Length of the measured window.", figures.durationSeconds, labels)
        gauge("offered_per_second", "Operations that the pacer started each second.", setup.ratePerSecond.value, labels)
        gauge(
            "goodput_bytes_per_second", unit: "bytes_per_second", "Payload that the far end's handlers received.", figures.goodputBytesPerSecond.value, labels)
        gauge("messages_per_second", "Completed requests, streams, connections or messages.", figures.messagesPerSecond.value, labels)
        gauge("failures", "Operations that did not end as planned.", Double(figures.failures), labels)
        gauge("jain_fairness_ratio", unit: "ratio", "Jain's index over the payload of each stream.", figures.jainFairness.value, labels)
        gauge("starved_streams", "Streams that received less than a tenth of the mean.", figures.starvedStreams.value.map { Double($0) }, labels)
        gauge("frame_overhead_ratio", unit: "ratio", "Bytes on the wire beside the payload, by the payload.", figures.frameOverheadRatio.value, labels)
        for side in Side.allCases { add(figures, side, labels + [("side", side.rawValue)]) }
        if figures.ledger.total.socketBytes > 0 {
            for account in figures.ledger.total.accounts {
                let place = labels + [("account", account.name)]
                gauge("wire_bytes", unit: "bytes", "What the sockets carried both ways, by account.", Double(account.bytes), place)
            }
        }
        summary("latency_seconds", "Response time; in open loop from when the operation was due.", figures.latency, labels)
        summary("service_seconds", "Response time from when the operation really started.", figures.service, labels)
        summary("pacer_lateness_seconds", "How late the generator itself was.", figures.pacerLateness, labels)
        for flow in figures.latencyStages.value ?? [] {
            for stage in LatencyStages.Stage.allCases {
                let place = labels + [("flow", "\(flow.flow)"), ("verb", flow.verb), ("way", flow.direction), ("stage", stage.rawValue)]
                summary("stage_seconds", "Where the time of messages went.", Measured(flow.summaries[stage], else: ""), place)
            }
        }
    }

    private mutating func add(_ figures: RunFigures, _ side: Side, _ labels: Labels) {
        let memory = figures.memory
        gauge("cpu_seconds", unit: "seconds", "Processor time of the process in the window.", figures.cpuSeconds[side].value, labels)
        gauge("system_calls", "System calls in the window.", figures.syscallsTotal[side].value.map { Double($0) }, labels)
        gauge("wakeups", "Times an event loop woke up with something to do.", figures.wakeups[side].value.map { Double($0) }, labels)
        gauge("copied_bytes", unit: "bytes", "Payload copied in user space.", figures.bytesCopied[side].value.map { Double($0) }, labels)
        gauge("allocations", "Allocations in the window.", figures.allocations[side].value.map { Double($0) }, labels)
        gauge(
            "resident_bytes", unit: "bytes", "Resident set at the end of the window.",
            (side == .client ? memory.rssBytesClient : memory.rssBytesServer).value.map { Double($0) }, labels)
        gauge(
            "stream_memory_bytes", unit: "bytes", "What a silent stream takes.",
            (side == .client ? memory.bytesPerStreamClient : memory.bytesPerStreamServer).value, labels)
    }

    mutating func add(_ search: RateSearchRecord) {
        let labels: Labels = [
            ("subject", search.steps.first?.run.setup.subject ?? ""), ("percentile", search.goal.percentile), ("bound_ns", "\(search.goal.boundNanoseconds)"),
        ]
        gauge("found_rate_per_second", "The highest rate at which the goal was met for sure.", search.foundRatePerSecond.value, labels)
    }

    mutating func add(_ comparison: ComparisonRecord) {
        for workload in comparison.workloads {
            for metric in workload.metrics {
                let place: Labels = [("workload", workload.label), ("metric", metric.metric.name), ("baseline", comparison.subjects.baseline)]
                for ratio in metric.ratios {
                    let labels = place + [("subject", ratio.subject)]
                    gauge("comparison_ratio", unit: "ratio", "The subject by the baseline of the same round.", ratio.estimate.value?.ratio, labels)
                    let interval = ratio.estimate.value?.interval.value
                    gauge("comparison_low_ratio", unit: "ratio", "Low end of the ratio's interval.", interval?.low, labels)
                    gauge("comparison_high_ratio", unit: "ratio", "High end of the ratio's interval.", interval?.high, labels)
                }
            }
        }
    }

    mutating func add(_ interference: InterferenceRecord) {
        for cell in interference.cells {
            guard let outcome = cell.outcome.value else { continue }
            let labels: Labels = [("subject", cell.subject), ("aggressor", cell.aggressor), ("placement", cell.placement.rawValue)]
            gauge("interference_p99_ratio", unit: "ratio", "p99 of the victim beside the aggressor by its p99 alone.", outcome.p99Ratio.median, labels)
            gauge("interference_p50_ratio", unit: "ratio", "The same of the median response time.", outcome.p50Ratio.median, labels)
            gauge(
                "interference_goodput_kept_ratio", unit: "ratio", "What the aggressor carries beside the victim, by what it carries alone.",
                outcome.goodputKeptRatio.value, labels)
        }
    }

    // MARK: Text

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\r\n", with: "\\n").replacing("\n", with: "\\n").replacing("\r", with: " ")
    }
}
