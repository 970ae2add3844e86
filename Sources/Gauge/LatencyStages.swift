/// Where the time of messages went between one handler and the other, over the sampled messages of one flow and direction:
///
/// ```
///  handler sends ──queue──▶ last byte handed to the kernel ──transit──▶ read by the far end ──deliver──▶ far handler has it whole
/// ```
///
/// Of each message the three add up to the total exactly. Both ends read one clock, so it is told only where they share a machine.
public struct LatencyStages: Codable, Sendable, Equatable {
    /// A part of a message's way; the name is the key of a record, without its unit.
    public enum Stage: String, Codable, CaseIterable, Sendable {
        /// From the handler's send to when the kernel had taken the message's last byte: waiting for credit, for its turn and for room in the socket.
        case queue
        /// From there to the end of the read that brought the last byte: both kernels, the wire, and the far end's waking up.
        case transit
        /// From there to when the far handler had the whole message: opening records, parsing, and the events before it in the same read.
        case deliver
        /// The sum.
        case total
    }

    /// Which of the scenario's flows, from 0.
    public let flow: Int
    /// What the flow does: `request`, `send`, ...
    public let verb: String
    /// `up` or `down`.
    public let direction: String
    /// The figures of each stage.
    public let summaries: [Stage: LatencySummary]
    /// The distributions behind them.
    public let histograms: [Stage: LatencyHistogram]

    public init?(flow: Int, verb: String, direction: String, histograms: [Stage: LatencyHistogram]) {
        self.flow = flow
        self.verb = verb
        self.direction = direction
        self.histograms = histograms
        var summaries: [Stage: LatencySummary] = [:]
        for stage in Stage.allCases {
            guard let summary = histograms[stage]?.summary() else { return nil }
            summaries[stage] = summary
        }
        self.summaries = summaries
    }

    private enum CodingKeys: String, CodingKey {
        case flow, verb, direction
        case queue = "queue_ns"
        case transit = "transit_ns"
        case deliver = "deliver_ns"
        case total = "total_ns"
        case histograms

        init(_ stage: Stage) {
            self = switch stage {
            case .queue: .queue
            case .transit: .transit
            case .deliver: .deliver
            case .total: .total
            }
        }
    }

    private struct StageKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ stage: Stage) { stringValue = stage.rawValue }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(flow, forKey: .flow)
        try container.encode(verb, forKey: .verb)
        try container.encode(direction, forKey: .direction)
        for stage in Stage.allCases { try container.encode(summaries[stage], forKey: CodingKeys(stage)) }
        var distributions = container.nestedContainer(keyedBy: StageKey.self, forKey: .histograms)
        for stage in Stage.allCases { try distributions.encode(histograms[stage], forKey: StageKey(stage)) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        flow = try container.decode(Int.self, forKey: .flow)
        verb = try container.decode(String.self, forKey: .verb)
        direction = try container.decode(String.self, forKey: .direction)
        let distributions = try container.nestedContainer(keyedBy: StageKey.self, forKey: .histograms)
        var summaries: [Stage: LatencySummary] = [:]
        var histograms: [Stage: LatencyHistogram] = [:]
        for stage in Stage.allCases {
            summaries[stage] = try container.decode(LatencySummary.self, forKey: CodingKeys(stage))
            histograms[stage] = try distributions.decode(LatencyHistogram.self, forKey: StageKey(stage))
        }
        self.summaries = summaries
        self.histograms = histograms
    }
}
