public import Bytes

/// An endless stream of bytes of which each is a function of its position: what was lost, doubled or moved is noticed.
public final class PatternBytes {
    /// A prime, so that no block or frame size hides a shift by a multiple of itself.
    public static let period = 65_521

    private let block = Block(capacity: 2 * PatternBytes.period)

    public init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for offset in 0..<Self.period {
            let byte = UInt8(truncatingIfNeeded: random.next() >> 32)
            block.setByte(byte, at: offset)
            block.setByte(byte, at: offset + Self.period)
        }
    }

    /// At most ``period`` bytes of the stream from `position`, without a copy.
    public func slice(at position: Int, count: Int) -> Slice {
        let start = position % Self.period
        return Slice(block, start..<start + min(count, Self.period))
    }

    /// Whether `bytes` are those of the stream from `position`.
    public func matches(_ bytes: RawSpan, at position: Int) -> Bool {
        var offset = 0
        while offset < bytes.byteCount {
            let expected = slice(at: position + offset, count: bytes.byteCount - offset)
            guard bytes.extracting(offset..<offset + expected.count).equals(expected.bytes) else { return false }
            offset += expected.count
        }
        return true
    }
}
