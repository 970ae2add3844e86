import Histogram

/// A distribution of spans of time from 1 ns to 1 hour, in classes no wider than a thousandth of their value.
///
/// This is the value that is merged, sent and summed up at the end of a run; while it runs, `LatencyCounter` counts. Merging is exact,
/// and so is ``encoded()``: counts of the same classes are added. A summary walks the whole table (a third of a millisecond; 260 KiB).
///
/// Coordinated omission is dealt with where the time is taken, not here: the recorder is given the span since the *intended*
/// start. No "expected interval" correction is applied, which would invent samples.
public struct LatencyHistogram: Sendable, Equatable {
    /// The longest span told apart; longer ones count as this.
    public static let nanosecondsMax: UInt64 = 3_600_000_000_000

    private var histogram: Histogram<UInt64>

    /// An empty histogram of this kind.
    private static let layout = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: nanosecondsMax, numberOfSignificantValueDigits: .three)

    public init() { histogram = Self.layout }

    /// - Parameters:
    ///   - classes: the first value of each class that holds something, ascending, and its count.
    ///   - min: the smallest value, in the first class.
    ///   - max: the largest value, in the last class.
    init(classes: [(lowest: UInt64, count: UInt64)], min: UInt64, max: UInt64) {
        self.init()
        for (index, entry) in classes.enumerated() {
            let isLast = index == classes.count - 1
            if index == 0, isLast {
                record(min)
                record(max, count: entry.count - 1)
            } else {
                record(index == 0 ? min : isLast ? max : entry.lowest, count: entry.count)
            }
        }
    }

    /// Spans recorded.
    public var count: UInt64 { histogram.totalCount }

    public var isEmpty: Bool { histogram.totalCount == 0 }

    /// Counts one span.
    public mutating func record(_ nanoseconds: UInt64) {
        histogram.record(min(nanoseconds, Self.nanosecondsMax), count: 1)
    }

    /// Counts `count` spans of the same length.
    public mutating func record(_ nanoseconds: UInt64, count: UInt64) {
        guard count > 0 else { return }
        histogram.record(min(nanoseconds, Self.nanosecondsMax), count: count)
    }

    /// Adds what `other` counted.
    public mutating func merge(_ other: LatencyHistogram) {
        histogram.add(other.histogram)
    }

    /// Forgets everything that was recorded.
    public mutating func reset() { histogram.reset() }

    /// The values below which the `wanted` percentages of spans lie, in nanoseconds and in the order asked for; zeros when nothing was
    /// recorded. The value is the upper end of its class, but never above the largest span recorded.
    public func percentiles(_ wanted: [Double]) -> [UInt64] {
        Distribution(histogram).percentiles(wanted)
    }

    /// The usual figures, or nil when nothing was recorded.
    public func summary() -> LatencySummary? {
        guard !isEmpty else { return nil }
        let distribution = Distribution(histogram)
        let values = distribution.percentiles([50, 90, 99, 99.9])
        return LatencySummary(
            p50: Int(values[0]), p90: Int(values[1]), p99: Int(values[2]), p999: Int(values[3]), max: Int(distribution.max),
            min: Int(distribution.min), mean: Int(distribution.mean.rounded()), count: Int(histogram.totalCount))
    }

    /// Every class that holds something: its largest value in nanoseconds and its count, in ascending order.
    public func classes() -> [(nanoseconds: UInt64, count: UInt64)] {
        Distribution(histogram).classes.map { (min($0.highest, exactMax), $0.count) }
    }

    var exactMin: UInt64 { histogram.min }
    var exactMax: UInt64 { histogram.maxRecorded }

    /// The first value of the class that `nanoseconds` falls into.
    static func lowestOfClass(_ nanoseconds: UInt64) -> UInt64 { layout.lowestEquivalentForValue(nanoseconds) }

    var filledClasses: [(lowest: UInt64, count: UInt64)] {
        Distribution(histogram).classes.map { ($0.lowest, $0.count) }
    }
}

/// The figures of a latency distribution that a record keeps, in whole nanoseconds.
public struct LatencySummary: Codable, Sendable, Equatable {
    /// The median, nanoseconds as all of these.
    public var p50: Int
    public var p90: Int
    public var p99: Int
    public var p999: Int
    public var max: Int
    public var min: Int
    /// The arithmetic mean.
    public var mean: Int
    /// Spans recorded.
    public var count: Int

    public init(p50: Int, p90: Int, p99: Int, p999: Int, max: Int, min: Int, mean: Int, count: Int) {
        self.p50 = p50
        self.p90 = p90
        self.p99 = p99
        self.p999 = p999
        self.max = max
        self.min = min
        self.mean = mean
        self.count = count
    }
}

/// The filled classes of a histogram, read out once: the library walks its whole table for each percentile. Its own iterator is not used, because
/// it multiplies counts by values and traps when that overflows, which a count from another process could bring about.
private struct Distribution {
    var classes: [(lowest: UInt64, highest: UInt64, count: UInt64)] = []
    let total: UInt64
    let min: UInt64
    let max: UInt64
    let mean: Double

    init(_ histogram: Histogram<UInt64>) {
        total = histogram.totalCount
        min = histogram.min
        max = histogram.maxRecorded
        var sum = 0.0
        var lowest: UInt64 = 0
        while total > 0, lowest <= max {
            let next = histogram.nextNonEquivalentForValue(lowest)
            let count = histogram.countForValue(lowest)
            if count > 0 {
                classes.append((lowest, next - 1, count))
                sum += Double(lowest + (next - lowest) / 2) * Double(count)
            }
            lowest = next
        }
        // Class middles may lie outside what was recorded when there are few values.
        mean = total == 0 ? 0 : Swift.min(Swift.max(sum / Double(total), Double(min)), Double(max))
    }

    func percentiles(_ wanted: [Double]) -> [UInt64] {
        var results = [UInt64](repeating: 0, count: wanted.count)
        guard total > 0 else { return results }
        let ascending = wanted.indices.sorted { wanted[$0] < wanted[$1] }
        var position = classes.startIndex
        var reached = classes[position].count
        for index in ascending {
            // One unit in the last place less, so that rounding up does not run into the next class.
            let percentage = Swift.min(Swift.max(wanted[index].nextDown, 0), 100)
            let rank = Swift.max(1, UInt64((percentage * Double(total) / 100).rounded(.up)))
            while reached < rank, position + 1 < classes.endIndex {
                position += 1
                reached += classes[position].count
            }
            results[index] = wanted[index] >= 100 ? max : Swift.max(Swift.min(classes[position].highest, max), min)
        }
        return results
    }
}
