/// A slice on its way out: the same memory as a ``Slice``, but with one owner, so that handing it from queue to write costs no reference counting.
/// Counting is atomic, about 5 ns a pair, and a small message would be counted five times.
@frozen @safe public struct QueuedSlice: ~Copyable {
    @usableFromInline let raw: RawSlice

    /// Takes over the slice's hold on its block.
    @inlinable
    public init(_ slice: consuming Slice) {
        raw = unsafe RawSlice(
            block: Unmanaged.passRetained(slice.block), start: slice.start, length: slice.length)
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
        let raw = take()
        let start = Int(raw.start)
        return unsafe Slice(raw.block.takeRetainedValue(), start..<start + Int(raw.length))
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

    @inlinable func release() { unsafe block.release() }

    /// The first `count` bytes, with a hold of their own.
    @inlinable func split(prefix count: Int) -> RawSlice {
        precondition(count >= 0 && count <= Int(length))
        return unsafe RawSlice(block: block.retain(), start: start, length: UInt32(truncatingIfNeeded: count))
    }

    /// All but the first `count` bytes, with the hold of the whole.
    @inlinable func dropped(first count: Int) -> RawSlice {
        precondition(count >= 0 && count <= Int(length))
        let count = UInt32(truncatingIfNeeded: count)
        return unsafe RawSlice(block: block, start: start + count, length: length - count)
    }
}
