import Gauge
import Kernel
@testable import Load
import Multiformats
import Muxers
import P2P
import Reactor
import SecureChannels
import Testing

/// Runs against a node that knows nothing of runs.
@Suite(.serialized, .timeLimit(.minutes(5))) struct NodeRunTests {
    /// A node of libp2p's, on loops of its own, and where it listens.
    private func withNode(
        _ stack: ProtocolStack, perf: PerfService = .on, _ body: (P2P.Host, Multiaddr, [EventLoop]) async throws -> Void
    ) async throws {
        var configuration = HostConfiguration(identity: try LocalIdentity(generating: .ed25519))
        configuration.security = [try #require(stack.security)]
        configuration.muxers = [try #require(stack.muxer?.negotiable)]
        configuration.perf = perf
        let host = try P2P.Host(configuration)
        let loops = try Lab.makeLoops(2, "client")
        do {
            try await body(host, try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0")), loops)
        } catch {
            await host.close()
            Lab.stop(loops)
            throw error
        }
        await host.close()
        Lab.stop(loops)
    }

    private func run(_ scenario: Scenario, at address: Multiaddr, _ loops: [EventLoop], limits: RunLimits = .forTests) async throws -> RunFigures {
        try await NodeRun(scenario: scenario, loops: loops, target: address, limits: limits).run()
    }

    private func expectTrue(_ figures: RunFigures, _ what: String) {
        #expect(figures.invalidReasons == [], "\(what)")
        #expect(figures.valid && !figures.partial, "\(what)")
        #expect(figures.ledger.client.sent.residual == 0 && figures.ledger.client.received.residual == 0, "\(what)")
        #expect(figures.ledger.server.value == nil && figures.cpuUserSeconds.server.value == nil, "\(what)")
        #expect(figures.ledger.client.sent.handshake > 0 && figures.ledger.client.sent.negotiation > 0, "\(what)")
    }

    static let subjects = ["tcp+noise+yamux", "tcp+tls+mplex", "tcp+plaintext+yamux", "tcp+noise+mplex", "tcp+tls+yamux"]

    @Test(arguments: subjects, [(Workload.request, "up"), (.bulk, "up"), (.bulk, "down"), (.churn, "up"), (.connect, "up")])
    func byCount(subject: String, work: (workload: Workload, direction: String)) async throws {
        try await withNode(try ProtocolStack(subject)) { _, address, loops in
            let (connections, streams) = work.workload == .connect ? (3, 1) : (2, 5)
            let size = work.workload == .request ? 32 : work.workload == .bulk ? 70_000 : 100
            let scenario = try Scenario.counted(
                subject, work.workload, count: 101, connections: connections, streams: streams, messageSizeBytes: size, direction: work.direction)
            let figures = try await run(scenario, at: address, loops)
            let what = "\(subject) \(work)"
            expectTrue(figures, what)
            #expect(figures.messages == 101, "\(what)")
            let carried = UInt64(101 * (work.workload == .connect ? 32 : size))
            #expect(figures.payloadBytes == (work.workload == .bulk ? carried : 2 * carried), "\(what)")
            let (sent, received) = (figures.ledger.client.sent.payload, figures.ledger.client.received.payload)
            if work.direction == "down" { #expect(received >= carried, "\(what)") } else { #expect(sent >= carried, "\(what)") }
            if work.workload != .bulk {
                #expect(figures.latency.value?.count == 101, "\(what)")
            }
            if work.workload == .connect {
                let steps = try #require(figures.connectSteps.value)
                #expect(steps.first?.name == "tcp connected" && steps.last?.name == "stream opened, first answer")
                #expect(steps.allSatisfy { $0.latency.count == 101 })
            }
        }
    }

    @Test(arguments: [(Workload.request, "up"), (.bulk, "up"), (.bulk, "down"), (.churn, "up"), (.connect, "up")])
    func byTime(workload: Workload, direction: String) async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { _, address, loops in
            let scenario = try Scenario.counted(
                "tcp+noise+yamux", workload, count: 1, streams: workload == .connect ? 1 : 3,
                messageSizeBytes: workload == .request ? 32 : nil, direction: direction
            ).lasting(0.2)
            let figures = try await run(scenario, at: address, loops)
            expectTrue(figures, "\(workload) \(direction)")
            #expect(figures.messages > 0)
        }
    }

    @Test(arguments: [Workload.request, .churn, .connect])
    func moreLoopsThanConnections(workload: Workload) async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { _, address, loops in
            let scenario = try Scenario.counted(
                "tcp+noise+yamux", workload, count: 11, messageSizeBytes: workload == .request ? 32 : nil, threads: loops.count)
            let figures = try await run(scenario, at: address, loops)
            expectTrue(figures, "\(workload)")
            #expect(figures.messages == 11)
        }
    }

    // MARK: Nodes that do not do it

    @Test func perfIsOff() async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux"), perf: .off) { _, address, loops in
            for workload in [Workload.bulk, .churn] {
                let scenario = try Scenario.counted("tcp+noise+yamux", workload, count: 10, streams: 2)
                let error = await #expect(throws: RunError.self) { _ = try await run(scenario, at: address, loops) }
                guard case .notServed(_, let id, _)? = error else {
                    Issue.record("\(error as Any)")
                    continue
                }
                #expect(id == "/perf/1.0.0")
            }
        }
    }

    @Test func anotherPeer() async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { _, address, loops in
            let stranger = try LocalIdentity(generating: .ed25519).peerID
            let wrong = try Multiaddr(checking: Array(address.components.dropLast()) + [.p2p(stranger)])
            for workload in [Workload.request, .connect] {
                let scenario = try Scenario.counted("tcp+noise+yamux", workload, count: 10, messageSizeBytes: 32)
                let error = await #expect(throws: RunError.self) { _ = try await run(scenario, at: wrong, loops) }
                #expect("\(error as Any)".contains("\(stranger)"))
            }
        }
    }

    @Test func nobodyThere() async throws {
        let loops = try Lab.makeLoops(1, "client")
        let peer = try LocalIdentity(generating: .ed25519).peerID
        // Port 1 is nobody's on a machine that runs tests.
        let scenario = try Scenario.counted("tcp+noise+yamux", .request, count: 10, messageSizeBytes: 32)
        let error = await #expect(throws: RunError.self) {
            _ = try await run(scenario, at: Multiaddr("/ip4/127.0.0.1/tcp/1/p2p/\(peer)"), loops)
        }
        guard case .dialFailed(connection: 0, _, _)? = error else { Issue.record("\(error as Any)"); return }
        Lab.stop(loops)
    }

    /// The node goes away in the middle: what was measured stays, and is not to be believed.
    @Test(arguments: [(Workload.request, "up"), (.bulk, "up"), (.bulk, "down"), (.churn, "up"), (.connect, "up")])
    func nodeGoesAway(workload: Workload, direction: String) async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { host, address, loops in
            let scenario = try Scenario.counted(
                "tcp+noise+yamux", workload, count: 1, streams: workload == .connect ? 1 : 2,
                messageSizeBytes: workload == .request ? 32 : nil, direction: direction
            ).lasting(600)
            let run = try NodeRun(scenario: scenario, loops: loops, target: address, limits: .forTests)
            let figures = try await run.run { progress in
                guard case .measuring = progress else { return }
                Task {
                    for connection in host.connections { connection.abort() }
                    await host.close()
                }
            }
            #expect(!figures.valid && figures.partial && figures.durationSeconds < 300)
            #expect(!figures.invalidReasons.isEmpty && figures.payloadBytes > 0)
        }
    }

    @Test func interruptionKeepsWhatWasMeasured() async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { _, address, loops in
            let scenario = try Scenario.counted("tcp+noise+yamux", .request, count: 1, streams: 10, messageSizeBytes: 32).lasting(600)
            let run = try NodeRun(scenario: scenario, loops: loops, target: address, limits: .forTests)
            let figures = try await run.run { progress in
                if case .measuring(_, let totals) = progress, totals.operationsCompleted > 0 { run.interrupt() }
            }
            #expect(figures.partial && figures.messages > 0 && figures.durationSeconds < 300)
            #expect(figures.invalidReasons == [])
        }
    }

    /// Also a count that is far from done ends at once, and what was downloaded stays.
    @Test func interruptedDownloads() async throws {
        try await withNode(try ProtocolStack("tcp+noise+yamux")) { _, address, loops in
            let scenario = try Scenario.counted("tcp+noise+yamux", .bulk, count: 100_000_000, streams: 2, direction: "down")
            let run = try NodeRun(scenario: scenario, loops: loops, target: address, limits: .forTests)
            let figures = try await run.run { progress in
                if case .measuring(_, let totals) = progress, totals.payloadBytesReceived > 0 { run.interrupt() }
            }
            #expect(figures.partial && figures.payloadBytes > 0 && figures.durationSeconds < 300)
            #expect(figures.invalidReasons == [])
        }
    }

    // MARK: What cannot be asked of a node

    @Test(arguments: [
        ("tcp+yamux", "negotiates security first"), ("tcp", "negotiates security first"),
        ("tcp+noise+yamux idle", "'idle' needs a StreamGauge server"), ("tcp+noise+yamux mixed", "'mixed' needs a StreamGauge server"),
        ("tcp+noise+yamux bulk both", "one way after the other"), ("tcp+noise+yamux request 64", "ping carries 32 bytes"),
        ("tcp+noise+yamux bulk 2000000", "up to 1 MiB"),
    ])
    func contradictions(line: String, said: String) throws {
        let words = line.split(separator: " ").map(String.init)
        let workload = try Workload(parsing: words.count > 1 ? words[1] : "request")
        let size = words.count > 2 ? Int(words[2]) : workload == .request ? 32 : nil
        let scenario = try Scenario.counted(
            words[0], workload, count: 10, streams: 2, messageSizeBytes: size, direction: words.last == "both" ? "both" : "up")
        let target = try Multiaddr("/ip4/127.0.0.1/tcp/1/p2p/\(LocalIdentity(generating: .ed25519).peerID)")
        let error = #expect(throws: ScenarioError.self) { _ = try NodeWorkload(scenario, on: ProtocolStack(words[0]), target: target) }
        #expect("\(error as Any)".contains(said), "\(line): \(error as Any)")
    }
}
