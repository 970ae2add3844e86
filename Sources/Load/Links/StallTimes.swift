import Gauge
import Muxers
import P2P
import Reactor

/// What held up the connections of a side up to a moment; the window's share is a difference of two.
struct StallTimes: Codable, Equatable, Sendable {
    /// A figure that some connections have, in nanoseconds over all that have it.
    struct Sum: Codable, Equatable, Sendable {
        var nanoseconds: UInt64 = 0
        var connections = 0

        mutating func add(_ nanoseconds: UInt64?) {
            guard let nanoseconds else { return }
            self.nanoseconds += nanoseconds
            connections += 1
        }

        static func += (sum: inout Sum, other: Sum) {
            sum.nanoseconds += other.nanoseconds
            sum.connections += other.connections
        }
    }

    var window = Sum()
    var socket = Sum()
    var crypto = Sum()
    var nothingQueued = Sum()
    var notReading = Sum()

    mutating func add(_ connection: Connection, withheldNanoseconds: UInt64, at now: Nanoseconds) {
        let flow = connection.muxer.flow(at: now)
        let secured = connection.channel as? SecuredChannel
        window.add(flow?.windowStalledNanoseconds)
        nothingQueued.add(flow?.idleNanoseconds)
        socket.add(connection.channel.blockedNanoseconds)
        crypto.add(secured.flatMap { $0.timesCiphers ? $0.cipherNanoseconds : nil })
        notReading.add(withheldNanoseconds)
    }

    static func += (times: inout StallTimes, other: StallTimes) {
        times.window += other.window
        times.socket += other.socket
        times.crypto += other.crypto
        times.nothingQueued += other.nothingQueued
        times.notReading += other.notReading
    }

    /// Shares of the time from `begin` to `end`, of connections that were there all the time.
    static func shares(from begin: Usage, to end: Usage, isSecured: Bool) -> StallShares {
        let elapsed = Double(end.takenAt &- begin.takenAt)
        func share(_ path: KeyPath<StallTimes, Sum>, _ absent: String) -> Gauge.Measured<Double> {
            let (from, to) = (begin.stalls[keyPath: path], end.stalls[keyPath: path])
            guard to.connections > 0, elapsed > 0 else { return .unavailable(absent) }
            guard from.connections == to.connections, to.nanoseconds >= from.nanoseconds else { return .unavailable("connections came and went in the window") }
            return .value(min(1, Double(to.nanoseconds - from.nanoseconds) / elapsed / Double(to.connections)))
        }
        return StallShares(
            window: share(\.window, "only yamux counts it"), socket: share(\.socket, "there is no socket"),
            crypto: share(\.crypto, isSecured ? "timed over an emulated link only: two readings of the clock for every record cost small ones too much" : "connections are bare"),
            nothingQueued: share(\.nothingQueued, "only yamux counts it"), notReading: share(\.notReading, "no connection was there"))
    }
}
