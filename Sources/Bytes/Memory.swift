#if canImport(Glibc)
public import Glibc
#endif

/// Compares two pieces of memory of `count` bytes.
@unsafe @inlinable
func compare(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
    unsafe memcmp(left, right, count) == 0
}
