/// The generator of Steele, Lea and Flood ("Fast splittable pseudorandom number generators", 2014): the same seed gives the same numbers on every
/// machine and with every version of Swift, so an interval that was printed can be computed again from the record.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1. Without rejection: the bias is `bound` / 2^64.
    mutating func index(below bound: Int) -> Int { Int(UInt64(bound).multipliedFullWidth(by: next()).high) }
}
