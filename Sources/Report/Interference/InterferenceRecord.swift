public import Gauge

/// What aggressors do to a victim, written down: `streamgauge.interference/1`. The victim is one stream with a 64-byte request under way; `results/README.md`
/// describes it key by key.
public struct InterferenceRecord: Codable, Sendable, Equatable {
    /// What the key `schema` of a record says.
    public static let schema = "streamgauge.interference/1"

    public let schema: String
    /// The command line that was run, quoted for a shell.
    public let command: String
    /// In the order they were given.
    public let subjects: [String]
    /// In the order they are shown.
    public let aggressors: [Aggressor]
    /// Every subject with every aggressor and placement that it offers.
    public let cells: [Cell]
    public let environment: Environment

    /// What goes on beside the victim.
    public struct Aggressor: Codable, Sendable, Equatable {
        /// As the command line spells it, such as `bulk-100`.
        public let name: String
        /// For people, one line.
        public let summary: String

        public init(name: String, summary: String) {
            self.name = name
            self.summary = summary
        }
    }

    /// Where the aggressor runs.
    public enum Placement: String, Codable, CaseIterable, Sendable {
        case sameConnection = "same_connection"
        case ownConnection = "own_connection"
    }

    /// A victim beside an aggressor: medians of the rounds, except where it says otherwise.
    public struct Cell: Codable, Sendable, Equatable {
        public let subject: String
        public let aggressor: String
        public let placement: Placement
        /// What it gave, or why it gave nothing (not offered, or failed).
        public let outcome: Measured<Outcome>

        public init(subject: String, aggressor: String, placement: Placement, outcome: Measured<Outcome>) {
            self.subject = subject
            self.aggressor = aggressor
            self.placement = placement
            self.outcome = outcome
        }
    }

    public struct Outcome: Codable, Sendable, Equatable {
        /// Of the victim alone on its connection, in the same rounds.
        public var idle: LatencySummary
        /// Of the victim beside the aggressor.
        public var loaded: LatencySummary
        /// Of the rounds' ratios of loaded to idle.
        public var p50Ratio: Spread
        public var p99Ratio: Spread
        /// What the aggressor carries beside the victim, by what it carries alone; absent where it carries nothing.
        public var goodputKeptRatio: Measured<Double>
        /// Over the aggressor's streams, of bytes received; absent where it has no bulk.
        public var jainFairness: Measured<Double>
        public var starvedStreams: Measured<Int>
        public var longestSilenceSeconds: Measured<Double>
        /// Where the victim's time goes beside the aggressor; absent unless both ends are ours.
        public var stages: Measured<[LatencyStages]>
        public var rounds: Int
        /// Why the runs must not be believed; empty when they may.
        public var invalidReasons: [String]

        public init(
            idle: LatencySummary, loaded: LatencySummary, p50Ratio: Spread, p99Ratio: Spread, goodputKeptRatio: Measured<Double>,
            jainFairness: Measured<Double>, starvedStreams: Measured<Int>, longestSilenceSeconds: Measured<Double>,
            stages: Measured<[LatencyStages]>, rounds: Int, invalidReasons: [String]
        ) {
            self.idle = idle
            self.loaded = loaded
            self.p50Ratio = p50Ratio
            self.p99Ratio = p99Ratio
            self.goodputKeptRatio = goodputKeptRatio
            self.jainFairness = jainFairness
            self.starvedStreams = starvedStreams
            self.longestSilenceSeconds = longestSilenceSeconds
            self.stages = stages
            self.rounds = rounds
            self.invalidReasons = invalidReasons
        }

        enum CodingKeys: String, CodingKey {
            case rounds, stages
            case idle = "idle_ns"
            case loaded = "loaded_ns"
            case p50Ratio = "p50_ratio"
            case p99Ratio = "p99_ratio"
            case goodputKeptRatio = "goodput_kept_ratio"
            case jainFairness = "jain_fairness"
            case starvedStreams = "starved_streams"
            case longestSilenceSeconds = "longest_silence_seconds"
            case invalidReasons = "invalid_reasons"
        }
    }

    public init(command: String, subjects: [String], aggressors: [Aggressor], cells: [Cell], environment: Environment) {
        schema = Self.schema
        self.command = command
        self.subjects = subjects
        self.aggressors = aggressors
        self.cells = cells
        self.environment = environment
    }

    /// The record as JSON text, always the same for the same record.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }
}
