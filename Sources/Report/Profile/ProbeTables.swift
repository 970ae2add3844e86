import Gauge

/// ``ProbeCounts`` for people: tables in Markdown.
public struct ProbeTables {
    private let counts: ProbeCounts
    private let figures: RunFigures

    public init(_ counts: ProbeCounts, _ figures: RunFigures) {
        self.counts = counts
        self.figures = figures
    }

    /// Probes, in the order of the tables, and what their sums are of.
    public static let probes: [(name: String, sum: String?)] = [
        ("loop_turn_done", "events"), ("read", "bytes"), ("write", "bytes"), ("flush", "bytes"), ("frame_queued", "bytes"), ("frame_sent", nil),
        ("data_frame_sent", "bytes"), ("frame_taken_back", nil), ("data_frame_taken_back", "bytes"), ("frame_decoded", nil), ("data_frame_decoded", "bytes"),
        ("window_update_sent", "bytes of credit"), ("window_stalled", nil), ("stream_opened", nil), ("stream_closed", nil), ("record_sealed", "bytes"),
        ("record_opened", "bytes"),
    ]

    /// The whole text.
    public var markdown: String {
        var text = table + "\n" + comparison
        for side in Side.allCases {
            text += histogram("frames_per_write", "data frames a write", side) + histogram("bytes_per_write", "bytes a write", side)
            text += histogram("queue_to_write_us", "us from send to write, one message in 16", side)
        }
        return text + stalls
    }

    private var table: String {
        var text = "| probe | client: times | a message | sum | server: times | a message | sum |\n|---|--:|--:|--:|--:|--:|--:|\n"
        for probe in Self.probes where Side.allCases.contains(where: { counts.count(probe.name, $0) > 0 }) {
            text += "| \(probe.name) |"
            for side in Side.allCases {
                let count = counts.count(probe.name, side)
                let each = figures.messages > 0 ? Self.short(Double(count) / Double(figures.messages)) : "-"
                let sum = probe.sum.flatMap { unit in counts.sum(probe.name, side).map { "\($0) \(unit)" } } ?? "-"
                text += " \(count) | \(each) | \(sum) |"
            }
            text += "\n"
        }
        return text
    }

    private static func short(_ number: Double) -> String {
        let thousandths = (number * 1000).rounded() / 1000
        return number > 0 && thousandths == 0 ? "< 0.001" : "\(thousandths)"
    }

    /// What the record counted by itself, beside the probes.
    public var comparisons: [(name: String, side: Side, record: UInt64, probes: UInt64)] {
        var rows: [(String, Side, UInt64, UInt64)] = []
        func add(_ name: String, _ side: Side, _ record: UInt64?, _ probes: Int64) {
            if let record { rows.append((name, side, record, UInt64(clamping: probes))) }
        }
        for side in Side.allCases {
            // With io_uring a socket is written and read by other calls.
            add("recv", side, figures.syscalls[side].value?["recv"], counts.count("read", side))
            add("sendmsg", side, figures.syscalls[side].value?["sendmsg"], counts.count("write", side))
            add("data frames", side, figures.framesSent[side].value, counts.count("data_frame_sent", side) - counts.count("data_frame_taken_back", side))
            add("writes of connections", side, figures.writes[side].value, counts.count("flush", side))
        }
        return rows
    }

    private var comparison: String {
        let rows = comparisons
        guard !rows.isEmpty else { return "" }
        var text = "| counted by the record itself | side | record | probes | |\n|---|---|--:|--:|---|\n"
        for row in rows {
            text += "| \(row.name) | \(row.side.rawValue) | \(row.record) | \(row.probes) | \(row.record == row.probes ? "the same" : "DIFFERENT") |\n"
        }
        return text
    }

    private func histogram(_ name: String, _ title: String, _ side: Side) -> String {
        let bars = counts.histogram(name, side)
        guard let most = bars.map(\.count).max(), most > 0 else { return "" }
        var text = "\n\(side.rawValue): \(title)\n\n```\n"
        for bar in bars {
            let range = bar.lower == bar.upper ? "\(bar.lower)" : "\(bar.lower) to \(bar.upper)"
            let length = Int((Double(bar.count) / Double(most) * 40).rounded())
            let label = String(repeating: " ", count: max(0, 22 - range.count)) + range
            let number = "\(bar.count)"
            text += label + String(repeating: " ", count: max(1, 11 - number.count)) + number + " " + String(repeating: "#", count: length) + "\n"
        }
        return text + "```\n"
    }

    private var stalls: String {
        let streams = counts.stalledStreams.prefix(10)
        guard !streams.isEmpty else { return "" }
        var text = "\nStreams that had data and no credit, the longest first\n\n| side | connection | stream | times | ms |\n|---|---|--:|--:|--:|\n"
        for stream in streams {
            let milliseconds = (Double(stream.nanoseconds) / 1e5).rounded() / 10
            text += "| \(stream.side.rawValue) | \(String(stream.connection, radix: 16)) | \(stream.stream) | \(stream.count) | \(milliseconds) |\n"
        }
        return text
    }
}
