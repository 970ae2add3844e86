#if canImport(Glibc)
import Glibc
#endif

/// Received bytes land in a block once and are handed on as ranges of it.
///
/// A block is a page-aligned piece of memory with a reference count. Whoever keeps a ``Slice`` keeps the block; when the
/// last slice goes, the memory returns to the pool it came from.
///
/// Invariant: `0 <= offset` and `offset + count <= capacity` for every span handed out.
///
/// A block is not `Sendable`: it belongs to the event loop that owns its pool, so reference counts and the pool's free list
/// need no lock.
@safe public final class Block {
    @usableFromInline let base: UnsafeMutableRawPointer
    /// Size of the block in bytes.
    public let capacity: Int
    private let pool: BlockPool?
    /// Slices on their way out. As long as there are any they hold the block together, by one reference of its own: counting them is an addition,
    /// where a reference counts atomically. Not checked for exclusive access: nothing runs between reading and writing it.
    @exclusivity(unchecked) @usableFromInline var queuedCount = 0

    /// A block of its own, outside any pool: right-sized storage for bytes that are kept longer.
    ///
    /// - Parameter capacity: size in bytes; zero is allowed.
    public init(capacity: Int) {
        precondition(capacity >= 0)
        unsafe base = .allocate(byteCount: max(capacity, 1), alignment: capacity >= 4096 ? 4096 : 64)
        self.capacity = capacity
        pool = nil
    }

    /// A block outside any pool that holds a copy of `bytes`.
    public convenience init(copying bytes: RawSpan) {
        self.init(capacity: bytes.byteCount)
        copy(bytes, at: 0)
    }

    init(base: UnsafeMutableRawPointer, capacity: Int, pool: BlockPool) {
        unsafe self.base = base
        self.capacity = capacity
        self.pool = pool
    }

    deinit {
        if let pool {
            unsafe pool.recycle(base)
        } else {
            unsafe base.deallocate()
        }
    }

    /// Begins a hold of a slice on its way out.
    @inlinable @inline(__always)
    func beginQueued() {
        if unsafe queuedCount == 0 { _ = unsafe Unmanaged.passRetained(self) }
        unsafe queuedCount &+= 1
    }

    /// Ends one. Returns whether it was the last: the caller then releases the block.
    @inlinable @inline(__always)
    func endQueued() -> Bool {
        unsafe queuedCount &-= 1
        return unsafe queuedCount == 0
    }

    /// The bytes of `range`, read-only, valid while the block is borrowed.
    @inlinable
    @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "range outside the block")
        let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base + range.lowerBound), byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Copies `source` into the block at `offset`.
    @inlinable
    public func copy(_ source: RawSpan, at offset: Int) {
        precondition(offset >= 0 && offset + source.byteCount <= capacity, "copy outside the block")
        unsafe source.withUnsafeBytes { from in
            if let start = from.baseAddress {
                unsafe (base + offset).copyMemory(from: start, byteCount: from.count)
            }
        }
    }

    /// Overwrites one byte.
    public func setByte(_ value: UInt8, at offset: Int) {
        precondition(offset >= 0 && offset < capacity, "byte outside the block")
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// The memory of `range`, for a system call or a cipher that fills it.
    ///
    /// The pointer must not outlive `body`, unless the caller keeps the block as well (a kernel ring does).
    @unsafe @inlinable
    public func withUnsafeMutableBytes<R, E: Error>(
        _ range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "range outside the block")
        return unsafe try body(UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Copies `source` within the block to offset 0 and returns how many bytes that was.
    /// The two ranges may overlap.
    public func moveToFront(_ source: Range<Int>) -> Int {
        precondition(source.lowerBound >= 0 && source.upperBound <= capacity, "range outside the block")
        unsafe memmove(base, base + source.lowerBound, source.count)
        return source.count
    }
}

/// The blocks of one event loop: bounded, reused, all of one size.
///
/// Use: `take()` a block, fill it, hand out slices, let go. The memory comes back by itself when the last slice goes.
///
/// Invariant: `outstanding + free.count <= blocksMax`, and a free block is written by nobody (debug builds fill it
/// with a sentinel and check it when the block is taken again).
@safe public final class BlockPool {
    /// Size of each block in bytes.
    public let blockByteCount: Int
    /// The most blocks that may be in use at once.
    public let blocksMax: Int
    /// Blocks in use now.
    public private(set) var outstanding = 0
    /// Blocks ever allocated from the system; stays flat in steady state.
    public private(set) var allocations = 0
    private var free: [UnsafeMutableRawPointer] = unsafe []

    /// Free blocks kept for reuse; more than this go back to the allocator, so that a peak does not stay for ever.
    static let freeBlocksMax = 32
    private static let sentinel: UInt8 = 0xDB

    /// - Parameters:
    ///   - blockByteCount: size of each block in bytes.
    ///   - blocksMax: the most blocks in use at once.
    public init(blockByteCount: Int, blocksMax: Int) {
        precondition(blockByteCount > 0 && blocksMax > 0)
        self.blockByteCount = blockByteCount
        self.blocksMax = blocksMax
    }

    deinit {
        for unsafe pointer in unsafe free { unsafe pointer.deallocate() }
    }

    /// A block for the caller to fill, or nil when the pool is at its limit.
    public func take() -> Block? {
        guard outstanding < blocksMax else { return nil }
        outstanding += 1
        if let pointer = unsafe free.popLast() {
            unsafe checkSentinel(pointer)
            return unsafe Block(base: pointer, capacity: blockByteCount, pool: self)
        }
        allocations += 1
        let pointer = UnsafeMutableRawPointer.allocate(byteCount: blockByteCount, alignment: 4096)
        return unsafe Block(base: pointer, capacity: blockByteCount, pool: self)
    }

    func recycle(_ pointer: UnsafeMutableRawPointer) {
        outstanding -= 1
        guard unsafe free.count < Self.freeBlocksMax else { return unsafe pointer.deallocate() }
        #if DEBUG
        unsafe memset(pointer, Int32(Self.sentinel), blockByteCount)
        #endif
        unsafe free.append(pointer)
    }

    private func checkSentinel(_ pointer: UnsafeMutableRawPointer) {
        #if DEBUG
        // All bytes are the sentinel when the first is, and each equals the one behind it: one comparison of memory, where a loop without
        // optimisation would take milliseconds a block.
        let first = unsafe pointer.load(as: UInt8.self)
        let isUntouched = unsafe first == Self.sentinel && memcmp(pointer, pointer + 1, blockByteCount - 1) == 0
        precondition(isUntouched, "a free block was written to")
        #endif
    }
}
