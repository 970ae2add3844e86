public import Gauge

/// When enough rounds were made: when every ratio that matters is known precisely enough, or when the rounds are spent.
///
/// Stopping when something becomes significant would be looking until chance gives the answer one hopes for: with a look after every round the one error in
/// a hundred becomes one in ten or more. Stopping by the width of the interval does not do that, because the width says how much the rounds
/// scatter and nothing about on which side of 1 they lie; for normal noise the two are independent. What remains is that a scatter which happens
/// to come out small stops earlier, which makes intervals a little too narrow; `roundsMin` bounds it (Chow and Robbins, 1965: it vanishes as the
/// precision grows).
public struct StoppingRule: Codable, Sendable, Equatable {
    public let roundsMin: Int
    public let roundsMax: Int
    /// Half the length of an interval, relative: 0.02 is ± 2 %.
    public let precision: Double

    enum CodingKeys: String, CodingKey {
        case roundsMin = "rounds_min"
        case roundsMax = "rounds_max"
        case precision = "precision_ratio"
    }

    public enum Decision: Sendable, Equatable {
        case goOn
        case precise
        case roundsSpent
    }

    public init(roundsMin: Int, roundsMax: Int, precision: Double) {
        precondition(roundsMin >= 1 && roundsMax >= roundsMin, "at least one round, and no fewer at most than at least")
        precondition(precision > 0, "no interval is shorter than nothing")
        self.roundsMin = roundsMin
        self.roundsMax = roundsMax
        self.precision = precision
    }

    /// - Parameters:
    ///   - rounds: how many were made.
    ///   - estimates: of every metric and subject that matters. What cannot be had at all (no round has both values) will not come with more rounds and is
    ///     not waited for, unless nothing can be had.
    public func decide(after rounds: Int, _ estimates: [Measured<RatioEstimate>]) -> Decision {
        if rounds >= roundsMax { return .roundsSpent }
        let known = estimates.compactMap(\.value)
        guard rounds >= roundsMin, !known.isEmpty else { return .goOn }
        let isPrecise = known.allSatisfy { $0.interval.value.map { $0.logHalfWidth <= precision } ?? false }
        return isPrecise ? .precise : .goOn
    }
}
