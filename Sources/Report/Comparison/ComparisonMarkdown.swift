import Gauge

/// A comparison as Markdown, with tables as GitHub reads them.
public enum ComparisonMarkdown {
    public static func text(_ record: ComparisonRecord) -> String {
        let view = ComparisonView(record: record)
        var lines = ["# \(Markdown.escaped(record.subjects.candidates.joined(separator: ", "))) beside \(Markdown.escaped(record.subjects.baseline))", ""]
        lines += (view.introduction + [record.environment.machineLine]).flatMap { [Markdown.escaped($0), ""] }
        lines += view.summary.flatMap { workload, verdicts in
            ["* " + Markdown.escaped(workload)] + verdicts.map { "  * " + Markdown.escaped($0) }
        }
        for section in view.sections {
            lines += ["", "## \(Markdown.escaped(section.title))", ""]
            let rows = section.groups.flatMap { group in group.rows.map { [group.title] + $0 } }
            lines += Markdown.table(["metric"] + ComparisonView.columns, rows, textColumns: [0, 1, 6])
            if !section.notes.isEmpty { lines += [""] + section.notes.map { "* " + Markdown.escaped($0) } }
        }
        lines += ["", "## How to read this", ""] + view.legend.map { "* " + Markdown.escaped($0) }
        lines += ["", "Made by:", "", "```", record.command, "```"]
        if record.environment.buildConfiguration != "release" {
            lines += ["", "This is a \(record.environment.buildConfiguration) build: its speed means nothing."]
        }
        return lines.map { $0 + "\n" }.joined()
    }
}

/// The little Markdown that reports need.
enum Markdown {
    /// Text in which nothing is markup.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "|", "*", "_", "`", "<", ">", "[", "]", "\\", "#": result += "\\\(character)"
            case "\n", "\r", "\r\n": result += " "
            default: result.append(character)
            }
        }
        return result
    }

    /// - Parameter textColumns: those that are aligned to the left; the others hold numbers.
    static func table(_ head: [String], _ rows: [[String]], textColumns: Set<Int>) -> [String] {
        func line(_ cells: [String]) -> String {
            let padded = cells + Array(repeating: "", count: max(0, head.count - cells.count))
            return "| " + padded.map(escaped).joined(separator: " | ") + " |"
        }
        let rule = "|" + head.indices.map { textColumns.contains($0) ? "---|" : "---:|" }.joined()
        return [line(head), rule] + rows.map(line)
    }
}
