import Gauge

/// Why there is no picture of a name.
public enum ReportPictureError: Error, Equatable, Sendable, CustomStringConvertible {
    case noPictures
    case unknown(name: String, known: [String])

    public var description: String {
        switch self {
        case .noPictures: "the records have nothing that could be drawn"
        case .unknown(let name, let known): "there is no picture '\(name)'; these records give \(known.joined(separator: ", "))"
        }
    }
}

extension RecordReport {
    /// The names of all pictures: a figure's for all of its pictures together, `latency`, and each by itself, `latency-2`.
    public var pictureNames: [String] { figures.filter { !$0.pictures.isEmpty }.flatMap { [$0.id] + $0.pictures.map(\.id) } }

    /// A picture as a file of its own, on light paper that can be read on dark pages too. Colours are spelled out, so that any program that draws SVG can
    /// show it.
    ///
    /// - Parameters:
    ///   - name: as in ``pictureNames``; several, separated by commas, stand beside each other.
    ///   - columns: how many stand beside each other.
    /// - Throws: ``ReportPictureError`` when there is no such picture.
    public func svg(_ name: String, columns: Int = 2) throws(ReportPictureError) -> String {
        let names = pictureNames
        if names.isEmpty { throw .noPictures }
        var chosen: [(title: String, picture: Picture)] = []
        for part in name.split(separator: ",").map(String.init) {
            let panels = figures.flatMap { figure in
                figure.panels.compactMap { panel in
                    panel.picture.flatMap { picture in picture.id == part || figure.id == part ? (title: panel.title, picture: picture) : nil }
                }
            }
            guard !panels.isEmpty else { throw .unknown(name: part, known: names) }
            chosen += panels
        }
        guard !chosen.isEmpty else { throw .unknown(name: name, known: names) }
        return StandaloneSVG(entries: chosen, columns: max(1, columns), foot: reported.environments.first?.machineLine ?? "").text
    }
}

/// Pictures in a grid, in one file.
private struct StandaloneSVG {
    let entries: [(title: String, picture: Picture)]
    let columns: Int
    let foot: String

    private static let margin = 20.0
    private static let gap = 32.0
    private static let heading = 42.0

    var text: String {
        var body = ""
        var y = Self.margin
        let cell = entries.map(\.picture.width).max() ?? 0
        let used = min(columns, entries.count)
        let width = Self.margin * 2 + cell * Double(used) + Self.gap * Double(used - 1)
        for start in stride(from: 0, to: entries.count, by: columns) {
            let row = entries[start..<min(start + columns, entries.count)]
            for (column, entry) in row.enumerated() {
                let x = Self.margin + Double(column) * (cell + Self.gap)
                let picture = entry.picture
                // What was done, and below it what of that is shown.
                let words = entry.title.split(separator: ": ", maxSplits: 1).map(String.init)
                for (line, text) in words.enumerated() {
                    let place = "x=\"\(Drawing.number(x))\" y=\"\(Drawing.number(y + 13 + Double(line) * 16))\""
                    body += "<text class=\"t \(line == 0 ? "b" : "q")\" \(place)>\(Markup.escaped(TextWidth.fitted(text, cell)))</text>\n"
                }
                body += "<g transform=\"translate(\(Drawing.number(x)) \(Drawing.number(y + Self.heading)))\">\n\(picture.elements)</g>\n"
            }
            y += (row.map(\.picture.height).max() ?? 0) + Self.heading + Self.gap * 0.6
        }
        body += "<text class=\"t q\" x=\"\(Drawing.number(Self.margin))\" y=\"\(Drawing.number(y + 4))\">\(Markup.escaped(foot))</text>\n"
        let height = y + Self.margin
        let size = "width=\"\(Drawing.number(width))\" height=\"\(Drawing.number(height))\" viewBox=\"0 0 \(Drawing.number(width)) \(Drawing.number(height))\""
        return """
            <svg xmlns="http://www.w3.org/2000/svg" \(size) role="img" aria-labelledby="title description">
            <title id="title">\(Markup.escaped(entries.map(\.title).joined(separator: "; ")))</title>
            <desc id="description">\(Markup.escaped(entries.map(\.picture.description).joined(separator: "; ")))</desc>
            <style>
            \(rules)
            </style>
            <rect width="100%" height="100%" rx="6" fill="#ffffff"/>
            \(body)</svg>

            """
    }

    /// The light colours in place of their names: not every program that draws SVG knows variables.
    private var rules: String {
        Palette.variables(isDark: false).reduce(Palette.pictureRules) { rules, variable in rules.replacing("var(--\(variable.name))", with: variable.colour) }
    }
}
