import FoundationEssentials
public import Gauge
import Kernel

/// One repeat of a subject of drivers: two processes, driven through the phases together and watched from outside.
///
/// ```
/// server ready ─▶ client ready ─▶ streams ─▶ (idle: settle, open, settle)
///     ─▶ start ─▶ warm-up ─▶ begin ─ window ─ end ─▶ stop ─▶ no streams ─▶ the kernel's counts ─▶ report
/// ```
///
/// Nothing is believed before it is reconciled: what each end says it sent is what the other says it received, messages were compared, the kernel's
/// count of the bytes is no less than the payload, and nothing went wrong on the way.
public struct DriverRun: Sendable {
    /// How long a driver may take: the contract's limit, and some to spare. Opening a hundred thousand streams takes a slow one that long.
    static let answerSeconds = 40.0

    let subject: Subject
    let options: DriverOptions
    let client: Driver
    let server: Driver
    let durationSeconds: Double
    let omitSeconds: Double
    /// Whether the kernel counts the calls by which each end's sockets are read and written.
    let kernelCountsCalls: BothSides<Bool>

    /// - Parameters:
    ///   - subject: who is at each end.
    ///   - options: what is run; the stack is the subject's.
    ///   - ends: the two drivers, and what they say of themselves.
    ///   - durationSeconds: length of the measured window.
    ///   - omitSeconds: warm-up before it.
    /// - Throws: ``DriverError/notOffered(driver:what:offered:)`` for what a driver does not do.
    public init(
        _ subject: Subject, _ options: DriverOptions, ends: BothSides<(driver: Driver, about: DriverContract.About)>, durationSeconds: Double,
        omitSeconds: Double
    ) throws(DriverError) {
        guard !subject.stack.contains("(") else {
            throw .notOffered(driver: ends.client.driver.name, what: "emulated link and no options of layers", offered: ["streamgauge run '\(subject.stack)'"])
        }
        for (driver, about) in [ends.client, ends.server] {
            func require(_ what: String, _ value: String, _ offered: [String]) throws(DriverError) {
                guard offered.contains(value) else { throw .notOffered(driver: driver.name, what: "\(what) '\(value)'", offered: offered) }
            }
            try require("stack", subject.stack, about.stacks)
            try require("workload", options.workload.rawValue, about.workloads)
            try require("direction", options.direction, about.directions)
            try require("aggressor", options.beside.rawValue, about.beside ?? [Aggressor.bulk.rawValue])
            if options.isApart, about.apart != true {
                throw .notOffered(driver: driver.name, what: "connection of their own for the requests of mixed", offered: ["all streams on each connection"])
            }
        }
        if options.workload == .churn || options.beside == .churn, !subject.stack.contains("+") {
            throw .notOffered(driver: ends.client.driver.name, what: "streams that come and go over '\(subject.stack)'", offered: ["stacks with a multiplexer"])
        }
        if let most = ends.client.about.streamsMax?[subject.stack], options.streams > most {
            throw .notOffered(driver: ends.client.driver.name, what: "\(options.streams) streams on a connection", offered: ["at most \(most) over \(subject.stack)"])
        }
        self.subject = subject
        self.options = options
        (client, server) = (ends.client.driver, ends.server.driver)
        self.durationSeconds = durationSeconds
        self.omitSeconds = omitSeconds
        kernelCountsCalls = BothSides(client: ends.client.about.socketCalls == "read/write", server: ends.server.about.socketCalls == "read/write")
    }

    /// What is known so far; a failure half-way keeps it.
    struct Findings {
        var startedAt = Date.now
        var begin: BothSides<Reading>?
        var end: BothSides<Reading>?
        /// At a tenth of the streams and at all of them.
        var idle: (part: BothSides<Memory>, whole: BothSides<Memory>)?
        var traffic: Kernel.Measured<PortTraffic> = .unavailable(reason: "the run did not come that far")
        var reports: BothSides<DriverContract.Report>?
    }

    /// What one end says, and what the kernel says of its process, at one moment.
    struct Reading {
        var counters: DriverContract.Counters
        var usage: OutsideUsage
    }

    struct Memory {
        var residentBytes: Kernel.Measured<UInt64>
        var heapBytes: UInt64?
    }

    /// Runs once.
    ///
    /// - Parameter isInterrupted: asked now and then; true ends the window early.
    /// - Returns: the figures; `valid` says whether they may be believed.
    public func run(isInterrupted: @escaping @Sendable () -> Bool = { false }) async -> RunFigures {
        var findings = Findings()
        var problems: [String] = []
        do {
            let serverProcess = try DriverProcess(server, role: "server", arguments: options.arguments)
            do {
                try await serve(serverProcess, &findings, &problems, isInterrupted)
            } catch {
                problems.append("\(error)")
            }
            if let problem = serverProcess.stop(afterReport: findings.reports != nil) { problems.append(problem) }
        } catch {
            problems.append("\(error)")
        }
        return figures(findings, problems)
    }

    private func serve(
        _ serverProcess: DriverProcess, _ findings: inout Findings, _ problems: inout [String], _ isInterrupted: @escaping @Sendable () -> Bool
    ) async throws {
        let ready = try await serverProcess.line(DriverContract.Ready.self, during: "server", seconds: Self.answerSeconds)
        guard let port = ready.port else {
            throw DriverError.broken(driver: serverProcess.name, during: "server", reason: "its readiness names no port")
        }
        let clientProcess = try DriverProcess(client, role: "client", arguments: options.arguments + ["--connect", "127.0.0.1:\(port)"])
        do {
            _ = try await clientProcess.line(DriverContract.Ready.self, during: "client", seconds: Self.answerSeconds)
            try await measure(DriverPair(client: clientProcess, server: serverProcess, port: port), &findings, isInterrupted)
        } catch {
            problems.append("\(error)")
        }
        if let problem = clientProcess.stop(afterReport: findings.reports != nil) { problems.append(problem) }
    }

    private func measure(_ pair: DriverPair, _ findings: inout Findings, _ isInterrupted: @escaping @Sendable () -> Bool) async throws {
        let isIdle = options.workload == .idle
        try await awaitStreams(pair, isIdle ? options.connections * max(1, options.streams / 10) : options.streamsInAll, isInterrupted)
        if isIdle {
            let part = try await pair.settle()
            _ = try await pair.client.call(.open, DriverContract.Done.self, seconds: Self.answerSeconds)
            try await awaitStreams(pair, options.streamsInAll, isInterrupted)
            findings.idle = (part, try await pair.settle())
        }
        try await pair.both(.start, DriverContract.Done.self)
        try await Self.sleep(seconds: omitSeconds, isInterrupted)
        findings.begin = try await pair.read(.begin)
        try await Self.sleep(seconds: durationSeconds, isInterrupted)
        findings.end = try await pair.read(.end)
        try await pair.both(.stop, DriverContract.Done.self)
        try await awaitEnd(pair)
        do {
            findings.traffic = .value(try PortTraffic.ofPort(pair.port))
        } catch {
            findings.traffic = .unavailable(reason: "\(error)")
        }
        findings.reports = try await pair.both(.report, DriverContract.Report.self)
    }

    /// Waits until both ends have that many streams. Without streams of churn: they come and go.
    private func awaitStreams(_ pair: DriverPair, _ wanted: Int, _ isInterrupted: @Sendable () -> Bool) async throws {
        guard options.workload != .churn, options.beside != .churn else { return }
        try await poll(pair, isInterrupted, { $0 >= wanted }) { RunError.streamsMissing(client: $0.client.streams, server: $0.server.streams, wanted: wanted) }
    }

    /// What the client has sent may still be on its way when its last stream is over: the server is done when it has none left.
    private func awaitEnd(_ pair: DriverPair) async throws {
        try await poll(pair, { false }, { $0 == 0 }) { RunError.streamsLeft($0.client.streams + $0.server.streams, seconds: Self.answerSeconds) }
    }

    private func poll(
        _ pair: DriverPair, _ isInterrupted: @Sendable () -> Bool, _ isFine: (Int) -> Bool,
        failure: (BothSides<DriverContract.Streams>) -> RunError
    ) async throws {
        let limit = Clock.now &+ UInt64(Self.answerSeconds * 1e9)
        while true {
            let streams = try await pair.both(.streams, DriverContract.Streams.self)
            if isFine(streams.client.streams), isFine(streams.server.streams) { return }
            if isInterrupted() { throw RunError.interrupted }
            guard Clock.now < limit else { throw failure(streams) }
            try await Task.sleep(nanoseconds: 2_000_000)
        }
    }

    /// Sleeps in short steps, so that an interruption is heard.
    private static func sleep(seconds: Double, _ isInterrupted: @Sendable () -> Bool) async throws {
        let end = Clock.now &+ UInt64(seconds * 1e9)
        while case let now = Clock.now, now < end, !isInterrupted() { try await Task.sleep(nanoseconds: min(end &- now, 50_000_000)) }
    }
}

/// The two processes of a run.
struct DriverPair: Sendable {
    let client: DriverProcess
    let server: DriverProcess
    let port: UInt16

    /// Gives both the same command at the same time.
    @discardableResult
    func both<Answer: Decodable & Sendable>(_ command: DriverContract.Command, _ type: Answer.Type) async throws -> BothSides<Answer> {
        async let ofServer = server.call(command, type, seconds: DriverRun.answerSeconds)
        let ofClient: Result<Answer, any Error>
        do { ofClient = .success(try await client.call(command, type, seconds: DriverRun.answerSeconds)) } catch { ofClient = .failure(error) }
        // The server's answer is awaited in any case: it says more than a client whose server has gone.
        let answer = try await ofServer
        return BothSides(client: try ofClient.get(), server: answer)
    }

    func read(_ command: DriverContract.Command) async throws -> BothSides<DriverRun.Reading> {
        let usage = BothSides(client: OutsideUsage.now(client.outside), server: OutsideUsage.now(server.outside))
        let counters = try await both(command, DriverContract.Counters.self)
        return BothSides(
            client: DriverRun.Reading(counters: counters.client, usage: usage.client), server: DriverRun.Reading(counters: counters.server, usage: usage.server))
    }

    func settle() async throws -> BothSides<DriverRun.Memory> {
        let settled = try await both(.settle, DriverContract.Settled.self)
        return BothSides(
            client: DriverRun.Memory(residentBytes: client.outside.residentBytes(), heapBytes: settled.client.heapBytes),
            server: DriverRun.Memory(residentBytes: server.outside.residentBytes(), heapBytes: settled.server.heapBytes))
    }
}

/// What the kernel says of a process at one moment.
struct OutsideUsage {
    var processorNanoseconds: Kernel.Measured<UInt64>
    var ticks: Kernel.Measured<(user: UInt64, system: UInt64)>
    var residentBytes: Kernel.Measured<UInt64>
    var residentPeakBytes: Kernel.Measured<UInt64>
    var calls: Kernel.Measured<(reads: UInt64, writes: UInt64)>

    static func now(_ process: OtherProcess) -> OutsideUsage {
        OutsideUsage(
            processorNanoseconds: process.processorNanoseconds(), ticks: process.processorTicks(), residentBytes: process.residentBytes(),
            residentPeakBytes: process.residentPeakBytes(), calls: process.readAndWriteCalls())
    }
}
