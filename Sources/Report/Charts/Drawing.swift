import Gauge

/// A picture being drawn: SVG elements in the order in which they lie over each other. Colours are classes, which the style sheet defines for light and dark.
struct Drawing {
    enum Anchor: String { case start, middle, end }

    private(set) var elements = ""

    /// - Parameters:
    ///   - value: what the mark shows, as the record has it; kept with it, and the mark is counted as one.
    ///   - about: told when somebody points at it.
    mutating func rectangle(
        x: Double, y: Double, width: Double, height: Double, _ classes: String, fill: String? = nil, value: Double? = nil, about: String? = nil,
        radius: Double = 0
    ) {
        let corner = radius > 0 ? " rx=\"\(number(radius))\"" : ""
        let fill = fill.map { " fill=\"\($0)\"" } ?? ""
        element("rect", "x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(max(width, 0)))\" height=\"\(number(max(height, 0)))\"\(corner)\(fill)",
            classes, value, about)
    }

    mutating func line(x1: Double, y1: Double, x2: Double, y2: Double, _ classes: String, value: Double? = nil, about: String? = nil) {
        element("line", "x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"", classes, value, about)
    }

    mutating func circle(x: Double, y: Double, radius: Double, _ classes: String, value: Double? = nil, about: String? = nil) {
        element("circle", "cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"\(number(radius))\"", classes, value, about)
    }

    mutating func path(_ points: [(x: Double, y: Double)], _ classes: String, isClosed: Bool = false, dash: String? = nil, about: String? = nil) {
        guard let first = points.first else { return }
        let rest = points.dropFirst().map { "L\(number($0.x)) \(number($0.y))" }.joined()
        let dash = dash.map { " stroke-dasharray=\"\($0)\"" } ?? ""
        element("path", "d=\"M\(number(first.x)) \(number(first.y))\(rest)\(isClosed ? "Z" : "")\"\(dash)", classes, nil, about)
    }

    mutating func text(_ text: String, x: Double, y: Double, _ classes: String = "t", anchor: Anchor = .start) {
        let anchor = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
        elements += "<text class=\"\(classes)\" x=\"\(number(x))\" y=\"\(number(y))\"\(anchor)>\(Markup.escaped(text))</text>\n"
    }

    /// SVG that was made elsewhere in this module.
    mutating func insert(_ svg: String) { elements += svg }

    private mutating func element(_ name: String, _ attributes: String, _ classes: String, _ value: Double?, _ about: String?) {
        let value = value.map { " data-value=\"\($0)\"" } ?? ""
        let open = "<\(name) class=\"\(classes)\" \(attributes)\(value)"
        elements += about.map { "\(open)><title>\(Markup.escaped($0))</title></\(name)>\n" } ?? "\(open)/>\n"
    }

    private func number(_ value: Double) -> String { Self.number(value) }

    /// A coordinate to a tenth: what a finer one shows nobody sees.
    static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e6 else { return "0" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}

/// A finished picture.
struct Picture: Sendable {
    /// Unique on its page, such as `latency-2`.
    let id: String
    let title: String
    /// What there is to see, for who cannot see it.
    let description: String
    let width: Double
    let height: Double
    let elements: String
    /// It does not get narrower on a narrow screen; its box scrolls.
    var isWide = false

    /// As a part of a page, whose style sheet has the colours.
    var inline: String {
        let minimum = isWide ? " style=\"min-width:\(Drawing.number(width * 0.8))px;max-width:\(Drawing.number(width * 1.15))px\"" : ""
        return """
            <svg viewBox="0 0 \(Drawing.number(width)) \(Drawing.number(height))" role="img" aria-labelledby="\(id)-t \(id)-d"\(minimum)>
            <title id="\(id)-t">\(Markup.escaped(title))</title>
            <desc id="\(id)-d">\(Markup.escaped(description))</desc>
            \(elements)</svg>

            """
    }
}

/// Text of which nobody knows the exact width before a browser draws it.
enum TextWidth {
    /// Of a character at the size of labels, 12 units: a little more than in the widest of the usual fonts.
    private static let character = 7.5

    static func of(_ text: String) -> Double { Double(text.displayWidth) * character }

    /// `text`, cut short in the middle when it is wider than `width`: beginning and end tell names apart.
    static func fitted(_ text: String, _ width: Double) -> String {
        guard of(text) > width else { return text }
        let kept = max(Int(width / character) - 1, 4)
        return "\(text.prefix((kept + 1) / 2))…\(text.suffix(kept / 2))"
    }
}
