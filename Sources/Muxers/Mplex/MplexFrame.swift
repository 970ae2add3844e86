import Bytes

/// A message's header (mplex specification, "Message format"): two varints, and then `length` bytes.
///
/// ```
///  ┌──────────────────┬──────────────────┬─ ─ ─ ─ ─ ─ ─ ─ ─ ─
///  │ id << 3 | flag   │ length           │ data
///  └──────────────────┴──────────────────┴─ ─ ─ ─ ─ ─ ─ ─ ─ ─
///    1 to 9 bytes       1 to 9 bytes       at most 1 MiB
/// ```
struct MplexHeader: BitwiseCopyable {
    /// What the message does. The numbers are those that the stream's initiator sends; its receiver sends one less.
    enum Kind {
        static let open: UInt8 = 0
        static let message: UInt8 = 2
        static let close: UInt8 = 4
        static let reset: UInt8 = 6
    }

    let word: UInt64
    let length: UInt64
    /// Size of the header itself, in bytes.
    let byteCount: Int

    @inline(__always) var streamID: UInt64 { word >> 3 }
    @inline(__always) var flag: UInt8 { UInt8(truncatingIfNeeded: word & 7) }
    @inline(__always) var kind: UInt8 { (flag + 1) & ~1 }
    /// Whether the stream was opened by the end that sent this message: even flags are the initiator's.
    @inline(__always) var isInitiators: Bool { word & 1 == 0 }

    /// What probes call the stream at the end that has received this; see ``MplexMachine/probed(_:)``. Odd flags are those of an end about a stream that the other opened.
    @inline(__always) var probed: UInt { UInt(word >> 2 & ~1 | word & 1) }

    /// Appends a header to `gather` and returns its size in bytes.
    @inline(__always)
    static func append(
        _ kind: UInt8, streamID: UInt64, isLocal: Bool, length: Int, to gather: inout Gather
    ) -> Int {
        let word = streamID << 3 | UInt64(isLocal || kind == Kind.open ? kind : kind - 1)
        gather.appendVarint(word)
        gather.appendVarint(UInt64(length))
        return Varint.byteCount(of: word) + Varint.byteCount(of: UInt64(length))
    }
}

/// Reads headers wherever reads have cut them.
struct MplexHeaderReader: BitwiseCopyable {
    private var varint = Varint.Assembler()
    private var word: UInt64 = 0
    private var wordByteCount = 0

    init() {}

    /// Reads on from `offset`, and moves it behind what was read. Returns nil when the bytes end before the header does.
    @inline(__always)
    mutating func read(_ bytes: RawSpan, _ offset: inout Int) throws(MuxerError) -> MplexHeader? {
        while offset < bytes.byteCount {
            let outcome = varint.append(bytes.byte(at: offset))
            offset += 1
            switch outcome {
            case .incomplete: continue
            case .value(let value, let byteCount):
                varint = Varint.Assembler()
                guard wordByteCount > 0 else {
                    word = value
                    wordByteCount = byteCount
                    continue
                }
                let header = MplexHeader(word: word, length: value, byteCount: wordByteCount + byteCount)
                wordByteCount = 0
                return header
            case .tooLong: throw .malformedVarint("longer than \(Varint.byteCountMax) bytes")
            case .notMinimal: throw .malformedVarint("not the shortest form")
            }
        }
        return nil
    }
}

/// What mplex needs beyond ``MuxerLimits``.
public struct MplexLimits: Sendable {
    /// The limits that every muxer has.
    public var common = MuxerLimits()
    /// The most data in one message; the specification fixes it.
    public static let messageBytesMax = 1 << 20
    /// Received bytes of one stream that the application has not given back. mplex cannot hold a sender back, so its specification leaves a
    /// choice of two evils: to stop reading the connection, which stalls every stream and can deadlock two ends that wait for each other,
    /// or to reset the stream whose reader is slow. This is where it is reset.
    public var receiveBufferBytesMax = 4 << 20
    /// Resets waiting to be written: a far end that provokes them and never reads ends its connection.
    public var controlFramesMax = 65_536
    /// The longest name of a stream that the far end may send. Names are dropped as they arrive, so a long one costs no memory.
    public var nameBytesMax = MplexLimits.messageBytesMax

    public init() {}
}
