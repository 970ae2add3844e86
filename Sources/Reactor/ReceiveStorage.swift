public import Bytes

/// The block that receives go into, one after another, shared by all channels of a loop.
///
/// When the handler kept nothing, the same bytes are filled again, still hot in the cache. When it kept a slice, the next receive goes behind it as long as
/// at least half of the block is left: many small slices then share a block instead of pinning one each. Otherwise a fresh block is taken.
///
/// Call order: ``take(from:)``, fill and deliver, ``giveBack(_:filledTo:)``.
public struct ReceiveStorage: ~Copyable {
    private var current: Block?
    private var offset = 0

    public init() {}

    /// Where the next receive goes in the block of `take`.
    public var start: Int { offset }

    /// The block to fill from ``start``, or nil when the pool is exhausted.
    public mutating func take(from pool: BlockPool) -> Block? {
        if let block = current.take() { return block }
        offset = 0
        return pool.take()
    }

    /// Ends a receive that filled the block up to `end`.
    public mutating func giveBack(_ filled: consuming Block, filledTo end: Int) {
        var block = filled
        if isKnownUniquelyReferenced(&block) {
            offset = 0
        } else {
            // 64: the next fill starts on a cache line of its own.
            offset = (end + 63) & ~63
            if block.capacity - offset < block.capacity / 2 { return }
        }
        current = consume block
    }

    public mutating func removeAll() { current = nil }
}
