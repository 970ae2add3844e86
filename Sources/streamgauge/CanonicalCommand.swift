import ArgumentParser
import Foundation
import Gauge
import Load
import Report

/// The bare command: the canonical run.
struct CanonicalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "canonical", abstract: "The canonical run over loopback: raw TCP, yamux and mplex, and yamux behind noise and TLS (the default).",
        discussion: """
            The same questions to each: one stream, ten connections with a thousand streams each, small messages, requests, churn, and
            a request beside bulk. With --repeat the subjects take turns, so that a drift of the machine meets them all.
            """)

    @Option(name: .customLong("repeat"), help: "Rounds; the figures are the median round's.")
    var repeats = 1

    @Option(name: [.customShort("t"), .long], help: "Length of each measured window.")
    var duration = "600ms"

    @Option(name: [.customShort("O"), .long], help: "Warm-up before each window.")
    var omit = "150ms"

    @Option(help: "I/O interface: auto, epoll or uring.")
    var io = "auto"

    @Option(help: "Write the run records to this file, as a JSON array.")
    var json: String?

    @Option(help: "What to print: text, json or csv.")
    var format = OutputFormat.text

    func run() async throws {
        var scenarios = Catalogue.canonical.entries
        let window = try parsed("--duration", duration, by: seconds)
        let warmUp = try parsed("--omit", omit, by: seconds)
        for index in scenarios.indices {
            scenarios[index].scenario.durationSeconds = window
            scenarios[index].scenario.omitSeconds = warmUp
            scenarios[index].scenario.io = io
        }
        guard (1...1000).contains(repeats) else { throw ValidationError("--repeat is \(repeats); allowed is 1 to 1000") }
        for entry in scenarios { try Runner.check(entry.scenario) }
        let output = try parsed("--json", ifGiven: json) { try OutputFile.prepare($0) }
        let runner = Runner(view: ProgressView(showsIntervals: false))
        let records = await measure(scenarios, runner)
        guard !records.isEmpty else { throw Exit.failed }
        try deliver(records, format, to: output) { try RecordEncoder.encode(records) }
        if records.contains(where: { !$0.valid }) || records.count < scenarios.count && !runner.isInterrupted { throw Exit.failed }
    }

    /// Rounds of all scenarios: each round measures every one of them once.
    private func measure(_ scenarios: [Catalogue.Entry], _ runner: Runner) async -> [RunRecord] {
        var figures = [[RunFigures]](repeating: [], count: scenarios.count)
        var ioName = io
        for round in 1...repeats {
            for (index, entry) in scenarios.enumerated() where !runner.isInterrupted {
                let label = "[\((round - 1) * scenarios.count + index + 1)/\(repeats * scenarios.count)] \(entry.name)"
                do {
                    let (one, name) = try await runner.once(entry.scenario, target: nil, label: label)
                    figures[index].append(one)
                    ioName = name
                } catch {
                    StandardError.write("streamgauge: \(entry.name): \(error)\n")
                }
            }
        }
        return zip(scenarios, figures).filter { !$1.isEmpty }.map { Runner.record($0.scenario, $1, ioName: ioName) }
    }
}
