import Foundation
import Gauge
@testable import Report
import Testing

/// Against published tables and examples, and what must hold for any data.
@Suite struct RatioStatisticsTests {
    private func near(_ one: Double, _ other: Double, _ tolerance: Double = 1e-9) -> Bool { abs(one - other) <= tolerance }

    // MARK: Distributions

    @Test func distributionsMatchTables() {
        #expect(near(Distributions.normal(below: 1.959964), 0.975, 1e-6))
        #expect(near(Distributions.normalQuantile(0.995), 2.575829, 1e-6))
        // Student's table: t for two-sided 95 % and 99 %.
        for (degrees, t95, t99) in [(1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (9, 2.262, 3.250), (10, 2.228, 3.169), (30, 2.042, 2.750)] {
            #expect(near(Distributions.studentQuantile(0.975, degrees: degrees), t95, 6e-4), "\(degrees)")
            #expect(near(Distributions.studentQuantile(0.995, degrees: degrees), t99, 6e-4), "\(degrees)")
        }
        #expect(near(Distributions.studentQuantile(0.975, degrees: 5000), 1.96, 1e-3))
        #expect(near(Distributions.student(below: 0, degrees: 7), 0.5))
    }

    @Test func generatorIsTheOneThatWasPublished() {
        // The reference implementation's first numbers for the seed 1234567.
        var random = SplitMix64(seed: 1_234_567)
        #expect((0..<3).map { _ in random.next() } == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
        #expect((0..<1000).allSatisfy { _ in (0..<7).contains(random.index(below: 7)) })
    }

    // MARK: Wilcoxon

    /// Critical values of Wilcoxon's table (two-sided 0.05 and 0.01): the largest sum that is still significant.
    @Test(arguments: [(6, 0, nil), (7, 2, nil), (8, 3, 0), (9, 5, 1), (10, 8, 3), (15, 25, 15), (20, 52, 37), (25, 89, 68)] as [(Int, Int, Int?)])
    func wilcoxonsTable(count: Int, critical05: Int, critical01: Int?) {
        /// Differences 1...n whose negative ones have the ranks that add up to `sum`.
        func probability(sum: Int) -> Double {
            var rest = sum
            var values: [Double] = []
            for rank in stride(from: count, through: 1, by: -1) {
                let isNegative = rank <= rest
                if isNegative { rest -= rank }
                values.append(isNegative ? -Double(rank) : Double(rank))
            }
            #expect(WilcoxonSignedRank.rankSums(values).negative == Double(sum))
            return WilcoxonSignedRank.probability(values)
        }
        #expect(probability(sum: critical05) <= 0.05)
        #expect(probability(sum: critical05 + 1) > 0.05)
        if let critical01 {
            #expect(probability(sum: critical01) <= 0.01)
            #expect(probability(sum: critical01 + 1) > 0.01)
        }
    }

    /// Darwin's maize, cross- less self-fertilised, in eighths of an inch (Fisher, The Design of Experiments, 1935): the sum of the negative ranks is
    /// 24, p = 0.0413.
    @Test func darwinsMaize() {
        let differences: [Double] = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        #expect(WilcoxonSignedRank.rankSums(differences).negative == 24)
        #expect(near(WilcoxonSignedRank.probability(differences), 0.041260, 1e-6))
        // R: wilcox.test(x, conf.int = TRUE) estimates the pseudo-median as 25.
        #expect(HodgesLehmann(differences).estimate == 25)
    }

    @Test func wilcoxonWithTiesAndZerosIsCountedOut() {
        // All choices of signs by hand: |d| = 1, 1, 2 have the ranks 1.5, 1.5, 3. All positive: 1 choice in 8, two-sided 2 in 8.
        #expect(near(WilcoxonSignedRank.probability([1, 1, 2, 0, 0]), 0.25))
        // Negative sum 1.5: {}, {first}, {second} of 8.
        #expect(near(WilcoxonSignedRank.probability([-1, 1, 2]), 0.75))
        #expect(WilcoxonSignedRank.probability([]) == 1)
        #expect(WilcoxonSignedRank.probability([0, 0, 0]) == 1)
        #expect(WilcoxonSignedRank.probability([1]) == 1)
    }

    @Test func wilcoxonsApproximationContinuesTheExactOne() {
        for (seed, ties) in [(UInt64(1), 1000.0), (2, 4), (3, 1000), (4, 4)] {
            var random = SplitMix64(seed: seed)
            let values = (0..<50).map { _ in (Double(random.index(below: 2000)) / 1000 - 0.8) }.map { ($0 * ties).rounded() / ties }
            let exact = WilcoxonSignedRank.probability(values)
            // The 51st value is a difference of next to nothing: it has the lowest rank.
            let approximate = WilcoxonSignedRank.probability(values + [1e-9])
            #expect(abs(exact - approximate) < 0.02, "seed \(seed)")
        }
    }

    // MARK: Mann and Whitney

    @Test func mannWhitneysTable() {
        // Critical values of U, two-sided 0.05: n = m = 5: 2, and 8 and 10: 17.
        func probability(_ one: Int, _ other: Int, u: Int) -> Double {
            // Place the values of the first among 1...m so that exactly u pairs have the first above the second.
            var rest = u
            let second = (1...other).map { Double($0) }
            let first = (0..<one).map { index in
                let above = min(rest, other)
                rest -= above
                return Double(above) + 0.5 + Double(index) / 100
            }
            #expect(MannWhitney.statistic(first, second) == Double(u))
            return MannWhitney.probability(first, second)
        }
        for (one, other, critical) in [(4, 4, 0), (5, 5, 2), (8, 10, 17), (10, 10, 23)] {
            #expect(probability(one, other, u: critical) <= 0.05, "\(one), \(other)")
            #expect(probability(one, other, u: critical + 1) > 0.05, "\(one), \(other)")
        }
        #expect(near(probability(5, 5, u: 0), 2 / 252))
        #expect(near(probability(3, 3, u: 0), 0.1))
    }

    @Test func mannWhitneyIsSymmetricAndBearsTies() {
        for seed in UInt64(1)...50 {
            var random = SplitMix64(seed: seed)
            let one = (0...random.index(below: 12)).map { _ in Double(random.index(below: 6)) }
            let other = (0...random.index(below: 12)).map { _ in Double(random.index(below: 6)) }
            let (there, back) = (MannWhitney.probability(one, other), MannWhitney.probability(other, one))
            #expect(near(there, back, 1e-12), "seed \(seed)")
            #expect(there > 0 && there <= 1, "seed \(seed)")
        }
        #expect(MannWhitney.probability([1, 1, 1], [1, 1, 1]) == 1)
        #expect(MannWhitney.probability(Array(repeating: 1, count: 40), Array(repeating: 1, count: 40)) == 1)
        #expect(MannWhitney.probability([], [1]) == 1)
        #expect(MannWhitney.probability((1...30).map { Double($0) }, (31...60).map { Double($0) }) < 1e-9)
        #expect(MannWhitney.canReach(0.01, 5, 5) && !MannWhitney.canReach(0.01, 4, 4) && !MannWhitney.canReach(0.5, 1, 1000))
    }

    // MARK: Estimate and interval

    @Test func resamplesAreEstimatedAsIfTheyWereSamples() {
        for seed in UInt64(1)...40 {
            var random = SplitMix64(seed: seed)
            let values = (0...random.index(below: 12)).map { _ in Double(random.index(below: 1000)) }
            let estimator = HodgesLehmann(values)
            var counts = Array(repeating: 0, count: values.count)
            for _ in values { counts[random.index(below: values.count)] += 1 }
            let resample = values.indices.flatMap { Array(repeating: values[$0], count: counts[$0]) }
            #expect(near(estimator.estimate(counts: counts), HodgesLehmann(resample).estimate), "seed \(seed)")
            #expect(near(estimator.estimate(counts: counts.map { _ in 1 }), estimator.estimate), "seed \(seed)")
        }
    }

    /// Of 200 samples of a known distribution the intervals hold its centre as often as they say. The bounds are three standard deviations of such a count.
    @Test(arguments: [(10, 0.95), (30, 0.95)])
    func intervalsCoverAsTheySay(count: Int, level: Double) {
        for (name, noise) in Noise.all where name != "stalling" {
            var random = SplitMix64(seed: 20_261)
            let covered = (0..<200).count { trial in
                let values = (0..<count).map { _ in 3 + noise(&random) }
                return Bootstrap(resamples: 500, seed: UInt64(trial)).interval(of: values, level: level)?.contains(3) == true
            }
            let deviation = (200 * level * (1 - level)).squareRoot()
            #expect(Double(covered) > 200 * level - 3 * deviation, "\(name), \(count) values, level \(level): \(covered) of 200")
        }
    }

    @Test func intervalsAreTheSameForTheSameSeed() {
        let values = (1...20).map { Double($0 * $0) }
        let intervals = [1, 1, 2].map { Bootstrap(resamples: 500, seed: $0).interval(of: values, level: 0.95) }
        #expect(intervals[0] == intervals[1])
        #expect(intervals[0] != intervals[2])
        #expect(intervals[0]?.contains(HodgesLehmann(values).estimate) == true)
    }

    @Test func fewValuesGiveNoInterval() {
        #expect(Bootstrap.valuesNeeded(level: 0.99) == 8)
        #expect(Bootstrap.valuesNeeded(level: 0.95) == 6)
        let bootstrap = Bootstrap(resamples: 100, seed: 1)
        #expect(bootstrap.interval(of: [1, 2, 3, 4, 5, 6, 7], level: 0.99) == nil)
        #expect(bootstrap.interval(of: [1, 2, 3, 4, 5, 6, 7, 8], level: 0.99) != nil)
        #expect(bootstrap.interval(of: Array(repeating: 2, count: 8), level: 0.99) == 2...2)
        #expect(bootstrap.interval(old: [1], new: [2, 3, 4, 5, 6, 7, 8], level: 0.9) == nil)
        #expect(bootstrap.interval(old: [1, 1, 1, 1, 1], new: [3, 3, 3, 3, 3], level: 0.99) == 2...2)
    }

    // MARK: Outliers, correction

    @Test func outliersAreMarked() {
        #expect(Outliers.indices(of: [1, 1.1, 0.9, 1.05, 0.95, 5]) == [5])
        #expect(Outliers.indices(of: [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]) == [9])
        #expect(Outliers.indices(of: [1, 1, 1]) == [])
        #expect(Outliers.indices(of: []) == [])
        #expect(Outliers.indices(of: [7]) == [])
    }
}

/// Noise with a standard deviation near 1.
enum Noise {
    static func uniform(_ random: inout SplitMix64) -> Double { (Double(random.next() >> 11) + 0.5) / Double(1 << 53) }

    static func normal(_ random: inout SplitMix64) -> Double {
        (-2 * log(uniform(&random))).squareRoot() * cos(2 * .pi * uniform(&random))
    }

    /// Student's with three degrees of freedom: no fourth moment.
    static func heavyTailed(_ random: inout SplitMix64) -> Double {
        var squares = 0.0
        for _ in 0..<3 {
            let value = normal(&random)
            squares += value * value
        }
        return normal(&random) / squares.squareRoot()
    }

    /// One run in ten is held up by something else on the machine.
    static func stalling(_ random: inout SplitMix64) -> Double {
        let value = normal(&random)
        return (uniform(&random) < 0.1 ? -5 * abs(value) : value) / 1.9
    }

    typealias Source = (inout SplitMix64) -> Double

    static var all: [(name: String, noise: Source)] { [("normal", normal), ("heavy-tailed", heavyTailed), ("stalling", stalling)] }
}
