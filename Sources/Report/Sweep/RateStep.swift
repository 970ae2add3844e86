import Foundation
public import Gauge

/// What one window at a rate showed of a goal.
public struct RateWindow: Sendable, Equatable {
    /// Responses, and operations that were due in the window and not answered in it.
    public let operations: UInt64
    /// Operations that took as long as the bound or longer, beyond doubt.
    public let lateAtLeast: UInt64
    /// The same, if every operation without an answer in the window was one of them.
    public let lateAtMost: UInt64
    /// Why the window does not count.
    public let defect: Defect?

    /// Why a window does not count.
    public enum Defect: Sendable, Equatable {
        /// The generator could not keep its schedule.
        case notOffered
        /// The window is INVALID for another reason.
        case invalid(String)
    }

    public init(operations: UInt64, lateAtLeast: UInt64, lateAtMost: UInt64, defect: Defect? = nil) {
        self.operations = operations
        self.lateAtLeast = lateAtLeast
        self.lateAtMost = max(lateAtMost, lateAtLeast)
        self.defect = defect
    }

    /// What a run of open loop says of a goal.
    ///
    /// A window ends while operations are under way. Of those, at most as many as are due within the bound's length can still be in time; if there are more, the rest
    /// are late already. So an overload is seen although nobody has waited for its answers.
    public init(_ figures: RunFigures, goal: RateSearchRecord.Goal, ratePerSecond: Double) {
        let bound = goal.boundNanoseconds
        let histogram = figures.histograms.latency.value ?? LatencyHistogram()
        let late = histogram.classes().reduce(0) { $0 + ($1.nanoseconds >= bound ? $1.count : 0) }
        let lateness = figures.histograms.pacerLateness.value ?? LatencyHistogram()
        let unanswered = lateness.count > histogram.count ? lateness.count - histogram.count : 0
        let inTimeYet = UInt64((ratePerSecond * Double(bound) / 1e9).rounded(.up))
        let overdue = unanswered > inTimeYet ? unanswered - inTimeYet : 0
        var defect: Defect?
        if !figures.valid {
            let others = figures.invalidReasons.filter { !$0.contains("could not keep its schedule") }
            defect = others.isEmpty ? .notOffered : .invalid(others[0])
        }
        let share = goal.allowedShare
        let total = histogram.count + unanswered
        // Being late itself, the generator makes responses late. It cannot make them early, so a goal that is met is met all the same.
        if defect == nil, total > 0, Double(late + overdue) > share * Double(total) {
            let percentile = lateness.percentiles([100 * (1 - share)])[0]
            if percentile >= bound / 2 { defect = .notOffered }
        }
        self.init(operations: total, lateAtLeast: late + overdue, lateAtMost: late + unanswered, defect: defect)
    }
}

/// Decides from windows of one rate whether a goal is met there: asks for more of them while it is unclear, and for as few as possible when it is hopeless.
///
/// With `s` for the share of operations that may be late (0.01 for p99), *met* and *missed* must hold by two measures at once, each wrong in at most
/// one of 500 looks:
///
/// * of all operations: so few (many) late ones would not be seen if the true share were `s`, by the Chernoff bound on the binomial distribution. This asks for enough operations: 620 of p99,
///   6,200 of p99.9, when none is late.
/// * of the windows: operations that follow each other are late together, so they say less than their number. Each window's share is one sample, and Student's interval of their
///   mean must lie wholly on one side of `s`.
///
/// Of `max` no share is allowed: one late operation is a miss, and it is met when no window had any, which says nothing of windows that were not made.
public struct RateStep: Sendable {
    /// How many windows a step takes.
    public struct Limits: Sendable, Equatable {
        public var windowsMin: Int
        public var windowsMax: Int

        public init(windowsMin: Int, windowsMax: Int) {
            precondition(windowsMin >= 2 && windowsMax >= windowsMin, "two windows are the fewest that say how much windows differ")
            self.windowsMin = windowsMin
            self.windowsMax = windowsMax
        }

        /// On the way.
        public static let search = Limits(windowsMin: 3, windowsMax: 8)
        /// For the rate that is the answer.
        public static let confirmation = Limits(windowsMin: 6, windowsMax: 12)
    }

    /// What to do.
    public enum Decision: Sendable, Equatable {
        case another
        case done(RateSearchRecord.Outcome, reason: String)
    }

    /// How often each of the two measures may be wrong, on each side.
    static let errorProbability = 0.002
    /// A rate at which so many windows were not offered, or INVALID, and none was good, is not tried further.
    static let defectsMax = 2
    /// The same where some were good: the machine has other things to do now and then.
    static let defectsAmongGoodMax = 6

    let goal: RateSearchRecord.Goal
    let limits: Limits
    private(set) var windows: [RateWindow] = []
    private var notOffered = 0
    private var invalid: [String] = []

    public init(goal: RateSearchRecord.Goal, limits: Limits = .search) {
        self.goal = goal
        self.limits = limits
    }

    /// How many operations a window should have, so that the fewest windows are enough where none is late.
    public static func operationsWanted(_ goal: RateSearchRecord.Goal) -> Double {
        let share = goal.allowedShare
        // Twice what is needed at least: a few are late where the search ends.
        return share > 0 ? 2 * log(1 / errorProbability) / -log1p(-min(share, 0.999)) / Double(Limits.search.windowsMin) : 1000
    }

    /// How long a window should be at a rate: long enough for the operations, and for an overload of a fiftieth to make them late by the bound.
    public static func windowSeconds(_ goal: RateSearchRecord.Goal, ratePerSecond: Double, atLeast seconds: Double) -> Double {
        max(seconds, operationsWanted(goal) / ratePerSecond, Double(goal.boundNanoseconds) / 1e9 * 50)
    }

    /// Takes one more window.
    public mutating func add(_ window: RateWindow) -> Decision {
        switch window.defect {
        case .notOffered: notOffered += 1
        case .invalid(let reason): invalid.append(reason)
        case nil: windows.append(window)
        }
        let defectsMax = windows.isEmpty ? Self.defectsMax : Self.defectsAmongGoodMax
        if notOffered >= defectsMax {
            return .done(.notOffered, reason: "the generator could not keep its schedule in \(notOffered) windows: nothing is said of the subject")
        }
        if invalid.count >= defectsMax { return .done(.unclear, reason: "\(invalid.count) windows are INVALID: \(invalid[0])") }
        guard window.defect == nil else { return .another }
        if let decided = decide() { return decided }
        return windows.count < limits.windowsMax ? .another : .done(.unclear, reason: "\(sentence); \(windows.count) windows do not tell on which side of it that is")
    }

    /// What is said when no more windows are made.
    public var sentence: String {
        let allowed = goal.allowedShare
        // There always are operations under way when a window ends: where none may be late, they are not called so.
        let counted = allowed > 0 ? \RateWindow.lateAtMost : \RateWindow.lateAtLeast
        let late = windows.reduce(0) { $0 + $1[keyPath: counted] }
        let shares = self.shares(counted).map { 100 * $0 }
        var text = "\(percent(100 * Double(late) / Double(max(1, operations)))) of \(Units.format(count: operations)) operations "
            + "took \(Units.spelled(nanoseconds: goal.boundNanoseconds)) or longer"
        if let least = shares.min(), let most = shares.max(), windows.count > 1 {
            text += ", in \(windows.count) windows \(least == most ? "each" : "\(percent(least)) to \(percent(most))")"
        }
        return text + "; the goal allows \(allowed > 0 ? "less than \(percent(100 * allowed))" : "none")"
    }

    private var operations: UInt64 { windows.reduce(0) { $0 + $1.operations } }

    /// Without zeros that say nothing: `1 %`, `0.1 %`, `0.0432 %`.
    private func percent(_ value: Double) -> String {
        var text = Units.significant((value * 1e6).rounded() / 1e6)
        if text.contains(".") {
            while text.last == "0" { text.removeLast() }
            if text.last == "." { text.removeLast() }
        }
        return text + " %"
    }

    private func decide() -> Decision? {
        let share = goal.allowedShare
        if share == 0 {
            if windows.contains(where: { $0.lateAtLeast > 0 }) { return .done(.missed, reason: sentence) }
            return windows.count >= limits.windowsMin && operations > 0 ? .done(.met, reason: sentence) : nil
        }
        let least = shares(\.lateAtLeast)
        // More than half of those that should have been in time were late: no hiccup lasts so long.
        if let last = least.last, last >= (1 + share) / 2 { return .done(.missed, reason: sentence) }
        guard windows.count >= limits.windowsMin, operations > 0 else { return nil }
        let most = shares(\.lateAtMost)
        if isCertain(windows.reduce(0) { $0 + $1.lateAtMost }, below: share), interval(most).high < share { return .done(.met, reason: sentence) }
        if isCertain(windows.reduce(0) { $0 + $1.lateAtLeast }, above: share), interval(least).low > share { return .done(.missed, reason: sentence) }
        return nil
    }

    private func shares(_ late: KeyPath<RateWindow, UInt64>) -> [Double] {
        windows.map { $0.operations > 0 ? Double($0[keyPath: late]) / Double($0.operations) : 0 }
    }

    // MARK: Statistics

    private func isCertain(_ late: UInt64, below share: Double) -> Bool {
        let seen = Double(late) / Double(operations)
        return seen < share && Double(operations) * Self.divergence(seen, share) > log(1 / Self.errorProbability)
    }

    private func isCertain(_ late: UInt64, above share: Double) -> Bool {
        let seen = Double(late) / Double(operations)
        return seen > share && Double(operations) * Self.divergence(seen, share) > log(1 / Self.errorProbability)
    }

    /// The divergence of Kullback and Leibler between two coins: the exponent of the Chernoff bound.
    static func divergence(_ seen: Double, _ truth: Double) -> Double {
        func part(_ a: Double, _ b: Double) -> Double { a > 0 ? a * log(a / b) : 0 }
        return part(seen, truth) + part(1 - seen, 1 - truth)
    }

    /// Of Student's distribution, for as many windows as steps have.
    private static let quantiles = (1..<Limits.confirmation.windowsMax).map { Distributions.studentQuantile(1 - errorProbability, degrees: $0) }

    private static func quantile(degrees: Int) -> Double {
        degrees <= quantiles.count ? quantiles[degrees - 1] : Distributions.studentQuantile(1 - errorProbability, degrees: degrees)
    }

    /// Student's interval of the mean.
    private func interval(_ values: [Double]) -> (low: Double, high: Double) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        let half = Self.quantile(degrees: values.count - 1) * (variance / count).squareRoot()
        return (mean - half, mean + half)
    }
}
