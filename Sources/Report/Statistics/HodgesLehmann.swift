/// The Hodges-Lehmann estimate of where a sample lies: the median of the means of all pairs of values (Walsh averages), each value with itself too.
///
/// Why this and not the median: both bear heavy tails, which is what rounds on a shared machine have, but for normal noise the median throws away a
/// third of the rounds (efficiency 0.64) where this one loses a twentieth (0.955). And it is the estimate that belongs to Wilcoxon's signed-rank
/// test: the two do not contradict each other.
///
/// The averages are sorted once; a resample only changes how often each counts. Cost of a resample: values squared / 4.
struct HodgesLehmann {
    private let count: Int
    private let averages: [Double]
    private let first: [Int]
    private let second: [Int]

    /// - Parameter values: at least one, all finite.
    init(_ values: [Double]) {
        precondition(!values.isEmpty, "there is nothing to estimate from")
        count = values.count
        var pairs: [(average: Double, first: Int, second: Int)] = []
        pairs.reserveCapacity(count * (count + 1) / 2)
        for first in values.indices {
            for second in first..<count { pairs.append(((values[first] + values[second]) / 2, first, second)) }
        }
        pairs.sort { $0.average < $1.average }
        averages = pairs.map(\.average)
        first = pairs.map(\.first)
        second = pairs.map(\.second)
    }

    /// Of the values as they are.
    var estimate: Double {
        let total = averages.count
        return total % 2 == 1 ? averages[total / 2] : (averages[total / 2 - 1] + averages[total / 2]) / 2
    }

    /// Of a resample in which value i occurs `counts[i]` times; the counts add up to the number of values, so there are as many pairs as before.
    func estimate(counts: [Int]) -> Double {
        let total = averages.count
        let (lower, upper) = ((total - 1) / 2, total / 2)
        var seen = 0
        var lowerAverage: Double?
        for index in averages.indices {
            let (one, other) = (first[index], second[index])
            let weight = one == other ? counts[one] * (counts[one] + 1) / 2 : counts[one] * counts[other]
            guard weight > 0 else { continue }
            seen += weight
            if lowerAverage == nil, seen > lower { lowerAverage = averages[index] }
            if let lowerAverage, seen > upper { return (lowerAverage + averages[index]) / 2 }
        }
        preconditionFailure("the counts do not add up to the number of values")
    }
}
