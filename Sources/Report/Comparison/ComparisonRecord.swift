public import Gauge

/// A comparison, written down: `streamgauge.comparison/1`. All values are in it as they were measured, with what was made of them; `results/README.md`
/// describes it key by key.
public struct ComparisonRecord: Codable, Sendable, Equatable {
    /// What the key `schema` of a record says.
    public static let schema = "streamgauge.comparison/1"

    public let schema: String
    /// The command line that was run, quoted for a shell.
    public let command: String
    /// What payload, order and resampling were made from.
    public let seed: UInt64
    public let rule: VerdictRule
    /// Why no more rounds were made; absent where their number was given.
    public let stopping: Measured<StoppingRule>
    public let subjects: ComparisonSubjects
    /// What was at the ends, by the name in a subject; nil in a record from before they were noted.
    public let drivers: [DriverVersion]?
    /// For each round, in which order its runs were made; the baseline is named twice.
    public let order: [[String]]
    public let workloads: [Workload]
    public let environment: Environment

    enum CodingKeys: String, CodingKey {
        case schema, command, seed, rule, stopping, subjects, drivers, order, workloads, environment
    }

    /// What a driver says that it drives.
    public struct DriverVersion: Codable, Sendable, Equatable {
        public let name: String
        public let version: String

        public init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    public struct Workload: Codable, Sendable, Equatable {
        public let label: String
        public let parameters: [String: Parameter]
        public let metrics: [Metric]
    }

    public struct Metric: Codable, Sendable, Equatable {
        public let metric: ComparisonMetric
        /// Whether the workload is made for it.
        public let role: Role
        public let values: [Values]
        /// Of the baseline's two runs in each round.
        public let noise: Measured<NoiseFloor>
        public let ratios: [Ratio]

        enum CodingKeys: String, CodingKey { case metric, role, values, noise, ratios }
    }

    public enum Role: String, Codable, Sendable { case headline, detail }

    /// What one subject gave, round by round.
    public struct Values: Codable, Sendable, Equatable {
        public let run: RoundRun
        public let byRound: [Measured<Double>]
        /// Of the rounds that have a value.
        public let spread: Measured<Spread>

        enum CodingKeys: String, CodingKey {
            case run
            case byRound = "by_round"
            case spread
        }
    }

    /// One candidate beside the baseline.
    public struct Ratio: Codable, Sendable, Equatable {
        public let subject: String
        public let estimate: Measured<RatioEstimate>
        public let judgement: Judgement
        /// Rounds without a ratio, with why.
        public let unpaired: [Unpaired]

        enum CodingKeys: String, CodingKey {
            case subject, estimate
            case judgement
            case unpaired = "rounds_without_ratio"
        }
    }

    public struct Unpaired: Codable, Sendable, Equatable {
        public let round: Int
        public let reason: String
    }

    /// Computes everything from what the rounds gave.
    ///
    /// - Parameters:
    ///   - drivers: what was at the ends.
    ///   - workloads: each with as many rounds as `order` has.
    ///   - resamples: of each interval.
    public init(
        command: String, seed: UInt64, rule: VerdictRule, stopping: Measured<StoppingRule>, subjects: ComparisonSubjects, drivers: [DriverVersion],
        order: [[String]], workloads: [ComparisonWorkload], environment: Environment, resamples: Int = Bootstrap.resamplesDefault
    ) {
        schema = Self.schema
        self.command = command
        self.seed = seed
        self.rule = rule
        self.stopping = stopping
        self.subjects = subjects
        self.drivers = drivers
        self.order = order
        self.environment = environment
        self.workloads = Comparing(rule: rule, subjects: subjects, bootstrap: Bootstrap(resamples: resamples, seed: seed)).results(workloads)
    }

    public var rounds: Int { order.count }

    /// Every verdict with what it is about, headlines first.
    public var verdicts: [(workload: String, metric: ComparisonMetric, role: Role, ratio: Ratio)] {
        [Role.headline, .detail].flatMap { role in
            workloads.flatMap { workload in
                workload.metrics.filter { $0.role == role }.flatMap { metric in
                    metric.ratios.map { (workload.label, metric.metric, role, $0) }
                }
            }
        }
    }

    /// The record as JSON text, always the same for the same record.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }
}

/// From values to verdicts.
private struct Comparing {
    let rule: VerdictRule
    let subjects: ComparisonSubjects
    let bootstrap: Bootstrap

    func results(_ workloads: [ComparisonWorkload]) -> [ComparisonRecord.Workload] {
        workloads.map { workload in
            ComparisonRecord.Workload(
                label: workload.label, parameters: workload.parameters,
                metrics: workload.metrics.map { metric in
                    let role: ComparisonRecord.Role = workload.headlines.contains(metric.name) ? .headline : .detail
                    let noise = NoiseFloor.measured(workload.noise(metric, subjects.baseline), level: rule.level, bootstrap: bootstrap)
                    let ratios = subjects.candidates.map { ratio($0, workload.pairs(metric, subjects.baseline, $0), noise, metric.better) }
                    return ComparisonRecord.Metric(metric: metric, role: role, values: values(workload, metric), noise: noise, ratios: ratios)
                })
        }
    }

    private func ratio(_ subject: String, _ pairs: PairedSamples, _ noise: Measured<NoiseFloor>, _ better: Preference) -> ComparisonRecord.Ratio {
        let estimate = RatioEstimate.paired(pairs, level: rule.level, bootstrap: bootstrap)
        return ComparisonRecord.Ratio(
            subject: subject, estimate: estimate, judgement: rule.judge(estimate, preference: better, floor: noise.value),
            unpaired: pairs.unpaired.map { ComparisonRecord.Unpaired(round: $0.round, reason: $0.reason) })
    }

    private func values(_ workload: ComparisonWorkload, _ metric: ComparisonMetric) -> [ComparisonRecord.Values] {
        let runs = [RoundRun(subjects.baseline), RoundRun(subjects.baseline, run: 2)] + subjects.candidates.map { RoundRun($0) }
        return runs.map { run in
            let series = workload.series(metric, run)
            let reason = series.first { $0.value == nil }?.reason ?? "there was no round"
            return ComparisonRecord.Values(run: run, byRound: series, spread: Measured(Statistics.spread(series.compactMap(\.value)), else: reason))
        }
    }
}
