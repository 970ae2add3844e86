import Foundation

/// Confidence intervals from the data alone: what would the estimate have been, had other rounds of the same kind been measured?
///
/// The percentile interval of the resampled estimates, on log-ratios, whose noise is near enough symmetric for it. Taken as it is it is too narrow for
/// few values: the resamples scatter with the spread of the sample, which is smaller than that of the population by (n - 1)/n, and its quantiles are
/// those of the normal distribution where Student's are due. Both are made good by taking quantiles further out, as Hesterberg has it ("What teachers
/// should know about the bootstrap", 2015, section 3.2).
public struct Bootstrap: Sendable {
    /// How many resamples the ends of an interval come from by default: with a level of 0.99 they are the 50th from each end, or further out.
    public static let resamplesDefault = 10_000

    let resamples: Int
    let seed: UInt64

    public init(resamples: Int = resamplesDefault, seed: UInt64) {
        precondition(resamples > 0, "an interval needs resamples")
        self.resamples = resamples
        self.seed = seed
    }

    /// No interval that works for every distribution has a higher level than this for so few values: with probability 2 / 2^n all of them lie on one side
    /// of the true median, and then the interval, which lies between them, cannot hold it.
    static func valuesNeeded(level: Double) -> Int {
        var count = 2
        while pow(2, Double(1 - count)) > 1 - level, count < 1000 { count += 1 }
        return count
    }

    /// Of the Hodges-Lehmann estimate of `values`; nil when there are too few for `level`.
    func interval(of values: [Double], level: Double) -> ClosedRange<Double>? {
        values.count < Self.valuesNeeded(level: level) ? nil : intervals(of: values, levels: [level])[0]
    }

    /// For each of `levels`, from the same resamples.
    func intervals(of values: [Double], levels: [Double]) -> [ClosedRange<Double>] {
        let estimator = HodgesLehmann(values)
        var random = SplitMix64(seed: seed)
        var counts = Array(repeating: 0, count: values.count)
        var estimates: [Double] = []
        estimates.reserveCapacity(resamples)
        for _ in 0..<resamples {
            for index in counts.indices { counts[index] = 0 }
            for _ in values.indices { counts[random.index(below: values.count)] += 1 }
            estimates.append(estimator.estimate(counts: counts))
        }
        estimates.sort()
        return levels.map { Self.middle(ofSorted: estimates, beyond: Self.tail(level: $0, count: values.count)) }
    }

    /// Of the difference of the medians of two samples, `new` less `old`, each resampled by itself.
    func interval(old: [Double], new: [Double], level: Double) -> ClosedRange<Double>? {
        guard MannWhitney.canReach(1 - level, old.count, new.count) else { return nil }
        var random = SplitMix64(seed: seed)
        let (old, new) = (old.sorted(), new.sorted())
        var estimates: [Double] = []
        estimates.reserveCapacity(resamples)
        for _ in 0..<resamples { estimates.append(Self.median(of: new, &random) - Self.median(of: old, &random)) }
        estimates.sort()
        return Self.middle(ofSorted: estimates, beyond: Self.tail(level: level, count: min(old.count, new.count)))
    }

    /// The median of as many values as there are, drawn from them; they are sorted, so it is found by the positions that were drawn.
    private static func median(of sorted: [Double], _ random: inout SplitMix64) -> Double {
        let drawn = sorted.indices.map { _ in random.index(below: sorted.count) }.sorted()
        return (sorted[drawn[(drawn.count - 1) / 2]] + sorted[drawn[drawn.count / 2]]) / 2
    }

    /// The part of the resampled estimates that lies beyond each end.
    private static func tail(level: Double, count: Int) -> Double {
        let quantile = Distributions.studentQuantile((1 + level) / 2, degrees: count - 1)
        return Distributions.normal(below: -quantile * (Double(count) / Double(count - 1)).squareRoot())
    }

    private static func middle(ofSorted estimates: [Double], beyond fraction: Double) -> ClosedRange<Double> {
        let beyond = min(Int(fraction * Double(estimates.count)), (estimates.count - 1) / 2)
        return estimates[beyond]...estimates[estimates.count - 1 - beyond]
    }
}
