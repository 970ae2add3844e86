import Gauge
@testable import Load
import P2P
import Testing

/// Whole runs, client and server in one process over real sockets: the figures are valid, the counts exact, and every byte has its account.
@Suite(.serialized, .timeLimit(.minutes(5))) struct EndToEndTests {
    /// Every bare stack, and every kind of security over TCP and in memory.
    static let stacks = ProtocolStack.all.filter { $0.security == nil || $0.transport == .tcp || $0.transport == .memory && $0.muxer == .yamux }
        .map(\.description)
    static let muxed = stacks.filter { $0.contains("+") }

    @Test(arguments: stacks, ["up", "down", "both"])
    func bulkCountsEveryMessage(subject: String, direction: String) async throws {
        let scenario = try Scenario.counted(subject, .bulk, count: 500, streams: 5, messageSizeBytes: 10_000, direction: direction)
        let figures = try await Lab.run(scenario)
        expectHonest(figures)
        let hasSocket = try ProtocolStack(subject).transport != .memory
        #expect((figures.options.client.value?.isEmpty == false) == hasSocket, "\(figures.options.client)")
        #expect((figures.options.server.value?.isEmpty == false) == hasSocket, "\(figures.options.server)")
        let each: UInt64 = 500 * 10_000
        let (up, down): (UInt64, UInt64) = (direction == "down" ? 0 : each, direction == "up" ? 0 : each)
        #expect(figures.ledger.client.sent.payload == up && figures.ledger.client.received.payload == down)
        #expect(figures.messages == (up + down) / 10_000)
        #expect(figures.payloadBytes == up + down)
        #expect(figures.goodputBytesPerSecond.value ?? 0 > 0)
        #expect((figures.goodputUpBytesPerSecond.value ?? 0 > 0) == (up > 0))
        #expect((figures.goodputDownBytesPerSecond.value ?? 0 > 0) == (down > 0))
    }

    /// Readers that are slower than the far end: flow control holds it back, and everything arrives.
    @Test(arguments: ["tcp", "tcp+yamux", "tcp+h2", "memory+yamux"], ["up", "down", "both"])
    func slowReadersHoldBackTheFarEnd(subject: String, direction: String) async throws {
        var scenario = try Scenario.counted(subject, .bulk, count: 500, streams: 3, messageSizeBytes: 10_000, direction: direction)
        scenario.flows[0].readRateBytesPerSecond = 20e6
        let figures = try await Lab.run(scenario)
        expectHonest(figures)
        #expect(figures.messages == (direction == "both" ? 1000 : 500))
    }

    @Test(arguments: stacks, [1, 4])
    func requestsAreAnswered(subject: String, depth: Int) async throws {
        let figures = try await Lab.run(try .counted(subject, .request, count: 400, streams: 5, messageSizeBytes: 300, depth: depth))
        expectHonest(figures)
        #expect(figures.messages == 400)
        #expect(figures.latency.value?.count == 400)
        #expect(figures.service.value == nil, "closed loop")
        // Each stream ends with a request more, that both ends check whole.
        #expect(figures.ledger.client.sent.payload == 405 * 300 && figures.ledger.client.received.payload == 405 * 300)
    }

    @Test(arguments: muxed)
    func churnOpensAStreamForEach(subject: String) async throws {
        let figures = try await Lab.run(try .counted(subject, .churn, count: 300, connections: 2, streams: 7, messageSizeBytes: 100))
        expectHonest(figures)
        #expect(figures.messages == 300)
        #expect(figures.latency.value?.count == 300)
        #expect(figures.ledger.client.sent.payload == 300 * 100 && figures.ledger.client.received.payload == 300 * 100)
    }

    @Test(arguments: stacks)
    func connectMakesAConnectionForEach(subject: String) async throws {
        let figures = try await Lab.run(try .counted(subject, .connect, count: 100, connections: 5, messageSizeBytes: 100))
        expectHonest(figures)
        #expect(figures.messages == 100)
        #expect(figures.ledger.client.sent.payload == 100 * 100 && figures.ledger.client.received.payload == 100 * 100)
        let greetings = 100 * UInt64(Greeting.byteCount)
        let isSecured = try ProtocolStack(subject).security != nil
        #expect(isSecured ? figures.ledger.client.sent.negotiation > greetings : figures.ledger.client.sent.negotiation == greetings)
        #expect((figures.ledger.client.sent.handshake > 0) == isSecured)
        let steps = try #require(figures.connectSteps.value)
        #expect(steps.first?.name == "\(try ProtocolStack(subject).transport.rawValue) connected")
        #expect(steps.last?.name == "stream opened, first answer")
        #expect(steps.map(\.name).contains("far end authenticated") == isSecured)
        #expect(steps.allSatisfy { $0.latency.count == 100 })
        // TCP's, the security layer's with the multiplexer agreed on in passing, and the answer's. Plaintext has no room for the multiplexer.
        let stack = try ProtocolStack(subject)
        let roundTrips = (stack.transport == .tcp ? 1 : 0) + (stack.security == nil ? 0 : stack.security == .plaintext ? 2 : 1) + 1
        #expect(steps.reduce(0) { $0 + $1.roundTrips } == Double(roundTrips), "\(steps.map { ($0.name, $0.roundTrips) })")
    }

    @Test(arguments: stacks)
    func idleHoldsItsStreams(subject: String) async throws {
        let scenario = try Scenario.counted(subject, .idle, count: 1, connections: 2, streams: 50).lasting(0.05)
        let figures = try await Lab.run(scenario)
        expectHonest(figures)
        #expect(figures.payloadBytes == 0 && figures.messages == 0)
        #expect(figures.messagesPerSecond.value == nil)
        #expect(figures.ledger.total.payload == 0)
    }

    /// The count is of requests: bulk beside them goes on until they are done.
    @Test(arguments: stacks, ["up", "down", "both"])
    func mixedCountsItsRequests(subject: String, direction: String) async throws {
        let figures = try await Lab.run(try .counted(subject, .mixed, count: 20, streams: 4, messageSizeBytes: 20_000, direction: direction))
        expectHonest(figures)
        #expect(figures.messages == 20)
        #expect(figures.latency.value?.count == 20)
        #expect(figures.ledger.total.payload > 20 * 128, "the bulk counts as well")
    }

    @Test(arguments: stacks)
    func windowsOfTime(subject: String) async throws {
        for workload in [Workload.bulk, .request, .mixed] {
            let figures = try await Lab.run(
                try .counted(subject, workload, count: 1, streams: 3, messageSizeBytes: 1000, verify: "sampled").lasting(0.1))
            expectHonest(figures, workload.rawValue)
            #expect(figures.durationSeconds >= 0.1, "\(workload)")
            #expect(figures.messages > 0 && figures.payloadBytes > 0, "\(workload)")
            #expect(figures.payloadBytes <= figures.ledger.total.payload, "\(workload)")
            #expect(figures.jainFairness.value ?? 0 > 0, "\(workload)")
        }
    }

    /// Churn needs a multiplexer; each connection of the workload connect has one stream.
    @Test(arguments: [
        ("tcp+yamux", Workload.churn, 10), ("tcp+mplex", .churn, 10), ("memory+yamux", .churn, 10),
        // More than yamux opens without an acknowledgement.
        ("tcp+yamux", .churn, 3000), ("memory+yamux", .churn, 3000), ("tcp+h2", .churn, 3000),
        ("tcp+yamux", .connect, 1), ("tcp+mplex", .connect, 1), ("memory+yamux", .connect, 1), ("unix", .connect, 1),
    ])
    func windowsOfTimeOfShortLives(subject: String, workload: Workload, streams: Int) async throws {
        let figures = try await Lab.run(try .counted(subject, workload, count: 1, connections: 2, streams: streams).lasting(0.1))
        expectHonest(figures)
        #expect(figures.messages > 0)
    }

    @Test(arguments: ["tcp+yamux", "tcp+mplex", "tcp+h2", "tcp", "memory+yamux"], ["bulk", "request", "connect"])
    func severalLoopsASide(subject: String, workload: String) async throws {
        let kind = try Workload(parsing: workload)
        let figures = try await Lab.run(
            try .counted(subject, kind, count: 101, connections: 5, streams: kind == .connect ? 1 : 3, messageSizeBytes: 5000, direction: "up", threads: 2))
        expectHonest(figures)
        #expect(figures.messages == 101)
    }

    /// A message is cut into many frames, and a frame carries parts of no more than one.
    @Test(arguments: stacks, [1, 63, 65_535, 65_536, 65_537, 1_000_000])
    func sizesOfMessages(subject: String, size: Int) async throws {
        let figures = try await Lab.run(try .counted(subject, .bulk, count: 9, streams: 2, messageSizeBytes: size, direction: "both"))
        expectHonest(figures, "\(size)")
        #expect(figures.payloadBytes == UInt64(2 * 9 * size))
    }

    /// A stream may have nothing to do.
    @Test(arguments: stacks)
    func fewerMessagesThanStreams(subject: String) async throws {
        for workload in [Workload.bulk, .request] {
            let figures = try await Lab.run(try .counted(subject, workload, count: 3, streams: 10, messageSizeBytes: 10))
            expectHonest(figures, workload.rawValue)
            #expect(figures.messages == 3, "\(workload)")
        }
    }

    @Test(arguments: ["full", "sampled", "1/2", "1/1024"])
    func verification(rule: String) async throws {
        let figures = try await Lab.run(try .counted("tcp+yamux", .bulk, count: 2000, streams: 10, messageSizeBytes: 500, verify: rule))
        expectHonest(figures, rule)
        #expect(figures.messages == 2000)
    }

    // MARK: Many

    @Test(arguments: ["tcp+yamux", "tcp+mplex"])
    func tenThousandStreams(subject: String) async throws {
        let figures = try await Lab.run(try .counted(subject, .bulk, count: 30_000, streams: 10_000, messageSizeBytes: 100, direction: "both"))
        expectHonest(figures)
        #expect(figures.messages == 60_000)
        #expect(figures.starvedStreams.value == 0)
    }

    @Test(arguments: ["tcp", "tcp+yamux"])
    func manyConnections(subject: String) async throws {
        let figures = try await Lab.run(try .counted(subject, .request, count: 2000, connections: 200, messageSizeBytes: 100))
        expectHonest(figures)
        #expect(figures.messages == 2000)
        #expect(figures.ledger.client.sent.negotiation == 200 * UInt64(Greeting.byteCount))
    }

    /// One responder serves runs one after the other and at once, and keeps them apart.
    @Test func runsAreKeptApart() async throws {
        let lab = try await Lab.start()
        for _ in 0..<3 { expectHonest(try await lab.run(try .counted("tcp+yamux", .bulk, count: 50, streams: 2, messageSizeBytes: 1000))) }
        let all = try await withThrowingTaskGroup(of: RunFigures.self) { group in
            for (number, subject) in ["tcp", "tcp+yamux", "tcp+mplex", "tcp+yamux"].enumerated() {
                group.addTask { try await lab.run(try .counted(subject, .bulk, count: 200 + number, streams: 3, messageSizeBytes: 1000, seed: UInt64(number))) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for figures in all { expectHonest(figures) }
        #expect(Set(all.map(\.messages)) == [200, 201, 202, 203])
        #expect(lab.notes.all == [])
        await lab.stop()
    }

    /// A run that is interrupted ends long before its window: its figures are partial, and as far as they go they are right.
    @Test func interruptionKeepsWhatWasMeasured() async throws {
        let lab = try await Lab.start()
        let generator = try Generator(
            scenario: try .counted("tcp+yamux", .bulk, count: 1, streams: 10, messageSizeBytes: 1000).lasting(600),
            loops: lab.clientLoops, server: .responder(lab.responder), limits: .forTests)
        let figures = try await generator.run { progress in
            if case .measuring(_, let totals) = progress, totals.messagesReceived > 0 { generator.interrupt() }
        }
        #expect(figures.partial && figures.messages > 0 && figures.durationSeconds < 300)
        #expect(figures.invalidReasons == [] && figures.ledger.balanced)
        await lab.stop()
    }
}
