import Foundation
import Gauge
@testable import Report
import Testing

/// Stored records against each other.
@Suite struct DiffTests {
    private func run(
        _ subject: String = "tcp+yamux", goodputs: [Double], connections: Int = 10, streams: Int = 1000,
        _ change: (inout RunFigures) -> Void = { _ in }, environment: (inout Gauge.Environment) -> Void = { _ in }
    ) -> RunRecord {
        let repeats = goodputs.enumerated().map { index, goodput in
            var figures = Samples.bulk(subject, goodput: goodput, repeatIndex: index + 1)
            figures.options = BothSides(both: .value(["so_rcvbuf": 262_144]))
            change(&figures)
            return figures
        }
        let record = Samples.record(subject, connections: connections, streams: streams, repeats)
        var machine = record.environment
        environment(&machine)
        return RunRecord(setup: record.setup, repeats: repeats, environment: machine, command: record.command)
    }

    private func file(_ runs: [RunRecord], _ comparisons: [ComparisonRecord] = [], path: String = "a.json") throws -> RecordFile {
        let scratch = try Folder()
        let texts = try runs.map { try $0.encodedJSON() } + comparisons.map { try $0.encodedJSON() }
        let json = "[" + texts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",") + "]"
        return try RecordFile.read(scratch.write(json, path))
    }

    private func report(
        _ old: RecordFile, _ new: RecordFile, threshold: Double = 0.05, selection: DiffReport.Selection = .headlines
    ) -> DiffReport {
        DiffReport(old: old, new: new, rule: VerdictRule(), threshold: threshold, selection: selection, resamples: 2000)
    }

    /// What a record lacks because there was no choice yet does not keep it from being compared.
    @Test func recordsFromBeforeAnOptionAreOfTheSameRun() throws {
        let new = run(goodputs: steady)
        var keys = try #require(try JSONSerialization.jsonObject(with: Data(new.encodedJSON())) as? [String: Any])
        for name in ["read_rate_bytes_per_second", "beside", "beside_connection"] { try #require(keys.removeValue(forKey: name) != nil) }
        let scratch = try Folder()
        let text = String(decoding: try JSONSerialization.data(withJSONObject: keys), as: UTF8.self)
        let report = report(try RecordFile.read(scratch.write(text, "old.json")), try file([new]))
        #expect(report.onlyOld.isEmpty && report.onlyNew.isEmpty && report.rows.count == 1)
    }

    // MARK: Verdicts

    private let steady = [3.00e9, 3.02e9, 2.99e9, 3.01e9, 3.03e9, 2.98e9]

    @Test func slowerBeyondTheThresholdIsARegression() throws {
        let old = try file([run(goodputs: steady)])
        let slower = try report(old, file([run(goodputs: steady.map { $0 * 0.9 })]))
        #expect(slower.rows.map(\.judgement.verdict) == [.worse])
        #expect(slower.regressions.count == 1)
        #expect(try report(old, file([run(goodputs: steady.map { $0 * 0.9 })]), threshold: 0.2).regressions.isEmpty)
        let faster = try report(old, file([run(goodputs: steady.map { $0 * 1.5 })]))
        #expect(faster.rows.map(\.judgement.verdict) == [.better] && faster.regressions.isEmpty)
        let same = report(old, old)
        #expect(same.rows.map(\.judgement.verdict) != [.better] && same.regressions.isEmpty)
    }

    /// Of a metric that is better when lower, more is the regression.
    @Test func moreOfACostIsARegression() throws {
        let old = try file([run(goodputs: steady) { $0.cpuUserSeconds.client = 1 }])
        let new = try file([run(goodputs: steady) { $0.cpuUserSeconds.client = 6 }])
        let selection = DiffReport.Selection.named(["cpu_seconds_per_gib_client"])
        #expect(report(old, new, selection: selection).regressions.count == 1)
        #expect(report(new, old, selection: selection).rows.map(\.judgement.verdict) == [.better])
        #expect(report(old, new, selection: .all).rows.count > 5)
        #expect(report(old, new, selection: .all).rows.map(\.metric.name).contains("latency_p99_ns") == false, "neither has it")
    }

    @Test func oneRepeatGivesARatioAndNoVerdict() throws {
        let old = try file([run(goodputs: [3e9])])
        let new = try file([run(goodputs: [1e9])])
        let row = try #require(report(old, new).rows.first)
        #expect(row.estimate.value.map { abs($0.ratio - 1 / 3) < 1e-9 } == true)
        #expect(row.judgement.words == "cannot tell: of 1 old and 1 new repeats there is no interval at 99 %: 5 of each are needed")
        #expect(!row.isRegression)
        // Two files with a run of the same are two repeats.
        let both = try file([run(goodputs: [3e9]), run(goodputs: [3.1e9])])
        #expect(report(both, new).rows.map(\.oldCount) == [2])
    }

    /// Identical builds, 200 times, with six repeats each: told different no more often than the level says.
    @Test func identicalBuildsAreSeldomCalledDifferent() {
        var random = SplitMix64(seed: 31)
        let wrong = (0..<200).count { _ in
            let values = (0..<12).map { _ in exp(0.03 * Noise.normal(&random)) }
            let (old, new) = (Array(values[..<6]), Array(values[6...]))
            if MannWhitney.probability(old, new) >= 0.01 { return false }
            let estimate = RatioEstimate.unpaired(old: old, new: new, level: 0.99, bootstrap: Bootstrap(resamples: 500, seed: 1))
            return [.better, .worse].contains(VerdictRule().judge(estimate, preference: .higher).verdict)
        }
        #expect(wrong <= 6, "seed 31: \(wrong) of 200")
    }

    @Test func zerosHaveNoRatioUnlessAllAre() {
        let bootstrap = Bootstrap(resamples: 100, seed: 1)
        func estimate(_ old: [Double], _ new: [Double]) -> Measured<RatioEstimate> {
            RatioEstimate.unpaired(old: old, new: new, level: 0.99, bootstrap: bootstrap)
        }
        #expect(estimate([0, 0], [0, 0]).value?.ratio == 1)
        #expect(estimate([0, 1], [1, 1]).reason == "a value is 0, so there is no ratio")
        #expect(estimate([], [1]).reason == "the old one has no value")
        #expect(estimate([1], [-1]).reason == "the new one has -1.00")
        #expect(estimate([1], [.nan]).reason == "the new one has not a number")
        #expect(VerdictRule().judge(estimate([0, 0], [0, 0]), preference: .lower).verdict == .equal)
    }

    // MARK: Partners

    @Test func whatHasNoPartnerIsListed() throws {
        let old = try file([run(goodputs: steady), run("tcp", goodputs: steady)])
        let new = try file([run(goodputs: steady), run(goodputs: steady, streams: 10)])
        let report = report(old, new)
        #expect(report.rows.map(\.subject) == ["tcp+yamux"])
        #expect(report.onlyOld.count == 1 && report.onlyOld[0].hasPrefix("tcp, bulk up, 10 connections x 1,000 streams"))
        #expect(report.onlyNew.count == 1 && report.onlyNew[0].contains("10 connections x 10 streams"))
        for text in [report.text(width: 100), report.markdown] {
            #expect(text.contains("Only in the old") && text.contains("Only in the new"))
        }
    }

    @Test func invalidRunsAreToldAndNotCompared() throws {
        let old = try file([run(goodputs: steady)])
        let new = try file([run(goodputs: steady.map { $0 / 2 }, { $0.invalidate("the ledger does not balance") })])
        let report = report(old, new)
        #expect(report.rows.isEmpty && !report.hasRatios)
        #expect(report.invalid == ["new: tcp+yamux, bulk up, 10 connections x 1,000 streams, 64 KiB messages: repeat 1: the ledger does not balance"])
        #expect(report.text(width: 100).contains("Nothing could be compared"))
    }

    @Test func comparisonsAreComparedByTheirRatios() throws {
        // The machine of the new one is half as fast: its ratios are not.
        let old = try file([], [ComparisonTests.record(factors: ["raw": 1.2, "gone": 1])])
        let new = try file([], [ComparisonTests.record(factors: ["raw": 1.0], seed: 9)])
        let report = report(old, new)
        let row = try #require(report.rows.first)
        #expect(report.rows.count == 1 && row.isRatio && row.isRegression)
        #expect(row.subject == "raw beside tcp+yamux" && row.oldCount == 20)
        #expect(report.onlyOld == ["gone beside tcp+yamux, bulk up, 10 connections x 1,000 streams, 64 KiB messages"])
        #expect(report.text(width: 160).contains("goodput, ratio"))
    }

    // MARK: Environments

    @Test func environmentsThatDifferAreTold() throws {
        let old = try file([run(goodputs: steady)])
        let new = try file([
            run(goodputs: steady, { $0.options = BothSides(both: .value(["so_rcvbuf": 4096])) }) { environment in
                environment.cpuModel = .value("another")
                environment.commit = .value("fedcba")
                environment.ioBackend = "uring"
                environment.sysctls["net.ipv4.tcp_rmem"] = .value("1 2 3")
                environment.sysctls["kernel.perf_event_paranoid"] = .value("9")
            },
        ])
        let report = report(old, new)
        #expect(report.differencesThatMatter.map(\.name) == [
            "CPU", "I/O backend", "net.ipv4.tcp_rmem", "so_rcvbuf of the client", "so_rcvbuf of the server",
        ])
        #expect(report.environmentDifferences.filter { !$0.matters }.map(\.sentence).contains("commit: 0123abc, now fedcba"))
        #expect(report.environmentDifferences[0].sentence == "CPU: AMD EPYC 9004, now another")
        #expect(self.report(old, old).environmentDifferences == [])
    }

    // MARK: Output

    @Test func reportReadsBackAndTablesAreWellFormed() throws {
        let report = try report(file([run(goodputs: steady)]), file([run(goodputs: steady.map { $0 * 0.8 })]), selection: .all)
        #expect(try JSONDecoder().decode(DiffReport.self, from: Data(report.encodedJSON())) == report)
        #expect(report.text(width: 120).contains("REGRESSION, worse: 20.0 % less"))
        for row in report.markdown.split(separator: "\n") where row.hasPrefix("|") { #expect(row.count { $0 == "|" } == 9, "\(row)") }
    }
}

/// A folder that goes with the test.
final class Folder {
    let path = FileManager.default.temporaryDirectory.path + "/streamgauge-report-\(UInt64.random(in: .min ... .max))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, _ name: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
        return path + "/" + name
    }
}

/// Files that are what they should be, and files that are not.
@Suite struct RecordFileTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func text(_ record: RunRecord) throws -> String { String(decoding: try record.encodedJSON(), as: UTF8.self) }

    private func error(_ text: String, bytesMax: Int = RecordFile.bytesMaxDefault) throws -> String {
        let path = try folder.write(text, "x.json")
        do {
            _ = try RecordFile.read(path, bytesMax: bytesMax)
            return "none"
        } catch {
            #expect("\(error)".contains(path))
            return "\(error)".replacing(path, with: "x.json")
        }
    }

    @Test func recordsListsAndFoldersAreRead() throws {
        let run = Samples.record("tcp+yamux", [Samples.bulk()])
        let comparison = ComparisonTests.record(factors: ["raw": 1.2], rounds: 9)
        let one = try folder.write(text(run), "b.json")
        #expect(try RecordFile.read(one).runs == [run])
        let list = try folder.write("[\(try text(run)), \(String(decoding: comparison.encodedJSON(), as: UTF8.self))]", "a.json")
        #expect(try RecordFile.read(list).comparisons == [comparison])
        _ = try folder.write("no record", "readme.md")
        let all = try RecordFile.read(folder.path)
        #expect(all.runs.count == 2 && all.comparisons.count == 1 && all.path == folder.path)
    }

    @Test func filesThatAreNoneSayWhatToDo() throws {
        let good = try text(Samples.record("tcp+yamux", [Samples.bulk()]))
        #expect(try error("").contains("is empty"))
        #expect(try error(" \n").contains("is empty"))
        #expect(try error("[]").contains("an empty list"))
        #expect(try error(String(good.prefix(good.count / 2))).contains("ends in the middle of its JSON"))
        #expect(try error("[" + good + ",").contains("ends in the middle"))
        #expect(try error("goodput: 5").contains("is not JSON"))
        #expect(try error("{}").contains("it has no \"schema\"; streamgauge.run/1, streamgauge.comparison/1, streamgauge.sweep/1,"))
        #expect(try error("[1]").contains("[0] has no \"schema\""))
        #expect(try error("5").contains("no \"schema\""))
        #expect(try error("[[\(good)]]").contains("no \"schema\""))
        #expect(try error(#"{"schema": "streamgauge.run/9"}"#).contains("has schema \"streamgauge.run/9\""))
        #expect(try error(#"{"schema": "streamgauge.run/1"}"#).contains("\"subject\": the key is missing"))
        #expect(try error(#"{"schema": 5}"#).contains("no \"schema\""))
        #expect(try error(good.replacing("\"connections\": 10,", with: "\"connections\": \"ten\",")).contains("x.json is a broken record: \"connections\""))
        #expect(try error(#"[{"schema": "streamgauge.comparison/1"}]"#).contains("is a broken record: \"[0].command\": the key is missing"))
        #expect(try error(good, bytesMax: 100).contains("is larger than 100 B"))
        #expect(try error(String(repeating: "[", count: 100_000)).hasPrefix("x.json "))
        for path in [folder.path + "/none", folder.path + "/none/none.json"] {
            #expect(throws: RecordFileError.missing(path: path)) { try RecordFile.read(path) }
        }
        let empty = try Folder()
        #expect(throws: RecordFileError.folderWithoutRecords(path: empty.path)) { try RecordFile.read(empty.path) }
    }

    /// Whatever is done to a file, it is read or refused, and what was read can be compared.
    @Test func damagedFilesDoNoHarm() throws {
        let comparison = String(decoding: try ComparisonTests.record(factors: ["raw": 1.2], rounds: 9).encodedJSON(), as: UTF8.self)
        for seed in UInt64(1)...60 {
            var random = SplitMix64(seed: seed)
            var lines = comparison.split(separator: "\n").map(String.init)
            for _ in 0...random.index(below: 3) {
                let place = random.index(below: lines.count)
                if random.index(below: 2) == 0 { lines.remove(at: place) } else { lines[place] = lines[place].replacing("1", with: "-7") }
            }
            let path = try folder.write(lines.joined(separator: "\n"), "damaged.json")
            guard let file = try? RecordFile.read(path) else { continue }
            let report = DiffReport(old: file, new: file, rule: VerdictRule(), threshold: 0.05, selection: .all, resamples: 20)
            #expect(!report.text().isEmpty && !report.markdown.isEmpty, "seed \(seed)")
        }
    }
}
