import Bytes
import Multiformats

/// The messages of multistream-select 1.0.0 (multiformats/multistream-select; libp2p specification "Connection Establishment", section
/// "multistream-select").
///
/// ```
///  ┌─────────────────┬─ ─ ─ ─ ─ ─ ─┬──────┐
///  │ length (varint) │ text        │ '\n' │    the length counts the newline
///  └─────────────────┴─ ─ ─ ─ ─ ─ ─┴──────┘
/// ```
enum Message {
    static let header: ProtocolID = "/multistream/1.0.0"
    static let notAvailable = Array("na".utf8)
    static let list = Array("ls".utf8)
    static let newline = UInt8(ascii: "\n")

    /// The message that carries `text`.
    static func encode(_ text: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        Varint.append(UInt64(text.count + 1), to: &bytes)
        return bytes + text + [newline]
    }

    static let headerBytes = encode(header.utf8)
    static let headerByteCount = headerBytes.count

    enum Place {
        /// Where the text is, and where the message ends.
        case found(text: Range<Int>, end: Int)
        /// The message goes on for at least this many bytes behind the span.
        case incomplete(missing: Int)
    }

    /// Finds the message that begins at `offset`.
    @inline(__always)
    static func locate(_ bytes: RawSpan, at offset: Int, byteCountMax: Int) throws(NegotiationError) -> Place {
        switch Varint.read(bytes, at: offset) {
        case .value(let length, let byteCount):
            guard length > 0 else { throw .missingNewline }
            guard length <= UInt64(byteCountMax) else { throw .messageTooLong(byteCount: length, limitBytes: byteCountMax) }
            let end = offset + byteCount + Int(length)
            guard end <= bytes.byteCount else { return .incomplete(missing: end - bytes.byteCount) }
            guard bytes.byte(at: end - 1) == newline else { throw .missingNewline }
            return .found(text: offset + byteCount..<end - 1, end: end)
        case .incomplete: return .incomplete(missing: 1)
        case .tooLong, .notMinimal: throw .malformedLength
        }
    }

    /// Whether `text` is that of the header. Two words and a rest, compared as numbers: this is looked at once a stream.
    @inline(__always)
    static func isHeader(_ text: RawSpan) -> Bool {
        // "/multist", "ream/1.0", ".0"
        text.byteCount == 18 && text.bigEndian64(at: 0) == 0x2F6D_756C_7469_7374 && text.bigEndian64(at: 8) == 0x7265_616D_2F31_2E30
            && text.bigEndian16(at: 16) == 0x2E30
    }

    @inline(__always)
    static func isNotAvailable(_ text: RawSpan) -> Bool { text.byteCount == 2 && text.bigEndian16(at: 0) == 0x6E61 }

    @inline(__always)
    static func isList(_ text: RawSpan) -> Bool { text.byteCount == 2 && text.bigEndian16(at: 0) == 0x6C73 }

    // MARK: The answer to ls

    /// The text of an answer to `ls`: for each protocol a message of its own, one behind the other. go-multistream (until it gave up `ls`), rust-libp2p,
    /// js-libp2p and nim-libp2p all answer so.
    static func encodeList(_ ids: [ProtocolID]) -> [UInt8] { ids.flatMap { encode($0.utf8) } }
}

/// Puts messages together that reads have cut. A message that arrives whole is looked at in place; only one that is cut is copied.
///
/// Invariant: what is carried begins with a message and holds no whole one, but for the moment in which it is handed out.
struct MessageAssembler {
    private var carried: [UInt8] = []

    /// Whether a message has begun to arrive.
    var isInsideMessage: Bool { !carried.isEmpty }

    /// A message that was found: in the span at hand, or put together from several.
    enum Found {
        case inPlace(Range<Int>)
        case whole([UInt8], text: Range<Int>)
    }

    /// The next message, or nil when the bytes end before it does. Moves `offset` behind what was taken, never into what follows the message.
    @inline(__always)
    mutating func next(_ bytes: RawSpan, _ offset: inout Int, byteCountMax: Int) throws(NegotiationError) -> Found? {
        guard carried.isEmpty else { return try resume(bytes, &offset, byteCountMax: byteCountMax) }
        guard offset < bytes.byteCount else { return nil }
        switch try Message.locate(bytes, at: offset, byteCountMax: byteCountMax) {
        case .found(let text, let end):
            offset = end
            return .inPlace(text)
        case .incomplete:
            carried = bytes.extracting(offset..<bytes.byteCount).array()
            offset = bytes.byteCount
            return nil
        }
    }

    private mutating func resume(_ bytes: RawSpan, _ offset: inout Int, byteCountMax: Int) throws(NegotiationError) -> Found? {
        while true {
            switch try Message.locate(carried.rawSpan, at: 0, byteCountMax: byteCountMax) {
            case .found(let text, _):
                let whole = carried
                carried = []
                return .whole(whole, text: text)
            case .incomplete(let missing):
                let taken = min(missing, bytes.byteCount - offset)
                guard taken > 0 else { return nil }
                carried += bytes.extracting(offset..<offset + taken).array()
                offset += taken
            }
        }
    }
}
