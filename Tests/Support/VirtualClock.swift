public import Muxers

/// Time that passes only when a test says so.
///
/// Invariant: it never goes back.
public final class VirtualClock {
    public private(set) var now: Nanoseconds

    /// - Parameter now: the first reading. Not zero by default, so that a machine that takes zero for "never" is caught.
    public init(now: Nanoseconds = 1_000_000_000) {
        self.now = now
    }

    public func advance(by nanoseconds: Nanoseconds) { now += nanoseconds }

    /// Moves to `time`, or stays when that has passed.
    public func advance(to time: Nanoseconds) { now = max(now, time) }
}
