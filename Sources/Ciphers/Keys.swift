import Bytes
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
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var length = byteCount
        let isRead = unsafe bytes.withUnsafeMutableBufferPointer { unsafe EVP_PKEY_get_raw_public_key(key.pointer, $0.baseAddress, &length) == 1 }
        guard isRead, length == byteCount else {
            Library.forgetErrors()
            return nil
        }
        return bytes
    }

    /// OpenSSL's name for the curve of a key; nil for a key of another kind.
    static func groupName(_ key: OpaquePointer) -> String? {
        var name = [CChar](repeating: 0, count: 32)
        var length = 0
        let isNamed = unsafe name.withUnsafeMutableBufferPointer { unsafe EVP_PKEY_get_group_name(key, $0.baseAddress, $0.count, &length) == 1 }
        guard isNamed else {
            Library.forgetErrors()
            return nil
        }
        return String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The DER that one of libcrypto's `i2d` functions makes of a public key.
    static func der(_ key: KeyHandle, _ encode: (OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8]? {
        unsafe der(key, encode) { $0.array() }
    }

    /// What `read` makes of it; it is overwritten afterwards, as it may be that of a private key.
    static func der<T>(
        _ key: KeyHandle, _ encode: (OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32, _ read: (RawSpan) -> T
    ) -> T? {
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
        return unsafe read(UnsafeRawBufferPointer(start: start, count: Int(length)).bytes)
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
