/// What one thread did in a window of time: was running on a core, was ready but had none, or was blocked.
///
/// ```
///            switched in
///   ready ────────────────▶ running
///     ▲  ◀────────────────    │
///     │   preempted           │ switched out, to wait
///     │                       ▼
///     └─────────────────── blocked
///          somebody wakes it
/// ```
public struct ThreadStates: Sendable, Equatable {
    public let name: String
    public let threadID: Int32
    /// 0 when it never gave up its core, which would have told.
    public fileprivate(set) var processID: Int32 = 0
    public fileprivate(set) var running_ns: UInt64 = 0
    public fileprivate(set) var ready_ns: UInt64 = 0
    public fileprivate(set) var blocked_ns: UInt64 = 0
    /// Times it gave up its core to wait for something.
    public fileprivate(set) var waits: UInt64 = 0
    /// Times its core was taken from it.
    public fileprivate(set) var preemptions: UInt64 = 0
}

/// Follows threads through the scheduler's tracepoints, `sched:sched_switch` and `sched:sched_waking`, and perf's own records of switches, in order of time.
///
/// Some kernels do not pass the tracepoint when a core comes from its idle loop, so that a thread would be taken to be ready while it runs; perf's records tell of
/// each switch, without stacks.
///
/// Call order: ``take(_:)`` for each event, ``finish()`` once. Every nanosecond of the window is in one state of a thread, so shares add up to the window.
public struct SchedulerTrace {
    private enum State {
        case running
        case ready
        /// Whoever wakes a thread does so after it was switched out, or just before while it is on its way: then no waking comes, and it was ready all the time.
        case out(stack: [PerfFrame], wokenAt: UInt64?)
    }

    private struct Thread {
        var states: ThreadStates
        var state: State
        var since: UInt64
    }

    private let window: Range<UInt64>
    private let processes: Set<Int32>
    private let isWanted: (String) -> Bool
    private var threads: [Int32: Thread] = [:]
    private var blocked: [Int32: StackCounts<PerfFrame>] = [:]
    private var last: UInt64 = 0
    /// Events that were no scheduler's, or not as they must be.
    public private(set) var unreadableEvents = 0

    /// - Parameters:
    ///   - window: by the clock of the events.
    ///   - processes: whose threads are told of.
    ///   - isWanted: which threads, by their names.
    public init(window: Range<UInt64>, processes: Set<Int32>, isWanted: @escaping (String) -> Bool) {
        self.window = window
        self.processes = processes
        self.isWanted = isWanted
    }

    public mutating func take(_ sample: PerfSample) {
        last = max(last, sample.time_ns)
        switch sample.event {
        case "sched:sched_switch":
            guard let change = SwitchFields(sample.fields) else { return unreadableEvents += 1 }
            leave(change, sample)
            arrive(change.nextID, change.next, sample.time_ns)
        case "sched:sched_waking":
            guard let fields = WakingFields(sample.fields) else { return unreadableEvents += 1 }
            wake(fields, sample.time_ns)
        // How perf writes the records of `--switch-events`; a thread's leaving has its stack in the tracepoint's event.
        case let event where event.hasPrefix("PERF_RECORD_SWITCH_CPU_WIDE IN"): arrive(sample.threadID, sample.thread, sample.time_ns)
        case let event where event.hasPrefix("PERF_RECORD_SWITCH_CPU_WIDE OUT"): break
        default: unreadableEvents += 1
        }
    }

    private mutating func leave(_ change: SwitchFields, _ sample: PerfSample) {
        guard change.previousID > 0, isWanted(change.previous) else { return }
        meet(change.previousID, change.previous, .running)
        // The event happens on the thread that leaves, so it tells whose that is.
        threads[change.previousID]?.states.processID = sample.processID
        account(change.previousID, until: sample.time_ns)
        if window.contains(sample.time_ns) {
            if change.isPreempted { threads[change.previousID]?.states.preemptions += 1 } else { threads[change.previousID]?.states.waits += 1 }
        }
        threads[change.previousID]?.state = change.isPreempted ? .ready : .out(stack: sample.stack, wokenAt: nil)
    }

    private mutating func arrive(_ number: Int32, _ name: String, _ time: UInt64) {
        guard number > 0, isWanted(name) else { return }
        meet(number, name, .ready)
        account(number, until: time)
        threads[number]?.state = .running
    }

    private mutating func wake(_ fields: WakingFields, _ time: UInt64) {
        guard fields.threadID > 0, isWanted(fields.name) else { return }
        meet(fields.threadID, fields.name, .out(stack: [], wokenAt: nil))
        if case .out(let stack, nil) = threads[fields.threadID]?.state { threads[fields.threadID]?.state = .out(stack: stack, wokenAt: time) }
    }

    /// A thread of which nothing was heard yet has been in `state` all the time.
    private mutating func meet(_ number: Int32, _ name: String, _ state: State) {
        guard threads[number] == nil else { return }
        threads[number] = Thread(states: ThreadStates(name: name, threadID: number), state: state, since: 0)
    }

    /// Adds the time from the last change until `time` to the state in which the thread was.
    private mutating func account(_ number: Int32, until time: UInt64, isLast: Bool = false) {
        guard var thread = threads[number], time >= thread.since else { return }
        switch thread.state {
        case .running: thread.states.running_ns += inWindow(thread.since, time)
        case .ready: thread.states.ready_ns += inWindow(thread.since, time)
        case .out(let stack, let wokenAt):
            let woken = min(wokenAt ?? (isLast ? time : thread.since), time)
            let wait = inWindow(thread.since, woken)
            thread.states.blocked_ns += wait
            thread.states.ready_ns += inWindow(woken, time)
            blocked[number, default: StackCounts()].add(stack, wait)
        }
        thread.since = time
        threads[number] = thread
    }

    private func inWindow(_ begin: UInt64, _ end: UInt64) -> UInt64 {
        let (low, high) = (max(begin, window.lowerBound), min(end, window.upperBound))
        return high > low ? high - low : 0
    }

    /// The threads, by process and name, each with its stacks of waiting in nanoseconds. A thread of which nothing was heard after some time stays as it was.
    public mutating func finish() -> [(states: ThreadStates, blocked: StackCounts<PerfFrame>)] {
        for number in threads.keys { account(number, until: max(window.upperBound, last), isLast: true) }
        return threads.values.map(\.states).filter { processes.contains($0.processID) }
            .sorted { ($0.processID, $0.name, $0.threadID) < ($1.processID, $1.name, $1.threadID) }
            .map { ($0, blocked[$0.threadID] ?? StackCounts()) }
    }
}

/// What `sched:sched_switch` tells. Names of threads may have blanks and equal signs in them.
struct SwitchFields: Equatable {
    let previous: String
    let previousID: Int32
    /// It could have gone on.
    let isPreempted: Bool
    let next: String
    let nextID: Int32

    init?(_ text: String) {
        guard let arrow = text.ranges(of: " ==> next_comm=").last, let state = text[..<arrow.lowerBound].ranges(of: " prev_state=").last,
            let previousID = text[..<state.lowerBound].ranges(of: " prev_pid=").last, text.hasPrefix("prev_comm="),
            let nextID = text[arrow.upperBound...].ranges(of: " next_pid=").last,
            let from = Self.number(text[previousID.upperBound...]), let to = Self.number(text[nextID.upperBound...]) else { return nil }
        previous = String(text[text.index(text.startIndex, offsetBy: 10)..<previousID.lowerBound])
        self.previousID = from
        isPreempted = text[state.upperBound..<arrow.lowerBound].hasPrefix("R")
        next = String(text[arrow.upperBound..<nextID.lowerBound])
        self.nextID = to
    }

    static func number(_ text: Substring) -> Int32? { Int32(text.prefix { $0 != " " }) }
}

/// What `sched:sched_waking` tells.
struct WakingFields: Equatable {
    let name: String
    let threadID: Int32

    init?(_ text: String) {
        guard text.hasPrefix("comm="), let place = text.ranges(of: " pid=").last, let number = SwitchFields.number(text[place.upperBound...]) else { return nil }
        name = String(text[text.index(text.startIndex, offsetBy: 5)..<place.lowerBound])
        threadID = number
    }
}
