import Foundation
import Gauge

/// A comparison as it is told to people: the same words for a terminal and for Markdown.
struct ComparisonView {
    struct Section {
        let title: String
        let groups: [Group]
        let notes: [String]
    }

    /// A metric and its subjects.
    struct Group {
        let title: String
        let rows: [[String]]
    }

    static let columns = ["subject", "median", "spread", "ratio", "interval", "verdict"]

    let record: ComparisonRecord

    private var subjects: ComparisonSubjects { record.subjects }

    var introduction: [String] {
        let rounds = record.rounds == 1 ? "1 round" : "\(Units.format(count: record.rounds)) rounds"
        let others = subjects.candidates.joined(separator: ", ")
        let versions = (record.drivers ?? []).map { "\($0.name): \($0.version)" }.joined(separator: "; ")
        return ["\(others) beside \(subjects.baseline), \(rounds), all of them measured in every round and \(subjects.baseline) twice."]
            + (versions.isEmpty ? [] : ["At the ends: \(versions)."])
    }

    /// A line for each verdict that the workloads are made for.
    var summary: [(workload: String, lines: [String])] {
        record.workloads.map { workload in
            let headlines = workload.metrics.filter { $0.role == .headline }
            return (workload.label, headlines.flatMap { metric in metric.ratios.map { headline($0, metric.metric.title) } })
        }
    }

    private func headline(_ ratio: ComparisonRecord.Ratio, _ metric: String) -> String {
        let told = ratio.judgement.verdict == .cannotTell ? ratio.judgement.verdict.rawValue : ratio.judgement.words
        let size = ratio.estimate.value?.interval.value == nil ? "" : ", ratio \(interval(ratio.estimate))"
        return "\(ratio.subject): \(told) (\(metric)\(size))"
    }

    var sections: [Section] { record.workloads.map(section) }

    /// What a reader must know who sees this for the first time.
    var legend: [String] {
        let level = percent(record.rule.level)
        return [
            "ratio: the subject by \(subjects.baseline) in the same round (the mean of its two runs), over all rounds; interval: where the true "
                + "ratio lies, at a level of \(level); spread: the lowest and the highest round beside the median.",
            "better, worse: the interval excludes 1, p is below \(decimal(1 - record.rule.level)) (Wilcoxon's signed-rank test), "
                + "and the difference is larger than what two runs of the same thing may differ by on this machine. "
                + "equal: the whole interval lies within \(percent(record.rule.margin)) of 1. cannot tell: anything else; it does not mean equal.",
        ]
    }

    // MARK: A workload

    private func section(_ workload: ComparisonRecord.Workload) -> Section {
        let shown = workload.metrics.filter { metric in metric.values.contains { $0.spread.value != nil } }
        let ordered = shown.filter { $0.role == .headline } + shown.filter { $0.role == .detail }
        return Section(title: workload.label, groups: ordered.map(group), notes: ordered.flatMap(notes) + absent(workload))
    }

    private func group(_ metric: ComparisonRecord.Metric) -> Group {
        let unit = metric.metric.unit
        let rows = metric.values.map { values in
            let name = values.run.run == 2 ? "\(values.run.subject) again" : values.run.subject
            let figures = [
                values.spread.value.map { unit.format($0.median) } ?? "-", values.spread.value.map(spread) ?? "-",
            ]
            if values.run.subject == subjects.baseline {
                guard values.run.run == 2 else { return [name] + figures + ["1", "", "baseline"] }
                let noise = metric.noise.map(\.estimate)
                return [name] + figures + [ratioCell(noise), interval(noise), metric.noise.value?.isBiased == true ? "noise, biased" : "noise"]
            }
            guard let ratio = metric.ratios.first(where: { $0.subject == values.run.subject }) else { return [name] + figures }
            let told = ratio.judgement.verdict == .cannotTell ? ratio.judgement.verdict.rawValue : ratio.judgement.words
            return [name] + figures + [ratioCell(ratio.estimate), interval(ratio.estimate), told]
        }
        return Group(title: "\(metric.metric.title) (\(metric.metric.better == .higher ? "more" : "less") is better)", rows: rows)
    }

    private func ratioCell(_ estimate: Measured<RatioEstimate>) -> String { estimate.value.map { Self.ratio($0.ratio) } ?? "-" }

    private func interval(_ estimate: Measured<RatioEstimate>) -> String {
        estimate.value?.interval.value.map { "\(Self.ratio($0.low)) to \(Self.ratio($0.high))" } ?? "-"
    }

    /// Three places show a thousandth; a small ratio has more of them.
    static func ratio(_ value: Double) -> String {
        value >= 100 ? Units.significant(value) : value >= 0.1 ? Units.fixed(value, places: 3) : Units.significant(value)
    }

    private func spread(_ spread: Spread) -> String {
        if spread.min == spread.max { return "none" }
        guard spread.median > 0 else { return "-" }
        func part(_ value: Double) -> String { Units.fixed(abs(value / spread.median - 1) * 100, places: 1) }
        return "-\(part(spread.min)) +\(part(spread.max)) %"
    }

    // MARK: What is said below the table

    private func notes(_ metric: ComparisonRecord.Metric) -> [String] {
        let name = metric.metric.title
        var notes: [String] = []
        for ratio in metric.ratios where metric.role == .headline && ratio.judgement.verdict == .cannotTell {
            notes.append("\(ratio.subject), \(name): \(ratio.judgement.words).")
        }
        for ratio in metric.ratios {
            if let first = ratio.unpaired.first {
                let rounds = ratio.unpaired.count == 1 ? "round \(first.round) has" : "\(ratio.unpaired.count) rounds have"
                notes.append("\(ratio.subject), \(name): \(rounds) no ratio: \(first.reason).")
            }
            if metric.role == .headline, let outliers = ratio.estimate.value?.outlierRounds, !outliers.isEmpty {
                let list = outliers.map { "\($0)" }.joined(separator: ", ")
                notes.append("\(ratio.subject), \(name): the ratio of round \(list) lies far from the others'; it counts like them.")
            }
        }
        if metric.role == .headline {
            switch metric.noise {
            case .value(let noise): notes.append("The machine's noise, \(name): \(noise.sentence).")
            case .unavailable(let reason):
                notes.append("The machine's noise, \(name): not available: \(reason). Verdicts rest on interval and p alone, which errs more often.")
            }
        }
        if let warning = metric.noise.value?.warning { notes.append("WARNING, \(name): \(warning).") }
        return notes
    }

    /// Metrics that no subject has; those with the same reason share a line.
    private func absent(_ workload: ComparisonRecord.Workload) -> [String] {
        var reasons: [(reason: String, names: [String])] = []
        for metric in workload.metrics where metric.values.allSatisfy({ $0.spread.value == nil }) {
            let reason = metric.values.first?.spread.reason ?? "nobody has it"
            if let index = reasons.firstIndex(where: { $0.reason == reason }) {
                reasons[index].names.append(metric.metric.title)
            } else {
                reasons.append((reason, [metric.metric.title]))
            }
        }
        return reasons.map { "not available: \($0.names.joined(separator: "; ")): \($0.reason)" }
    }
}
