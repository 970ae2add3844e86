import Bytes

/// The kinds of identity keys (libp2p specification "Peer Ids and Keys", section "Keys"). The numbers are those of the wire.
public enum KeyType: UInt64, Sendable, CaseIterable {
    case rsa = 0
    /// What every implementation of libp2p understands; its peer IDs hold the key itself.
    case ed25519 = 1
    case secp256k1 = 2
    case ecdsa = 3
}

/// A public key as peers exchange it: its kind, and its bytes in the form that the kind prescribes. Nothing is computed with it here.
///
/// Invariant: ``encoded`` is the only message accepted for ``type`` and ``data``, and of the forms of a point only the compressed one, so that a key has one
/// peer ID. That DER is canonical is for those to check who compute with the key.
public struct PublicKey: Hashable, Sendable {
    /// The most bytes of a key. RSA keys of 8192 bits, the longest that go-libp2p accepts, take 1,062.
    public static let dataByteCountMax = 2048

    /// What kind of key.
    public let type: KeyType
    /// RSA and ECDSA: DER of a SubjectPublicKeyInfo. Ed25519: 32 bytes. Secp256k1: a compressed point, 33 bytes.
    public let data: [UInt8]

    /// Throws ``MultiformatError`` when a key of this kind cannot have as many bytes.
    public init(_ type: KeyType, data: [UInt8]) throws(MultiformatError) {
        guard data.count <= Self.dataByteCountMax else {
            throw .tooLarge(.publicKey, byteCount: UInt64(data.count), limitBytes: Self.dataByteCountMax)
        }
        let fits =
            switch type {
            case .ed25519: data.count == 32
            case .secp256k1: data.count == 33
            case .rsa, .ecdsa: !data.isEmpty
            }
        guard fits else { throw .wrongKeyLength(type, byteCount: data.count) }
        self.type = type
        self.data = data
    }

    /// Decodes the protobuf message, which must be encoded just as ``encoded`` is.
    public init(encoded bytes: RawSpan) throws(MultiformatError) {
        let fields = try KeyFields(bytes, of: .publicKey, dataByteCountMax: Self.dataByteCountMax)
        try self.init(fields.type, data: fields.data)
    }

    /// The protobuf message, encoded deterministically.
    public var encoded: [UInt8] { KeyFields(type: type, data: data).encoded }
}

/// A private key as it is kept in a file; it never goes over the wire.
public struct PrivateKey: Equatable, Sendable {
    /// The most bytes of a key. RSA keys of 8192 bits take some 4,700.
    public static let dataByteCountMax = 8192

    /// What kind of key.
    public let type: KeyType
    /// RSA: PKCS #1, DER. Ed25519: the 32 bytes of the seed, then the 32 of the public key. Secp256k1: 32 bytes. ECDSA: DER.
    public let data: [UInt8]

    /// Throws ``MultiformatError`` when a key of this kind cannot have as many bytes.
    public init(_ type: KeyType, data: [UInt8]) throws(MultiformatError) {
        guard data.count <= Self.dataByteCountMax else {
            throw .tooLarge(.privateKey, byteCount: UInt64(data.count), limitBytes: Self.dataByteCountMax)
        }
        self.type = type
        // Older files hold the public key of an Ed25519 pair twice (section "Ed25519").
        if type == .ed25519 && data.count == 96 {
            guard data[32..<64] == data[64..<96] else { throw .keyCopiesDiffer }
            self.data = Array(data[..<64])
            return
        }
        let fits =
            switch type {
            case .ed25519: data.count == 64
            case .secp256k1: data.count == 32
            case .rsa, .ecdsa: !data.isEmpty
            }
        guard fits else { throw .wrongKeyLength(type, byteCount: data.count) }
        self.data = data
    }

    /// Decodes the protobuf message.
    public init(encoded bytes: RawSpan) throws(MultiformatError) {
        let fields = try KeyFields(bytes, of: .privateKey, dataByteCountMax: Self.dataByteCountMax)
        try self.init(fields.type, data: fields.data)
    }

    /// The protobuf message, encoded deterministically.
    public var encoded: [UInt8] { KeyFields(type: type, data: data).encoded }
}

/// The message that both kinds of keys have in common: `Type` (1) and `Data` (2), both there, in this order and nothing else.
private struct KeyFields {
    let type: KeyType
    let data: [UInt8]

    init(type: KeyType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    init(_ bytes: RawSpan, of item: MultiformatError.Item, dataByteCountMax: Int) throws(MultiformatError) {
        // Two tags, a type of one byte, a length.
        let byteCountMax = dataByteCountMax + 6
        guard bytes.byteCount <= byteCountMax else {
            throw .tooLarge(item, byteCount: UInt64(bytes.byteCount), limitBytes: byteCountMax)
        }
        var reader = ProtobufReader(bytes)
        var type: UInt64?
        var data: Range<Int>?
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.varint()
            case 2: data = try field.bytes()
            default: throw .notDeterministic(item)
            }
        }
        guard let type else { throw .missingField(item, number: 1) }
        guard let data else { throw .missingField(item, number: 2) }
        guard let known = KeyType(rawValue: type) else { throw .unknownKeyType(type) }
        self.init(type: known, data: bytes.copy(data))
        guard bytes.equals(encoded.rawSpan) else { throw .notDeterministic(item) }
    }

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.appendVarint(type.rawValue, field: 1)
        writer.append(data, field: 2)
        return writer.bytes
    }
}
