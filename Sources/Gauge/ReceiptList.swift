import Bytes

/// A list of receipts as bytes: `SGRL`, version (1 byte), count (varint), then each receipt as direction (1 byte), connection, stream (varints), bytes,
/// messages, checksum, last message's checksum (8 bytes each, big-endian). A stream identifier of 64 bits would not fit a varint, so identifiers are
/// limited to 63 bits, which no multiplexer exceeds.
public enum ReceiptList {
    private static let magic: [UInt8] = Array("SGRL".utf8)
    private static let version: UInt8 = 1
    /// The shortest receipt: direction, two one-byte varints, four 64-bit numbers.
    private static let receiptBytesMin = 1 + 1 + 1 + 4 * 8
    /// 2 million streams in both directions: twenty times the largest run this instrument is made for. A list from the network may not
    /// announce more.
    public static let receiptsMax = 4_000_000

    /// Writes a list, the receipts in the order given.
    public static func encode(_ receipts: [Receipt]) -> [UInt8] {
        var bytes = magic
        bytes.reserveCapacity(receipts.count * 40 + 16)
        bytes.append(version)
        Varint.append(UInt64(receipts.count), to: &bytes)
        for receipt in receipts {
            bytes.append(receipt.direction == .up ? 0 : 1)
            Varint.append(UInt64(receipt.connection), to: &bytes)
            Varint.append(receipt.stream, to: &bytes)
            append(receipt.bytes, to: &bytes)
            append(receipt.messages, to: &bytes)
            append(receipt.checksum, to: &bytes)
            append(receipt.lastMessageChecksum, to: &bytes)
        }
        return bytes
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// Reads a list.
    ///
    /// - Parameters:
    ///   - bytes: one list, and nothing else.
    ///   - receiptsMax: more than this are refused.
    /// - Throws: ``ReceiptDecodingError`` when the bytes are anything but one whole list.
    public static func decode(_ bytes: RawSpan, receiptsMax: Int = receiptsMax) throws(ReceiptDecodingError) -> [Receipt] {
        guard bytes.byteCount > magic.count, magic.indices.allSatisfy({ bytes.byte(at: $0) == magic[$0] }) else {
            throw .notAReceiptList
        }
        guard bytes.byte(at: magic.count) == version else { throw .unknownVersion(bytes.byte(at: magic.count)) }
        var reader = Reader(offset: magic.count + 1)
        let count = try reader.varint(bytes)
        guard count <= UInt64(receiptsMax) else { throw .tooManyReceipts(count, limit: receiptsMax) }
        // Memory is reserved for what can really follow, whatever is announced.
        guard Int(count) <= (bytes.byteCount - reader.offset) / receiptBytesMin else { throw .truncated(atByte: bytes.byteCount) }
        var receipts: [Receipt] = []
        receipts.reserveCapacity(Int(count))
        for _ in 0..<count { receipts.append(try reader.receipt(bytes)) }
        guard reader.offset == bytes.byteCount else { throw .trailingBytes(bytes.byteCount - reader.offset) }
        return receipts
    }

    private struct Reader {
        var offset: Int

        mutating func receipt(_ bytes: RawSpan) throws(ReceiptDecodingError) -> Receipt {
            let direction = try direction(bytes)
            let start = offset
            let connection = try varint(bytes)
            guard let index = UInt32(exactly: connection) else { throw .connectionOutOfRange(connection, atByte: start) }
            return Receipt(
                connection: index, stream: try varint(bytes), direction: direction, bytes: try word(bytes), messages: try word(bytes),
                checksum: try word(bytes), lastMessageChecksum: try word(bytes))
        }

        mutating func direction(_ bytes: RawSpan) throws(ReceiptDecodingError) -> Direction {
            guard offset < bytes.byteCount else { throw .truncated(atByte: offset) }
            let byte = bytes.byte(at: offset)
            offset += 1
            switch byte {
            case 0: return .up
            case 1: return .down
            default: throw .unknownDirection(byte, atByte: offset - 1)
            }
        }

        mutating func varint(_ bytes: RawSpan) throws(ReceiptDecodingError) -> UInt64 {
            switch Varint.read(bytes, at: offset) {
            case .value(let value, let byteCount):
                offset += byteCount
                return value
            case .incomplete: throw .truncated(atByte: bytes.byteCount)
            case .tooLong, .notMinimal: throw .malformedNumber(atByte: offset)
            }
        }

        mutating func word(_ bytes: RawSpan) throws(ReceiptDecodingError) -> UInt64 {
            guard offset + 8 <= bytes.byteCount else { throw .truncated(atByte: offset) }
            defer { offset += 8 }
            return bytes.bigEndian64(at: offset)
        }
    }
}
