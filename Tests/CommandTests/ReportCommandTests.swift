import Foundation
import Gauge
import Report
import ReportSamples
import Testing

/// `streamgauge report` as a person and a script use it.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ReportCommandTests {
    private let scratch: Scratch
    private let records: String

    init() throws {
        scratch = try Scratch()
        records = try scratch.write(String(decoding: RecordSamples.everything(), as: UTF8.self), as: "records.json")
    }

    private func text(_ name: String) throws -> String { String(decoding: try scratch.read(name), as: UTF8.self) }

    @Test func everyOutputIsWritten() async throws {
        let folder = scratch.path
        let made = try await Command.run(
            "report", records, "--html", folder + "/out.html", "--markdown", folder + "/out.md", "--openmetrics", folder + "/out.prom", "--hgrm", folder
                + "/curves",
            "--svg", folder + "/out.svg", "--figure", "latency,tax-1")
        #expect(made.code == 0 && made.output == "" && made.errors == "", "\(made)")
        #expect(try text("out.html").hasPrefix("<!DOCTYPE html>"))
        #expect(try text("out.md").hasPrefix("# "))
        #expect(try text("out.prom").hasSuffix("\n# EOF\n"))
        #expect(try text("out.svg").hasPrefix("<svg xmlns="))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/curves").count { $0.hasSuffix(".hgrm") } > 30)
        let csv = try scratch.write(String(decoding: RecordSamples.sweep.encodedJSON(), as: UTF8.self), as: "sweep.json")
        let table = try await Command.run("report", csv, "--csv", "-")
        #expect(table.code == 0 && table.output.hasPrefix("subject,workload,"), "\(table)")
    }

    /// A run that was just made, through the whole program.
    @Test func aRunBecomesAPage() async throws {
        let run = scratch.path + "/run.json"
        let made = try await Command.run("run", "memory+yamux", "-w", "request", "-m", "4", "-n", "2000", "--repeat", "2", "--json", run)
        try #require(made.code == 0, "\(made)")
        let report = try await Command.run("report", run, "--html", "-")
        #expect(report.code == 0, "\(report.errors)")
        let page = ReportPage(report.output)
        #expect(page.pictureFaults == [] && page.sections.starts(with: ["verdict", "throughput", "latency"]), "\(page.sections)")
        let record = try JSONSerialization.jsonObject(with: Data(try scratch.read("run.json")))
        let found = ReportPage.differences(try #require(page.tables("verdict").first), [record])
        #expect(found.faults == [])
        #expect(found.compared >= 5)
    }

    @Test func withoutAnOutputTheMarkdownIsPrinted() async throws {
        let printed = try await Command.run("report", records)
        #expect(printed.code == 0 && printed.output.hasPrefix("# ") && printed.output.contains("## Throughput"), "\(printed.errors)")
    }

    @Test func indexesAreWrittenIntoTheirFolder() async throws {
        let made = try await Command.run("report", "--index", scratch.path)
        #expect(made.code == 0 && made.output == "", "\(made)")
        #expect(try text("index.md").contains("[records.json](records.json)"))
    }

    @Test func whatCannotBeIsRefusedBeforeAnythingIsWritten() async throws {
        let html = scratch.path + "/out.html"
        expectUsage(try await Command.run("report"), ["no FILES"])
        expectUsage(try await Command.run("report", scratch.path + "/none.json", "--html", html), ["there is no file or folder"])
        expectUsage(try await Command.run("report", records, "--html", "/none/out.html"), ["--html", "the directory /none does not exist"])
        expectUsage(try await Command.run("report", records, "--html", html, "--csv", "-"), ["several kinds"])
        expectUsage(try await Command.run("report", records, "--html", html, "--svg", "-", "--figure", "speed"), ["no picture 'speed'", "latency-1"])
        expectUsage(try await Command.run("report", records, "--html", "-", "--markdown", "-"), ["only one output"])
        expectUsage(try await Command.run("report", records, "--html", html, "--markdown", html), ["same file"])
        expectUsage(try await Command.run("report", records, "--figure", "latency"), ["--svg is not given"])
        expectUsage(try await Command.run("report", records, "--index", scratch.path), ["--index takes no files"])
        expectUsage(try await Command.run("report", records, "--columns", "0", "--svg", "-"), ["--columns is 0"])
        let words = try scratch.write("goodput: 5", as: "words.txt")
        expectUsage(try await Command.run("report", words, "--html", html), ["is not JSON"])
        #expect(!FileManager.default.fileExists(atPath: html))
    }

    /// What diff has no rule for is not passed over in silence.
    @Test func diffRefusesSweeps() async throws {
        let sweep = try scratch.write(String(decoding: RecordSamples.sweep.encodedJSON(), as: UTF8.self), as: "sweep.json")
        expectUsage(try await Command.run("diff", sweep, sweep), ["streamgauge.sweep/1", "streamgauge report"])
    }
}
