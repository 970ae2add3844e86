import Bytes
import Links
import Testing
import TestSupport

/// What a link does to each byte, computed byte by byte with exact fractions.
private struct LinkModel {
    let shape: LinkShape
    /// When the serialiser is done with the last byte, in nanoseconds times bits a second.
    private var leaves: UInt128 = 0
    private var lastArrival: UInt64 = 0
    /// Of each byte put in so far: when it arrives.
    private(set) var arrivals: [UInt64] = []
    /// Of each byte: when it has left the buffer.
    private(set) var departures: [UInt64] = []

    init(_ shape: LinkShape) { self.shape = shape }

    mutating func put(_ count: Int, at now: UInt64) {
        let rate = UInt128(shape.bitsPerSecond)
        for _ in 0..<count {
            leaves = max(leaves, UInt128(now) * rate) + 8_000_000_000
            let left = UInt64((leaves + rate - 1) / rate)
            departures.append(left)
            lastArrival = max(lastArrival, left + shape.roundTripNanoseconds / 2)
            arrivals.append(lastArrival)
        }
    }

    func waiting(at now: UInt64) -> Int { departures.count - departures.partitioned(upTo: now) }
    func arrived(at now: UInt64) -> Int { arrivals.partitioned(upTo: now) }
}

extension [UInt64] {
    /// How many of the sorted elements are at most `limit`.
    fileprivate func partitioned(upTo limit: UInt64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= limit { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

@Suite struct LinkDirectionTests {
    private func pattern(_ first: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: (first + $0) &* 31) } }
    private func bytes(from first: Int, _ count: Int) -> Slice { Slice(copying: pattern(first, count)) }

    @Test func defaults() {
        let shape = LinkShape(roundTripNanoseconds: 60_000_000, bitsPerSecond: 1_000_000_000)
        #expect(shape.bandwidthDelayBytes == 7_500_000 && shape.bufferBytes == 7_500_000)
        #expect(LinkShape(roundTripNanoseconds: 0, bitsPerSecond: 1_000_000_000).bufferBytes == LinkShape.bufferBytesDefaultMin)
    }

    /// 1,000 bytes at 8 Mbit/s are a millisecond; half the round trip is 10 ms.
    @Test func aByteTakesSerialisationAndPropagation() {
        let shape = LinkShape(roundTripNanoseconds: 20_000_000, bitsPerSecond: 8_000_000, bufferBytes: 16_384)
        let link = Line(shape)
        link.put(bytes(from: 0, 1000), tag: 7, now: 5_000_000)
        #expect(link.deadline() == 5_000_000 + 1000 + 10_000_000, "the first byte")
        #expect(link.deadline(quantumBytes: 5000) == 16_000_000, "the last")
        #expect(link.waitingByteCount(at: 5_500_000) == 500)
        #expect(link.taken(at: 15_999_999, 1000) == nil, "a nanosecond too early")
        #expect(link.taken(at: 15_500_000) == .bytes(pattern(0, 500), tag: 7))
        #expect(link.taken(at: 16_000_000, 1000) == .bytes(pattern(500, 500), tag: 7))
        #expect(link.isEmpty && link.deadline() == nil && link.bytesTaken == 1000)
        // Idle meanwhile: the next one does not inherit time.
        link.put(bytes(from: 0, 1000), tag: 7, now: 30_000_000)
        #expect(link.deadline(quantumBytes: 1000) == 41_000_000)
        // Queued behind it: a millisecond later.
        link.put(bytes(from: 0, 1000), tag: 8, now: 30_100_000)
        #expect(link.taken(at: 41_000_000, 1000) == .bytes(pattern(0, 1000), tag: 7))
        #expect(link.deadline(quantumBytes: 1000) == 42_000_000)
    }

    @Test func aFullBufferSaysWhenThereIsRoom() {
        let shape = LinkShape(roundTripNanoseconds: 0, bitsPerSecond: 8_000_000, bufferBytes: 16_000)
        let link = Line(shape)
        link.put(bytes(from: 0, 16_000), tag: 1, now: 1_000_000)
        #expect(link.room(at: 1_000_000) == 0)
        #expect(link.roomDeadline(for: 4000) == 5_000_000)
        #expect(link.room(at: 4_999_999) == 3999 && link.room(at: 5_000_000) == 4000)
        #expect(link.roomDeadline(for: 16_001) == nil, "more than it holds")
        // What has left the buffer is on its way, whether anybody takes it or not.
        #expect(link.room(at: 100_000_000) == 16_000 && link.byteCount == 16_000)
    }

    @Test func endsArriveBehindWhatIsAheadOfThem() {
        let shape = LinkShape(roundTripNanoseconds: 2_000_000, bitsPerSecond: 8_000_000, bufferBytes: 16_000)
        let link = Line(shape)
        link.put(bytes(from: 0, 1000), tag: 1, now: 0)
        link.end(tag: 1, now: 0)
        #expect(link.taken(at: 2_000_000, 1000) == .bytes(pattern(0, 1000), tag: 1))
        #expect(link.deadline() == 2_000_000)
        #expect(link.taken(at: 2_000_000) == .end(tag: 1))
        #expect(link.isEmpty)
    }

    /// Full for a second: as many bytes as the rate has, to the byte.
    @Test func aFullLinkCarriesItsRate() {
        let shape = LinkShape(roundTripNanoseconds: 60_000_000, bitsPerSecond: 100_000_000, bufferBytes: 64 << 10)
        let link = Line(shape)
        let piece = Block(capacity: 8 << 10)
        var (now, received): (UInt64, Int) = (0, 0)
        let end: UInt64 = 1_030_000_000
        while now <= end {
            while link.room(at: now) >= piece.capacity { link.put(Slice(piece, 0..<piece.capacity), tag: 1, now: now) }
            while case .bytes(let bytes, _)? = link.taken(at: now) { received += bytes.count }
            guard now < end else { break }
            now = min(end, max(now + 1, min(link.deadline(quantumBytes: 1 << 10) ?? .max, link.roomDeadline(for: piece.capacity) ?? .max)))
        }
        #expect(received == 12_500_000)
        #expect(link.bytesPut - link.bytesTaken == UInt64(link.byteCount))
    }

    /// Anything, at any time: every byte comes when the model says, the buffer is as full as the model's, and what came in goes out, in order.
    @Test(arguments: SeededGenerator.seeds(60)) func everyByteIsOnTime(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let shape = LinkShape(
            roundTripNanoseconds: UInt64(random.size(upTo: 300_000)), bitsPerSecond: UInt64(random.int(1_000_000...3_000_000_000)),
            bufferBytes: random.int(1...4000))
        let link = Line(shape)
        var model = LinkModel(shape)
        var (now, put, taken): (UInt64, Int, Int) = (UInt64(random.int(0...1_000_000)), 0, 0)
        for _ in 0..<300 {
            if random.oneIn(2), let due = link.deadline() { now = max(now, due) } else { now += UInt64(random.size(upTo: 20_000)) }
            let room = link.room(at: now)
            #expect(room == shape.bufferBytes - model.waiting(at: now), "seed \(seed)")
            if !random.oneIn(3), room > 0 {
                let count = random.int(1...room)
                link.put(bytes(from: put, count), tag: UInt32(put), now: now)
                model.put(count, at: now)
                put += count
                #expect(link.waitingByteCount(at: now) <= shape.bufferBytes, "seed \(seed)")
            }
            while random.int(0...9) > 0, case .bytes(let found, _)? = link.taken(at: now) {
                #expect(found == pattern(taken, found.count), "seed \(seed)")
                taken += found.count
                #expect(taken <= model.arrived(at: now), "seed \(seed): too early")
                if link.deadline().map({ $0 > now }) ?? true { #expect(taken == model.arrived(at: now), "seed \(seed): too late") }
            }
            if taken < put { #expect(link.deadline() == model.arrivals[taken], "seed \(seed)") }
            #expect(link.byteCount == put - taken, "seed \(seed)")
        }
    }

    /// Jitter delays by no more than it may, never turns the order round, and is the same again from the same seed.
    @Test(arguments: SeededGenerator.seeds(20)) func jitterKeepsOrder(seed: UInt64) {
        var shape = LinkShape(roundTripNanoseconds: 1_000_000, bitsPerSecond: 1_000_000_000, bufferBytes: 1 << 20)
        (shape.jitterNanoseconds, shape.seed) = (50_000, seed)
        func arrivals() -> [UInt64] {
            let link = Line(shape)
            var times: [UInt64] = []
            for tag in 0..<50 { link.put(bytes(from: tag, 100), tag: UInt32(tag), now: UInt64(tag) * 10_000) }
            while let due = link.deadline(quantumBytes: 100), case .bytes(_, let tag)? = link.taken(at: due, 100) {
                #expect(tag == UInt32(times.count), "seed \(seed)")
                let sent = UInt64(tag) * 10_000 + 800 + 500_000
                #expect(due >= sent && due <= sent + 50_000, "seed \(seed)")
                times.append(due)
            }
            return times
        }
        let first = arrivals()
        #expect(first.count == 50 && first == first.sorted() && arrivals() == first, "seed \(seed)")
    }
}

/// What came out, copied.
private enum Taken: Equatable {
    case bytes([UInt8], tag: UInt32)
    case end(tag: UInt32)
}

/// A direction behind a reference: the compiler of today fails on one in a local variable of a test.
private final class Line {
    private let direction: Owned<LinkDirection>

    init(_ shape: LinkShape) { direction = Owned(LinkDirection(shape)) }

    func put(_ slice: Slice, tag: UInt32, now: UInt64) { direction.value.put(QueuedSlice(slice), tag: tag, now: now) }
    func end(tag: UInt32, now: UInt64) { direction.value.end(tag: tag, now: now) }
    func room(at now: UInt64) -> Int { direction.value.room(at: now) }
    func roomDeadline(for byteCount: Int) -> UInt64? { direction.value.roomDeadline(for: byteCount) }
    func waitingByteCount(at now: UInt64) -> Int { direction.value.waitingByteCount(at: now) }
    func deadline(quantumBytes: Int = 1) -> UInt64? { direction.value.deadline(quantumBytes: quantumBytes) }
    var isEmpty: Bool { direction.value.isEmpty }
    var byteCount: Int { direction.value.byteCount }
    var bytesPut: UInt64 { direction.value.bytesPut }
    var bytesTaken: UInt64 { direction.value.bytesTaken }

    func taken(at now: UInt64, _ quantumBytes: Int = 1) -> Taken? {
        guard let delivery = direction.value.take(at: now, quantumBytes: quantumBytes) else { return nil }
        switch consume delivery {
        case .bytes(let slice, let tag): return .bytes(slice.shared().bytes.array(), tag: tag)
        case .end(let tag): return .end(tag: tag)
        }
    }
}
