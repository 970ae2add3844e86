/// How an event loop is set up.
public struct EventLoopConfiguration: Sendable {
    /// Name of the loop's thread; the system keeps 15 bytes.
    public var name = "loop"
    /// The core to stay on, or nil to let the scheduler choose.
    public var core: Int?
    /// Which I/O interface to use.
    public var io = IOChoice.auto
    /// Size of the blocks that receives go into. 256 KiB: smaller reads halve bulk throughput, larger ones fall out of the cache.
    public var blockByteCount = 256 << 10
    /// The most blocks in use at once; when all are, channels wait. 256 blocks are 64 MiB.
    public var blocksMax = 256
    /// How long to look for events without sleeping before sleeping. 0: spinning pays only where a core can be spared; 20-50 us then
    /// cut a round trip by more than half.
    public var spinNanoseconds: UInt64 = 0
    /// How late the kernel may end a wait for a timer, PR_SET_TIMERSLACK; nil leaves its 50 us, which save wake-ups where many timers are near each other.
    public var timerSlackNanoseconds: UInt64?

    public init() {}
}

/// Which I/O interface of the kernel a loop uses.
public enum IOChoice: String, CaseIterable, Sendable {
    /// The best one that works here.
    case auto
    /// Readiness: the kernel tells when to call, and each operation is a system call.
    case epoll
    /// Completions: operations are handed over in batches. Not every kernel or container allows it.
    case uring
}

/// What a loop did, turn by turn.
public struct TurnCounts: Equatable, Sendable {
    /// Rounds of wait, events, work, flush.
    public var turns: UInt64 = 0
    /// Turns that were ready to sleep.
    public var waits: UInt64 = 0
    /// Waits that an event, another thread or a timer ended; the thread may have slept.
    public var wakeups: UInt64 = 0
    /// Looks without sleeping, see ``EventLoopConfiguration/spinNanoseconds``.
    public var spins: UInt64 = 0
    /// Completions and readiness events.
    public var events: UInt64 = 0
    /// Timers whose time had come.
    public var timersFired: UInt64 = 0
    /// Work and jobs that came from other threads.
    public var submissions: UInt64 = 0
    /// Wake-up signals other threads had to send for them: a system call each, on their side.
    public var wakeSignals: UInt64 = 0
    /// Jobs of async code that ran on the loop.
    public var jobs: UInt64 = 0
    /// Calls of ``TurnEndHandler/turnEnded()``.
    public var turnEndCalls: UInt64 = 0

    public init() {}
}
