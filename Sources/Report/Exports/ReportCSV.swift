import Gauge

/// Why records cannot be one table of comma-separated values.
public enum ReportCSVError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Runs, comparisons and interference have columns of their own.
    case severalTables
    case noRecords

    public var description: String {
        switch self {
        case .severalTables:
            "the records are of several kinds (runs, comparisons, interference), which have different columns: give one kind at a time"
        case .noRecords: "there is no record to write a table of"
        }
    }
}

extension RecordReport {
    /// One table. Runs, also those of sweeps and searches: a line for each repeat, as `--format csv` of a run has it. Comparisons: a line for each value
    /// of a round. Interference: a line for each cell.
    ///
    /// - Throws: ``ReportCSVError`` when the records would need several tables.
    public func csv() throws(ReportCSVError) -> String {
        let runs = reported.runs.map(\.record) + reported.sweeps.flatMap { $0.record.points.compactMap(\.run.value) }
            + reported.searches.flatMap { $0.record.steps.map(\.run) }
        let kinds = [!runs.isEmpty, !reported.comparisons.isEmpty, !reported.interferences.isEmpty].count { $0 }
        guard kinds > 0 else { throw .noRecords }
        guard kinds == 1 else { throw .severalTables }
        if !runs.isEmpty { return CSVOutput.text(runs) }
        return CSVOutput.lines(reported.comparisons.isEmpty ? interferenceRows : comparisonRows)
    }

    private var comparisonRows: [[String]] {
        [["workload", "metric", "unit", "subject", "run", "round", "value"]]
            + reported.comparisons.flatMap { comparison in
                comparison.record.workloads.flatMap { workload in
                    workload.metrics.flatMap { metric in
                        metric.values.flatMap { values in
                            values.byRound.enumerated().map { round, value in
                                [
                                    workload.label, metric.metric.name, metric.metric.unit.rawValue, values.run.subject, "\(values.run.run)", "\(round + 1)",
                                    value.value.map { "\($0)" } ?? "",
                                ]
                            }
                        }
                    }
                }
            }
    }

    private var interferenceRows: [[String]] {
        func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        let head = [
            "subject", "aggressor", "placement", "p99_ratio.median", "p99_ratio.min", "p99_ratio.max", "p50_ratio.median", "idle_ns.p50", "idle_ns.p99",
            "loaded_ns.p50",
            "loaded_ns.p99", "goodput_kept_ratio", "jain_fairness", "starved_streams", "longest_silence_seconds", "rounds", "valid",
        ]
        return [head] + reported.interferences.flatMap { interference in
            interference.record.cells.map { entry in
                let outcome = entry.outcome.value
                return [entry.subject, entry.aggressor, entry.placement.rawValue] + [
                    cell(outcome?.p99Ratio.median), cell(outcome?.p99Ratio.min), cell(outcome?.p99Ratio.max), cell(outcome?.p50Ratio.median),
                ] + [outcome?.idle.p50, outcome?.idle.p99, outcome?.loaded.p50, outcome?.loaded.p99].map { $0.map { "\($0)" } ?? "" } + [
                    cell(outcome?.goodputKeptRatio.value), cell(outcome?.jainFairness.value), outcome?.starvedStreams.value.map { "\($0)" } ?? "",
                    cell(outcome?.longestSilenceSeconds.value), outcome.map { "\($0.rounds)" } ?? "", outcome.map { "\($0.invalidReasons.isEmpty)" } ?? "",
                ]
            }
        }
    }
}
