import Bytes
import Muxers

/// One direction between two ends in memory: bounded, delayed, cut and falsified as the plan says.
///
/// Invariant: bytes leave in the order in which they came, and no more than `capacity` are inside.
final class Pipe {
    var capacity: Int
    private let cutAt: UInt64?
    private let corruptions: [UInt64: UInt8]
    private var bytes: [UInt8] = []
    private var head = 0
    /// Up to which position bytes have arrived, and when.
    private var arrivals: [(end: UInt64, time: Nanoseconds)] = []
    private var arrivalsHead = 0
    private var lastTime: Nanoseconds = 0
    private var arrived: UInt64 = 0
    private(set) var written: UInt64 = 0
    private(set) var read: UInt64 = 0
    /// The writer will write nothing more, or the plan cut the pipe.
    private(set) var hasEnded = false

    init(capacity: Int, cutAt: UInt64?, corruptions: [FaultPlan.Corruption]) {
        self.capacity = capacity
        self.cutAt = cutAt
        self.corruptions = Dictionary(corruptions.map { ($0.offset, $0.mask) }) { $0 ^ $1 }
    }

    /// What may be written now. A pipe that was cut swallows everything, as a kernel does until it learns of it.
    var room: Int { capacity - (bytes.count - head) }
    var isEmpty: Bool { head == bytes.count }

    func write(_ span: RawSpan, arriving time: Nanoseconds) {
        guard !hasEnded else { return }
        var added = span.array()
        if let cutAt, written + UInt64(added.count) >= cutAt {
            added.removeLast(Int(written + UInt64(added.count) - cutAt))
            hasEnded = true
        }
        for (offset, mask) in corruptions where offset >= written && offset < written + UInt64(added.count) {
            added[Int(offset - written)] ^= mask
        }
        bytes.append(contentsOf: added)
        written += UInt64(added.count)
        lastTime = max(time, lastTime)
        arrivals.append((written, lastTime))
    }

    func end() { hasEnded = true }

    /// How many bytes have arrived by `now`.
    func available(at now: Nanoseconds) -> Int {
        while arrivalsHead < arrivals.count, arrivals[arrivalsHead].time <= now {
            arrived = arrivals[arrivalsHead].end
            arrivalsHead += 1
        }
        if arrivalsHead > 1024 {
            arrivals.removeFirst(arrivalsHead)
            arrivalsHead = 0
        }
        return Int(arrived - read)
    }

    /// When the next bytes arrive that have not yet.
    func nextArrival(after now: Nanoseconds) -> Nanoseconds? {
        arrivals[arrivalsHead...].first { $0.time > now }?.time
    }

    /// Takes the first `count` bytes, which have arrived.
    func take(_ count: Int) -> [UInt8] {
        let taken = Array(bytes[head..<head + count])
        head += count
        read += UInt64(count)
        if head > 1 << 16, head * 2 > bytes.count {
            bytes.removeFirst(head)
            head = 0
        }
        return taken
    }
}
