/// What one event loop records while the measured window is open: latencies, what its handlers sent and received, and the same per interval.
///
/// One recorder belongs to one thread and is not shared; at the end ``recording()`` gives a value that can be merged with the other threads'
/// and sent to the other process. Nothing is allocated between `init` and `recording()`.
///
/// Call order: records before ``begin(at:)`` are the warm-up and are dropped; ``end(at:)`` closes the window and later records are ignored, so that
/// handlers need not know about the window at all.
public final class Recorder {
    private var latency = LatencyCounter()
    private var service = LatencyCounter()
    private var pacerLateness = LatencyCounter()
    private var hot = Hot()
    private var intervals: [Recording.Interval]
    private let intervalNanoseconds: UInt64

    /// The words that every record touches, together.
    private struct Hot {
        var totals = Recording.Totals()
        var atIntervalStart = Recording.Totals()
        var intervalEnd = UInt64.max
        var intervalIndex = 0
        var beganAt: UInt64 = 0
        var endedAt: UInt64 = 0
        var isMeasuring = false
        var hasBegun = false
    }

    /// - Parameters:
    ///   - intervalNanoseconds: length of one interval of the series.
    ///   - intervalsMax: room for this many intervals; what comes later is added to the last one.
    public init(intervalNanoseconds: UInt64 = 1_000_000_000, intervalsMax: Int = 3600) {
        precondition(intervalNanoseconds > 0 && intervalsMax > 0)
        self.intervalNanoseconds = intervalNanoseconds
        intervals = Array(repeating: Recording.Interval(), count: intervalsMax)
    }

    public var isMeasuring: Bool { hot.isMeasuring }

    /// Opens the measured window.
    public func begin(at now: UInt64) {
        latency.reset()
        service.reset()
        pacerLateness.reset()
        for index in 0...hot.intervalIndex { intervals[index] = Recording.Interval() }
        hot = Hot()
        hot.isMeasuring = true
        hot.hasBegun = true
        hot.beganAt = now
        hot.endedAt = now
        hot.intervalEnd = now + intervalNanoseconds
    }

    /// Closes the measured window.
    public func end(at now: UInt64) {
        guard hot.isMeasuring else { return }
        rollIntervals(to: now)
        storeInterval()
        hot.isMeasuring = false
        hot.endedAt = now
        hot.intervalEnd = .max
    }

    /// Response time: from the intended start (open loop) or the actual one (closed loop).
    public func recordLatency(_ nanoseconds: UInt64) {
        guard hot.isMeasuring else { return }
        latency.record(nanoseconds)
    }

    /// Service time: from the actual start, in open loop.
    public func recordService(_ nanoseconds: UInt64) {
        guard hot.isMeasuring else { return }
        service.record(nanoseconds)
    }

    /// How much later than planned the pacer started an operation.
    public func recordPacerLateness(_ nanoseconds: UInt64) {
        guard hot.isMeasuring else { return }
        pacerLateness.record(nanoseconds)
    }

    /// Payload that handlers of this thread queued.
    public func sent(bytes: Int, messages: Int) {
        guard hot.isMeasuring else { return }
        hot.totals.payloadBytesSent &+= UInt64(truncatingIfNeeded: bytes)
        hot.totals.messagesSent &+= UInt64(truncatingIfNeeded: messages)
    }

    /// Payload that reached handlers of this thread: goodput.
    public func received(bytes: Int, messages: Int, at now: UInt64) {
        guard hot.isMeasuring else { return }
        if now >= hot.intervalEnd { rollIntervals(to: now) }
        hot.totals.payloadBytesReceived &+= UInt64(truncatingIfNeeded: bytes)
        hot.totals.messagesReceived &+= UInt64(truncatingIfNeeded: messages)
    }

    /// Requests, streams or connections that came to their end as planned.
    public func completed(_ operations: Int, at now: UInt64) {
        guard hot.isMeasuring else { return }
        if now >= hot.intervalEnd { rollIntervals(to: now) }
        hot.totals.operationsCompleted &+= UInt64(truncatingIfNeeded: operations)
    }

    /// Requests, streams or connections that did not.
    public func failed(_ operations: Int) {
        guard hot.isMeasuring else { return }
        hot.totals.operationsFailed &+= UInt64(truncatingIfNeeded: operations)
    }

    /// The counts so far, for live lines; a cheap copy, taken on the owner's thread.
    public var totals: Recording.Totals { hot.totals }

    /// Everything recorded, as a value.
    public func recording() -> Recording {
        storeInterval()
        return Recording(
            latency: LatencyCounter.histogram(range: latency.range) { latency[$0] },
            service: LatencyCounter.histogram(range: service.range) { service[$0] },
            pacerLateness: LatencyCounter.histogram(range: pacerLateness.range) { pacerLateness[$0] }, totals: hot.totals,
            intervals: hot.hasBegun ? Array(intervals[0...hot.intervalIndex]) : [],
            intervalNanoseconds: intervalNanoseconds, beganAt: hot.beganAt, endedAt: hot.endedAt)
    }

    private func rollIntervals(to now: UInt64) {
        while now >= hot.intervalEnd {
            storeInterval()
            guard hot.intervalIndex + 1 < intervals.count else {
                hot.intervalEnd = .max
                return
            }
            hot.intervalIndex += 1
            hot.atIntervalStart = hot.totals
            hot.intervalEnd &+= intervalNanoseconds
        }
    }

    private func storeInterval() {
        let change = hot.totals - hot.atIntervalStart
        intervals[hot.intervalIndex] = Recording.Interval(
            payloadBytesReceived: change.payloadBytesReceived, messagesReceived: change.messagesReceived,
            operationsCompleted: change.operationsCompleted)
    }
}
