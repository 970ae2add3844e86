import Gauge

extension RecordReport {
    /// One page that needs nothing else: no network, no script, no file beside it. It is told to load nothing, so that not even a mistake in it could.
    public var html: String {
        let verdicts = Verdicts(reported: reported)
        let links = ([("verdict", "Verdict")] + figures.map { ($0.id, $0.title) } + [("machine", "Machine and commands")]).map {
            "<li><a href=\"#\($0.0)\">\(Markup.escaped($0.1))</a></li>"
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="generator" content="streamgauge report">
            <meta name="color-scheme" content="light dark">
            <title>\(Markup.escaped(title)): StreamGauge</title>
            <style>
            \(Stylesheet.text)
            </style>
            </head>
            <body>
            <header>
            <p class="product">StreamGauge report</p>
            <h1>\(Markup.escaped(title))</h1>
            \(reported.environments.map { "<p class=\"machine\">\(Markup.escaped($0.machineLine))</p>\n" }.joined())\(dateLine)</header>
            <nav aria-label="Contents"><ol>\(links.joined())</ol></nav>
            <main>
            \(verdictSection(verdicts))\(figures.map(\.html).joined())\(machineSection)</main>
            <footer><p>Made by <code>streamgauge report</code> from \(Markup.escaped(reported.names.joined(separator: ", "))).
            All numbers are those of the records; nothing was measured to make this page.</p></footer>
            </body>
            </html>

            """
    }

    private var dateLine: String { dates.isEmpty ? "" : "<p class=\"machine\">\(Markup.escaped(dates))</p>\n" }

    private func badge(_ entry: Verdicts.Entry) -> String {
        let (style, sign) = switch entry.standing {
        case .good: ("ok", "✓")
        case .bad: ("no", "✗")
        case .open: ("so", "–")
        }
        return "<span class=\"badge \(style)\">\(sign) \(Markup.escaped(entry.word))</span>"
    }

    private func verdictSection(_ verdicts: Verdicts) -> String {
        let headline = verdicts.headline
        var text = "<section id=\"verdict\">\n<h2>Verdict</h2>\n<p class=\"verdict\">\(badge(headline)) \(Markup.escaped(headline.sentence))</p>\n"
        for entry in verdicts.remarkable {
            text += "<p>\(badge(entry)) \(Markup.escaped(entry.sentence))</p>\n"
            if !entry.reasons.isEmpty {
                text += "<ul class=\"reasons\">" + entry.reasons.map { "<li>\(Markup.escaped($0))</li>" }.joined() + "</ul>\n"
            }
        }
        if !reported.runs.isEmpty { text += "<h3>Every run</h3>\n" + verdicts.runTable.html }
        for comparison in reported.comparisons where comparison.record.subjects.candidates.count * comparison.record.workloads.count > 0 {
            let record = comparison.record
            text += """
                <h3>Ratios to \(Markup.escaped(record.subjects.baseline)), by what each workload is made for</h3>
                <p class="note">▲ better, ▼ worse, = equal, ? cannot tell (which does not mean equal). The words of each verdict stand below its picture.</p>

                """ + Verdicts.matrix(record).html
        }
        return text + "</section>\n"
    }

    private var machineSection: String {
        var text = """
            <section id="machine">
            <h2>Machine and commands</h2>
            <p class="lead">What the figures were measured with, and how to measure them again.</p>
            <div class="panels">

            """
        for (title, table) in environmentTables { text += "<div class=\"panel\"><h3>\(Markup.escaped(title))</h3>\n\(table.html)</div>\n" }
        text += "</div>\n<h3>Commands</h3>\n" + reported.commands.map { "<pre>\(Markup.escaped($0))</pre>\n" }.joined()
        return text + "</section>\n"
    }
}
