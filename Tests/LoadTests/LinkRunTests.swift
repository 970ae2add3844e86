import Gauge
import Links
@testable import Load
import Multiformats
import Reactor
import Testing

/// Whole runs over an emulated link, client, relay and server on loops of their own in one process. Nothing here is about how fast they are.
@Suite(.serialized, .timeLimit(.minutes(5))) struct LinkRunTests {
    private func run(_ scenario: Scenario, through shape: LinkShape? = nil) async throws -> RunFigures {
        let lab = try await Lab.start()
        let link = try #require(try shape ?? ProtocolStack(scenario.subject).link)
        let loop = try EventLoop.forRelay(over: link)
        let relay = try await LinkRelay.start(link, to: lab.responder.address, listeningOn: try Multiaddr("/ip4/127.0.0.1/tcp/0"), loop: loop)
        let result: Result<RunFigures, any Error>
        do {
            let generator = try Generator(
                scenario: scenario, loops: lab.clientLoops, server: .address(lab.responder.address), relay: relay.address, limits: .forTests)
            result = .success(try await generator.run())
        } catch {
            result = .failure(error)
        }
        await relay.stop()
        await lab.stop()
        Lab.stop([loop])
        return try result.get()
    }

    private static let link = "link(rtt=4ms,rate=200Mbit,buffer=64KiB)+"

    @Test(arguments: ["tcp", "tcp+yamux", "tcp+mplex", "tcp+h2", "tcp+noise+yamux", "tcp+tls+mplex"], ["up", "down", "both"])
    func bulkArrivesWhole(stack: String, direction: String) async throws {
        let figures = try await run(try .counted(Self.link + stack, .bulk, count: 200, connections: 2, streams: 3, messageSizeBytes: 10_000, direction: direction))
        expectHonest(figures)
        #expect(figures.messages == (direction == "both" ? 400 : 200))
        let link = try #require(figures.link.value)
        #expect(link.roundTripNanoseconds == 4_000_000 && link.bandwidthDelayBytes == 100_000 && link.bufferBytes == 64 << 10)
        #expect((link.utilisationUp.value ?? 0 > 0) == (direction != "down"))
        // Payload of 200 messages takes 80 ms, and samples are taken every 5 ms.
        let trajectories = try #require(figures.windowTrajectory.value)
        #expect(trajectories.map(\.direction) == (direction == "both" ? ["up", "down"] : [direction]))
        for trajectory in trajectories {
            #expect(trajectory.points.count <= FlowSampler.samplesMax)
            #expect(trajectory.points.map(\.seconds) == trajectory.points.map(\.seconds).sorted())
            #expect(trajectory.points.map(\.receivedBytes) == trajectory.points.map(\.receivedBytes).sorted())
            #expect(trajectory.points.contains { $0.windowBytes.value != nil } == stack.hasSuffix("yamux"))
        }
    }

    /// Nothing can be answered within less than the link's round trip.
    @Test(arguments: ["tcp", "tcp+yamux", "tcp+noise+yamux"]) func requestsTakeTheRoundTrip(stack: String) async throws {
        let figures = try await run(try .counted(Self.link + stack, .request, count: 50, streams: 2))
        expectHonest(figures)
        #expect(figures.messages == 50)
        #expect(figures.latency.value?.min ?? 0 >= 4_000_000)
    }

    @Test func streamsAndConnectionsComeAndGo() async throws {
        let churn = try await run(try .counted(Self.link + "tcp+yamux", .churn, count: 60, streams: 7))
        expectHonest(churn)
        #expect(churn.messages == 60 && churn.latency.value?.min ?? 0 >= 4_000_000)
        let connect = try await run(try .counted(Self.link + "tcp+noise+yamux", .connect, count: 20, connections: 5))
        expectHonest(connect)
        #expect(connect.messages == 20)
    }

    /// A reader that is slow at the end of the link: its bytes wait, the sender is held back, and all of them arrive.
    @Test func slowReadersHoldBackTheSenderThroughTheLink() async throws {
        for stack in ["tcp", "tcp+yamux"] {
            var scenario = try Scenario.counted(Self.link + stack, .bulk, count: 1, streams: 2, messageSizeBytes: 10_000).lasting(0.4, omit: 0.1)
            scenario.flows[0].readRateBytesPerSecond = 2e6
            let figures = try await run(scenario)
            expectHonest(figures, stack)
            #expect(figures.stalls.server.value?.notReading.value ?? 0 > 0.5, "\(stack): \(figures.stalls)")
        }
    }

    /// Many connections share a link that is full all the time: each has its turn.
    @Test func connectionsShareAFullLink() async throws {
        let subject = "link(rtt=2ms,rate=400Mbit,buffer=128KiB)+tcp"
        let figures = try await run(try Scenario.counted(subject, .bulk, count: 1, streams: 20, messageSizeBytes: 10_000).lasting(1, omit: 0.3))
        expectHonest(figures)
        #expect(figures.starvedStreams.value == 0 && figures.jainFairness.value ?? 0 > 0.8, "\(figures.jainFairness)")
    }

    /// A window far below the bandwidth-delay product: the sender waits for credit, which the figures say.
    @Test func waitingForCreditIsTold() async throws {
        let subject = "link(rtt=50ms,rate=1Gbit)+tcp+noise+yamux(window=256KiB)"
        let figures = try await run(try Scenario.counted(subject, .bulk, count: 1, messageSizeBytes: 65_536).lasting(0.5, omit: 0.2))
        expectHonest(figures)
        let client = try #require(figures.stalls.client.value)
        #expect(client.window.value ?? 0 > 0.5 && client.crypto.value ?? 0 > 0 && client.notReading.value == 0)
        let trajectory = try #require(figures.windowTrajectory.value?.first)
        #expect(trajectory.points.compactMap(\.windowBytes.value).max() == 256 << 10 && trajectory.rampSeconds.value == nil)
    }

    @Test func linkAndRelayGoTogether() async throws {
        let lab = try await Lab.start()
        let scenario = try Scenario.counted(Self.link + "tcp+yamux", .bulk, count: 1)
        #expect(throws: ScenarioError.self) { _ = try Generator(scenario: scenario, loops: lab.clientLoops, server: .responder(lab.responder)) }
        let bare = try Scenario.counted("tcp+yamux", .bulk, count: 1)
        #expect(throws: ScenarioError.self) {
            _ = try Generator(scenario: bare, loops: lab.clientLoops, server: .responder(lab.responder), relay: lab.responder.address)
        }
        await lab.stop()
    }

    /// A server that is not there: the client's connection ends instead of waiting.
    @Test func aServerThatIsNotThereEndsTheConnection() async throws {
        let lab = try await Lab.start()
        let shape = LinkShape(roundTripNanoseconds: 0, bitsPerSecond: 1_000_000_000)
        let loop = try EventLoop.forRelay(over: shape)
        let notes = Lines()
        // Port 1 of loopback: nothing listens there.
        let relay = try await LinkRelay.start(
            shape, to: try Multiaddr("/ip4/127.0.0.1/tcp/1"), listeningOn: try Multiaddr("/ip4/127.0.0.1/tcp/0"), loop: loop) { notes.add($0) }
        var scenario = try Scenario.counted("link(rtt=0s,rate=1Gbit)+tcp+yamux", .bulk, count: 1)
        scenario.streams = 1
        let generator = try Generator(
            scenario: scenario, loops: lab.clientLoops, server: .address(lab.responder.address), relay: relay.address, limits: .short)
        let figures = try await generator.run()
        #expect(!figures.valid)
        #expect(notes.all.contains { $0.contains("cannot be reached") }, "\(notes.all)")
        await relay.stop()
        await lab.stop()
        Lab.stop([loop])
    }
}
