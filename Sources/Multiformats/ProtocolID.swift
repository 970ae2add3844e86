import Bytes

/// The name of a protocol that two peers agree on, such as `/ipfs/ping/1.0.0` (libp2p specification "Connection Establishment", section "Protocol
/// Negotiation"). Two IDs are the same when their bytes are.
///
/// Invariant: valid UTF-8, begins with `/`, holds no newline, at most ``byteCountMax`` bytes.
public struct ProtocolID: Hashable, Sendable {
    /// With its newline the longest ID is the longest message that go-libp2p reads: 1,024 bytes.
    public static let byteCountMax = 1023

    /// The ID as it is sent.
    public let utf8: [UInt8]

    /// Throws ``MultiformatError`` when the text is no ID.
    public init(_ text: String) throws(MultiformatError) {
        self.utf8 = Array(text.utf8)
        try Self.check(utf8.rawSpan)
    }

    /// An ID from the wire.
    public init(bytes: RawSpan) throws(MultiformatError) {
        try Self.check(bytes)
        guard bytes.text(0..<bytes.byteCount) != nil else { throw .notUTF8(.protocolID) }
        utf8 = bytes.array()
    }

    private static func check(_ bytes: RawSpan) throws(MultiformatError) {
        guard !bytes.isEmpty else { throw .emptyProtocolID }
        guard bytes.byteCount <= byteCountMax else {
            throw .tooLarge(.protocolID, byteCount: UInt64(bytes.byteCount), limitBytes: byteCountMax)
        }
        guard bytes.byte(at: 0) == UInt8(ascii: "/") else { throw .protocolIDWithoutSlash }
        for offset in 0..<bytes.byteCount where bytes.byte(at: offset) == UInt8(ascii: "\n") { throw .protocolIDWithNewline }
    }
}

extension ProtocolID: ExpressibleByStringLiteral, CustomStringConvertible {
    /// An ID that stands in the program; one that is none is a mistake in it.
    public init(stringLiteral text: String) {
        guard let id = try? ProtocolID(text) else { preconditionFailure("'\(text)' is not a protocol ID") }
        self = id
    }

    public var description: String { String(decoding: utf8, as: UTF8.self) }
}
