import Foundation
import Gauge
import Report
import ReportSamples
import Testing

/// A browser without a window: Debian's `chromium-headless-shell`.
enum Browser {
    static let path = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].first { FileManager.default.isExecutableFile(atPath: $0) }

    struct Outcome {
        /// The document after it was loaded.
        let page: String
        /// What was said on the console, by line.
        let console: [String]
        /// Addresses that were asked for, but the page's own.
        let requests: [String]
    }

    static func open(_ file: String, in scratch: Scratch) async throws -> Outcome {
        let log = scratch.path + "/net-\(UInt64.random(in: .min ... .max)).json"
        let outcome = try await Command(
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
                    "--disable-extensions",
                "--user-data-dir=\(scratch.path)/profile", "--enable-logging=stderr", "--log-net-log=\(log)", "--dump-dom", "file://\(file)",
            ], executable: try #require(path)
        ).outcome()
        try #require(outcome.code == 0, "\(outcome.errors)")
        let events = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
        let requests = events.split(separator: "\"url\":\"").dropFirst().map { String($0.prefix { $0 != "\"" }) }
        return Outcome(
            page: outcome.output, console: outcome.errors.split(separator: "\n").filter { $0.contains("CONSOLE") }.map(String.init),
            requests: requests.filter { !$0.hasPrefix("file://\(file)") && !$0.isEmpty })
    }
}

/// The page of `streamgauge report` as a browser sees it.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: Browser.path != nil, "no browser: scripts/test installs the Debian package chromium-headless-shell"))
struct BrowserTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func opened(_ records: [UInt8]) async throws -> (page: ReportPage, outcome: Browser.Outcome) {
        let file = try scratch.write(String(decoding: records, as: UTF8.self), as: "records.json")
        let html = scratch.path + "/out.html"
        let made = try await Command.run("report", file, "--html", html)
        try #require(made.code == 0 && made.output == "", "\(made)")
        let outcome = try await Browser.open(html, in: scratch)
        return (ReportPage(outcome.page), outcome)
    }

    @Test func theBrowserAsksForNothingAndHasNothingToSay() async throws {
        let (page, outcome) = try await opened(try RecordSamples.everything())
        #expect(outcome.console == [])
        #expect(outcome.requests == [])
        #expect(page.foreignAddresses == [])
        #expect(page.pictureFaults == [])
        let drawn = Set(page.pictures.map(\.section))
        #expect(drawn == ["ratios", "medians", "throughput", "latency", "stages", "interference", "scale", "rate", "tax", "ledger", "costs", "time"])
        #expect(page.pictures.count > 40)
    }

    /// Every number that the tables of runs show, against the file that the page was made from.
    @Test func numbersInTheBrowserAreThoseOfTheFile() async throws {
        let runs = try RecordSamples.runs.map { try $0.encodedJSON() }
        let (page, _) = try await opened(Array("[".utf8) + runs.joined(separator: Array(",".utf8)) + Array("]".utf8))
        let records = try runs.map { try JSONSerialization.jsonObject(with: Data($0)) }
        let all = ReportPage.differences(try #require(page.tables("verdict").first), records)
        #expect(all.faults == [])
        #expect(all.compared > 50)
        func record(_ cell: ReportPage.Cell, _ heading: String) throws -> Any {
            // The heading has what the runs of a picture share; a bare transport has its own.
            let words = cell.text.split(separator: ",")
            return try #require(
                records.first { record in
                    let fields = record as? [String: Any]
                    let workload = fields?["workload"] as? String ?? ""
                    return fields?["subject"] as? String == String(words[0]) && heading.hasPrefix(workload)
                }, "\(cell.text), \(heading)")
        }
        for section in ["throughput", "latency"] {
            for table in page.tables(section) {
                let found = ReportPage.differences(table, try table.column("subject").map { try record($0, table.heading) })
                #expect(found.faults == [])
                #expect(found.compared >= 20, "\(section), \(table.heading)")
            }
        }
    }

    /// A file from somebody else, in which names are made to do something.
    @Test func namesDoNothing() async throws {
        let evil = "<script>document.title='taken'; console.log('taken')</script><img src=x onerror=\"console.log('taken')\">"
        var figures = RecordSamples.figures(latency: 40_000)
        figures.invalidate(evil)
        let (page, outcome) = try await opened(try RecordSamples.run(evil, [figures], command: evil).encodedJSON())
        #expect(outcome.console == [] && outcome.requests == [])
        #expect(!page.elements.contains { ["script", "img"].contains($0.name) })
        #expect(!outcome.page.contains("<title>taken</title>"))
        #expect(page.tables("verdict").first?.column("subject").first?.text == evil)
    }
}
