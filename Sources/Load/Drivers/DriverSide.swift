import FoundationEssentials
import Gauge
import Kernel
import Multiformats
import P2P
public import Reactor
import Synchronization

/// Our own end of a driver's run: what `streamgauge driver` is. The engine and its traffic are those of any run; only who tells it what to do differs.
///
/// Call order: ``server(_:loops:)`` or ``client(_:loops:port:)``, whose ``ready`` is the first line; then ``answer(_:)`` for each command, one at a time.
public final class DriverSide: Sendable {
    /// Data connections are told apart from others by their greeting; there is one run only.
    private static let token: UInt64 = 0

    private let run: SideRun
    private let scenario: Scenario
    private let responder: Responder?
    private let limits = RunLimits()
    /// Client: where the server is, and what is spoken with it.
    private let dialsTo: (address: SocketAddress, stack: ProtocolStack)?
    /// The line that says that this end is ready.
    public let ready: [UInt8]
    /// Peers that were turned away, as sentences.
    private let strangers: Strangers

    private final class Strangers: Sendable {
        let list = Mutex<[String]>([])
        func add(_ line: String) {
            list.withLock { if $0.count < Harvest.problemsMax { $0.append("turned away \(line)") } }
        }
    }

    private init(
        _ run: SideRun, _ scenario: Scenario, _ responder: Responder?, _ strangers: Strangers, _ ready: DriverContract.Ready,
        dialsTo: (address: SocketAddress, stack: ProtocolStack)? = nil
    ) throws {
        self.dialsTo = dialsTo
        self.run = run
        self.scenario = scenario
        self.responder = responder
        self.strangers = strangers
        self.ready = try Self.line(ready)
    }

    /// Listens on a free port of 127.0.0.1.
    ///
    /// - Throws: ``ScenarioError``, ``SubjectError``, ``ListenError``.
    public static func server(_ options: DriverOptions, loops: [EventLoop]) async throws -> DriverSide {
        let (scenario, _, run) = try await prepare(.server, options, loops)
        let strangers = Strangers()
        let responder = try await Responder.start(loops: loops, address: try Multiaddr("/ip4/127.0.0.1/tcp/0")) { strangers.add($0) }
        await responder.register(run, token: token)
        return try DriverSide(run, scenario, responder, strangers, DriverContract.Ready(port: try SocketAddress(ofRun: responder.address).port))
    }

    /// Makes all connections and opens the streams.
    ///
    /// - Throws: ``ScenarioError``, ``SubjectError``, ``RunError``.
    public static func client(_ options: DriverOptions, loops: [EventLoop], port: UInt16) async throws -> DriverSide {
        let (scenario, stack, run) = try await prepare(.client, options, loops)
        await run.onEach { $0.holdsConnections = true }
        let address = try SocketAddress(ofRun: try Multiaddr("/ip4/127.0.0.1/tcp/\(port)"))
        let side = try DriverSide(run, scenario, nil, Strangers(), DriverContract.Ready(), dialsTo: (address, stack))
        // Without a multiplexer the second part of silent streams are connections that come later.
        let first = options.workload == .idle ? max(1, scenario.streams / 10) : scenario.streams
        try await side.dial(stack.hasMuxer ? 0..<1 : 0..<first)
        return side
    }

    private func dial(_ streams: Range<Int>) async throws {
        guard let (address, _) = dialsTo, !streams.isEmpty else { return }
        let dialler = Dialler(address: address, token: Self.token, streams: streams, scenario: scenario, responder: nil)
        if let failure = await dialler.dialAll(run) {
            await run.onEach { $0.abandon() }
            throw failure
        }
        try await awaitStreams()
    }

    private static func prepare(_ side: Side, _ options: DriverOptions, _ loops: [EventLoop]) async throws -> (Scenario, ProtocolStack, SideRun) {
        let scenario = try options.scenario()
        let stack = try ProtocolStack(scenario.subject)
        guard stack.transport == .tcp else {
            throw ScenarioError.contradiction("drivers meet over tcp, and '\(stack)' is over \(stack.transport.rawValue): use streamgauge run")
        }
        guard stack.link == nil, stack.yamuxWindowBytesMax == nil else {
            throw ScenarioError.contradiction("drivers meet without an emulated link and with usual windows, and '\(stack)' has another wish: use streamgauge run")
        }
        try scenario.validate(on: stack)
        let run = try await SideRun(side: side, scenario: scenario, stack: stack, loops: loops, operations: nil, sharesProcess: false)
        return (scenario, stack, run)
    }

    private static func line(_ message: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(message)) + [UInt8(ascii: "\n")]
    }

    /// The line of a side that cannot go on.
    public static func failure(_ error: any Error) -> [UInt8] {
        // A sentence is always encodable.
        (try? line(DriverContract.Failure(error: "\(error)"))) ?? Array("{\"error\":\"unspeakable\"}\n".utf8)
    }

    /// What `streamgauge driver about` prints.
    public static func about(version: String) throws -> [UInt8] {
        let stacks = ProtocolStack.all.filter { $0.transport == .tcp }.map(\.description)
        return try line(
            DriverContract.About(
                name: "swift", version: version, stacks: stacks, workloads: Workload.allCases.filter { $0 != .connect }.map(\.rawValue),
                directions: ["up", "down", "both"], beside: Aggressor.allCases.map(\.rawValue), apart: true))
    }

    /// Carries out a command.
    ///
    /// - Returns: the line that answers it.
    /// - Throws: ``RunError`` when the run cannot go on.
    public func answer(_ command: DriverContract.Command) async throws -> [UInt8] {
        switch command {
        case .streams: return try Self.line(DriverContract.Streams(streams: await run.state().streams))
        case .open:
            await run.onEach { $0.openRemainingStreams() }
            if let stack = dialsTo?.stack, !stack.hasMuxer { try await dial(max(1, scenario.streams / 10)..<scenario.streams) }
            try await awaitStreams()
        case .settle:
            HeapUsage.returnUnusedMemory()
            return try Self.line(DriverContract.Settled(heapBytes: HeapUsage.now().allocatedBytes.value))
        case .start: await run.onEach { $0.startTraffic() }
        case .begin: return try await counters { $0.beginWindow() }
        case .end: return try await counters { $0.endWindow() }
        case .stop: try await stop()
        case .report: return try await report()
        }
        return try Self.line(DriverContract.Done())
    }

    private func awaitStreams() async throws {
        guard await !run.wait(seconds: limits.phaseSeconds, until: { $0.isOpened }) else { return }
        let state = await run.state()
        throw RunError.streamsMissing(client: state.streams, server: 0, wanted: scenario.connections * scenario.streams)
    }

    /// What stands in the counters at the moment of `change`: in one turn of the loop, so that nothing is counted in between.
    private func counters(_ change: @escaping @Sendable (Shard) -> Void) async throws -> [UInt8] {
        var totals = Recording.Totals()
        var syscalls: [String: UInt64] = [:]
        var time: UInt64 = 0
        let parts = await run.onEach { shard in
            change(shard)
            return (shard.recorder.totals, Usage.Counts(of: shard.loop).syscalls, Clock.now)
        }
        for (part, counts, now) in parts {
            totals = totals + part
            syscalls.merge(counts) { $0 + $1 }
            time = now
        }
        return try Self.line(
            DriverContract.Counters(
                timeNanoseconds: time, receivedBytes: totals.payloadBytesReceived, receivedMessages: totals.messagesReceived,
                completed: totals.operationsCompleted, syscalls: syscalls))
    }

    private func stop() async throws {
        let seconds = limits.phaseSeconds
        await run.onEach { $0.stopTraffic() }
        guard run.side == .client else {
            await run.onEach { $0.finishTraffic() }
            return
        }
        if await !run.wait(seconds: seconds, until: { $0.outstanding == 0 && $0.dialling == 0 }) {
            throw RunError.unanswered(await run.onEach { $0.outstanding }.reduce(0, +), seconds: seconds)
        }
        await run.onEach { $0.finishTraffic() }
        if await !run.wait(seconds: seconds, until: { $0.liveStreams == 0 }) {
            let left = await run.onEach { $0.liveStreams }.reduce(0, +)
            throw RunError.streamsLeft(left, seconds: seconds)
        }
    }

    private func report() async throws -> [UInt8] {
        await run.onEach { $0.releaseConnections() }
        let hasEnded = await run.wait(seconds: limits.phaseSeconds, until: { $0.liveCount == 0 })
        if !hasEnded { await run.onEach { $0.abandon() } }
        let (outcome, receipts) = await run.outcome(begin: Usage(), end: Usage())
        let (verified, streams) = await run.onEach { ($0.verifiedMessages, $0.streamsBegun) }.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
        let outgoing: Direction = run.side == .client ? .up : .down
        func carried(_ direction: Direction) -> DriverContract.Carried {
            receipts.lazy.filter { $0.direction == direction }.reduce(into: DriverContract.Carried(bytes: 0, messages: 0)) {
                $0.bytes += $1.bytes
                $0.messages += $1.messages
            }
        }
        let problems = Array((outcome.problems + strangers.list.withLock { $0 }).prefix(Harvest.problemsMax))
        return try Self.line(
            DriverContract.Report(
                sent: carried(outgoing), received: carried(outgoing == .up ? .down : .up), verified: verified, streams: UInt64(streams),
                problems: problems, latency: outcome.recording.latency.classes().map { [$0.nanoseconds, $0.count] }))
    }
}
