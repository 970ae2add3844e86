import Foundation
import Gauge

/// What the probes of a run counted in its window: bpftrace's answers (`-f json`), told apart by side.
///
/// Maps whose keys begin with process and side (1 client, 2 server) are understood: `@n_NAME` counts, `@sum_NAME` adds up, histograms, and what is kept by connection and stream.
public struct ProbeCounts: Equatable, Sendable {
    /// A bar of a histogram: values from `lower` to `upper`.
    public struct Bar: Equatable, Sendable {
        public let lower, upper: Int64
        public let count: UInt64
    }

    /// A stream that waited for credit.
    public struct StalledStream: Equatable, Sendable {
        public let side: Side
        /// As the probes name them; a connection's number means nothing beyond being its own.
        public let connection, stream: UInt64
        public let count, nanoseconds: UInt64
    }

    /// Numbers by map, without the `@`.
    private var numbers: [Side: [String: Int64]] = [:]
    private var histograms: [Side: [String: [Bar]]] = [:]
    /// The longest first.
    public private(set) var stalledStreams: [StalledStream] = []

    /// - Parameters:
    ///   - lines: what bpftrace has written, an object a line; lines of other kinds are passed over.
    ///   - processes: whose probes are meant.
    /// - Throws: ``ProbeCountsError`` when a line is not what bpftrace writes.
    public init(_ lines: String, processes: Set<Int32>) throws {
        var stalls: [String: (count: UInt64, nanoseconds: UInt64)] = [:]
        for (number, line) in lines.split(separator: "\n").enumerated() where line.hasPrefix("{") {
            guard let parsed = try? JSONSerialization.jsonObject(with: Data(line.utf8)), let object = parsed as? [String: Any] else {
                throw ProbeCountsError(line: number + 1, text: String(line.prefix(100)))
            }
            guard let kind = object["type"] as? String, ["map", "stats", "hist"].contains(kind), let maps = object["data"] as? [String: Any] else { continue }
            for (map, value) in maps {
                guard let entries = value as? [String: Any] else { continue }
                let name = String(map.dropFirst())
                for (key, value) in entries {
                    let parts = key.split(separator: ",").map { Int64($0.trimmingCharacters(in: .whitespaces)) }
                    guard parts.count >= 2, let process = parts[0], processes.contains(Int32(truncatingIfNeeded: process)), let code = parts[1] else { continue }
                    let side: Side = code == 2 ? .server : .client
                    if let bars = value as? [[String: Any]] {
                        histograms[side, default: [:]][name] = bars.map(Self.bar)
                    } else if parts.count == 4, let number = value as? NSNumber {
                        let place = parts[1...].map { "\($0 ?? 0)" }.joined(separator: ",")
                        if name == "stalls_by_stream" { stalls[place, default: (0, 0)].count = number.uint64Value }
                        if name == "stalled_ns_by_stream" { stalls[place, default: (0, 0)].nanoseconds = number.uint64Value }
                    } else if let number = value as? NSNumber {
                        numbers[side, default: [:]][name, default: 0] += number.int64Value
                    }
                }
            }
        }
        stalledStreams = stalls.map { place, stall in
            let parts = place.split(separator: ",").map { UInt64($0) ?? 0 }
            return StalledStream(side: parts[0] == 2 ? .server : .client, connection: parts[1], stream: parts[2], count: stall.count, nanoseconds: stall.nanoseconds)
        }.sorted { ($0.nanoseconds, $1.stream) > ($1.nanoseconds, $0.stream) }
    }

    private static func bar(_ bar: [String: Any]) -> Bar {
        // The first bar of numbers below zero has no minimum, the last one no maximum.
        Bar(
            lower: (bar["min"] as? NSNumber)?.int64Value ?? .min, upper: (bar["max"] as? NSNumber)?.int64Value ?? .max,
            count: (bar["count"] as? NSNumber)?.uint64Value ?? 0)
    }

    /// How often a probe fired.
    public func count(_ probe: String, _ side: Side) -> Int64 { numbers[side]?["n_" + probe] ?? 0 }
    /// What a probe's argument adds up to; nil where the probe has none to add up.
    public func sum(_ probe: String, _ side: Side) -> Int64? { numbers[side]?["sum_" + probe] }
    /// A histogram by its name; empty when nothing was put into it.
    public func histogram(_ name: String, _ side: Side) -> [Bar] { histograms[side]?[name] ?? [] }
    /// Whether any probe fired.
    public var isEmpty: Bool { numbers.isEmpty }
}

/// bpftrace has written something else than an object.
public struct ProbeCountsError: Error, CustomStringConvertible {
    let line: Int
    let text: String
    public var description: String { "line \(line) is not what bpftrace writes: \(text)" }
}
