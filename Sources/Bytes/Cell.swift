/// A value in a place of its own, which a class keeps in a `let`: reaching it then costs no exclusivity check, where a stored property that is passed on `inout`
/// costs one an access.
///
/// The owner answers for what the check would find: while a part of the value is passed on `inout`, nothing else may write to that part.
@safe public struct Cell<Value: ~Copyable>: ~Copyable {
    @usableFromInline let pointer: UnsafeMutablePointer<Value>

    public init(_ value: consuming Value) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
    }

    deinit {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    @inlinable public var value: Value {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(pointer) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe pointer }
    }
}
