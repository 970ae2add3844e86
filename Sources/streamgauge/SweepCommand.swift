import ArgumentParser
import Foundation
import Gauge
import Load
import Report

/// `streamgauge sweep`: the same run for each value of an option, or of two.
struct SweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep", abstract: "Makes the same run for each value of one or two options, and tells how cost grows.",
        discussion: """
            One or two options have several values, separated by commas; all others are as in 'streamgauge run', whose help explains them:
            SUBJECT, --workload, --beside, --connections, --streams, --message-size, --direction, --depth, --rate, --read-rate, --threads, --io, --spin.

              streamgauge sweep tcp+yamux -m 1,10,100,1000,10000,100000         throughput and CPU per message against streams
              streamgauge sweep tcp+yamux -w idle -m 1,1000,100000              memory of a stream
              streamgauge sweep tcp+yamux -w request -m 1,10,100 -s 64,1KiB     two options: every pair
              streamgauge sweep tcp+yamux,tcp+mplex -m 1,100,10000 --repeat 3
              streamgauge sweep 'link(rtt=10ms,rate=1Gbit)+tcp+yamux,link(rtt=100ms,rate=1Gbit)+tcp+yamux' -s 1KiB,64KiB
              streamgauge sweep tcp+yamux -w request -m 100 -R 1000,10000,100000   latency against rate

            Each repeat makes all points, in an order drawn from the seed, so that a machine which becomes slower does not look like a trend. A point that fails or is INVALID is
            shown as such, and the others are made all the same.

            Exit codes: 0 ok, 2 a point failed or is INVALID, 64 usage.
            """)

    @OptionGroup var options: RunOptions

    func validate() throws { _ = try SweepPlan(options) }

    func run() async throws {
        let plan = try SweepPlan(options)
        try plan.check()
        let output = try parsed("--json", ifGiven: options.json) { try OutputFile.prepare($0) }
        let runner = Runner(view: ProgressView(showsIntervals: options.interval), timeoutSeconds: try options.phaseTimeoutSeconds)
        let sweep = try await SweepRun(plan: plan, repeats: options.repeats, runner: runner).make()
        guard let record = sweep else {
            StandardError.write("streamgauge: \(runner.isInterrupted ? "interrupted before anything was measured" : "no point could be measured")\n")
            throw Exit.failed
        }
        try deliver(to: output, { try record.encodedJSON() }) {
            switch options.format {
            case .text: Data(SweepText.text(record, width: Terminal.reportWidth).utf8)
            case .json: Data(try record.encodedJSON())
            case .csv: Data(SweepText.csv(record).utf8)
            }
        }
        if !record.valid { throw Exit.failed }
    }
}

/// Makes the points of a plan.
private struct SweepRun {
    let plan: SweepPlan
    let repeats: Int
    let runner: Runner

    /// The record; nil when no point gave anything.
    func make() async throws -> SweepRecord? {
        var figures: [[RunFigures]] = Array(repeating: [], count: plan.points.count)
        var failures: [String?] = Array(repeating: nil, count: plan.points.count)
        var ioNames = plan.points.map(\.scenario.io)
        var random = SplitMix64(seed: plan.points[0].scenario.seed)
        var made = 0
        let total = plan.points.count * repeats
        for _ in 0..<repeats {
            for index in plan.points.indices.shuffled(using: &random) where !runner.isInterrupted {
                made += 1
                let point = plan.points[index]
                do {
                    let result = try await runner.once(point.scenario, target: plan.target, label: "\(point.label), run \(made) of \(total)")
                    figures[index].append(result.figures)
                    ioNames[index] = result.ioName
                } catch {
                    StandardError.write("streamgauge: \(point.label): \(error)\n")
                    failures[index] = "\(error)"
                    // Beside repeats that went well it stands as one that did not.
                    var failed = RunFigures()
                    failed.invalidate("failed: \(error)")
                    figures[index].append(failed)
                }
            }
        }
        let points = plan.points.enumerated().compactMap { index, point -> SweepRecord.Point? in
            // An interrupted sweep has no point that was not begun.
            guard !figures[index].isEmpty else { return nil }
            let hasFigures = figures[index].contains { $0.durationSeconds > 0 }
            if !hasFigures, let failure = failures[index] { return .init(values: point.values, run: .unavailable(failure)) }
            return .init(values: point.values, run: .value(Runner.record(point.scenario, figures[index], target: plan.target, ioName: ioNames[index])))
        }
        guard let environment = points.compactMap({ $0.run.value?.environment }).first else { return nil }
        return SweepRecord(command: Runner.commandLine, axes: plan.axes, points: points, environment: environment)
    }
}
