import COpenSSL

/// A key of libcrypto's, freed with its last reference. It is only read after it was made: such keys are safe to share between threads.
@safe final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes over the reference; nil for none, and the thread's list of errors is then left as it is.
    init?(owning pointer: OpaquePointer?) {
        guard let pointer = unsafe pointer else { return nil }
        unsafe self.pointer = unsafe pointer
    }

    deinit { unsafe EVP_PKEY_free(pointer) }

    func isOfType(_ name: String) -> Bool { unsafe EVP_PKEY_is_a(pointer, name) == 1 }
}

/// What the kinds of keys have in common: bytes in and out of libcrypto.
enum Keys {
    static func rawPublic(_ key: KeyHandle, byteCount: Int) -> [UInt8]? {
        unsafe raw(byteCount) { unsafe EVP_PKEY_get_raw_public_key(key.pointer, $0, &$1) }
    }

    static func rawPrivate(_ key: KeyHandle, byteCount: Int) -> [UInt8]? {
        unsafe raw(byteCount) { unsafe EVP_PKEY_get_raw_private_key(key.pointer, $0, &$1) }
    }

    private static func raw(_ byteCount: Int, _ read: (UnsafeMutablePointer<UInt8>?, inout Int) -> Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var length = byteCount
        let isRead = unsafe bytes.withUnsafeMutableBufferPointer { unsafe read($0.baseAddress, &length) == 1 }
        guard isRead, length == byteCount else {
            Library.forgetErrors()
            return nil
        }
        return bytes
    }

    /// The DER that one of libcrypto's `i2d` functions makes of a key.
    static func der(_ key: KeyHandle, _ encode: (OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8]? {
        var memory: UnsafeMutablePointer<UInt8>?
        let length = unsafe encode(key.pointer, &memory)
        guard length > 0, let start = unsafe memory else {
            Library.forgetErrors()
            return nil
        }
        defer {
            unsafe OPENSSL_cleanse(start, Int(length))
            unsafe co_free(start)
        }
        return unsafe Array(UnsafeBufferPointer(start: start, count: Int(length)))
    }

    /// The key that one of libcrypto's `d2i` functions makes of DER, when it needs all of it.
    static func key(_ der: RawSpan, _ decode: (inout UnsafePointer<UInt8>?, Int) -> OpaquePointer?) -> KeyHandle? {
        unsafe der.withUnsafeBytes { bytes in
            guard let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
            var position = unsafe UnsafePointer<UInt8>?(start)
            let key = unsafe KeyHandle(owning: decode(&position, bytes.count))
            // Decoders leave notes of what they tried first, and stop at the end of the value.
            Library.forgetErrors()
            return unsafe position == start + bytes.count ? key : nil
        }
    }
}
