import ArgumentParser
import Foundation
import Gauge
import Report

/// `streamgauge diff`: two stored records, or sets of them.
struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Holds stored records against each other: better, worse, equal or cannot tell.",
        discussion: """
            OLD and NEW are files of run records (streamgauge run --json, streamgauge --json) or of comparison records (streamgauge compare), or folders of such
            files. Runs are matched by what was asked for; the commit may differ, which is the point. With one repeat of each there is only a ratio; to tell \
            better from worse at 99 % takes five (run --repeat 5).

              streamgauge diff old.json new.json
              streamgauge diff old.json new.json --metric all
              streamgauge diff old.json new.json --metric latency_p99_ns
              streamgauge diff results/ new/ --threshold 10% --format markdown

            Metrics: \(ComparisonMetric.all.map(\.name).joined(separator: ", ")).

            Exit codes: 0 ok, 1 regression, 2 runs are INVALID or nothing could be compared, 64 usage.
            """)

    @Argument(help: "A file or folder of records.")
    var old: String

    @Argument(help: "The same, measured later.")
    var new: String

    @Option(help: "Worse by more than this is a regression: 5%, 0.05.")
    var threshold = "5%"

    @Option(help: """
        What to compare: headline (the metric that a workload is made for), all, or the name of a metric, which may be given several times. \
        (default: headline)
        """)
    var metric: [String] = []

    @Option(help: "What to print: text, json or markdown.")
    var format = DiffFormat.text

    @Option(help: "Of intervals and verdicts: 0.99, 95%.")
    var level = "0.99"

    @Flag(help: "Compare although CPU, kernel, compiler, options or the like differ.")
    var acrossEnvironments = false

    func validate() throws {
        _ = try rule
        _ = try thresholdRatio
        _ = try selection
    }

    func run() throws {
        let files: [RecordFile]
        do {
            files = try [old, new].map { try RecordFile.read($0) }
            for file in files { try file.requireComparable() }
        } catch {
            throw Exit.usage(error)
        }
        let report = DiffReport(old: files[0], new: files[1], rule: try rule, threshold: try thresholdRatio, selection: try selection)
        let differences = report.differencesThatMatter
        guard differences.isEmpty || acrossEnvironments else {
            throw ValidationError("""
                \(old) and \(new) were measured in different environments, so their ratio says nothing about the code:
                \(report.environmentDifferences.map { "  \($0.sentence)" }.joined(separator: "\n"))
                Measure both in the same one, or say --across-environments
                """)
        }
        try StandardOutput.print(try data(report))
        if !report.regressions.isEmpty { throw Exit.regression }
        if !report.invalid.isEmpty || !report.hasRatios { throw Exit.failed }
    }

    private func data(_ report: DiffReport) throws -> Data {
        switch format {
        case .text: Data(report.text(width: Terminal.reportWidth).utf8)
        case .json: Data(try report.encodedJSON())
        case .markdown: Data(report.markdown.utf8)
        }
    }

    // MARK: Options

    private var thresholdRatio: Double { get throws { try fraction("--threshold", threshold) } }

    private var rule: VerdictRule {
        get throws {
            let level = try fraction("--level", level)
            guard (0.5...0.9999).contains(level) else { throw ValidationError("--level is \(self.level); allowed is 0.5 to 0.9999") }
            // What is a regression has to be told.
            return VerdictRule(level: level, margin: min(VerdictRule.marginDefault, try thresholdRatio))
        }
    }

    private var selection: DiffReport.Selection {
        get throws {
            if metric.isEmpty || metric == ["headline"] { return .headlines }
            if metric == ["all"] { return .all }
            for name in metric where ComparisonMetric.named(name) == nil {
                let known = ComparisonMetric.all.map(\.name).joined(separator: ", ")
                throw ValidationError("--metric: there is no metric '\(name)'. Known: headline or all by themselves, \(known)")
            }
            return .named(metric)
        }
    }

    /// `5%` or `0.05`, above 0 and below 1.
    private func fraction(_ option: String, _ text: String) throws -> Double {
        let digits = text.hasSuffix("%") ? text.dropLast().trimmingCharacters(in: .whitespaces) : text
        guard let number = Double(digits), number.isFinite else {
            throw ValidationError("\(option): \"\(text)\" is not a fraction: write 5% or 0.05")
        }
        let fraction = text.hasSuffix("%") ? number / 100 : number
        guard fraction > 0, fraction < 1 else {
            let hint = text.hasSuffix("%") ? "" : ", and \(digits) % is written \(digits)%"
            throw ValidationError("\(option) is \(text); allowed is above 0 % and below 100 %\(hint)")
        }
        return fraction
    }
}

enum DiffFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, markdown
}
