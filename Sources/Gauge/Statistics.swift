/// Figures over a handful of repeats.
public enum Statistics {
    /// The middle value, or the mean of the two in the middle; nil for nothing.
    public static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The position of the median in `values`; the lower of the two in the middle when their number is even.
    public static func medianIndex(_ values: [Double]) -> Int? {
        guard !values.isEmpty else { return nil }
        return values.indices.sorted { (values[$0], $0) < (values[$1], $1) }[(values.count - 1) / 2]
    }

    /// Median absolute deviation from the median: a spread that one outlier does not move.
    public static func medianAbsoluteDeviation(_ values: [Double]) -> Double? {
        guard let middle = median(values) else { return nil }
        return median(values.map { abs($0 - middle) })
    }

    public static func spread(_ values: [Double]) -> Spread? {
        guard let middle = median(values), let least = values.min(), let most = values.max() else { return nil }
        return Spread(min: least, median: middle, max: most)
    }
}

/// What several repeats gave.
public struct Spread: Codable, Sendable, Equatable {
    public var min: Double
    public var median: Double
    public var max: Double

    public init(min: Double, median: Double, max: Double) {
        self.min = min
        self.median = median
        self.max = max
    }
}
