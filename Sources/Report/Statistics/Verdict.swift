import Foundation
public import Gauge

/// What may be said about a subject beside its baseline.
public enum Verdict: String, Codable, Sendable, CaseIterable {
    case better, worse, equal
    case cannotTell = "cannot tell"
}

/// A verdict with what a person is told about it.
public struct Judgement: Codable, Sendable, Equatable {
    public let verdict: Verdict
    /// `worse: 5.2 % less`, `cannot tell: …` with what it would take.
    public let words: String

    public init(_ verdict: Verdict, _ words: String) {
        self.verdict = verdict
        self.words = words
    }
}

/// When a difference is called one.
///
/// *Better* and *worse* need all three:
/// 1. the interval excludes 1: the size of the difference is known well enough to have a sign;
/// 2. p is below 1 - level: the test is exact for any symmetric noise and any number of
///    rounds, where the interval is only good for many;
/// 3. the estimate lies beyond the error of the instrument (``NoiseFloor/errorMax``). The first two ask whether the ratio is 1; but the ratio of two
///    identical things is not quite 1 on a machine where the place in a round matters, and with enough rounds any such bias becomes significant. The A/A
///    runs have the same bias, and as many rounds, so a difference that they cannot exclude is not told. This also makes the rule strict: by
///    themselves the first two would call one in a hundred comparisons of identical builds different (level 0.99), that is one in five who make 20 of
///    them. The third is a threshold that is independent of them, and higher: with it one in some two thousand is (by simulation, as in `VerdictTests`), so p is not
///    corrected for how many verdicts a comparison gives: a correction would need more rounds than a difference that anybody can see does.
///    Without A/A runs the margin stands in its place: differences that nobody cares about are not told.
///
/// *Equal* needs the whole interval inside the margin: that no difference was found is no evidence that there is none.
/// Everything else is *cannot tell*, with what it would take to tell.
public struct VerdictRule: Codable, Sendable, Equatable {
    /// Of intervals; 1 - level is what p must be below.
    public let level: Double
    /// The largest relative difference that does not matter, such as 0.01.
    public let margin: Double

    public static let levelDefault = 0.99
    public static let marginDefault = 0.01

    public init(level: Double = levelDefault, margin: Double = marginDefault) {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        precondition(margin > 0 && margin < 1, "a margin lies between 0 and 1")
        self.level = level
        self.margin = margin
    }

    /// - Parameters:
    ///   - estimate: what the rounds say.
    ///   - preference: which way is better.
    ///   - floor: what the A/A runs of the same rounds say; nil when there were none.
    public func judge(
        _ estimate: Measured<RatioEstimate>, preference: Preference, floor: NoiseFloor? = nil
    ) -> Judgement {
        switch estimate {
        case .value(let estimate): judge(estimate, preference, floor)
        case .unavailable(let reason): Judgement(.cannotTell, "cannot tell: \(reason)")
        }
    }

    private func judge(_ estimate: RatioEstimate, _ preference: Preference, _ floor: NoiseFloor?) -> Judgement {
        guard let interval = estimate.interval.value else { return Judgement(.cannotTell, "cannot tell: \(estimate.interval.reason ?? "no interval")") }
        if interval.low >= 1 - margin, interval.high <= 1 + margin {
            return Judgement(.equal, "equal within \(percent(margin))")
        }
        let size = abs(log(estimate.ratio))
        if interval.contains(1) {
            return Judgement(.cannotTell, "cannot tell: the interval holds 1" + effort(estimate))
        }
        guard estimate.probability < 1 - level else {
            return Judgement(.cannotTell, "cannot tell: p is \(Units.significant(estimate.probability)), not below \(decimal(1 - level))" + effort(estimate))
        }
        let threshold = log(1 + (floor.map { $0.errorMax.value ?? .infinity } ?? margin))
        guard size > threshold else {
            let error = floor == nil ? "the margin, \(percent(margin))" : "what two runs of the same thing may differ by, "
                + (floor?.errorMax.value.map(percentage) ?? "which is not known")
            return Judgement(.cannotTell, "cannot tell: the difference is within \(error)" + effort(estimate))
        }
        let isBetter = (estimate.ratio > 1) == (preference == .higher)
        return Judgement(isBetter ? .better : .worse, "\(isBetter ? "better" : "worse"): \(Self.difference(estimate.ratio))")
    }

    /// `5.2 % less`, `12 % more`, `3.4 times as much`.
    public static func difference(_ ratio: Double) -> String {
        if ratio >= 2 { return "\(Units.significant(ratio)) times as much" }
        return ratio < 1 ? "\(percentage(1 - ratio)) less" : "\(percentage(ratio - 1)) more"
    }

    // MARK: What it would take

    /// How many rounds find a true difference of `difference` nine times in ten, when one round's ratio scatters by `scatter` (both as logarithms).
    public func roundsNeeded(toFind difference: Double, scatter: Double) -> Int {
        // The noise floor is a higher threshold than the interval: its ratio is of two single runs, and its own estimate adds to it.
        let quantiles = Distributions.normalQuantile((1 + level) / 2) * 1.25 + Distributions.normalQuantile(0.9)
        let size = quantiles * scatter / difference
        // The estimate is a little less efficient than the mean that the formula is for.
        return max(Bootstrap.valuesNeeded(level: level), Int(min((size * size / 0.955).rounded(.up), 1e9)))
    }

    /// The same for repeats of each side without pairs: both scatter, and medians do so by pi/2 more than means.
    public func repeatsNeeded(toFind difference: Double, scatter: Double) -> Int {
        let quantiles = Distributions.normalQuantile((1 + level) / 2) + Distributions.normalQuantile(0.9)
        let size = quantiles * scatter / difference
        return max(RatioEstimate.repeatsNeeded(level: level), Int(min((size * size * .pi).rounded(.up), 1e9)))
    }

    private func effort(_ estimate: RatioEstimate) -> String {
        guard let scatter = estimate.scatter.value, scatter > 0 else { return "" }
        let counts = [0.02, 0.05].map { size in
            let count = switch estimate.sampling {
            case .rounds: roundsNeeded(toFind: log(1 + size), scatter: scatter)
            case .repeats: repeatsNeeded(toFind: log(1 + size), scatter: scatter)
            }
            return Units.format(count: count)
        }
        let noun = estimate.sampling == .rounds ? "rounds" : "repeats of each"
        return "; to find a difference of 2 % about \(counts[0]) \(noun) are needed, for 5 % about \(counts[1])"
    }
}
