import Foundation

/// A flame graph as one SVG file that works without a network: frames zoom when they are clicked, a search marks what it finds.
///
/// Width is weight, from left to right in order of names; what a function called stands on it.
public struct FlameGraph: Sendable {
    /// What widths are, as people read it after a number, such as "samples" or "us".
    let unit: String
    let title: String
    let subtitle: String
    let stacks: FoldedStacks
    /// An earlier profile, and what its weights are to be multiplied by to be held against this one's.
    let earlier: (stacks: FoldedStacks, scale: Double)?

    /// - Parameters:
    ///   - title: in large letters.
    ///   - subtitle: what was run, and how it was looked at.
    public init(_ stacks: FoldedStacks, title: String, subtitle: String, unit: String = "samples") {
        self.init(stacks, earlier: nil, title: title, subtitle: subtitle, unit: unit)
    }

    /// The picture of a change: what has grown is red, what has shrunk blue, by how much of the new whole; widths are those of the new profile.
    ///
    /// - Parameter scale: what a weight of `earlier` is worth in weights of `stacks`.
    public init(_ stacks: FoldedStacks, earlier: FoldedStacks, scale: Double, title: String, subtitle: String, unit: String = "samples") {
        self.init(stacks, earlier: (earlier, scale), title: title, subtitle: subtitle, unit: unit)
    }

    private init(_ stacks: FoldedStacks, earlier: (FoldedStacks, Double)?, title: String, subtitle: String, unit: String) {
        self.stacks = stacks
        self.earlier = earlier
        self.title = title
        self.subtitle = subtitle
        self.unit = unit
    }

    static let width = 1200.0
    static let margin = 10.0
    static let top = 84.0
    static let bottom = 40.0
    static let rowHeight = 17.0
    /// Of letters in frames, which are all equally wide.
    static let letterWidth = 6.65
    /// Narrower frames could be seen only after zooming in by a factor of thousands.
    static let shareMin = 1e-4

    /// The file's text.
    public var svg: String {
        let boxes = FlameTree(stacks, earlier: earlier?.stacks).boxes(least: Double(stacks.total) * Self.shareMin)
        let depth = (boxes.map(\.depth).max() ?? 0) + 1
        let height = Self.top + Double(depth) * Self.rowHeight + Self.bottom
        var text = """
            <?xml version="1.0" encoding="UTF-8" standalone="no"?>
            <svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="100%" viewBox="0 0 \(Drawing.number(Self.width)) \(Drawing.number(height))" \
            data-total="\(stacks.total)" data-unit="\(Markup.escaped(unit))" data-width="\(Drawing.number(Self.width))" data-margin="\(Drawing.number(Self.margin))" \
            data-letter="\(Self.letterWidth)">
            <title>\(Markup.escaped(title))</title>
            <style>\(FlameStyle.text)</style>
            <rect class="paper" x="0" y="0" width="100%" height="100%"/>
            <text class="h" x="\(Drawing.number(Self.margin))" y="26">\(Markup.escaped(title))</text>
            <text class="q" x="\(Drawing.number(Self.margin))" y="45">\(Markup.escaped(Self.fitted(subtitle, Self.width - 320, letter: 6.6)))</text>

            """
        text += legend + controls(height)
        text += "<g id=\"frames\" tabindex=\"0\" role=\"tree\" aria-label=\"\(Markup.escaped(title))\">\n"
        for box in boxes { text += frame(box, height) }
        return text + "</g>\n<script><![CDATA[\n\(FlameScript.text)\n]]></script>\n</svg>\n"
    }

    private func frame(_ box: FlameTree.Box, _ height: Double) -> String {
        let scale = stacks.total > 0 ? (Self.width - 2 * Self.margin) / Double(stacks.total) : 0
        let x = Self.margin + Double(box.start) * scale
        let width = Double(box.weight) * scale
        let y = height - Self.bottom - Double(box.depth + 1) * Self.rowHeight
        let share = stacks.total > 0 ? Double(box.weight) / Double(stacks.total) : 0
        var about = "\(box.name) (\(Self.grouped(box.weight)) \(unit), \(String(format: "%.2f", share * 100)) %)"
        var classes = "f \(Self.colour(box.name))"
        if let change = change(box) {
            about += ", before \(Self.grouped(UInt64(max(change.before, 0).rounded()))) (\(String(format: "%+.2f", change.share * 100)) % of all)"
            classes = "f \(Self.changeColour(change.share))"
        }
        let label = Self.fitted(box.name, width - 6, letter: Self.letterWidth)
        return "<g class=\"\(classes)\" data-s=\"\(box.start)\" data-w=\"\(box.weight)\" data-d=\"\(box.depth)\" data-n=\"\(Markup.escaped(box.name))\">"
            + "<title>\(Markup.escaped(about))</title><rect x=\"\(Self.fine(x))\" y=\"\(Drawing.number(y))\" width=\"\(Self.fine(max(width - 0.3, 0.1)))\" height=\"\(Drawing.number(Self.rowHeight - 1))\" rx=\"1.5\"/>"
            + "<text x=\"\(Self.fine(x + 3))\" y=\"\(Drawing.number(y + 12))\">\(Markup.escaped(label))</text></g>\n"
    }

    private func change(_ box: FlameTree.Box) -> (before: Double, share: Double)? {
        guard let earlier, stacks.total > 0 else { return nil }
        let before = Double(box.earlier) * earlier.scale
        return (before, (Double(box.weight) - before) / Double(stacks.total))
    }

    private var legend: String {
        let entries: [(String, String)] = earlier == nil
            ? [("k1", "kernel"), ("s1", "Swift"), ("c1", "C"), ("o1", "other")] : [("b4", "less"), ("b2", ""), ("z0", "the same"), ("r2", ""), ("r4", "more")]
        var x = Self.margin
        var text = ""
        for (colour, name) in entries {
            text += "<rect class=\"\(colour)\" x=\"\(Drawing.number(x))\" y=\"58\" width=\"12\" height=\"12\" rx=\"2\"/>"
            if !name.isEmpty { text += "<text class=\"q\" x=\"\(Drawing.number(x + 17))\" y=\"68\">\(name)</text>" }
            x += name.isEmpty ? 16 : 30 + Double(name.count) * 6.6
        }
        return text + "\n"
    }

    private func controls(_ height: Double) -> String {
        """
        <g id="reset" class="button" role="button" tabindex="0" aria-label="reset zoom" visibility="hidden"><rect x="855" y="12" width="92" height="24" rx="4"/>\
        <text x="901" y="28" text-anchor="middle">reset zoom</text></g>
        <foreignObject x="957" y="10" width="233" height="30"><input xmlns="http://www.w3.org/1999/xhtml" id="search" type="text" spellcheck="false" \
        placeholder="search (Ctrl-F), text or /pattern/" aria-label="search"/></foreignObject>
        <text id="matched" class="q" x="1190" y="58" text-anchor="end"></text>
        <text id="about" class="q" x="\(Drawing.number(Self.margin))" y="\(Drawing.number(height - 14))"></text>

        """
    }

    /// Frames of a kind have one hue, in four depths so that neighbours are told apart.
    static func colour(_ name: String) -> String {
        // FNV-1a: the same name has the same depth in every picture.
        let hash = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let letter = switch FrameNames.kind(name) {
        case .kernel: "k"
        case .swift: "s"
        case .c: "c"
        case .other: "o"
        }
        return letter + String((hash >> 8) % 4)
    }

    /// - Parameter share: of the whole by which it has changed.
    static func changeColour(_ share: Double) -> String {
        let depth = [0.001, 0.005, 0.02, 0.05, 0.1].firstIndex { abs(share) < $0 } ?? 5
        return depth == 0 ? "z0" : "\(share > 0 ? "r" : "b")\(depth)"
    }

    static func fitted(_ text: String, _ width: Double, letter: Double) -> String {
        let room = Int(max(width, 0) / letter)
        if text.count <= room { return text }
        return room < 3 ? "" : text.prefix(room - 1) + "…"
    }

    /// A coordinate to a hundredth.
    private static func fine(_ value: Double) -> String { String(format: "%.2f", value) }

    static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number))
        return digits.indices.map { ($0 > 0 && (digits.count - $0) % 3 == 0 ? "," : "") + String(digits[$0]) }.joined()
    }
}
