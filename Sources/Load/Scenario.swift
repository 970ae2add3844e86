public import FoundationEssentials
import Gauge
import Kernel
public import Multiformats
import P2P

/// Everything that decides what a run does, as data: with the same scenario and seed a run can be repeated.
public struct Scenario: Codable, Equatable, Sendable {
    /// What the key `schema` of a scenario file says.
    public static let schema = "streamgauge.scenario/1"

    /// What some of a connection's streams do.
    public struct Flow: Codable, Equatable, Sendable {
        /// What happens on a stream.
        public enum Verb: String, Codable, CaseIterable, Sendable {
            /// The client sends messages as fast as the stream takes them.
            case send
            /// The server sends messages as fast as the stream takes them.
            case receive
            /// Both at once.
            case duplex
            /// The client sends a message, the server answers with one of the same size.
            case request
            /// A new stream for every request.
            case churn
            /// A new connection for every request.
            case connect
            /// The stream is open and silent.
            case hold
        }

        /// What happens on each of these streams.
        public var verb: Verb
        /// How many of a connection's streams; nil means all that are left.
        public var streams: Int?
        /// Payload of a message.
        public var messageSizeBytes: Int
        /// Requests under way on a stream at once.
        public var depth: Int
        /// What the flow's receivers on a connection together read a second; nil is all, at once. A slower reader leaves it to flow control to hold back the far end.
        public var readRateBytesPerSecond: Double?
        /// How long a receiver rests after each message before it reads on; nil is not at all.
        public var restSeconds: Double?

        public init(
            verb: Verb, streams: Int? = nil, messageSizeBytes: Int, depth: Int = 1, readRateBytesPerSecond: Double? = nil, restSeconds: Double? = nil
        ) {
            self.verb = verb
            self.streams = streams
            self.messageSizeBytes = messageSizeBytes
            self.depth = depth
            self.readRateBytesPerSecond = readRateBytesPerSecond
            self.restSeconds = restSeconds
        }

        enum CodingKeys: String, CodingKey {
            case verb, streams, depth
            case messageSizeBytes = "message_size_bytes"
            case readRateBytesPerSecond = "read_rate_bytes_per_second"
            case restSeconds = "rest_seconds"
        }
    }

    /// The stack to run over, such as `tcp+yamux`, see ``ProtocolStack``.
    public var subject: String
    /// The workload it was made from; a label.
    public var workload: String
    /// How many are made before the window begins.
    public var connections: Int
    /// Streams on each connection.
    public var streams: Int
    /// What the streams of each connection do; the first flow's operations are counted.
    public var flows: [Flow]
    /// Length of the measured window; nil when a count ends the run.
    public var durationSeconds: Double?
    /// Operations in all after which the run ends: messages, requests, streams or connections.
    public var count: Int?
    /// Warm-up before the window.
    public var omitSeconds: Double
    /// Operations a second in all; nil is a closed loop.
    public var ratePerSecond: Double?
    /// Event loops on each side.
    public var threads: Int
    /// Which messages are compared byte by byte, as a ``/Gauge/SampleRule`` is written.
    public var verify: String
    /// Of payload and of everything random.
    public var seed: UInt64
    /// The I/O interface of the loops: `auto`, `epoll` or `uring`.
    public var io: String
    /// Event loops poll for this long before they sleep; 0 is not at all.
    public var spinSeconds: Double
    /// Whether sampled messages have their times noted on their way, for ``/Gauge/LatencyStages``; nil is no.
    public var measuresStages: Bool?
    /// Whether the first flow is alone on the first connection, with one stream, and the others are on the connections behind it; nil is no.
    public var separatesFirstFlow: Bool?

    enum CodingKeys: String, CodingKey {
        case subject, workload, connections, streams, flows, count, threads, verify, seed, io
        case durationSeconds = "duration_seconds"
        case omitSeconds = "omit_seconds"
        case ratePerSecond = "rate_per_second"
        case spinSeconds = "spin_seconds"
        case measuresStages = "measures_stages"
        case separatesFirstFlow = "separates_first_flow"
    }

    public init(
        subject: String, workload: String, connections: Int = 1, streams: Int = 1, flows: [Flow], durationSeconds: Double? = 5,
        count: Int? = nil, omitSeconds: Double = 0.5, ratePerSecond: Double? = nil, threads: Int = 1, verify: String = "sampled",
        seed: UInt64 = 1, io: String = "auto", spinSeconds: Double = 0, measuresStages: Bool? = nil,
        separatesFirstFlow: Bool? = nil
    ) {
        self.subject = subject
        self.workload = workload
        self.connections = connections
        self.streams = streams
        self.flows = flows
        self.durationSeconds = durationSeconds
        self.count = count
        self.omitSeconds = omitSeconds
        self.ratePerSecond = ratePerSecond
        self.threads = threads
        self.verify = verify
        self.seed = seed
        self.io = io
        self.spinSeconds = spinSeconds
        self.measuresStages = measuresStages
        self.separatesFirstFlow = separatesFirstFlow
    }

    /// Whether the server sends messages of its own accord.
    var serverSends: Bool { [.receive, .duplex].contains(flows[0].verb) }

    /// How many streams a connection has at once; the first connection may have the first flow's alone.
    func streams(on connection: Int) -> Int {
        guard separatesFirstFlow == true else { return streams }
        return connection == 0 ? 1 : streams - 1
    }

    /// Streams of all connections together.
    var streamsInAll: Int { separatesFirstFlow == true ? 1 + (connections - 1) * (streams - 1) : connections * streams }

    /// Bytes of a message of the flow whose operations are counted: the first.
    public var messageSizeBytes: Int { flows[0].messageSizeBytes }
}

/// What a scenario demands that cannot be had.
public enum ScenarioError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file that cannot be read as a scenario.
    case notAScenario(file: String, reason: String)
    /// No workload has this name; `nearest` is one that is spelled alike.
    case unknownWorkload(String, nearest: String?)
    /// A value that is not allowed, and those that are.
    case outOfRange(name: String, value: String, allowed: String)
    /// Two things that cannot be had together, in words.
    case contradiction(String)
    /// More sockets than a process may have (RLIMIT_NOFILE).
    case tooManyDescriptors(needed: Int, limit: Int)

    public var description: String {
        switch self {
        case .notAScenario(let file, let reason):
            "\(file) is not a scenario: \(reason)"
        case .unknownWorkload(let name, let nearest):
            "there is no workload '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "") Known workloads: \(Workload.allCases.map(\.rawValue).joined(separator: ", "))"
        case .outOfRange(let name, let value, let allowed):
            "\(name) is \(value); allowed is \(allowed)"
        case .contradiction(let text):
            text
        case .tooManyDescriptors(let needed, let limit):
            "this needs \(needed) descriptors in a process and the limit is \(limit): raise it with 'ulimit -n \(needed)', or use fewer connections, fewer streams or a stack with a muxer"
        }
    }
}

/// The workloads that have names.
public enum Workload: String, CaseIterable, Sendable {
    case bulk, request, churn, connect, idle, mixed

    /// The workload of this name.
    public init(parsing text: String) throws(ScenarioError) {
        guard let workload = Workload(rawValue: text) else {
            throw .unknownWorkload(text, nearest: Nearest.to(text, among: Workload.allCases.map(\.rawValue)))
        }
        self = workload
    }

    /// One line for people.
    public var summary: String {
        switch self {
        case .bulk: "messages one way (or both) as fast as every stream takes them"
        case .request: "a message there, a message of the same size back; closed loop, or open loop with --rate"
        case .churn: "open a stream, exchange a message, close it; as many at once as there are streams"
        case .connect: "open a connection, exchange a message, close it; as many at once as there are connections"
        case .idle: "streams held open in silence: memory per stream on each side"
        case .mixed: "64-byte requests on one stream while the others run bulk, or what --beside says"
        }
    }

    /// Message size when none is given.
    public var messageSizeDefault: Int {
        switch self {
        case .bulk, .mixed: 64 << 10
        case .request, .churn, .connect, .idle: 64
        }
    }

    /// What the streams of a connection do.
    public func flows(
        messageSizeBytes size: Int, direction: String, depth: Int, readRateBytesPerSecond rate: Double? = nil, beside: Aggressor = .bulk
    ) throws(ScenarioError) -> [Scenario.Flow] {
        let bulkVerbs: [String: Scenario.Flow.Verb] = ["up": .send, "down": .receive, "both": .duplex]
        guard let bulk = bulkVerbs[direction] else {
            throw .outOfRange(name: "direction", value: direction, allowed: "up, down or both")
        }
        switch self {
        case .bulk: return [.init(verb: bulk, messageSizeBytes: size, readRateBytesPerSecond: rate)]
        case .request: return [.init(verb: .request, messageSizeBytes: size, depth: depth)]
        case .churn: return [.init(verb: .churn, messageSizeBytes: size)]
        case .connect: return [.init(verb: .connect, messageSizeBytes: size)]
        case .idle: return [.init(verb: .hold, messageSizeBytes: size)]
        case .mixed:
            return [.init(verb: .request, streams: 1, messageSizeBytes: 64, depth: depth)]
                + beside.flows(bulk, messageSizeBytes: size, readRateBytesPerSecond: rate)
        }
    }
}

extension Scenario {
    /// The longest message, 1 GiB.
    public static let messageSizeBytesMax = 1 << 30
    /// The most streams in a run.
    public static let streamsMax = 1_000_000
    /// The most connections in a run.
    public static let connectionsMax = 100_000

    /// Checks what a file or a person gave.
    public func validate() throws(ScenarioError) {
        func require(_ isFine: Bool, _ name: String, _ value: some CustomStringConvertible, _ allowed: String) throws(ScenarioError) {
            guard isFine else { throw .outOfRange(name: name, value: "\(value)", allowed: allowed) }
        }
        try require((1...Self.connectionsMax).contains(connections), "connections", connections, "1 to \(Self.connectionsMax)")
        try require((1...Self.streamsMax).contains(streams), "streams", streams, "1 to \(Self.streamsMax)")
        try require(!flows.isEmpty, "flows", "empty", "at least one flow")
        for flow in flows {
            try require(
                (1...Self.messageSizeBytesMax).contains(flow.messageSizeBytes), "message size", flow.messageSizeBytes, "1 B to 1 GiB")
            try require((1...1024).contains(flow.depth), "depth", flow.depth, "1 to 1024")
            if flow.depth > 1, flow.verb.isEphemeral {
                throw .contradiction("depth is for request and mixed: a stream or connection of its own carries one request")
            }
            if let rate = flow.readRateBytesPerSecond {
                try require(rate >= 1 && rate <= 1e12, "read rate", rate, "1 B to 1 TB a second")
                guard flow.verb.isBulk else { throw .contradiction("--read-rate is for bulk, alone or in mixed: requests are answered when they are read") }
            }
            if let rest = flow.restSeconds {
                try require(rest > 0 && rest <= 10, "rest", rest, "above 0 s, at most 10 s")
                guard flow.verb.isBulk, flow.readRateBytesPerSecond == nil else { throw .contradiction("receivers rest in bulk only, and not beside a read rate") }
            }
            try require((flow.streams ?? 1) >= 1, "streams of a flow", flow.streams ?? 1, "at least 1")
        }
        try require((1...64).contains(threads), "threads", threads, "1 to 64")
        try require(["auto", "epoll", "uring"].contains(io), "io", io, "auto, epoll or uring")
        try require((0...0.01).contains(spinSeconds), "spin", spinSeconds, "0 to 10 ms")
        try require(omitSeconds >= 0 && omitSeconds <= 3600, "omit", omitSeconds, "0 s to 1 h")
        if let durationSeconds {
            try require(durationSeconds > 0 && durationSeconds <= 86_400, "duration", durationSeconds, "above 0 s, at most 24 h")
        }
        if let count { try require(count >= 1, "count", count, "at least 1") }
        if let ratePerSecond { try require(ratePerSecond > 0 && ratePerSecond <= 1e8, "rate", ratePerSecond, "above 0, at most 100 million a second") }
        guard durationSeconds != nil || count != nil else { throw .contradiction("a run needs a duration or a count") }
        if ratePerSecond != nil && flows[0].verb != .request {
            throw .contradiction("--rate is for the workloads request and mixed: only they have operations that can be scheduled")
        }
        if workload == Workload.mixed.rawValue {
            let streamsMin = flows.reduce(0) { $0 + ($1.streams ?? (flows.count > 2 ? 0 : 1)) }
            guard streams >= max(2, streamsMin) else {
                throw .contradiction("mixed needs at least \(max(2, streamsMin)) streams: one for requests, the others for what goes on beside them (-m 101 is usual)")
            }
        }
        if count != nil && flows[0].verb == .hold {
            throw .contradiction("idle has no operations to count: give it a duration")
        }
        if measuresStages == true, flows[0].verb == .connect || flows[0].verb == .hold {
            throw .contradiction("--stages is for workloads whose streams carry messages: connect tells its own steps, and silent streams carry none")
        }
        if flows.contains(where: { $0.verb == .connect }) && flows.count > 1 {
            throw .contradiction("connect cannot be mixed with other flows: it opens and closes whole connections")
        }
        if flows.count > 1, flows.dropLast().contains(where: { $0.verb == .churn }) {
            throw .contradiction("churn beside other flows is the last of them: its streams are those that come behind theirs")
        }
        if separatesFirstFlow == true {
            guard flows.count > 1, flows[0].streams == 1 else { throw .contradiction("a first flow on a connection of its own is for mixed, and has one stream") }
            guard connections > 1 else { throw .contradiction("a first flow on a connection of its own takes a second connection for the others: give -c 2") }
        }
    }

    /// Checks what depends on the stack, and on where the server is; `target` is a server that runs already.
    public func validate(on stack: ProtocolStack, target: Multiaddr? = nil) throws(ScenarioError) {
        if !stack.hasMuxer, flows.contains(where: { $0.verb == .churn }) {
            throw .contradiction("churn opens and closes streams, and '\(stack)' has one a connection: use the workload connect, or a muxer")
        }
        if stack.transport == .unix, threads > 1 {
            throw .contradiction("a Unix socket has one listener: use --threads 1, or the transport tcp")
        }
        guard let target else { return }
        if target.isOfNode, stack.link != nil || stack.yamuxWindowBytesMax != nil {
            throw .contradiction("a libp2p node is dialled as it is, without a link and with usual windows: leave out link(...) and yamux(...), or put 'streamgauge relay' between")
        }
        if stack.transport == .memory {
            throw .contradiction("memory connects within one process: it has no server to dial, and --target does not go with it")
        }
        if target.isOfNode { _ = try NodeWorkload(self, on: stack, target: target) }
        // A path is the last that an address can hold, so a node's address names no Unix socket.
        let isUnix = target.isOfNode ? false : try SocketAddress(ofRun: target).port == nil
        guard isUnix == (stack.transport == .unix) else {
            throw .contradiction(
                "the target \(target) is \(isUnix ? "a" : "no") Unix socket and the subject's transport is \(stack.transport.rawValue): let them be the same")
        }
    }

    /// Reads a scenario file.
    public static func decode(_ json: Data, file: String) throws(ScenarioError) -> Scenario {
        struct Header: Codable { var schema: String }
        do {
            let header = try JSONDecoder().decode(Header.self, from: json)
            guard header.schema == schema else {
                throw ScenarioError.notAScenario(file: file, reason: "its schema is '\(header.schema)', not '\(schema)'")
            }
            return try JSONDecoder().decode(Scenario.self, from: json)
        } catch let error as ScenarioError {
            throw error
        } catch DecodingError.keyNotFound(let key, _) {
            throw .notAScenario(file: file, reason: "the key '\(key.stringValue)' is missing")
        } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
            throw .notAScenario(file: file, reason: "it is not JSON")
        } catch DecodingError.typeMismatch(_, let context) {
            throw .notAScenario(file: file, reason: "'\(context.codingPath.map(\.stringValue).joined(separator: "."))': \(context.debugDescription)")
        } catch {
            throw .notAScenario(file: file, reason: "\(error)")
        }
    }

    /// The scenario file that repeats this.
    public func encoded() throws -> Data {
        struct File: Encodable {
            let scenario: Scenario
            func encode(to encoder: any Encoder) throws {
                try scenario.encode(to: encoder)
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(Scenario.schema, forKey: .schema)
            }
            enum Key: String, CodingKey { case schema }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(File(scenario: self))
    }
}
