/// What was asked for: the same for all repeats of a run.
public struct RunSetup: Codable, Sendable, Equatable {
    /// The stack that was measured, such as `tcp+yamux`.
    public var subject: String
    /// `bulk`, `request`, `churn`, `connect`, `idle` or `mixed`.
    public var workload: String
    /// `up`, `down` or `both`.
    public var direction: String
    public var connections: Int
    /// Streams of each connection.
    public var streams: Int
    public var messageSizeBytes: Int
    /// Requests that one stream keeps in flight.
    public var depth: Int
    /// What the receivers of bulk read a second on each connection; absent where they read all at once.
    public var readRateBytesPerSecond: Measured<Double>
    /// What went on beside the requests of `mixed`: `bulk`, `stopped`, `stalled` or `churn`.
    public var beside: Measured<String>
    /// Where it went on: `same_connection` or `own_connection`.
    public var besideConnection: Measured<String>
    /// Operations a second that the pacer starts; absent in closed loop.
    public var ratePerSecond: Measured<Double>
    public var durationRequestedSeconds: Measured<Double>
    public var countRequested: Measured<Int>
    /// Warm-up that is not counted.
    public var omitSeconds: Double
    /// Event loops.
    public var threads: BothSides<Int>
    /// 2 when client and server are processes of their own, 1 when they share one.
    public var processes: Int
    /// How payload was verified: ``SampleRule/description``.
    public var verify: String
    public var seed: UInt64

    public init(
        subject: String, workload: String, direction: String = "up", connections: Int, streams: Int, messageSizeBytes: Int, depth: Int = 1,
        readRateBytesPerSecond: Measured<Double> = .unavailable("receivers read all at once"),
        beside: Measured<String> = .unavailable("the workload is not mixed"),
        besideConnection: Measured<String> = .unavailable("the workload is not mixed"),
        ratePerSecond: Measured<Double> = .unavailable("closed loop"),
        durationRequestedSeconds: Measured<Double> = .unavailable("the run ends by count"),
        countRequested: Measured<Int> = .unavailable("the run ends by time"), omitSeconds: Double = 0,
        threads: BothSides<Int> = BothSides(both: 1), processes: Int = 2, verify: String = SampleRule.standard.description, seed: UInt64
    ) {
        self.subject = subject
        self.workload = workload
        self.direction = direction
        self.connections = connections
        self.streams = streams
        self.messageSizeBytes = messageSizeBytes
        self.depth = depth
        self.readRateBytesPerSecond = readRateBytesPerSecond
        self.beside = beside
        self.besideConnection = besideConnection
        self.ratePerSecond = ratePerSecond
        self.durationRequestedSeconds = durationRequestedSeconds
        self.countRequested = countRequested
        self.omitSeconds = omitSeconds
        self.threads = threads
        self.processes = processes
        self.verify = verify
        self.seed = seed
    }

    /// In records from before there was a choice, receivers read all at once, and bulk went on beside the requests of `mixed`, on the same connection.
    mutating func fillInDefaults() {
        if readRateBytesPerSecond.value == nil { readRateBytesPerSecond = .unavailable("receivers read all at once") }
        guard beside.value == nil else { return }
        let isMixed = workload == "mixed"
        beside = Measured(isMixed ? "bulk" : nil, else: "the workload is not mixed")
        besideConnection = Measured(isMixed ? "same_connection" : nil, else: "the workload is not mixed")
    }

    /// Which figure says how well a repeat went: the median repeat is chosen by it.
    public var headlineMetric: HeadlineMetric {
        switch workload {
        case "request", "churn", "connect": .messagesPerSecond
        case "idle": .bytesPerStream
        default: .goodput
        }
    }

    enum CodingKeys: String, CodingKey {
        case subject, workload, direction, connections, streams
        case messageSizeBytes = "message_size_bytes"
        case depth
        case readRateBytesPerSecond = "read_rate_bytes_per_second"
        case beside
        case besideConnection = "beside_connection"
        case ratePerSecond = "rate_per_second"
        case durationRequestedSeconds = "duration_requested_seconds"
        case countRequested = "count_requested"
        case omitSeconds = "omit_seconds"
        case threads, processes, verify, seed
    }
}

/// The figure that decides which repeat is the median one; its name is the key of the record.
public enum HeadlineMetric: String, Codable, Sendable {
    case goodput = "goodput_bytes_per_second"
    case messagesPerSecond = "messages_per_second"
    case bytesPerStream = "bytes_per_stream_client"
}
