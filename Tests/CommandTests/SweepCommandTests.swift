import Foundation
import Gauge
import Report
import Testing

/// `streamgauge sweep` and `streamgauge run --find-rate`, as a person types them.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SweepCommandTests {
    @Test(arguments: [
        UsageTests.Mistake("sweep tcp+yamux -m 10", "nothing is swept", "-m 1,10,100,1000", "message-size"),
        UsageTests.Mistake("sweep -m 1,10", "name a subject"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 -c 1,2 -s 64,128", "connections, streams, message-size all have several values", "one or two"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,,2", "--streams 1,,2", "a value is missing"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,000", "--streams 1,000", "1000 or 1_000"),
        UsageTests.Mistake("sweep tcp+yamux -m 5,5", "5 is there twice", "--repeat"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,x", "streams x", "\"x\""),
        UsageTests.Mistake("sweep tcp+yamux -m 1,0", "streams 0", "streams is 0"),
        UsageTests.Mistake("sweep tcp+yamux,tcp+yamx -n 1", "subject tcp+yamx", "did you mean 'tcp+yamux'?"),
        UsageTests.Mistake("sweep tcp+yamux -w bulk,churn --depth 4", "workload bulk", "--depth is for the workloads request and mixed"),
        UsageTests.Mistake("sweep tcp,tcp+yamux -w churn", "subject tcp", "use the workload connect, or a muxer"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 -t 1s,2s", "--duration is not swept"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 --scenario s.json", "--scenario does not go with sweep"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 --print-scenario", "--print-scenario does not go with sweep"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 --repeat 0", "--repeat is 0"),
        UsageTests.Mistake("sweep tcp+yamux -m 1,2 --timeout 0s", "--timeout is 0s"),
        UsageTests.Mistake("sweep tcp+yamux -c 1,100000 -m 1000000 -n 1", "connections 100000"),
        UsageTests.Mistake("run tcp+yamux --find-rate p99<5ms", "--find-rate is for the workloads request and mixed", "-w request"),
        UsageTests.Mistake("run tcp+yamux -w churn --find-rate p99<5ms", "this is churn"),
        UsageTests.Mistake("run tcp+yamux -w requet --find-rate p99<5ms", "did you mean 'request'?"),
        UsageTests.Mistake("run tcp+yamux -w request --find-rate p99", "--find-rate", "\"p99\" is not a goal", "'p99<5ms'"),
        UsageTests.Mistake("run tcp+yamux -w request --find-rate p100<5ms", "no percentile \"p100\""),
        UsageTests.Mistake("run tcp+yamux -w request --find-rate p99<5", "--find-rate", "has no unit"),
        UsageTests.Mistake("run tcp+yamux -w request --find-rate p99<5s", "allowed is 1us to 1s"),
        UsageTests.Mistake("run tcp+yamux -w request -R 5 --find-rate p99<5ms", "--rate does not go with --find-rate", "chooses the rates"),
        UsageTests.Mistake("run tcp+yamux -w request -n 5 --find-rate p99<5ms", "--count does not go with --find-rate"),
        UsageTests.Mistake("run tcp+yamux -w request --repeat 2 --find-rate p99<5ms", "--repeat does not go with --find-rate"),
        UsageTests.Mistake("run --scenario s.json --find-rate p99<5ms", "--scenario does not go with --find-rate"),
        UsageTests.Mistake("run tcp+yamux -w request --print-scenario --find-rate p99<5ms", "--print-scenario does not go with --find-rate"),
        UsageTests.Mistake("run tcp+yamux -w mixed --find-rate p99<5ms", "mixed needs at least 2 streams"),
    ])
    func mistakes(mistake: UsageTests.Mistake) async throws {
        expectUsage(try await Command(mistake.line.split(separator: " ").map(String.init)).outcome(), mistake.said)
    }

    @Test func moreStreamsThanDescriptors() async throws {
        let outcome = try await Command.run("sweep", "tcp", "-m", "10,1000", "-n", "1000", descriptors: 128)
        expectUsage(outcome, ["streams 1000", "1064 descriptors", "the limit is 128"])
    }

    // MARK: Sweeps

    private func sweep(_ outcome: Command.Outcome) throws -> SweepRecord { try JSONDecoder().decode(SweepRecord.self, from: Data(outcome.output.utf8)) }

    @Test func everyPairIsRun() async throws {
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "sweep", "memory+yamux,tcp+mplex", "-w", "request", "-m", "1,5,20", "-n", "100", "--repeat", "2", "--format", "json", "--json", scratch.path + "/s.json")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        #expect(Array(outcome.output.utf8) == (try scratch.read("s.json")))
        let record = try sweep(outcome)
        #expect(record.valid && record.schema == "streamgauge.sweep/1" && record.axes.map(\.option) == ["subject", "streams"])
        #expect(record.points.map(\.values) == ["memory+yamux", "tcp+mplex"].flatMap { subject in ["1", "5", "20"].map { [subject, $0] } })
        for point in record.points {
            let run = try #require(point.run.value)
            #expect(run.repeats.count == 2 && run.repeats.map(\.messages) == [100, 100] && run.setup.subject == point.values[0] && "\(run.setup.streams)" == point.values[1])
        }
    }

    @Test func textAndCommaSeparatedValues() async throws {
        let text = try await Command.run("sweep", "memory+yamux", "-w", "request", "-m", "1,10", "-n", "200")
        #expect(text.code == 0 && text.errors == "" && text.output.hasPrefix("VALID: sweep of streams 1, 10\n"), "\(text)")
        let csv = try await Command.run("sweep", "memory+yamux", "-s", "64,128", "-n", "20", "--format", "csv")
        let lines = csv.output.split(separator: "\n")
        #expect(csv.code == 0 && lines.count == 3 && lines[0].hasPrefix("swept.message-size,failure,subject,") && lines[2].hasPrefix("128,,memory+yamux,"), "\(csv)")
    }

    /// The commas of a layer of a subject separate nothing else.
    @Test func subjectsWithCommasAreWhole() async throws {
        let (near, far) = ("link(rtt=1ms,rate=100Mbit)+tcp+yamux", "link(rtt=2ms,rate=1Gbit,jitter=1us)+tcp+yamux")
        let outcome = try await Command.run("sweep", "\(near),\(far)", "-w", "request", "-n", "5", "--format", "json")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        let record = try sweep(outcome)
        #expect(record.axes == [.init(option: "subject", values: [near, far])] && record.points.map { $0.run.value?.setup.subject } == [near, far])
        let alone = try await Command.run("sweep", near, "-m", "1,2", "-w", "request", "-n", "5", "--format", "json")
        #expect(alone.code == 0, "\(alone)")
        #expect(try sweep(alone).axes.map(\.option) == ["streams"])
    }

    @Test func pointsThatFail() async throws {
        let outcome = try await Command.run("sweep", "tcp+yamux", "-m", "1,2", "-n", "10", "--target", "/ip4/127.0.0.1/tcp/1")
        #expect(outcome.code == 2 && outcome.output == "", "\(outcome)")
        #expect(outcome.errors.contains("streams 1: ") && outcome.errors.contains("streams 2: ") && outcome.errors.contains("no point could be measured"), "\(outcome)")
    }

    @Test func interruptedSweep() async throws {
        let run = try Command(["sweep", "memory+yamux", "-m", "1,2,3", "-t", "600s", "-O", "1ms", "--interval", "--format", "json"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        run.send(SIGINT)
        let outcome = await run.outcome()
        #expect(outcome.code == 0, "\(outcome.errors)")
        let record = try sweep(outcome)
        #expect(record.points.count == 1 && record.points[0].run.value?.figures.partial == true && record.axes[0].values.count == 3)
    }

    // MARK: Rates

    private func search(_ outcome: Command.Outcome) throws -> RateSearchRecord { try JSONDecoder().decode(RateSearchRecord.self, from: Data(outcome.output.utf8)) }

    /// Which rate it is depends on what else the machine does; that the record is consistent does not.
    @Test func aSearch() async throws {
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "run", "memory+yamux", "-w", "request", "-m", "20", "--find-rate", "p50<1ms", "-t", "10ms", "-O", "10ms", "--format", "json", "--json", scratch.path + "/s.json")
        let record = try search(outcome)
        #expect(outcome.code == (record.foundRatePerSecond.value == nil ? 2 : 0) && outcome.errors == "", "\(outcome.errors)")
        #expect(Array(outcome.output.utf8) == (try scratch.read("s.json")))
        #expect(record.goal == .init(percentile: "p50", boundNanoseconds: 1_000_000) && record.steps[0].ratePerSecond == 1000)
        for step in record.steps {
            #expect(step.run.setup.ratePerSecond.value == step.ratePerSecond && step.run.setup.durationRequestedSeconds.value ?? 0 >= 0.05)
            #expect(step.outcome != .met || step.run.repeats.count >= 3, "\(step.reason)")
        }
        guard let found = record.foundRatePerSecond.value else { return }
        #expect(record.steps.last { $0.ratePerSecond == found && $0.outcome != .notOffered }?.outcome == .met)
        #expect(record.missedRatePerSecond.value ?? .infinity > found)
    }

    /// Nothing answers within a microsecond of when it was due.
    @Test func aGoalThatIsNeverMet() async throws {
        let outcome = try await Command.run("run", "tcp+yamux", "-w", "request", "--find-rate", "p50<1us", "-t", "10ms", "-O", "1ms")
        #expect(outcome.code == 2 && outcome.errors == "" && outcome.output.hasPrefix("NOT FOUND: no rate is known to meet p50 < 1us"), "\(outcome)")
    }

    @Test func interruptedSearch() async throws {
        let run = try Command(
            ["run", "memory+yamux", "-w", "request", "-m", "2", "--find-rate", "p99<5ms", "-t", "600s", "-O", "1ms", "--interval", "--format", "json"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        run.send(SIGINT)
        let outcome = await run.outcome()
        #expect(outcome.code == 2, "nothing was found: \(outcome.errors)")
        let record = try search(outcome)
        #expect(record.steps.count == 1 && record.steps[0].run.figures.partial && record.steps[0].outcome == .unclear)
        #expect(record.foundRatePerSecond.reason == "the search was interrupted")
    }
}
