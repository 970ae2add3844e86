import FoundationEssentials
import Gauge

/// The lines that drivers and whoever drives them exchange, contract version 1: `Benchmarks/Peers/README.md` is the whole of it.
public enum DriverContract {
    /// Which contract this program speaks.
    public static let version = 1
    /// A histogram of a long run takes some 100 KiB.
    static let lineBytesMax = 16 << 20

    /// What a driver is told to do, one a line.
    public enum Command: String, Sendable, CaseIterable {
        case streams, open, settle, start, begin, end, stop, report
    }

    /// The answer to commands that have nothing to tell.
    public struct Done: Codable, Equatable, Sendable { public init() {} }

    /// What a driver says of itself.
    public struct About: Codable, Equatable, Sendable {
        public var contract = DriverContract.version
        public var name: String
        /// Of the implementations that it drives.
        public var version: String
        public var stacks: [String]
        public var workloads: [String]
        public var directions: [String]
        /// `read/write` when its sockets are read and written by read(2) and write(2) and their vector forms, whose calls the kernel counts.
        public var socketCalls: String?
        /// By stack: how many streams its client can open on a connection, where that is fewer than one would ask for.
        public var streamsMax: [String: Int]?
        /// What it can have go on beside the requests of `mixed`; without it `bulk` alone.
        public var beside: [String]?
        /// Whether it can give those requests a connection of their own.
        public var apart: Bool?

        enum CodingKeys: String, CodingKey {
            case contract, name, version, stacks, workloads, directions, beside, apart
            case socketCalls = "socket_calls"
            case streamsMax = "streams_max"
        }
    }

    struct Ready: Codable, Equatable {
        var ready = true
        var port: UInt16?
    }

    struct Streams: Codable, Equatable {
        var streams: Int
    }

    struct Settled: Codable, Equatable {
        /// Bytes of live objects, where the driver knows.
        var heapBytes: UInt64?

        enum CodingKeys: String, CodingKey { case heapBytes = "heap_bytes" }
    }

    struct Counters: Codable, Equatable {
        var timeNanoseconds: UInt64
        var receivedBytes: UInt64
        var receivedMessages: UInt64
        var completed: UInt64
        /// All system calls so far by name, where the driver counts them.
        var syscalls: [String: UInt64]?

        enum CodingKeys: String, CodingKey {
            case timeNanoseconds = "time_ns"
            case receivedBytes = "received_bytes"
            case receivedMessages = "received_messages"
            case completed, syscalls
        }
    }

    /// What one end carried in one direction.
    struct Carried: Codable, Equatable {
        var bytes: UInt64
        var messages: UInt64
    }

    struct Report: Codable, Equatable {
        var sent: Carried
        var received: Carried
        /// Messages whose every byte was compared.
        var verified: UInt64
        /// Streams that were opened or accepted.
        var streams: UInt64
        var problems: [String]
        /// Pairs of an upper bound in nanoseconds and a count.
        var latency: [[UInt64]]
    }

    /// In place of an answer, from a driver that cannot go on.
    struct Failure: Codable, Equatable {
        var error: String
    }

    /// The figures of `pairs`, or why they are none.
    static func histogram(_ pairs: [[UInt64]]) throws(DriverError) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        var last: UInt64 = 0
        for (index, pair) in pairs.enumerated() {
            guard pair.count == 2, index == 0 || pair[0] > last else {
                throw .malformed("its latency is no ascending list of pairs [upper_ns, count], see pair \(index)")
            }
            last = pair[0]
            guard pair[1] <= UInt64(UInt32.max) else { throw .malformed("its latency claims \(pair[1]) operations of \(pair[0]) ns") }
            histogram.record(pair[0], count: pair[1])
        }
        return histogram
    }
}

/// What a driver is started with: one run, the same at both ends.
public struct DriverOptions: Equatable, Sendable {
    public var stack: String
    public var workload: Workload
    public var direction: String
    public var connections: Int
    public var streams: Int
    public var messageBytes: Int
    public var depth: Int
    public var seed: UInt64
    /// What goes on beside the requests of `mixed`.
    public var beside: Aggressor
    /// Whether those requests have the first connection to themselves.
    public var isApart: Bool

    public init(
        stack: String, workload: Workload, direction: String = "up", connections: Int = 1, streams: Int = 1, messageBytes: Int, depth: Int = 1,
        seed: UInt64 = 1, beside: Aggressor = .bulk, isApart: Bool = false
    ) {
        self.beside = beside
        self.isApart = isApart
        self.stack = stack
        self.workload = workload
        self.direction = direction
        self.connections = connections
        self.streams = streams
        self.messageBytes = messageBytes
        self.depth = depth
        self.seed = seed
    }

    /// As a driver's command line has them.
    public var arguments: [String] {
        [
            "--stack", stack, "--workload", workload.rawValue, "--direction", direction, "--connections", "\(connections)", "--streams", "\(streams)",
            "--message-bytes", "\(messageBytes)", "--depth", "\(depth)", "--seed", "\(seed)",
        ] + (beside == .bulk ? [] : ["--beside", beside.rawValue]) + (isApart ? ["--apart", "yes"] : [])
    }

    /// Streams of all connections together, when all are open.
    public var streamsInAll: Int { isApart ? 1 + (connections - 1) * (streams - 1) : connections * streams }

    /// The same as a scenario of this program's own.
    ///
    /// - Throws: ``ScenarioError``, also for what the contract does not have.
    public func scenario(io: String = "auto") throws(ScenarioError) -> Scenario {
        guard workload != .connect else { throw .contradiction("drivers have no workload connect: their connections stay") }
        let flows = try workload.flows(messageSizeBytes: messageBytes, direction: direction, depth: depth, beside: beside)
        let scenario = Scenario(
            subject: stack, workload: workload.rawValue, connections: connections, streams: streams, flows: flows, omitSeconds: 0, seed: seed, io: io,
            separatesFirstFlow: isApart ? true : nil)
        try scenario.validate()
        return scenario
    }
}

/// Why a driver could not be used.
public enum DriverError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No driver has this name.
    case unknown(String, nearest: String?, known: [String])
    /// The program cannot be started.
    case notStarted(command: String, reason: String)
    /// It ended before it answered; how, and what it was asked.
    case ended(driver: String, during: String, how: String)
    /// It did not answer in time.
    case timeout(driver: String, during: String, seconds: Double)
    /// It said that it cannot go on.
    case failed(driver: String, during: String, reason: String)
    /// It broke the contract; the driver is told by who catches this.
    case malformed(String)
    /// The same with its name.
    case broken(driver: String, during: String, reason: String)
    /// It does not do what is asked of it.
    case notOffered(driver: String, what: String, offered: [String])

    public var description: String {
        switch self {
        case .unknown(let name, let nearest, let known):
            "there is no driver '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "") Known drivers: \(known.joined(separator: ", ")); "
                + "scripts/install-drivers installs those of Benchmarks/Peers, --driver NAME=COMMAND names another"
        case .notStarted(let command, let reason): "the driver '\(command)' cannot be started: \(reason)"
        case .ended(let driver, let during, let how): "the driver \(driver) ended with \(how) instead of answering '\(during)'"
        case .timeout(let driver, let during, let seconds): "the driver \(driver) did not answer '\(during)' within \(seconds) s"
        case .failed(let driver, let during, let reason): "the driver \(driver) could not do '\(during)': \(reason)"
        case .malformed(let reason): reason
        case .broken(let driver, let during, let reason):
            "the driver \(driver) broke the contract at '\(during)': \(reason); scripts/check-driver tells more"
        case .notOffered(let driver, let what, let offered):
            "the driver \(driver) has no \(what); it has \(offered.joined(separator: ", "))"
        }
    }
}
