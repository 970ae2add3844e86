import Foundation
import Gauge

/// What each layer of a stack costs: of a comparison whose subjects are stacks that grow by a layer each, every subject beside the one before it, in the same
/// rounds.
public enum LayerCosts {
    /// For a terminal.
    ///
    /// - Parameter width: columns of the terminal.
    public static func text(_ record: ComparisonRecord, width: Int = 100) -> String {
        var lines = ["", "What each layer costs"]
        for section in sections(record) {
            lines += ["", section.title]
            var table = TextTable([
                TextTable.Column("", .left), TextTable.Column("without"), TextTable.Column("with"), TextTable.Column("costs"), TextTable.Column("ratio"),
                TextTable.Column("interval"),
            ])
            for row in section.rows { table.add(row) }
            lines += table.lines(width: width, indent: 2)
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// As Markdown.
    public static func markdown(_ record: ComparisonRecord) -> String {
        var lines = ["", "## What each layer costs"]
        for section in sections(record) {
            lines += ["", "### \(Markdown.escaped(section.title))", ""]
            lines += Markdown.table(["", "without", "with", "costs", "ratio", "interval"], section.rows, textColumns: [0])
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func sections(_ record: ComparisonRecord) -> [(title: String, rows: [[String]])] {
        record.workloads.map { workload in (workload.label, workload.metrics.flatMap { metric in steps(metric, record).map { row($0, metric.metric) } }) }
    }

    /// What a layer makes of a metric.
    struct Step {
        let below: String
        let above: String
        /// Medians over the rounds.
        let without: Double
        let with: Double
        let estimate: RatioEstimate?
    }

    /// A step for each subject beside the one before it, where both have the metric.
    static func steps(_ metric: ComparisonRecord.Metric, _ record: ComparisonRecord) -> [Step] {
        let subjects = [record.subjects.baseline] + record.subjects.candidates
        return zip(subjects, subjects.dropFirst()).compactMap { below, above in step(metric, below, above, record) }
    }

    /// Whether every subject is the one before it and a layer more.
    static func isStaircase(_ record: ComparisonRecord) -> Bool {
        let subjects = [record.subjects.baseline] + record.subjects.candidates
        return subjects.count > 1 && zip(subjects, subjects.dropFirst()).allSatisfy { layer(of: $1, on: $0) != nil }
    }

    /// Nil where one of the two has no such figure.
    private static func step(_ metric: ComparisonRecord.Metric, _ below: String, _ above: String, _ record: ComparisonRecord) -> Step? {
        func values(_ subject: String, run: Int = 1) -> [Measured<Double>] {
            metric.values.first { $0.run == RoundRun(subject, run: run) }?.byRound ?? []
        }
        let (without, with) = (values(below), values(above))
        guard without.count == with.count, let before = Statistics.median(without.compactMap(\.value)), let after = Statistics.median(with.compactMap(\.value)) else {
            return nil
        }
        let again = values(below, run: 2)
        let pairs = PairedSamples(
            baseline: without, baselineAgain: again.count == without.count ? again : [], candidate: with, preference: metric.metric.better)
        let estimate = RatioEstimate.paired(pairs, level: record.rule.level, bootstrap: Bootstrap(seed: record.seed)).value
        return Step(below: below, above: above, without: before, with: after, estimate: estimate)
    }

    private static func row(_ step: Step, _ metric: ComparisonMetric) -> [String] {
        let unit = metric.unit
        let difference = step.with - step.without
        let interval = step.estimate?.interval.value.map { "\(Units.fixed($0.low, places: 3)) to \(Units.fixed($0.high, places: 3))" }
        return [
            "\(metric.title), \(name(of: step.above, on: step.below))", unit.format(step.without), unit.format(step.with),
            (difference < 0 ? "-" : "+") + unit.format(abs(difference)), step.estimate.map { Units.fixed($0.ratio, places: 3) } ?? "-", interval ?? "-",
        ]
    }

    /// `yamux over tcp`, `noise under yamux`; the subject's own name where it is not the other and a layer more.
    static func name(of above: String, on below: String) -> String { layer(of: above, on: below)?.words ?? "\(above) beside \(below)" }

    /// What `above` has and `below` has not; nil where it is not the other and a layer more.
    static func layer(of above: String, on below: String) -> (name: String, words: String)? {
        let (more, fewer) = (above.split(separator: "+"), below.split(separator: "+"))
        guard more.count == fewer.count + 1, let place = more.indices.first(where: { $0 >= fewer.count || more[$0] != fewer[$0] }),
            Array(more[..<place]) + Array(more[(place + 1)...]) == fewer else { return nil }
        let words = place == more.count - 1
            ? place == 0 ? String(more[0]) : "\(more[place]) over \(more[place - 1])" : "\(more[place]) under \(more[place + 1])"
        return (String(more[place]), words)
    }
}
