import Bytes

/// Received bytes that wait to be read.
///
/// What costs memory is blocks and slices, so a far end that sends many tiny pieces must not get one of either for each: a piece that continues the last one in its
/// block makes it longer, and a small one that does not is copied behind the last small one.
///
/// Invariant: the bytes of `slices`, one after the other, are what was appended and not taken; `byteCount` of them. Nothing that was taken is held.
struct ReceiveQueue {
    /// Pieces shorter than this are copied when something waits already: a page holds several, and a slice to each would be as large as some of them.
    static let joinedBytesMax = 512
    /// What small pieces are copied into.
    private static let joinBlockBytes = 4096

    private var slices = Fifo<Slice>()
    /// Where the next small piece goes: behind the first `joinedByteCount` bytes.
    private var joinBlock: Block?
    private var joinedByteCount = 0
    private(set) var byteCount = 0

    var isEmpty: Bool { slices.isEmpty }
    /// How many slices hold the bytes.
    var sliceCount: Int { slices.count }

    /// Adds what lies in `range` of `block`.
    ///
    /// - Parameter keep: makes a slice of it that may stay.
    /// - Returns: how many bytes were copied here.
    mutating func append(_ block: Block, _ range: Range<Int>, keep: (Block, Range<Int>) -> Slice) -> Int {
        guard !range.isEmpty else { return 0 }
        byteCount += range.count
        if let last = slices.last, last.block === block, last.range.upperBound == range.lowerBound {
            slices.last = Slice(block, last.range.lowerBound..<range.upperBound)
            return 0
        }
        guard !slices.isEmpty, range.count < Self.joinedBytesMax else {
            slices.append(keep(block, range))
            return 0
        }
        join(block, range)
        return range.count
    }

    private mutating func join(_ block: Block, _ range: Range<Int>) {
        var (target, start) = (joinBlock, joinedByteCount)
        if target == nil || start + range.count > Self.joinBlockBytes { (target, start) = (Block(capacity: Self.joinBlockBytes), 0) }
        guard let target else { return }
        joinBlock = target
        joinedByteCount = start + range.count
        target.copy(block.bytes(range), at: start)
        if let last = slices.last, last.block === target, last.range.upperBound == start {
            slices.last = Slice(target, last.range.lowerBound..<joinedByteCount)
        } else {
            slices.append(Slice(target, start..<joinedByteCount))
        }
    }

    /// The first slice, or as much of it as is wanted; nil when nothing waits.
    mutating func take(_ byteCountMax: Int) -> Slice? {
        guard let first = slices.first else { return nil }
        let taken = first.prefix(Swift.min(first.count, byteCountMax))
        byteCount -= taken.count
        if taken.count < first.count { slices.replaceFirst(first.dropFirst(taken.count)) } else { _ = slices.popFirst() }
        if slices.isEmpty { joinBlock = nil }
        return taken
    }

    /// Drops everything, and returns how many bytes that was.
    mutating func removeAll() -> Int {
        let dropped = byteCount
        self = ReceiveQueue()
        return dropped
    }
}
