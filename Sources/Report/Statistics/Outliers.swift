import Gauge

/// Values far from the others, by the modified z-score of Iglewicz and Hoaglin (1993): distance from the median in units of the median absolute
/// deviation, which outliers themselves do not move. They are marked and never dropped: the estimate bears them, and leaving out what one does not like
/// is how a benchmark lies.
enum Outliers {
    static let scoreMax = 3.5

    /// Positions in `values`.
    static func indices(of values: [Double]) -> [Int] {
        guard let middle = Statistics.median(values), let scale = scale(of: values, around: middle) else { return [] }
        return values.indices.filter { abs(values[$0] - middle) / scale > scoreMax }
    }

    /// An estimate of the standard deviation; nil when all values are the same.
    static func scale(of values: [Double]) -> Double? { Statistics.median(values).flatMap { scale(of: values, around: $0) } }

    private static func scale(of values: [Double], around middle: Double) -> Double? {
        let deviations = values.map { abs($0 - middle) }
        // 1 / 0.6745 makes it the standard deviation of normal values.
        if let deviation = Statistics.median(deviations), deviation > 0 { return deviation / 0.6745 }
        // More than half of the values are the same: their mean deviation, likewise made that of normal values, has to do.
        let mean = deviations.reduce(0, +) / Double(max(1, deviations.count))
        return mean > 0 ? mean * 1.253314 : nil
    }
}
