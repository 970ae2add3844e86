import Bytes

/// A digest that says which hash function it is of (multiformats/multihash).
///
/// ```
///  ┌───────────────┬────────────────┬─ ─ ─ ─ ─ ─ ─ ─
///  │ code (varint) │ length (varint)│ digest
///  └───────────────┴────────────────┴─ ─ ─ ─ ─ ─ ─ ─
/// ```
///
/// Nothing is hashed here: digests come from whoever has the functions. Those of functions not named here are carried as they are.
///
/// Invariant: the digest has the length that its function gives, when the function is known, and at most ``digestByteCountMax`` bytes.
public struct Multihash: Hashable, Sendable {
    /// A hash function's number in the table of multicodecs.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt64

        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// No function: the digest is the content itself.
        public static let identity = Code(rawValue: 0x00)
        public static let sha256 = Code(rawValue: 0x12)
        public static let sha512 = Code(rawValue: 0x13)

        /// The length of a digest in bytes, or nil when it varies or is not known. The specification lets digests be cut short, but nothing in libp2p
        /// does so, and a short digest is easier to forge.
        public var digestByteCount: Int? {
            switch self {
            case .sha256: 32
            case .sha512: 64
            default: nil
            }
        }
    }

    /// The longest digest accepted; no function in use gives more than 64 bytes, and an inlined key takes 42.
    public static let digestByteCountMax = 128

    /// Which hash.
    public let code: Code
    /// What it gave.
    public let digest: [UInt8]

    /// - Throws: ``MultiformatError/wrongDigestLength(code:byteCount:expected:)``, ``MultiformatError/tooLarge(_:byteCount:limitBytes:)``.
    public init(_ code: Code, digest: [UInt8]) throws(MultiformatError) {
        try Self.check(code, byteCount: UInt64(digest.count))
        self.code = code
        self.digest = digest
    }

    /// Decodes `bytes`, all of them.
    public init(bytes: RawSpan) throws(MultiformatError) {
        var offset = 0
        try self.init(bytes, at: &offset)
        guard offset == bytes.byteCount else { throw .trailingBytes(.multihash, byteCount: bytes.byteCount - offset) }
    }

    /// Decodes the multihash at `offset`, and moves the offset behind it.
    public init(_ bytes: RawSpan, at offset: inout Int) throws(MultiformatError) {
        let code = Code(rawValue: try bytes.readVarint(&offset, of: .multihash))
        let byteCount = try bytes.readVarint(&offset, of: .multihash)
        try Self.check(code, byteCount: byteCount)
        self.code = code
        digest = bytes.copy(try bytes.readRange(byteCount, &offset, of: .multihash))
    }

    private static func check(_ code: Code, byteCount: UInt64) throws(MultiformatError) {
        guard byteCount <= digestByteCountMax else { throw .tooLarge(.multihash, byteCount: byteCount, limitBytes: digestByteCountMax) }
        guard let expected = code.digestByteCount, byteCount != expected else { return }
        throw .wrongDigestLength(code: code.rawValue, byteCount: Int(byteCount), expected: expected)
    }

    /// The binary form.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        Varint.append(code.rawValue, to: &bytes)
        Varint.append(UInt64(digest.count), to: &bytes)
        return bytes + digest
    }
}
