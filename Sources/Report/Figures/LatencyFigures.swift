import Gauge

/// How long answers took: the whole distribution, so that the rare ones are seen.
enum LatencyFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "latency", title: "Latency",
            lead: "Response time by percentile: each step to the right is another nine, so the right end shows the one answer in thousands that took longest. "
                + "In open loop time counts from when a request was due. Lower and flatter is better. The figures are those of the median repeat.",
            panels: Reported.panels(reported.groups, id: "latency") { panel($0, reported, id: $1) })
    }

    private static func panel(_ group: Reported.Group, _ reported: Reported, id: String) -> Figure.Panel? {
        guard group.runs.contains(where: { $0.figures.latency.value != nil }) else { return nil }
        var table = DataTable(
            [.text("subject", key: "subject")] + parts.map { .number($0.title, "latency_ns.\($0.key)") })
        for run in group.runs {
            let latency = run.figures.latency
            table.add([.text(run.name)] + parts.map { part in part.cell(latency) })
        }
        return Figure.Panel(title: group.title, picture: picture(group, reported, id), table: table)
    }

    private struct Part: Sendable {
        let title: String
        let key: String
        let read: @Sendable (LatencySummary) -> Int

        func cell(_ latency: Measured<LatencySummary>) -> DataTable.Cell {
            switch latency {
            case .value(let summary): key == "count" ? .count(read(summary)) : .nanoseconds(read(summary))
            case .unavailable(let reason): .absent(reason)
            }
        }
    }

    private static let parts: [Part] = [
        Part(title: "p50", key: "p50") { $0.p50 }, Part(title: "p90", key: "p90") { $0.p90 }, Part(title: "p99", key: "p99") { $0.p99 },
        Part(title: "p99.9", key: "p999") { $0.p999 }, Part(title: "max", key: "max") { $0.max }, Part(title: "mean", key: "mean") { $0.mean },
        Part(title: "answers", key: "count") { $0.count },
    ]

    private static func picture(_ group: Reported.Group, _ reported: Reported, _ id: String) -> Picture? {
        let lines = group.runs.compactMap { run in
            run.figures.histograms.latency.value.flatMap { $0.isEmpty ? nil : (run: run, histogram: $0) }
        }
        guard !lines.isEmpty else { return nil }
        let curves = lines.map { entry in
            LineChart.Line(label: entry.run.name, points: points(entry.histogram), slot: reported.slot(entry.run.name), hasDots: false)
        }
        let chart = LineChart(
            id: id, title: "response time by percentile, \(group.title)", x: .percentiles(count: lines.map(\.histogram.count).max() ?? 1),
            y: .logarithmic("response time", .nanoseconds, curves.flatMap { $0.points.map(\.y) }), lines: curves,
            quantity: .nanoseconds)
        return chart.picture
    }

    /// 1 / (1 - p) for x; the largest value stands where one span in all lies.
    static func points(_ histogram: LatencyHistogram) -> [(x: Double, y: Double)] {
        PercentileLadder(histogram).steps.map { step in
            (step.percentile < 1 ? min(1 / (1 - step.percentile), Double(histogram.count)) : Double(histogram.count), Double(max(step.nanoseconds, 1)))
        }
    }
}

/// Where the time of messages went.
enum StageFigures {
    static let stages: [LatencyStages.Stage] = [.queue, .transit, .deliver]

    static func figure(_ reported: Reported) -> Figure? {
        var panels: [Figure.Panel] = []
        func add(_ title: String, _ rows: [(name: String, stages: LatencyStages)]) {
            guard !rows.isEmpty else { return }
            for statistic in Statistic.allCases {
                panels.append(panel(title, statistic, rows, id: "stages-\(panels.count + 1)"))
            }
        }
        for group in reported.groups {
            add(group.title, group.runs.flatMap { run in rows(run.name, run.figures.latencyStages.value ?? []) })
        }
        for interference in reported.interferences {
            for placement in InterferenceRecord.Placement.allCases {
                for subject in interference.record.subjects {
                    let cells = interference.record.cells.filter { $0.placement == placement && $0.subject == subject }
                    add(
                        "\(subject) beside an aggressor \(placement.words)",
                        cells.flatMap { cell in rows(cell.aggressor, cell.outcome.value?.stages.value ?? []) })
                }
            }
        }
        return Figure(
            id: "stages", title: "Latency by stage",
            lead: "Where a message's time goes: queue is from the handler's send until the kernel has its last byte, transit from there until the far "
                + "end has read it, deliver until the far handler has it whole. Means add up to the mean of the whole way. Percentiles do not: the slowest message of "
                + "one stage is seldom the slowest of another.",
            panels: panels)
    }

    private enum Statistic: String, CaseIterable {
        case mean, p50, p99

        func read(_ summary: LatencySummary) -> Int {
            switch self {
            case .mean: summary.mean
            case .p50: summary.p50
            case .p99: summary.p99
            }
        }
    }

    private static func rows(_ name: String, _ flows: [LatencyStages]) -> [(name: String, stages: LatencyStages)] {
        flows.map { ("\(name), \($0.verb) \($0.direction)", $0) }
    }

    private static func panel(
        _ title: String, _ statistic: Statistic, _ rows: [(name: String, stages: LatencyStages)], id: String
    ) -> Figure.Panel {
        func value(_ flow: LatencyStages, _ stage: LatencyStages.Stage) -> Int? { flow.summaries[stage].map(statistic.read) }
        var table = DataTable(
            [.text("message", key: "flow")] + (stages + [.total]).map { .number($0.rawValue, "latency_stages.\($0.rawValue)_ns.\(statistic.rawValue)") })
        for row in rows {
            let cells = (stages + [.total]).map { stage in value(row.stages, stage).map { DataTable.Cell.nanoseconds($0) } ?? .absent("") }
            table.add([.text(row.name)] + cells)
        }
        let isMean = statistic == .mean
        let chart = PartsChart(
            id: id, title: "\(statistic.rawValue) of each stage, \(title)",
            axisTitle: isMean ? "mean, stages one after the other" : "\(statistic.rawValue) of each by itself",
            quantity: .nanoseconds, parts: (isMean ? stages : stages + [.total]).map(\.rawValue),
            rows: rows.map { row in
                PartsChart.Row(
                    label: row.name, values: (isMean ? stages : stages + [.total]).map { value(row.stages, $0).map { Double($0) } },
                    text: value(row.stages, .total).map { Units.format(nanoseconds: $0) } ?? "")
            }, isStacked: isMean)
        return Figure.Panel(title: "\(title): \(statistic.rawValue)", picture: chart.picture, table: table)
    }
}

extension InterferenceRecord.Placement {
    var words: String {
        switch self {
        case .sameConnection: "on the same connection"
        case .ownConnection: "on a connection of its own"
        }
    }
}
