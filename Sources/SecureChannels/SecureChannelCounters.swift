/// Every byte that a channel put on or took from the connection, by what it was for.
///
/// Invariant: `totalBytes` of a direction is exactly what ``SecureChannel/takeOutput()``, ``SecureChannel/seal(_:from:byteLimit:into:at:)`` and ``SecureChannel/close()`` gave, or
/// what ``SecureChannel/open(_:_:into:)`` took.
public struct SecureChannelCounters: Equatable, Sendable {
    /// One direction of the connection.
    public struct Direction: Equatable, Sendable {
        /// Handshake messages with their framing, and alerts and farewells.
        public var handshakeBytes: UInt64 = 0
        /// Headers and tags of records.
        public var recordOverheadBytes: UInt64 = 0
        /// What was sealed or opened.
        public var payloadBytes: UInt64 = 0
        /// Records sealed or opened.
        public var records: UInt64 = 0
        /// Bytes of a record that has not wholly arrived; they move to the other accounts when it has. 0 when sending.
        public var unfinishedBytes: UInt64 = 0

        /// All accounts together.
        public var totalBytes: UInt64 { handshakeBytes + recordOverheadBytes + payloadBytes + unfinishedBytes }

        public init() {}

        static func += (left: inout Direction, right: Direction) {
            left.handshakeBytes += right.handshakeBytes
            left.recordOverheadBytes += right.recordOverheadBytes
            left.payloadBytes += right.payloadBytes
            left.records += right.records
            left.unfinishedBytes += right.unfinishedBytes
        }
    }

    /// What this side wrote.
    public var sent = Direction()
    /// What the far end wrote.
    public var received = Direction()
    /// Payload bytes that were copied, beside encrypting and decrypting them from one place to another.
    public var bytesCopied: UInt64 = 0

    public init() {}
}

/// A message of a handshake that was sent or received whole.
public struct HandshakeMessage: Equatable, Sendable {
    /// Which way it went.
    public enum Direction: Sendable {
        /// This side wrote it.
        case sent
        /// The far end wrote it.
        case received
    }

    /// As the protocol's specification calls it: `e`, `e, ee, s, es`, `Exchange`.
    public let name: String
    /// Who wrote it.
    public let direction: Direction
    /// With its framing.
    public let byteCount: Int

    public init(name: String, direction: Direction, byteCount: Int) {
        self.name = name
        self.direction = direction
        self.byteCount = byteCount
    }
}
