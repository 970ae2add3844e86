public import Gauge

/// Two sets of stored records beside each other: `streamgauge.diff/1`.
///
/// Runs are matched by what was asked for, comparisons by workload, subject and baseline. Of runs the repeats are compared, which have no pairs; of
/// comparisons the ratio of a subject to its baseline, round by round, from which the speed of the machine has gone.
public struct DiffReport: Codable, Sendable, Equatable {
    /// What the key `schema` says.
    public static let schema = "streamgauge.diff/1"

    public let schema: String
    public let old: String
    public let new: String
    public let rule: VerdictRule
    /// Worse by more than this is a regression.
    public let threshold: Double
    public let rows: [Row]
    /// What only one of the two has.
    public let onlyOld: [String]
    public let onlyNew: [String]
    /// Runs that are INVALID, with why: they are not compared.
    public let invalid: [String]
    /// Runs that did not reach their end, and the like: they are compared.
    public let notes: [String]
    public let environmentDifferences: [EnvironmentDifference]

    enum CodingKeys: String, CodingKey {
        case schema, old, new, rule
        case threshold = "threshold_ratio"
        case rows
        case onlyOld = "only_old"
        case onlyNew = "only_new"
        case invalid, notes
        case environmentDifferences = "environment_differences"
    }

    public struct Row: Codable, Sendable, Equatable {
        /// `tcp+yamux`, or `raw beside tcp+yamux` for the ratios of a comparison.
        public let subject: String
        public let workload: String
        public let metric: ComparisonMetric
        /// Whether the values are ratios to a baseline, and not in the metric's unit.
        public let isRatio: Bool
        public let old: Measured<Spread>
        public let oldCount: Int
        public let new: Measured<Spread>
        public let newCount: Int
        /// New / old.
        public let estimate: Measured<RatioEstimate>
        public let judgement: Judgement
        public let isRegression: Bool

        enum CodingKeys: String, CodingKey {
            case subject, workload, metric
            case isRatio = "is_ratio"
            case old
            case oldCount = "old_count"
            case new
            case newCount = "new_count"
            case estimate, judgement
            case isRegression = "is_regression"
        }
    }

    /// Which metrics are compared.
    public enum Selection: Sendable, Equatable {
        /// Of each workload those that it is made for.
        case headlines
        case all
        case named([String])
    }

    /// - Parameters:
    ///   - rule: its level is that of the intervals, and differences within its margin are not told.
    ///   - threshold: such as 0.05.
    public init(
        old: RecordFile, new: RecordFile, rule: VerdictRule, threshold: Double, selection: Selection, resamples: Int = Bootstrap.resamplesDefault
    ) {
        var differing = Differing(rule: rule, threshold: threshold, selection: selection, bootstrap: Bootstrap(resamples: resamples, seed: 1))
        differing.compare(runs: old.runs, with: new.runs)
        differing.compare(comparisons: old.comparisons, with: new.comparisons)
        schema = Self.schema
        self.old = old.path
        self.new = new.path
        self.rule = rule
        self.threshold = threshold
        rows = differing.rows
        onlyOld = differing.onlyOld
        onlyNew = differing.onlyNew
        invalid = differing.invalid
        notes = differing.notes
        let environments = EnvironmentDifference.between(
            old.runs.map(\.environment) + old.comparisons.map(\.environment), new.runs.map(\.environment) + new.comparisons.map(\.environment))
        environmentDifferences = environments + differing.optionDifferences
    }

    public var regressions: [Row] { rows.filter(\.isRegression) }

    /// Something was compared: there is a ratio.
    public var hasRatios: Bool { rows.contains { $0.estimate.value != nil } }

    /// Differences for which figures cannot be held against each other.
    public var differencesThatMatter: [EnvironmentDifference] { environmentDifferences.filter(\.matters) }

    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }
}
