/// Gives a class hot state that it owns alone, at an address of its own.
///
/// A stored property of a class is checked for overlapping access at every use, 5 to 10 ns each, unless the compiler can prove that none overlaps. State
/// behind a `let` of this type is not checked. In return the owner promises what the check would have found: while a method of
/// the value runs, nothing it calls comes back to the same value. That holds for machines that call nobody, which is what this is for.
@safe public struct Owned<Value: ~Copyable>: ~Copyable {
    @usableFromInline let pointer: UnsafeMutablePointer<Value>

    @inlinable
    public init(_ value: consuming Value) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
    }

    @inlinable
    deinit {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    /// The state, in place.
    @inlinable
    public var value: Value {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(pointer) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe pointer }
    }
}
