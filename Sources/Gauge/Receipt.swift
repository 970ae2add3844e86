/// What one end says it carried on one stream in one direction. The sender's and the receiver's must be equal.
public struct Receipt: Sendable, Equatable, Hashable {
    /// Index of the connection, counted by the client from 0 and told to the server.
    public var connection: UInt32
    /// Identifier of the stream on the wire; 0 where there is no muxer.
    public var stream: UInt64
    public var direction: Direction
    public var bytes: UInt64
    public var messages: UInt64
    /// Sum of ``PayloadChecksum/folded(_:message:)`` over the messages that were verified.
    public var checksum: UInt64
    /// ``PayloadChecksum`` of the last message; 0 when there was none.
    public var lastMessageChecksum: UInt64

    public init(
        connection: UInt32, stream: UInt64, direction: Direction, bytes: UInt64 = 0, messages: UInt64 = 0, checksum: UInt64 = 0,
        lastMessageChecksum: UInt64 = 0
    ) {
        self.connection = connection
        self.stream = stream
        self.direction = direction
        self.bytes = bytes
        self.messages = messages
        self.checksum = checksum
        self.lastMessageChecksum = lastMessageChecksum
    }

    /// What a receipt is about: there must be one from each end.
    struct Key: Hashable, Comparable {
        let connection: UInt32
        let stream: UInt64
        let direction: Direction

        static func < (left: Key, right: Key) -> Bool {
            (left.connection, left.stream, left.direction.rawValue == "down" ? 1 : 0)
                < (right.connection, right.stream, right.direction.rawValue == "down" ? 1 : 0)
        }
    }

    var key: Key { Key(connection: connection, stream: stream, direction: direction) }
}

/// Why bytes are not a list of receipts. They come from the network.
public enum ReceiptDecodingError: Error, Equatable, Sendable, CustomStringConvertible {
    case notAReceiptList
    case unknownVersion(UInt8)
    case tooManyReceipts(UInt64, limit: Int)
    case truncated(atByte: Int)
    case malformedNumber(atByte: Int)
    case connectionOutOfRange(UInt64, atByte: Int)
    case unknownDirection(UInt8, atByte: Int)
    case trailingBytes(Int)

    public var description: String {
        switch self {
        case .notAReceiptList: "this is not a list of receipts: it does not begin with SGRL"
        case .unknownVersion(let version): "the list of receipts has version \(version); this program reads version 1"
        case .tooManyReceipts(let count, let limit): "the list announces \(grouped(count)) receipts; at most \(grouped(limit)) are accepted"
        case .truncated(let offset): "the list of receipts ends too early, at byte \(grouped(offset))"
        case .malformedNumber(let offset): "the list of receipts has a malformed number at byte \(grouped(offset))"
        case .connectionOutOfRange(let index, let offset): "connection \(index) at byte \(grouped(offset)) is not a connection index"
        case .unknownDirection(let byte, let offset): "direction \(byte) at byte \(grouped(offset)) is neither up (0) nor down (1)"
        case .trailingBytes(let count): "\(grouped(count)) bytes follow the list of receipts"
        }
    }
}
