import Foundation
public import Gauge

/// Between which ratios the true one lies, at the level that was asked for.
public struct RatioInterval: Codable, Sendable, Equatable {
    public let low: Double
    public let high: Double

    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    init(logs: ClosedRange<Double>) { self.init(low: exp(logs.lowerBound), high: exp(logs.upperBound)) }

    var logLow: Double { log(low) }
    var logHigh: Double { log(high) }
    /// Half of its length on the logarithmic scale: 0.02 is about 2 %.
    var logHalfWidth: Double { (logHigh - logLow) / 2 }

    public func contains(_ ratio: Double) -> Bool { low <= ratio && ratio <= high }
}

/// What the rounds say about the ratio of a subject to its baseline.
public struct RatioEstimate: Codable, Sendable, Equatable {
    /// How the values of the two sides belong together.
    public enum Sampling: String, Codable, Sendable {
        /// Both in every round.
        case rounds
        /// Each by itself.
        case repeats
    }

    public let sampling: Sampling
    public let ratio: Double
    public let interval: Measured<RatioInterval>
    /// How probable data as one-sided as these would be if the true ratio were 1: Wilcoxon's signed-rank test for pairs, Mann and Whitney's for samples
    /// without pairs.
    public let probability: Double
    /// Pairs, or the values of the smaller sample.
    public let count: Int
    /// Rounds whose ratio lies far from the others'. They count like all others.
    public let outlierRounds: [Int]
    /// Estimated standard deviation of the logarithm of one round's ratio, or of one repeat, unmoved by outliers: 0.03 is about 3 %.
    public let scatter: Measured<Double>

    enum CodingKeys: String, CodingKey {
        case sampling, ratio, interval
        case probability = "p"
        case count
        case outlierRounds = "outlier_rounds"
        case scatter = "scatter_log_ratio"
    }

    /// Of pairs; absent when there are none.
    public static func paired(_ samples: PairedSamples, level: Double, bootstrap: Bootstrap) -> Measured<RatioEstimate> {
        paired(samples, level: level, interval: bootstrap.interval(of: samples.logRatios, level: level))
    }

    /// - Parameter interval: of the log-ratios at `level`; nil when there are too few of them.
    static func paired(_ samples: PairedSamples, level: Double, interval: ClosedRange<Double>?) -> Measured<RatioEstimate> {
        guard !samples.pairs.isEmpty else {
            return .unavailable(samples.unpaired.first.map { "no round has both: \($0.reason)" } ?? "there was no round")
        }
        let logs = samples.logRatios
        let needed = Bootstrap.valuesNeeded(level: level)
        return .value(
            RatioEstimate(
                sampling: .rounds, ratio: exp(HodgesLehmann(logs).estimate),
                interval: Measured(
                    interval.map(RatioInterval.init(logs:)),
                    else: "\(rounds(logs.count)) cannot give an interval at \(percent(level)): \(needed) are needed"),
                probability: WilcoxonSignedRank.probability(logs), count: logs.count,
                outlierRounds: Outliers.indices(of: logs).map { samples.pairs[$0].round },
                scatter: Measured(logs.count > 1 ? Outliers.scale(of: logs) ?? 0 : nil, else: "one round does not scatter")))
    }

    /// Of samples without pairs, as the ratio of their medians; absent when one has no positive values.
    public static func unpaired(old: [Double], new: [Double], level: Double, bootstrap: Bootstrap) -> Measured<RatioEstimate> {
        for (values, name) in [(old, "old"), (new, "new")] {
            if values.isEmpty { return .unavailable("the \(name) one has no value") }
            if let refused = values.first(where: { !$0.isFinite || $0 < 0 }) { return .unavailable("the \(name) one has \(Units.significant(refused))") }
        }
        // What costs nothing before and after is the same; a ratio to nothing does not exist.
        if (old + new).allSatisfy({ $0 == 0 }) { return .value(same(count: min(old.count, new.count))) }
        if (old + new).contains(0) { return .unavailable("a value is 0, so there is no ratio") }
        let (before, after) = (old.map { log($0) }, new.map { log($0) })
        guard let middleBefore = Statistics.median(before), let middleAfter = Statistics.median(after), let least = (before + after).min(),
            let most = (before + after).max(), most - least <= PairedSamples.logRatioMax
        else { return .unavailable("the values are too far apart for a ratio") }
        let deviations = before.map { $0 - middleBefore } + after.map { $0 - middleAfter }
        let count = min(old.count, new.count)
        return .value(
            RatioEstimate(
                sampling: .repeats, ratio: exp(middleAfter - middleBefore),
                interval: Measured(
                    bootstrap.interval(old: before, new: after, level: level).map(RatioInterval.init(logs:)),
                    else: "of \(old.count) old and \(new.count) new repeats there is no interval at \(percent(level)): "
                        + "\(repeatsNeeded(level: level)) of each are needed"),
                probability: MannWhitney.probability(before, after), count: count, outlierRounds: [],
                scatter: Measured(count > 1 ? Outliers.scale(of: deviations) ?? 0 : nil, else: "one repeat does not scatter")))
    }

    static func repeatsNeeded(level: Double) -> Int { (2...1000).first { MannWhitney.canReach(1 - level, $0, $0) } ?? 1000 }

    private static func same(count: Int) -> RatioEstimate {
        RatioEstimate(
            sampling: .repeats, ratio: 1, interval: .value(RatioInterval(low: 1, high: 1)), probability: 1, count: count, outlierRounds: [], scatter: 0)
    }

    private static func rounds(_ count: Int) -> String { count == 1 ? "1 round" : "\(count) rounds" }
}

/// `99 %`, `99.9 %`
func percent(_ fraction: Double) -> String { decimal(fraction * 100) + " %" }

/// `0.01`, `5`: six places at most, without zeros at the end.
func decimal(_ value: Double) -> String {
    var text = Units.fixed(value, places: 6)[...]
    while text.hasSuffix("0") { text.removeLast() }
    return String(text.hasSuffix(".") ? text.dropLast() : text)
}
