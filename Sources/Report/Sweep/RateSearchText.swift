import Gauge

/// A search for a rate, for a terminal: the answer first, then latency against rate.
public enum RateSearchText {
    /// - Parameter width: columns of the terminal.
    public static func text(_ record: RateSearchRecord, width: Int = 100) -> String {
        var lines = answer(record).flatMap { $0.wrapped(to: width, indent: 2) }
        if !record.steps.isEmpty {
            lines += ["", "Response time against rate, from when each request was due"]
            lines += table(record).lines(width: width)
        }
        lines += notes(record).flatMap { $0.wrapped(to: width, indent: 2) }
        lines.append("")
        lines += record.environment.machineLine.wrappedList(to: width)
        if record.environment.buildConfiguration != "release" {
            lines.append("This is a \(record.environment.buildConfiguration) build: its speed means nothing.")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// As comma-separated values: a line for each window, with the step's rate and outcome before what a run has.
    public static func csv(_ record: RateSearchRecord) -> String {
        CSVOutput.text(
            ["step", "outcome", "reason"],
            record.steps.enumerated().map { number, step in (["\(number + 1)", step.outcome.rawValue, step.reason], step.run) })
    }

    /// What the search says, as sentences.
    static func answer(_ record: RateSearchRecord) -> [String] {
        var lines: [String] = []
        switch record.foundRatePerSecond {
        case .value(let rate):
            let times = record.steps.count { $0.ratePerSecond == rate && $0.outcome == .met }
            lines.append("\(Units.format(count: Int(rate))) requests a second meet \(record.goal)\(shape(record))")
            if let step = last(record, at: rate, .met) { lines.append("  " + step.reason) }
            if times < 2 { lines.append("  It was met once, and not confirmed: the search ended before, or the generator could not offer it again.") }
        case .unavailable(let reason): lines.append("NOT FOUND: no rate is known to meet \(record.goal)\(shape(record)): \(reason)")
        }
        switch record.missedRatePerSecond {
        case .value(let rate):
            lines.append("\(Units.format(count: Int(rate))) requests a second miss it")
            if let step = last(record, at: rate, .missed) { lines.append("  " + step.reason) }
        case .unavailable(let reason): lines.append("No higher rate is known to miss it: \(reason)")
        }
        return lines
    }

    private static func shape(_ record: RateSearchRecord) -> String {
        guard var setup = record.steps.first?.run.setup else { return "" }
        setup.ratePerSecond = .unavailable("each step has its own")
        return ": \(Shape.describe(setup))"
    }

    private static func last(_ record: RateSearchRecord, at rate: Double, _ outcome: RateSearchRecord.Outcome) -> RateSearchRecord.Step? {
        record.steps.last { $0.ratePerSecond == rate && $0.outcome == outcome }
    }

    private static func table(_ record: RateSearchRecord) -> TextTable {
        let usual = ["p50", "p99", "p99.9"]
        let own = usual.contains(record.goal.percentile) || record.goal.percentile == "max" ? [] : [record.goal.percentile]
        let percentiles = (usual + own).sorted { percentage($0) < percentage($1) }
        var table = TextTable(
            [TextTable.Column("requests/s")] + percentiles.map { TextTable.Column($0) } + [
                TextTable.Column("max"), TextTable.Column("pacer late\np99", importance: 2), TextTable.Column("windows", importance: 1),
                TextTable.Column("", .left),
            ])
        for (_, step) in record.steps.enumerated().sorted(by: { ($0.element.ratePerSecond, $0.offset) < ($1.element.ratePerSecond, $1.offset) }) {
            var latency = LatencyHistogram()
            var lateness = LatencyHistogram()
            for window in step.run.repeats {
                if let histogram = window.histograms.latency.value { latency.merge(histogram) }
                if let histogram = window.histograms.pacerLateness.value { lateness.merge(histogram) }
            }
            func cells(_ histogram: LatencyHistogram, _ wanted: [Double]) -> [String] {
                histogram.isEmpty ? wanted.map { _ in "-" } : histogram.percentiles(wanted).map { Units.format(nanoseconds: $0) }
            }
            table.add(
                [Units.format(count: Int(step.ratePerSecond.rounded()))] + cells(latency, percentiles.map(percentage) + [100]) + cells(lateness, [99])
                    + [Units.format(count: step.run.repeats.count), words(step.outcome)])
        }
        return table
    }

    private static func percentage(_ name: String) -> Double { 100 * (RateGoal.fraction(ofPercentile: name) ?? 0) }

    private static func words(_ outcome: RateSearchRecord.Outcome) -> String {
        switch outcome {
        case .met: "met"
        case .missed: "missed"
        case .notOffered: "not offered"
        case .unclear: "unclear"
        }
    }

    private static func notes(_ record: RateSearchRecord) -> [String] {
        var notes: [String] = []
        if record.steps.contains(where: { $0.outcome == .notOffered }) {
            notes.append("not offered: the generator could not keep its schedule, so the rate says nothing of the subject. Free the machine, or give --threads.")
        }
        for step in record.steps where step.outcome == .unclear {
            notes.append("\(Units.format(count: Int(step.ratePerSecond.rounded())))/s is unclear: \(step.reason)")
        }
        let changed = Dictionary(grouping: record.steps, by: \.ratePerSecond).filter { Set($0.value.map(\.outcome)).count > 1 }.keys.sorted()
        for rate in changed {
            let told = record.steps.filter { $0.ratePerSecond == rate }.map { words($0.outcome) }.joined(separator: ", then ")
            notes.append("\(Units.format(count: Int(rate.rounded())))/s was \(told): the machine is not equally quiet at all times. Of those that were offered the last counts.")
        }
        return notes.isEmpty ? [] : [""] + notes
    }
}
