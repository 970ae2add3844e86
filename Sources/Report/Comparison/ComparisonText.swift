import Gauge

/// A comparison for a terminal.
public enum ComparisonText {
    /// - Parameter width: columns of the terminal.
    public static func text(_ record: ComparisonRecord, width: Int = 100) -> String {
        let view = ComparisonView(record: record)
        var lines = record.environment.machineLine.wrappedList(to: width) + [""]
        lines += view.introduction.flatMap { $0.wrapped(to: width) } + [""]
        for (workload, verdicts) in view.summary {
            lines += workload.wrapped(to: width, indent: 2)
            lines += verdicts.flatMap { $0.wrapped(to: width - 2, indent: 2).map { "  " + $0 } }
        }
        for section in view.sections {
            lines.append("")
            lines += section.title.wrapped(to: width, indent: 2)
            lines += table(section.groups).lines(width: width)
            lines += section.notes.flatMap { $0.wrapped(to: width, indent: 2) }
        }
        lines.append("")
        lines += view.legend.flatMap { $0.wrapped(to: width, indent: 2) }
        if record.environment.buildConfiguration != "release" {
            lines.append("This is a \(record.environment.buildConfiguration) build: its speed means nothing.")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The name of a metric stands above its subjects, which are set in.
    private static func table(_ groups: [ComparisonView.Group]) -> TextTable {
        var table = TextTable([
            TextTable.Column("", .left), TextTable.Column("median"), TextTable.Column("spread", importance: 1), TextTable.Column("ratio"),
            TextTable.Column("interval"), TextTable.Column("verdict", .left),
        ])
        for group in groups {
            table.add([group.title])
            for row in group.rows { table.add(["  " + row[0]] + row.dropFirst()) }
        }
        return table
    }
}
