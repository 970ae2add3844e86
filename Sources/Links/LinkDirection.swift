public import Bytes

/// One direction of a link, as a machine that knows no socket and no clock: pieces are put in at one end and come out at the other when their time has come.
///
/// ```
///   put ──▶ buffer, at most `bufferBytes` ──▶ serialiser, `bitsPerSecond` ──▶ propagation, half a round trip ──▶ take
/// ```
///
/// A byte leaves the serialiser when all bytes before it have and its own eight bits have passed, and arrives half a round trip (and its piece's jitter) later, but
/// never before the byte ahead of it. So each byte's delivery is exactly queueing + serialisation + propagation behind its being put in. Whatever
/// carries TCP's bytes cannot lose any: a full buffer does not drop them, it takes no more, and who feeds the link stops reading.
///
/// Pieces of several connections share the link in the order in which they come; a tag says whose each is. No byte is copied: what comes
/// out is a part of what was put in.
///
/// Call order: ``room(at:)``, ``put(_:tag:now:)`` and ``end(tag:now:)`` as bytes come; ``take(at:quantumBytes:)`` until it has nothing, at or after ``deadline(quantumBytes:)``.
/// Time must not go back.
///
/// Invariants: `bytesPut - bytesTaken` is the sum of the entries; entries come out in the order in which they went in, and so do their bytes.
public struct LinkDirection: ~Copyable {
    /// Nanoseconds times bits a second that a byte takes.
    static let bitNanosecondsPerByte: UInt128 = 8_000_000_000

    /// What comes out.
    public enum Delivery: ~Copyable {
        /// Bytes that were put in with this tag.
        case bytes(QueuedSlice, tag: UInt32)
        /// All that was put in with this tag has come out, and nothing follows.
        case end(tag: UInt32)
    }

    private struct Entry: BitwiseCopyable {
        let tag: UInt32
        /// Stands for an end, and carries nothing.
        let isEnd: Bool
        /// What has not been taken yet.
        var byteCount: Int
        /// When the serialiser, idle before, began with what is in one run with this.
        let busySince: UInt64
        /// Bytes of that run ahead of the first byte that has not been taken.
        var offset: UInt64
        /// From leaving the serialiser to arriving.
        let travel: UInt64
        /// When the last byte ahead of this entry arrives, or for an end when it does itself.
        let notBefore: UInt64
    }

    public private(set) var shape: LinkShape
    private var slices = SliceQueues()
    private var fifo = SliceQueues.Fifo()
    private var entries = RingQueue<Entry>(capacity: 64)
    private var busySince: UInt64 = 0
    private var busyBytes: UInt64 = 0
    /// When the last byte so far arrives.
    private var lastArrival: UInt64 = 0
    private var random: UInt64
    /// Bytes put in so far.
    public private(set) var bytesPut: UInt64 = 0
    /// Bytes taken out so far.
    public private(set) var bytesTaken: UInt64 = 0

    /// An empty direction of such a link. `stream` tells the two directions of a link apart, so that their jitter is not the same.
    public init(_ shape: LinkShape, stream: UInt64 = 0) {
        self.shape = shape
        random = shape.seed &* 0x9e37_79b9_7f4a_7c15 &+ stream
    }

    /// Another path: what is put in from now on takes this long there and back. Order is kept.
    public mutating func reroute(roundTripNanoseconds: UInt64) { shape.roundTripNanoseconds = roundTripNanoseconds }

    /// Bytes inside, wherever they are.
    public var byteCount: Int { Int(bytesPut - bytesTaken) }
    public var isEmpty: Bool { entries.isEmpty }

    // MARK: The serialiser

    /// When the serialiser is done with the first `count` bytes of a run.
    private func leaving(_ count: UInt64, since start: UInt64) -> UInt64 {
        let (whole, rest) = (UInt128(count) * Self.bitNanosecondsPerByte).quotientAndRemainder(dividingBy: UInt128(shape.bitsPerSecond))
        return start &+ UInt64(whole) &+ (rest > 0 ? 1 : 0)
    }

    /// How many bytes of a run the serialiser is done with `elapsed` after its beginning, if there are as many.
    private func serialised(within elapsed: UInt64) -> UInt64 {
        UInt64(clamping: UInt128(elapsed) * UInt128(shape.bitsPerSecond) / Self.bitNanosecondsPerByte)
    }

    /// Bytes in the buffer: put in, and not through the serialiser.
    public func waitingByteCount(at now: UInt64) -> Int {
        Int(busyBytes - min(busyBytes, serialised(within: now > busySince ? now - busySince : 0)))
    }

    /// How many bytes the buffer takes now; 0 when it is full.
    public func room(at now: UInt64) -> Int { max(0, shape.bufferBytes - waitingByteCount(at: now)) }

    /// When the buffer has room for `byteCount` bytes, if nothing is put in before: a time that has passed when it has. Never for more than the buffer holds.
    public func roomDeadline(for byteCount: Int) -> UInt64? {
        guard byteCount <= shape.bufferBytes else { return nil }
        let mayWait = UInt64(shape.bufferBytes - byteCount)
        return busyBytes > mayWait ? leaving(busyBytes - mayWait, since: busySince) : busySince
    }

    // MARK: In

    /// Puts bytes in. What is beyond ``room(at:)`` is taken all the same, as who reads in whole pieces cannot give it back: to keep the buffer's bound, look first.
    public mutating func put(_ payload: consuming QueuedSlice, tag: UInt32, now: UInt64) {
        let count = payload.count
        guard count > 0 else { return }
        beginRun(at: now)
        let travel = shape.roundTripNanoseconds / 2 &+ jitter()
        entries.push(Entry(
            tag: tag, isEnd: false, byteCount: count, busySince: busySince, offset: busyBytes, travel: travel, notBefore: lastArrival))
        busyBytes &+= UInt64(count)
        bytesPut &+= UInt64(count)
        lastArrival = max(lastArrival, leaving(busyBytes, since: busySince) &+ travel)
        slices.push(payload, on: &fifo)
    }

    /// Puts in that nothing follows with this tag: it arrives behind all that is ahead of it.
    public mutating func end(tag: UInt32, now: UInt64) {
        beginRun(at: now)
        lastArrival = max(lastArrival, leaving(busyBytes, since: busySince) &+ shape.roundTripNanoseconds / 2)
        entries.push(Entry(
            tag: tag, isEnd: true, byteCount: 0, busySince: busySince, offset: busyBytes, travel: 0, notBefore: lastArrival))
    }

    private mutating func beginRun(at now: UInt64) {
        guard leaving(busyBytes, since: busySince) <= now else { return }
        busySince = now
        busyBytes = 0
    }

    /// SplitMix64.
    private mutating func jitter() -> UInt64 {
        guard shape.jitterNanoseconds > 0 else { return 0 }
        random &+= 0x9e37_79b9_7f4a_7c15
        var mixed = random
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return (mixed ^ (mixed >> 31)) % (shape.jitterNanoseconds + 1)
    }

    // MARK: Out

    /// How much is taken of an entry at once: a quantum, or what is left.
    private func portion(_ entry: Entry, _ quantumBytes: Int) -> Int { min(max(quantumBytes, 1), entry.byteCount) }

    private func arrived(_ entry: Entry, at now: UInt64) -> Int {
        guard now >= entry.notBefore, now >= entry.busySince &+ entry.travel else { return 0 }
        let passed = serialised(within: now - entry.busySince - entry.travel)
        return passed > entry.offset ? Int(min(passed - entry.offset, UInt64(entry.byteCount))) : 0
    }

    /// When ``take(at:quantumBytes:)`` next has something; nil when nothing is inside.
    public func deadline(quantumBytes: Int = 1) -> UInt64? {
        guard let entry = entries.first else { return nil }
        if entry.isEnd { return entry.notBefore }
        return max(entry.notBefore, leaving(entry.offset &+ UInt64(portion(entry, quantumBytes)), since: entry.busySince) &+ entry.travel)
    }

    /// What has arrived, the oldest first: of one piece at a time, and at least a quantum of it or its rest.
    public mutating func take(at now: UInt64, quantumBytes: Int = 1) -> Delivery? {
        guard var entry = entries.first else { return nil }
        if entry.isEnd {
            guard entry.notBefore <= now else { return nil }
            _ = entries.pop()
            return .end(tag: entry.tag)
        }
        let count = arrived(entry, at: now)
        guard count >= portion(entry, quantumBytes) else { return nil }
        _ = entries.pop()
        entry.byteCount -= count
        entry.offset &+= UInt64(count)
        if entry.byteCount > 0 { entries.pushFront(entry) }
        bytesTaken &+= UInt64(count)
        return .bytes(slices.popFront(&fifo, byteCountMax: count), tag: entry.tag)
    }
}
