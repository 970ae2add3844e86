import Bytes
import Gauge
import Kernel
import Muxers
import P2P

/// Notes the times of sampled messages at one end of a run, on one loop: both what its handlers send and what they receive. Off the loop's thread it is not touched.
///
/// The sender cannot put into a message when the kernel got it, as it is sealed by then, and the message's bytes are what both ends verify; so each
/// end notes what it sees, and ``StageNotes`` of both are joined message by message when the run is over.
///
/// Call order: ``begin()`` when the window begins, ``endSending()`` when it ends; ``takeNotes(into:)`` last. What was sent in the window is noted by its receiver
/// whenever it comes.
final class StageRecorder {
    private struct State: ~Copyable {
        var sent = StageSampleList()
        var received = StageSampleList()
        var isSending = false
        var isReceiving = false
    }

    private let state = Owned(State())

    func begin() {
        state.value.sent.removeAll()
        state.value.received.removeAll()
        state.value.isSending = true
        state.value.isReceiving = true
    }

    func endSending() { state.value.isSending = false }

    /// Whether the times of a message that is being sent are wanted.
    @inline(__always)
    func wantsSent(_ message: UInt64, key: UInt64) -> Bool {
        state.value.isSending && state.value.sent.rule.isSampled(message: message, key: key)
    }

    func sent(_ sample: StageSample) { state.value.sent.add(sample) }

    /// Too many messages wait to be written at once for each to be looked after.
    func thinSent() { state.value.sent.thin() }

    @inline(__always)
    func wantsReceived(_ message: UInt64, key: UInt64) -> Bool {
        state.value.isReceiving && state.value.received.rule.isSampled(message: message, key: key)
    }

    func received(_ sample: StageSample) { state.value.received.add(sample) }

    func takeNotes(into notes: inout StageNotes) {
        var (sent, received): ([StageSample], [StageSample]) = ([], [])
        state.value.sent.appendAll(to: &sent)
        state.value.received.appendAll(to: &received)
        notes.sent.merge(state.value.sent.rule, sent)
        notes.received.merge(state.value.received.rule, received)
    }
}

/// Sampled messages of one connection that wait to be written.
struct UnwrittenStages: ~Copyable {
    struct Entry: BitwiseCopyable {
        var stream: StreamHandle
        /// Where the message ends, in bytes sent on the stream.
        var end: UInt64
        /// Its second time is not known yet.
        var sample: StageSample
    }

    /// Every write looks at each of them.
    static let entriesMax = 256

    private var entries = Stack<Entry>()

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ entry: Entry, to recorder: StageRecorder) {
        entries.push(entry)
        guard entries.count > Self.entriesMax else { return }
        recorder.thinSent()
        keep { recorder.wantsSent($0.sample.message, key: $0.sample.key) }
    }

    /// Hands over what has been written, by a write that began at `time`.
    ///
    /// - Parameter position: up to where a stream has been written, or nil when nothing is known of it any more.
    mutating func settle(at time: Nanoseconds, to recorder: StageRecorder, position: (StreamHandle) -> UInt64?) {
        keep { entry in
            guard let position = position(entry.stream) else { return false }
            guard position >= entry.end else { return true }
            var sample = entry.sample
            sample.second = time
            recorder.sent(sample)
            return false
        }
    }

    private mutating func keep(_ isKept: (Entry) -> Bool) {
        var kept = 0
        for index in 0..<entries.count where isKept(entries[index]) {
            entries[kept] = entries[index]
            kept += 1
        }
        while entries.count > kept { _ = entries.pop() }
    }
}
