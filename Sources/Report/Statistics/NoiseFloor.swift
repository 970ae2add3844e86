import Foundation
public import Gauge

/// How far two runs of the same thing are apart on this machine: the baseline, measured twice in every round (A/A).
///
/// The true ratio of the two is 1. What the A/A ratio of all rounds differs from it is an error of the instrument that more rounds do not remove (a place
/// in the round that is always slower, say), and the interval says how far it is known.
public struct NoiseFloor: Codable, Sendable, Equatable {
    /// Second run / first run.
    public let estimate: RatioEstimate
    /// By which factor the two runs of a round differ: in the median round, and in the round in which they differ most.
    public let pairRatioMedian: Double
    public let pairRatioMax: Double
    /// A difference that is no larger than this, as a ratio - 1, may be the instrument's own. Absent when there are too few rounds to know.
    ///
    /// The error that was seen and how uncertain it is are taken together as the root of their squares, as independent contributions are. The uncertainty is
    /// half the length of an interval that misses half as often as the level says: an error of the instrument falsifies every verdict that
    /// rests on it, so its bound has to be surer than one verdict.
    public let errorMax: Measured<Double>

    enum CodingKeys: String, CodingKey {
        case estimate
        case pairRatioMedian = "pair_ratio_median"
        case pairRatioMax = "pair_ratio_max"
        case errorMax = "error_max_ratio"
    }

    static func boundLevel(_ level: Double) -> Double { 1 - (1 - level) / 2 }

    /// - Parameter pairs: the baseline's first runs as baseline, its second ones as candidate.
    public static func measured(_ pairs: PairedSamples, level: Double, bootstrap: Bootstrap) -> Measured<NoiseFloor> {
        let logs = pairs.logRatios
        let intervals = logs.count < Bootstrap.valuesNeeded(level: level)
            ? [] : bootstrap.intervals(of: logs, levels: [level, boundLevel(level)])
        return RatioEstimate.paired(pairs, level: level, interval: intervals.first).map { estimate in
            let sizes = logs.map(abs)
            return NoiseFloor(
                estimate: estimate, pairRatioMedian: exp(Statistics.median(sizes) ?? 0), pairRatioMax: exp(sizes.max() ?? 0),
                errorMax: estimate.interval.map { _ in
                    let bound = intervals[1]
                    let (seen, uncertainty) = (log(estimate.ratio), (bound.upperBound - bound.lowerBound) / 2)
                    return exp((seen * seen + uncertainty * uncertainty).squareRoot()) - 1
                })
        }
    }

    /// The A/A ratio is not 1: the instrument itself prefers one of the two places, or rounds are not independent of each other.
    public var isBiased: Bool { estimate.interval.value.map { !$0.contains(1) } ?? false }

    /// For a person.
    public var sentence: String {
        let rest = errorMax.value.map { "; over all \(estimate.count) rounds that leaves \(percentage($0)), and no smaller difference is called one" } ?? ""
        return "two runs of the same thing differ by \(percentage(pairRatioMedian - 1)) (median), \(percentage(pairRatioMax - 1)) at most\(rest)"
    }

    /// What is to be told when the instrument is biased.
    public var warning: String? {
        guard isBiased, let interval = estimate.interval.value else { return nil }
        return "the second run of the same thing gives \(Units.fixed(estimate.ratio, places: 3)) of the first "
            + "(\(Units.fixed(interval.low, places: 3)) to \(Units.fixed(interval.high, places: 3))): the machine drifts within a round, or rounds are not "
            + "independent of each other. Differences of this size mean nothing here; see what else runs, and let the order change from round to round"
    }
}

/// `0.32 %`, `12.0 %`: a fraction as a person reads it.
func percentage(_ fraction: Double) -> String { "\(Units.significant(fraction * 100)) %" }
