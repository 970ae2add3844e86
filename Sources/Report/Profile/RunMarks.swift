import FoundationEssentials
import Gauge

/// When the window of a run was and which processes took part: what a profiler's data are cut to. A run writes it with `--marks FILE`.
public struct RunMarks: Codable, Equatable, Sendable {
    public static let schema = "streamgauge.marks/1"

    public var schema = Self.schema
    /// Begin and end of the measured window, in nanoseconds of `CLOCK_MONOTONIC` on this machine.
    public var windowBegin_ns: UInt64
    public var windowEnd_ns: UInt64
    /// Process IDs. The server's is nil where both sides are one process, or where the server was running already.
    public var clientID: Int32
    public var serverID: Int32?

    public init(window: Range<UInt64>, clientID: Int32, serverID: Int32?) {
        windowBegin_ns = window.lowerBound
        windowEnd_ns = window.upperBound
        self.clientID = clientID
        self.serverID = serverID
    }

    public var window: Range<UInt64> { windowBegin_ns..<max(windowBegin_ns, windowEnd_ns) }

    /// Throws when it cannot be encoded.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case windowBegin_ns = "window_begin_ns"
        case windowEnd_ns = "window_end_ns"
        case clientID = "client_pid"
        case serverID = "server_pid"
    }
}
