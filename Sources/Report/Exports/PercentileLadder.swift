public import Gauge

/// A distribution read at percentiles that lie closer together the nearer they come to 100: at each halving of what is left there are as many steps. It is how
/// HdrHistogram's own tools read one.
public struct PercentileLadder: Sendable, Equatable {
    public struct Step: Sendable, Equatable {
        /// 0 to 1.
        public let percentile: Double
        /// No larger span lies within the percentile.
        public let nanoseconds: UInt64
        /// Spans up to and including this one.
        public let count: UInt64
    }

    /// Ascending; the last is percentile 1 with the largest span. Empty for an empty histogram.
    public let steps: [Step]

    /// - Parameter ticksPerHalfDistance: steps in each halving, at least one.
    public init(_ histogram: LatencyHistogram, ticksPerHalfDistance: Int = 5) {
        precondition(ticksPerHalfDistance > 0, "a halving has at least one step")
        let classes = histogram.classes()
        let total = histogram.count
        var steps: [Step] = []
        var reached: UInt64 = 0
        var level = 0.0
        var halvings = 0
        ladder: for entry in classes {
            reached += entry.count
            let share = Double(reached) / Double(total)
            while share >= level {
                steps.append(Step(percentile: level, nanoseconds: entry.nanoseconds, count: reached))
                if reached == total { break ladder }
                // How often what is left has been halved decides how far the next step is.
                while 1 - level <= 1 / Double(UInt64(1) << UInt64(halvings + 1)), halvings < 60 { halvings += 1 }
                level += 1 / (Double(UInt64(1) << UInt64(halvings + 1)) * Double(ticksPerHalfDistance))
                if level >= 1 { break }
            }
        }
        if let last = classes.last { steps.append(Step(percentile: 1, nanoseconds: last.nanoseconds, count: total)) }
        self.steps = steps
    }
}
