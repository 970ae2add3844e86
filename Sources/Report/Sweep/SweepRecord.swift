public import Gauge

/// A sweep, written down: `streamgauge.sweep/1`. The same run for each value of one option, or each pair of values of two; `results/README.md` describes it
/// key by key.
public struct SweepRecord: Codable, Sendable, Equatable {
    /// What the key `schema` of a record says.
    public static let schema = "streamgauge.sweep/1"

    public let schema: String
    /// The command line that was run, quoted for a shell.
    public let command: String
    /// One or two.
    public let axes: [Axis]
    /// In the order of the axes' values, the last axis changing fastest; an interrupted sweep has fewer.
    public let points: [Point]
    public let environment: Environment

    /// An option that is swept.
    public struct Axis: Codable, Sendable, Equatable {
        /// As the command line spells it, without dashes: `streams`, `message-size`.
        public let option: String
        /// As they were given, in order.
        public let values: [String]

        public init(option: String, values: [String]) {
            self.option = option
            self.values = values
        }
    }

    /// One run.
    public struct Point: Codable, Sendable, Equatable {
        /// One for each axis, as they were given.
        public let values: [String]
        /// What it gave, or why it gave nothing.
        public let run: Measured<RunRecord>

        public init(values: [String], run: Measured<RunRecord>) {
            self.values = values
            self.run = run
        }
    }

    public init(command: String, axes: [Axis], points: [Point], environment: Environment) {
        schema = Self.schema
        self.command = command
        self.axes = axes
        self.points = points
        self.environment = environment
    }

    /// Whether every point was run and is valid.
    public var valid: Bool { points.allSatisfy { $0.run.value?.valid == true } }

    /// The record as JSON text, always the same for the same record.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }
}
