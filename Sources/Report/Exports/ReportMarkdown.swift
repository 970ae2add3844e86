import Gauge

extension RecordReport {
    /// For a pull request: the verdicts, then the numbers of each figure, in tables as GitHub reads them. Long ones are folded.
    public var markdown: String {
        let verdicts = Verdicts(reported: reported)
        let headline = verdicts.headline
        var lines = ["# \(Markdown.escaped(title))", "", "**\(headline.word)**: \(Markdown.escaped(headline.sentence))", ""]
        for entry in verdicts.remarkable {
            lines.append("* **\(entry.word)**: \(Markdown.escaped(entry.sentence))")
            lines += entry.reasons.map { "  * " + Markdown.escaped($0) }
        }
        if !verdicts.remarkable.isEmpty { lines.append("") }
        if !reported.runs.isEmpty { lines += verdicts.runTable.markdown + [""] }
        for comparison in reported.comparisons {
            lines += ["Ratios to \(Markdown.escaped(comparison.record.subjects.baseline)): ▲ better, ▼ worse, = equal, ? cannot tell.", ""]
            lines += Verdicts.matrix(comparison.record).markdown + [""]
        }
        for figure in figures {
            lines += ["<details><summary>\(figure.title)</summary>", ""] + figure.markdown + ["</details>", ""]
        }
        lines += ["## Machine and commands", ""]
        for environment in reported.environments { lines += [Markdown.escaped(environment.machineLine), ""] }
        if !dates.isEmpty { lines += [Markdown.escaped(dates), ""] }
        let commands = reported.commands.map { $0.replacing("```", with: "` ` `") }
        lines += ["```"] + commands + ["```"]
        return lines.map { $0 + "\n" }.joined()
    }
}
