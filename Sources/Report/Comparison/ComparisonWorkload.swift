public import Gauge

/// A parameter of a workload: a number or a word. In JSON it stands bare.
public enum Parameter: Codable, Sendable, Equatable, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral {
    case number(Double)
    case text(String)

    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .text(value) }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Double.self) { self = .number(number) } else { self = .text(try container.decode(String.self)) }
    }
}

/// Who is compared: the baseline is measured twice in every round, every candidate once.
public struct ComparisonSubjects: Codable, Sendable, Equatable {
    public let baseline: String
    public let candidates: [String]

    public init(baseline: String, candidates: [String]) {
        precondition(Set(candidates + [baseline]).count == candidates.count + 1, "subjects have names of their own")
        self.baseline = baseline
        self.candidates = candidates
    }
}

/// One run within a round: of a candidate, or the first or second of the baseline.
public struct RoundRun: Codable, Sendable, Hashable {
    public let subject: String
    /// 1, or 2 for the baseline's second run: the later one.
    public let run: Int

    public init(_ subject: String, run: Int = 1) {
        self.subject = subject
        self.run = run
    }
}

/// What the rounds gave for one workload, while they are being made.
///
/// Call order: ``addRound(_:)`` after each round, ``headlineEstimates(_:level:bootstrap:)`` for the stopping rule, then everything goes into
/// ``ComparisonRecord``.
public struct ComparisonWorkload: Sendable, Equatable {
    public let label: String
    public let parameters: [String: Parameter]
    public let metrics: [ComparisonMetric]
    /// Names of the metrics that this workload is made for.
    public let headlines: [String]
    public private(set) var rounds: [[RoundRun: [String: Measured<Double>]]] = []

    /// - Parameters:
    ///   - label: what a reader is told, such as `bulk up, 10 connections x 1,000 streams, 64 KiB messages`.
    ///   - parameters: what a program needs to make it again; their names carry units.
    ///   - metrics: in the order in which they are shown.
    ///   - headlines: at least one, of `metrics`.
    public init(label: String, parameters: [String: Parameter], metrics: [ComparisonMetric] = ComparisonMetric.all, headlines: [String]) {
        precondition(!headlines.isEmpty && headlines.allSatisfy { name in metrics.contains { $0.name == name } }, "headlines are metrics")
        self.label = label
        self.parameters = parameters
        self.metrics = metrics
        self.headlines = headlines
    }

    /// - Parameter values: of every run by the names of metrics; a run that failed is not in it, or has absences that say why.
    public mutating func addRound(_ values: [RoundRun: [String: Measured<Double>]]) { rounds.append(values) }

    /// A value a round.
    func series(_ metric: ComparisonMetric, _ run: RoundRun) -> [Measured<Double>] {
        rounds.map { round in
            guard let values = round[run] else { return .unavailable("the run was not made") }
            switch values[metric.name] ?? .unavailable("the run does not have it") {
            // A record cannot hold it, and no figure may rest on it.
            case .value(let number) where !number.isFinite: return .unavailable("the run gave \(number)")
            case let value: return value
            }
        }
    }

    /// The ratios that decide whether there were enough rounds.
    public func headlineEstimates(_ subjects: ComparisonSubjects, level: Double, bootstrap: Bootstrap) -> [Measured<RatioEstimate>] {
        metrics.filter { headlines.contains($0.name) }.flatMap { metric in
            subjects.candidates.map { RatioEstimate.paired(pairs(metric, subjects.baseline, $0), level: level, bootstrap: bootstrap) }
        }
    }

    func pairs(_ metric: ComparisonMetric, _ baseline: String, _ candidate: String) -> PairedSamples {
        PairedSamples(
            baseline: series(metric, RoundRun(baseline)), baselineAgain: series(metric, RoundRun(baseline, run: 2)),
            candidate: series(metric, RoundRun(candidate)), preference: metric.better)
    }

    /// The baseline's second runs by its first ones.
    func noise(_ metric: ComparisonMetric, _ baseline: String) -> PairedSamples {
        PairedSamples(
            baseline: series(metric, RoundRun(baseline)), candidate: series(metric, RoundRun(baseline, run: 2)), preference: metric.better)
    }
}
