import Bytes

/// A checksum of a message that can be added up from fragments in any order.
///
/// The message is seen as little-endian 32-bit words `u(j)`; the sum is `K * Σ u(j) * (2j + 1)` modulo 2^64, with K odd. A byte at any offset
/// contributes its place value in its word times the word's weight, so any fragmentation gives the same sum.
///
/// What it is certain to see: a change of any one word (a weight is odd, so it never cancels), and two different words exchanged (a difference below
/// 2^32 times a difference of weights below 2^32 is not 0 modulo 2^64; with 64-bit words two words that differ only in the top bit could be exchanged
/// unseen). Against an adversary it is worth nothing; payload is compared byte for byte where that matters.
public enum PayloadChecksum {
    private static let multiplier: UInt64 = 0xd6e8_feb8_6659_fd93

    /// What a fragment on its way out adds to its message's checksum.
    public static func partial(of slice: borrowing QueuedSlice, atOffset offset: UInt64) -> UInt64 {
        partial(slice.bytes, atOffset: offset)
    }

    /// What a fragment adds to its message's checksum; parts are added with `&+`.
    ///
    /// - Parameters:
    ///   - bytes: the fragment.
    ///   - offset: where in the message the fragment begins.
    public static func partial(_ bytes: RawSpan, atOffset offset: UInt64) -> UInt64 {
        var index = 0
        var position = offset
        var sum: UInt64 = 0
        while index < bytes.byteCount, position & 7 != 0 {
            sum &+= single(bytes.byte(at: index), at: position)
            index &+= 1
            position &+= 1
        }
        let wholeBytes = (bytes.byteCount &- index) & ~7
        sum &+= whole(bytes.extracting(index..<index &+ wholeBytes), weight: position / 2 &+ 1)
        index &+= wholeBytes
        position &+= UInt64(truncatingIfNeeded: wholeBytes)
        while index < bytes.byteCount {
            sum &+= single(bytes.byte(at: index), at: position)
            index &+= 1
            position &+= 1
        }
        return sum &* multiplier
    }

    private static func single(_ byte: UInt8, at position: UInt64) -> UInt64 {
        (UInt64(byte) << (8 &* (position & 3))) &* (2 &* (position >> 2) &+ 1)
    }

    /// Pairs of words that begin at a multiple of 8. The pair's weights are w and w + 2, so low * w + high * (w + 2) takes one multiplication:
    /// (low + high) * w + 2 * high.
    private static func whole(_ bytes: RawSpan, weight first: UInt64) -> UInt64 {
        var weighted: UInt64 = 0
        var highs: UInt64 = 0
        var weight = first
        var index = 0
        while index &+ 8 <= bytes.byteCount {
            let pair = bytes.littleEndian64(at: index)
            let high = pair >> 32
            weighted &+= ((pair & 0xffff_ffff) &+ high) &* weight
            highs &+= high
            weight &+= 4
            index &+= 8
        }
        return weighted &+ 2 &* highs
    }

    /// What message number `message` adds to its stream's ``Receipt/checksum``: two messages exchanged change the sum.
    public static func folded(_ messageChecksum: UInt64, message: UInt64) -> UInt64 {
        var mixed = messageChecksum ^ (message &* 0x9e37_79b9_7f4a_7c15)
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
