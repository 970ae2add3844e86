#if canImport(Glibc)
import Glibc
#endif

extension Gather {
    /// A place among a gather's unwritten bytes: how far somebody has read them who does not write them himself, but makes something else of them. The
    /// gather stays as it is until its owner is told how much was taken.
    ///
    /// Valid until the gather is appended to, advanced or trimmed.
    @safe public struct Cursor: BitwiseCopyable {
        /// How many of the unwritten bytes lie before it.
        public fileprivate(set) var byteCount = 0
        /// The vector it is in, counted from the first unwritten one, and where in it.
        fileprivate var vector = 0
        fileprivate var offset = 0

        /// Before the first unwritten byte.
        public init() {}
    }

    /// Hands the next `byteCount` bytes behind `cursor` to `body`, piece by piece in order, and moves the cursor behind them. Ends early when `body`
    /// returns false. Returns whether it did not.
    @unsafe public mutating func forEachPiece(from cursor: inout Cursor, byteCount: Int, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        precondition(byteCount >= 0 && byteCount <= self.byteCount - cursor.byteCount, "more bytes asked for than are left")
        coverArena()
        var rest = byteCount
        while rest > 0 {
            let vector = unsafe vectors[vectorsHead + cursor.vector]
            let available = unsafe vector.iov_len - cursor.offset
            let count = min(rest, available)
            if count > 0 {
                guard unsafe body(UnsafeRawBufferPointer(start: vector.iov_base + cursor.offset, count: count)) else { return false }
            }
            rest -= count
            cursor.byteCount += count
            cursor.offset += count
            if count == available {
                cursor.vector += 1
                cursor.offset = 0
            }
        }
        return true
    }

    /// Copies up to `byteLimit` bytes behind `cursor` into `block` from `offset` on, as far as they fit, and moves the cursor behind them. Returns how many.
    public mutating func copyBytes(from cursor: inout Cursor, byteLimit: Int = .max, into block: Block, at offset: Int) -> Int {
        let count = min(byteCount - cursor.byteCount, byteLimit, block.capacity - offset)
        var position = offset
        _ = unsafe forEachPiece(from: &cursor, byteCount: count) { piece in
            unsafe block.withUnsafeMutableBytes(position..<position + piece.count) { unsafe $0.copyMemory(from: piece) }
            position += piece.count
            return true
        }
        return count
    }
}
