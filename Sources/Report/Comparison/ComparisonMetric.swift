public import Gauge

/// What the numbers of a metric count.
public enum MetricUnit: String, Codable, Sendable, CaseIterable {
    case bytesPerSecond = "bytes/s"
    case perSecond = "1/s"
    case nanoseconds = "ns"
    case secondsPerGiB = "seconds/GiB"
    case bytes
    /// A quotient or a count, which has no unit.
    case none = "1"

    /// For a person.
    public func format(_ value: Double) -> String {
        switch self {
        case .bytesPerSecond: Units.format(bytesPerSecond: value)
        case .perSecond: Units.format(perSecond: value)
        case .nanoseconds: Units.format(nanoseconds: value)
        case .secondsPerGiB: Units.format(seconds: value)
        case .bytes: "\(Units.significant(value)) B"
        case .none: Units.significant(value)
        }
    }
}

/// A figure by which subjects are compared. Its name is its key in a comparison record.
public struct ComparisonMetric: Codable, Sendable, Equatable {
    public let name: String
    public let unit: MetricUnit
    public let better: Preference

    public init(name: String, unit: MetricUnit, better: Preference) {
        self.name = name
        self.unit = unit
        self.better = better
    }

    /// `goodput`, `CPU per GiB, client`: as a table names it; a metric that is not known here keeps its name.
    public var title: String { Self.catalogue.first { $0.metric.name == name }?.title ?? name }

    /// All that run records give.
    public static let all: [ComparisonMetric] = catalogue.map(\.metric)

    /// - Parameter name: as in ``all``; nil for another.
    public static func named(_ name: String) -> ComparisonMetric? { all.first { $0.name == name } }

    /// This metric of one repeat; absent, with the reason, where the repeat does not have it or must not be believed.
    public func value(in figures: RunFigures) -> Measured<Double> {
        guard figures.valid else { return .unavailable("INVALID: \(figures.invalidReasons.first ?? "no reason given")") }
        guard let entry = Self.catalogue.first(where: { $0.metric.name == name }) else { return .unavailable("a run has no \(name)") }
        return entry.read(figures)
    }

    /// All metrics of one repeat, by name.
    public static func values(in figures: RunFigures) -> [String: Measured<Double>] {
        Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.value(in: figures)) })
    }

    // MARK: The catalogue

    private struct Entry: Sendable {
        let metric: ComparisonMetric
        let title: String
        let read: @Sendable (RunFigures) -> Measured<Double>

        init(
            _ name: String, _ title: String, _ unit: MetricUnit, _ better: Preference, _ read: @escaping @Sendable (RunFigures) -> Measured<Double>
        ) {
            metric = ComparisonMetric(name: name, unit: unit, better: better)
            self.title = title
            self.read = read
        }
    }

    private static let catalogue: [Entry] = [
        Entry("goodput_bytes_per_second", "goodput", .bytesPerSecond, .higher) { $0.goodputBytesPerSecond },
        Entry("messages_per_second", "messages", .perSecond, .higher) { $0.messagesPerSecond },
        Entry("latency_p50_ns", "latency p50", .nanoseconds, .lower) { $0.latency.map { Double($0.p50) } },
        Entry("latency_p99_ns", "latency p99", .nanoseconds, .lower) { $0.latency.map { Double($0.p99) } },
        Entry("cpu_seconds_per_gib_client", "CPU per GiB, client", .secondsPerGiB, .lower) { $0.cpuSecondsPerGiB.client },
        Entry("cpu_seconds_per_gib_server", "CPU per GiB, server", .secondsPerGiB, .lower) { $0.cpuSecondsPerGiB.server },
        Entry("cpu_ns_per_message_client", "CPU per message, client", .nanoseconds, .lower) { $0.cpuNanosecondsPerMessage.client },
        Entry("cpu_ns_per_message_server", "CPU per message, server", .nanoseconds, .lower) { $0.cpuNanosecondsPerMessage.server },
        Entry("bytes_per_stream_client", "memory per stream, client", .bytes, .lower) { $0.memory.bytesPerStreamClient },
        Entry("bytes_per_stream_server", "memory per stream, server", .bytes, .lower) { $0.memory.bytesPerStreamServer },
        Entry("rss_bytes_per_stream_client", "resident memory per stream, client", .bytes, .lower) { $0.memory.rssBytesPerStreamClient },
        Entry("rss_bytes_per_stream_server", "resident memory per stream, server", .bytes, .lower) { $0.memory.rssBytesPerStreamServer },
        Entry("wire_overhead_ratio", "overhead on the wire", .none, .lower) { $0.frameOverheadRatio },
        Entry("syscalls_per_message", "system calls per message", .none, .lower) { figures in
            figures.syscallsPerMessage.client.combined(with: figures.syscallsPerMessage.server, +)
        },
    ]
}
