/// What a connection may hold and write at once.
public struct ConnectionLimits: Sendable {
    /// The most that one write carries. 256 to 512 KiB amortise the system call; 64 KiB lose nearly half the throughput.
    public var writeBytesMax = 512 << 10
    /// The least, when the kernel takes little at a time: below it the frames that come back would cost more than the write.
    public var writeBytesMin = 64 << 10
    /// Headers and copied payloads of one write. The kernel reads them right after they were written: beyond a quarter of a usual second-level cache they
    /// would come back from further away, which cost a fifth of the throughput of 1 KiB messages.
    public var arenaBytesMax = 256 << 10
    /// Payloads shorter than this are copied beside their header, others go by reference.
    public var copyThresholdBytes = 2048
    /// How long a connection that is being closed waits for the far end to take a byte or to finish too, before it ends at once: a far end that does neither must
    /// not keep it for ever. More than TCP takes to send a lost segment again a few times.
    public var closeNanoseconds: UInt64 = 10_000_000_000

    public init() {}
}

/// How much to frame for the next write. Frames that the kernel does not take are framed again later, so the budget follows what it
/// took last and grows again while it takes everything.
struct WriteBudget {
    private(set) var bytes: Int
    private let least: Int
    private let most: Int

    init(limits: ConnectionLimits) {
        least = limits.writeBytesMin
        most = limits.writeBytesMax
        bytes = most
    }

    mutating func adapt(offered: Int, taken: Int) {
        if taken < offered {
            if taken > 0 { bytes = max(least, min(taken, most)) }
        } else if offered >= bytes {
            bytes = min(bytes + bytes / 4, most)
        }
    }
}
