import Gauge
import Testing

@Suite struct StatisticsTests {
    @Test func medians() {
        #expect(Statistics.median([]) == nil)
        #expect(Statistics.median([3]) == 3)
        #expect(Statistics.median([5, 1, 3]) == 3)
        #expect(Statistics.median([4, 1, 3, 2]) == 2.5)
        #expect(Statistics.medianIndex([5, 1, 3]) == 2)
        #expect(Statistics.medianIndex([4, 1, 3, 2]) == 3)
        #expect(Statistics.medianIndex([7, 7, 7]) == 1)
        #expect(Statistics.medianIndex([]) == nil)
    }

    @Test func quantiles() {
        #expect(Statistics.quantile([], 0.5) == nil)
        #expect(Statistics.quantile([7], 0.25) == 7)
        #expect(Statistics.quantile([4, 1, 3, 2], 0.25) == 1.75)
        #expect(Statistics.quantile([4, 1, 3, 2], 0) == 1 && Statistics.quantile([4, 1, 3, 2], 1) == 4)
    }

    @Test func boxPlots() throws {
        #expect(Statistics.boxPlot([]) == nil)
        #expect(Statistics.boxPlot([5, 5, 5]) == BoxPlot(min: 5, q1: 5, median: 5, q3: 5, max: 5, outliers: []))
        let box = try #require(Statistics.boxPlot([100, 1, 2, 3, 4, 5, 6, 7, -50]))
        #expect(box == BoxPlot(min: 1, q1: 2, median: 4, q3: 6, max: 7, outliers: [-50, 100]))
        // Six beyond the third quartile is one and a half times the box: the fence itself is inside.
        #expect(Statistics.boxPlot([1, 2, 3, 4, 5, 6, 7, 12, -4])?.outliers == [])
    }

    @Test func spreads() {
        #expect(Statistics.spread([2, 9, 4]) == Spread(min: 2, median: 4, max: 9))
        #expect(Statistics.spread([]) == nil)
        #expect(Statistics.medianAbsoluteDeviation([1, 1, 2, 2, 4, 6, 9]) == 1)
        #expect(Statistics.medianAbsoluteDeviation([]) == nil)
    }
}

@Suite struct FairnessTests {
    @Test func equalSharesAreFair() throws {
        let fairness = try #require(Fairness(bytesPerStream: Array(repeating: 1_000_000, count: 1000)))
        #expect(fairness.jain == 1 && fairness.starvedStreams == 0)
        #expect(fairness.bytesMin == 1_000_000 && fairness.bytesMax == 1_000_000)
    }

    @Test func oneTakesAll() throws {
        let fairness = try #require(Fairness(bytesPerStream: [0, 0, 0, 12_345], longestSilenceNanoseconds: 7))
        #expect(fairness.jain == 0.25 && fairness.starvedStreams == 3)
        #expect(fairness.longestSilenceNanoseconds == 7)
    }

    @Test func aTenthOfTheMeanIsStarved() throws {
        let fairness = try #require(Fairness(bytesPerStream: [1000, 1000, 1000, 76, 74]))
        // The mean is 630, a tenth of it 63.
        #expect(fairness.starvedStreams == 0)
        #expect(try #require(Fairness(bytesPerStream: [1000, 1000, 1000, 62, 74])).starvedStreams == 1)
    }

    @Test func hugeCountsKeepTheirPrecision() throws {
        let fairness = try #require(Fairness(bytesPerStream: [.max, .max, .max / 2]))
        #expect(abs(fairness.jain - 6.25 / (3 * 2.25)) < 1e-12)
    }

    @Test func nothingHasNoFairness() {
        #expect(Fairness(bytesPerStream: []) == nil)
        #expect(Fairness(bytesPerStream: [0, 0]) == nil)
    }
}
