import Foundation

/// Wilcoxon's signed-rank test of paired differences: how probable are ranks as one-sided as these, or more, if each difference is as likely to be
/// positive as negative? Two-sided.
///
/// Differences of 0 say nothing and are left out, as Wilcoxon did; tied ones have their mean rank.
enum WilcoxonSignedRank {
    /// Up to so many differences the distribution is counted out, which is exact with ties as well; 2^50 still is an exact `Double`.
    static let exactCountMax = 50

    /// The rank sums of the positive and of the negative differences.
    static func rankSums(_ differences: [Double]) -> (positive: Double, negative: Double) {
        let nonzero = differences.filter { $0 != 0 }
        let ranks = Ranks(nonzero.map(abs)).doubled
        let positive = zip(nonzero, ranks).reduce(0) { $1.0 > 0 ? $0 + $1.1 : $0 }
        return (Double(positive) / 2, Double(ranks.reduce(0, +) - positive) / 2)
    }

    /// - Parameter differences: all finite. 1 for none, or for nothing but zeros.
    static func probability(_ differences: [Double]) -> Double {
        let nonzero = differences.filter { $0 != 0 }
        guard !nonzero.isEmpty else { return 1 }
        let ranks = Ranks(nonzero.map(abs))
        let total = ranks.doubled.reduce(0, +)
        let positive = zip(nonzero, ranks.doubled).reduce(0) { $1.0 > 0 ? $0 + $1.1 : $0 }
        let smaller = min(positive, total - positive)
        return nonzero.count <= exactCountMax
            ? exact(smaller: smaller, ranks: ranks.doubled, total: total) : approximate(smaller: smaller, ranks: ranks, count: nonzero.count)
    }

    /// Counts, rank by rank, how many of the 2^n choices of signs give each sum.
    private static func exact(smaller: Int, ranks: [Int], total: Int) -> Double {
        var ways = Array(repeating: 0.0, count: smaller + 1)
        ways[0] = 1
        for rank in ranks where rank <= smaller {
            for sum in stride(from: smaller, through: rank, by: -1) { ways[sum] += ways[sum - rank] }
        }
        return min(1, 2 * ways.reduce(0, +) / pow(2, Double(ranks.count)))
    }

    private static func approximate(smaller: Int, ranks: Ranks, count: Int) -> Double {
        let n = Double(count)
        let mean = n * (n + 1) / 4
        let variance = n * (n + 1) * (2 * n + 1) / 24 - ranks.tieCorrection / 48
        // The sum moves in steps of 1: half a step is taken off.
        let distance = max(0, mean - Double(smaller) / 2 - 0.5)
        return min(1, 2 * Distributions.normal(below: -distance / variance.squareRoot()))
    }
}
