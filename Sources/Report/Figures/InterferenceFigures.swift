import Gauge

/// What aggressors do to a victim: a heat map.
enum InterferenceFigures {
    static func figure(_ reported: Reported) -> Figure? {
        var panels: [Figure.Panel] = []
        for interference in reported.interferences {
            for placement in InterferenceRecord.Placement.allCases {
                if let panel = panel(interference.record, placement, id: "interference-\(panels.count + 1)") { panels.append(panel) }
            }
        }
        return Figure(
            id: "interference", title: "Interference",
            lead: "The victim is one stream with a 64-byte request under way. Each number is the p99 of its response time beside the aggressor by its p99 alone, "
                + "the median of the rounds: 1 is no harm, and the shades below each map stand for ranges. ! marks runs that must not be believed.",
            panels: panels)
    }

    private static func panel(_ record: InterferenceRecord, _ placement: InterferenceRecord.Placement, id: String) -> Figure.Panel? {
        let cells = record.cells.filter { $0.placement == placement }
        guard !cells.isEmpty else { return nil }
        let aggressors = record.aggressors.filter { aggressor in cells.contains { $0.aggressor == aggressor.name } }
        let rows = record.subjects.filter { subject in cells.contains { $0.subject == subject } }.map { subject in
            (label: subject, cells: aggressors.map { aggressor in cell(cells.first { $0.subject == subject && $0.aggressor == aggressor.name }) })
        }
        guard !rows.isEmpty, !aggressors.isEmpty else { return nil }
        let map = HeatMap(
            id: id, title: "p99 of the victim beside an aggressor \(placement.words), by its p99 alone", columnTitle: "aggressor",
            rowTitle: "subject (ratio of p99)",
            columns: aggressors.map(\.name), rows: rows)
        let told = aggressors.filter { !$0.summary.isEmpty }.map { "\($0.name): \($0.summary)" }.joined(separator: "; ")
        let doubts = cells.flatMap { cell in (cell.outcome.value?.invalidReasons ?? []).map { "\(cell.subject) beside \(cell.aggressor) is INVALID: \($0)" } }
        return Figure.Panel(
            title: "The aggressor \(placement.words)", picture: map.picture, table: table(cells), notes: (told.isEmpty ? [] : [told + "."]) + doubts,
            isWide: true)
    }

    private static func cell(_ cell: InterferenceRecord.Cell?) -> HeatMap.Cell {
        guard let cell else { return .none }
        switch cell.outcome {
        case .value(let outcome):
            let ratio = outcome.p99Ratio.median
            return .value(ratio, text: "\(Units.significant(ratio))x", isDoubtful: !outcome.invalidReasons.isEmpty)
        case .unavailable(let reason): return .absent(reason)
        }
    }

    private static func table(_ cells: [InterferenceRecord.Cell]) -> DataTable {
        var table = DataTable([
            .text("subject", key: "subject"), .text("aggressor", key: "aggressor"), .number("p99 ratio", "p99_ratio.median"),
            .number("lowest", "p99_ratio.min"),
            .number("highest", "p99_ratio.max"), .number("p50 ratio", "p50_ratio.median"), .number("p99 alone", "idle_ns.p99"),
            .number("p99 beside", "loaded_ns.p99"),
            .number("p50 alone", "idle_ns.p50"), .number("p50 beside", "loaded_ns.p50"), .number("goodput kept", "goodput_kept_ratio"),
            .number("Jain's index", "jain_fairness"),
            .number("starved", "starved_streams"), .number("longest silence", "longest_silence_seconds"), .number("rounds", "rounds"),
        ])
        for cell in cells {
            let names: [DataTable.Cell] = [.text(cell.subject), .text(cell.aggressor)]
            switch cell.outcome {
            case .unavailable(let reason): table.add(names + Array(repeating: .absent(reason), count: table.columns.count - 2))
            case .value(let outcome):
                func ratio(_ value: Double) -> DataTable.Cell { .number(value, Units.significant(value)) }
                table.add(names + [
                    ratio(outcome.p99Ratio.median), ratio(outcome.p99Ratio.min), ratio(outcome.p99Ratio.max), ratio(outcome.p50Ratio.median),
                    .nanoseconds(outcome.idle.p99), .nanoseconds(outcome.loaded.p99), .nanoseconds(outcome.idle.p50), .nanoseconds(outcome.loaded.p50),
                    .of(outcome.goodputKeptRatio, .number), .of(outcome.jainFairness) { Units.fixed($0, places: 3) },
                    .of(outcome.starvedStreams.map { Double($0) }, .number), .of(outcome.longestSilenceSeconds) { Units.format(seconds: $0) },
                    .count(outcome.rounds),
                ])
            }
        }
        return table
    }
}
