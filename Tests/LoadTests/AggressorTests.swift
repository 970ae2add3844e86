import Gauge
@testable import Load
import Testing

/// What goes on beside the requests of `mixed`: every aggressor, on the same connection and on another, on every stack.
@Suite(.serialized, .timeLimit(.minutes(5))) struct AggressorTests {
    static let stacks = ["tcp+yamux", "tcp+mplex", "tcp+h2", "memory+yamux", "tcp+noise+yamux"]

    private func scenario(_ subject: String, _ aggressor: Aggressor, isApart: Bool, count: Int = 200, streams: Int = 5) throws -> Scenario {
        var scenario = try Scenario.counted(subject, .mixed, count: count, connections: isApart ? 2 : 1, streams: streams)
        scenario.flows = try Workload.mixed.flows(messageSizeBytes: 10_000, direction: "up", depth: 1, beside: aggressor)
        scenario.separatesFirstFlow = isApart ? true : nil
        return scenario
    }

    @Test(arguments: stacks, [Aggressor.bulk, .churn]) func requestsAreCountedAndNothingElse(subject: String, aggressor: Aggressor) async throws {
        for isApart in [false, true] {
            let figures = try await Lab.run(try scenario(subject, aggressor, isApart: isApart))
            expectHonest(figures, "\(aggressor), apart \(isApart)")
            #expect(figures.messages == 200 && figures.latency.value?.count == 200, "\(aggressor), apart \(isApart)")
            let payload = figures.ledger.client.sent.payload
            #expect(payload > 201 * 64, "the aggressor has sent nothing: \(payload)")
        }
    }

    /// A stream whose handler rests takes a message and then nothing for 10 ms: two streams that rest in a window of a fifth of a second get a bounded number of messages, and all
    /// that was sent arrives in the end.
    @Test(arguments: stacks.filter { !$0.contains("mplex") }) func restingReceiversHoldBackTheirStreams(subject: String) async throws {
        let scenario = try scenario(subject, .stalled, isApart: false, streams: 3).lasting(0.2)
        let figures = try await Lab.run(scenario)
        expectHonest(figures)
        #expect(figures.messages > 0)
    }

    /// Without windows a stream that is not read can only be reset, and the run says so.
    @Test func mplexCannotHoldBackAStream() async throws {
        expectInvalid(try await Lab.run(try scenario("tcp+mplex", .stalled, isApart: false, streams: 3).lasting(0.5)), "cannot hold back", "reset")
    }

    /// One reader stops. Where there are windows nobody else notices.
    @Test(arguments: ["tcp+yamux", "tcp+h2", "memory+yamux", "tcp+noise+yamux"]) func aStoppedReaderStopsItsStreamOnly(subject: String) async throws {
        for isApart in [false, true] {
            let figures = try await Lab.run(try scenario(subject, .stopped, isApart: isApart))
            expectHonest(figures, "apart \(isApart)")
            #expect(figures.messages == 200)
        }
    }

    @Test func aRestAndAReadRateContradict() throws {
        var scenario = try scenario("tcp+yamux", .stalled, isApart: false)
        scenario.flows[1].readRateBytesPerSecond = 1000
        #expect(throws: ScenarioError.self) { try scenario.validate() }
    }

    @Test func aConnectionOfItsOwnNeedsASecondOne() throws {
        var scenario = try scenario("tcp+yamux", .bulk, isApart: true)
        scenario.connections = 1
        #expect(throws: ScenarioError.self) { try scenario.validate() }
        var bulk = try Scenario.counted("tcp+yamux", .bulk, count: 1, connections: 2)
        bulk.separatesFirstFlow = true
        #expect(throws: ScenarioError.self) { try bulk.validate() }
    }

    @Test(arguments: Aggressor.allCases, [false, true]) func theScenarioTellsItsAggressor(aggressor: Aggressor, isApart: Bool) throws {
        let scenario = try scenario("tcp+yamux", aggressor, isApart: isApart)
        try scenario.validate()
        #expect(scenario.aggressor == aggressor)
        #expect(try Scenario.decode(scenario.encoded(), file: "x") == scenario)
        #expect(scenario.streamsInAll == 5)
        #expect((0..<scenario.connections).reduce(0) { $0 + scenario.streams(on: $1) } == 5)
        let options = DriverOptions(
            stack: "tcp+yamux", workload: .mixed, connections: isApart ? 2 : 1, streams: 5, messageBytes: 10_000, seed: 42, beside: aggressor, isApart: isApart)
        #expect(try options.scenario().flows == scenario.flows && options.streamsInAll == 5)
    }

    @Test func unknownAggressorsAreRefusedWithTheNearest() {
        #expect(throws: ScenarioError.self) { try Aggressor(parsing: "stoped") }
        do { _ = try Aggressor(parsing: "stoped") } catch { #expect("\(error)".contains("did you mean 'stopped'")) }
    }
}
