import Gauge

/// What a person sees while a run is measured: one line that is rewritten in place when the output is a terminal, and one line an interval
/// when intervals were asked for. Otherwise it is silent, so that logs do not fill with progress.
///
/// Belongs to one thread. Call order: ``update(_:)`` and ``interval(_:)`` as often as there is news, ``finish()`` before anything else is printed.
public final class LiveProgress {
    /// A moment of a run.
    public struct Moment: Sendable {
        public var label: String
        public var elapsedSeconds: Double
        /// nil when the run ends by count.
        public var plannedSeconds: Double?
        public var bytesPerSecond: Double
        public var messagesPerSecond: Double

        public init(label: String, elapsedSeconds: Double, plannedSeconds: Double?, bytesPerSecond: Double, messagesPerSecond: Double) {
            self.label = label
            self.elapsedSeconds = elapsedSeconds
            self.plannedSeconds = plannedSeconds
            self.bytesPerSecond = bytesPerSecond
            self.messagesPerSecond = messagesPerSecond
        }
    }

    /// One interval of the measured window.
    public struct Interval: Sendable {
        public var fromSeconds: Double
        public var toSeconds: Double
        public var bytes: UInt64
        public var messages: UInt64

        public init(fromSeconds: Double, toSeconds: Double, bytes: UInt64, messages: UInt64) {
            self.fromSeconds = fromSeconds
            self.toSeconds = toSeconds
            self.bytes = bytes
            self.messages = messages
        }
    }

    private let terminalWidth: Int?
    private let showsIntervals: Bool
    private let write: (String) -> Void
    private var lineIsOpen = false

    /// - Parameters:
    ///   - terminalWidth: columns of the terminal, or nil when the output is none.
    ///   - showsIntervals: whether ``interval(_:)`` prints.
    ///   - write: puts text on the output as it is.
    public init(terminalWidth: Int?, showsIntervals: Bool, write: @escaping (String) -> Void) {
        self.terminalWidth = terminalWidth
        self.showsIntervals = showsIntervals
        self.write = write
    }

    /// Rewrites the line.
    public func update(_ moment: Moment) {
        guard let terminalWidth else { return }
        var parts = [moment.label]
        if let planned = moment.plannedSeconds, planned > 0 {
            let share = min(1, max(0, moment.elapsedSeconds / planned))
            let cells = 20
            let filled = Int((share * Double(cells)).rounded(.down))
            parts.append("[" + String(repeating: "=", count: filled) + String(repeating: " ", count: cells - filled) + "]")
            parts.append("\(Units.fixed(moment.elapsedSeconds, places: 1)) of \(Units.fixed(planned, places: 1)) s")
        } else {
            parts.append("\(Units.fixed(moment.elapsedSeconds, places: 1)) s")
        }
        if moment.bytesPerSecond > 0 { parts.append(Units.format(bytesPerSecond: moment.bytesPerSecond)) }
        if moment.messagesPerSecond > 0 { parts.append(Units.format(perSecond: moment.messagesPerSecond)) }
        // The last column stays free: writing there makes some terminals begin a new line.
        write("\r\u{1b}[K" + parts.joined(separator: "  ").truncated(to: terminalWidth - 1))
        lineIsOpen = true
    }

    /// Prints a line that stays.
    public func interval(_ interval: Interval) {
        guard showsIntervals else { return }
        finish()
        let seconds = interval.toSeconds - interval.fromSeconds
        let range = "\(Units.fixed(interval.fromSeconds, places: 2))-\(Units.fixed(interval.toSeconds, places: 2)) s"
        let bytes = seconds > 0 ? Units.format(bytesPerSecond: Double(interval.bytes) / seconds) : "-"
        let messages = seconds > 0 ? Units.format(perSecond: Double(interval.messages) / seconds) : "-"
        let cells = [Units.format(bytes: interval.bytes), bytes, messages].map { $0.paddedLeft(to: 10) }
        write(([range.paddedLeft(to: 16)] + cells).joined(separator: "  ") + "\n")
    }

    /// Removes the line that is rewritten.
    public func finish() {
        guard lineIsOpen else { return }
        write("\r\u{1b}[K")
        lineIsOpen = false
    }
}
