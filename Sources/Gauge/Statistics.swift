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

    /// The value below which `fraction` of `values` lie, on the straight line between the two nearest; nil for nothing.
    public static func quantile(_ values: [Double], _ fraction: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let position = fraction * Double(sorted.count - 1)
        let lower = Int(position)
        let upper = min(lower + 1, sorted.count - 1)
        return sorted[lower] + (sorted[upper] - sorted[lower]) * (position - Double(lower))
    }

    /// Tukey's box plot; nil for nothing.
    public static func boxPlot(_ values: [Double]) -> BoxPlot? {
        guard let q1 = quantile(values, 0.25), let middle = median(values), let q3 = quantile(values, 0.75) else { return nil }
        let fence = 1.5 * (q3 - q1)
        let isOutlier = { (value: Double) in value < q1 - fence || value > q3 + fence }
        let inside = values.filter { !isOutlier($0) }
        guard let least = inside.min(), let most = inside.max() else { return nil }
        return BoxPlot(min: least, q1: q1, median: middle, q3: q3, max: most, outliers: values.filter(isOutlier).sorted())
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

/// How values lie: quartiles, and values further outside the box than one and a half times its length.
///
/// Invariant: `min` and `max` are the extremes of what is not in `outliers`.
public struct BoxPlot: Sendable, Equatable {
    public let min: Double
    public let q1: Double
    public let median: Double
    public let q3: Double
    public let max: Double
    /// Sorted.
    public let outliers: [Double]

    public init(min: Double, q1: Double, median: Double, q3: Double, max: Double, outliers: [Double]) {
        self.min = min
        self.q1 = q1
        self.median = median
        self.q3 = q3
        self.max = max
        self.outliers = outliers
    }
}
