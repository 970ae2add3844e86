public import Bytes
import COpenSSL

#if canImport(Glibc)
import Glibc
#endif

/// The 12 bytes that must never be used twice with one key.
@frozen public struct AEADNonce: BitwiseCopyable, Sendable {
    public static let byteCount = 12
    // As they lie in memory.
    let first: UInt32
    let second: UInt32
    let third: UInt32

    /// Four zero bytes and a counter, least significant byte first: ChaChaPoly in the Noise specification, section 12.3.
    @inlinable public init(littleEndianCounter counter: UInt64) {
        self.init(0, UInt32(truncatingIfNeeded: counter).littleEndian, UInt32(truncatingIfNeeded: counter >> 32).littleEndian)
    }

    /// Four zero bytes and a counter, most significant byte first: AESGCM in the Noise specification, section 12.4.
    @inlinable public init(bigEndianCounter counter: UInt64) {
        self.init(0, UInt32(truncatingIfNeeded: counter >> 32).bigEndian, UInt32(truncatingIfNeeded: counter).bigEndian)
    }

    /// Any 12 bytes.
    public init(_ bytes: RawSpan) throws(CipherError) {
        guard bytes.byteCount == Self.byteCount else { throw .wrongByteCount(bytes.byteCount, expected: Self.byteCount) }
        self.init(bytes.bigEndian32(at: 0).bigEndian, bytes.bigEndian32(at: 4).bigEndian, bytes.bigEndian32(at: 8).bigEndian)
    }

    @usableFromInline init(_ first: UInt32, _ second: UInt32, _ third: UInt32) {
        self.first = first
        self.second = second
        self.third = third
    }
}

/// A key of an authenticated cipher, ready for use: seals and opens without allocating.
///
/// A message is done in one call (``seal(_:from:byteCount:nonce:authenticating:into:at:)`` and its like, ``open(_:_:nonce:authenticating:)``), or an incoming
/// one in pieces as they arrive: ``beginOpening(nonce:authenticating:)``, ``openPiece(_:into:at:)`` any number of times, ``finishOpening(tag:)``. Between
/// the first and the last of these the key may not be used for anything else.
///
/// Invariant: what was opened is given to nobody before its tag has been checked; that is the caller's promise for pieces, whose plaintext
/// is written before.
@safe public struct AEADKey: ~Copyable {
    /// The ciphers there are.
    public enum Algorithm: Sendable {
        /// RFC 8439; the cipher of libp2p's noise.
        case chaCha20Poly1305
        /// NIST SP 800-38D; TLS 1.3 has all three.
        case aes128GCM
        case aes256GCM

        public var keyByteCount: Int { self == .aes128GCM ? 16 : 32 }

        var cipher: Library.Fetched {
            switch self {
            case .chaCha20Poly1305: Library.chaCha20Poly1305
            case .aes128GCM: Library.aes128GCM
            case .aes256GCM: Library.aes256GCM
            }
        }
    }

    /// What sealing adds to a message.
    public static let tagByteCount = 16

    private let context: OpaquePointer

    /// Throws ``CipherError/wrongByteCount(_:expected:)`` when `key` is not as long as the cipher's keys are.
    public init(_ algorithm: Algorithm, key: RawSpan) throws(CipherError) {
        guard key.byteCount == algorithm.keyByteCount else { throw .wrongByteCount(key.byteCount, expected: algorithm.keyByteCount) }
        guard let context = unsafe EVP_CIPHER_CTX_new() else { throw Library.failure("make a cipher") }
        let cipher = algorithm.cipher
        let isReady = unsafe key.withUnsafeBytes { key in
            unsafe EVP_CipherInit_ex(context, cipher.pointer, nil, key.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, 1) == 1
        }
        guard isReady else {
            unsafe EVP_CIPHER_CTX_free(context)
            throw Library.failure("make a cipher")
        }
        unsafe self.context = unsafe context
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    // MARK: Sealing

    /// Encrypts the next `byteCount` unwritten bytes of `gather` behind `cursor` into `block` at `offset`, with the tag behind them, and moves the cursor.
    public func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteCount: Int, nonce: AEADNonce, authenticating associated: RawSpan,
        into block: Block, at offset: Int
    ) throws(CipherError) {
        try seal(&gather, &cursor, byteCount, followedBy: nil, nonce, associated, block, offset)
    }

    /// Encrypts bytes of `gather` as ``seal(_:from:byteCount:nonce:authenticating:into:at:)`` does, with one byte more behind them.
    public func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteCount: Int, followedBy last: UInt8, nonce: AEADNonce,
        authenticating associated: RawSpan, into block: Block, at offset: Int
    ) throws(CipherError) {
        try seal(&gather, &cursor, byteCount, followedBy: last, nonce, associated, block, offset)
    }

    private func seal(
        _ gather: inout Gather, _ cursor: inout Gather.Cursor, _ byteCount: Int, followedBy last: UInt8?, _ nonce: AEADNonce,
        _ associated: RawSpan, _ block: Block, _ offset: Int
    ) throws(CipherError) {
        let length = last == nil ? byteCount : byteCount + 1
        let range = offset..<offset + length + Self.tagByteCount
        let isSealed = unsafe block.withUnsafeMutableBytes(range) { target in
            guard let output = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self), begin(nonce, sealing: true, associated) else { return false }
            var done = 0
            let isWhole = unsafe gather.forEachPiece(from: &cursor, byteCount: byteCount) { piece in
                guard unsafe update(output + done, piece.baseAddress, piece.count) else { return false }
                done += piece.count
                return true
            }
            guard isWhole else { return false }
            if var last, unsafe !update(output + byteCount, &last, 1) { return false }
            return unsafe finishSealing(output + length)
        }
        guard isSealed else { throw Library.failure("seal") }
    }

    /// Encrypts `plaintext` into `block` at `offset`, with the tag behind it.
    public func seal(
        _ plaintext: RawSpan, nonce: AEADNonce, authenticating associated: RawSpan, into block: Block, at offset: Int
    ) throws(CipherError) {
        let isSealed = unsafe block.withUnsafeMutableBytes(offset..<offset + plaintext.byteCount + Self.tagByteCount) { target in
            unsafe seal(plaintext, nonce, associated, target)
        }
        guard isSealed else { throw Library.failure("seal") }
    }

    /// The ciphertext of `plaintext`, with the tag behind it; an array, for handshakes and tests.
    public func seal(_ plaintext: RawSpan, nonce: AEADNonce, authenticating associated: RawSpan) throws(CipherError) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: plaintext.byteCount + Self.tagByteCount)
        let isSealed = unsafe sealed.withUnsafeMutableBytes { unsafe seal(plaintext, nonce, associated, $0) }
        guard isSealed else { throw Library.failure("seal") }
        return sealed
    }

    private func seal(_ plaintext: RawSpan, _ nonce: AEADNonce, _ associated: RawSpan, _ target: UnsafeMutableRawBufferPointer) -> Bool {
        guard let output = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        return unsafe begin(nonce, sealing: true, associated) && plaintext.withUnsafeBytes { unsafe update(output, $0.baseAddress, $0.count) }
            && finishSealing(output + plaintext.byteCount)
    }

    // MARK: Opening

    /// Decrypts `range` of `block` in place: the ciphertext and, as its last 16 bytes, the tag. The plaintext is then where the ciphertext was.
    ///
    /// Returns whether the message is authentic; when it is not, the range holds nothing of use.
    public func open(_ block: Block, _ range: Range<Int>, nonce: AEADNonce, authenticating associated: RawSpan) -> Bool {
        guard range.count >= Self.tagByteCount else { return false }
        let length = range.count - Self.tagByteCount
        return unsafe block.withUnsafeMutableBytes(range) { target in
            guard let start = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
            return unsafe begin(nonce, sealing: false, associated) && update(start, start, length) && finishOpening(start + length)
        }
    }

    /// The plaintext of `sealed`, or nil when it is not authentic; an array, for handshakes and tests.
    public func open(_ sealed: RawSpan, nonce: AEADNonce, authenticating associated: RawSpan) -> [UInt8]? {
        guard sealed.byteCount >= Self.tagByteCount else { return nil }
        let length = sealed.byteCount - Self.tagByteCount
        var plaintext = [UInt8](repeating: 0, count: length)
        let isAuthentic = unsafe plaintext.withUnsafeMutableBufferPointer { target in
            unsafe sealed.withUnsafeBytes { source in
                guard let from = source.baseAddress else { return false }
                // An empty array has no memory, and nothing is then written.
                guard begin(nonce, sealing: false, associated) else { return false }
                if length > 0, let to = target.baseAddress, unsafe !update(to, UnsafeMutableRawPointer(mutating: from), length) { return false }
                return unsafe finishOpening(UnsafeMutableRawPointer(mutating: from + length))
            }
        }
        return isAuthentic ? plaintext : nil
    }

    /// Begins a message that arrives in pieces.
    public func beginOpening(nonce: AEADNonce, authenticating associated: RawSpan) throws(CipherError) {
        guard begin(nonce, sealing: false, associated) else { throw Library.failure("open") }
    }

    /// Decrypts the next piece into `block` at `offset`: moving the bytes costs nothing beside.
    public func openPiece(_ piece: RawSpan, into block: Block, at offset: Int) throws(CipherError) {
        let isDone = unsafe block.withUnsafeMutableBytes(offset..<offset + piece.byteCount) { target in
            unsafe piece.withUnsafeBytes { source in
                guard let output = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
                return unsafe update(output, source.baseAddress, source.count)
            }
        }
        guard isDone else { throw Library.failure("open") }
    }

    /// Ends the message: whether it is authentic.
    public func finishOpening(tag: RawSpan) -> Bool {
        guard tag.byteCount == Self.tagByteCount else { return false }
        return unsafe tag.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return false }
            return unsafe finishOpening(UnsafeMutableRawPointer(mutating: start))
        }
    }

    // MARK: The library's calls

    private func begin(_ nonce: AEADNonce, sealing: Bool, _ associated: RawSpan) -> Bool {
        let isBegun = unsafe withUnsafeBytes(of: nonce) { nonce in
            unsafe EVP_CipherInit_ex(
                context, nil, nil, nil, nonce.baseAddress?.assumingMemoryBound(to: UInt8.self), sealing ? 1 : 0) == 1
        }
        guard isBegun, !associated.isEmpty else { return isBegun }
        var length: Int32 = 0
        return unsafe associated.withUnsafeBytes {
            unsafe EVP_CipherUpdate(context, nil, &length, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32($0.count)) == 1
        }
    }

    /// Both ciphers give as many bytes as they take, at once. `source` may be `target`.
    private func update(_ target: UnsafeMutablePointer<UInt8>, _ source: UnsafeRawPointer?, _ count: Int) -> Bool {
        // Without input the library would end the message.
        guard count > 0 else { return true }
        var length: Int32 = 0
        return unsafe EVP_CipherUpdate(context, target, &length, source?.assumingMemoryBound(to: UInt8.self), Int32(count)) == 1
    }

    private func finishSealing(_ tag: UnsafeMutablePointer<UInt8>) -> Bool {
        var length: Int32 = 0
        // The library writes no byte here, yet wants a place for it.
        return unsafe EVP_CipherFinal_ex(context, tag, &length) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagByteCount), tag) == 1
    }

    /// The tag is read, not written: the library's interface does not say so.
    private func finishOpening(_ tag: UnsafeMutableRawPointer) -> Bool {
        var nothing: UInt8 = 0
        var length: Int32 = 0
        let isAuthentic = unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagByteCount), tag) == 1
            && EVP_CipherFinal_ex(context, &nothing, &length) == 1
        if !isAuthentic { Library.forgetErrors() }
        return isAuthentic
    }
}
