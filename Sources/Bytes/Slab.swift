/// Storage for many small records that are addressed by index: a record is reached with one bounds check, and
/// a freed place is used again before the storage grows.
///
/// It exists because an array inside a class costs an exclusivity check and a uniqueness check an access; this type owns
/// its memory alone (it cannot be copied), so it needs neither.
///
/// Invariant: `count <= places <= capacity`; a place is either live or on the free list, never both.
@safe public struct Slab<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    @usableFromInline var freePlaces: Stack<UInt32>
    @usableFromInline var capacity: Int
    @usableFromInline var used = 0

    /// - Parameter capacity: room to begin with, in elements.
    @inlinable public init(capacity: Int = 16) {
        self.capacity = max(capacity, 1)
        unsafe elements = .allocate(capacity: self.capacity)
        freePlaces = Stack()
    }

    @inlinable deinit { unsafe elements.deallocate() }

    /// Live elements.
    @inlinable public var count: Int { used - freePlaces.count }
    /// Places ever used; indices are below it.
    @inlinable public var places: Int { used }

    /// Puts `element` into a free place and returns its index.
    @inlinable public mutating func insert(_ element: Element) -> Int {
        if let place = freePlaces.pop() {
            unsafe elements[Int(place)] = element
            return Int(place)
        }
        if used == capacity { grow() }
        let place = used
        unsafe (elements + place).initialize(to: element)
        used += 1
        return place
    }

    /// Frees the place `index`. The element's last value stays readable until the place is used again.
    @inlinable public mutating func remove(_ index: Int) {
        precondition(index >= 0 && index < used, "no such place in the slab")
        freePlaces.push(UInt32(truncatingIfNeeded: index))
    }

    /// The element at a place that is or was in use.
    @inlinable public subscript(index: Int) -> Element {
        @inline(__always) unsafeAddress {
            precondition(index >= 0 && index < used, "no such place in the slab")
            return unsafe UnsafePointer(elements + index)
        }
        @inline(__always) unsafeMutableAddress {
            precondition(index >= 0 && index < used, "no such place in the slab")
            return unsafe elements + index
        }
    }

    @usableFromInline mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: elements, count: used)
        unsafe elements.deallocate()
        unsafe elements = larger
        capacity *= 2
    }
}

/// A growable last-in first-out list of plain values.
@safe public struct Stack<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    @usableFromInline var capacity: Int
    @usableFromInline var used = 0

    @inlinable public init(capacity: Int = 8) {
        self.capacity = max(capacity, 1)
        unsafe elements = .allocate(capacity: self.capacity)
    }

    @inlinable deinit { unsafe elements.deallocate() }

    @inlinable public var count: Int { used }
    @inlinable public var isEmpty: Bool { used == 0 }

    /// Adds the newest element.
    @inlinable public mutating func push(_ element: Element) {
        if used == capacity { grow() }
        unsafe (elements + used).initialize(to: element)
        used += 1
    }

    /// Takes the newest element.
    @inlinable public mutating func pop() -> Element? {
        guard used > 0 else { return nil }
        used -= 1
        return unsafe elements[used]
    }

    @inlinable public mutating func removeAll() { used = 0 }

    @inlinable public subscript(index: Int) -> Element {
        @inline(__always) unsafeAddress {
            precondition(index >= 0 && index < used, "no such element in the stack")
            return unsafe UnsafePointer(elements + index)
        }
        @inline(__always) unsafeMutableAddress {
            precondition(index >= 0 && index < used, "no such element in the stack")
            return unsafe elements + index
        }
    }

    @usableFromInline mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        unsafe larger.moveInitialize(from: elements, count: used)
        unsafe elements.deallocate()
        unsafe elements = larger
        capacity *= 2
    }
}

/// A growable first-in first-out ring of plain values. Pushing and popping cost below a nanosecond; a queue of linked
/// objects costs eight.
@safe public struct RingQueue<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    /// A power of two, so that a position wraps with a mask.
    @usableFromInline var capacity: Int
    @usableFromInline var head = 0
    @usableFromInline var used = 0

    /// Room for `capacity` elements and more: a power of two; it grows when that is not enough.
    @inlinable public init(capacity: Int = 16) {
        var size = 1
        while size < capacity { size *= 2 }
        self.capacity = size
        unsafe elements = .allocate(capacity: size)
    }

    @inlinable deinit { unsafe elements.deallocate() }

    @inlinable public var count: Int { used }
    @inlinable public var isEmpty: Bool { used == 0 }

    /// Adds the newest element.
    @inlinable public mutating func push(_ element: Element) {
        if used == capacity { grow() }
        unsafe (elements + ((head &+ used) & (capacity &- 1))).initialize(to: element)
        used += 1
    }

    /// Adds an element ahead of the oldest.
    @inlinable public mutating func pushFront(_ element: Element) {
        if used == capacity { grow() }
        head = (head &- 1) & (capacity &- 1)
        unsafe (elements + head).initialize(to: element)
        used += 1
    }

    /// Takes the oldest element.
    @inlinable public mutating func pop() -> Element? {
        guard used > 0 else { return nil }
        let element = unsafe elements[head]
        head = (head &+ 1) & (capacity &- 1)
        used -= 1
        return element
    }

    /// Takes the newest element.
    @inlinable public mutating func popLast() -> Element? {
        guard used > 0 else { return nil }
        used -= 1
        return unsafe elements[(head &+ used) & (capacity &- 1)]
    }

    /// The oldest element, left in place.
    @inlinable public var first: Element? {
        guard used > 0 else { return nil }
        return unsafe elements[head]
    }

    @inlinable public mutating func removeAll() {
        head = 0
        used = 0
    }

    @usableFromInline mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        let toEnd = min(used, capacity - head)
        unsafe larger.moveInitialize(from: elements + head, count: toEnd)
        unsafe (larger + toEnd).moveInitialize(from: elements, count: used - toEnd)
        unsafe elements.deallocate()
        unsafe elements = larger
        capacity *= 2
        head = 0
    }
}
