public import Bytes
import COpenSSL

/// Protects the records of one direction of a TLS 1.3 connection once its handshake is done (RFC 8446, section 5).
///
/// ```
///  ┌────┬─────────┬────────┬──────────────────────────────┬────────────┬──────────┬─────┐
///  │ 23 │ 03   03 │ length │ content, at most 16,384      │ its type   │ zeros    │ tag │
///  └────┴─────────┴────────┴──────────────────────────────┴────────────┴──────────┴─────┘
///    1       2        2     └──────────────── encrypted ────────────────────────┘   16     bytes
/// ```
///
/// Records are sealed from a gather straight into a block and opened where they lie; neither allocates.
///
/// Invariant: no number is used for two records, not even after a failure; `recordNumber` is that of the next.
@safe public struct TLSTrafficKey: ~Copyable {
    public static let headerByteCount = 5
    /// What a record takes beside its content, when nothing is filled up with zeros.
    public static let overheadByteCount = headerByteCount + 1 + AEADKey.tagByteCount
    /// The most bytes behind a header (section 5.2).
    public static let encryptedBytesMax = (1 << 14) + 256
    /// A type and a tag.
    public static let encryptedBytesMin = 1 + AEADKey.tagByteCount

    /// That of the next record, from 0 for each key.
    public private(set) var recordNumber: UInt64 = 0
    private let suite: TLSCipherSuite
    private let secret: Secret
    private let key: AEADKey
    // The nonce of record 0; the last eight bytes are combined with the number (section 5.3).
    private let nonceHead: UInt32
    private let nonceTail: UInt64

    /// Derives key and nonces from a traffic secret of the handshake, see ``TLSSession/Result``.
    public init(_ suite: TLSCipherSuite, secret: Secret) throws(CipherError) {
        self.suite = suite
        self.secret = secret
        // Section 7.3.
        let keyBytes = try KeySchedule.expand(suite, secret, label: "key", byteCount: suite.algorithm.keyByteCount)
        let nonce = try KeySchedule.expand(suite, secret, label: "iv", byteCount: AEADNonce.byteCount)
        key = try AEADKey(suite.algorithm, key: keyBytes.bytes)
        let nonceBytes = nonce.bytes
        nonceHead = nonceBytes.bigEndian32(at: 0)
        nonceTail = nonceBytes.bigEndian64(at: 4)
    }

    /// The key that follows when the keys are renewed (section 7.2).
    public func next() throws(CipherError) -> TLSTrafficKey {
        try TLSTrafficKey(suite, secret: try KeySchedule.expand(suite, secret, label: "traffic upd", byteCount: suite.hashByteCount))
    }

    private mutating func takeNonce() -> AEADNonce {
        let tail = nonceTail ^ recordNumber
        // At a million records a second the numbers last half a million years.
        recordNumber += 1
        return AEADNonce(nonceHead.bigEndian, UInt32(truncatingIfNeeded: tail >> 32).bigEndian, UInt32(truncatingIfNeeded: tail).bigEndian)
    }

    /// Puts a record with the next `byteCount` bytes of `gather` behind `cursor` into `block` at `offset`, and moves the cursor. The record has
    /// `byteCount` + ``overheadByteCount`` bytes.
    public mutating func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteCount: Int, into block: Block, at offset: Int
    ) throws(CipherError) {
        let length = byteCount + 1 + AEADKey.tagByteCount
        let body = offset + Self.headerByteCount
        block.setByte(TLSContentType.applicationData.rawValue, at: offset)
        block.setByte(3, at: offset + 1)
        block.setByte(3, at: offset + 2)
        block.setByte(UInt8(truncatingIfNeeded: length >> 8), at: offset + 3)
        block.setByte(UInt8(truncatingIfNeeded: length), at: offset + 4)
        try key.seal(
            &gather, from: &cursor, byteCount: byteCount, followedBy: TLSContentType.applicationData.rawValue, nonce: takeNonce(),
            authenticating: block.bytes(offset..<body), into: block, at: body)
    }

    /// A record with an alert or a message; an array, for what is rare.
    public mutating func seal(_ content: [UInt8], _ type: TLSContentType) throws(CipherError) -> [UInt8] {
        try seal(inner: content + [type.rawValue])
    }

    /// The same for content, type and zeros.
    mutating func seal(inner: [UInt8]) throws(CipherError) -> [UInt8] {
        let length = inner.count + AEADKey.tagByteCount
        let header = [TLSContentType.applicationData.rawValue, 3, 3, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
        return header + (try key.seal(inner.rawSpan, nonce: takeNonce(), authenticating: header.rawSpan))
    }

    /// Decrypts a whole record in place: `range` of `block`, with its header. Returns the range of its content and type, to be told apart by
    /// ``content(of:_:)``; nil when it is not authentic.
    public mutating func open(_ block: Block, _ range: Range<Int>) -> Range<Int>? {
        let encrypted = range.lowerBound + Self.headerByteCount..<range.upperBound
        let header = block.bytes(range.lowerBound..<encrypted.lowerBound)
        guard key.open(block, encrypted, nonce: takeNonce(), authenticating: header) else { return nil }
        return encrypted.lowerBound..<encrypted.upperBound - AEADKey.tagByteCount
    }

    // MARK: Records that arrive in pieces

    /// Begins a record of which the header is there.
    public mutating func beginOpening(header: RawSpan) throws(CipherError) { try key.beginOpening(nonce: takeNonce(), authenticating: header) }

    /// Decrypts the next bytes of content, type and zeros into `block`; to be given to nobody before ``finishOpening(tag:)``.
    public func openPiece(_ piece: RawSpan, into block: Block, at offset: Int) throws(CipherError) {
        try key.openPiece(piece, into: block, at: offset)
    }

    /// Ends the record: whether it is authentic.
    public func finishOpening(tag: RawSpan) -> Bool { key.finishOpening(tag: tag) }

    /// Tells the content of a decrypted record from what follows it: the last byte that is not zero is its type (section 5.4). Nil when there is none.
    public static func content(of block: Block, _ range: Range<Int>) -> (type: UInt8, range: Range<Int>)? {
        let bytes = block.bytes(range)
        var last = bytes.byteCount - 1
        while last >= 0, bytes.byte(at: last) == 0 { last -= 1 }
        guard last >= 0 else { return nil }
        return (bytes.byte(at: last), range.lowerBound..<range.lowerBound + last)
    }
}

/// The part of TLS 1.3's key schedule that is needed after the handshake.
enum KeySchedule {
    /// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
    static func expand(_ suite: TLSCipherSuite, _ secret: Secret, label: String, byteCount: Int) throws(CipherError) -> Secret {
        let label = Array("tls13 \(label)".utf8)
        let info = [UInt8(byteCount >> 8), UInt8(byteCount & 0xff), UInt8(label.count)] + label + [0]
        let output = unsafe Secret(byteCount: byteCount) { output in
            unsafe secret.bytes.withUnsafeBytes { secret in
                unsafe info.withUnsafeBufferPointer { info in
                    unsafe co_hkdf_expand(
                        suite.hash, secret.baseAddress?.assumingMemoryBound(to: UInt8.self), secret.count, info.baseAddress, info.count, output, byteCount)
                        == 1
                }
            }
        }
        guard let output else { throw Library.failure("derive a key") }
        return output
    }
}
