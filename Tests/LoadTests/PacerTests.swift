import Gauge
@testable import Load
import Testing

/// Open loop: operations begin when they are due, not when there is room, and latency counts from then.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PacerTests {
    private func run(
        _ subject: String = "tcp+yamux", rate: Double, count: Int? = nil, seconds: Double = 0.2, streams: Int = 10, connections: Int = 1,
        depth: Int = 1, threads: Int = 1
    ) async throws -> RunFigures {
        var scenario = try Scenario.counted(
            subject, .request, count: count ?? 1, connections: connections, streams: streams, messageSizeBytes: 64, depth: depth, threads: threads)
        if count == nil { scenario = scenario.lasting(seconds) }
        scenario.ratePerSecond = rate
        return try await Lab.run(scenario)
    }

    /// Whatever is wrong is the schedule: a machine that is busy with other tests may be late.
    private func expectHonestButForLateness(_ figures: RunFigures, location: SourceLocation = #_sourceLocation) {
        let others = figures.invalidReasons.filter { !$0.contains("could not keep its schedule") }
        #expect(others == [] && figures.ledger.balanced, sourceLocation: location)
    }

    @Test(arguments: ["tcp", "tcp+yamux", "memory+mplex"], [1, 2])
    func rateIsHeld(subject: String, threads: Int) async throws {
        let figures = try await run(subject, rate: 5000, count: 500, streams: 5, connections: 2, threads: threads)
        expectHonestButForLateness(figures)
        #expect(figures.messages == 500)
        #expect(figures.latency.value?.count == 500 && figures.service.value?.count == 500)
        // Operation 249 of each of two halves, or 499 of one whole, is not due before; waiting longer is allowed.
        #expect(figures.durationSeconds >= 499.0 / 5000 * 0.99)
    }

    @Test func latenessIsRecordedForEveryOperation() async throws {
        let figures = try await run(rate: 2000, count: 300)
        #expect(figures.pacerLateness.value?.count ?? 0 >= 300)
        #expect(figures.pacerLateness.value?.max ?? 0 > 0)
    }

    /// One stream, and more requests due than it can carry: the far end is as fast as ever (service), but who waits in the queue waits (latency).
    @Test func waitingForAStreamIsLatency() async throws {
        let figures = try await run(rate: 1_000_000, count: 200, streams: 1)
        expectHonestButForLateness(figures)
        let latency = try #require(figures.latency.value)
        let service = try #require(figures.service.value)
        #expect(latency.count == 200 && service.count == 200)
        // All are due at once, give or take 200 us, and served one after the other: the last one waits for all.
        #expect(Double(latency.max) > Double(service.mean) * 200 / 2, "\(service) \(latency)")
    }

    @Test func depthGivesALaneForEachRequest() async throws {
        let figures = try await run(rate: 3000, count: 300, streams: 2, depth: 8)
        expectHonestButForLateness(figures)
        #expect(figures.messages == 300)
    }

    /// A generator that does not notice what is due in time has measured itself.
    @Test func latePacerIsNotBelieved() async throws {
        let lab = try await Lab.start()
        var scenario = try Scenario.counted("tcp+yamux", .request, count: 1000, streams: 10, messageSizeBytes: 64)
        scenario.ratePerSecond = 10_000
        let generator = try Generator(scenario: scenario, loops: lab.clientLoops, server: .responder(lab.responder), limits: .forTests)
        let loop = lab.clientLoops[0]
        // The loop is held up again and again, as by a machine that has better things to do.
        let stalls = Stalls(loop)
        stalls.begin()
        let figures = try await generator.run()
        stalls.end()
        expectInvalid(figures, "could not keep its schedule", "lower --rate")
        #expect(figures.messages == 1000, "what was measured is kept")
        await lab.stop()
    }
}
