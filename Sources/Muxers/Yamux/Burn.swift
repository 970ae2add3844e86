#if STREAMGAUGE_BURN
/// Cycles that are spent for nothing on every data frame that yamux sends: a slow-down of a known kind, to try whether a comparison finds it. Only in builds that
/// ask for it: `STREAMGAUGE_BURN=1 swift build --scratch-path .build-burn`.
struct Burn {
    /// Of a multiplication that waits for the one before it: four cycles each on current processors. What share of the run they are is measured by `scripts/check-compare`.
    private static let multiplications = 3
    /// Kept, so that the work is not left out.
    private var value: UInt64 = 1

    @inline(__always)
    mutating func perFrame() {
        for _ in 0..<Self.multiplications { value = value &* 0x5851_f42d_4c95_7f2d &+ 0x1405_7b7e_f767_814f }
    }
}
#endif
