import Bytes

/// How many streams may be opened before the far end has answered on those that were: an opening is few bytes and much work, such as a thread or a task, several
/// writes and an answer, and a mark's answer comes before that work is done.
///
/// Not every stream is answered, so an opening is waited for until its stream brings something, and no longer than `roundsMax` answers to marks.
struct OpeningPace: BitwiseCopyable {
    /// Answers to marks after which the far end is not expected to answer on the streams that were opened.
    private static let roundsMax = 3

    /// Openings that are waited for.
    private var unanswered = 0
    /// Openings that were answered, in all.
    private(set) var answeredCount: UInt64 = 0
    /// How many may be waited for by what was measured.
    private var measuredMax = 1
    /// Answers to marks since the last opening.
    private var rounds = 0

    /// Whether the next opening has to wait.
    ///
    /// - Parameter least: how many may be waited for in any case.
    @inline(__always) func isFull(least: Int) -> Bool { unanswered >= max(least, measuredMax) }

    mutating func sent() {
        unanswered += 1
        rounds = 0
    }

    /// The far end has sent something on a stream whose opening was waited for.
    mutating func answered() {
        answeredCount &+= 1
        forget()
    }

    /// An opening that was waited for came back unsent, or its stream is no more.
    mutating func forget() { unanswered = max(unanswered - 1, 0) }

    /// A mark was answered.
    ///
    /// - Parameters:
    ///   - answeredAtSend: `answeredCount` when the mark was sent.
    ///   - share: the shortest round trip by this one.
    mutating func roundEnded(answeredAtSend: UInt64, share: Double) {
        rounds += 1
        if rounds >= Self.roundsMax {
            answeredCount &+= UInt64(unanswered)
            unanswered = 0
        }
        // As with bytes: twice the rate of answers over this round trip, times the shortest round trip.
        measuredMax = max(Int(2 * Double(answeredCount &- answeredAtSend) * share), 1)
    }
}
