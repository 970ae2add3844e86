/// One step of coming up: what part of a connection's beginning took how long, over all connections whose answer came in the window.
///
/// The steps of a connection follow each other without a gap: from the dial to the first answer they add up to its latency.
public struct ConnectStep: Codable, Sendable, Equatable {
    public let name: String
    /// How long the step took, after the one before it.
    public let latency: LatencySummary

    public init(name: String, latency: LatencySummary) {
        self.name = name
        self.latency = latency
    }

    enum CodingKeys: String, CodingKey {
        case name
        case latency = "latency_ns"
    }
}

/// The distributions behind ``ConnectStep``, in the order of the steps.
public struct ConnectSteps: Codable, Sendable, Equatable {
    private struct Entry: Codable, Equatable {
        let name: String
        var histogram: LatencyHistogram
    }

    private var entries: [Entry] = []

    public init() {}

    public mutating func record(_ name: String, nanoseconds: UInt64) {
        histogram(name) { $0.record(nanoseconds) }
    }

    public mutating func merge(_ other: ConnectSteps) {
        for entry in other.entries { histogram(entry.name) { $0.merge(entry.histogram) } }
    }

    public var steps: [ConnectStep] {
        entries.compactMap { entry in entry.histogram.summary().map { ConnectStep(name: entry.name, latency: $0) } }
    }

    private mutating func histogram(_ name: String, _ change: (inout LatencyHistogram) -> Void) {
        if let index = entries.firstIndex(where: { $0.name == name }) { return change(&entries[index].histogram) }
        var entry = Entry(name: name, histogram: LatencyHistogram())
        change(&entry.histogram)
        entries.append(entry)
    }
}
