/// Ranks from 1, times two so that the mean rank of tied values is a whole number too.
struct Ranks {
    /// In the order of the values.
    let doubled: [Int]
    /// Sum of t^3 - t over the groups of t tied values: what the normal approximations are corrected by.
    let tieCorrection: Double

    init(_ values: [Double]) {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var doubled = Array(repeating: 0, count: values.count)
        var correction = 0.0
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            // Ranks start + 1 ... end: twice their mean is their sum.
            for position in start..<end { doubled[order[position]] = start + 1 + end }
            let tied = Double(end - start)
            correction += tied * tied * tied - tied
            start = end
        }
        self.doubled = doubled
        tieCorrection = correction
    }
}
