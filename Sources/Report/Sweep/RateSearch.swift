/// Looks for the highest rate that meets a goal: which rate to try next, given how the others did. It knows no clock and no server.
///
/// ```
///  grow (or shrink) by a factor ─▶ halve the bracket on a log scale ─▶ confirm its lower end ─▶ try its upper end again ─▶ done
///                                            ▲                               │ not met              │ met after all
///                                            └───────────────────────────────┴──────────────────────┘
/// ```
///
/// Response times need not rise with the rate: the machine does other things as well. So no single step decides. The lower end of the last bracket must be met a
/// second time, by more windows that are judged by themselves, or it is given up (a confirmation that was not offered says nothing, and is tried once more). And the upper end must fail a second time, or the search goes on above it; a
/// bad moment at a low rate does not end a search there.
///
/// Invariant: every rate that counts as met is below every rate that does not. A rate is tried five times at most, so the search ends.
public struct RateSearch: Sendable {
    /// Where to look, and how closely.
    public struct Limits: Sendable, Equatable {
        /// The first rate.
        public var startPerSecond = 1000.0
        /// No lower rate is tried.
        public var lowestPerSecond = 10.0
        /// No higher rate is tried.
        public var highestPerSecond = 1e8
        /// By which factor a rate is raised, or lowered, while only one end of the bracket is known.
        public var growth = 4.0
        /// The bracket is narrow enough when its ends differ by no more than this share.
        public var width = 0.03
        /// Steps after which it ends in any case.
        public var stepsMax = 80

        public init() {}
    }

    /// What to do.
    public enum Action: Sendable, Equatable {
        case measure(ratePerSecond: Double, RateStep.Limits, Purpose)
        case finished
    }

    /// What a step is for.
    public enum Purpose: Sendable, Equatable {
        case search
        /// A rate that was met must be met again.
        case confirmation
        /// A rate that failed must fail again.
        case recheck
    }

    /// A rate, and what is thought of it now.
    private struct Probe {
        let rate: Double
        var outcome: RateSearchRecord.Outcome
        /// It is not tried again.
        var isFinal = false
        /// It was met twice.
        var isConfirmed = false
        /// Confirmations that were not offered: they say nothing of what is to be confirmed.
        var confirmationsNotOffered = 0
    }

    /// A rate whose confirmation could not be offered so often stays as it is, unconfirmed.
    private static let confirmationsNotOfferedMax = 2

    private let limits: Limits
    /// By rate, ascending.
    private var probes: [Probe] = []
    private var steps = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// The highest rate that is met, as far as is known.
    public var found: Double? { lower?.rate }

    /// The lowest rate that is missed, as far as is known.
    public var missed: Double? { probes.first { $0.outcome == .missed }?.rate }

    /// Whether the rate found was met twice.
    public var isConfirmed: Bool { lower?.isConfirmed ?? false }

    private var lower: Probe? { probes.last { $0.outcome == .met } }
    private var upper: Probe? { probes.first { $0.outcome != .met } }

    /// The rate to try next. Asking does not change anything.
    public var next: Action {
        guard steps < limits.stepsMax else { return .finished }
        switch (lower, upper) {
        case (nil, nil): return .measure(ratePerSecond: limits.startPerSecond, .search, .search)
        case (nil, let upper?):
            guard upper.rate > limits.lowestPerSecond else { return upper.isFinal ? .finished : .measure(ratePerSecond: upper.rate, .search, .recheck) }
            return .measure(ratePerSecond: max(limits.lowestPerSecond, upper.rate / limits.growth), .search, .search)
        case (let lower?, nil):
            guard lower.rate < limits.highestPerSecond else { return lower.isFinal ? .finished : .measure(ratePerSecond: lower.rate, .confirmation, .confirmation) }
            return .measure(ratePerSecond: min(limits.highestPerSecond, lower.rate * limits.growth), .search, .search)
        case (let lower?, let upper?):
            if upper.rate > lower.rate * (1 + limits.width) { return .measure(ratePerSecond: (lower.rate * upper.rate).squareRoot(), .search, .search) }
            if !lower.isFinal { return .measure(ratePerSecond: lower.rate, .confirmation, .confirmation) }
            return upper.isFinal ? .finished : .measure(ratePerSecond: upper.rate, .search, .recheck)
        }
    }

    /// How ``next`` did.
    public mutating func record(_ outcome: RateSearchRecord.Outcome) {
        guard case .measure(let rate, _, let purpose) = next else { return }
        steps += 1
        guard let index = probes.firstIndex(where: { $0.rate == rate }) else {
            let place = probes.firstIndex { $0.rate > rate } ?? probes.endIndex
            probes.insert(Probe(rate: rate, outcome: outcome), at: place)
            return
        }
        if purpose == .confirmation, outcome == .notOffered {
            probes[index].confirmationsNotOffered += 1
            probes[index].isFinal = probes[index].confirmationsNotOffered >= Self.confirmationsNotOfferedMax
            return
        }
        probes[index].isConfirmed = purpose == .confirmation && outcome == .met
        // What failed and is met now may have been luck, and is confirmed like any other; all else is settled.
        probes[index].isFinal = !(purpose == .recheck && outcome == .met)
        probes[index].outcome = outcome
    }
}
