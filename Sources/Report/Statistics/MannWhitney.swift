import Foundation

/// The test of Mann and Whitney for two samples without pairs: how probable is it that one holds so many of the low ranks, or more, if both are from the
/// same distribution? Two-sided.
enum MannWhitney {
    /// Up to so many values together the distribution is counted out, which is exact with ties as well.
    static let exactCountMax = 50

    /// How often a value of `one` exceeds one of `other`; a tie counts half.
    static func statistic(_ one: [Double], _ other: [Double]) -> Double {
        one.reduce(0) { sum, value in sum + other.reduce(0) { $0 + (value > $1 ? 1 : value == $1 ? 0.5 : 0) } }
    }

    /// - Parameters: all finite. 1 when either is empty.
    static func probability(_ one: [Double], _ other: [Double]) -> Double {
        guard !one.isEmpty, !other.isEmpty else { return 1 }
        let ranks = Ranks(one + other)
        let sum = ranks.doubled.prefix(one.count).reduce(0, +)
        return one.count + other.count <= exactCountMax
            ? exact(sum: sum, size: one.count, ranks: ranks.doubled) : approximate(sum: sum, one.count, other.count, ranks)
    }

    /// Whether complete separation of so many values would have a probability of at most `probability`.
    static func canReach(_ probability: Double, _ one: Int, _ other: Int) -> Bool {
        guard one > 0, other > 0 else { return false }
        var choices = 1.0
        for index in 1...min(one, other) where choices < 1e15 { choices *= Double(one + other - index + 1) / Double(index) }
        // A sample of one cannot tell how it scatters, however many the other has.
        return min(one, other) > 1 && 2 / choices <= probability
    }

    /// Counts, rank by rank, how many choices of `size` ranks give each sum.
    private static func exact(sum: Int, size: Int, ranks: [Int]) -> Double {
        let total = ranks.reduce(0, +)
        var ways = Array(repeating: Array(repeating: 0.0, count: total + 1), count: size + 1)
        ways[0][0] = 1
        var largest = 0
        for (seen, rank) in ranks.enumerated() {
            largest += rank
            for chosen in stride(from: min(seen + 1, size), through: 1, by: -1) {
                for sum in rank...max(rank, largest) { ways[chosen][sum] += ways[chosen - 1][sum - rank] }
            }
        }
        let all = ways[size].reduce(0, +)
        let below = ways[size][...sum].reduce(0, +)
        let above = ways[size][sum...].reduce(0, +)
        return min(1, 2 * min(below, above) / all)
    }

    private static func approximate(sum: Int, _ one: Int, _ other: Int, _ ranks: Ranks) -> Double {
        let (n, m) = (Double(one), Double(other))
        let all = n + m
        let mean = n * (all + 1) / 2
        let variance = n * m / 12 * (all + 1 - ranks.tieCorrection / (all * (all - 1)))
        guard variance > 0 else { return 1 }
        let distance = max(0, abs(Double(sum) / 2 - mean) - 0.5)
        return min(1, 2 * Distributions.normal(below: -distance / variance.squareRoot()))
    }
}
