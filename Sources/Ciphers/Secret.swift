import COpenSSL

/// Bytes that must not stay in memory: they are overwritten when the last reference goes.
///
/// That holds for this object's memory alone. Who copies from an array or a secret into another place looks after both; an array is not overwritten when
/// it goes.
///
/// Invariant: the length never changes, and nobody but this object writes the memory.
@safe public final class Secret {
    private let base: UnsafeMutablePointer<UInt8>
    public let byteCount: Int

    /// Copies `bytes`; whoever has them looks after the original.
    public init(copying bytes: RawSpan) {
        byteCount = bytes.byteCount
        unsafe base = .allocate(capacity: max(byteCount, 1))
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(start: base, count: source.count).copyMemory(from: source)
        }
    }

    /// A secret that `fill` writes; nil when it returns false.
    init?(byteCount: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Bool) {
        self.byteCount = byteCount
        unsafe base = .allocate(capacity: max(byteCount, 1))
        unsafe base.initialize(repeating: 0, count: byteCount)
        guard unsafe fill(base) else { return nil }
    }

    deinit {
        unsafe OPENSSL_cleanse(base, byteCount)
        unsafe base.deallocate()
    }

    /// The bytes, read-only, valid while the secret is borrowed.
    public var bytes: RawSpan {
        @_lifetime(borrow self) get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
}
