import Gauge

/// Latency against the rate that is offered, and the highest rate that keeps the promise.
enum RateFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "rate", title: "Latency against rate",
            lead: "Requests started at a fixed rate, each timed from when it was due. Disc: the goal was met; cross: missed; triangle: the runs disagree; "
                + "hollow square: this machine could not offer the rate, which says nothing about the subject. The upright line is the highest rate that was met for sure.",
            panels: Reported.panels(reported.searches, id: "rate") { panel($0.record, id: $1) })
    }

    private static func value(_ summary: LatencySummary, _ percentile: String) -> Int? {
        switch percentile {
        case "p50": summary.p50
        case "p90": summary.p90
        case "p99": summary.p99
        case "p99.9": summary.p999
        case "max": summary.max
        default: nil
        }
    }

    private static func panel(_ search: RateSearchRecord, id: String) -> Figure.Panel? {
        let goal = search.goal
        let steps = search.steps.sorted { $0.ratePerSecond < $1.ratePerSecond }
        var percentiles = [goal.percentile]
        if goal.percentile != "p50" { percentiles.append("p50") }
        func points(_ percentile: String) -> [(x: Double, y: Double)] {
            steps.compactMap { step in step.run.figures.latency.value.flatMap { value($0, percentile) }.map { (step.ratePerSecond, Double(max($0, 1))) } }
        }
        let lines = percentiles.enumerated().map { LineChart.Line(label: $1, points: points($1), slot: $0, hasDots: $0 > 0) }.filter { !$0.points.isEmpty }
        let subject = search.steps.first.map { Shape.describe($0.run.setup) } ?? "no step was made"
        let heading = subject.split(separator: ", ").filter { !$0.hasSuffix("open loop") }.joined(separator: ", ")
        let goalWords = "\(goal.percentile) below \(Units.format(nanoseconds: goal.boundNanoseconds))"
        let found = switch search.foundRatePerSecond {
        case .value(let rate): "\(goalWords) holds up to \(Units.format(perSecond: rate))"
        case .unavailable(let reason): "\(goalWords): no rate was found: \(reason)"
        }
        let missed = search.missedRatePerSecond.value.map { "; it was missed for sure at \(Units.format(perSecond: $0))" } ?? ""
        let table = table(search, percentiles)
        guard !lines.isEmpty else {
            return table.isEmpty ? nil : Figure.Panel(title: heading, picture: nil, table: table, notes: ["\(found)\(missed)."], isWide: true)
        }
        let rates = lines.flatMap { $0.points.map(\.x) }
        let isWide = (rates.min() ?? 0) > 0 && (rates.max() ?? 0) / (rates.min() ?? 1) > 20
        let bound = Double(goal.boundNanoseconds)
        var marks = [LineChart.Mark(value: bound, label: "goal \(Quantity.nanoseconds.short(bound))", isVertical: false)]
        if let rate = search.foundRatePerSecond.value {
            marks.append(LineChart.Mark(value: rate, label: "found: \(Units.format(perSecond: rate))", isVertical: true))
        }
        let chart = LineChart(
            id: id, title: "\(goal.percentile) against rate, \(heading)",
            x: isWide ? .logarithmic("rate offered", .perSecond, rates) : .linear("rate offered", .perSecond, to: rates.max() ?? 0),
            y: .logarithmic("response time", .nanoseconds, lines.flatMap { $0.points.map(\.y) }, including: [bound]),
            lines: lines, marks: marks,
            dots: dots(steps, goal.percentile), quantity: .nanoseconds)
        return Figure.Panel(title: heading, picture: chart.picture, table: table, notes: ["\(found)\(missed)."], isWide: true)
    }

    private static func dots(_ steps: [RateSearchRecord.Step], _ percentile: String) -> [LineChart.Dot] {
        steps.compactMap { step in
            guard let latency = step.run.figures.latency.value.flatMap({ value($0, percentile) }) else { return nil }
            let shape: LineChart.Dot.Shape = switch step.outcome {
            case .met: .disc
            case .missed: .cross
            case .unclear: .triangle
            case .notOffered: .square
            }
            return LineChart.Dot(
                x: step.ratePerSecond, y: Double(max(latency, 1)), shape: shape,
                about: "\(Units.format(perSecond: step.ratePerSecond)): \(percentile) \(Units.format(nanoseconds: latency)), \(words(step.outcome))")
        }
    }

    private static func words(_ outcome: RateSearchRecord.Outcome) -> String { outcome.rawValue.split(separator: "_").joined(separator: " ") }

    private static func table(_ search: RateSearchRecord, _ percentiles: [String]) -> DataTable {
        var table = DataTable(
            [.number("rate", "rate_per_second"), .text("outcome", key: "outcome")]
                + percentiles.map { .number($0, "latency_ns.\($0.replacing(".", with: ""))") } + [
                    .number("completed", "messages_per_second"), .number("pacer late, p99", "pacer_lateness_ns.p99"), .text("why", key: "reason"),
                ])
        for step in search.steps {
            let figures = step.run.figures
            let latencies = percentiles.map { percentile in
                DataTable.Cell.of(figures.latency.map { Double(value($0, percentile) ?? 0) }, .nanoseconds)
            }
            table.add([.number(step.ratePerSecond, Units.format(perSecond: step.ratePerSecond)), .text(words(step.outcome))] + latencies + [
                .of(figures.messagesPerSecond, .perSecond), .of(figures.pacerLateness.map { Double($0.p99) }, .nanoseconds), .text(step.reason),
            ])
        }
        return table
    }
}

/// A run second by second.
enum IntervalFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "time", title: "Over time",
            lead: "The measured window in parts of equal length: a run that warms up, stalls or slows down shows it here. The last part may be "
                + "shorter and is taken as long as it was.",
            panels: Reported.panels(reported.groups, id: "time") { panel($0, reported, id: $1) })
    }

    private static func rates(_ group: Reported.Group, _ figures: RunFigures) -> [(second: Double, rate: Double)] {
        guard let length = figures.intervalSeconds.value, length > 0, figures.intervals.count > 1 else { return [] }
        return figures.intervals.enumerated().map { index, interval in
            let start = Double(index) * length
            let rest = figures.durationSeconds - start
            let seconds = index == figures.intervals.count - 1 && rest > 0 ? min(length, rest) : length
            let amount = group.metric == .messagesPerSecond ? interval.operationsCompleted : interval.payloadBytesReceived
            return (start, Double(amount) / seconds)
        }
    }

    private static func panel(_ group: Reported.Group, _ reported: Reported, id: String) -> Figure.Panel? {
        let series = group.runs.map { (run: $0, rates: rates(group, $0.figures)) }.filter { !$0.rates.isEmpty }
        guard !series.isEmpty, group.metric != .bytesPerStream else { return nil }
        let quantity = group.metric.quantity
        let lines = series.map { entry in
            LineChart.Line(
                label: entry.run.name, points: entry.rates.map { ($0.second, $0.rate) }, slot: reported.slot(entry.run.name), hasDots: entry.rates.count <= 60)
        }
        var table = DataTable(
            [.text("subject", key: "subject"), .number("from", "interval"), .number(group.metric.title, "rate"), .number("payload", "payload_bytes_received"),
             .number("completed", "operations_completed")])
        for entry in series {
            for (interval, rate) in zip(entry.run.figures.intervals, entry.rates) {
                table.add([
                    .text(entry.run.name), .number(rate.second, "\(decimal(rate.second)) s"), .number(rate.rate, quantity.format(rate.rate)),
                    .number(Double(interval.payloadBytesReceived), Units.format(bytes: interval.payloadBytesReceived)), .count(interval.operationsCompleted),
                ])
            }
        }
        let end = lines.flatMap { $0.points.map(\.x) }.max() ?? 0
        let chart = LineChart(
            id: id, title: "\(group.metric.title) over time, \(group.title)", x: .linear("time in the window", .nanoseconds, to: end * 1e9).inSeconds,
            y: .linear(group.metric.title, quantity, to: lines.flatMap { $0.points.map(\.y) }.max() ?? 0), lines: lines, quantity: quantity)
        return Figure.Panel(title: group.title, picture: chart.picture, table: table)
    }
}

extension Axis {
    /// The same axis for values in seconds, of one that was made for nanoseconds.
    fileprivate var inSeconds: Axis {
        Axis(title: title, low: low / 1e9, high: high / 1e9, isLogarithmic: isLogarithmic, ticks: ticks.map { Tick(value: $0.value / 1e9, label: $0.label) })
    }
}
