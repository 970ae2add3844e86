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
