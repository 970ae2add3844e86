import Foundation
import Gauge
@testable import Report
import Testing

/// `results/README.md` and what is written of comparisons must name the same keys.
@Suite struct ComparisonReadmeTests {
    private static let readme: String = {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return (try? String(contentsOfFile: "/" + path + "/results/README.md", encoding: .utf8)) ?? ""
    }()

    /// The keys in the first column of the tables below a heading, with `{a,b}` expanded.
    private func described(_ heading: String) -> Set<String> {
        var keys: Set<String> = []
        let lines = Self.readme.split(separator: "\n").drop { $0 != "# " + heading }.dropFirst().prefix { !$0.hasPrefix("# ") }
        for line in lines where line.hasPrefix("| `") {
            let cell = line.dropFirst(2).prefix { $0 != "|" }
            for (index, part) in cell.split(separator: "`", omittingEmptySubsequences: false).enumerated() where index % 2 == 1 {
                keys.formUnion(expanded(String(part)))
            }
        }
        return keys
    }

    private func expanded(_ pattern: String) -> [String] {
        guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else { return [pattern] }
        let (head, tail) = (pattern[..<open], pattern[pattern.index(after: close)...])
        return pattern[pattern.index(after: open)..<close].split(separator: ",").flatMap { expanded("\(head)\($0)\(tail)") }
    }

    private indirect enum Value: Decodable {
        case object([String: Value])
        case list([Value])
        case scalar

        init(from decoder: any Decoder) throws {
            if let object = try? [String: Value](from: decoder) {
                self = .object(object)
            } else if let list = try? [Value](from: decoder) {
                self = .list(list)
            } else {
                self = .scalar
            }
        }

        /// The path of every value; the environment, and runs, are described with the run record.
        func paths(_ path: String) -> [String] {
            switch self {
            case _ where ["environment", "steps[].run", "points[].run"].contains(path): return [path]
            case .scalar: return [path]
            case .list(let list): return list.isEmpty ? [path + "[]"] : list.flatMap { $0.paths(path + "[]") }
            case .object(let object):
                return object.flatMap { key, value in
                    value.paths((path.isEmpty ? "" : path + ".") + (path.hasSuffix(".parameters") ? "<name>" : key))
                }
            }
        }
    }

    /// A record in which nothing is absent that could be there, and rounds without a ratio too.
    private func record() -> ComparisonRecord {
        let metrics = ["goodput_bytes_per_second"].compactMap { ComparisonMetric.named($0) }
        var workload = ComparisonWorkload(label: "x", parameters: ["connections": 1], metrics: metrics, headlines: metrics.map(\.name))
        for round in 0..<10 {
            func values(_ factor: Double) -> [String: Measured<Double>] { [metrics[0].name: .value(Double(100 + round) * factor)] }
            var runs = [RoundRun("a"): values(1), RoundRun("a", run: 2): values(1.1)]
            if round > 0 { runs[RoundRun("b")] = values(2 + Double(round) / 10) }
            workload.addRound(runs)
        }
        return ComparisonRecord(
            command: "streamgauge compare a b", seed: 1, rule: VerdictRule(),
            stopping: .value(StoppingRule(roundsMin: 10, roundsMax: 20, precision: 0.02)), subjects: ComparisonSubjects(baseline: "a", candidates: ["b"]),
            drivers: [.init(name: "swift", version: "1")], order: Array(repeating: ["a", "b", "a"], count: 10), workloads: [workload], environment: Samples.environment, resamples: 100)
    }

    private func expectSameKeys(_ json: [UInt8], _ heading: String) throws {
        let keys = Set(try JSONDecoder().decode(Value.self, from: Data(json)).paths(""))
        let described = described(heading)
        #expect(keys.subtracting(described).sorted() == [], "not described in results/README.md, \(heading)")
        #expect(described.subtracting(keys).sorted() == [], "described in results/README.md, \(heading), but not there")
    }

    @Test func comparisonRecordsAreDescribed() throws { try expectSameKeys(record().encodedJSON(), "Comparison records") }

    @Test func interferenceRecordsAreDescribed() throws {
        let summary = LatencySummary(p50: 1, p90: 1, p99: 1, p999: 1, max: 1, min: 1, mean: 1, count: 1)
        let spread = Spread(min: 1, median: 2, max: 3)
        var histogram = LatencyHistogram()
        histogram.record(1)
        let stages = LatencyStages(
            flow: 0, verb: "request", direction: "up", histograms: Dictionary(uniqueKeysWithValues: LatencyStages.Stage.allCases.map { ($0, histogram) }))
        let outcome = InterferenceRecord.Outcome(
            idle: summary, loaded: summary, p50Ratio: spread, p99Ratio: spread, goodputKeptRatio: 1, jainFairness: 1, starvedStreams: 0, longestSilenceSeconds: 1,
            stages: .value([try #require(stages)]), rounds: 1, invalidReasons: ["an example"])
        let record = InterferenceRecord(
            command: "streamgauge interference a", subjects: ["a"], aggressors: [.init(name: "b", summary: "c")],
            cells: [.init(subject: "a", aggressor: "b", placement: .ownConnection, outcome: .value(outcome))], environment: Samples.environment)
        try expectSameKeys(record.encodedJSON(), "Interference records")
    }

    @Test func sweepsAreDescribed() throws { try expectSameKeys(SweepSamples.record([SweepSamples.point(1)]).encodedJSON(), "Sweeps") }

    @Test func rateSearchesAreDescribed() throws {
        try expectSameKeys(SweepSamples.search(found: 1, missed: 2, [SweepSamples.step(1, .met)]).encodedJSON(), "Rate searches")
    }

    @Test func diffsAreDescribed() throws {
        let folder = try Folder()
        let repeats = (1...6).map { Samples.bulk(goodput: 3e9 + Double($0), repeatIndex: $0) }
        let text = String(decoding: try Samples.record("tcp+yamux", repeats).encodedJSON(), as: UTF8.self)
        let old = try RecordFile.read(folder.write(text, "old.json"))
        let new = try RecordFile.read(folder.write(text.replacing("0123abc", with: "fedcba9"), "new.json"))
        let report = DiffReport(old: old, new: new, rule: VerdictRule(), threshold: 0.05, selection: .headlines, resamples: 100)
        try expectSameKeys(report.encodedJSON(), "Diffs")
    }
}
