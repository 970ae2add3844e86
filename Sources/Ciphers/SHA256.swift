import Bytes
import COpenSSL

/// The hash function SHA-256 (FIPS 180-4).
public enum SHA256 {
    /// Of a digest.
    public static let byteCount = 32

    /// The digest of `bytes`, ``byteCount`` of them.
    public static func hash(_ bytes: RawSpan) throws(CipherError) -> [UInt8] {
        try hash(bytes, RawSpan())
    }

    /// The hash of two pieces as if they were one.
    public static func hash(_ first: RawSpan, _ second: RawSpan) throws(CipherError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        let context = unsafe EVP_MD_CTX_new()
        defer { unsafe EVP_MD_CTX_free(context) }
        let isDone = unsafe EVP_DigestInit_ex2(context, Library.sha256.pointer, nil) == 1
            && first.withUnsafeBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
            && second.withUnsafeBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) == 1 }
            && digest.withUnsafeMutableBufferPointer { unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil) == 1 }
        guard isDone else { throw Library.failure("hash") }
        return digest
    }
}

/// HMAC with SHA-256 (RFC 2104).
public enum HMACSHA256 {
    /// The tag of `first` with `second` behind it, 32 bytes. Any length of key, also none.
    public static func authenticate(_ first: RawSpan, _ second: RawSpan = RawSpan(), key: RawSpan) throws(CipherError) -> Secret {
        guard let context = unsafe EVP_MAC_CTX_new(Library.hmac.pointer) else { throw Library.failure("make an HMAC") }
        defer { unsafe EVP_MAC_CTX_free(context) }
        let isBegun = unsafe key.withUnsafeBytes { key in
            // An empty key is a key; libcrypto takes no pointer for "as before".
            var none: UInt8 = 0
            return unsafe withUnsafePointer(to: &none) { empty in
                let start = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? empty
                return unsafe begin(context, start, key.count)
            }
        }
        let tag = unsafe Secret(byteCount: SHA256.byteCount) { tag in
            var length = 0
            return unsafe isBegun
                && first.withUnsafeBytes { unsafe EVP_MAC_update(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count) == 1 }
                && second.withUnsafeBytes { unsafe EVP_MAC_update(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count) == 1 }
                && EVP_MAC_final(context, tag, &length, SHA256.byteCount) == 1 && length == SHA256.byteCount
        }
        guard let tag else { throw Library.failure("make an HMAC") }
        return tag
    }

    private static func begin(_ context: OpaquePointer, _ key: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var name = Array("SHA256".utf8CString)
        return unsafe name.withUnsafeMutableBufferPointer { name in
            var parameters = unsafe [
                OSSL_PARAM_construct_utf8_string("digest", name.baseAddress, 0), OSSL_PARAM_construct_end(),
            ]
            return unsafe EVP_MAC_init(context, key, count, &parameters) == 1
        }
    }
}

/// The key derivation of the Noise specification, section 4.3: HKDF (RFC 5869) with HMAC-SHA256, the chaining key as salt and no info.
public enum HKDF {
    /// Two secrets of 32 bytes.
    public static func two(chainingKey: Secret, input: RawSpan) throws(CipherError) -> (Secret, Secret) {
        let temporary = try HMACSHA256.authenticate(input, key: chainingKey.bytes)
        let first = try output(1, after: nil, temporary)
        return (first, try output(2, after: first, temporary))
    }

    /// Three secrets of 32 bytes; the first two are those of ``two(chainingKey:input:)``.
    public static func three(chainingKey: Secret, input: RawSpan) throws(CipherError) -> (Secret, Secret, Secret) {
        let temporary = try HMACSHA256.authenticate(input, key: chainingKey.bytes)
        let first = try output(1, after: nil, temporary)
        let second = try output(2, after: first, temporary)
        return (first, second, try output(3, after: second, temporary))
    }

    private static func output(_ number: UInt8, after previous: Secret?, _ temporary: Secret) throws(CipherError) -> Secret {
        let last = [number]
        guard let previous else { return try HMACSHA256.authenticate(last.rawSpan, key: temporary.bytes) }
        return try HMACSHA256.authenticate(previous.bytes, last.rawSpan, key: temporary.bytes)
    }
}
