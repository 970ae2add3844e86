import Gauge

/// A bar for each subject, with how far its repeats spread.
struct BarChart {
    struct Bar {
        let label: String
        let value: Double
        /// What the repeats gave; with fewer than two there is no spread to draw.
        var repeats: [Double] = []
        /// Something the others are held against.
        var isReference = false
        /// A figure that must not be believed.
        var isInvalid = false
    }

    let id: String
    let title: String
    let axisTitle: String
    let quantity: Quantity
    let bars: [Bar]
    var unit = ""

    var picture: Picture {
        let texts = bars.map { quantity.format($0.value) }
        let frame = RowFrame(labels: bars.map(\.label), texts: texts)
        let axis = Axis.linear(axisTitle, quantity, to: bars.flatMap { $0.repeats + [$0.value] }.max() ?? 0, ticksMax: 4, unit: unit)
        var drawing = Drawing()
        frame.draw(axis, in: &drawing)
        for (row, bar) in bars.enumerated() {
            let y = frame.middle(row)
            let end = frame.x(axis.fraction(bar.value))
            let colour = bar.isInvalid ? "invalid" : bar.isReference ? "reference" : "f0"
            drawing.rectangle(
                x: frame.plotLeft, y: y - 7, width: max(end - frame.plotLeft, 1), height: 14, "mark \(colour)", value: bar.value,
                about: "\(bar.label): \(texts[row])", radius: 1.5)
            if bar.repeats.count > 1, let least = bar.repeats.min(), let most = bar.repeats.max() {
                Self.whisker(from: frame.x(axis.fraction(least)), to: frame.x(axis.fraction(most)), y: y, in: &drawing)
            }
            drawing.text(texts[row], x: RowFrame.width - 2, y: y + 4, "t b", anchor: .end)
        }
        drawing.line(x1: frame.plotLeft, y1: frame.plotTop, x2: frame.plotLeft, y2: frame.plotBottom, "axis")
        return Picture(
            id: id, title: title, description: zip(bars, texts).map { "\($0.label): \($1)" }.joined(separator: "; "), width: RowFrame.width,
            height: frame.height, elements: drawing.elements)
    }

    /// A line with ends, drawn twice so that it is seen on a bar and beside it.
    static func whisker(from low: Double, to high: Double, y: Double, in drawing: inout Drawing) {
        for style in ["whisker under", "whisker"] {
            drawing.line(x1: low, y1: y, x2: high, y2: y, style)
            for x in [low, high] { drawing.line(x1: x, y1: y - 4, x2: x, y2: y + 4, style) }
        }
    }
}

/// A ratio for each subject on a logarithmic scale, as bars from 1, each with its interval.
struct RatioChart {
    struct Row {
        let label: String
        let ratio: Double
        let interval: RatioInterval?
        let verdict: Verdict
    }

    let id: String
    let title: String
    let axisTitle: String
    let rows: [Row]

    static func sign(_ verdict: Verdict) -> String {
        switch verdict {
        case .better: "▲"
        case .worse: "▼"
        case .equal: "="
        case .cannotTell: "?"
        }
    }

    var picture: Picture {
        let texts = rows.map { "\(ComparisonView.ratio($0.ratio)) \(Self.sign($0.verdict))" }
        let frame = RowFrame(labels: rows.map(\.label), texts: texts)
        let axis = Axis.logarithmic(
            axisTitle, .number, rows.flatMap { [$0.ratio, $0.interval?.low ?? 1, $0.interval?.high ?? 1] }, including: [1], ticksMax: 5, unit: "ratio")
        var drawing = Drawing()
        frame.draw(axis, in: &drawing)
        let one = frame.x(axis.fraction(1))
        for (row, entry) in rows.enumerated() {
            let y = frame.middle(row)
            let end = frame.x(axis.fraction(entry.ratio))
            let colour = switch entry.verdict {
            case .better: "better"
            case .worse: "worse"
            case .equal, .cannotTell: "unsure"
            }
            drawing.rectangle(
                x: min(one, end), y: y - 5, width: max(abs(end - one), 1), height: 10, "mark \(colour)", value: entry.ratio,
                about: "\(entry.label): ratio \(ComparisonView.ratio(entry.ratio)), \(entry.verdict.rawValue)")
            if let interval = entry.interval {
                BarChart.whisker(from: frame.x(axis.fraction(interval.low)), to: frame.x(axis.fraction(interval.high)), y: y, in: &drawing)
            }
            drawing.circle(x: end, y: y, radius: 3.5, "dot \(colour)")
            drawing.text(texts[row], x: RowFrame.width - 2, y: y + 4, "t b", anchor: .end)
        }
        drawing.line(x1: one, y1: frame.plotTop, x2: one, y2: frame.plotBottom, "axis")
        return Picture(
            id: id, title: title, description: rows.map { "\($0.label): ratio \(ComparisonView.ratio($0.ratio)), \($0.verdict.rawValue)" }.joined(separator: "; "),
            width: RowFrame.width, height: frame.height, elements: drawing.elements)
    }
}

/// Bars made of parts: one after the other where they add up, one under the other where they do not.
struct PartsChart {
    struct Row {
        let label: String
        /// As many as there are names; an absent part is nil.
        let values: [Double?]
        /// At the right; empty for none.
        var text = ""
    }

    let id: String
    let title: String
    let axisTitle: String
    let quantity: Quantity
    let parts: [String]
    let rows: [Row]
    let isStacked: Bool
    var unit = ""

    var picture: Picture {
        let legend = Legend(id: id, names: parts)
        let thickness = 8.0
        let rowHeight = isStacked ? RowFrame.rowHeight + 2 : Double(parts.count) * thickness + 10
        let frame = RowFrame(labels: rows.map(\.label), texts: rows.map(\.text), top: legend.height + 4, rowHeight: rowHeight)
        let ends = rows.map { row in isStacked ? row.values.compactMap(\.self).reduce(0, +) : row.values.compactMap(\.self).max() ?? 0 }
        let axis = Axis.linear(axisTitle, quantity, to: ends.max() ?? 0, ticksMax: 4, unit: unit)
        var drawing = Drawing()
        legend.draw(in: &drawing)
        frame.draw(axis, in: &drawing)
        for (index, row) in rows.enumerated() {
            var sum = 0.0
            for (part, value) in row.values.enumerated() {
                guard let value else { continue }
                let start = frame.x(axis.fraction(isStacked ? sum : 0))
                let end = frame.x(axis.fraction(isStacked ? sum + value : value))
                let y = isStacked ? frame.middle(index) - 8 : frame.middle(index) - rowHeight / 2 + 5 + Double(part) * thickness
                legend.fill(
                    part, x: start, y: y, width: isStacked ? end - start : max(end - start, 1), height: isStacked ? 16 : thickness - 1, value: value,
                    about: "\(row.label), \(parts[part]): \(quantity.format(value))", in: &drawing)
                sum += value
            }
            if !row.text.isEmpty { drawing.text(row.text, x: RowFrame.width - 2, y: frame.middle(index) + 4, "t b", anchor: .end) }
        }
        drawing.line(x1: frame.plotLeft, y1: frame.plotTop, x2: frame.plotLeft, y2: frame.plotBottom, "axis")
        let told = rows.map { row in
            let values = zip(parts, row.values).compactMap { part, value in value.map { "\(part) \(quantity.format($0))" } }
            return "\(row.label): \(values.joined(separator: ", "))"
        }
        return Picture(
            id: id, title: title, description: told.joined(separator: "; "), width: RowFrame.width, height: frame.height, elements: drawing.elements)
    }
}
