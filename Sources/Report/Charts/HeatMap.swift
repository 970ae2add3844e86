import Foundation
import Gauge

/// A number for each pair of a row and a column, with a colour that says how large it is.
struct HeatMap {
    enum Cell {
        /// - isDoubtful: the run behind it must not be believed.
        case value(Double, text: String, isDoubtful: Bool)
        case absent(String)
        /// The pair was not asked for.
        case none
    }

    let id: String
    let title: String
    let columnTitle: String
    let rowTitle: String
    let columns: [String]
    let rows: [(label: String, cells: [Cell])]

    private static let cellWidth = 62.0
    private static let cellHeight = 30.0

    private var nameWidth: Double { min(max(rows.map { TextWidth.of($0.label) }.max() ?? 0, TextWidth.of(rowTitle)), 170) }
    private var left: Double { nameWidth + 10 }
    /// Names of columns are turned, so they take height and not width.
    private var top: Double { min(columns.map(TextWidth.of).max() ?? 0, 150) * 0.64 + 30 }

    /// 0 to 6: at most 1.25, 2, 3, 5, 10, 30, more. Bounds that people think in, not even parts of what happens to be there.
    static func shade(_ ratio: Double) -> Int { [1.25, 2, 3, 5, 10, 30].firstIndex { ratio <= $0 } ?? 6 }

    static let shadeNames = ["≤ 1.25", "≤ 2", "≤ 3", "≤ 5", "≤ 10", "≤ 30", "> 30"]

    var picture: Picture {
        var drawing = Drawing()
        let plotWidth = Double(columns.count) * Self.cellWidth
        let bottom = top + Double(rows.count) * Self.cellHeight
        drawing.insert(
            "<defs><pattern id=\"\(id)-doubt\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"h\" d=\"M0 6L6 0\"/></pattern></defs>\n")
        drawing.text(rowTitle, x: 2, y: top - 10, "t q")
        drawing.text(columnTitle, x: 2, y: 12, "t q")
        for (index, column) in columns.enumerated() {
            let x = left + (Double(index) + 0.42) * Self.cellWidth
            drawing.insert(
                "<text class=\"t\" transform=\"translate(\(Drawing.number(x)) \(Drawing.number(top - 8))) rotate(-40)\">"
                    + "\(Markup.escaped(TextWidth.fitted(column, 150)))</text>\n")
        }
        for (index, row) in rows.enumerated() {
            let y = top + Double(index) * Self.cellHeight
            drawing.text(TextWidth.fitted(row.label, nameWidth + 1), x: left - 8, y: y + 19, "t", anchor: .end)
            for (column, cell) in row.cells.enumerated() {
                draw(cell, about: "\(row.label), \(columns[column])", x: left + Double(column) * Self.cellWidth, y: y, in: &drawing)
            }
        }
        let legendWidth = drawLegend(y: bottom + 14, in: &drawing)
        let told = rows.flatMap { row in
            zip(columns, row.cells).compactMap { column, cell in
                if case .value(_, let text, _) = cell { "\(row.label), \(column): \(text)" } else { nil }
            }
        }
        let turned = (columns.last.map(TextWidth.of) ?? 0) * 0.77
        return Picture(
            id: id, title: title, description: told.joined(separator: "; "), width: max(left + plotWidth + max(4, min(turned, 115) - 34), legendWidth + 4),
            height: bottom + 44, elements: drawing.elements, isWide: true)
    }

    private func draw(_ cell: Cell, about: String, x: Double, y: Double, in drawing: inout Drawing) {
        let (width, height) = (Self.cellWidth - 2, Self.cellHeight - 2)
        switch cell {
        case .value(let value, let text, let isDoubtful):
            let shade = Self.shade(value)
            drawing.rectangle(x: x + 1, y: y + 1, width: width, height: height, "mark heat\(shade)", value: value, about: "\(about): \(text)", radius: 2)
            if isDoubtful { drawing.rectangle(x: x + 1, y: y + 1, width: width, height: height, "n faint", fill: "url(#\(id)-doubt)") }
            drawing.text(isDoubtful ? text + " !" : text, x: x + Self.cellWidth / 2, y: y + 19, "t b on\(shade)", anchor: .middle)
        case .absent(let reason):
            drawing.rectangle(x: x + 1, y: y + 1, width: width, height: height, "empty", about: "\(about): not available: \(reason)", radius: 2)
            drawing.text("–", x: x + Self.cellWidth / 2, y: y + 19, "t q", anchor: .middle)
        case .none: break
        }
    }

    /// What the shades mean; gives its width.
    private func drawLegend(y: Double, in drawing: inout Drawing) -> Double {
        var x = 2.0
        for (index, name) in Self.shadeNames.enumerated() {
            drawing.rectangle(x: x, y: y, width: 14, height: 14, "heat\(index)", radius: 2)
            drawing.text(name, x: x + 18, y: y + 11, "t q")
            x += TextWidth.of(name) + 32
        }
        return x
    }
}

/// Columns that go down, or up, a step for each layer of a stack.
struct Staircase {
    struct Step {
        let label: String
        let value: Double
        /// What the layer did, such as `yamux: -8.2 %`; empty for the first.
        let change: String
    }

    let id: String
    let title: String
    let axisTitle: String
    let quantity: Quantity
    let steps: [Step]

    private static let width = 420.0
    private static let height = 290.0

    var picture: Picture {
        let axis = Axis.linear(axisTitle, quantity, to: steps.map(\.value).max() ?? 0, ticksMax: 4)
        let (left, right, top, bottom) = ((axis.ticks.map { TextWidth.of($0.label) }.max() ?? 0) + 10, Self.width - 6, 44.0, Self.height - 40)
        func y(_ value: Double) -> Double { bottom - axis.fraction(value) * (bottom - top) }
        var drawing = Drawing()
        drawing.text(axis.title, x: 2, y: 12, "t q")
        for tick in axis.ticks {
            drawing.line(x1: left, y1: y(tick.value), x2: right, y2: y(tick.value), "g")
            drawing.text(tick.label, x: left - 6, y: y(tick.value) + 4, "t q", anchor: .end)
        }
        let slot = (right - left) / Double(max(steps.count, 1))
        for (index, step) in steps.enumerated() {
            let start = left + Double(index) * slot
            let height = y(step.value)
            let width = min(slot - 10, 84)
            drawing.rectangle(
                x: start + (slot - width) / 2, y: height, width: width, height: max(bottom - height, 1), "mark \(index == 0 ? "reference" : "f0")", value: step.value,
                about: "\(step.label): \(quantity.format(step.value))", radius: 1.5)
            if index > 0 {
                // The step itself: from where the stack below ends to where this one does.
                let before = y(steps[index - 1].value)
                drawing.line(x1: start - (slot - width) / 2, y1: before, x2: start + (slot + width) / 2, y2: before, "bound")
                if abs(before - height) > 3 {
                    drawing.line(x1: start + slot / 2, y1: before, x2: start + slot / 2, y2: height, "step")
                }
            }
            let above = min(height, index > 0 ? y(steps[index - 1].value) : height)
            drawing.text(quantity.format(step.value), x: start + slot / 2, y: above - (step.change.isEmpty ? 6 : 19), "t b", anchor: .middle)
            if !step.change.isEmpty {
                drawing.text(TextWidth.fitted(step.change, slot), x: start + slot / 2, y: above - 6, "t q", anchor: .middle)
            }
            drawing.text(TextWidth.fitted(step.label, slot), x: start + slot / 2, y: bottom + 17, "t", anchor: .middle)
        }
        drawing.line(x1: left, y1: bottom, x2: right, y2: bottom, "axis")
        drawing.text("stack, a layer more from left to right", x: (left + right) / 2, y: bottom + 34, "t q", anchor: .middle)
        return Picture(
            id: id, title: title,
            description: steps.map { "\($0.label): \(quantity.format($0.value))\($0.change.isEmpty ? "" : " (\($0.change))")" }.joined(separator: "; "),
            width: Self.width, height: Self.height, elements: drawing.elements)
    }
}
