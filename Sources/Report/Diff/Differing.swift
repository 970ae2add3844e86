import Foundation
import Gauge

/// From records to the rows of a ``DiffReport``.
struct Differing {
    let rule: VerdictRule
    let threshold: Double
    let selection: DiffReport.Selection
    let bootstrap: Bootstrap

    private(set) var rows: [DiffReport.Row] = []
    private(set) var onlyOld: [String] = []
    private(set) var onlyNew: [String] = []
    private(set) var invalid: [String] = []
    private(set) var notes: [String] = []
    private(set) var optionDifferences: [EnvironmentDifference] = []

    init(rule: VerdictRule, threshold: Double, selection: DiffReport.Selection, bootstrap: Bootstrap) {
        self.rule = rule
        self.threshold = threshold
        self.selection = selection
        self.bootstrap = bootstrap
    }

    // MARK: Runs

    /// Runs of the same setup: several files may hold repeats of one.
    private struct RunGroup {
        let setup: RunSetup
        var records: [RunRecord]

        var repeats: [RunFigures] { records.flatMap(\.repeats) }
        /// As short as it tells what was asked for.
        var workload: String {
            let rates = [
                setup.beside.value.flatMap { $0 == "bulk" ? nil : "beside \($0)" },
                setup.besideConnection.value == "own_connection" ? "on connections of their own" : nil,
                setup.depth > 1 ? "depth \(setup.depth)" : nil,
                setup.readRateBytesPerSecond.value.map { "read at \(Units.format(bytesPerSecond: $0))" },
                setup.ratePerSecond.value.map { "\(Units.format(perSecond: $0)) open loop" },
            ]
            return ([Shape.short(setup)] + rates.compactMap { $0 }).joined(separator: ", ")
        }
    }

    mutating func compare(runs old: [RunRecord], with new: [RunRecord]) {
        let (before, after) = (groups(old, "old"), groups(new, "new"))
        onlyOld += before.filter { group in !after.contains { $0.setup == group.setup } }.map { described($0.setup) }
        onlyNew += after.filter { group in !before.contains { $0.setup == group.setup } }.map { described($0.setup) }
        for group in before {
            guard let partner = after.first(where: { $0.setup == group.setup }) else { continue }
            compare(group, partner)
        }
    }

    /// Valid runs by what was asked for. The seed is no part of that: it makes other bytes and asks for the same.
    private mutating func groups(_ records: [RunRecord], _ side: String) -> [RunGroup] {
        var groups: [RunGroup] = []
        for record in records {
            let name = Shape.describe(record.setup)
            guard record.valid else {
                invalid.append("\(side): \(name): \(record.figures.invalidReasons.first ?? "no reason is recorded")")
                continue
            }
            if record.figures.partial { notes.append("\(side): \(name) did not reach its end; what was measured until then is compared") }
            var setup = record.setup
            setup.seed = 0
            if let index = groups.firstIndex(where: { $0.setup == setup }) {
                groups[index].records.append(record)
            } else {
                groups.append(RunGroup(setup: setup, records: [record]))
            }
        }
        return groups
    }

    /// With what two runs of the same name may differ in.
    private func described(_ setup: RunSetup) -> String {
        let end = setup.durationRequestedSeconds.value.map { Units.format(seconds: $0) }
            ?? setup.countRequested.value.map { Units.format(count: $0) + " operations" } ?? "no end"
        let threads = setup.threads.client == 1 && setup.threads.server == 1 ? "" : ", \(setup.threads.client) and \(setup.threads.server) event loops"
        return "\(Shape.describe(setup)), \(end), verify \(setup.verify), processes \(setup.processes)\(threads)"
    }

    private mutating func compare(_ old: RunGroup, _ new: RunGroup) {
        for metric in selected(headlines: [old.setup.headlineMetric.rawValue], ComparisonMetric.all) {
            add(
                old.setup.subject, old.workload, metric, isRatio: false, old.repeats.map { metric.value(in: $0) }, new.repeats.map { metric.value(in: $0) })
        }
        if let before = old.repeats.first, let after = new.repeats.first {
            for difference in EnvironmentDifference.between(before.options, after.options) where !optionDifferences.contains(difference) {
                optionDifferences.append(difference)
            }
        }
    }

    // MARK: Comparisons

    /// One candidate's ratios to its baseline in a workload and metric.
    private struct Candidate {
        let subject: String
        let workload: ComparisonRecord.Workload
        let metric: ComparisonRecord.Metric
        let ratios: [Measured<Double>]

        var name: String { "\(subject), \(workload.label)" }

        func isPartner(of other: Candidate) -> Bool {
            subject == other.subject && workload.label == other.workload.label && workload.parameters == other.workload.parameters
                && metric.metric == other.metric.metric
        }
    }

    mutating func compare(comparisons old: [ComparisonRecord], with new: [ComparisonRecord]) {
        let (before, after) = (old.flatMap(candidates), new.flatMap(candidates))
        func names(_ candidates: [Candidate], without others: [Candidate]) -> [String] {
            var names: [String] = []
            for candidate in candidates where !others.contains(where: { $0.isPartner(of: candidate) }) && !names.contains(candidate.name) {
                names.append(candidate.name)
            }
            return names
        }
        onlyOld += names(before, without: after)
        onlyNew += names(after, without: before)
        for candidate in before {
            guard let partner = after.first(where: { $0.isPartner(of: candidate) }) else { continue }
            add(candidate.subject, candidate.workload.label, candidate.metric.metric, isRatio: true, candidate.ratios, partner.ratios)
        }
    }

    private func candidates(_ record: ComparisonRecord) -> [Candidate] {
        record.workloads.flatMap { workload in
            let headlines = workload.metrics.filter { $0.role == .headline }.map(\.metric.name)
            let names = selected(headlines: headlines, workload.metrics.map(\.metric))
            return workload.metrics.filter { names.contains($0.metric) }.flatMap { metric in
                record.subjects.candidates.map { subject in
                    Candidate(
                        subject: "\(subject) beside \(record.subjects.baseline)", workload: workload, metric: metric,
                        ratios: ratios(metric, subject, record.subjects.baseline))
                }
            }
        }
    }

    private func ratios(_ metric: ComparisonRecord.Metric, _ subject: String, _ baseline: String) -> [Measured<Double>] {
        func series(_ run: RoundRun) -> [Measured<Double>] { metric.values.first { $0.run == run }?.byRound ?? [] }
        let (base, again, own) = (series(RoundRun(baseline)), series(RoundRun(baseline, run: 2)), series(RoundRun(subject)))
        // A record that somebody changed may have rounds missing; those that all have are compared.
        let count = again.isEmpty ? min(base.count, own.count) : min(base.count, again.count, own.count)
        let pairs = PairedSamples(
            baseline: Array(base.prefix(count)), baselineAgain: Array(again.prefix(count)), candidate: Array(own.prefix(count)),
            preference: metric.metric.better)
        return pairs.pairs.map { .value(exp($0.logRatio)) } + pairs.unpaired.map { .unavailable($0.reason) }
    }

    // MARK: Rows

    private func selected(headlines: [String], _ metrics: [ComparisonMetric]) -> [ComparisonMetric] {
        switch selection {
        case .headlines: metrics.filter { headlines.contains($0.name) }
        case .all: metrics
        case .named(let names): metrics.filter { names.contains($0.name) }
        }
    }

    private mutating func add(
        _ subject: String, _ workload: String, _ metric: ComparisonMetric, isRatio: Bool, _ old: [Measured<Double>],
        _ new: [Measured<Double>]
    ) {
        let (before, after) = (old.compactMap(\.value), new.compactMap(\.value))
        // What neither has is told only to who asked for it.
        if before.isEmpty, after.isEmpty, selection == .all { return }
        let estimate = estimate(old, new, before, after)
        let judgement = rule.judge(estimate, preference: metric.better)
        func spread(_ values: [Double], _ all: [Measured<Double>]) -> Measured<Spread> {
            Measured(Statistics.spread(values), else: all.first { $0.value == nil }?.reason ?? "there is no value")
        }
        rows.append(
            DiffReport.Row(
                subject: subject, workload: workload, metric: metric, isRatio: isRatio, old: spread(before, old), oldCount: before.count, new: spread(after, new),
                newCount: after.count, estimate: estimate, judgement: judgement, isRegression: isRegression(estimate, judgement, metric.better)))
    }

    private func estimate(
        _ old: [Measured<Double>], _ new: [Measured<Double>], _ before: [Double], _ after: [Double]
    ) -> Measured<RatioEstimate> {
        for (all, values, name) in [(old, before, "old"), (new, after, "new")] where values.isEmpty {
            return .unavailable("the \(name) one has no value: \(all.first?.reason ?? "there is none")")
        }
        return RatioEstimate.unpaired(old: before, new: after, level: rule.level, bootstrap: bootstrap)
    }

    private func isRegression(_ estimate: Measured<RatioEstimate>, _ judgement: Judgement, _ better: Preference) -> Bool {
        guard judgement.verdict == .worse, let ratio = estimate.value?.ratio else { return false }
        return better == .higher ? 1 - ratio > threshold : ratio - 1 > threshold
    }
}
