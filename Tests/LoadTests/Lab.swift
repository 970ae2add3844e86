import Foundation
import Gauge
@testable import Load
import Multiformats
import Reactor
import Testing

/// Client and server of a run, each on event loops of its own, in one process.
struct Lab {
    let clientLoops: [EventLoop]
    let serverLoops: [EventLoop]
    let responder: Responder
    /// Lines about peers that were turned away.
    let notes: Lines

    /// - Parameter transport: what the server listens on; the memory transport needs both sides on the same loops.
    static func start(
        _ transport: ProtocolStack.Transport = .tcp, threads: Int = 1, limits: RunLimits = .forTests
    ) async throws -> Lab {
        let clientLoops = try makeLoops(threads, "client")
        let serverLoops = transport == .memory ? clientLoops : try makeLoops(threads, "server")
        let address = transport == .unix ? "/unix" + uniqueSocketPath() : "/ip4/127.0.0.1/tcp/0"
        let notes = Lines()
        do {
            let responder = try await Responder.start(loops: serverLoops, address: try Multiaddr(address), limits: limits) { notes.add($0) }
            return Lab(clientLoops: clientLoops, serverLoops: serverLoops, responder: responder, notes: notes)
        } catch {
            stop(clientLoops + serverLoops)
            throw error
        }
    }

    private init(clientLoops: [EventLoop], serverLoops: [EventLoop], responder: Responder, notes: Lines) {
        self.clientLoops = clientLoops
        self.serverLoops = serverLoops
        self.responder = responder
        self.notes = notes
    }

    static func makeLoops(_ count: Int, _ name: String) throws -> [EventLoop] {
        try (0..<count).map { number in
            var configuration = EventLoopConfiguration()
            configuration.name = "\(name)-\(number)"
            let loop = try EventLoop(configuration)
            try loop.start()
            return loop
        }
    }

    static func stop(_ loops: [EventLoop]) {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }

    /// - Parameter address: where the client goes; nil for straight to the responder.
    func run(_ scenario: Scenario, through address: Multiaddr? = nil, limits: RunLimits = .forTests) async throws -> RunFigures {
        let generator = try Generator(
            scenario: scenario, loops: clientLoops, server: address.map { .address($0) } ?? .responder(responder), limits: limits)
        return try await generator.run()
    }

    func stop() async {
        await responder.stop()
        Self.stop(clientLoops)
        if serverLoops.first !== clientLoops.first { Self.stop(serverLoops) }
    }

    /// Starts, runs once, stops.
    static func run(_ scenario: Scenario, limits: RunLimits = .forTests) async throws -> RunFigures {
        let lab = try await start(try ProtocolStack(scenario.subject).transport, threads: scenario.threads, limits: limits)
        let figures: RunFigures
        do {
            figures = try await lab.run(scenario, limits: limits)
        } catch {
            await lab.stop()
            throw error
        }
        await lab.stop()
        return figures
    }
}

extension RunLimits {
    /// Long enough for a busy machine: no test of something that works should ever wait for it.
    static let forTests: RunLimits = {
        var limits = RunLimits()
        limits.phaseSeconds = 60
        limits.answerSeconds = 60
        return limits
    }()

    /// For tests in which somebody does not answer.
    static let short: RunLimits = {
        var limits = RunLimits()
        limits.phaseSeconds = 0.2
        limits.answerSeconds = 0.2
        limits.greetingSeconds = 0.2
        return limits
    }()
}

/// Lines that other threads add.
final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []

    func add(_ line: String) { lock.withLock { lines.append(line) } }
    var all: [String] { lock.withLock { lines } }
}

extension Scenario {
    /// A named workload that ends by count.
    static func counted(
        _ subject: String, _ workload: Workload, count: Int, connections: Int = 1, streams: Int = 1, messageSizeBytes: Int? = nil,
        direction: String = "up", depth: Int = 1, threads: Int = 1, verify: String = "full", seed: UInt64 = 42
    ) throws -> Scenario {
        Scenario(
            subject: subject, workload: workload.rawValue, connections: connections, streams: streams,
            flows: try workload.flows(
                messageSizeBytes: messageSizeBytes ?? workload.messageSizeDefault, direction: direction, depth: depth),
            durationSeconds: nil, count: count, omitSeconds: 0, threads: threads, verify: verify, seed: seed)
    }

    /// The same, ending by time.
    func lasting(_ seconds: Double, omit: Double = 0.02) -> Scenario {
        var scenario = self
        scenario.count = nil
        scenario.durationSeconds = seconds
        scenario.omitSeconds = omit
        return scenario
    }
}

/// A path in the temporary directory that nothing else uses.
func uniqueSocketPath() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("streamgauge-\(UInt32.random(in: 0 ... .max)).sock").path
}

/// Expects what an honest run has: validity, and ledgers that add up to the last byte at both ends.
func expectHonest(_ figures: RunFigures, _ what: String = "", location: SourceLocation = #_sourceLocation) {
    #expect(figures.invalidReasons == [], "\(what)", sourceLocation: location)
    #expect(figures.valid, "\(what)", sourceLocation: location)
    #expect(!figures.partial, "\(what)", sourceLocation: location)
    #expect(figures.ledger.balanced, "\(what)", sourceLocation: location)
    #expect(figures.ledger.total.residual == 0, "\(what)", sourceLocation: location)
    #expect(figures.ledger.client.sent.residual == 0 && figures.ledger.client.received.residual == 0, "\(what)", sourceLocation: location)
    guard let server = figures.ledger.server.value else {
        Issue.record("the server did not report", sourceLocation: location)
        return
    }
    #expect(server.sent.residual == 0 && server.received.residual == 0, "\(what)", sourceLocation: location)
    #expect(server.received.payload == figures.ledger.client.sent.payload, "\(what)", sourceLocation: location)
    #expect(server.sent.payload == figures.ledger.client.received.payload, "\(what)", sourceLocation: location)
}

/// Expects a run that says it must not be believed, with a sentence that holds all of `words`.
func expectInvalid(_ figures: RunFigures, _ words: String..., location: SourceLocation = #_sourceLocation) {
    #expect(!figures.valid, sourceLocation: location)
    let isSaid = figures.invalidReasons.contains { reason in words.allSatisfy { reason.contains($0) } }
    #expect(isSaid, "no sentence with \(words) in \(figures.invalidReasons)", sourceLocation: location)
}
