/// How evenly streams were served.
public struct Fairness: Sendable, Equatable {
    /// Jain's index, (Σx)² / (n Σx²): 1 when all streams moved the same, 1/n when one moved everything.
    public let jain: Double
    /// Streams that moved less than ``starvedShare`` of the mean.
    public let starvedStreams: Int
    public let bytesMin: UInt64
    public let bytesMax: UInt64
    /// The longest time any stream went without a delivery inside the measured window.
    public let longestSilenceNanoseconds: UInt64?

    /// Under a fair scheduler streams differ by a few percent; a tenth of the mean is no accident.
    public static let starvedShare = 0.1

    /// - Parameters:
    ///   - bytesPerStream: what each stream delivered in the measured window, those that delivered nothing included.
    ///   - longestSilenceNanoseconds: nil when it was not observed.
    /// - Returns: nil when there are no streams or nothing was delivered: then there is no fairness to speak of.
    public init?(bytesPerStream: [UInt64], longestSilenceNanoseconds: UInt64? = nil) {
        guard let least = bytesPerStream.min(), let most = bytesPerStream.max(), most > 0 else { return nil }
        // Scaled by the largest, so that squares of byte counts stay far inside a double's range and precision.
        let shares = bytesPerStream.map { Double($0) / Double(most) }
        let sum = shares.reduce(0, +)
        let squares = shares.reduce(0) { $0 + $1 * $1 }
        jain = min(1, sum * sum / (Double(shares.count) * squares))
        let threshold = Self.starvedShare * sum / Double(shares.count)
        starvedStreams = shares.count { $0 < threshold }
        bytesMin = least
        bytesMax = most
        self.longestSilenceNanoseconds = longestSilenceNanoseconds
    }
}
