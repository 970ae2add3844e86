import Foundation
public import Gauge

/// Which way a metric is better.
public enum Preference: String, Codable, Sendable, CaseIterable {
    case higher, lower
}

/// What two subjects gave in the same rounds, as ratios candidate / baseline.
///
/// Only what stands beside each other in time is compared: a machine that becomes slower from round to round slows both, and the ratio stays. Ratios are
/// kept as logarithms, in which twice as much and half as much are equally far from the same.
///
/// Rounds are counted from 1. A round that lacks one of the two has no ratio, and ``unpaired`` says why; no other round is ever left out.
public struct PairedSamples: Sendable, Equatable {
    public struct Pair: Sendable, Equatable {
        public let round: Int
        /// ln(candidate / baseline)
        public let logRatio: Double
    }

    public struct Unpaired: Sendable, Equatable {
        public let round: Int
        public let reason: String
    }

    public let preference: Preference
    public private(set) var pairs: [Pair] = []
    public private(set) var unpaired: [Unpaired] = []

    var logRatios: [Double] { pairs.map(\.logRatio) }

    /// - Parameters:
    ///   - baseline: a value a round.
    ///   - baselineAgain: the baseline's second run of each round, where it had one. Then a round's baseline is the geometric mean of the two, which
    ///     scatters less than one; and if the one ran before the candidate and the other after it, what the machine did in between cancels out.
    ///   - candidate: a value a round, as many as the baseline has.
    public init(
        baseline: [Measured<Double>], baselineAgain: [Measured<Double>] = [], candidate: [Measured<Double>], preference: Preference
    ) {
        precondition(baseline.count == candidate.count, "both subjects have an entry for each round, be it an absence")
        precondition(baselineAgain.isEmpty || baselineAgain.count == baseline.count, "the second baseline has an entry for each round, or none at all")
        self.preference = preference
        for index in baseline.indices {
            let first = Self.checked(baseline[index], "the baseline")
            let second = baselineAgain.isEmpty ? nil : Self.checked(baselineAgain[index], "the baseline's second run")
            let base = second.map { Self.mean(first, $0) } ?? first
            add(round: index + 1, Self.logRatio(base, Self.checked(candidate[index], "the subject")))
        }
    }

    private mutating func add(round: Int, _ logRatio: Measured<Double>) {
        switch logRatio {
        case .value(let value): pairs.append(Pair(round: round, logRatio: value))
        case .unavailable(let reason): unpaired.append(Unpaired(round: round, reason: reason))
        }
    }

    /// Numbers below zero and what is no number have no ratio.
    private static func checked(_ value: Measured<Double>, _ name: String) -> Measured<Double> {
        switch value {
        case .value(let number) where number.isFinite && number >= 0: value
        case .value(let number): .unavailable("\(name) has \(number)")
        case .unavailable(let reason): .unavailable("\(name) has no value: \(reason)")
        }
    }

    /// One of the two is enough; the mean with a 0 is 0.
    private static func mean(_ first: Measured<Double>, _ second: Measured<Double>) -> Measured<Double> {
        guard let one = first.value, let other = second.value else { return first.value == nil ? second : first }
        return .value(one.squareRoot() * other.squareRoot())
    }

    private static func logRatio(_ baseline: Measured<Double>, _ candidate: Measured<Double>) -> Measured<Double> {
        switch (baseline, candidate) {
        case (.value(0), .value(0)): .value(0)
        case (.value(0), .value): .unavailable("the baseline has 0")
        case (.value, .value(0)): .unavailable("the subject has 0")
        // The difference of logarithms exists where the quotient would be too large or too small for a number.
        case (.value(let baseline), .value(let candidate)): checked(logRatio: log(candidate) - log(baseline))
        case (.unavailable(let reason), _), (_, .unavailable(let reason)): .unavailable(reason)
        }
    }

    /// About 10^173 times as much: the square of what is within is a finite number still, so everything that is computed from it can be written down.
    static let logRatioMax = 400.0

    private static func checked(logRatio: Double) -> Measured<Double> {
        abs(logRatio) <= logRatioMax ? .value(logRatio) : .unavailable("the two are too far apart for a ratio")
    }
}
