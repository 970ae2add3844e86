public import Gauge

/// One run for a person: the verdict first, then the figures, then where the bytes and the costs went. What could not be measured is said with its
/// reason; what nobody tried to measure is left out.
public enum RunSummary {
    /// - Parameter width: columns of the terminal; from 60 on everything essential fits.
    public static func text(_ record: RunRecord, width: Int = 80) -> String {
        var lines = verdict(record, width: width)
        lines.append("")
        lines += figures(record, width: width)
        lines += section("Coming up, each step after the one before it", ConnectTable.lines(record.figures, width: width), after: lines)
        lines += section("Where the latency comes from", StageTable.lines(record.figures, width: width), after: lines)
        lines += section("The link", LinkTable.lines(record.figures, width: width), after: lines)
        lines += section("Bytes on the wire", LedgerTable.lines(record.figures.ledger, width: width), after: lines)
        lines += section("Costs", CostTable.lines(record.figures, width: width), after: lines)
        lines.append("")
        lines += record.environment.machineLine.wrappedList(to: width)
        if record.environment.buildConfiguration != "release" {
            lines += "This is a \(record.environment.buildConfiguration) build: its speed means nothing.".wrapped(to: width)
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func section(_ title: String, _ lines: [String], after previous: [String]) -> [String] {
        lines.isEmpty ? [] : ["", title] + lines
    }

    private static func verdict(_ record: RunRecord, width: Int) -> [String] {
        let word = (record.valid ? "VALID" : "INVALID") + (record.figures.partial ? ", PARTIAL" : "")
        let duration = Units.format(seconds: record.figures.durationSeconds)
        var lines = "\(word): \(Shape.describe(record.setup)), \(duration)".wrappedList(to: width, indent: 2)
        for reason in record.figures.invalidReasons { lines += "- \(reason)".wrapped(to: width - 2, indent: 2).map { "  " + $0 } }
        if !record.valid { lines.append("  The figures below must not be believed.") }
        if record.figures.partial { lines.append("  The run did not reach its end: the figures are of what was measured until then.") }
        return lines
    }

    /// Lines of a name and what is to be said about it.
    private static func figures(_ record: RunRecord, width: Int) -> [String] {
        let figures = record.figures
        var entries: [(name: String, text: String?)] = []
        if record.repeats.count > 1 {
            entries.append(("repeats", repeats(record)))
        }
        entries.append(("goodput", goodput(record)))
        let messages = Units.format(count: figures.messages)
        entries.append(("messages", said(figures.messagesPerSecond) { "\(Units.format(perSecond: $0)), \(messages) in all" }))
        if figures.failures > 0 { entries.append(("failures", Units.format(count: figures.failures))) }
        entries.append(("latency", said(figures.latency, latency)))
        if record.setup.ratePerSecond.value != nil {
            entries.append(("service", said(figures.service, latency)))
            entries.append(("pacer late", said(figures.pacerLateness, latency)))
        }
        entries.append(("fairness", fairness(figures)))
        entries.append(("overhead", overhead(figures)))
        return entries.flatMap { entry in
            guard let text = entry.text else { return [String]() }
            return (entry.name.paddedRight(to: 12) + text).wrappedList(to: width - 2, indent: 12).map { "  " + $0 }
        }
    }

    private static func repeats(_ record: RunRecord) -> String {
        var text = "\(record.repeats.count); the figures are those of repeat \(record.headlineRepeat), the median"
        switch record.setup.headlineMetric {
        case .goodput:
            if let spread = record.goodputSpread.value {
                text += "; goodput \(Units.format(bytesPerSecond: spread.min)) to \(Units.format(bytesPerSecond: spread.max))"
            }
        case .messagesPerSecond:
            if let spread = record.messagesSpread.value {
                text += "; \(Units.format(perSecond: spread.min)) to \(Units.format(perSecond: spread.max))"
            }
        case .bytesPerStream: break
        }
        return text
    }

    private static func goodput(_ record: RunRecord) -> String? {
        said(record.figures.goodputBytesPerSecond) { goodput in
            var text = "\(Units.format(bytesPerSecond: goodput)) (\(Units.format(bitsPerSecond: goodput * 8)))"
            if record.setup.direction == "both", let up = record.figures.goodputUpBytesPerSecond.value,
                let down = record.figures.goodputDownBytesPerSecond.value {
                text += ": \(Units.format(bytesPerSecond: up)) up, \(Units.format(bytesPerSecond: down)) down"
            }
            return text
        }
    }

    static func latency(_ summary: LatencySummary) -> String {
        let parts = [("p50", summary.p50), ("p90", summary.p90), ("p99", summary.p99), ("p99.9", summary.p999), ("max", summary.max)]
        return parts.map { "\($0.0) \(Units.format(nanoseconds: $0.1))" }.joined(separator: ", ")
    }

    private static func fairness(_ figures: RunFigures) -> String? {
        said(figures.jainFairness) { jain in
            var parts = ["Jain's index \(Units.fixed(jain, places: 3))"]
            if let starved = figures.starvedStreams.value {
                parts.append(starved == 0 ? "no stream starved" : "\(Units.format(count: starved)) \(starved == 1 ? "stream" : "streams") starved")
            }
            if let silence = figures.longestSilenceSeconds.value { parts.append("longest silence \(Units.format(seconds: silence))") }
            return parts.joined(separator: ", ")
        }
    }

    private static func overhead(_ figures: RunFigures) -> String? {
        said(figures.frameOverheadRatio) { ratio in
            var text = "\(Units.significant(ratio * 100)) % of payload"
            if let perFrame = figures.bytesPerFrame.value { text += ", \(Units.format(bytes: perFrame.rounded())) a frame" }
            if let perWrite = figures.framesPerWrite.client.value { text += ", \(Units.significant(perWrite)) frames a write" }
            return text
        }
    }

    /// What is said about a figure: its value, why it is absent, or nothing when nobody tried to measure it.
    private static func said<Value>(_ figure: Measured<Value>, _ describe: (Value) -> String) -> String? {
        switch figure {
        case .value(let value): describe(value)
        case .unavailable(let reason): reason == Measured<Value>.unmeasured.reason ? nil : "not available: \(reason)"
        }
    }
}

/// What was run, in words.
enum Shape {
    static func describe(_ setup: RunSetup) -> String { "\(setup.subject), \(conditions(setup))" }

    /// Everything but the subject: what runs have in common that can stand beside each other.
    static func conditions(_ setup: RunSetup) -> String {
        var parts = [workload(setup), streams(setup)]
        if setup.workload != "idle", setup.workload != "connect" { parts.append("\(Units.exact(bytes: setup.messageSizeBytes)) messages") }
        if let beside = setup.beside.value, beside != "bulk" { parts.append("beside \(beside)") }
        if setup.besideConnection.value == "own_connection" { parts.append("on connections of their own") }
        if setup.depth > 1 { parts.append("depth \(setup.depth)") }
        if let rate = setup.readRateBytesPerSecond.value { parts.append("read at \(Units.format(bytesPerSecond: rate))") }
        if let rate = setup.ratePerSecond.value { parts.append("\(Units.format(perSecond: rate)) open loop") }
        return parts.joined(separator: ", ")
    }

    static func workload(_ setup: RunSetup) -> String {
        setup.workload == "bulk" ? "bulk \(setup.direction)" : setup.workload
    }

    private static func streams(_ setup: RunSetup) -> String {
        let connections = "\(Units.format(count: setup.connections)) \(setup.connections == 1 ? "connection" : "connections")"
        return "\(connections) x \(Units.format(count: setup.streams)) \(setup.streams == 1 ? "stream" : "streams")"
    }

    /// `10 x 1,000 x 64KiB`: connections, streams, message size.
    static func short(_ setup: RunSetup) -> String {
        var text = "\(workload(setup)) \(Units.format(count: setup.connections)) x \(Units.format(count: setup.streams))"
        if setup.workload != "idle", setup.workload != "connect" { text += " x \(Units.exact(bytes: setup.messageSizeBytes))" }
        return text
    }
}
