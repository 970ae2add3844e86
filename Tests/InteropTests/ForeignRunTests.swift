import Gauge
import Load
import Multiformats
import P2P
import Reactor
import Testing

/// Runs whose target is a node that others wrote, in what it serves.
@Suite(.serialized, .enabled(if: !Implementation.installed.isEmpty, "no node that others wrote is installed: scripts/install-peers"), .timeLimit(.minutes(5)))
struct ForeignRunTests {
    private static let work: [(Workload, direction: String, streams: Int)] = [
        (.request, "up", 2), (.bulk, "up", 2), (.bulk, "down", 2), (.churn, "up", 3), (.connect, "up", 1),
    ]

    @Test(arguments: Stack.secure)
    func runs(stack: Stack) async throws {
        let node = try Node(stack)
        let target = try await node.address()
        let loop = try EventLoop()
        try loop.start()
        defer {
            loop.stop()
            loop.join()
        }
        // go-libp2p's daemon serves no perf.
        for (workload, direction, streams) in Self.work where stack.other == .pyLibp2p || workload == .request || workload == .connect {
            let flows = try workload.flows(messageSizeBytes: workload.messageSizeDefault(for: target), direction: direction, depth: 1)
            let scenario = Scenario(
                subject: "tcp+\(stack.security.rawValue)+\(stack.muxer.rawValue)", workload: workload.rawValue, connections: 1, streams: streams,
                flows: flows, durationSeconds: nil, count: workload == .connect ? 4 : 40, omitSeconds: 0)
            let figures = try await NodeRun(scenario: scenario, loops: [loop], target: target).run()
            #expect(figures.invalidReasons == [], "\(stack) \(workload) \(direction)")
            #expect(figures.messages == UInt64(scenario.count ?? 0), "\(stack) \(workload) \(direction)")
            #expect(figures.ledger.client.sent.residual == 0 && figures.ledger.client.received.residual == 0)
        }
        #expect(await node.end() == 0)
    }
}
