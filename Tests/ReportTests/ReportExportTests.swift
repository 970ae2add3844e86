import Foundation
import Gauge
@testable import Report
import ReportSamples
import Testing

/// Reports for other programs: percentile files, OpenMetrics, CSV, Markdown, the index.
@Suite struct ReportExportTests {
    private func report(_ text: String) throws -> RecordReport {
        let folder = try Folder()
        return RecordReport([try RecordFile.read(folder.write(text, "records.json"))])
    }

    private func everything() throws -> RecordReport { try report(String(decoding: RecordSamples.everything(), as: UTF8.self)) }

    // MARK: Percentile files

    /// A line of a percentile file as numbers; infinite for the last.
    private func numbers(_ line: Substring) -> [Double] { line.split(separator: " ").compactMap { Double($0) } }

    @Test func percentileFilesAreHdrHistograms() throws {
        let histogram = RecordSamples.histogram(median: 50_000)
        let file = PercentileFile(name: "a/b <c>", histogram)
        #expect(file.name == "a-b-c.hgrm")
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0].split(separator: " ") == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"] && lines[1].isEmpty)
        let rows = lines.dropFirst(2).prefix { !$0.hasPrefix("#") }.map(numbers)
        #expect(rows.allSatisfy { $0.count == 4 } && rows.count > 40)
        for (before, after) in zip(rows, rows.dropFirst()) { #expect(zip(before, after).allSatisfy { $0 <= $1 }, "\(before) \(after)") }
        // The halvings that HdrHistogram's iterator makes with five steps each.
        #expect(rows.prefix(8).map { $0[1] } == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6])
        #expect(rows.last.map { $0[1] == 1 && $0[2] == 4000 && $0[3] == .infinity } == true)
        let summary = try #require(histogram.summary())
        #expect(rows.last.map { $0[0] * 1e6 == Double(summary.max) } == true)
        let middle = try #require(rows.first { $0[1] == 0.5 })
        #expect((middle[0] * 1e6).rounded() == Double(summary.p50) && abs(middle[2] - 2000) < 4)
        let tail = lines.filter { $0.hasPrefix("#[") }
        #expect(tail.count == 3 && tail[0].contains("Mean") && tail[0].contains("StdDeviation") && tail[1].contains("Total count    =         4000]"))
        #expect(tail[2].contains("Buckets") && tail[2].contains("SubBuckets     =         2048"))
    }

    @Test func ladderOfOneValueEnds() {
        var histogram = LatencyHistogram()
        #expect(PercentileLadder(histogram).steps.isEmpty)
        histogram.record(7)
        #expect(PercentileLadder(histogram).steps.map(\.percentile) == [0, 1])
        // One in four billion far away: the halvings end.
        histogram.record(7, count: 1 << 32)
        histogram.record(3_600_000_000_000)
        let steps = PercentileLadder(histogram).steps
        #expect(steps.last?.nanoseconds == 3_600_000_000_000 && steps.count < 400)
    }

    @Test func everyDistributionHasAFile() throws {
        let files = try everything().percentileFiles
        #expect(Set(files.map(\.name)).count == files.count && files.count > 30)
        #expect(files.contains { $0.name.hasSuffix("-queue.hgrm") } && files.contains { $0.name.contains("latency") })
        #expect(files.allSatisfy { $0.name.utf8.allSatisfy { $0 > 32 && $0 != UInt8(ascii: "/") } })
    }

    // MARK: OpenMetrics

    /// The format's grammar, as far as this program uses it.
    private func faults(_ text: String) -> [String] {
        guard text.hasSuffix("\n# EOF\n") || text == "# EOF\n" else { return ["it does not end with # EOF"] }
        var faults: [String] = []
        var (family, type, unit) = ("", "", "")
        var families: Set<String> = []
        var samples: Set<String> = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast(2) {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# TYPE ") {
                (family, type, unit) = (words[2], words[3], "")
                if !families.insert(family).inserted { faults.append("\(family) comes twice") }
                if !["gauge", "summary"].contains(type) { faults.append("type \(type)") }
            } else if line.hasPrefix("# UNIT ") {
                unit = words[3]
                if words[2] != family || !family.hasSuffix("_" + unit) { faults.append(String(line)) }
            } else if line.hasPrefix("# HELP ") {
                if words[2] != family { faults.append(String(line)) }
            } else {
                guard let match = line.wholeMatch(of: #/([a-z_0-9]+)\{((?:[a-z_0-9]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (-?[0-9.e+-]+)/#) else {
                    faults.append("no sample: \(line)")
                    continue
                }
                let suffixes = type == "summary" ? ["", "_count", "_sum"] : [""]
                if !suffixes.map({ family + $0 }).contains(String(match.1)) { faults.append("\(match.1) within \(family)") }
                if !samples.insert("\(match.1){\(match.2)}").inserted { faults.append("twice: \(line)") }
                if Double(match.3)?.isFinite != true { faults.append("no number: \(line)") }
            }
        }
        return faults
    }

    @Test func openMetricsKeepsTheFormat() throws {
        let text = try everything().openMetrics
        #expect(faults(text) == [])
        #expect(text.contains("# UNIT streamgauge_latency_seconds seconds\n") && text.contains("quantile=\"0.99\""))
        for name in ["found_rate_per_second", "comparison_ratio", "interference_p99_ratio", "stage_seconds", "wire_bytes"] {
            #expect(text.contains("# TYPE streamgauge_\(name) "), "\(name)")
        }
        #expect(RecordReport([]).openMetrics == "# EOF\n")
    }

    @Test func openMetricsHasTheRecordsNumbersAndEscapesLabels() throws {
        let run = RecordSamples.run("a\"b\\c\nd", [RecordSamples.figures(goodput: 1.5e9, latency: 40_000)])
        let text = try report(String(decoding: run.encodedJSON(), as: UTF8.self)).openMetrics
        #expect(faults(text) == [])
        #expect(text.contains(#"subject="a\"b\\c\nd""#))
        #expect(text.contains("\nstreamgauge_goodput_bytes_per_second{") && text.contains("} 1500000000\n"))
        let summary = try #require(run.figures.latency.value)
        #expect(text.contains("quantile=\"0.99\"} \(Double(summary.p99) / 1e9)\n"))
    }

    // MARK: CSV and Markdown

    @Test func csvIsOneTable() throws {
        let runs = try report(String(decoding: RecordSamples.sweep.encodedJSON(), as: UTF8.self)).csv()
        #expect(runs.split(separator: "\n").count == 1 + 4, "the points that were run")
        let comparison = RecordSamples.comparison
        let rows = try report(String(decoding: comparison.encodedJSON(), as: UTF8.self)).csv().split(separator: "\n")
        #expect(rows.count == 1 + comparison.workloads.reduce(0) { $0 + $1.metrics.count * 7 * 10 })
        #expect(rows[1].hasPrefix("\"bulk up, 1 x 1 streams, 64 KiB messages\",goodput_bytes_per_second,bytes/s,tcp+yamux,1,1,"))
        let cells = try report(String(decoding: RecordSamples.interference.encodedJSON(), as: UTF8.self)).csv().split(separator: "\n")
        #expect(cells.count == 1 + 48 && cells.allSatisfy { $0.count { $0 == "," } == 16 })
        #expect(throws: ReportCSVError.severalTables) { try everything().csv() }
        #expect(throws: ReportCSVError.noRecords) { try RecordReport([]).csv() }
    }

    @Test func markdownHasTheVerdictsFirstAndEveryFigure() throws {
        let report = try everything()
        let text = report.markdown
        let lines = text.split(separator: "\n")
        #expect(lines[1].hasPrefix("**INVALID**: 3 of 15 records"), "\(lines[1])")
        #expect(text.contains("the client sent 12 bytes and the server received 11"))
        for figure in report.figures { #expect(text.contains("<details><summary>\(figure.title)</summary>")) }
        // Tables have as many cells in every row as in their head.
        for (before, after) in zip(lines, lines.dropFirst()) where before.hasPrefix("| ") && after.hasPrefix("| ") {
            func cells(_ line: Substring) -> Int { line.replacing("\\|", with: "").count { $0 == "|" } }
            #expect(cells(before) == cells(after), "\(before)\n\(after)")
        }
    }

    // MARK: Pictures and index

    @Test func picturesAreFilesOfTheirOwn() throws {
        let report = try everything()
        #expect(Set(report.pictureNames).count == report.pictureNames.count && report.pictureNames.contains("latency-1"))
        for name in report.pictureNames {
            let svg = try report.svg(name)
            let check = XMLCheck(svg)
            #expect(check.isWellFormed, "\(name): \(check.fault)")
            #expect(!svg.contains("var(--") && !svg.contains("href") && svg.contains("xmlns=\"http://www.w3.org/2000/svg\""), "\(name)")
        }
        #expect(throws: ReportPictureError.unknown(name: "latency-99", known: report.pictureNames)) { try report.svg("latency-99") }
        #expect(throws: ReportPictureError.noPictures) { try RecordReport([]).svg("latency") }
        #expect(try report.svg("latency-1,tax-1").count > report.svg("latency-1").count)
    }

    /// `results/index.md` is what the generator makes of the records that are committed beside it.
    @Test func theCommittedIndexIsMadeFromTheCommittedRecords() throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let results = tests.deletingLastPathComponent().appendingPathComponent("results")
        let committed = try String(contentsOf: results.appendingPathComponent("index.md"), encoding: .utf8)
        #expect(try ResultsIndex.markdown(results.path) == committed, "run scripts/results-index")
    }

    @Test func indexesNameEveryRecordBelowTheFolder() throws {
        let folder = try Folder()
        _ = try folder.write(String(decoding: RecordSamples.search.encodedJSON(), as: UTF8.self), "search (1).json")
        _ = try folder.write(String(decoding: RecordSamples.comparison.encodedJSON(), as: UTF8.self), "2026-10-01-old.json")
        let text = try ResultsIndex.markdown(folder.path)
        let headings = text.split(separator: "\n").filter { $0.hasPrefix("## ") }
        #expect(headings == ["## 2026-11-26: [search (1).json](search%20%281%29.json)", "## 2026-10-01: [2026-10-01-old.json](2026-10-01-old.json)"])
        #expect(text.contains("FOUND") && text.contains("streamgauge compare tcp+yamux"))
        let empty = try Folder()
        #expect(throws: RecordFileError.folderWithoutRecords(path: empty.path)) { try ResultsIndex.markdown(empty.path) }
        #expect(throws: RecordFileError.missing(path: empty.path + "/none")) { try ResultsIndex.markdown(empty.path + "/none") }
    }

    // MARK: Reading

    @Test func everyKindIsReadAndDiffRefusesWhatItCannotCompare() throws {
        let folder = try Folder()
        let file = try RecordFile.read(folder.write(String(decoding: RecordSamples.everything(), as: UTF8.self), "all.json"))
        #expect(file.runs == RecordSamples.runs && file.comparisons.count == 2)
        #expect(file.sweeps == [RecordSamples.sweep, RecordSamples.grid] && file.rateSearches == [RecordSamples.search])
        #expect(file.interferences == [RecordSamples.interference])
        #expect(throws: RecordFileError.notComparable(path: file.path, schema: SweepRecord.schema)) { try file.requireComparable() }
        let words = RecordFileError.notComparable(path: "s.json", schema: SweepRecord.schema).description
        #expect(words.contains("s.json holds a record of schema streamgauge.sweep/1") && words.contains("streamgauge report"))
    }
}
