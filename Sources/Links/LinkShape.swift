/// What a link is like, in both directions alike.
public struct LinkShape: Hashable, Sendable {
    /// From one end to the other and back, with nothing in the way; half of it passes between a byte's last bit leaving and its arriving.
    public var roundTripNanoseconds: UInt64
    /// At what rate each direction takes bytes on.
    public var bitsPerSecond: UInt64
    /// How many bytes of each direction may wait for their turn.
    public var bufferBytes: Int
    /// What each piece that is put in may take longer, from 0 to this by chance; order is kept.
    public var jitterNanoseconds: UInt64
    /// Of the jitter.
    public var seed: UInt64

    /// The rate must be above 0; a buffer of nil is ``bufferBytesDefault(roundTripNanoseconds:bitsPerSecond:)``.
    public init(
        roundTripNanoseconds: UInt64, bitsPerSecond: UInt64, bufferBytes: Int? = nil, jitterNanoseconds: UInt64 = 0, seed: UInt64 = 1
    ) {
        precondition(bitsPerSecond > 0, "a link that carries nothing")
        self.roundTripNanoseconds = roundTripNanoseconds
        self.bitsPerSecond = bitsPerSecond
        self.bufferBytes = bufferBytes
            ?? Self.bufferBytesDefault(roundTripNanoseconds: roundTripNanoseconds, bitsPerSecond: bitsPerSecond)
        self.jitterNanoseconds = jitterNanoseconds
        self.seed = seed
    }

    /// The buffer of a link of which nothing else is said is at least this: a few reads of a relay.
    public static let bufferBytesDefaultMin = 128 << 10

    /// One bandwidth-delay product, what a router's buffer is by the old rule, and at least ``bufferBytesDefaultMin``.
    public static func bufferBytesDefault(roundTripNanoseconds: UInt64, bitsPerSecond: UInt64) -> Int {
        max(bufferBytesDefaultMin, bandwidthDelayBytes(roundTripNanoseconds, bitsPerSecond))
    }

    /// What is under way in a round trip when the link is full: a window below this cannot fill it.
    public var bandwidthDelayBytes: Int { Self.bandwidthDelayBytes(roundTripNanoseconds, bitsPerSecond) }

    private static func bandwidthDelayBytes(_ roundTrip: UInt64, _ bitsPerSecond: UInt64) -> Int {
        Int(clamping: UInt128(roundTrip) * UInt128(bitsPerSecond) / LinkDirection.bitNanosecondsPerByte)
    }
}
