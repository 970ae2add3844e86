/// What goes on beside the requests of the workload `mixed`.
public enum Aggressor: String, CaseIterable, Sendable {
    case bulk, stopped, stalled, churn

    /// How long the receivers of `stalled` rest after each message.
    static let restSeconds = 0.01
    /// What the receiver of `stopped` reads a second: nothing that matters.
    static let stoppedBytesPerSecond = 1.0
    /// Payload of a message of `churn`.
    static let churnMessageBytes = 64

    /// The aggressor of this name.
    public init(parsing text: String) throws(ScenarioError) {
        guard let aggressor = Aggressor(rawValue: text) else {
            let names = Aggressor.allCases.map(\.rawValue)
            throw .outOfRange(name: "beside", value: text, allowed: names.joined(separator: ", ") + (Nearest.to(text, among: names).map { "; did you mean '\($0)'?" } ?? ""))
        }
        self = aggressor
    }

    /// One line for people.
    public var summary: String {
        switch self {
        case .bulk: "messages as fast as every stream takes them"
        case .stopped: "bulk, and the receiver of one of its streams has stopped reading"
        case .stalled: "bulk whose receivers rest for 10 ms after each message"
        case .churn: "streams that are opened, carry 64 bytes there and back, and are closed"
        }
    }

    /// What the streams behind the first of a connection do.
    ///
    /// - Parameters:
    ///   - bulk: which way bulk goes.
    ///   - messageSizeBytes: payload of a message of bulk.
    ///   - readRateBytesPerSecond: what receivers of bulk read; nil for all at once.
    func flows(_ bulk: Scenario.Flow.Verb, messageSizeBytes size: Int, readRateBytesPerSecond rate: Double?) -> [Scenario.Flow] {
        let whole = Scenario.Flow(verb: bulk, messageSizeBytes: size, readRateBytesPerSecond: rate)
        switch self {
        case .bulk: return [whole]
        case .stopped: return [.init(verb: bulk, streams: 1, messageSizeBytes: size, readRateBytesPerSecond: Self.stoppedBytesPerSecond), whole]
        case .stalled: return [.init(verb: bulk, messageSizeBytes: size, restSeconds: Self.restSeconds)]
        case .churn: return [.init(verb: .churn, messageSizeBytes: Self.churnMessageBytes)]
        }
    }
}

extension Scenario {
    /// What goes on beside the requests of `mixed`; nil for another workload.
    public var aggressor: Aggressor? {
        guard workload == Workload.mixed.rawValue, let last = flows.last else { return nil }
        if last.verb == .churn { return .churn }
        if last.restSeconds != nil { return .stalled }
        return flows.count > 2 ? .stopped : .bulk
    }
}
