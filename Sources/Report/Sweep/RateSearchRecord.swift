public import Gauge

/// A search for the highest rate that keeps a promise about latency, written down: `streamgauge.rate-search/1`. `results/README.md` describes it key by key.
public struct RateSearchRecord: Codable, Sendable, Equatable {
    /// What the key `schema` of a record says.
    public static let schema = "streamgauge.rate-search/1"

    public let schema: String
    /// The command line that was run, quoted for a shell.
    public let command: String
    public let goal: Goal
    /// The highest rate at which the goal was met for sure; absent when there was none.
    public let foundRatePerSecond: Measured<Double>
    /// The lowest rate at which it was missed for sure; absent when there was none.
    public let missedRatePerSecond: Measured<Double>
    /// In the order in which they were made.
    public let steps: [Step]
    public let environment: Environment

    enum CodingKeys: String, CodingKey {
        case schema, command, goal, steps, environment
        case foundRatePerSecond = "found_rate_per_second"
        case missedRatePerSecond = "missed_rate_per_second"
    }

    /// What must hold of the response time.
    public struct Goal: Codable, Sendable, Equatable {
        /// `p50`, `p90`, `p99`, `p99.9` or `max`.
        public let percentile: String
        /// The percentile must stay below it.
        public let boundNanoseconds: UInt64

        public init(percentile: String, boundNanoseconds: UInt64) {
            self.percentile = percentile
            self.boundNanoseconds = boundNanoseconds
        }

        enum CodingKeys: String, CodingKey {
            case percentile
            case boundNanoseconds = "bound_ns"
        }
    }

    /// How a rate did.
    public enum Outcome: String, Codable, Sendable {
        case met, missed
        /// The generator could not keep its schedule: the rate is more than this machine can make, so nothing is said of the subject's latency.
        case notOffered = "not_offered"
        /// The runs at this rate disagree, or one was not valid for another reason.
        case unclear
    }

    /// The runs of one rate.
    public struct Step: Codable, Sendable, Equatable {
        public let ratePerSecond: Double
        public let outcome: Outcome
        /// Why, as a sentence.
        public let reason: String
        /// Every repeat, with response times corrected for coordinated omission and the pacer's own lateness.
        public let run: RunRecord

        public init(ratePerSecond: Double, outcome: Outcome, reason: String, run: RunRecord) {
            self.ratePerSecond = ratePerSecond
            self.outcome = outcome
            self.reason = reason
            self.run = run
        }

        enum CodingKeys: String, CodingKey {
            case outcome, reason, run
            case ratePerSecond = "rate_per_second"
        }
    }

    public init(
        command: String, goal: Goal, foundRatePerSecond: Measured<Double>, missedRatePerSecond: Measured<Double>, steps: [Step], environment: Environment
    ) {
        schema = Self.schema
        self.command = command
        self.goal = goal
        self.foundRatePerSecond = foundRatePerSecond
        self.missedRatePerSecond = missedRatePerSecond
        self.steps = steps
        self.environment = environment
    }

    /// The record as JSON text, always the same for the same record.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }
}
