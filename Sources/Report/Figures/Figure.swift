/// One thing that a report shows: pictures beside each other, with their numbers below them.
struct Figure: Sendable {
    struct Panel: Sendable {
        let title: String
        var picture: Picture?
        let table: DataTable
        var notes: [String] = []
        /// It takes the page's whole width.
        var isWide = false
    }

    /// Its place on the page, and how a command line names it.
    let id: String
    let title: String
    /// What is shown and how to read it.
    let lead: String
    let panels: [Panel]

    /// Nil for one without panels: the records do not have what it shows.
    init?(id: String, title: String, lead: String, panels: [Panel]) {
        guard !panels.isEmpty else { return nil }
        self.id = id
        self.title = title
        self.lead = lead
        self.panels = panels
    }

    var pictures: [Picture] { panels.compactMap(\.picture) }

    var html: String {
        let body = panels.map { panel in
            let isWide = panel.isWide || panel.picture?.isWide == true
            let picture = panel.picture.map { "<div class=\"picture\" tabindex=\"0\">\($0.inline)</div>\n" } ?? ""
            let notes = panel.notes.map { "<p class=\"note\">\(Markup.escaped($0))</p>\n" }.joined()
            let heading = panel.title.isEmpty ? "" : "<h3>\(Markup.escaped(panel.title))</h3>\n"
            return "<div class=\"panel\(isWide ? " wide" : "")\">\n\(heading)\(picture)\(panel.table.html)\(notes)</div>\n"
        }
        return """
            <section id="\(id)">
            <h2>\(Markup.escaped(title))</h2>
            <p class="lead">\(Markup.escaped(lead))</p>
            <div class="panels">
            \(body.joined())</div>
            </section>

            """
    }

    var markdown: [String] {
        var lines = ["## \(title)", "", Markdown.escaped(lead), ""]
        for panel in panels {
            if !panel.title.isEmpty { lines += ["### " + Markdown.escaped(panel.title), ""] }
            lines += panel.table.markdown + [""]
            for note in panel.notes { lines += [Markdown.escaped(note), ""] }
        }
        return lines
    }
}
