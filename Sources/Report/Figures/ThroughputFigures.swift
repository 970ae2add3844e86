import Gauge

/// How much was carried: bars with the spread of the repeats.
enum ThroughputFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "throughput", title: "Throughput",
            lead: "What each workload is made for: goodput is payload that the far end's handlers received, completed are requests, streams or connections. "
                + "A bar is the median repeat; the line across its end reaches from the lowest repeat to the highest. Grey is the bare transport.",
            panels: Reported.panels(reported.groups, id: "throughput") { panel($0, id: $1) })
    }

    private static func panel(_ group: Reported.Group, id: String) -> Figure.Panel? {
        let metric = group.metric
        var table = DataTable([
            .text("subject", key: "subject"), .number("median repeat", metric.rawValue), .number("lowest", "\(metric.spreadKey).min"),
            .number("highest", "\(metric.spreadKey).max"), .number("repeats", "repeats"), .text("verdict"),
        ])
        for run in group.runs {
            let spread = metric.spread(run.record)
            table.add([
                .text(run.name), .of(metric.figure(in: run.figures), metric.quantity), .of(spread.map(\.min), metric.quantity),
                .of(spread.map(\.max), metric.quantity), .count(run.record.repeats.count), .text(run.record.valid ? "VALID" : "INVALID"),
            ])
        }
        let bars = group.runs.compactMap { run in
            metric.figure(in: run.figures).value.map { value in
                BarChart.Bar(
                    label: run.name, value: value, repeats: run.record.repeats.compactMap { metric.figure(in: $0).value }, isReference: run.isReference,
                    isInvalid: !run.record.valid)
            }
        }
        guard !bars.isEmpty else { return nil }
        let chart = BarChart(id: id, title: "\(metric.title), \(group.title)", axisTitle: metric.title, quantity: metric.quantity, bars: bars)
        return Figure.Panel(title: group.title, picture: chart.picture, table: table.withoutEmptyColumns)
    }
}

/// Subjects beside their baseline: what they gave, and the ratio with its interval.
enum ComparisonFigures {
    static func ratios(_ reported: Reported) -> Figure? {
        Figure(
            id: "ratios", title: "Beside the baseline",
            lead: "Each subject by the baseline of the same round, on a logarithmic scale: bars begin at 1, where there is no difference. The line with ends is "
                + "the bootstrap interval of the ratio. ▲ better, ▼ worse, = equal, ? cannot tell: a verdict needs an interval without 1 and a difference beyond the "
                + "machine's own noise.",
            panels: panels(reported, id: "ratios", ratioPanel))
    }

    static func medians(_ reported: Reported) -> Figure? {
        Figure(
            id: "medians", title: "What the rounds gave",
            lead: "The median of all rounds; the line across a bar's end reaches from the lowest round to the highest. Grey is the baseline.",
            panels: panels(reported, id: "medians", medianPanel))
    }

    private static func panels(
        _ reported: Reported, id: String, _ panel: (ComparisonRecord, ComparisonRecord.Workload, ComparisonRecord.Metric, String) -> Figure.Panel?
    ) -> [Figure.Panel] {
        let headlines = reported.comparisons.flatMap { comparison in
            comparison.record.workloads.flatMap { workload in
                workload.metrics.filter { $0.role == .headline }.map { (comparison.record, workload, $0) }
            }
        }
        return Reported.panels(headlines, id: id) { panel($0.0, $0.1, $0.2, $1) }
    }

    private static func ratioPanel(
        _ record: ComparisonRecord, _ workload: ComparisonRecord.Workload, _ metric: ComparisonRecord.Metric, _ id: String
    ) -> Figure.Panel? {
        var table = DataTable([
            .text("subject", key: "subject"), .number("ratio", "ratio"), .number("from", "interval.low"), .number("to", "interval.high"),
            .text("verdict", key: "judgement"),
        ])
        for ratio in metric.ratios {
            let estimate = ratio.estimate
            let interval: Measured<RatioInterval> = estimate.value?.interval ?? .unavailable(estimate.reason ?? "")
            table.add([
                .text(ratio.subject), .of(estimate.map(\.ratio), ComparisonView.ratio), .of(interval.map(\.low), ComparisonView.ratio),
                .of(interval.map(\.high), ComparisonView.ratio), .text(ratio.judgement.words),
            ])
        }
        let rows = metric.ratios.compactMap { ratio in
            ratio.estimate.value.map {
                RatioChart.Row(label: ratio.subject, ratio: $0.ratio, interval: $0.interval.value, verdict: ratio.judgement.verdict)
            }
        }
        guard !rows.isEmpty else { return nil }
        let preference = metric.metric.better == .higher ? "more is better" : "less is better"
        let chart = RatioChart(
            id: id, title: "\(metric.metric.title) of each subject by that of \(record.subjects.baseline), \(workload.label)",
            axisTitle: "\(metric.metric.title) by \(record.subjects.baseline)'s", rows: rows)
        return Figure.Panel(title: "\(workload.label): \(metric.metric.title), \(preference)", picture: chart.picture, table: table)
    }

    private static func medianPanel(
        _ record: ComparisonRecord, _ workload: ComparisonRecord.Workload, _ metric: ComparisonRecord.Metric, _ id: String
    ) -> Figure.Panel? {
        let quantity = Quantity(metric.metric.unit)
        var table = DataTable([
            .text("subject", key: "subject"), .number("median", "spread.median"), .number("lowest", "spread.min"), .number("highest", "spread.max"),
            .number("rounds", "by_round"),
        ])
        var bars: [BarChart.Bar] = []
        for values in metric.values {
            let name = values.run.run == 2 ? "\(values.run.subject), again" : values.run.subject
            let byRound = values.byRound.compactMap(\.value)
            table.add([
                .text(name), .of(values.spread.map(\.median), quantity), .of(values.spread.map(\.min), quantity), .of(values.spread.map(\.max), quantity),
                .count(byRound.count),
            ])
            if let spread = values.spread.value {
                bars.append(BarChart.Bar(label: name, value: spread.median, repeats: byRound, isReference: values.run.subject == record.subjects.baseline))
            }
        }
        guard !bars.isEmpty else { return nil }
        let chart = BarChart(
            id: id, title: "\(metric.metric.title), \(workload.label)", axisTitle: metric.metric.title, quantity: quantity, bars: bars,
            unit: metric.metric.unit == .none ? "ratio" : "")
        return Figure.Panel(title: "\(workload.label): \(metric.metric.title)", picture: chart.picture, table: table)
    }
}
