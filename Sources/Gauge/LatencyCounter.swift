import Bytes

/// Counts spans of time in the classes of ``LatencyHistogram``, for the hot path.
///
/// The library's own recording copies its state and checks for exclusivity and uniqueness on every call when it sits in a class: 20 ns against 2 for this
/// table, which cannot be copied and owns its memory. At the end the counts are handed to the library, which knows everything else.
///
/// The classes, for three significant digits: values up to 2,047 have one each; above, a value is shifted right until it is below 2,048, and
/// with the shift `b` it falls into class `1024 * b + (value >> b)`.
struct LatencyCounter: ~Copyable {
    private var counts: Slab<UInt64>
    private var least = UInt64.max
    private var most: UInt64 = 0

    /// Shifts of 0...31 bring one hour below 2,048; each adds 1,024 classes and the first has 2,048.
    private static let classCount = 33 * 1024

    init() {
        counts = Slab(capacity: Self.classCount)
        for _ in 0..<Self.classCount { _ = counts.insert(0) }
    }

    /// Counts one span; more than an hour counts as an hour.
    @inline(__always)
    mutating func record(_ nanoseconds: UInt64) {
        let value = min(nanoseconds, LatencyHistogram.nanosecondsMax)
        counts[Self.classIndex(value)] &+= 1
        if value < least { least = value }
        if value > most { most = value }
    }

    @inline(__always)
    mutating func reset() {
        guard least <= most else { return }
        for index in Self.classIndex(least)...Self.classIndex(most) { counts[index] = 0 }
        least = .max
        most = 0
    }

    /// Smallest and largest span counted, or nil when there was none.
    @inline(__always)
    var range: (least: UInt64, most: UInt64)? { least <= most ? (least, most) : nil }

    @inline(__always)
    subscript(classIndex: Int) -> UInt64 { counts[classIndex] }

    /// The histogram of a counter that is read piece by piece.
    ///
    /// The counter is not passed as a whole because its owner is a class: an access that lasted for all of this would make every `record` there check for
    /// exclusivity at run time.
    static func histogram(range: (least: UInt64, most: UInt64)?, count: (Int) -> UInt64) -> LatencyHistogram {
        guard let range else { return LatencyHistogram() }
        var classes: [(lowest: UInt64, count: UInt64)] = []
        for index in classIndex(range.least)...classIndex(range.most) {
            let count = count(index)
            if count > 0 { classes.append((lowestValue(index), count)) }
        }
        return LatencyHistogram(classes: classes, min: range.least, max: range.most)
    }

    @inline(__always)
    private static func classIndex(_ value: UInt64) -> Int {
        let shift = 53 &- (value | 2047).leadingZeroBitCount
        return Int(truncatingIfNeeded: UInt64(truncatingIfNeeded: shift &<< 10) &+ value &>> UInt64(truncatingIfNeeded: shift))
    }

    private static func lowestValue(_ index: Int) -> UInt64 {
        let shift = max(index >> 10, 1) - 1
        return UInt64(index - shift << 10) << UInt64(shift)
    }
}
