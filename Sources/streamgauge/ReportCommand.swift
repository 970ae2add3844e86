import ArgumentParser
import Foundation
import Gauge
import Report

/// `streamgauge report`: stored records as pictures and tables.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Stored records as a page with pictures, and in the formats that other programs read.",
        discussion: """
            FILES are files of records (--json FILE of run, compare, sweep and the canonical run), or folders of such files; they may be mixed. The page is \
            one file that needs nothing else: no network, no script. It shows what the records have: throughput with its spread, latency by percentile, \
            latency by stage, interference, scale, latency against rate, what each layer costs, the bytes on the wire, the costs, the machine and the commands.

              streamgauge report r.json --html out.html
              streamgauge report results/2026-11-26-amd-epyc-2-cores results/2026-11-25-canonical.json --html out.html
              streamgauge report old.json new.json --markdown -       for a pull request
              streamgauge report r.json --csv r.csv --openmetrics r.prom
              streamgauge report r.json --hgrm curves                  a file for each distribution, for HdrHistogram's plotters
              streamgauge report c.json --svg ratios.svg --figure ratios-1,ratios-2
              streamgauge report --index results                       writes results/index.md

            - in place of a file is standard output. Without any output the Markdown goes there. Exit codes: 0 ok, 2 a file could not be written, 64 usage.
            """)

    @Argument(help: "Files or folders of records.")
    var files: [String] = []

    @Option(help: ArgumentHelp("Write the page.", valueName: "file"))
    var html: String?

    @Option(help: ArgumentHelp("Write the verdicts and all tables as Markdown.", valueName: "file"))
    var markdown: String?

    @Option(help: ArgumentHelp("Write a line for each repeat (comparisons: for each value of a round; interference: for each cell).", valueName: "file"))
    var csv: String?

    @Option(help: ArgumentHelp("Write a .hgrm file for each distribution into this folder, which is made.", valueName: "folder"))
    var hgrm: String?

    @Option(help: ArgumentHelp("Write the figures in the text format of OpenMetrics.", valueName: "file"))
    var openmetrics: String?

    @Option(help: ArgumentHelp("Write pictures as one SVG file: those of --figure, or the first.", valueName: "file"))
    var svg: String?

    @Option(help: ArgumentHelp("Which pictures --svg writes: names such as latency (all of it) or latency-2, separated by commas.", valueName: "names"))
    var figure: String?

    @Option(help: "How many pictures of --svg stand beside each other.")
    var columns = 2

    @Option(help: ArgumentHelp("Write index.md of a folder of records into it; takes no FILES.", valueName: "folder"))
    var index: String?

    func validate() throws {
        if index != nil {
            guard files.isEmpty, outputs.isEmpty, hgrm == nil, figure == nil else {
                throw ValidationError("--index takes no files and no other output: it reads the whole folder")
            }
            return
        }
        guard !files.isEmpty else { throw ValidationError("no FILES are given: name one that `streamgauge run --json FILE` has written") }
        guard figure == nil || svg != nil else { throw ValidationError("--figure says which pictures --svg writes, and --svg is not given") }
        guard (1...6).contains(columns) else { throw ValidationError("--columns is \(columns); allowed is 1 to 6") }
        guard outputs.count(where: { $0.path == "-" }) < 2 else { throw ValidationError("only one output can go to standard output (-)") }
        let named = outputs.map(\.path).filter { $0 != "-" }
        guard Set(named).count == named.count else { throw ValidationError("two outputs have the same file, and the second would replace the first") }
    }

    func run() throws {
        if let index { return try writeIndex(of: index) }
        let targets = try destinations()
        let folder = try hgrm.map(prepareFolder)
        let report: RecordReport
        do {
            report = RecordReport(try files.map { try RecordFile.read($0) })
        } catch {
            throw Exit.usage(error)
        }
        // All of it is made before any of it is written, so that a mistake leaves no half of the outputs.
        let made = try targets.map { target in (target.destination, try text(target.kind, report)) }
        let curves = try folder.map { (folder: $0, files: try distributions(of: report)) }
        for (destination, text) in made { try write(text, to: destination) }
        if let curves { try write(curves.files, into: curves.folder) }
        if targets.isEmpty, hgrm == nil { try StandardOutput.print(Data(report.markdown.utf8)) }
    }

    // MARK: Outputs

    private enum Kind { case html, markdown, csv, openmetrics, svg }

    private enum Destination {
        case standardOutput
        case file(OutputFile)
    }

    private var outputs: [(kind: Kind, option: String, path: String)] {
        let all: [(Kind, String, String?)] = [
            (.html, "--html", html), (.markdown, "--markdown", markdown), (.csv, "--csv", csv), (.openmetrics, "--openmetrics", openmetrics),
            (.svg, "--svg", svg),
        ]
        return all.compactMap { kind, option, path in path.map { (kind, option, $0) } }
    }

    private func destinations() throws -> [(kind: Kind, destination: Destination)] {
        try outputs.map { output in
            if output.path == "-" { return (output.kind, .standardOutput) }
            return (output.kind, .file(try parsed(output.option, output.path) { try OutputFile.prepare($0) }))
        }
    }

    private func text(_ kind: Kind, _ report: RecordReport) throws -> String {
        do {
            switch kind {
            case .html: return report.html
            case .markdown: return report.markdown
            case .csv: return try report.csv()
            case .openmetrics: return report.openMetrics
            case .svg: return try report.svg(figure ?? report.pictureNames.dropFirst().first ?? "", columns: columns)
            }
        } catch {
            throw Exit.usage(error)
        }
    }

    private func write(_ text: String, to destination: Destination) throws {
        switch destination {
        case .standardOutput: try StandardOutput.print(Data(text.utf8))
        case .file(let file):
            do {
                try file.write(Array(text.utf8))
            } catch {
                Exit.tell(error)
                throw Exit.failed
            }
        }
    }

    // MARK: Percentile files

    private func prepareFolder(_ path: String) throws -> String {
        guard !path.isEmpty else { throw ValidationError("--hgrm: the name of the folder is empty") }
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ValidationError("--hgrm: the folder \(path) cannot be made: \(error.localizedDescription)")
        }
        _ = try parsed("--hgrm", path + "/1.hgrm") { try OutputFile.prepare($0) }
        return path
    }

    private func distributions(of report: RecordReport) throws -> [PercentileFile] {
        let files = report.percentileFiles
        guard !files.isEmpty else {
            throw ValidationError("--hgrm: the records have no distribution; runs that wait for answers (request, churn, connect, mixed) have")
        }
        return files
    }

    private func write(_ files: [PercentileFile], into folder: String) throws {
        do {
            for file in files { try OutputFile.prepare("\(folder)/\(file.name)").write(Array(file.text.utf8)) }
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }

    // MARK: The index

    private func writeIndex(of folder: String) throws {
        let file = try parsed("--index", folder + "/index.md") { try OutputFile.prepare($0) }
        let text: String
        do {
            text = try ResultsIndex.markdown(folder)
        } catch {
            throw Exit.usage(error)
        }
        try write(text, to: .file(file))
    }
}
