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
/// Call order: ``warmUp()`` when traffic begins, ``begin(at:)`` when the window does, ``endSending()`` when it ends; ``notes`` last. What was sent in the window
/// is noted by its receiver whenever it comes. The warm-up finds out about how many messages to take, as taking too many is what costs.
final class StageRecorder {
    /// The lists of both classes of flows.
    private struct Lists: ~Copyable {
        var first = StageSampleList()
        var others = StageSampleList()

        func isSampled(_ message: UInt64, key: UInt64, flow: UInt32) -> Bool {
            (StageSample.classOf(flow) == 0 ? first.rule : others.rule).isSampled(message: message, key: key)
        }

        func rankMax(ofFirst isFirst: Bool) -> UInt64 { isFirst ? first.rule.rankMax : others.rule.rankMax }

        /// Whether there were too many, and fewer are taken from here on.
        mutating func add(_ sample: StageSample) -> Bool {
            StageSample.classOf(sample.flow) == 0 ? first.add(sample) : others.add(sample)
        }

        mutating func restart() {
            first.restart()
            others.restart()
        }

        var direction: StageNotes.Direction {
            var direction = StageNotes.Direction()
            first.append(to: &direction, asClass: 0)
            others.append(to: &direction, asClass: 1)
            return direction
        }
    }

    private struct State: ~Copyable {
        var sent = Lists()
        var received = Lists()
        var isSending = false
        var isReceiving = false
        /// What was sent before is the warm-up's.
        var beganAt: Nanoseconds = 0
    }

    private let state = Owned(State())
    /// Told when other messages are wanted than before.
    var wantsChanged: () -> Void = {}

    func warmUp() {
        state.value.isSending = true
        state.value.isReceiving = true
        wantsChanged()
    }

    func begin(at now: Nanoseconds) {
        state.value.sent.restart()
        state.value.received.restart()
        state.value.beganAt = now
        warmUp()
    }

    func endSending() {
        state.value.isSending = false
        wantsChanged()
    }

    /// No message of a higher rank (``/Gauge/SampleRule/rank(message:streamKey:)``) is wanted: of those sent and those received.
    func rankMax(ofFirst isFirst: Bool) -> (sent: UInt64, received: UInt64) {
        (state.value.isSending ? state.value.sent.rankMax(ofFirst: isFirst) : 0, state.value.isReceiving ? state.value.received.rankMax(ofFirst: isFirst) : 0)
    }

    /// Whether the times of a message that is being sent are wanted.
    func wantsSent(_ message: UInt64, key: UInt64, flow: UInt32) -> Bool {
        state.value.isSending && state.value.sent.isSampled(message, key: key, flow: flow)
    }

    func sent(_ sample: StageSample) {
        if sample.first >= state.value.beganAt, state.value.sent.add(sample) { wantsChanged() }
    }

    /// Too many messages of a flow's class wait to be written at once for each to be looked after.
    func thinSent(flow: UInt32) {
        if StageSample.classOf(flow) == 0 { state.value.sent.first.thin() } else { state.value.sent.others.thin() }
        wantsChanged()
    }

    func wantsReceived(_ message: UInt64, key: UInt64, flow: UInt32) -> Bool {
        state.value.isReceiving && state.value.received.isSampled(message, key: key, flow: flow)
    }

    func received(_ sample: StageSample) {
        if state.value.received.add(sample) { wantsChanged() }
    }

    var notes: StageNotes { StageNotes(bootID: StageNotes.bootIDHere, sent: state.value.sent.direction, received: state.value.received.direction) }
}

/// Sampled messages of one connection that wait to be written, by class of flow.
struct UnwrittenStages: ~Copyable {
    struct Entry: BitwiseCopyable {
        var stream: StreamHandle
        /// Where the message ends, in bytes sent on the stream.
        var end: UInt64
        /// Its second time is not known yet.
        var sample: StageSample
    }

    private struct List: ~Copyable {
        var entries = Stack<Entry>()
        let entriesMax: Int

        init(entriesMax: Int) { self.entriesMax = entriesMax }

        mutating func keep(_ isKept: (Entry) -> Bool) {
            var kept = 0
            for index in 0..<entries.count where isKept(entries[index]) {
                entries[kept] = entries[index]
                kept += 1
            }
            while entries.count > kept { _ = entries.pop() }
        }

        mutating func add(_ entry: Entry, to recorder: StageRecorder) {
            entries.push(entry)
            guard entries.count > entriesMax else { return }
            recorder.thinSent(flow: entry.sample.flow)
            keep { recorder.wantsSent($0.sample.message, key: $0.sample.key, flow: $0.sample.flow) }
        }

        mutating func settle(at time: Nanoseconds, to recorder: StageRecorder, _ position: (StreamHandle) -> UInt64?) {
            keep { entry in
                guard let position = position(entry.stream) else { return false }
                guard position >= entry.end else { return true }
                var sample = entry.sample
                sample.second = time
                recorder.sent(sample)
                return false
            }
        }
    }

    // Every write looks at each of them, so they are few: when there are more the class is sampled less. What goes on beside the first flow is bulk, which waits in long queues and is
    // there in plenty.
    private var first = List(entriesMax: 32)
    private var others = List(entriesMax: 8)

    var isEmpty: Bool { first.entries.isEmpty && others.entries.isEmpty }

    mutating func add(_ entry: Entry, to recorder: StageRecorder) {
        if StageSample.classOf(entry.sample.flow) == 0 { first.add(entry, to: recorder) } else { others.add(entry, to: recorder) }
    }

    /// Hands over what has been written, by a write that began at `time`.
    ///
    /// - Parameter position: up to where a stream has been written, or nil when nothing is known of it any more.
    mutating func settle(at time: Nanoseconds, to recorder: StageRecorder, position: (StreamHandle) -> UInt64?) {
        first.settle(at: time, to: recorder, position)
        others.settle(at: time, to: recorder, position)
    }
}
