public import Muxers

/// How a ``Pair``'s bytes travel: what a network, a kernel and an enemy may do to them, all from one seed.
public struct FaultPlan: Sendable, CustomStringConvertible {
    /// How what has arrived is cut into reads.
    public enum Chunking: Sendable, Equatable {
        /// Whatever is there comes in one read.
        case whole
        case everyByte
        /// Reads of a random size, small ones more often.
        case random(upTo: Int)
    }

    public enum Direction: Sendable, CaseIterable {
        case toResponder, toInitiator
    }

    /// One byte that arrives other than it left.
    public struct Corruption: Sendable {
        public var direction: Direction
        /// Position in the direction's bytes.
        public var offset: UInt64
        /// What the byte is combined with (exclusive or).
        public var mask: UInt8

        public init(_ direction: Direction, offset: UInt64, mask: UInt8) {
            self.direction = direction
            self.offset = offset
            self.mask = mask
        }
    }

    public var seed: UInt64
    public var chunking = Chunking.whole
    /// The most that one write takes; less than a frame makes writes partial all the time.
    public var writeBytesMax = Int.max
    /// How long bytes are under way, in nanoseconds; order is kept.
    public var delay: ClosedRange<Nanoseconds> = 0...0
    /// What each direction holds between write and read.
    public var pipeBytesMax = 64 << 10
    /// What is asked of one `transmit`.
    public var transmitBytesMax = 512 << 10
    /// The result of a write comes a turn later, as from a kernel ring, so that calls and reads happen in between.
    public var writesComplete = Completion.atOnce
    /// Where a direction ends, in bytes from its beginning.
    public var cuts: [Direction: UInt64] = [:]
    public var corruptions: [Corruption] = []

    public enum Completion: Sendable {
        case atOnce, later
    }

    public init(seed: UInt64) {
        self.seed = seed
    }

    public var description: String { "seed \(seed), \(chunking), writes of \(writeBytesMax), delay \(delay), completing \(writesComplete)" }

    /// Bytes cross at once and whole.
    public static func calm(_ seed: UInt64 = 1) -> FaultPlan { FaultPlan(seed: seed) }

    /// One byte a read.
    public static func everyByte(_ seed: UInt64 = 2) -> FaultPlan {
        var plan = FaultPlan(seed: seed)
        plan.chunking = .everyByte
        return plan
    }

    /// Small pipes, partial writes, odd reads, delays: everything that keeps the bytes and their order.
    public static func rough(_ seed: UInt64) -> FaultPlan {
        var random = SeededGenerator(seed: seed)
        var plan = FaultPlan(seed: seed)
        plan.chunking = random.oneIn(4) ? .whole : .random(upTo: [7, 100, 5000, 100_000][random.int(0...3)])
        plan.writeBytesMax = [13, 200, 5000, 70_000, .max][random.int(0...4)]
        plan.delay = random.oneIn(2) ? 0...0 : 0...Nanoseconds(random.int(1...5_000_000))
        plan.pipeBytesMax = [64, 1000, 16 << 10, 256 << 10][random.int(0...3)]
        plan.transmitBytesMax = [1, 1000, 64 << 10, 512 << 10][random.int(0...3)]
        plan.writesComplete = random.oneIn(2) ? .atOnce : .later
        return plan
    }
}
