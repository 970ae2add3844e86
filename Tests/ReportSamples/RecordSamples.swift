public import Gauge
public import Report

/// Records of every kind with figures that are known beforehand, the same each time.
public enum RecordSamples {
    public static let environment: Environment = {
        var environment = Environment.current(allocator: "jemalloc 5.3.0", ioBackend: "epoll", commit: "0123abc", root: "/nowhere")
        environment.cpuModel = .value("AMD EPYC 9004")
        environment.cores = 2
        environment.kernel = .value("6.18.1")
        environment.memoryBytes = .value(4 << 30)
        environment.buildConfiguration = "release"
        return environment
    }()

    /// Values whose tail grows with the square root of how rare they are.
    public static func histogram(median: Double, count: Int = 4000) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for index in 0..<count {
            let rest = 1 - (Double(index) + 0.5) / Double(count)
            histogram.record(UInt64(median * (0.5 / rest).squareRoot()))
        }
        return histogram
    }

    public static func stages(verb: String = "request", direction: String = "up", scale: Double = 1) -> LatencyStages {
        let medians: [LatencyStages.Stage: Double] = [.queue: 4_000, .transit: 31_000, .deliver: 2_500, .total: 37_500]
        let histograms = medians.mapValues { histogram(median: $0 * scale, count: 500) }
        guard let stages = LatencyStages(flow: 0, verb: verb, direction: direction, histograms: histograms) else {
            preconditionFailure("every stage has a histogram with values")
        }
        return stages
    }

    private static func ledger(payload: UInt64, headers: UInt64, updates: UInt64 = 0) -> ByteLedger {
        var ledger = ByteLedger()
        ledger.payload = payload
        ledger.muxDataHeader = headers
        ledger.muxWindowUpdate = updates
        ledger.negotiation = 32
        ledger.socketBytes = ledger.accounted
        ledger.kernelBytes = .value(ledger.socketBytes)
        return ledger
    }

    /// One repeat in which nothing is absent that the workload could have.
    public static func figures(goodput: Double = 3.2e9, latency: Double? = nil, repeatIndex: Int = 1) -> RunFigures {
        var figures = RunFigures()
        figures.repeatIndex = repeatIndex
        figures.startedAt = .value("2026-11-26T01:02:0\(repeatIndex % 10)Z")
        figures.durationSeconds = 4.5
        figures.payloadBytes = UInt64(goodput * 4.5)
        figures.messages = max(figures.payloadBytes / 65_536, 1)
        figures.goodputBytesPerSecond = .value(goodput)
        figures.goodputUpBytesPerSecond = .value(goodput)
        figures.goodputDownBytesPerSecond = 0
        figures.messagesPerSecond = .value(Double(figures.messages) / 4.5)
        if let latency {
            let histogram = histogram(median: latency)
            figures.latency = Measured(histogram.summary(), else: "")
            figures.histograms.latency = .value(histogram)
            figures.latencyStages = .value([stages(scale: latency / 37_500), stages(verb: "answer", direction: "down", scale: latency / 50_000)])
        } else {
            figures.latency = .unavailable("the workload has no answers to wait for")
            figures.histograms.latency = .unavailable("the workload has no answers to wait for")
        }
        figures.jainFairness = 0.998
        figures.starvedStreams = 0
        figures.longestSilenceSeconds = 0.02
        let up = ledger(payload: figures.payloadBytes, headers: 12 * figures.messages)
        let down = ledger(payload: 0, headers: 0, updates: figures.messages / 4 * 12)
        figures.ledger = RunLedger(client: SideLedger(sent: up, received: down), server: .value(SideLedger(sent: down, received: up)))
        figures.cpuUserSeconds = BothSides(client: 1.5, server: 1.25)
        figures.cpuSystemSeconds = BothSides(client: 2.5, server: 3.25)
        figures.syscalls = BothSides(client: .value(["sendmsg": 30_000, "epoll_pwait2": 100]), server: .value(["recv": 60_000]))
        figures.wakeups = BothSides(client: 100, server: 50_000)
        figures.bytesCopied = BothSides(client: 0, server: 100_000_000)
        figures.allocations = BothSides(client: 10, server: 12)
        figures.memory.rssBytesClient = 12_345_678
        figures.memory.rssBytesServer = 22_345_678
        figures.memory.bytesPerStreamClient = .value(101 + goodput / 1e10)
        figures.memory.bytesPerStreamServer = .value(98)
        figures.intervalSeconds = 1
        figures.intervals = (0..<5).map { index in
            let part = index == 4 ? 0.5 : 1 + Double(index) / 50
            return Recording.Interval(
                payloadBytesReceived: UInt64(goodput * part), messagesReceived: UInt64(goodput * part / 65_536),
                operationsCompleted: UInt64(goodput * part / 65_536))
        }
        return figures
    }

    public static func run(
        _ subject: String = "tcp+yamux", workload: String = "bulk", connections: Int = 10, streams: Int = 1000, messageBytes: Int = 65_536,
        rate: Measured<Double> = .unavailable("closed loop"), _ repeats: [RunFigures], command: String? = nil
    ) -> RunRecord {
        let setup = RunSetup(
            subject: subject, workload: workload, connections: connections, streams: streams, messageSizeBytes: messageBytes, ratePerSecond: rate,
            durationRequestedSeconds: 4.5, seed: 42)
        return RunRecord(setup: setup, repeats: repeats, environment: environment, command: command ?? "streamgauge run \(subject) -w \(workload)")
    }

    /// Several stacks in two workloads, with repeats, and one run that does not reconcile.
    public static var runs: [RunRecord] {
        let stacks = [("tcp", 3.9e9), ("tcp+yamux", 3.5e9), ("tcp+noise+yamux", 1.7e9), ("tcp+mplex", 3.4e9)]
        let bulk = stacks.map { subject, goodput in
            run(
                subject, streams: subject == "tcp" ? 1 : 1000,
                (1...5).map { figures(goodput: goodput * (0.94 + Double(($0 * 7) % 5) * 0.03), repeatIndex: $0) })
        }
        let requests = stacks.enumerated().map { index, stack in
            run(
                stack.0, workload: "request", connections: 1, streams: 100, messageBytes: 64,
                (1...3).map { figures(goodput: stack.1 / 100, latency: 40_000 + Double(index * 21_000 + $0 * 500), repeatIndex: $0) })
        }
        var broken = Self.figures(goodput: 2.2e9)
        broken.invalidate("the client sent 12 bytes and the server received 11")
        return bulk + requests + [run("tcp+h2", [broken])]
    }

    public static var sweep: SweepRecord {
        let values = ["1", "10", "100", "1000", "10000"]
        let points = values.enumerated().map { index, value in
            let run = Self.run(
                workload: "request", connections: 1, streams: Int(value) ?? 1, messageBytes: 64,
                [figures(goodput: 1e6 * Double(index + 1) * 10, latency: 40_000 * Double(index * index + 1))])
            return SweepRecord.Point(values: [value], run: index == 3 ? .unavailable("the far end allows 256 streams") : .value(run))
        }
        return SweepRecord(
            command: "streamgauge sweep tcp+yamux -w request -m 1,10,100,1000,10000", axes: [SweepRecord.Axis(option: "streams", values: values)],
            points: points, environment: environment)
    }

    /// Two options: a line for each message size.
    public static var grid: SweepRecord {
        let (sizes, streams) = (["64", "1KiB", "64KiB"], ["1", "100", "10000"])
        let points = sizes.enumerated().flatMap { size, sizeText in
            streams.enumerated().map { index, count in
                SweepRecord.Point(
                    values: [sizeText, count],
                    run: .value(run(connections: 1, streams: Int(count) ?? 1, [figures(goodput: 1e8 * Double((size + 1) * (size + 2)) / Double(index + 1))])))
            }
        }
        return SweepRecord(
            command: "streamgauge sweep tcp+yamux -s 64,1KiB,64KiB -m 1,100,10000",
            axes: [SweepRecord.Axis(option: "message-size", values: sizes), SweepRecord.Axis(option: "streams", values: streams)], points: points,
            environment: environment)
    }

    public static var search: RateSearchRecord {
        let rates: [(Double, RateSearchRecord.Outcome, Double)] = [
            (10_000, .met, 50_000), (80_000, .missed, 9_000_000), (40_000, .met, 130_000), (60_000, .unclear, 1_500_000), (52_000, .met, 700_000),
            (160_000, .notOffered, 20_000_000),
        ]
        let steps = rates.map { rate, outcome, latency in
            var figures = Self.figures(goodput: rate * 64, latency: latency)
            figures.pacerLateness = Measured(histogram(median: 300, count: 100).summary(), else: "")
            return RateSearchRecord.Step(
                ratePerSecond: rate, outcome: outcome, reason: "every repeat was on the same side of the goal",
                run: run(workload: "request", connections: 1, streams: 100, messageBytes: 64, rate: .value(rate), [figures]))
        }
        return RateSearchRecord(
            command: "streamgauge run tcp+yamux -w request -m 100 --find-rate 'p99<5ms'", goal: .init(percentile: "p99", boundNanoseconds: 5_000_000),
            foundRatePerSecond: 52_000, missedRatePerSecond: 80_000, steps: steps, environment: environment)
    }

    public static var interference: InterferenceRecord {
        let subjects = ["tcp+yamux", "tcp+mplex", "go:tcp+yamux"]
        let aggressors = ["bulk-1", "bulk-10", "bulk-100", "bulk-1000", "slow-reader", "churn", "stalled-handler", "large-messages"]
        var cells: [InterferenceRecord.Cell] = []
        for placement in InterferenceRecord.Placement.allCases {
            for (row, subject) in subjects.enumerated() {
                for (column, aggressor) in aggressors.enumerated() {
                    let factor = placement == .sameConnection ? 1 + Double(row * row * 5) + Double(column * row) * 3.7 : 1.1
                    let reasons = row == 1 && column == 5 ? ["a repeat did not reconcile"] : []
                    var measured: Measured<InterferenceRecord.Outcome> = .value(outcome(factor, invalid: reasons))
                    if row == 2, column == 6 { measured = .unavailable("the driver does not offer it") }
                    cells.append(InterferenceRecord.Cell(subject: subject, aggressor: aggressor, placement: placement, outcome: measured))
                }
            }
        }
        return InterferenceRecord(
            command: "streamgauge interference tcp+yamux tcp+mplex go:tcp+yamux", subjects: subjects,
            aggressors: aggressors.map { InterferenceRecord.Aggressor(name: $0, summary: "what \($0) does") }, cells: cells, environment: environment)
    }

    private static func outcome(_ factor: Double, invalid: [String]) -> InterferenceRecord.Outcome {
        func summary(_ median: Double) -> LatencySummary {
            histogram(median: median, count: 1000).summary() ?? LatencySummary(p50: 0, p90: 0, p99: 0, p999: 0, max: 0, min: 0, mean: 0, count: 0)
        }
        return InterferenceRecord.Outcome(
            idle: summary(50_000), loaded: summary(50_000 * factor), p50Ratio: Spread(min: factor * 0.9, median: factor, max: factor * 1.1),
            p99Ratio: Spread(min: factor * 0.8, median: factor * 1.05, max: factor * 1.6), goodputKeptRatio: 0.97, jainFairness: 0.99, starvedStreams: 0,
            longestSilenceSeconds: 0.004, stages: factor < 2 ? .value([stages(scale: factor)]) : .unavailable("an end is not ours"), rounds: 5,
            invalidReasons: invalid)
    }

    /// - Parameters:
    ///   - baseline, candidates: with what each carries by the baseline's.
    public static func compared(_ baseline: String, _ candidates: [(name: String, factor: Double)], rounds: Int = 10) -> ComparisonRecord {
        let metrics = ComparisonMetric.all.filter { !$0.name.hasPrefix("latency") && !$0.name.contains("per_stream") }
        let labels = [
            ("bulk up, 1 x 1 streams, 64 KiB messages", "goodput_bytes_per_second"), ("request, 1 x 1,000 streams, 64 B messages", "messages_per_second"),
        ]
        let workloads = labels.enumerated().map { index, label in
            var workload = ComparisonWorkload(label: label.0, parameters: ["connections": 1], metrics: metrics, headlines: [label.1])
            for round in 0..<rounds {
                func values(_ factor: Double, _ number: Int) -> [String: Measured<Double>] {
                    let noise = 1 + Double((round * 7 + number * 3 + index) % 10 - 5) / 400
                    return Dictionary(uniqueKeysWithValues: metrics.enumerated().map { place, metric in
                        let size = Double(place + 1) * (metric.unit == .bytesPerSecond ? 3e9 : 1e3)
                        return (metric.name, .value((metric.better == .higher ? factor : 1 / factor) * noise * size))
                    })
                }
                var runs = [RoundRun(baseline): values(1, 0), RoundRun(baseline, run: 2): values(1, 1)]
                for (number, candidate) in candidates.enumerated() { runs[RoundRun(candidate.name)] = values(candidate.factor, number + 2) }
                workload.addRound(runs)
            }
            return workload
        }
        let names = candidates.map(\.name)
        return ComparisonRecord(
            command: "streamgauge compare \(([baseline] + names).joined(separator: " "))", seed: 1, rule: VerdictRule(),
            stopping: .value(StoppingRule(roundsMin: 10, roundsMax: 20, precision: 0.02)), subjects: ComparisonSubjects(baseline: baseline, candidates: names),
            drivers: [.init(name: "swift", version: "1")], order: Array(repeating: [baseline] + names + [baseline], count: rounds), workloads: workloads,
            environment: environment, resamples: 200)
    }

    public static var comparison: ComparisonRecord {
        compared("tcp+yamux", [("tcp+mplex", 1.002), ("go:tcp+yamux", 0.27), ("swift>go:tcp+yamux", 0.4), ("python:tcp+yamux", 0.0021), ("tcp", 1.3)])
    }

    public static var tax: ComparisonRecord { compared("tcp", [("tcp+yamux", 0.92), ("tcp+noise+yamux", 0.4)]) }

    /// One of each, as the text of a file.
    public static func everything() throws -> [UInt8] {
        let records: [[UInt8]] = try runs.map { try $0.encodedJSON() } + [
            comparison.encodedJSON(), tax.encodedJSON(), sweep.encodedJSON(), grid.encodedJSON(), search.encodedJSON(), interference.encodedJSON(),
        ]
        return Array("[".utf8) + records.joined(separator: Array(",".utf8)) + Array("]".utf8)
    }
}
