import Gauge

/// An interference matrix for a person: for each subject a table of what each aggressor does to the victim.
public enum InterferenceText {
    /// - Parameter width: columns of the terminal.
    public static func text(_ record: InterferenceRecord, width: Int = 80) -> String {
        var lines = "A 64-byte request on one stream beside an aggressor: times are those of the request, and x is how many times as long as without the aggressor.".wrappedList(to: width)
        for subject in record.subjects {
            lines += ["", subject]
            lines += table(record, subject).lines(width: width, indent: 2)
            lines += notes(record, subject).flatMap { $0.wrappedList(to: width - 2, indent: 2) }.map { "  " + $0 }
        }
        let isStaged = record.cells.contains { $0.outcome.value?.stages.value != nil }
        if isStaged {
            lines += ["", "Where the request's mean time goes, there and back together (same connection)"]
            lines += stageTable(record).lines(width: width, indent: 2)
        }
        lines += ["", "Aggressors"]
        lines += record.aggressors.flatMap { "\($0.name): \($0.summary)".wrappedList(to: width - 2, indent: 2) }.map { "  " + $0 }
        lines.append("")
        lines += record.environment.machineLine.wrappedList(to: width)
        return lines.map { $0 + "\n" }.joined()
    }

    private static func table(_ record: InterferenceRecord, _ subject: String) -> TextTable {
        var table = TextTable([
            TextTable.Column("beside", .left), TextTable.Column("connection", .left), TextTable.Column("p50"), TextTable.Column("x", importance: 2), TextTable.Column("p99"), TextTable.Column("x"),
            TextTable.Column("from to", importance: 1), TextTable.Column("kept", importance: 2), TextTable.Column("Jain", importance: 1), TextTable.Column("starved", importance: 1),
            TextTable.Column("silence", importance: 1),
        ])
        for cell in record.cells where cell.subject == subject {
            let place = cell.placement == .sameConnection ? "same" : "own"
            guard let outcome = cell.outcome.value else { continue }
            let mark = outcome.invalidReasons.isEmpty ? "" : " INVALID"
            table.add([
                cell.aggressor + mark, place, Units.format(nanoseconds: outcome.loaded.p50), Units.significant(outcome.p50Ratio.median),
                Units.format(nanoseconds: outcome.loaded.p99), Units.significant(outcome.p99Ratio.median),
                "\(Units.significant(outcome.p99Ratio.min)) to \(Units.significant(outcome.p99Ratio.max))", outcome.goodputKeptRatio.value.map { Units.fixed($0, places: 2) } ?? "-",
                outcome.jainFairness.value.map { Units.fixed($0, places: 3) } ?? "-", outcome.starvedStreams.value.map(String.init) ?? "-",
                outcome.longestSilenceSeconds.value.map { Units.format(seconds: $0) } ?? "-",
            ])
        }
        return table
    }

    private static func notes(_ record: InterferenceRecord, _ subject: String) -> [String] {
        record.cells.filter { $0.subject == subject }.flatMap { cell -> [String] in
            let place = cell.placement == .sameConnection ? "same connection" : "connection of its own"
            if let reason = cell.outcome.reason { return ["\(cell.aggressor), \(place): not available: \(reason)"] }
            return (cell.outcome.value?.invalidReasons.prefix(1) ?? []).map { "\(cell.aggressor), \(place): INVALID: \($0)" }
        }
    }

    private static func stageTable(_ record: InterferenceRecord) -> TextTable {
        var table = TextTable([
            TextTable.Column("subject", .left), TextTable.Column("beside", .left), TextTable.Column("queue"), TextTable.Column("transit"), TextTable.Column("deliver"), TextTable.Column("total"),
        ])
        for cell in record.cells where cell.placement == .sameConnection {
            guard let stages = cell.outcome.value?.stages.value else { continue }
            let means = LatencyStages.Stage.allCases.map { stage in Units.format(nanoseconds: stages.reduce(0) { $0 + ($1.summaries[stage]?.mean ?? 0) }) }
            table.add([cell.subject, cell.aggressor] + means)
        }
        return table
    }
}
