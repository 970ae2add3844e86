#if BurnsCycles
/// Cycles that are spent for nothing on every data frame that yamux sends: a slow-down of a known kind, to try whether a comparison finds it. Only in builds that
/// ask for it: `swift build --traits BurnsCycles --scratch-path .build-burn`.
struct Burn {
    /// Each waits for the one before it, some five cycles on current processors; part of that passes beside other work. What is left of it in a run is what
    /// `scripts/check-compare` measures.
    private static let steps = 18
    /// Kept, so that the work is not left out.
    private var value: UInt64 = 1

    /// A shift and a multiplication: of multiplications and additions alone the compiler makes one.
    @inline(__always)
    mutating func perFrame() {
        for _ in 0..<Self.steps { value = (value ^ value >> 29) &* 0x5851_f42d_4c95_7f2d }
    }
}
#endif
