import Gauge

/// A diff as it is told to people: the same words for a terminal and for Markdown.
private struct DiffView {
    let report: DiffReport

    static let columns = ["subject", "workload", "metric", "old", "new", "new / old", "interval", "verdict"]

    var conclusion: String {
        guard report.hasRatios else { return "Nothing could be compared." }
        func count(_ verdict: Verdict) -> Int { report.rows.count { $0.judgement.verdict == verdict } }
        let counts = Verdict.allCases.map { "\(Units.format(count: count($0))) \($0.rawValue)" }.joined(separator: ", ")
        let regressions = report.regressions.count
        let first = switch regressions {
        case 0: "No regression of more than \(percent(report.threshold)) was found"
        case 1: "1 REGRESSION of more than \(percent(report.threshold))"
        default: "\(regressions) REGRESSIONS of more than \(percent(report.threshold))"
        }
        return "\(first): \(counts)."
    }

    var cells: [[String]] {
        report.rows.map { row in
            func value(_ spread: Measured<Spread>, _ count: Int) -> String {
                guard let median = spread.value?.median else { return "-" }
                return (row.isRatio ? ComparisonView.ratio(median) : row.metric.unit.format(median)) + " (\(count))"
            }
            let interval = row.estimate.value?.interval.value.map { "\(ComparisonView.ratio($0.low)) to \(ComparisonView.ratio($0.high))" } ?? "-"
            let told = row.judgement.verdict == .cannotTell ? row.judgement.verdict.rawValue : row.judgement.words
            return [
                row.subject, row.workload, row.isRatio ? "\(row.metric.title), ratio" : row.metric.title, value(row.old, row.oldCount), value(row.new, row.newCount),
                row.estimate.value.map { ComparisonView.ratio($0.ratio) } ?? "-", interval, row.isRegression ? "REGRESSION, \(told)" : told,
            ]
        }
    }

    /// Why what cannot be told cannot. Those with the same reason share a line, which leaves out how many repeats each would take.
    var reasons: [String] {
        var reasons: [(reason: Substring, rows: [DiffReport.Row])] = []
        for row in report.rows where row.judgement.verdict == .cannotTell {
            let reason = row.judgement.words.prefix { $0 != ";" }
            if let index = reasons.firstIndex(where: { $0.reason == reason }) {
                reasons[index].rows.append(row)
            } else {
                reasons.append((reason, [row]))
            }
        }
        return reasons.map { reason, rows in
            if rows.count == 1 { return "\(rows[0].subject), \(rows[0].workload), \(rows[0].metric.title): \(rows[0].judgement.words)" }
            let isShortened = rows.contains { $0.judgement.words.count > reason.count }
            return "\(rows.count) rows: \(reason)\(isShortened ? "; how many repeats each would take is in --format json" : "")"
        }
    }

    var lists: [(title: String, entries: [String])] {
        [
            ("INVALID and not compared", report.invalid), ("Only in the old", report.onlyOld), ("Only in the new", report.onlyNew),
            ("To be known", report.notes),
            ("Environments differ, and figures of the two do not belong beside each other", report.differencesThatMatter.map(\.sentence)),
            ("Environments differ in what does not matter here", report.environmentDifferences.filter { !$0.matters }.map(\.sentence)),
        ].filter { !$0.1.isEmpty }
    }

    var legend: [String] {
        let rule = report.rule
        let wrong = Units.fixed(Double(report.rows.count) * (1 - rule.level), places: 2)
        let count = report.rows.count == 1 ? "1 verdict" : "\(Units.format(count: report.rows.count)) verdicts"
        return [
            "old, new: the median, and of how many values; interval: where the true ratio of the medians lies, at a level of \(percent(rule.level)). "
                + "better, worse: the interval excludes 1, p is below \(decimal(1 - rule.level)) (the exact test of Mann and Whitney) and the difference is "
                + "above \(percent(rule.margin)). equal: the whole interval lies within \(percent(rule.margin)) of 1. cannot tell: anything else; it does "
                + "not mean equal.",
            "Of \(count) about \(wrong) are wrong by chance alone. And old and new runs were made at different times: what the machine did in between is in "
                + "these ratios. streamgauge compare measures both side by side.",
        ]
    }
}

extension DiffReport {
    /// For a terminal of `width` columns.
    public func text(width: Int = 100) -> String {
        let view = DiffView(report: self)
        var lines = "\(old) -> \(new)".wrapped(to: width) + view.conclusion.wrapped(to: width)
        if !rows.isEmpty {
            var table = TextTable([
                TextTable.Column("subject", .left), TextTable.Column("workload", .left), TextTable.Column("metric", .left),
                TextTable.Column("old", importance: 1), TextTable.Column("new", importance: 1), TextTable.Column("new / old"),
                TextTable.Column("interval", importance: 2), TextTable.Column("verdict", .left),
            ])
            for row in view.cells { table.add(row) }
            lines += [""] + table.lines(width: width)
        }
        if !view.reasons.isEmpty { lines += [""] + view.reasons.flatMap { $0.wrapped(to: width, indent: 2) } }
        for (title, entries) in view.lists {
            lines += ["", title + ":"] + entries.flatMap { $0.wrapped(to: width - 2, indent: 2).map { "  " + $0 } }
        }
        if hasRatios { lines += [""] + view.legend.flatMap { $0.wrapped(to: width, indent: 2) } }
        return lines.map { $0 + "\n" }.joined()
    }

    /// As Markdown, with tables as GitHub reads them.
    public var markdown: String {
        let view = DiffView(report: self)
        var lines = ["# \(Markdown.escaped(old)) to \(Markdown.escaped(new))", "", "**\(Markdown.escaped(view.conclusion))**"]
        if !rows.isEmpty { lines += [""] + Markdown.table(DiffView.columns, view.cells, textColumns: [0, 1, 2, 7]) }
        if !view.reasons.isEmpty { lines += [""] + view.reasons.map { "* " + Markdown.escaped($0) } }
        for (title, entries) in view.lists { lines += ["", title + ":", ""] + entries.map { "* " + Markdown.escaped($0) } }
        if hasRatios { lines += [""] + view.legend.flatMap { [Markdown.escaped($0), ""] }.dropLast() }
        return lines.map { $0 + "\n" }.joined()
    }
}
