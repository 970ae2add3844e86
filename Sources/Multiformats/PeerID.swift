import Bytes

/// Who a peer is: the multihash of its public key (libp2p specification "Peer Ids and Keys", section "Peer Ids").
///
/// A key whose encoding takes at most 42 bytes stands in its ID as it is; any other is hashed with SHA-256. Two IDs are the same when their bytes
/// are, so a short key and its hash are different IDs.
///
/// Invariant: the multihash is an identity hash of at most ``inlineKeyByteCountMax`` bytes or a whole SHA-256.
public struct PeerID: Hashable, Sendable {
    /// Up to this size in bytes an encoded key stands in the ID itself.
    public static let inlineKeyByteCountMax = 42
    /// The longest text accepted, in bytes. The longest text of an ID is a CID of 46 bytes in base 16 with its prefix: 93.
    public static let textByteCountMax = 128
    /// The multicodec of libp2p's keys, in the CID form of an ID.
    private static let keyCodec: UInt64 = 0x72

    /// What the ID is: a hash of the public key, or the key itself.
    public let multihash: Multihash

    /// Throws ``MultiformatError`` when no peer can have such an ID.
    public init(_ multihash: Multihash) throws(MultiformatError) {
        guard multihash.code == .identity || multihash.code == .sha256 else {
            throw .unsupportedPeerIDHash(code: multihash.code.rawValue)
        }
        guard multihash.code != .identity || multihash.digest.count <= Self.inlineKeyByteCountMax else {
            throw .tooLarge(.peerID, byteCount: UInt64(multihash.digest.count), limitBytes: Self.inlineKeyByteCountMax)
        }
        self.multihash = multihash
    }

    /// Decodes the binary form.
    public init(bytes: RawSpan) throws(MultiformatError) {
        try self.init(try Multihash(bytes: bytes))
    }

    /// The ID of the peer that has `key`.
    ///
    /// - Parameters:
    ///   - key: a short one is the ID itself, see ``inlineKeyByteCountMax``.
    ///   - sha256: gives the 32 bytes of a SHA-256; called for long keys only.
    public init(of key: PublicKey, sha256: (RawSpan) -> [UInt8]) {
        let encoded = key.encoded
        let isInline = encoded.count <= Self.inlineKeyByteCountMax
        let digest = isInline ? encoded : sha256(encoded.rawSpan)
        guard let multihash = try? Multihash(isInline ? .identity : .sha256, digest: digest) else {
            preconditionFailure("a SHA-256 has 32 bytes, not \(digest.count)")
        }
        self.multihash = multihash
    }

    /// Parses either text form (section "String representation"): base 58 of the multihash, or a CID of version 1 in any base known here.
    public init(_ text: String) throws(MultiformatError) {
        guard text.utf8.count <= Self.textByteCountMax else {
            throw .tooLarge(.peerID, byteCount: UInt64(text.utf8.count), limitBytes: Self.textByteCountMax)
        }
        if text.hasPrefix("1") || text.hasPrefix("Qm") {
            let bytes = try Multibase.base58btc.bytes(ofDigits: Array(text.utf8))
            try self.init(bytes: bytes.rawSpan)
            return
        }
        guard let first = text.utf8.first, Multibase.allCases.contains(where: { $0.prefix == first }) else { throw .notAPeerID(text) }
        let cid = try Multibase.decode(text).bytes
        try self.init(cid: cid.rawSpan)
    }

    private init(cid: RawSpan) throws(MultiformatError) {
        var offset = 0
        let version = try cid.readVarint(&offset, of: .peerID)
        guard version == 1 else { throw .unsupportedCIDVersion(version) }
        let codec = try cid.readVarint(&offset, of: .peerID)
        guard codec == Self.keyCodec else { throw .notALibp2pKey(codec: codec) }
        try self.init(bytes: cid.extracting(offset..<cid.byteCount))
    }

    /// The binary form.
    public var bytes: [UInt8] { multihash.bytes }

    /// The text form as a CID, which is to become the usual one; in base 32 unless asked otherwise.
    public func cidText(in base: Multibase = .base32) -> String {
        var cid: [UInt8] = []
        Varint.append(1, to: &cid)
        Varint.append(Self.keyCodec, to: &cid)
        return base.text(of: cid + bytes)
    }

    /// The key that stands in the ID, or nil when the ID is a hash.
    ///
    /// - Throws: when the ID holds something that is no key.
    public func inlinePublicKey() throws(MultiformatError) -> PublicKey? {
        guard multihash.code == .identity else { return nil }
        return try PublicKey(encoded: multihash.digest.rawSpan)
    }
}

extension PeerID: CustomStringConvertible {
    /// The text form in use today: base 58.
    public var description: String { String(decoding: Multibase.base58btc.digits(of: bytes), as: UTF8.self) }
}
