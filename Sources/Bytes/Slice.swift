/// A range of a block that is kept alive: what a handler takes when it wants received bytes for longer than its
/// callback, and what a sender queues. Copying one costs a retain, never a copy of bytes.
@safe public struct Slice {
    public let block: Block
    @usableFromInline let start: UInt32
    @usableFromInline let length: UInt32

    /// - Parameters:
    ///   - block: the memory.
    ///   - range: the bytes meant, in offsets of the block.
    @inlinable
    public init(_ block: Block, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= block.capacity, "range outside the block")
        self.block = block
        start = UInt32(truncatingIfNeeded: range.lowerBound)
        length = UInt32(truncatingIfNeeded: range.count)
    }

    /// A slice that owns a fresh copy of `bytes`.
    public init(copying bytes: RawSpan) {
        self.init(Block(copying: bytes), 0..<bytes.byteCount)
    }

    /// A slice that owns a fresh copy of `bytes`.
    public init(copying bytes: [UInt8]) {
        unsafe self.init(copying: bytes.span.bytes)
    }

    /// Length in bytes.
    @inlinable public var count: Int { Int(length) }
    @inlinable public var isEmpty: Bool { length == 0 }
    /// The bytes meant, in offsets of the block.
    @inlinable public var range: Range<Int> { Int(start)..<Int(start) + Int(length) }

    /// The bytes, read-only, valid while the slice is borrowed.
    @inlinable public var bytes: RawSpan {
        @_lifetime(borrow self) get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(block.base + Int(start)), byteCount: Int(length))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The first `count` bytes.
    @inlinable public func prefix(_ count: Int) -> Slice {
        precondition(count <= self.count)
        return Slice(block, Int(start)..<Int(start) + count)
    }

    /// All but the first `count` bytes.
    @inlinable public func dropFirst(_ count: Int) -> Slice {
        precondition(count <= self.count)
        return Slice(block, Int(start) + count..<Int(start) + Int(length))
    }
}
