import Foundation
import Gauge
@testable import Load
import Testing
import TestSupport

/// Where the latency comes from: which messages are sampled, how both ends' notes are joined, and whole runs.
@Suite(.timeLimit(.minutes(5))) struct StageTests {
    // MARK: The sample

    /// What a stricter rule takes, every weaker rule takes: so both ends have in common what the stricter of theirs takes.
    @Test(arguments: SeededGenerator.seeds(4)) func rulesAreNested(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var counts = [Int](repeating: 0, count: 9)
        for _ in 0..<20_000 {
            let (message, key): (UInt64, UInt64) = (random.next() >> 20, random.next())
            let taken = (0...8).map { StageRule(bitCount: $0).isSampled(message: message, key: key) }
            for (weaker, stricter) in zip(taken, taken.dropFirst()) { #expect(weaker || !stricter) }
            for (bits, isTaken) in taken.enumerated() where isTaken { counts[bits] += 1 }
        }
        for bits in 0...8 {
            let expected = 20_000.0 / Double(1 << bits)
            #expect(abs(Double(counts[bits]) - expected) < 6 * expected.squareRoot() + 1, "seed \(seed): \(counts[bits]) with \(bits) bits")
        }
    }

    /// Messages that follow each other on a stream are taken evenly, also when something happens every power of two.
    @Test func messagesInOrderAreTakenEvenly() {
        let rule = StageRule(bitCount: 6)
        let taken = (0..<64_000 as Range<UInt64>).filter { rule.isSampled(message: $0, key: 12_345) }
        #expect((900...1100).contains(taken.count), "\(taken.count)")
        for modulus in [2, 4, 64, 1024] as [UInt64] {
            let even = taken.filter { $0 % modulus < modulus / 2 }.count
            #expect(abs(Double(even) / Double(taken.count) - 0.5) < 0.1, "\(even) of \(taken.count) in the first half of \(modulus)")
        }
    }

    @Test func aListKeepsItsLengthInBounds() {
        var list = StageSampleList()
        for message in 0..<1_000_000 as Range<UInt64> {
            list.add(StageSample(key: 99, message: message, flow: 0, first: message, second: message))
        }
        #expect(list.count < StageSampleList.samplesMax && list.count > StageSampleList.samplesMax / 3, "\(list.count)")
        var samples: [StageSample] = []
        list.appendAll(to: &samples)
        #expect(samples.allSatisfy { list.rule.isSampled(message: $0.message, key: $0.key) })
        #expect(samples.count == (0..<1_000_000 as Range<UInt64>).filter { list.rule.isSampled(message: $0, key: 99) }.count, "none that the rule takes is missing")
    }

    /// After a warm-up the window begins with the rule that fits, and one of few messages takes them all, whatever thinned it.
    @Test(arguments: [(1_000_000, 0, 6...8), (1_000_000, 12, 6...8), (1_000, 0, 0...0), (1_000, 5, 0...0), (0, 9, 0...0)])
    func theRuleOutlivesTheWarmUp(messages: UInt64, thinnings: Int, bitCounts: ClosedRange<Int>) {
        var list = StageSampleList()
        for message in 0..<messages { list.add(StageSample(key: 99, message: message, flow: 0, first: message, second: message)) }
        for _ in 0..<thinnings { list.thin() }
        list.restart()
        #expect(list.count == 0 && bitCounts.contains(list.rule.bitCount), "\(list.rule.bitCount) bits")
    }

    // MARK: Notes

    /// Samples of the first flow taken by a rule of so many bits.
    private func direction(_ bitCount: Int, _ samples: [StageSample]) -> StageNotes.Direction {
        StageNotes.Direction(rules: [StageRule(bitCount: bitCount), StageRule()], samples: samples)
    }

    @Test func notesSurviveTheirWay() throws {
        var notes = StageNotes(bootID: "a")
        notes.sent = direction(3, [StageSample(key: .max, message: 1, flow: 2, first: 3, second: 4)])
        notes.received = direction(1, [StageSample(key: 5, message: .max, flow: .max, first: 0, second: .max)])
        #expect(try JSONDecoder().decode(StageNotes.self, from: JSONEncoder().encode(notes)) == notes)
    }

    @Test(arguments: [
        #"{"bit_counts":[0,25],"samples":""}"#, #"{"bit_counts":[-1,0],"samples":""}"#, #"{"bit_counts":[0],"samples":""}"#,
        #"{"bit_counts":[0,0],"samples":"AAAA"}"#, #"{"bit_counts":[0,0],"samples":"?"}"#,
    ]) func brokenNotesAreRefused(text: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(StageNotes.Direction.self, from: Data(text.utf8)) }
    }

    // MARK: Joining

    private func scenario() throws -> Scenario {
        var scenario = try Scenario.counted("tcp+yamux", .request, count: 1)
        scenario.measuresStages = true
        return scenario
    }

    /// Whatever the four times are, in whatever order, the stages of a message add up to its whole.
    @Test(arguments: SeededGenerator.seeds(8)) func stagesAddUp(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let times = (0..<4).map { _ in random.next() >> 44 }
            var (client, server) = (StageNotes(bootID: "a"), StageNotes(bootID: "a"))
            client.sent = direction(0, [StageSample(key: 1, message: 0, flow: 0, first: times[0], second: times[1])])
            server.received = direction(0, [StageSample(key: 1, message: 0, flow: 0, first: times[2], second: times[3])])
            let joined = StageJoin.stages(client: client, server: server, scenario: try scenario())
            guard times[3] >= times[0] else {
                #expect(joined.value == nil, "seed \(seed): a message cannot come before it was sent")
                continue
            }
            let summaries = try #require(joined.value?.first).summaries
            let parts = [LatencyStages.Stage.queue, .transit, .deliver].map { summaries[$0]?.max ?? -1 }
            #expect(parts.allSatisfy { $0 >= 0 } && parts.reduce(0, +) == summaries[.total]?.max, "seed \(seed): \(times)")
            #expect(summaries[.total]?.max == Int(times[3] - times[0]))
        }
    }

    /// Each end thinned its list as it had to: only what both rules take is compared.
    @Test func onlyWhatBothRulesTakeIsJoined() throws {
        var (client, server) = (StageNotes(bootID: "a"), StageNotes(bootID: "a"))
        let all = (0..<4096 as Range<UInt64>).map { StageSample(key: 7, message: $0, flow: 0, first: 100, second: 200) }
        client.sent = direction(0, all)
        server.received = direction(4, all.map { StageSample(key: 7, message: $0.message, flow: 0, first: 300, second: 400) })
        let count = StageJoin.stages(client: client, server: server, scenario: try scenario()).value?.first?.summaries[.total]?.count
        #expect(count == all.filter { StageRule(bitCount: 4).isSampled(message: $0.message, key: 7) }.count)
    }

    @Test func clocksOfTwoMachinesAreNotCompared() throws {
        let joined = StageJoin.stages(client: StageNotes(bootID: "a"), server: StageNotes(bootID: "b"), scenario: try scenario())
        #expect(joined.reason?.contains("different machines") == true)
    }

    // MARK: Runs

    /// In a short run nothing is thinned but bulk that waits in long queues: every request of the window is told of, on every stack.
    @Test(arguments: EndToEndTests.stacks, [Workload.bulk, .request, .mixed])
    func everyMessageOfAShortRunIsThere(subject: String, workload: Workload) async throws {
        var scenario = try Scenario.counted(subject, workload, count: 400, streams: 4, messageSizeBytes: 1000, direction: workload == .bulk ? "both" : "up")
        scenario.measuresStages = true
        let figures = try await Lab.run(scenario)
        expectHonest(figures)
        let stages = try #require(figures.latencyStages.value, "\(figures.latencyStages)")
        for direction in ["up", "down"] {
            let first = try #require(stages.first { $0.flow == 0 && $0.direction == direction })
            let count = first.summaries[.total]?.count ?? 0
            #expect(workload == .bulk ? (2...400).contains(count) : count == 400, "\(direction): \(count)")
            #expect(first.verb == scenario.flows[0].verb.rawValue)
            let means = [LatencyStages.Stage.queue, .transit, .deliver].map { first.summaries[$0]?.mean ?? 0 }
            #expect(abs(means.reduce(0, +) - (first.summaries[.total]?.mean ?? 0)) <= first.summaries[.total]!.mean / 100 + 3, "means add up: \(means)")
        }
        #expect(stages.contains { $0.flow == 1 && $0.direction == "up" } == (workload == .mixed))
    }

    /// A receiver that reads slowly shuts its window: what is sent then waits at the sender, and the kernel and the far handler have no part in it.
    @Test func waitingForCreditIsQueueing() async throws {
        var scenario = try Scenario.counted("tcp+yamux", .bulk, count: 300, streams: 1, messageSizeBytes: 100_000)
        scenario.flows[0].readRateBytesPerSecond = 50e6
        scenario.measuresStages = true
        let stages = try #require(try await Lab.run(scenario).latencyStages.value?.first)
        let means = stages.summaries.mapValues(\.mean)
        #expect(means[.queue]! > means[.total]! / 2, "\(means)")
    }

    @Test func nothingIsNotedUnlessAsked() async throws {
        let figures = try await Lab.run(try .counted("tcp+yamux", .request, count: 100))
        #expect(figures.latencyStages.reason?.contains("--stages") == true)
    }

    @Test func workloadsWithoutMessagesAreRefused() throws {
        for workload in [Workload.idle, .connect] {
            var scenario = try Scenario.counted("tcp+yamux", workload, count: 1).lasting(1)
            scenario.measuresStages = true
            #expect(throws: ScenarioError.self) { try scenario.validate() }
        }
    }
}
