/// Many first-in first-out queues of slices in one piece of storage: the send queues of a connection's streams.
///
/// A queue is two indices (``Fifo``, kept in the stream's record), so an idle stream pays eight bytes for it; entries are
/// recycled, so queueing allocates nothing in steady state.
///
/// Invariant: every entry is either on the free list and holds no slice, or on exactly one queue and holds one.
@safe public struct SliceQueues: ~Copyable {
    /// One queue: the indices of its first and last entry.
    public struct Fifo: BitwiseCopyable {
        @usableFromInline var head = none
        @usableFromInline var tail = none
        @inlinable public init() {}
        @inlinable public var isEmpty: Bool { head == none }
        /// Whether there is more than one slice.
        @inlinable public var hasSeveral: Bool { head != tail }
        @usableFromInline static var none: UInt32 { .max }
        @usableFromInline var none: UInt32 { .max }
    }

    @usableFromInline struct Entry: BitwiseCopyable {
        @usableFromInline var slice: RawSlice
        @usableFromInline var next: UInt32
        @inlinable init(slice: RawSlice, next: UInt32) {
            self.slice = slice
            self.next = next
        }
    }

    @usableFromInline var entries: UnsafeMutablePointer<Entry>
    @usableFromInline var capacity: Int
    @usableFromInline var places = 0
    /// The free places, linked through their entries: the one let go last is still in the cache.
    @usableFromInline var freeHead: UInt32 = .max

    public init(capacity: Int = 16) {
        self.capacity = max(capacity, 1)
        unsafe entries = .allocate(capacity: self.capacity)
    }

    deinit {
        // Entries still queued hold slices: exactly the places that are not free.
        let isFree = freePlaces
        for place in 0..<places where !isFree[place] { unsafe entries[place].slice.release() }
        unsafe entries.deallocate()
    }

    /// Of each place, whether it is free. Walks the list of them: for the end, and for looking from outside.
    private var freePlaces: [Bool] {
        var isFree = [Bool](repeating: false, count: places)
        var free = freeHead
        while free != .max {
            isFree[Int(free)] = true
            free = unsafe entries[Int(free)].next
        }
        return isFree
    }

    /// Entries on all queues. Walks the free places.
    public var count: Int { freePlaces.count { !$0 } }

    @inlinable @inline(__always)
    mutating func place(_ slice: RawSlice, next: UInt32) -> UInt32 {
        let index: UInt32
        if freeHead != .max {
            index = freeHead
            freeHead = unsafe entries[Int(index)].next
        } else {
            if places == capacity { grow() }
            index = UInt32(truncatingIfNeeded: places)
            places += 1
        }
        unsafe (entries + Int(index)).initialize(to: Entry(slice: slice, next: next))
        return index
    }

    @inlinable @inline(__always)
    mutating func free(_ index: UInt32) {
        unsafe entries[Int(index)].next = freeHead
        freeHead = index
    }

    /// Queues `slice` last.
    @inlinable @inline(__always) public mutating func push(_ slice: consuming QueuedSlice, on fifo: inout Fifo) {
        let index = place(slice.take(), next: fifo.none)
        if fifo.head == fifo.none {
            fifo.head = index
        } else {
            precondition(Int(fifo.tail) < places)
            unsafe entries[Int(fifo.tail)].next = index
        }
        fifo.tail = index
    }

    /// Queues `slice` first: it was taken and could not be sent.
    @inlinable public mutating func pushFront(_ slice: consuming QueuedSlice, on fifo: inout Fifo) {
        let index = place(slice.take(), next: fifo.head)
        if fifo.head == fifo.none { fifo.tail = index }
        fifo.head = index
    }

    /// Takes the first slice, or its first `byteCountMax` bytes when it is longer. The queue must not be empty.
    @inlinable @inline(__always)
    public mutating func popFront(_ fifo: inout Fifo, byteCountMax: Int = .max) -> QueuedSlice {
        precondition(Int(fifo.head) < places, "the queue is empty")
        let index = fifo.head
        let entry = unsafe entries[Int(index)]
        guard Int(entry.slice.length) <= byteCountMax else {
            unsafe entries[Int(index)].slice = entry.slice.dropped(first: byteCountMax)
            return QueuedSlice(raw: entry.slice.split(prefix: byteCountMax))
        }
        fifo.head = entry.next
        if fifo.head == fifo.none { fifo.tail = fifo.none }
        free(index)
        return QueuedSlice(raw: entry.slice)
    }

    /// Length of the first slice. The queue must not be empty.
    @inlinable public func firstByteCount(_ fifo: Fifo) -> Int {
        precondition(Int(fifo.head) < places, "the queue is empty")
        return unsafe Int(entries[Int(fifo.head)].slice.length)
    }

    /// Empties the queue; its slices are let go.
    public mutating func removeAll(_ fifo: inout Fifo) {
        while !fifo.isEmpty { _ = popFront(&fifo) }
    }

    @usableFromInline mutating func grow() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: entries, count: places)
        unsafe entries.deallocate()
        unsafe entries = larger
        capacity *= 2
    }
}
