import COpenSSL

#if canImport(Glibc)
import Glibc
#endif

/// What of libcrypto is fetched once and kept: looking an algorithm up by name takes longer than hashing 100 bytes. The objects are never freed and
/// never change, so all threads may use them.
enum Library {
    static let sha256: Fetched = unsafe Fetched(EVP_MD_fetch(nil, "SHA256", nil))
    static let chaCha20Poly1305: Fetched = unsafe Fetched(EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil))
    static let aes128GCM: Fetched = unsafe Fetched(EVP_CIPHER_fetch(nil, "AES-128-GCM", nil))
    static let aes256GCM: Fetched = unsafe Fetched(EVP_CIPHER_fetch(nil, "AES-256-GCM", nil))
    static let hmac: Fetched = unsafe Fetched(EVP_MAC_fetch(nil, "HMAC", nil))

    @safe struct Fetched: @unchecked Sendable {
        let pointer: OpaquePointer?
        init(_ pointer: OpaquePointer?) { unsafe self.pointer = unsafe pointer }
    }

    /// The error that OpenSSL noted last, libcrypto or libssl, with the thread's list of errors emptied.
    static func failure(_ operation: String) -> CipherError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return .library(operation: operation, reason: "error \(code)") }
        return unsafe .library(operation: operation, reason: String(cString: text))
    }

    /// Empties the thread's list of errors, where the failure is an answer and no surprise.
    static func forgetErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }
}

/// Random bytes that nobody can foretell, from libcrypto's generator (seeded by the kernel).
public enum SecureRandom {
    /// So many of them; throws ``CipherError/library(operation:reason:)``.
    public static func bytes(_ count: Int) throws(CipherError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let isFilled = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe RAND_bytes(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(buffer.count)) == 1
        }
        guard isFilled || count == 0 else { throw Library.failure("make random bytes") }
        return bytes
    }
}
