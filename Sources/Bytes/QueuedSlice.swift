/// A slice on its way out: the same memory as a ``Slice``, but with one owner, so that handing it from queue to write costs no reference counting, and
/// what it holds its block by is counted without atomic operations (5 ns a pair, of the 60 that a small message takes).
///
/// Like its block it belongs to one event loop.
@frozen @safe public struct QueuedSlice: ~Copyable {
    @usableFromInline let raw: RawSlice

    /// Takes over the slice's hold on its block.
    @inlinable
    public init(_ slice: consuming Slice) {
        slice.block.beginQueued()
        raw = unsafe RawSlice(block: Unmanaged.passUnretained(slice.block), start: slice.start, length: slice.length)
    }

    /// - Parameters:
    ///   - block: the memory.
    ///   - range: the bytes meant, in offsets of the block.
    @inlinable
    public init(_ block: borrowing Block, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= block.capacity, "range outside the block")
        block.beginQueued()
        raw = unsafe RawSlice(
            block: Unmanaged.passUnretained(copy block), start: UInt32(truncatingIfNeeded: range.lowerBound),
            length: UInt32(truncatingIfNeeded: range.count))
    }

    @inlinable init(raw: RawSlice) { self.raw = raw }

    @inlinable deinit { raw.release() }

    /// Length in bytes.
    @inlinable public var count: Int { Int(raw.length) }

    /// The bytes, read-only, valid while the slice is borrowed.
    @inlinable public var bytes: RawSpan {
        @_lifetime(borrow self) get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(raw.base), byteCount: Int(raw.length))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The same as a slice that can be copied again.
    public consuming func shared() -> Slice {
        let start = Int(raw.start)
        return unsafe Slice(raw.block.takeUnretainedValue(), start..<start + Int(raw.length))
    }

    /// Gives up ownership: the caller answers for the release.
    @inlinable consuming func take() -> RawSlice {
        let raw = raw
        discard self
        return raw
    }
}

/// The plain words of a slice that holds its block. Whoever has one answers for its release.
@safe @usableFromInline struct RawSlice: BitwiseCopyable {
    @usableFromInline let block: Unmanaged<Block>
    @usableFromInline let start: UInt32
    @usableFromInline let length: UInt32

    @inlinable init(block: Unmanaged<Block>, start: UInt32, length: UInt32) {
        unsafe self.block = unsafe block
        self.start = start
        self.length = length
    }

    @inlinable var base: UnsafeMutableRawPointer { unsafe block._withUnsafeGuaranteedRef { unsafe $0.base } + Int(start) }

    @inlinable func release() {
        if unsafe block._withUnsafeGuaranteedRef({ $0.endQueued() }) { unsafe block.release() }
    }

    /// The first `count` bytes, with a hold of their own.
    @inlinable func split(prefix count: Int) -> RawSlice {
        precondition(count >= 0 && count <= Int(length))
        unsafe block._withUnsafeGuaranteedRef { $0.beginQueued() }
        return unsafe RawSlice(block: block, start: start, length: UInt32(truncatingIfNeeded: count))
    }

    /// All but the first `count` bytes, with the hold of the whole.
    @inlinable func dropped(first count: Int) -> RawSlice {
        precondition(count >= 0 && count <= Int(length))
        let count = UInt32(truncatingIfNeeded: count)
        return unsafe RawSlice(block: block, start: start + count, length: length - count)
    }
}
