/// What one repeat gave. Figures are of the measured window, except the ledger, which covers the connections' whole life, and memory, which is
/// taken at a moment that the key's description names. `results/README.md` describes every key.
///
/// Everything is absent ("not measured") until it is set; what can be computed from other figures is computed when the record is written.
public struct RunFigures: Codable, Sendable, Equatable {
    /// Which repeat this is, from 1.
    public var repeatIndex = 1
    /// Whether the repeat may be believed; ``invalidReasons`` says why not.
    public var valid = true
    /// Why the repeat must not be believed, as sentences. Empty when it is valid.
    public var invalidReasons: [String] = []
    /// The run did not reach its end: it was interrupted, or something failed; figures are of what was measured until then.
    public var partial = false
    /// UTC, ISO 8601.
    public var startedAt: Measured<String> = .unmeasured
    /// Length of the measured window.
    public var durationSeconds: Double = 0
    /// Payload that reached handlers in the measured window, all directions together.
    public var payloadBytes: UInt64 = 0
    /// Completed requests, streams (churn), connections (connect), or else messages received.
    public var messages: UInt64 = 0
    /// Requests, streams or connections that failed.
    public var failures: UInt64 = 0
    /// Payload that the receiving handlers got, in the window and by their clock; both directions together.
    public var goodputBytesPerSecond: Measured<Double> = .unmeasured
    /// From client to server.
    public var goodputUpBytesPerSecond: Measured<Double> = .unmeasured
    /// From server to client.
    public var goodputDownBytesPerSecond: Measured<Double> = .unmeasured
    /// ``messages`` by the length of the window.
    public var messagesPerSecond: Measured<Double> = .unmeasured
    /// From sending a request, or with a rate from when it was due, to its complete answer.
    public var latency: Measured<LatencySummary> = .unmeasured
    /// From when a request was really sent to its complete answer.
    public var service: Measured<LatencySummary> = .unmeasured
    /// With a rate: how late the generator itself was.
    public var pacerLateness: Measured<LatencySummary> = .unmeasured
    /// How connections came up, step by step.
    public var connectSteps: Measured<[ConnectStep]> = .unmeasured
    /// Where the time of messages went: for each flow and direction that has any, over the sampled messages that were sent and received in the window.
    public var latencyStages: Measured<[LatencyStages]> = .unmeasured
    /// The emulated link below, and how much of it was used.
    public var link: Measured<LinkFigures> = .unmeasured
    /// How receive windows grew, for each direction with payload.
    public var windowTrajectory: Measured<[WindowTrajectory]> = .unmeasured
    /// What held up each side's connections.
    public var stalls = BothSides<Measured<StallShares>>(both: .unmeasured)
    /// Jain's index over the bytes that each stream received in the window: 1 is equal shares.
    public var jainFairness: Measured<Double> = .unmeasured
    /// Streams that received less than a tenth of the mean.
    public var starvedStreams: Measured<Int> = .unmeasured
    /// What the stream that received least got in the window.
    public var streamBytesMin: Measured<UInt64> = .unmeasured
    /// What the stream that received most got in the window.
    public var streamBytesMax: Measured<UInt64> = .unmeasured
    /// The longest that any stream waited for its next bytes.
    public var longestSilenceSeconds: Measured<Double> = .unmeasured
    /// Every byte on the sockets, by what it was for; absent where the ends are drivers, which keep none.
    public var ledger = RunLedger()
    /// The kernel's count of what went over the sockets; absent where a ledger says more.
    public var wire: Measured<WireBytes> = .unmeasured
    /// Frames with payload.
    public var framesSent = BothSides<Measured<UInt64>>(both: .unmeasured)
    /// System calls that wrote to a socket.
    public var writes = BothSides<Measured<UInt64>>(both: .unmeasured)
    /// User time of each side's process in the window.
    public var cpuUserSeconds = BothSides<Measured<Double>>(both: .unmeasured)
    /// System time of each side's process in the window.
    public var cpuSystemSeconds = BothSides<Measured<Double>>(both: .unmeasured)
    /// By name, in the window.
    public var syscalls = BothSides<Measured<[String: UInt64]>>(both: .unmeasured)
    /// Times an event loop woke up with something to do.
    public var wakeups = BothSides<Measured<UInt64>>(both: .unmeasured)
    /// Payload bytes copied in user space, in the window.
    public var bytesCopied = BothSides<Measured<UInt64>>(both: .unmeasured)
    /// Of the heap, in the window.
    public var allocations = BothSides<Measured<UInt64>>(both: .unmeasured)
    /// Resident and allocated bytes, and what a stream takes.
    public var memory = MemoryFigures()
    /// Socket options as the kernel reports them in effect, of the first connection's socket.
    public var options = BothSides<Measured<[String: OptionValue]>>(both: .unmeasured)
    /// Length of each of ``intervals``, but the last.
    public var intervalSeconds: Measured<Double> = .unmeasured
    /// The window in parts, in order.
    public var intervals: [Recording.Interval] = []
    /// The distributions behind the summaries.
    public var histograms = Histograms()

    /// The distributions behind the summaries, so that records can be merged and drawn.
    public struct Histograms: Codable, Sendable, Equatable {
        public var latency: Measured<LatencyHistogram> = .unmeasured
        public var service: Measured<LatencyHistogram> = .unmeasured
        public var pacerLateness: Measured<LatencyHistogram> = .unmeasured

        public init() {}

        enum CodingKeys: String, CodingKey {
            case latency, service
            case pacerLateness = "pacer_lateness"
        }
    }

    public init() {}

    /// Adds a reason not to believe this repeat.
    public mutating func invalidate(_ reason: String) {
        valid = false
        invalidReasons.append(reason)
    }

    /// Takes summaries, distributions and the interval series from what the recorders saw. `reason` says why a distribution is empty.
    public mutating func apply(_ recording: Recording, emptyBecause reason: String = "nothing was recorded") {
        func take(
            _ histogram: LatencyHistogram, _ summary: WritableKeyPath<RunFigures, Measured<LatencySummary>>,
            _ distribution: WritableKeyPath<Histograms, Measured<LatencyHistogram>>
        ) {
            self[keyPath: summary] = Measured(histogram.summary(), else: reason)
            histograms[keyPath: distribution] = Measured(histogram.isEmpty ? nil : histogram, else: reason)
        }
        take(recording.latency, \.latency, \.latency)
        take(recording.service, \.service, \.service)
        take(recording.pacerLateness, \.pacerLateness, \.pacerLateness)
        intervals = recording.intervals
        intervalSeconds = recording.intervalNanoseconds > 0
            ? .value(Double(recording.intervalNanoseconds) / 1e9) : .unavailable("nothing was recorded")
    }

    public mutating func apply(_ fairness: Measured<Fairness>) {
        jainFairness = fairness.map(\.jain)
        starvedStreams = fairness.map(\.starvedStreams)
        streamBytesMin = fairness.map(\.bytesMin)
        streamBytesMax = fairness.map(\.bytesMax)
        switch fairness {
        case .value(let fairness):
            longestSilenceSeconds = Measured(fairness.longestSilenceNanoseconds.map { Double($0) / 1e9 }, else: "not observed")
        case .unavailable(let reason): longestSilenceSeconds = .unavailable(reason)
        }
    }

    /// The value by which repeats are ordered.
    public func headline(_ metric: HeadlineMetric) -> Double? {
        switch metric {
        case .goodput: goodputBytesPerSecond.value
        case .messagesPerSecond: messagesPerSecond.value
        case .bytesPerStream: memory.bytesPerStreamClient.value
        }
    }
}

/// What a run holds in memory, each side by itself.
public struct MemoryFigures: Codable, Sendable, Equatable {
    /// Slope of allocated bytes over the number of streams held.
    public var bytesPerStreamClient: Measured<Double> = .unmeasured
    public var bytesPerStreamServer: Measured<Double> = .unmeasured
    /// Slope of the resident set over the number of streams held: what can be read of any process.
    public var rssBytesPerStreamClient: Measured<Double> = .unmeasured
    public var rssBytesPerStreamServer: Measured<Double> = .unmeasured
    /// Resident set at the end of the measured window.
    public var rssBytesClient: Measured<Int> = .unmeasured
    public var rssBytesServer: Measured<Int> = .unmeasured
    /// The highest resident set of the process.
    public var rssPeakBytesClient: Measured<Int> = .unmeasured
    public var rssPeakBytesServer: Measured<Int> = .unmeasured
    /// Bytes in live allocations at the end of the measured window, as the allocator has it.
    public var allocatedBytesClient: Measured<Int> = .unmeasured
    public var allocatedBytesServer: Measured<Int> = .unmeasured

    public init() {}

    enum CodingKeys: String, CodingKey {
        case bytesPerStreamClient = "bytes_per_stream_client"
        case bytesPerStreamServer = "bytes_per_stream_server"
        case rssBytesPerStreamClient = "rss_bytes_per_stream_client"
        case rssBytesPerStreamServer = "rss_bytes_per_stream_server"
        case rssBytesClient = "rss_bytes_client"
        case rssBytesServer = "rss_bytes_server"
        case rssPeakBytesClient = "rss_peak_bytes_client"
        case rssPeakBytesServer = "rss_peak_bytes_server"
        case allocatedBytesClient = "allocated_bytes_client"
        case allocatedBytesServer = "allocated_bytes_server"
    }
}

/// What the kernel counted on all connections of a run, from their beginning to their last stream's end, beside the payload of the same time.
public struct WireBytes: Codable, Sendable, Equatable {
    /// From client to server.
    public var bytesUp: UInt64
    /// From server to client.
    public var bytesDown: UInt64
    /// Both directions together.
    public var payloadBytes: UInt64

    public init(bytesUp: UInt64, bytesDown: UInt64, payloadBytes: UInt64) {
        self.bytesUp = bytesUp
        self.bytesDown = bytesDown
        self.payloadBytes = payloadBytes
    }

    /// (wire - payload) / payload.
    public var overheadRatio: Measured<Double> {
        guard payloadBytes > 0 else { return .unavailable("no payload was carried") }
        return .value((Double(bytesUp) + Double(bytesDown) - Double(payloadBytes)) / Double(payloadBytes))
    }

    enum CodingKeys: String, CodingKey {
        case bytesUp = "bytes_up"
        case bytesDown = "bytes_down"
        case payloadBytes = "payload_bytes"
    }
}
