import Foundation

/// Random numbers that a seed repeats exactly (SplitMix64), for tests that must be replayable.
///
/// Use: run the test over `SeededGenerator.seeds(count)` as arguments, so that a failure names its seed; then
/// `STREAMGAUGE_SEED=<seed>` in the environment runs that one alone.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    public let seed: UInt64
    private var state: UInt64

    public init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number of the range, each as likely as the others (but for a bias far below what a test sees).
    public mutating func int(_ range: ClosedRange<Int>) -> Int {
        let width = UInt64(range.upperBound - range.lowerBound) &+ 1
        return range.lowerBound + Int(next() % width)
    }

    /// True once in `count` times on average.
    public mutating func oneIn(_ count: Int) -> Bool { next() % UInt64(count) == 0 }

    /// A size with many small values, some large, and now and then a power of two and its neighbours, where mistakes live.
    public mutating func size(upTo limit: Int) -> Int {
        switch next() % 4 {
        case 0: return int(0...min(limit, 16))
        case 1: return min(limit, max(0, (1 << int(0...20)) + int(-1...1)))
        default: return int(0...limit)
        }
    }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        var result = [UInt8]()
        result.reserveCapacity(count + 8)
        while result.count < count {
            var word = next()
            for _ in 0..<8 {
                result.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        result.removeLast(result.count - count)
        return result
    }

    /// The seeds a randomised test runs over: `count` fixed ones, or the one that the environment asks for.
    public static func seeds(_ count: Int) -> [UInt64] {
        if let text = ProcessInfo.processInfo.environment["STREAMGAUGE_SEED"], let seed = UInt64(text) { return [seed] }
        return (0..<UInt64(count)).map { 0x5EED + $0 * 7919 }
    }
}
