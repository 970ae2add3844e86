/// How a stream socket is set up. Every option has a default and a reason; all can be changed.
///
/// A listener's options are applied to the listening socket, so accepted connections inherit them without a call each.
public struct SocketOptions: Sendable, Equatable {
    /// TCP_NODELAY. On: this stack gathers small messages itself, so waiting for more (Nagle) only adds delay.
    public var noDelay = true
    /// TCP_NOTSENT_LOWAT, bytes; nil leaves the kernel's. 64 KiB: what is already in the kernel cannot be overtaken by an urgent
    /// message, and less than this starves bulk transfer.
    public var notSentLowWaterBytes: Int? = 64 << 10
    /// The effective receive buffer, bytes; nil lets the kernel tune it. 256 KiB: the queue of the far end, which an urgent message cannot
    /// overtake either; it also keeps the bytes in the processor's cache between the two ends. With 512 KiB and a mark of 128 KiB a request beside a
    /// hundred bulk streams waited twice as long, at less goodput; with 192 and 32 KiB goodput halved. The kernel doubles what is asked
    /// for, so half is asked for.
    public var receiveBufferBytes: Int? = 256 << 10
    /// Where ``receiveBufferBytes`` applies. Local addresses only: over a long path a fixed buffer would cap throughput at buffer ÷ round-trip time.
    public var receiveBufferScope = Scope.localAddresses
    /// The effective send buffer, bytes; nil lets the kernel tune it. Nil: TCP_NOTSENT_LOWAT already bounds what waits.
    public var sendBufferBytes: Int?
    /// TCP_CONGESTION, the algorithm's name; nil leaves the kernel's, which ``SocketSettings/congestionControl`` tells. `reno`: every kernel has it, everybody may choose
    /// it, and it does not pace. Within a machine there is no narrow place to find and nothing is lost, but an algorithm that paces, such as `bbr`, sets a timer for every few
    /// segments and lets them wait for it: 16 % of the sender's processor time behind noise.
    public var congestionControl: String? = "reno"
    /// Where ``congestionControl`` applies. Local addresses only: over a network the machine's own choice is the better informed one.
    public var congestionControlScope = Scope.localAddresses
    /// SO_RCVLOWAT during bulk transfer, bytes. 1: a higher mark (128 KiB) saves wake-ups in pure bulk, but makes small messages that come between wait
    /// for more. It is set only after several large receives in a row, and given up when nothing came for 200 us.
    public var receiveLowWaterBytes = 1
    /// SO_REUSEADDR on listeners. On: a restart must not wait for old connections to time out.
    public var reuseAddress = true
    /// SO_REUSEPORT on listeners. Off: two programs must not share a port by accident; on for one listener per loop.
    public var reusePort = false
    /// SO_LINGER, seconds; nil leaves close in the background. 0 makes close send a reset.
    public var lingerSeconds: Int?
    /// Connections that may wait to be accepted. 1024: a thousand clients may connect within one turn of the loop.
    public var backlog = 1024

    public enum Scope: String, Sendable {
        case localAddresses, allAddresses
    }

    public init() {}

    /// All fields as text, for records and help.
    public var fields: [(name: String, value: String, reason: String)] {
        func text(_ value: Int?) -> String { value.map(String.init) ?? "kernel default" }
        return [
            ("TCP_NODELAY", noDelay ? "on" : "off", "small messages are gathered in user space"),
            ("TCP_NOTSENT_LOWAT", text(notSentLowWaterBytes), "bytes in the kernel cannot be overtaken"),
            ("SO_RCVBUF effective", text(receiveBufferBytes), "bounds the far end's queue"),
            ("SO_RCVBUF scope", receiveBufferScope.rawValue, "a fixed buffer caps throughput over long paths"),
            ("SO_SNDBUF effective", text(sendBufferBytes), "TCP_NOTSENT_LOWAT bounds what waits"),
            ("TCP_CONGESTION", congestionControl ?? "kernel default", "pacing costs timers, and within a machine finds nothing"),
            ("TCP_CONGESTION scope", congestionControlScope.rawValue, "over a network the machine's own choice knows better"),
            ("SO_RCVLOWAT in bulk", text(receiveLowWaterBytes), "a higher mark holds back small messages"),
            ("SO_REUSEADDR", reuseAddress ? "on" : "off", "a restart must not wait for old connections"),
            ("SO_REUSEPORT", reusePort ? "on" : "off", "on for one listener per loop"),
            ("SO_LINGER", text(lingerSeconds), "0 makes close send a reset"),
            ("backlog", String(backlog), "clients may connect in bursts"),
        ]
    }
}

/// What the kernel made of the options of one socket.
public struct SocketSettings: Equatable, Sendable {
    /// Nil where the option does not exist (Unix sockets).
    public var noDelay: Bool?
    public var notSentLowWaterBytes: Int?
    /// The algorithm's name.
    public var congestionControl: String?
    public var receiveBufferBytes: Int
    public var sendBufferBytes: Int
    public var receiveLowWaterBytes: Int
}
