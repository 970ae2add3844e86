import Foundation
import Gauge
@testable import Report
import Testing

/// From values by round to a record, and to what is printed of it.
@Suite struct ComparisonTests {
    /// Rounds of a machine whose runs scatter by 2 %, with candidates that are what `factors` says of the baseline.
    static func record(factors: [String: Double], rounds: Int = 20, seed: UInt64 = 5, second: Bool = true) -> ComparisonRecord {
        var random = SplitMix64(seed: seed)
        var workload = ComparisonWorkload(
            label: "bulk up, 10 connections x 1,000 streams, 64 KiB messages",
            parameters: ["workload": "bulk", "connections": 10, "streams": 1000, "message_size_bytes": 65_536],
            headlines: ["goodput_bytes_per_second"])
        let subjects = ComparisonSubjects(baseline: "tcp+yamux", candidates: factors.keys.sorted())
        let runs = [RoundRun("tcp+yamux")] + (second ? [RoundRun("tcp+yamux", run: 2)] : []) + subjects.candidates.map { RoundRun($0) }
        var order: [[String]] = []
        for _ in 0..<rounds {
            var values: [RoundRun: [String: Measured<Double>]] = [:]
            for run in runs {
                let noise = exp(0.02 * Noise.normal(&random))
                let goodput = 3e9 * (factors[run.subject] ?? 1) * noise
                values[run] = [
                    "goodput_bytes_per_second": .value(goodput), "messages_per_second": .value(goodput / 65_536),
                    "latency_p50_ns": .unavailable("the workload has no answers to wait for"), "wire_overhead_ratio": .value(run.subject == "raw" ? 0 : 0.0003),
                ]
            }
            workload.addRound(values)
            order.append(runs.map(\.subject).shuffled(using: &random))
        }
        return ComparisonRecord(
            command: "streamgauge compare tcp+yamux raw", seed: seed, rule: VerdictRule(), stopping: .unavailable("the number of rounds was given"),
            subjects: subjects, drivers: [.init(name: "swift", version: "streamgauge 1")], order: order, workloads: [workload], environment: Samples.environment, resamples: 1000)
    }

    private func headline(_ record: ComparisonRecord, _ subject: String) -> ComparisonRecord.Ratio? {
        record.verdicts.first { $0.role == .headline && $0.ratio.subject == subject }?.ratio
    }

    @Test func differencesAreFoundAndTheSameIsNot() {
        let record = Self.record(factors: ["slower": 0.9, "faster": 1.3, "same": 1])
        #expect(headline(record, "slower")?.judgement.verdict == .worse)
        #expect(headline(record, "slower")?.judgement.words.hasPrefix("worse: ") == true)
        #expect(headline(record, "faster")?.judgement.verdict == .better)
        #expect(headline(record, "same")?.judgement.verdict != .better)
        #expect(headline(record, "same")?.judgement.verdict != .worse)
        for verdict in record.verdicts where verdict.metric.name == "wire_overhead_ratio" {
            #expect(verdict.ratio.judgement.verdict == .equal, "the same value in every round is equal")
        }
        for verdict in record.verdicts where verdict.metric.name == "latency_p50_ns" {
            #expect(verdict.ratio.judgement.verdict == .cannotTell)
            #expect(verdict.ratio.judgement.words.contains("the workload has no answers to wait for"))
        }
    }

    /// 20 comparisons, each of two candidates that are the baseline itself, in every metric.
    @Test func identicalSubjectsAreNotCalledDifferentInAnyMetric() {
        for seed in UInt64(100)..<120 {
            for verdict in Self.record(factors: ["b": 1, "c": 1], seed: seed).verdicts {
                let found = verdict.ratio.judgement
                #expect(found.verdict == .cannotTell || found.verdict == .equal, "seed \(seed): \(verdict.ratio.subject), \(verdict.metric.name): \(found.words)")
            }
        }
    }

    /// The same with a candidate that is 5 % slower: each finds it.
    @Test func aSlowDownIsFoundInEveryRecord() {
        for seed in UInt64(100)..<120 {
            let record = Self.record(factors: ["slower": 0.95], seed: seed)
            #expect(headline(record, "slower")?.judgement.verdict == .worse, "seed \(seed): \(headline(record, "slower")?.judgement.words ?? "none")")
        }
    }

    @Test func readsBackAsItWasWritten() throws {
        let record = Self.record(factors: ["raw": 1.2])
        let json = try record.encodedJSON()
        #expect(try JSONDecoder().decode(ComparisonRecord.self, from: Data(json)) == record)
        #expect(try record.encodedJSON() == json)
        #expect(String(decoding: json.prefix(60), as: UTF8.self).hasPrefix("{\n  \"schema\": \"streamgauge.comparison/1\""))
    }

    @Test func terminalShowsVerdictNoiseAndHowToRead() {
        let text = ComparisonText.text(Self.record(factors: ["slower": 0.9, "raw": 1.2]), width: 110)
        for words in [
            "raw, slower beside tcp+yamux, 20 rounds", "goodput (more is better)", "worse: ", "better: ", "baseline",
            "The machine's noise, goodput: two runs of the same thing differ by",
            "not available: latency p50", "cannot tell: anything else; it does not mean equal", "the subject has 0",
        ] {
            #expect(text.split(separator: "\n").joined(separator: " ").replacing("  ", with: " ").contains(words.replacing("  ", with: " ")), "\(words) in\n\(text)")
        }
        for width in [60, 80, 100, 160] {
            let lines = ComparisonText.text(Self.record(factors: ["slower": 0.9]), width: width).split(separator: "\n")
            #expect(lines.allSatisfy { String($0).displayWidth <= max(width, 100) })
        }
    }

    @Test func markdownIsWellFormed() {
        var record = Self.record(factors: ["a|b": 0.9])
        let text = ComparisonMarkdown.text(record)
        #expect(text.contains("a\\|b"))
        let tables = text.split(separator: "\n").filter { $0.hasPrefix("|") }
        #expect(tables.count > 3)
        for row in tables {
            #expect(row.replacing("\\|", with: "").count { $0 == "|" } == 8, "\(row)")
        }
        record = Self.record(factors: ["x": 1], rounds: 1)
        #expect(ComparisonMarkdown.text(record).contains("cannot tell"))
    }

    @Test func fewRoundsAndFailedRunsGiveAnswersAndNoCrash() throws {
        for rounds in 0...8 {
            let record = Self.record(factors: ["slower": 0.5], rounds: rounds)
            let verdict = try #require(headline(record, "slower")).judgement
            if rounds < 8 {
                #expect(verdict.verdict == .cannotTell)
                #expect(verdict.words.contains(rounds == 0 ? "there was no round" : "8 are needed"), "\(verdict.words)")
            }
            #expect(!ComparisonText.text(record).isEmpty && !ComparisonMarkdown.text(record).isEmpty)
            _ = try record.encodedJSON()
        }
        var workload = ComparisonWorkload(label: "x", parameters: [:], headlines: ["goodput_bytes_per_second"])
        let names = ["goodput_bytes_per_second", "latency_p99_ns", "cpu_seconds_per_gib_client"]
        for values in [Double.nan, .infinity, -1, 0, .leastNonzeroMagnitude] {
            workload.addRound([RoundRun("a"): Dictionary(uniqueKeysWithValues: names.map { ($0, .value(values)) }), RoundRun("b"): [:]])
            workload.addRound([RoundRun("b"): Dictionary(uniqueKeysWithValues: names.map { ($0, .value(values)) })])
            workload.addRound([RoundRun("a"): [names[0]: .value(values)], RoundRun("b"): [names[0]: .unavailable("INVALID: a reason")]])
        }
        let record = ComparisonRecord(
            command: "", seed: 1, rule: VerdictRule(), stopping: .value(StoppingRule(roundsMin: 1, roundsMax: 15, precision: 0.01)),
            subjects: ComparisonSubjects(baseline: "a", candidates: ["b"]), drivers: [], order: Array(repeating: ["a", "b", "a"], count: 15),
            workloads: [workload], environment: Samples.environment, resamples: 100)
        #expect(record.verdicts.allSatisfy { $0.ratio.judgement.verdict == .cannotTell })
        let goodput = try #require(record.workloads[0].metrics.first)
        #expect(goodput.ratios[0].unpaired.count == 15)
        #expect(goodput.values[0].byRound[0] == .unavailable("the run gave nan"))
        #expect(try JSONDecoder().decode(ComparisonRecord.self, from: Data(record.encodedJSON())) == record)
        #expect(!ComparisonText.text(record).isEmpty)
    }

    /// Whatever was measured can be written down.
    @Test func extremesAreWrittenDown() throws {
        var workload = ComparisonWorkload(label: "x", parameters: [:], headlines: ["goodput_bytes_per_second"])
        for value in [1e-300, 1e300, 5, 1e150, 1e-150, 1, 2, 3, 4, 1e160] as [Double] {
            func values(_ value: Double) -> [String: Measured<Double>] { ["goodput_bytes_per_second": .value(value)] }
            workload.addRound([RoundRun("a"): values(value), RoundRun("a", run: 2): values(1 / value), RoundRun("b"): values(value * value)])
        }
        let record = ComparisonRecord(
            command: "", seed: 1, rule: VerdictRule(), stopping: .unavailable("given"), subjects: ComparisonSubjects(baseline: "a", candidates: ["b"]),
            drivers: [], order: [], workloads: [workload], environment: Samples.environment, resamples: 100)
        #expect(try JSONDecoder().decode(ComparisonRecord.self, from: Data(record.encodedJSON())) == record)
        #expect(!ComparisonText.text(record).isEmpty && !ComparisonMarkdown.text(record).isEmpty)
        #expect(record.workloads[0].metrics[0].ratios[0].unpaired.contains { $0.reason == "the two are too far apart for a ratio" })
    }

    /// A record from before drivers were noted is read as one that has none.
    @Test func whatWasAtTheEndsIsTold() throws {
        let record = Self.record(factors: ["slower": 0.9])
        #expect(ComparisonText.text(record, width: 200).contains("At the ends: swift: streamgauge 1."))
        var object = try #require(try JSONSerialization.jsonObject(with: Data(record.encodedJSON())) as? [String: Any])
        object["drivers"] = nil
        let old = try JSONDecoder().decode(ComparisonRecord.self, from: JSONSerialization.data(withJSONObject: object))
        #expect(old.drivers == nil && old.workloads == record.workloads && !ComparisonText.text(old).contains("At the ends"))
    }

    @Test func withoutSecondRunsTheMarginStandsForTheNoise() throws {
        let record = Self.record(factors: ["slower": 0.9], second: false)
        #expect(record.workloads[0].metrics[0].noise.value == nil)
        #expect(headline(record, "slower")?.judgement.verdict == .worse)
        #expect(ComparisonText.text(record, width: 200).contains("Verdicts rest on interval and p alone"))
    }

    @Test func everyMetricIsInARun() {
        for metric in ComparisonMetric.all {
            let value = metric.value(in: Samples.request())
            #expect(value.value != nil || metric.name.contains("bytes_per_stream"), "\(metric.name): \(value)")
            #expect(ComparisonMetric.named(metric.name) == metric)
        }
        var invalid = Samples.request()
        invalid.invalidate("a reason")
        #expect(ComparisonMetric.values(in: invalid).values.allSatisfy { $0.reason == "INVALID: a reason" })
        #expect(ComparisonMetric(name: "x", unit: .none, better: .lower).value(in: Samples.request()).reason == "a run has no x")
    }
}
