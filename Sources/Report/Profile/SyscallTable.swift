import Gauge

/// What one side's system calls cost in the window, beside what StreamGauge has counted itself.
public struct SyscallTable: Sendable {
    /// A line of it.
    public struct Line: Equatable, Sendable {
        public var name: String
        public var seen: SyscallTally.Row
        /// Nil for what StreamGauge does not count: calls of libraries, and of what is beside the event loops.
        public var counted: UInt64?

        /// Whether the two counts are the same but for what happened at the edges of the window, where both ends do not look at the same moment.
        public var agrees: Bool {
            guard let counted else { return true }
            // Libraries wake their own threads by writes as well.
            if name == "write", seen.calls > counted { return true }
            let difference = seen.calls > counted ? seen.calls - counted : counted - seen.calls
            return difference <= SyscallTable.edgeCallsMax + counted / 100
        }
    }

    /// Calls that may be on one side of an edge for the tool and on the other for StreamGauge, beside 1 %.
    public static let edgeCallsMax: UInt64 = 20

    /// Those with the most time first.
    public let lines: [Line]
    private let messages: UInt64

    /// - Parameters:
    ///   - seen: what the tool saw in the window, by the kernel's names.
    ///   - counted: what StreamGauge counted, by the names of records; nil where it has no counts.
    ///   - messages: of the window.
    public init(seen: [String: SyscallTally.Row], counted: [String: UInt64]?, messages: UInt64) {
        self.messages = messages
        var own: [String: UInt64] = [:]
        for (name, count) in counted ?? [:] { own[Self.kernelName(name), default: 0] += count }
        let names = Set(seen.keys).union(own.keys)
        lines = names.map { Line(name: $0, seen: seen[$0] ?? .init(), counted: own[$0]) }.sorted {
            ($0.seen.total_ns, $0.seen.calls, $1.name) > ($1.seen.total_ns, $1.seen.calls, $0.name)
        }
    }

    /// Records call a receive by what the program calls, and say what a write is for.
    private static func kernelName(_ name: String) -> String {
        if name == "recv" { return "recvfrom" }
        return name.split(separator: " ").first.map(String.init) ?? name
    }

    public var agrees: Bool { lines.allSatisfy(\.agrees) }

    public var markdown: String {
        var text = "| call | calls | a message | time, total | time, mean | bytes a call | counted by StreamGauge | difference |\n"
        text += "|---|---:|---:|---:|---:|---:|---:|---:|\n"
        for line in lines {
            let row = line.seen
            let time = row.timed == 0 ? "-" : Units.format(seconds: Double(row.total_ns) / 1e9)
            let mean = row.timed == 0 ? "-" : Units.format(seconds: Double(row.total_ns) / Double(row.timed) / 1e9)
            let bytes = row.transfers == 0 ? "-" : "\(row.bytes / row.transfers)"
            let each = messages == 0 ? "-" : Self.ratio(row.calls, messages)
            let difference = line.counted.map { Int64(row.calls) - Int64($0) }
            let told = difference.map { "\($0 > 0 ? "+" : "")\($0)\(line.agrees ? "" : " (differs)")" } ?? "-"
            text += "| \(line.name) | \(row.calls) | \(each) | \(time) | \(mean) | \(bytes) | \(line.counted.map(String.init) ?? "-") | \(told) |\n"
        }
        return text
    }

    /// With four digits behind the point.
    private static func ratio(_ count: UInt64, _ whole: UInt64) -> String {
        let parts = UInt64((Double(count) / Double(whole) * 10_000).rounded())
        let digits = String(parts % 10_000)
        return "\(parts / 10_000).\(String(repeating: "0", count: 4 - digits.count))\(digits)"
    }
}
