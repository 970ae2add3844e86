/// The colours of pictures: those of Okabe and Ito, which people with any common colour blindness can tell apart, in two depths so that they stand out from
/// white and from black paper. Nothing is told by them alone: lines have names and dashes, parts of bars patterns, verdicts signs.
enum Palette {
    /// Blue, vermillion, green, purple, orange, sky, grey.
    static let light = ["#0072b2", "#d55e00", "#00855f", "#a8508a", "#b07a00", "#2f8fc4", "#6b6b6b"]
    static let dark = ["#4ba3e3", "#ff8a4a", "#2fc79a", "#e59cc4", "#e8b03a", "#8fd0f7", "#b0b0b0"]
    static var count: Int { light.count }

    /// Beyond the colours, lines are told apart by their dashes as well.
    static func dash(_ slot: Int) -> String? {
        switch slot / count {
        case 0: nil
        case 1: "6 3"
        case 2: "2 3"
        default: "9 3 2 3"
        }
    }

    /// Light to dark of one hue, so that order survives without colour at all; and which of them carry light text.
    private static let heatLight = ["#eef4f9", "#d3e3f1", "#aecbe5", "#7faed6", "#4a8bc0", "#1f659f", "#0b3c68"]
    private static let heatDark = ["#1c2733", "#20394f", "#245078", "#2f6ea6", "#4f94cf", "#8bbfe8", "#d3e9fb"]

    private static func paper(isDark: Bool) -> [(name: String, colour: String)] {
        isDark
            ? [
                ("paper", "#14171b"), ("card", "#14171b"), ("ink", "#e7eaee"), ("quiet", "#a3abb6"), ("rule", "#333a43"), ("grid", "#2b3139"),
                ("good", "#2fc79a"), ("bad", "#ff8a4a"), ("unsure", "#7d8794"), ("reference", "#8b95a3"), ("hatch", "#14171b"),
            ]
            : [
                ("paper", "#ffffff"), ("card", "#ffffff"), ("ink", "#1b1f24"), ("quiet", "#5b6470"), ("rule", "#d9dee4"), ("grid", "#e7eaee"),
                ("good", "#00855f"), ("bad", "#c25200"), ("unsure", "#8c95a0"), ("reference", "#77818d"), ("hatch", "#ffffff"),
            ]
    }

    /// All colours by name.
    static func variables(isDark: Bool) -> [(name: String, colour: String)] {
        let colours = (isDark ? dark : light).enumerated().map { ("c\($0)", $1) }
        let heat = (isDark ? heatDark : heatLight).enumerated().map { ("h\($0)", $1) }
        // From the shade on where the ink would not stand out, text takes the paper's colour.
        let onHeat = heat.indices.map { ("o\($0)", isDark ? ($0 >= 4 ? "#14171b" : "#e7eaee") : ($0 >= 4 ? "#ffffff" : "#1b1f24")) }
        return paper(isDark: isDark) + colours + heat + onHeat
    }

    static func declarations(isDark: Bool) -> String { variables(isDark: isDark).map { "--\($0.name):\($0.colour)" }.joined(separator: ";") }

    /// What the classes of pictures look like, by the colours' names.
    static var pictureRules: String {
        let slots = (0..<count).map { ".f\($0){fill:var(--c\($0))}.s\($0){stroke:var(--c\($0))}.k\($0){fill:var(--c\($0))}" }.joined()
        let heat = (0...6).map { ".heat\($0){fill:var(--h\($0));stroke:var(--rule);stroke-width:.5}svg .on\($0){fill:var(--o\($0));stroke:none}" }.joined()
        return """
            svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
            .t{fill:var(--ink);stroke:var(--card);stroke-width:3px;stroke-linejoin:round;paint-order:stroke}.q{fill:var(--quiet);font-size:11px!important}.b{font-weight:600!important}
            .g{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--quiet);stroke-width:1}.l{fill:none;stroke-width:2;stroke-linejoin:round}
            .dot{stroke:var(--card);stroke-width:1.5}.whisker{stroke:var(--ink);stroke-width:1.3}.under{stroke:var(--card);stroke-width:3.6}
            .leader{fill:none;stroke:var(--quiet);stroke-width:.7}.bound{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:4 3}
            .step{stroke:var(--bad);stroke-width:2}
            .better{fill:var(--good)}.worse{fill:var(--bad)}.unsure{fill:var(--unsure)}.reference{fill:var(--reference)}
            .invalid{fill:var(--card);stroke:var(--bad);stroke-width:1.5;stroke-dasharray:3 2}.hollow{fill:var(--card);stroke:var(--ink);stroke-width:1.8}
            .cross{fill:none;stroke:var(--bad);stroke-width:2.6}.h{fill:none;stroke:var(--hatch);stroke-width:1.3}
            .empty{fill:none;stroke:var(--rule);stroke-width:1}.n{pointer-events:none}.faint{opacity:.35}\(slots)\(heat)
            """
    }
}
