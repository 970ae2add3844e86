public import Bytes

/// The bytes that a run sends: a deterministic function of seed, connection, stream, direction and position, so that a byte that arrives on the
/// wrong stream or at the wrong place is recognised.
///
/// A table of pseudo-random bytes is made from the seed once. The traffic of a stream is a sequence of pieces: a message is cut into
/// pieces of up to ``pieceBytesMax``, and piece `k` of a stream is the range of the table that begins at a place computed from the stream's key
/// and `k`. Sending therefore copies nothing (a slice of the table) and checking is one comparison of memory.
///
/// Not `Sendable`: it holds a ``/Bytes/Block``. Each loop makes its own from the same seed.
///
/// Source of the constants: the output function of splitmix64 (Steele, Lea and Flood, 2014).
public final class Payload {
    /// Longest piece, in bytes.
    public static let pieceBytesMax = 65_536
    /// Table size: any start plus the longest piece lies inside.
    public static let tableBytes = 131_072

    /// Of the run: the same at both ends.
    public let seed: UInt64
    @usableFromInline let table: Block

    /// Makes the table, 128 KiB.
    public init(seed: UInt64) {
        self.seed = seed
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.tableBytes)
        var state = seed
        while bytes.count < Self.tableBytes {
            state &+= 0x9e37_79b9_7f4a_7c15
            var word = Self.mix(state)
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        table = Slice(copying: bytes).block
    }

    /// Names one direction of one stream: what ``slice(streamKey:piece:count:)`` wants.
    ///
    /// - Parameters:
    ///   - seed: the run's.
    ///   - connection: index of the connection, as in ``Receipt/connection``.
    ///   - stream: identifier on the wire.
    ///   - direction: which way the bytes go.
    public static func streamKey(seed: UInt64, connection: UInt32, stream: UInt64, direction: Direction) -> UInt64 {
        var key = mix(seed ^ 0x5347_5041_594c_4f41)
        key = mix(key ^ UInt64(connection) ^ (direction == .down ? 0x8000_0000_0000_0000 : 0))
        return mix(key ^ stream)
    }

    /// Where in the table a piece begins: a multiple of 8 from 0 to 65,528.
    @inlinable
    static func start(streamKey: UInt64, piece: UInt64) -> Int {
        var mixed = (streamKey ^ piece &* 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
        mixed ^= mixed >> 32
        mixed = mixed &* 0x94d0_49bb_1331_11eb
        return Int(truncatingIfNeeded: mixed >> 48) & 0xfff8
    }

    /// The first `count` bytes of a piece, without a copy.
    ///
    /// - Parameters:
    ///   - streamKey: see ``streamKey(seed:connection:stream:direction:)``.
    ///   - piece: which piece of the stream, counted from 0.
    ///   - count: at most ``pieceBytesMax``.
    @inlinable
    public func slice(streamKey: UInt64, piece: UInt64, count: Int) -> QueuedSlice {
        precondition(count >= 0 && count <= Self.pieceBytesMax, "a piece is at most 64 KiB")
        let start = Self.start(streamKey: streamKey, piece: piece)
        return QueuedSlice(table, start..<start &+ count)
    }

    /// Whether `bytes` are what a piece holds at `offset`. A fragment that goes beyond the longest piece does not match.
    @inlinable
    public func matches(_ bytes: RawSpan, streamKey: UInt64, piece: UInt64, offset: Int) -> Bool {
        guard offset >= 0, bytes.byteCount <= Self.pieceBytesMax - offset else { return false }
        let start = Self.start(streamKey: streamKey, piece: piece) &+ offset
        let table = table
        let expected = table.bytes(start..<start &+ bytes.byteCount)
        return expected.equals(bytes)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// How messages of one size are cut into pieces.
public struct MessageShape: BitwiseCopyable, Equatable, Sendable {
    public let messageBytes: Int
    public let piecesPerMessage: UInt64

    /// - Parameter messageBytes: size of each message; at least 1.
    @inlinable
    public init(messageBytes: Int) {
        precondition(messageBytes > 0, "a message has at least one byte")
        self.messageBytes = messageBytes
        piecesPerMessage = UInt64((messageBytes - 1) / Payload.pieceBytesMax + 1)
    }

    /// The number of the piece that byte `offset` of message `message` lies in.
    @inlinable
    public func piece(message: UInt64, offset: Int) -> UInt64 {
        message &* piecesPerMessage &+ UInt64(truncatingIfNeeded: offset / Payload.pieceBytesMax)
    }

    /// Where byte `offset` of a message lies in its piece.
    @inlinable
    public func offsetInPiece(_ offset: Int) -> Int { offset % Payload.pieceBytesMax }

    /// How many bytes of the piece are left from byte `offset` of the message on.
    @inlinable
    public func bytesLeftInPiece(_ offset: Int) -> Int {
        min(messageBytes - offset, Payload.pieceBytesMax - offsetInPiece(offset))
    }
}

/// Which messages have their contents verified. Counts, receipts and the ledger are always checked.
public enum SampleRule: Equatable, Sendable, CustomStringConvertible {
    /// Every byte.
    case full
    /// The first message of a stream and, within one message, at least one in so many; the number is a power of two.
    case sampled(oneIn: UInt64)

    /// One message in 64: costs below 1 % of the run.
    public static let standard = SampleRule.sampled(oneIn: 64)

    /// Where a message stands in the order in which rules take messages: one that takes more takes all that one that takes fewer does.
    ///
    /// Multiples of the golden ratio, without their whole part, spread numbers that follow each other evenly: of any few hundred messages in a row each rule takes its share, at
    /// distances that fit no period. The stream's key shifts the choice, so that a thousand streams in step do not all take the same message number.
    ///
    /// Source: Knuth, The Art of Computer Programming, volume 3, section 6.4 (Fibonacci hashing).
    @inlinable @inline(__always)
    public static func rank(message: UInt64, streamKey: UInt64) -> UInt64 { (message &+ streamKey) &* 0x9e37_79b9_7f4a_7c15 }

    /// Messages of at most this rank are sampled.
    public var rankMax: UInt64 {
        switch self {
        case .full: .max
        case .sampled(let interval):
            // A seventh more than asked for makes up for the unevenness that is left, but for one message. Shifted, as a division would be made for every message that is looked at.
            Self.raised(.max >> UInt64(interval.trailingZeroBitCount))
        }
    }

    private static func raised(_ share: UInt64) -> UInt64 {
        let (raised, overflow) = share.addingReportingOverflow(share / 7)
        return overflow ? .max : raised
    }

    /// Whether a message's contents are verified.
    public func isSampled(message: UInt64, streamKey: UInt64) -> Bool {
        message == 0 || Self.rank(message: message, streamKey: streamKey) <= rankMax
    }

    /// - Parameter text: `full`, `sampled`, or `1/64` with any power of two.
    public init(parsing text: String) throws(UnitsError) {
        switch text {
        case "full": self = .full
        case "sampled": self = .standard
        default:
            guard text.hasPrefix("1/"), let interval = UInt64(text.dropFirst(2)), interval > 0, interval & (interval - 1) == 0 else {
                throw .notASampleRule(text)
            }
            self = interval == 1 ? .full : .sampled(oneIn: interval)
        }
    }

    public var description: String {
        switch self {
        case .full: "full"
        case .sampled(let interval): interval == 64 ? "sampled" : "1/\(interval)"
        }
    }
}
