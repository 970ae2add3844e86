import Bytes

/// The first 32 bytes of every connection to a responder: what the connection is for. Stacks without a security layer negotiate nothing, so
/// this is all that goes ahead of the muxer; the ledger counts it as negotiation.
///
/// ```
///  0          8      9          10        12             16            24            32
///  ┌──────────┬──────┬──────────┬─────────┬──────────────┬─────────────┬─────────────┐
///  │ "strmgage" │ role │ muxer    │ zero    │ connection   │ stream base │ token       │
///  └──────────┴──────┴──────────┴─────────┴──────────────┴─────────────┴─────────────┘
/// ```
struct Greeting: Equatable {
    enum Role: UInt8 {
        case control = 1
        case data = 2
    }

    static let byteCount = 32
    /// "strmgage" in ASCII: a peer that speaks something else is told apart by its first bytes.
    static let magic: UInt64 = 0x7374_726d_6761_6765
    static let version: UInt8 = 1

    var role: Role
    /// Which of the run's connections this is.
    var connection: UInt32
    /// Added to the ordinals of the connection's streams: without a muxer each stream has a connection of its own.
    var streamBase: UInt64
    /// Which run it belongs to.
    var token: UInt64

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) {
            forEachByte(value) { bytes.append($0) }
        }
        append(Self.magic)
        append(role.rawValue)
        append(Self.version)
        append(UInt16(0))
        append(connection)
        append(streamBase)
        append(token)
        return bytes
    }

    init(role: Role, connection: UInt32 = 0, streamBase: UInt64 = 0, token: UInt64) {
        self.role = role
        self.connection = connection
        self.streamBase = streamBase
        self.token = token
    }

    /// Decodes the first 32 bytes of `bytes`.
    init(decoding bytes: RawSpan) throws(GreetingError) {
        guard bytes.byteCount >= Self.byteCount else { throw .short(byteCount: bytes.byteCount) }
        guard bytes.bigEndian64(at: 0) == Self.magic else { throw .foreign }
        guard let role = Role(rawValue: bytes.byte(at: 8)) else { throw .unknownRole(bytes.byte(at: 8)) }
        guard bytes.byte(at: 9) == Self.version else { throw .unknownVersion(bytes.byte(at: 9)) }
        self.init(
            role: role, connection: bytes.bigEndian32(at: 12), streamBase: bytes.bigEndian64(at: 16), token: bytes.bigEndian64(at: 24))
    }
}

/// Calls `body` with the bytes of `value`, most significant first.
func forEachByte(_ value: some FixedWidthInteger, _ body: (UInt8) -> Void) {
    for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
        body(UInt8(truncatingIfNeeded: value >> shift))
    }
}

enum GreetingError: Error, Equatable, CustomStringConvertible {
    case short(byteCount: Int)
    case foreign
    case unknownRole(UInt8)
    case unknownVersion(UInt8)

    var description: String {
        switch self {
        case .short(let byteCount): "the connection ended after \(byteCount) of the greeting's \(Greeting.byteCount) bytes"
        case .foreign: "the peer does not speak StreamGauge's protocol"
        case .unknownRole(let role): "the greeting asks for the unknown role \(role)"
        case .unknownVersion(let version): "the greeting is of version \(version); this is version \(Greeting.version)"
        }
    }
}
