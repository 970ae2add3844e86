/// One step of coming up: what part of a connection's beginning took how long, over all connections whose answer came in the window.
///
/// The steps of a connection follow each other without a gap: from the dial to the first answer they add up to its latency.
public struct ConnectStep: Codable, Sendable, Equatable {
    public let name: String
    /// How long the step took, after the one before it.
    public let latency: LatencySummary
    /// How often in this step one side had to wait for what the other side answered, on average.
    public let roundTrips: Double

    public init(name: String, latency: LatencySummary, roundTrips: Double) {
        self.name = name
        self.latency = latency
        self.roundTrips = roundTrips
    }

    enum CodingKeys: String, CodingKey {
        case name
        case latency = "latency_ns"
        case roundTrips = "round_trips"
    }
}

/// The distributions behind ``ConnectStep``, in the order of the steps.
public struct ConnectSteps: Codable, Sendable, Equatable {
    private struct Entry: Codable, Equatable {
        let name: String
        var histogram: LatencyHistogram
        var roundTrips: UInt64 = 0
    }

    private var entries: [Entry] = []

    public init() {}

    public mutating func record(_ name: String, nanoseconds: UInt64, roundTrips: Int) {
        change(name) { entry in
            entry.histogram.record(nanoseconds)
            entry.roundTrips += UInt64(roundTrips)
        }
    }

    public mutating func merge(_ other: ConnectSteps) {
        for theirs in other.entries {
            change(theirs.name) { entry in
                entry.histogram.merge(theirs.histogram)
                entry.roundTrips += theirs.roundTrips
            }
        }
    }

    public var steps: [ConnectStep] {
        entries.compactMap { entry in
            entry.histogram.summary().map {
                ConnectStep(name: entry.name, latency: $0, roundTrips: Double(entry.roundTrips) / Double($0.count))
            }
        }
    }

    private mutating func change(_ name: String, _ change: (inout Entry) -> Void) {
        if let index = entries.firstIndex(where: { $0.name == name }) { return change(&entries[index]) }
        var entry = Entry(name: name, histogram: LatencyHistogram())
        change(&entry)
        entries.append(entry)
    }
}
