/// Why bytes or text are not what they should be. Whose bytes they were (this program's, its user's, a peer's) is known to the caller alone.
public enum MultiformatError: Error, Equatable, Sendable {
    /// What was being read.
    public enum Item: String, Sendable {
        case multiaddr = "multiaddr"
        case multibase = "multibase text"
        case multihash = "multihash"
        case peerID = "peer ID"
        case privateKey = "private key"
        case protobuf = "protobuf message"
        case protocolID = "protocol ID"
        case publicKey = "public key"
    }

    /// What is wrong with a varint.
    public enum VarintFault: Sendable {
        /// More than nine bytes.
        case tooLong
        /// Not the shortest form of its value.
        case notMinimal
    }

    // Anything made of bytes.
    /// It ends before it is whole.
    case truncated(Item)
    /// A number in it is malformed.
    case malformedVarint(Item, VarintFault)
    /// It is longer than is read.
    case tooLarge(Item, byteCount: UInt64, limitBytes: Int)
    /// There are bytes behind it.
    case trailingBytes(Item, byteCount: Int)
    /// What should be text is none.
    case notUTF8(Item)

    // Multihash and multibase.
    /// A hash has another length than its kind has.
    case wrongDigestLength(code: UInt64, byteCount: Int, expected: Int)
    /// The first character names no base that is known here.
    case unknownBase(prefix: String)
    /// A character that the base does not have, `offset` characters from the beginning.
    case characterOutsideAlphabet(Multibase, offset: Int)
    /// No number of bytes has so many characters.
    case impossibleLength(Multibase, characterCount: Int)
    /// Bits behind the last byte are set.
    case nonZeroPadding(Multibase)

    // Peer IDs and keys.
    /// The text is neither form of a peer ID.
    case notAPeerID(String)
    /// A peer ID as a CID of another version than 1.
    case unsupportedCIDVersion(UInt64)
    /// A CID of something else than a key.
    case notALibp2pKey(codec: UInt64)
    /// Peer IDs are identity hashes or SHA-256.
    case unsupportedPeerIDHash(code: UInt64)
    /// A number that stands for no kind of key.
    case unknownKeyType(UInt64)
    /// A key of this kind cannot have as many bytes.
    case wrongKeyLength(KeyType, byteCount: Int)
    /// The second copy of the public key in the older form of an Ed25519 private key is another.
    case keyCopiesDiffer
    /// A field that must be there is not.
    case missingField(Item, number: UInt32)
    /// Not the one encoding that the peer ID specification allows for these fields.
    case notDeterministic(Item)

    // Protobuf.
    /// A wire type that protobuf does not have, or not any more.
    case unsupportedWireType(UInt8)
    /// A field has another wire type than it should.
    case wrongWireType(field: UInt32)
    /// 0, or beyond what protobuf allows.
    case invalidFieldNumber(UInt64)
    /// More fields than are read.
    case tooManyFields(limit: Int)

    // Protocol IDs.
    /// A protocol ID has at least one byte.
    case emptyProtocolID
    /// A protocol ID begins with a slash.
    case protocolIDWithoutSlash
    /// A newline ends a message of multistream-select, so none may be in an ID.
    case protocolIDWithNewline

    // Multiaddrs.
    /// An address has at least one component.
    case emptyMultiaddr
    /// The text of an address begins with a slash.
    case noLeadingSlash(String)
    /// A component's name that is not known here, and the whole text.
    case unknownComponent(String, in: String)
    /// A component's number that is not known here.
    case unknownComponentCode(UInt64)
    /// The text ends behind a component that needs a value.
    case missingValue(component: String, in: String)
    /// A component's value cannot be what it is.
    case badValue(component: String, value: String, in: String)
    /// The binary form holds a value that the component cannot have.
    case badBytes(component: String)
    /// A path takes everything behind it, so nothing can follow.
    case componentBehindPath(String)
}

extension MultiformatError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let item): "the \(item.rawValue) ends too early"
        case .malformedVarint(let item, .tooLong): "the \(item.rawValue) holds a varint that is too long"
        case .malformedVarint(let item, .notMinimal): "the \(item.rawValue) holds a varint that is not in its shortest form"
        case .tooLarge(let item, let byteCount, let limit): "the \(item.rawValue) is \(byteCount) bytes long; at most \(limit) are accepted"
        case .trailingBytes(let item, let byteCount): "\(byteCount) bytes follow the \(item.rawValue)"
        case .notUTF8(let item): "the \(item.rawValue) is not valid UTF-8"
        case .wrongDigestLength(let code, let byteCount, let expected):
            "a digest of the hash function \(Self.hex(code)) has \(expected) bytes, not \(byteCount)"
        case .unknownBase(let prefix): "'\(prefix)' stands for no base that is known here"
        case .characterOutsideAlphabet(let base, let offset): "character \(offset) is not a digit of \(base)"
        case .impossibleLength(let base, let count): "no bytes make \(count) digits of \(base)"
        case .nonZeroPadding(let base): "the last digit of \(base) holds bits that belong to no byte"
        case .notAPeerID(let text): "'\(text)' is not a peer ID: it begins neither with 1 or Qm nor with the prefix of a known base"
        case .unsupportedCIDVersion(let version): "a peer ID is a CID of version 1, not \(version)"
        case .notALibp2pKey(let codec): "the CID is of the codec \(Self.hex(codec)), not that of libp2p keys, 0x72"
        case .unsupportedPeerIDHash(let code): "a peer ID is an identity or SHA-256 multihash, not \(Self.hex(code))"
        case .unknownKeyType(let type): "\(type) is no key type; known are 0 (RSA), 1 (Ed25519), 2 (Secp256k1), 3 (ECDSA)"
        case .wrongKeyLength(let type, let byteCount): "\(byteCount) bytes are no \(type) key"
        case .keyCopiesDiffer: "the private key holds two public keys that differ"
        case .missingField(let item, let number): "the \(item.rawValue) lacks field \(number)"
        case .notDeterministic(let item): "the \(item.rawValue) is not encoded as the specification demands"
        case .unsupportedWireType(let type): "\(type) is no protobuf wire type that is in use"
        case .wrongWireType(let field): "field \(field) is of another protobuf wire type"
        case .invalidFieldNumber(let number): "\(number) is no protobuf field number"
        case .tooManyFields(let limit): "the protobuf message has more than \(limit) fields"
        case .emptyProtocolID: "a protocol ID cannot be empty"
        case .protocolIDWithoutSlash: "a protocol ID must begin with '/', as in /ipfs/ping/1.0.0"
        case .protocolIDWithNewline: "a protocol ID cannot hold a newline"
        default: addressDescription
        }
    }

    private var addressDescription: String {
        switch self {
        case .emptyMultiaddr: "a multiaddr needs at least one component, as in /ip4/127.0.0.1/tcp/4001"
        case .noLeadingSlash(let text): "'\(text)' is not a multiaddr: it must begin with '/', as in /ip4/127.0.0.1/tcp/4001"
        case .unknownComponent(let name, let text): "'\(text)': '\(name)' is not a component known here; known are \(Multiaddr.knownNames)"
        case .unknownComponentCode(let code): "the multiaddr holds a component with the unknown code \(code)"
        case .missingValue(let component, let text): "'\(text)': '\(component)' needs a value behind it"
        case .badValue(let component, let value, let text): "'\(text)': '\(value)' is not a value for '\(component)'"
        case .badBytes(let component): "the multiaddr holds a value that is none for '\(component)'"
        case .componentBehindPath(let path): "'/unix\(path)' must be the last component of a multiaddr"
        default: ""
        }
    }

    private static func hex(_ code: UInt64) -> String { "0x" + String(code, radix: 16) }
}
