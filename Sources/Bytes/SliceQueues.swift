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
    @usableFromInline var freePlaces: Stack<UInt32>

    public init(capacity: Int = 16) {
        self.capacity = max(capacity, 1)
        unsafe entries = .allocate(capacity: self.capacity)
        freePlaces = Stack()
    }

    deinit {
        // Entries still queued hold slices: exactly the places that are not free.
        var isFree = [Bool](repeating: false, count: places)
        for index in 0..<freePlaces.count { isFree[Int(freePlaces[index])] = true }
        for place in 0..<places where !isFree[place] { unsafe entries[place].slice.release() }
        unsafe entries.deallocate()
    }

    /// Entries on all queues.
    public var count: Int { places - freePlaces.count }

    @inlinable mutating func place(_ slice: RawSlice, next: UInt32) -> UInt32 {
        let index: Int
        if let free = freePlaces.pop() {
            index = Int(free)
        } else {
            if places == capacity { grow() }
            index = places
            places += 1
        }
        unsafe (entries + index).initialize(to: Entry(slice: slice, next: next))
        return UInt32(truncatingIfNeeded: index)
    }

    /// Queues `slice` last.
    @inlinable public mutating func push(_ slice: consuming Slice, on fifo: inout Fifo) {
        let index = place(QueuedSlice(slice).take(), next: fifo.none)
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

    /// Length in bytes of the first slice. The queue must not be empty.
    @inlinable public func frontByteCount(_ fifo: Fifo) -> Int {
        precondition(Int(fifo.head) < places, "the queue is empty")
        return unsafe Int(entries[Int(fifo.head)].slice.length)
    }

    /// Takes the first slice. The queue must not be empty.
    @inlinable public mutating func popFront(_ fifo: inout Fifo) -> QueuedSlice {
        precondition(Int(fifo.head) < places, "the queue is empty")
        let index = fifo.head
        let entry = unsafe entries[Int(index)]
        fifo.head = entry.next
        if fifo.head == fifo.none { fifo.tail = fifo.none }
        freePlaces.push(index)
        return QueuedSlice(raw: entry.slice)
    }

    /// Takes the first `byteCount` bytes of the first slice and leaves the rest in front.
    @inlinable public mutating func splitFront(_ fifo: inout Fifo, byteCount: Int) -> QueuedSlice {
        precondition(Int(fifo.head) < places, "the queue is empty")
        let whole = unsafe entries[Int(fifo.head)].slice
        unsafe entries[Int(fifo.head)].slice = whole.dropped(first: byteCount)
        return QueuedSlice(raw: whole.split(prefix: byteCount))
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
