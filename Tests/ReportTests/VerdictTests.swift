import Foundation
import Gauge
@testable import Report
import Testing

/// How often the verdict is wrong, by simulation, and what it says of data that hardly deserves the name.
///
/// Each simulated comparison has the machine become 30 % slower from its first to its last round, and the baseline twice in every round. The standard deviation is
/// that of the logarithm of the ratio of two single runs.
@Suite struct VerdictTests {
    private let rule = VerdictRule()
    private let bootstrap = Bootstrap(resamples: 500, seed: 7)

    /// A comparison of a candidate that is `factor` of the baseline.
    private func verdict(
        rounds: Int, deviation: Double, factor: Double, _ noise: Noise.Source, _ random: inout SplitMix64
    ) -> Verdict {
        func run(_ round: Int, _ factor: Double) -> Measured<Double> {
            let drift = log(0.7) * Double(round) / Double(rounds)
            return .value(3e9 * factor * exp(drift + deviation / 2.0.squareRoot() * noise(&random)))
        }
        let baseline = (0..<rounds).map { run($0, 1) }
        let again = (0..<rounds).map { run($0, 1) }
        let candidate = (0..<rounds).map { run($0, factor) }
        let pairs = PairedSamples(baseline: baseline, baselineAgain: again, candidate: candidate, preference: .higher)
        // Without a p below 1 - level nothing is better or worse (`eachConditionIsNeeded`), and intervals take time.
        if WilcoxonSignedRank.probability(pairs.logRatios) >= 1 - rule.level { return .cannotTell }
        let floor = NoiseFloor.measured(
            PairedSamples(baseline: baseline, candidate: again, preference: .higher), level: rule.level, bootstrap: bootstrap)
        return rule.judge(
            RatioEstimate.paired(pairs, level: rule.level, bootstrap: bootstrap), preference: .higher, floor: floor.value).verdict
    }

    /// 10 times 20 comparisons of identical builds for each kind of noise, with 20 to 29 rounds: in at most one of the 10 any may be called better or worse.
    @Test func identicalBuildsAreNotCalledDifferent() {
        for (name, noise) in Noise.all {
            var random = SplitMix64(seed: 2026)
            let families = (0..<10).count { family in
                let verdicts = (0..<20).map { _ in verdict(rounds: 20 + family, deviation: 0.045, factor: 1, noise, &random) }
                return verdicts.contains(.better) || verdicts.contains(.worse)
            }
            #expect(families <= 1, "\(name), seed 2026: wrong in \(families) of 10")
        }
    }

    /// A machine that becomes 4 % slower from run to run within a round: an order that changes makes noise of it, and one with the candidate between the
    /// baseline's runs makes it vanish. Neither makes a difference of it.
    @Test(arguments: ["shuffled", "between"])
    func driftWithinTheRoundIsNoDifference(order: String) {
        var random = SplitMix64(seed: 2029)
        for trial in 0..<40 {
            var values: [[Measured<Double>]] = [[], [], []]
            for _ in 0..<24 {
                let candidate = order == "between" ? 1 : random.index(below: 3)
                let places = [0, 1, 2].filter { $0 != candidate } + [candidate]
                for (subject, place) in places.enumerated() {
                    values[subject].append(.value(exp(-0.04 * Double(place) + 0.03 * Noise.normal(&random))))
                }
            }
            let pairs = PairedSamples(baseline: values[0], baselineAgain: values[1], candidate: values[2], preference: .higher)
            if WilcoxonSignedRank.probability(pairs.logRatios) >= 1 - rule.level { continue }
            let noise = PairedSamples(baseline: values[0], candidate: values[1], preference: .higher)
            let floor = NoiseFloor.measured(noise, level: rule.level, bootstrap: bootstrap)
            #expect(floor.value?.isBiased == true, "trial \(trial), seed 2029: the later run is slower, and that is told")
            let verdict = rule.judge(
                RatioEstimate.paired(pairs, level: rule.level, bootstrap: bootstrap), preference: .higher, floor: floor.value).verdict
            #expect(verdict == .cannotTell, "trial \(trial), seed 2029")
        }
    }

    /// A build that is 5 % slower is found in each of 20 comparisons, with as many rounds as its scatter asks for.
    /// Of 500 comparisons with normal noise 99.8 %, 99.8 % and 98.2 % are found; with 20 rounds and a deviation of 6 % it is 56 %.
    @Test(arguments: [(20, 0.03), (30, 0.045), (40, 0.06)])
    func aSlowDownOfFivePercentIsFound(rounds: Int, deviation: Double) {
        for (name, noise) in Noise.all {
            var random = SplitMix64(seed: 2027)
            let found = (0..<20).count { _ in verdict(rounds: rounds, deviation: deviation, factor: 0.95, noise, &random) == .worse }
            #expect(found == 20, "\(name), \(rounds) rounds, deviation \(deviation), seed 2027: found \(found) of 20")
        }
    }

    /// Stopping by width looks after every round and still calls identical builds different no more often.
    @Test func stoppingByWidthDoesNotMakeDifferences() {
        let looks = Bootstrap(resamples: 200, seed: 7)
        let stopping = StoppingRule(roundsMin: 12, roundsMax: 40, precision: 0.035)
        var random = SplitMix64(seed: 2028)
        var stoppedEarly = 0
        for trial in 0..<40 {
            var (baseline, again, candidate): ([Measured<Double>], [Measured<Double>], [Measured<Double>]) = ([], [], [])
            var decision = StoppingRule.Decision.goOn
            var pairs = PairedSamples(baseline: [], candidate: [], preference: .higher)
            while decision == .goOn {
                for _ in 0..<4 {
                    baseline.append(.value(exp(0.03 * Noise.normal(&random))))
                    again.append(.value(exp(0.03 * Noise.normal(&random))))
                    candidate.append(.value(exp(0.03 * Noise.normal(&random))))
                }
                pairs = PairedSamples(baseline: baseline, baselineAgain: again, candidate: candidate, preference: .higher)
                decision = stopping.decide(after: baseline.count, [RatioEstimate.paired(pairs, level: rule.level, bootstrap: looks)])
            }
            if baseline.count < 40 { stoppedEarly += 1 }
            if WilcoxonSignedRank.probability(pairs.logRatios) >= 1 - rule.level { continue }
            let floor = NoiseFloor.measured(
                PairedSamples(baseline: baseline, candidate: again, preference: .higher), level: rule.level, bootstrap: bootstrap)
            let estimate = RatioEstimate.paired(pairs, level: rule.level, bootstrap: bootstrap)
            let verdict = rule.judge(estimate, preference: .higher, floor: floor.value).verdict
            #expect(verdict == .cannotTell || verdict == .equal, "trial \(trial), seed 2028")
        }
        #expect(stoppedEarly > 3, "the rule is exercised")
    }

    // MARK: The three conditions

    private func estimate(_ ratio: Double, _ low: Double, _ high: Double, p: Double = 0.0001) -> RatioEstimate {
        RatioEstimate(
            sampling: .rounds, ratio: ratio, interval: .value(RatioInterval(low: low, high: high)), probability: p, count: 20, outlierRounds: [], scatter: 0.04)
    }

    private func floor(_ ratio: Double, _ low: Double, _ high: Double) -> NoiseFloor {
        NoiseFloor(
            estimate: estimate(ratio, low, high), pairRatioMedian: 1.02, pairRatioMax: 1.08, errorMax: .value(max(high, 1 / low) - 1))
    }

    @Test func eachConditionIsNeeded() {
        let quiet = floor(1, 0.99, 1.01)
        func judged(_ estimate: RatioEstimate, _ floor: NoiseFloor?, _ preference: Preference = .higher) -> Judgement {
            rule.judge(.value(estimate), preference: preference, floor: floor)
        }
        #expect(judged(estimate(0.95, 0.93, 0.97), quiet) == Judgement(.worse, "worse: 5.00 % less"))
        #expect(judged(estimate(0.95, 0.93, 0.97), quiet, .lower) == Judgement(.better, "better: 5.00 % less"))
        #expect(judged(estimate(2.5, 2.3, 2.7), quiet) == Judgement(.better, "better: 2.50 times as much"))
        #expect(judged(estimate(0.97, 0.94, 1.001), quiet).words.hasPrefix("cannot tell: the interval holds 1; to find a difference of 2 % about "))
        #expect(judged(estimate(0.95, 0.93, 0.97, p: 0.02), quiet).words.hasPrefix("cannot tell: p is 0.0200, not below 0.01"))
        #expect(judged(estimate(0.95, 0.93, 0.97), floor(1.06, 1.04, 1.08)).words.contains("what two runs of the same thing may differ by, 8.00 %"))
        #expect(judged(estimate(1.002, 0.995, 1.005), quiet) == Judgement(.equal, "equal within 1 %"))
        #expect(judged(estimate(1.004, 1.002, 1.006), quiet).verdict == .equal, "a difference that is known and does not matter")
        #expect(judged(estimate(0.992, 0.985, 0.998), nil).words.contains("within the margin, 1 %"))
        #expect(judged(estimate(0.95, 0.93, 0.97), nil).verdict == .worse)
    }

    @Test func biasOfTheInstrumentIsTold() {
        #expect(floor(1.06, 1.04, 1.08).warning?.contains("1.060 of the first (1.040 to 1.080)") == true)
        #expect(floor(1.01, 0.99, 1.03).warning == nil)
        #expect(floor(1.01, 0.99, 1.03).sentence.hasPrefix("two runs of the same thing differ by 2.00 % (median), 8.00 % at most; over all 20 rounds"))
    }

    @Test func effortGrowsWithScatterAndFallsWithDifference() {
        #expect(rule.roundsNeeded(toFind: 0.05, scatter: 0.04) < rule.roundsNeeded(toFind: 0.02, scatter: 0.04))
        #expect(rule.roundsNeeded(toFind: 0.05, scatter: 0.04) < rule.roundsNeeded(toFind: 0.05, scatter: 0.08))
        #expect(rule.roundsNeeded(toFind: 0.5, scatter: 0.001) == 8, "fewer give no interval")
        #expect(rule.roundsNeeded(toFind: 1e-12, scatter: 1) == 1_000_000_000)
    }

    @Test func stoppingRule() {
        let stopping = StoppingRule(roundsMin: 10, roundsMax: 30, precision: 0.02)
        let (narrow, wide) = (Measured.value(estimate(1, 0.99, 1.01)), Measured.value(estimate(1, 0.95, 1.05)))
        #expect(stopping.decide(after: 9, [narrow]) == .goOn)
        #expect(stopping.decide(after: 10, [narrow]) == .precise)
        #expect(stopping.decide(after: 10, [narrow, wide]) == .goOn)
        #expect(stopping.decide(after: 10, [narrow, .unavailable("no answers")]) == .precise)
        #expect(stopping.decide(after: 10, [.unavailable("failed")]) == .goOn)
        #expect(stopping.decide(after: 30, [wide]) == .roundsSpent)
        #expect(stopping.decide(after: 30, []) == .roundsSpent)
    }

    // MARK: Any data

    /// Whatever the values are there is an answer, and exchanging the subjects turns it round.
    @Test func answersAreSymmetric() {
        for seed in UInt64(1)...60 {
            var random = SplitMix64(seed: seed)
            let rounds = random.index(below: 14)
            let special: [Measured<Double>] = [
                .value(0), .value(.nan), .value(.infinity), .value(-1), .value(1e308), .value(.leastNonzeroMagnitude),
                .unavailable("x"),
            ]
            func values(_ factor: Double) -> [Measured<Double>] {
                (0..<rounds).map { _ in
                    random.index(below: 10) == 0 ? special[random.index(below: special.count)] : .value(factor * exp(0.02 * Noise.normal(&random)))
                }
            }
            let (one, other) = (values(1), values(random.index(below: 2) == 0 ? 1 : 1.3))
            func judged(_ baseline: [Measured<Double>], _ candidate: [Measured<Double>]) -> (Measured<RatioEstimate>, Verdict) {
                let pairs = PairedSamples(baseline: baseline, candidate: candidate, preference: .higher)
                #expect(pairs.pairs.count + pairs.unpaired.count == rounds, "seed \(seed)")
                let estimate = RatioEstimate.paired(pairs, level: 0.95, bootstrap: bootstrap)
                return (estimate, VerdictRule(level: 0.95).judge(estimate, preference: .higher).verdict)
            }
            let (there, back) = (judged(one, other), judged(other, one))
            let product = there.0.combined(with: back.0) { $0.ratio * $1.ratio }
            #expect(product.value.map { abs($0 - 1) < 1e-9 || !$0.isFinite } ?? true, "seed \(seed)")
            #expect(there.0.value?.probability == back.0.value?.probability, "seed \(seed)")
            let turned: [Verdict: Verdict] = [.better: .worse, .worse: .better, .equal: .equal, .cannotTell: .cannotTell]
            // The ends of the two intervals come from the same resamples and mirror each other but for rounding.
            #expect(back.1 == turned[there.1], "seed \(seed)")
        }
    }
}
