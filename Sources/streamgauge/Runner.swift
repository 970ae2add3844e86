import ArgumentParser
import Foundation
import Gauge
import Kernel
import Load
import Multiformats
import Reactor
import Report
import Synchronization

/// Runs scenarios: starts the server process and the event loops, repeats, and makes records.
///
/// Client and server are two processes on cores of their own where there are two; over `memory` they share one process.
final class Runner: Sendable {
    private typealias Interrupt = @Sendable () -> Void
    private let interruption = Mutex<(isInterrupted: Bool, interrupt: Interrupt?)>((false, nil))
    private let latestMarks = Mutex<RunMarks?>(nil)
    private let view: ProgressView
    private let limits: RunLimits

    /// - Parameter timeoutSeconds: how long to wait for the other side; nil for as long as is usual.
    init(view: ProgressView, timeoutSeconds: Double? = nil) {
        self.view = view
        var limits = RunLimits()
        if let timeoutSeconds {
            limits.phaseSeconds = timeoutSeconds
            limits.answerSeconds = timeoutSeconds
        }
        self.limits = limits
        Signals.onTermination { [self] in
            let interrupt = interruption.withLock { state in
                state.isInterrupted = true
                return state.interrupt
            }
            interrupt?()
        }
    }

    var isInterrupted: Bool { interruption.withLock { $0.isInterrupted } }

    /// Of the last repeat; nil when its window was not whole.
    var marks: RunMarks? { latestMarks.withLock { $0 } }

    /// Checks that the scenario can be run on this machine, before anything is started.
    static func check(_ scenario: Scenario, target: Multiaddr? = nil) throws {
        do {
            try scenario.validate()
            let stack = try ProtocolStack(scenario.subject)
            try scenario.validate(on: stack, target: target)
            let sockets = scenario.connections * (stack.hasMuxer ? 1 : scenario.streams)
            // Listener, control connection, loop, standard streams, and some to spare.
            let needed = (stack.transport == .memory ? 0 : sockets) + 64
            let limit = try ResourceLimits.raiseDescriptors(to: UInt64(needed))
            guard limit >= UInt64(needed) else { throw ScenarioError.tooManyDescriptors(needed: needed, limit: Int(limit)) }
        } catch {
            throw Exit.usage(error)
        }
    }

    /// One repeat.
    ///
    /// - Parameter target: a server that runs already or any libp2p node, or nil to start a server.
    func once(_ scenario: Scenario, target: Multiaddr?, label: String) async throws -> (figures: RunFigures, ioName: String) {
        let cores = (try? Affinity.allowedCores()) ?? []
        let stack = try ProtocolStack(scenario.subject)
        let isPinned = cores.count >= 2 && scenario.threads == 1 && stack.transport != .memory
        let loops = try Loops.start(
            count: scenario.threads, io: scenario.io, name: "client", core: isPinned ? cores[0] : nil, spin: scenario.spinSeconds)
        defer { Loops.stop(loops) }
        if let target, target.isOfNode {
            defer { view.finish() }
            let run = try NodeRun(scenario: scenario, loops: loops, target: target, limits: limits)
            let figures = try await driving({ run.interrupt() }) { [view] in try await run.run { view.show($0, label, scenario) } }
            return (figures, loops[0].io.name)
        }
        var process: ServerProcess?
        var responder: Responder?
        let server: Generator.Target
        if stack.transport == .memory {
            let inside = try await Responder.start(loops: loops, address: try Multiaddr("/ip4/127.0.0.1/tcp/0"))
            responder = inside
            server = .responder(inside)
        } else if let target {
            server = .address(target)
        } else {
            let started = try ServerProcess(
                program: Self.program, listen: try Self.listenAddress(stack), threads: scenario.threads, io: scenario.io,
                core: isPinned ? cores[1] : nil, spinSeconds: scenario.spinSeconds)
            process = started
            server = .address(started.address)
        }
        let result: Result<RunFigures, any Error>
        var relay: ServerProcess?
        do {
            relay = try Self.startRelay(stack, to: process?.address ?? target)
            result = .success(try await drive(scenario, loops, server, relay?.address, label, serverID: process?.processID))
        } catch {
            result = .failure(error)
        }
        view.finish()
        await responder?.stop()
        let relayProblem = relay?.stop()
        let serverProblem = process?.stop() ?? relayProblem
        do {
            var figures = try result.get()
            if let serverProblem { figures.invalidate(serverProblem) }
            return (figures, loops[0].io.name)
        } catch {
            throw serverProblem.map { RunError.serverFailed("\(error); \($0)") } ?? error
        }
    }

    /// The link between the sides, in a process of its own whose costs are neither's; nil where the stack has none.
    private static func startRelay(_ stack: ProtocolStack, to server: Multiaddr?) throws(RunError) -> ServerProcess? {
        guard let link = stack.link, let server else { return nil }
        return try ServerProcess(program: program, relaying: link, to: server)
    }

    private func drive(
        _ scenario: Scenario, _ loops: [EventLoop], _ server: Generator.Target, _ relay: Multiaddr?, _ label: String, serverID: Int32?
    ) async throws -> RunFigures {
        let generator = try Generator(scenario: scenario, loops: loops, server: server, relay: relay, limits: limits)
        let figures = try await driving({ generator.interrupt() }) { [view] in try await generator.run { view.show($0, label, scenario) } }
        let marks = generator.window.map { RunMarks(window: $0, clientID: getpid(), serverID: serverID) }
        latestMarks.withLock { $0 = marks }
        return figures
    }

    /// Runs `body`; `interrupt` is called when somebody wants it to end.
    private func driving(_ interrupt: @escaping Interrupt, _ body: () async throws -> RunFigures) async throws -> RunFigures {
        interruption.withLock { $0.interrupt = interrupt }
        defer { interruption.withLock { $0.interrupt = nil } }
        if isInterrupted { interrupt() }
        return try await body()
    }

    /// This program's own file: the server is another instance of it.
    static var program: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }

    private static func listenAddress(_ stack: ProtocolStack) throws -> Multiaddr {
        guard stack.transport == .unix else { return try Multiaddr("/ip4/127.0.0.1/tcp/0") }
        let name = "streamgauge-\(ProcessInfo.processInfo.processIdentifier).sock"
        return try Multiaddr("/unix" + FileManager.default.temporaryDirectory.appendingPathComponent(name).path)
    }

    /// The record of a scenario's repeats.
    ///
    /// - Parameter target: where they went, nil for servers of their own.
    static func record(_ scenario: Scenario, _ repeats: [RunFigures], target: Multiaddr? = nil, ioName: String) -> RunRecord {
        var numbered = repeats
        for index in numbered.indices { numbered[index].repeatIndex = index + 1 }
        let directions: [Scenario.Flow.Verb: String] = [.receive: "down", .duplex: "both"]
        let bulk = scenario.flows.last?.verb
        let setup = RunSetup(
            subject: scenario.subject, workload: scenario.workload, direction: bulk.flatMap { directions[$0] } ?? "up",
            connections: scenario.connections, streams: scenario.streams, messageSizeBytes: scenario.messageSizeBytes,
            depth: scenario.flows[0].depth,
            readRateBytesPerSecond: Measured(
                scenario.flows.last?.readRateBytesPerSecond, else: "receivers read all at once"),
            beside: Measured(scenario.aggressor?.rawValue, else: "the workload is not mixed"),
            besideConnection: Measured(
                scenario.aggressor == nil ? nil : scenario.separatesFirstFlow == true ? "own_connection" : "same_connection", else: "the workload is not mixed"),
            ratePerSecond: Measured(scenario.ratePerSecond, else: "closed loop"),
            durationRequestedSeconds: Measured(scenario.durationSeconds, else: "the run ends by count"),
            countRequested: Measured(scenario.count, else: "the run ends by time"), omitSeconds: scenario.omitSeconds,
            threads: BothSides(both: scenario.threads), processes: scenario.subject.hasPrefix("memory") ? 1 : 2,
            verify: target?.isOfNode == true ? scenario.verifyOfNodes : scenario.verify, seed: scenario.seed)
        let environment = Environment.current(
            allocator: "jemalloc", ioBackend: ioName, commit: ProcessInfo.processInfo.environment["STREAMGAUGE_COMMIT"])
        return RunRecord(setup: setup, repeats: numbered, environment: environment, command: commandLine)
    }

    /// The command as a person would type it again.
    static var commandLine: String {
        let words = ["streamgauge"] + CommandLine.arguments.dropFirst()
        return words.map { word in
            let isPlain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_+=./:,".contains($0) } && !word.isEmpty
            return isPlain ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
        }.joined(separator: " ")
    }
}

/// Shows how far a run has come, on standard error and only where somebody sits.
final class ProgressView: Sendable {
    private let state: Mutex<State>

    private struct State: ~Copyable {
        let live: LiveProgress?
        let showsIntervals: Bool
        var last: (seconds: Double, totals: Recording.Totals) = (0, Recording.Totals())
    }

    /// Shows nothing: something else tells how far it has come.
    static var none: ProgressView { ProgressView() }

    private init() { state = Mutex(State(live: nil, showsIntervals: false)) }

    /// - Parameter showsIntervals: a line for each second stays on the screen, also where it is not a terminal.
    init(showsIntervals: Bool) {
        let width = Terminal.width(of: .standardError)
        let live = width != nil || showsIntervals
            ? LiveProgress(terminalWidth: width, showsIntervals: showsIntervals) { StandardError.write($0) }
            : nil
        state = Mutex(State(live: live, showsIntervals: showsIntervals))
    }

    func show(_ progress: Generator.Progress, _ label: String, _ scenario: Scenario) {
        state.withLock { state in
            guard let live = state.live else { return }
            func tell(_ phase: String, _ seconds: Double = 0, _ planned: Double? = nil, _ bytes: Double = 0, _ messages: Double = 0) {
                live.update(.init(
                    label: "\(label) \(phase)", elapsedSeconds: seconds, plannedSeconds: planned, bytesPerSecond: bytes,
                    messagesPerSecond: messages))
            }
            switch progress {
            case .connecting(let ready, let wanted): tell("opening streams: \(ready) of \(wanted)")
            case .warmingUp:
                state.last = (0, Recording.Totals())
                tell("warming up")
            case .measuring(let seconds, let totals):
                let change = totals - state.last.totals
                let span = max(seconds - state.last.seconds, 1e-9)
                tell(
                    "measuring", seconds, scenario.durationSeconds, Double(change.payloadBytesReceived) / span,
                    Double(change.messagesReceived) / span)
                live.interval(.init(
                    fromSeconds: state.last.seconds, toSeconds: seconds, bytes: change.payloadBytesReceived,
                    messages: change.messagesReceived))
                state.last = (seconds, totals)
            case .finishing: tell("finishing")
            }
        }
    }

    func finish() {
        state.withLock { $0.live?.finish() }
    }
}
