import Foundation
import Gauge
@testable import Report
import ReportSamples
import Testing

/// Reports of records as text, before a browser has seen it.
@Suite struct ReportHTMLTests {
    private static func report(_ records: [[UInt8]]) throws -> RecordReport {
        let folder = try Folder()
        let json = "[" + records.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",") + "]"
        return RecordReport([try RecordFile.read(folder.write(json, "records.json"))])
    }

    private static func json(_ record: [UInt8]) throws -> Any { try JSONSerialization.jsonObject(with: Data(record)) }

    private func expectSound(_ page: ReportPage, location: SourceLocation = #_sourceLocation) {
        #expect(page.pictureFaults == [], sourceLocation: location)
        #expect(page.foreignAddresses == [], sourceLocation: location)
        #expect(!page.elements.contains { $0.name == "script" }, sourceLocation: location)
    }

    @Test func everyFigureIsThereWithEverything() throws {
        let folder = try Folder()
        let file = try RecordFile.read(folder.write(String(decoding: RecordSamples.everything(), as: UTF8.self), "all.json"))
        let report = RecordReport([file])
        let page = ReportPage(report.html)
        expectSound(page)
        let sections = [
            "verdict", "ratios", "medians", "throughput", "latency", "stages", "interference", "scale", "rate", "tax", "ledger", "costs", "time", "machine",
        ]
        #expect(page.sections == sections)
        for section in sections.dropFirst().dropLast() { #expect(!page.pictures(section).isEmpty && !page.tables(section).isEmpty, "\(section)") }
        let ids = page.elements.compactMap { $0.attributes["id"] }
        #expect(Set(ids).count == ids.count, "an ID stands for one thing")
        let referred = report.html.split(separator: "url(#").dropFirst().map { String($0.prefix { $0 != ")" }) }
        #expect(Set(referred).subtracting(ids) == [], "patterns that are not there")
        #expect(page.pictures("ratios").count == 4 && page.pictures("interference").count == 2 && page.pictures("rate").count == 1)
    }

    @Test func numbersOfRunsAreTheRecords() throws {
        let runs = RecordSamples.runs
        let page = ReportPage(try Self.report(runs.map { try $0.encodedJSON() }).html)
        let records = try runs.map { try Self.json($0.encodedJSON()) }
        let all = ReportPage.differences(try #require(page.tables("verdict").first), records)
        #expect(all.faults == [])
        #expect(all.compared > 50)
        for section in ["throughput", "latency"] {
            for table in page.tables(section) {
                let chosen = try table.column("subject").map { try Self.record(of: $0.text, table.heading, runs) }
                let found = ReportPage.differences(table, try chosen.map { try Self.json($0.encodedJSON()) })
                #expect(found.faults == [])
                #expect(found.compared >= 5 * chosen.count, "\(section)")
            }
        }
        let costs = try #require(page.tables("costs").first)
        let sides = costs.rows.map { $0[1].text }
        let chosen = try costs.column("subject").map { try Self.json(Self.record(of: $0.text, costs.heading, runs).encodedJSON()) }
        let found = ReportPage.differences(costs, chosen) { key, row in
            key == "subject" ? key : key + (key.hasPrefix("memory.") ? "_" : ".") + sides[row]
        }
        #expect(found.faults == [])
        #expect(found.compared > 60)
    }

    /// The run that a row is about. The bare transport is shown with its own number of connections and streams.
    private static func record(of name: String, _ heading: String, _ runs: [RunRecord]) throws -> RunRecord {
        try #require(
            runs.first { Shape.conditions($0.setup) == heading && $0.setup.subject == name }
                ?? runs.first { "\($0.setup.subject), \($0.setup.connections) x \($0.setup.streams)" == name }, "\(name), \(heading)")
    }

    @Test func ledgersAddUp() throws {
        let runs = RecordSamples.runs
        let page = ReportPage(try Self.report(runs.map { try $0.encodedJSON() }).html)
        for table in page.tables("ledger") {
            let accounts = ByteLedger.zero.accounts.map(\.name)
            for row in table.rows {
                let values = Dictionary(zip(table.keys, row.map(\.value))) { first, _ in first }
                let sum = accounts.compactMap { values[$0] ?? nil }.reduce(0, +)
                #expect(sum == values["accounted"] && sum == values["socket_bytes"] && values["residual"] == 0 && sum > 0)
            }
            for group in stride(from: 0, to: table.rows.count, by: 3) {
                for column in table.keys.indices.dropFirst(2) {
                    let parts = (0..<3).map { table.rows[group + $0][column].value ?? -1 }
                    #expect(parts[0] + parts[1] == parts[2], "\(table.keys[column])")
                }
            }
        }
    }

    @Test func meansOfStagesAddUpAndAreTheRecords() throws {
        let run = RecordSamples.run(workload: "request", [RecordSamples.figures(latency: 50_000)])
        let page = ReportPage(try Self.report([try run.encodedJSON()]).html)
        #expect(page.pictures("stages").count == 3, "mean, p50 and p99")
        let flows = try #require(run.figures.latencyStages.value)
        let means = try #require(page.tables("stages").first)
        for (row, flow) in zip(means.rows, flows) {
            for stage in LatencyStages.Stage.allCases {
                let column = try #require(means.keys.firstIndex(of: "latency_stages.\(stage.rawValue)_ns.mean"))
                #expect(row[column].value == flow.summaries[stage].map { Double($0.mean) })
            }
        }
        // Where the bar ends is where the stages' sum lies.
        let bars = page.pictures("stages")[0].marks.compactMap { $0["data-value"].flatMap(Double.init) }
        #expect(bars == flows.flatMap { flow in [LatencyStages.Stage.queue, .transit, .deliver].compactMap { flow.summaries[$0].map { Double($0.mean) } } })
    }

    @Test func numbersOfComparisonsAreTheRecords() throws {
        let record = RecordSamples.comparison
        let page = ReportPage(try Self.report([try record.encodedJSON()]).html)
        let headlines = record.workloads.flatMap { $0.metrics.filter { $0.role == .headline } }
        #expect(page.tables("ratios").count == headlines.count)
        for (table, metric) in zip(page.tables("ratios"), headlines) {
            #expect(table.column("ratio").map(\.value) == metric.ratios.map { $0.estimate.value?.ratio })
            #expect(table.column("interval.low").map(\.value) == metric.ratios.map { $0.estimate.value?.interval.value?.low })
            #expect(table.column("interval.high").map(\.value) == metric.ratios.map { $0.estimate.value?.interval.value?.high })
            #expect(table.column("judgement").map(\.text) == metric.ratios.map(\.judgement.words))
        }
        for (table, metric) in zip(page.tables("medians"), headlines) {
            #expect(table.column("spread.median").map(\.value) == metric.values.map { $0.spread.value?.median })
        }
        let matrix = try #require(page.tables("verdict").first)
        #expect(matrix.rows.map { $0.dropFirst().map(\.value) } == record.subjects.candidates.indices.map { row in
            headlines.map { $0.ratios[row].estimate.value?.ratio }
        })
        #expect(page.sections.contains("tax") == false, "its subjects are no staircase")
    }

    @Test func staircasesHaveAStepForEachLayer() throws {
        let record = RecordSamples.tax
        let page = ReportPage(try Self.report([try record.encodedJSON()]).html)
        let table = try #require(page.tables("tax").first)
        #expect(table.column("subject").map(\.text) == ["tcp", "tcp+yamux", "tcp+noise+yamux"])
        let steps = LayerCosts.steps(try #require(record.workloads.first?.metrics.first { $0.role == .headline }), record)
        #expect(table.column("ratio").dropFirst().map(\.value) == steps.map { $0.estimate?.ratio })
        #expect(page.pictures("tax")[0].marks.count == 3)
        // Runs give one too: bulk over bare connections, with a multiplexer, and secured.
        let runs = ReportPage(try Self.report(RecordSamples.runs.map { try $0.encodedJSON() }).html)
        #expect(runs.tables("tax").map { $0.column("subject").map(\.text) } == Array(repeating: ["tcp", "tcp+yamux", "tcp+noise+yamux"], count: 2))
    }

    @Test func numbersOfSweepsAreTheRecords() throws {
        let sweep = RecordSamples.sweep
        let page = ReportPage(try Self.report([try sweep.encodedJSON(), try RecordSamples.grid.encodedJSON()]).html)
        for table in page.tables("scale").prefix(5) {
            let points = try sweep.points.map { try $0.run.value.map { try Self.json($0.encodedJSON()) } ?? [String: Any]() }
            #expect(table.column("streams").map(\.text) == sweep.axes[0].values)
            let found = ReportPage.differences(table, points) { key, _ in key == "streams" ? "" : key }
            #expect(found.faults == [])
            #expect(found.compared >= 4)
        }
        // Of two axes the first is lines.
        let titles = page.pictures("scale").map(\.elements).map { elements in elements.count { $0.name == "path"
            && $0.attributes["class"]?.hasPrefix("mark l") == true } }
        #expect(titles.contains(3))
    }

    @Test func numbersOfSearchesAndInterferenceAreTheRecords() throws {
        let (search, interference) = (RecordSamples.search, RecordSamples.interference)
        let page = ReportPage(try Self.report([try search.encodedJSON(), try interference.encodedJSON()]).html)
        let rates = try #require(page.tables("rate").first)
        #expect(rates.column("rate_per_second").map(\.value) == search.steps.map(\.ratePerSecond))
        #expect(rates.column("latency_ns.p99").map(\.value) == search.steps.map { $0.run.figures.latency.value.map { Double($0.p99) } })
        let marks = page.pictures("rate")[0]
        #expect(marks.elements.contains { $0.attributes["class"] == "bound" && $0.attributes["data-value"] == "52000.0" }, "the found rate")
        #expect(marks.elements.contains { $0.attributes["class"] == "bound" && $0.attributes["data-value"] == "5000000.0" }, "the goal")
        for (table, placement) in zip(page.tables("interference"), InterferenceRecord.Placement.allCases) {
            let cells = interference.cells.filter { $0.placement == placement }
            #expect(table.column("p99_ratio.median").map(\.value) == cells.map { $0.outcome.value?.p99Ratio.median })
            #expect(table.column("loaded_ns.p99").map(\.value) == cells.map { $0.outcome.value.map { Double($0.loaded.p99) } })
        }
        let shown = page.pictures("interference")[0].marks.compactMap { $0["data-value"].flatMap(Double.init) }
        #expect(Set(shown) == Set(interference.cells.filter { $0.placement == .sameConnection }.compactMap { $0.outcome.value?.p99Ratio.median }))
    }

    // MARK: What must not happen

    @Test func nothingInARecordIsMarkup() throws {
        let evil = "<script>alert('x')</script>\" onload=\"alert(1)&<img src=x>\u{1}"
        var figures = RecordSamples.figures(latency: 40_000)
        figures.invalidate(evil)
        let run = RecordSamples.run(evil, workload: evil, [figures], command: evil)
        let comparison = RecordSamples.compared(evil, [("</svg><script>", 1), ("|`*", 0.5)])
        let report = try Self.report([try run.encodedJSON(), try comparison.encodedJSON()])
        let page = ReportPage(report.html)
        expectSound(page)
        #expect(!report.html.contains("<script") && !report.html.contains("<img") && !report.html.contains("\u{1}"))
        #expect(page.elements.allSatisfy { !$0.attributes.keys.contains("onload") })
        #expect(page.tables("verdict").first?.column("subject").first?.text == evil.replacing("\u{1}", with: "\u{fffd}"))
        for name in report.pictureNames {
            let svg = try report.svg(name)
            #expect(!svg.contains("<script") && !svg.contains("<img"))
            let parser = XMLCheck(svg)
            #expect(parser.isWellFormed, "\(name): \(parser.fault)")
        }
        let markdown = report.markdown
        #expect(!markdown.contains("<script>alert('x')") || markdown.contains("```"), "\(markdown)")
    }

    @Test func absentFiguresLeaveGapsWithReasons() throws {
        // A driver of another implementation: no ledger, no costs, no distribution.
        var figures = RunFigures()
        figures.durationSeconds = 1
        figures.goodputBytesPerSecond = 1e6
        figures.payloadBytes = 1_000_000
        figures.ledger = .unavailable("drivers keep none")
        figures.wire = .value(WireBytes(bytesUp: 1_000_100, bytesDown: 20, payloadBytes: 1_000_000))
        figures.latency = .value(LatencySummary(p50: 5, p90: 6, p99: 7, p999: 8, max: 9, min: 1, mean: 5, count: 10))
        let page = ReportPage(try Self.report([try RecordSamples.run("go:tcp+yamux", [figures]).encodedJSON()]).html)
        expectSound(page)
        #expect(page.tables("latency").first?.column("latency_ns.p99").first?.value == 7, "the summary without a curve")
        #expect(page.pictures("latency").isEmpty && page.sections.contains("ledger"))
        // Nothing at all.
        let empty = ReportPage(try Self.report([try RecordSamples.run("tcp+yamux", [RunFigures()]).encodedJSON()]).html)
        expectSound(empty)
        #expect(empty.sections == ["verdict", "machine"])
        let nothing = SweepRecord(command: "streamgauge sweep", axes: [], points: [], environment: RecordSamples.environment)
        let search = RateSearchRecord(
            command: "x", goal: .init(percentile: "p99", boundNanoseconds: 1), foundRatePerSecond: .unavailable("no step was made"),
            missedRatePerSecond: .unavailable("no step was made"), steps: [], environment: RecordSamples.environment)
        let cells = InterferenceRecord(command: "x", subjects: [], aggressors: [], cells: [], environment: RecordSamples.environment)
        let partial = ReportPage(try Self.report([try nothing.encodedJSON(), try search.encodedJSON(), try cells.encodedJSON()]).html)
        expectSound(partial)
        #expect(partial.sections == ["verdict", "machine"])
    }

    @Test(arguments: [1e-300, 1e-9, 0, 1, 1e9, 1e18, 1e280])
    func numbersOfAnySizeAreDrawn(size: Double) throws {
        var figures = RecordSamples.figures(goodput: 3, latency: 40_000)
        figures.goodputBytesPerSecond = .value(size)
        figures.cpuUserSeconds = BothSides(client: .value(size), server: .value(size))
        figures.memory.bytesPerStreamClient = .value(size)
        figures.payloadBytes = size > 1e18 ? .max / 2 : UInt64(size)
        let runs = ["tcp", "tcp+yamux"].map { RecordSamples.run($0, [figures, figures]) }
        let sweep = SweepRecord(
            command: "x", axes: [.init(option: "streams", values: ["1", "2"])],
            points: zip(["1", "2"], runs).map { SweepRecord.Point(values: [$0], run: .value($1)) }, environment: RecordSamples.environment)
        let page = ReportPage(try Self.report(runs.map { try $0.encodedJSON() } + [try sweep.encodedJSON()]).html)
        expectSound(page)
        let table = try #require(page.tables("throughput").first)
        #expect(table.column("goodput_bytes_per_second").map(\.value) == [size, size])
        #expect(!page.tables.flatMap(\.rows).joined().contains { $0.text == "nan" || $0.text == "inf" })
    }
}

/// Whether a text is well-formed XML, which a file of SVG has to be.
final class XMLCheck: NSObject {
    let isWellFormed: Bool
    let fault: String

    init(_ text: String) {
        var open: [String] = []
        var fault = ""
        var rest = Substring(text)
        while let start = rest.firstIndex(of: "<"), fault.isEmpty {
            guard let end = rest[start...].firstIndex(of: ">") else {
                fault = "a tag has no end"
                break
            }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            let name = String(tag.drop { $0 == "/" }.prefix { !$0.isWhitespace && $0 != "/" })
            if tag.hasPrefix("/") {
                if open.popLast() != name { fault = "\(name) ends and was not open" }
            } else if !tag.hasSuffix("/") {
                open.append(name)
            }
            if tag.count(where: { $0 == "\"" }) % 2 != 0 { fault = "\(tag): quotation marks" }
        }
        self.fault = fault.isEmpty && !open.isEmpty ? "not ended: \(open)" : fault
        isWellFormed = self.fault.isEmpty
    }
}
