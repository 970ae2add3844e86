import Bytes

/// A yamux frame header: 12 bytes, big-endian (yamux specification, "Framing").
///
/// ```
///  0        8       16              32                              64                              96
///  ┌────────┬────────┬───────────────┬───────────────────────────────┬───────────────────────────────┐
///  │version │ type   │ flags         │ stream ID                     │ length                        │
///  └────────┴────────┴───────────────┴───────────────────────────────┴───────────────────────────────┘
/// ```
///
/// `length` is the body's size for data, the credit granted for a window update, an opaque value for a ping and a code for
/// a go-away.
struct YamuxHeader: BitwiseCopyable {
    static let byteCount = 12

    enum Kind {
        static let data: UInt8 = 0
        static let windowUpdate: UInt8 = 1
        static let ping: UInt8 = 2
        static let goAway: UInt8 = 3
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let syn = Flags(rawValue: 1)
        static let ack = Flags(rawValue: 2)
        static let fin = Flags(rawValue: 4)
        static let rst = Flags(rawValue: 8)
    }

    /// Version, type, flags and stream ID.
    let high: UInt64
    let length: UInt32

    @inline(__always)
    init(high: UInt64, length: UInt32) {
        self.high = high
        self.length = length
    }

    @inline(__always)
    init(_ kind: UInt8, _ flags: Flags, streamID: UInt32, length: UInt32) {
        high = UInt64(kind) << 48 | UInt64(flags.rawValue) << 32 | UInt64(streamID)
        self.length = length
    }

    @inline(__always) var version: UInt8 { UInt8(truncatingIfNeeded: high >> 56) }
    @inline(__always) var kind: UInt8 { UInt8(truncatingIfNeeded: high >> 48) }
    @inline(__always) var flags: Flags { Flags(rawValue: UInt16(truncatingIfNeeded: high >> 32)) }
    @inline(__always) var streamID: UInt32 { UInt32(truncatingIfNeeded: high) }
    /// Of version 0, data without flags, and some of it.
    @inline(__always) var isPlainData: Bool { high >> 32 == UInt64(Kind.data) << 16 && length > 0 }
}

/// What yamux needs beyond ``MuxerLimits``.
public struct YamuxLimits: Sendable {
    /// The limits that every muxer has.
    public var common = MuxerLimits()
    /// The window every stream begins with; the specification fixes it.
    public static let windowBytesInitial: UInt32 = 256 << 10
    /// How far auto-tuning may raise one stream's receive window. 32 MiB carry 1 Gbit/s over 130 ms: credit comes in halves of the window, so that no more than half of it is
    /// surely under way. With 16 MiB a stream that was full both ways over 60 ms had 0.7 of 1 Gbit/s, as credit then waits behind data as well.
    public var windowBytesMax: UInt32 = 32 << 20
    /// What all receive windows of a connection together may grow beyond their initial size: a far end that fills every window it
    /// was granted, while the application reads nothing, can make us hold no more than this and the initial windows.
    public var windowBudgetBytesMax = 64 << 20
    /// Streams opened by this side that the far end has not acknowledged; the specification recommends 256. rust-yamux ends a
    /// connection at 513.
    public var unacknowledgedStreamsMax = 256
    /// Answers, resets and grants waiting to be written: a far end that provokes them and never reads ends its connection.
    public var controlFramesMax = 65_536
    /// A ping is sent when nothing has been heard for this long. Zero: never.
    public var keepaliveNanoseconds: Nanoseconds = 30_000_000_000
    /// The connection is given up when a ping stays unanswered for this long.
    public var pingTimeoutNanoseconds: Nanoseconds = 30_000_000_000
    /// Marks in the outgoing data, or nil for none.
    public var markers: YamuxMarkers? = .whenContended

    public init() {}
}

/// Keeps the queue out of buffers that cannot be seen: a ping follows every `spacingBytes` of data, and no more than a cap of bytes may be
/// under way that no answered ping has confirmed. A request that arrives meanwhile then waits behind that much, and not behind all the
/// far end's socket buffer holds.
public struct YamuxMarkers: Sendable {
    /// When data is marked.
    public enum Use: Sendable {
        /// Always: for far ends whose buffers are not ours.
        case always
        /// As long as bulk goes both ways and small messages go beside it. Both kernels' queues are short between our own ends, but an end that sends
        /// and receives bulk takes longer to come round to them; marks then halve what a small message waits, and cost bulk a fifth of its
        /// throughput. Also as long as small messages go beside bulk, or beside streams that are opened one after another, and the far end is slow: a mark
        /// now and then finds that out. Its buffers then hold little, and few openings wait for it at a time. The small messages on streams that are open go ahead of
        /// what is held back. Without small messages there is nobody to wait.
        case whenContended
    }

    /// When data is marked.
    public var use = Use.always
    /// How much data goes between two pings.
    public var spacingBytes = 64 << 10
    /// The least that may be unconfirmed; the cap rises with the measured bandwidth-delay product.
    public var unconfirmedBytesMin = 256 << 10
    /// The same two while the far end is slow to read and small messages would wait behind what it has not read: less, for the price of goodput. With them a request
    /// beside bulk towards hashicorp's Go takes 1.8 to 3.1 times as long as alone (p99), and bulk keeps 0.3 to 0.9 of its goodput. A far end that is slow even so, as
    /// py-libp2p is, gets half of the second.
    public var spacingBytesBeforeSlow = 16 << 10
    public var unconfirmedBytesMinBeforeSlow = 128 << 10
    /// The most that may be unconfirmed, however large the bandwidth-delay product.
    public var unconfirmedBytesMax = 8 << 20

    public init() {}

    /// Marks only while small messages would wait behind bulk, see ``Use/whenContended``.
    public static var whenContended: YamuxMarkers {
        var markers = YamuxMarkers()
        markers.use = .whenContended
        return markers
    }
}
