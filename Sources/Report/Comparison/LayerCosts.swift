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
        let subjects = [record.subjects.baseline] + record.subjects.candidates
        return record.workloads.map { workload in
            let rows = workload.metrics.flatMap { metric in
                zip(subjects, subjects.dropFirst()).compactMap { below, above in row(metric, below, above, record) }
            }
            return (workload.label, rows)
        }
    }

    /// Nil where one of the two has no such figure.
    private static func row(_ metric: ComparisonRecord.Metric, _ below: String, _ above: String, _ record: ComparisonRecord) -> [String]? {
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
        let unit = metric.metric.unit
        let difference = after - before
        let interval = estimate?.interval.value.map { "\(Units.fixed($0.low, places: 3)) to \(Units.fixed($0.high, places: 3))" }
        return [
            "\(metric.metric.title), \(name(of: above, on: below))", unit.format(before), unit.format(after),
            (difference < 0 ? "-" : "+") + unit.format(abs(difference)), estimate.map { Units.fixed($0.ratio, places: 3) } ?? "-", interval ?? "-",
        ]
    }

    /// `yamux over tcp`, `noise under yamux`; the subject's own name where it is not the other and a layer more.
    static func name(of above: String, on below: String) -> String {
        let (more, fewer) = (above.split(separator: "+"), below.split(separator: "+"))
        guard more.count == fewer.count + 1, let place = more.indices.first(where: { $0 >= fewer.count || more[$0] != fewer[$0] }),
            Array(more[..<place]) + Array(more[(place + 1)...]) == fewer else { return "\(above) beside \(below)" }
        return place == more.count - 1 ? "\(more[place]) over \(more[place - 1])" : "\(more[place]) under \(more[place + 1])"
    }
}
