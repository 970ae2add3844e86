/// Where the time of a multiplexer went that could not send, and how large its receive windows are.
public struct MuxerFlow: Equatable, Sendable {
    /// Data was queued, and none of it had credit.
    public var windowStalledNanoseconds: Nanoseconds = 0
    /// No data was queued.
    public var idleNanoseconds: Nanoseconds = 0
    /// The largest receive window that a stream has had so far.
    public var receiveWindowBytesMax: UInt32 = 0

    public init() {}
}

/// Counts the time of a sender by what holds it up. The time between two changes belongs to the state in between; changes are noted where they happen, once a
/// write, so that nothing is polled.
///
/// ```
///             all that is queued lacks credit
///   sending ─────────────────────────────────▶ window
///      ▲ │ nothing is queued                     │
///      │ └────────────────────▶ idle             │
///      └─── data that may go ───┴────────────────┘
/// ```
struct SendClock {
    enum State: UInt8 {
        /// Nothing was transmitted yet.
        case fresh
        /// Something may be sent, or is on its way to the kernel.
        case sending
        case window
        case idle
    }

    private(set) var state = State.fresh
    private var since: Nanoseconds = 0
    private var window: Nanoseconds = 0
    private var idle: Nanoseconds = 0

    @inline(__always)
    mutating func enter(_ new: State, at now: Nanoseconds) {
        if new != state { change(to: new, at: now) }
    }

    private mutating func change(to new: State, at now: Nanoseconds) {
        (window, idle) = totals(at: now)
        state = new
        since = now
    }

    /// The time so far, the state of now included.
    func totals(at now: Nanoseconds) -> (window: Nanoseconds, idle: Nanoseconds) {
        let elapsed = now > since ? now - since : 0
        return (window + (state == .window ? elapsed : 0), idle + (state == .idle ? elapsed : 0))
    }
}
