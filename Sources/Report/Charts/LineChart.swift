import Gauge

/// Lines over an axis, each with its name at its end.
struct LineChart {
    struct Line {
        let label: String
        /// In the order of x.
        let points: [(x: Double, y: Double)]
        /// Which colour, and with more lines than colours which dashes.
        let slot: Int
        /// Whether the points themselves are drawn: measured ones, and not those of a distribution.
        var hasDots = true
        var isStep = false
    }

    /// A value to look at on one of the axes.
    struct Mark {
        let value: Double
        let label: String
        let isVertical: Bool
    }

    /// Something at a single place, told apart by its shape.
    struct Dot {
        enum Shape { case disc, cross, triangle, square }
        let x: Double
        let y: Double
        let shape: Shape
        let about: String
    }

    static let width = 420.0
    static let height = 290.0

    let id: String
    let title: String
    let x: Axis
    let y: Axis
    let lines: [Line]
    var marks: [Mark] = []
    var dots: [Dot] = []
    /// How a value of y is told.
    let quantity: Quantity

    private var left: Double { (y.ticks.map { TextWidth.of($0.label) }.max() ?? 0) + 10 }
    private var right: Double {
        let names = lines.count > 1 || marks.contains { !$0.isVertical } ? lines.map(\.label) + marks.filter { !$0.isVertical }.map(\.label) : []
        return Self.width - max(30, min(names.map(TextWidth.of).max() ?? 0, 150) + 8)
    }
    private var top: Double { marks.contains(where: \.isVertical) ? 38 : 24 }
    private var bottom: Double { Self.height - 40 }

    private func place(_ point: (x: Double, y: Double)) -> (x: Double, y: Double) {
        (left + x.fraction(point.x) * (right - left), bottom - y.fraction(point.y) * (bottom - top))
    }

    var picture: Picture {
        var drawing = Drawing()
        drawAxes(in: &drawing)
        for line in lines { draw(line, in: &drawing) }
        for dot in dots { draw(dot, in: &drawing) }
        drawMarks(in: &drawing)
        if lines.count > 1 { drawNames(in: &drawing) }
        let told = lines.map { line in
            let last = line.points.last.map { ", \(quantity.format($0.y)) at its end" } ?? ""
            return "\(line.label): \(line.points.count) points\(last)"
        }
        return Picture(id: id, title: title, description: told.joined(separator: "; "), width: Self.width, height: Self.height, elements: drawing.elements)
    }

    private func drawAxes(in drawing: inout Drawing) {
        drawing.text(y.title, x: 2, y: 12, "t q")
        var lowest = Double.infinity
        for tick in y.ticks {
            let height = bottom - y.fraction(tick.value) * (bottom - top)
            drawing.line(x1: left, y1: height, x2: right, y2: height, "g")
            guard height < lowest - 11 else { continue }
            drawing.text(tick.label, x: left - 6, y: height + 4, "t q", anchor: .end)
            lowest = height
        }
        var end = -Double.infinity
        for tick in x.ticks {
            let place = left + x.fraction(tick.value) * (right - left)
            drawing.line(x1: place, y1: bottom, x2: place, y2: bottom + 4, "g")
            let half = TextWidth.of(tick.label) * 0.45
            guard place - half > end + 4, place + half < Self.width else { continue }
            drawing.text(tick.label, x: place, y: bottom + 17, "t q", anchor: .middle)
            end = place + half
        }
        drawing.line(x1: left, y1: bottom, x2: right, y2: bottom, "axis")
        let half = TextWidth.of(x.title) / 2
        drawing.text(x.title, x: max(min((left + right) / 2, Self.width - half - 2), half + 2), y: bottom + 34, "t q", anchor: .middle)
    }

    private func draw(_ line: Line, in drawing: inout Drawing) {
        var points = line.points.map(place)
        if line.isStep {
            points = zip(points, points.dropFirst()).flatMap { [$0, (x: $1.x, y: $0.y)] } + points.suffix(1)
        }
        drawing.path(points, "mark l s\(line.slot % Palette.count)", dash: Palette.dash(line.slot), about: line.label)
        guard line.hasDots else { return }
        for (point, value) in zip(line.points.map(place), line.points) {
            drawing.circle(
                x: point.x, y: point.y, radius: 3, "mark dot f\(line.slot % Palette.count)", value: value.y,
                about: "\(line.label): \(quantity.format(value.y))")
        }
    }

    private func draw(_ dot: Dot, in drawing: inout Drawing) {
        let (x, y) = place((dot.x, dot.y))
        switch dot.shape {
        case .disc: drawing.circle(x: x, y: y, radius: 5, "mark dot better", value: dot.y, about: dot.about)
        case .square: drawing.rectangle(x: x - 4.5, y: y - 4.5, width: 9, height: 9, "mark hollow", value: dot.y, about: dot.about)
        case .triangle: drawing.path([(x, y - 5.5), (x + 5.5, y + 4.5), (x - 5.5, y + 4.5)], "mark unsure", isClosed: true, about: dot.about)
        case .cross:
            drawing.path([(x - 4.5, y - 4.5), (x + 4.5, y + 4.5)], "mark cross", about: dot.about)
            drawing.path([(x - 4.5, y + 4.5), (x + 4.5, y - 4.5)], "cross")
        }
    }

    private func drawMarks(in drawing: inout Drawing) {
        for mark in marks {
            if mark.isVertical {
                let place = left + x.fraction(mark.value) * (right - left)
                drawing.line(x1: place, y1: top - 4, x2: place, y2: bottom, "bound", value: mark.value)
                let half = TextWidth.of(mark.label) / 2
                drawing.text(mark.label, x: max(min(place, Self.width - half - 2), half + 2), y: top - 9, "t b", anchor: .middle)
            } else {
                let height = bottom - y.fraction(mark.value) * (bottom - top)
                drawing.line(x1: left, y1: height, x2: right, y2: height, "bound", value: mark.value)
                drawing.text(mark.label, x: right + 6, y: height + 4, "t b")
            }
        }
    }

    /// Names beside the lines' ends, moved apart where they would lie over each other.
    private func drawNames(in drawing: inout Drawing) {
        let spacing = 14.0
        var entries = lines.compactMap { line in line.points.last.map { (line: line, y: place($0).y, end: place($0)) } }.sorted { $0.y < $1.y }
        for index in entries.indices.dropFirst() { entries[index].y = max(entries[index].y, entries[index - 1].y + spacing) }
        var limit = Self.height - 6
        for index in entries.indices.reversed() {
            entries[index].y = min(entries[index].y, limit)
            limit = entries[index].y - spacing
        }
        for entry in entries {
            if entry.end.x < right - 3 || abs(entry.y - entry.end.y) > 3 {
                drawing.path([entry.end, (right + 3, entry.y)], "leader")
            }
            drawing.text(TextWidth.fitted(entry.line.label, 150), x: right + 6, y: entry.y + 4, "t b k\(entry.line.slot % Palette.count)")
        }
    }
}
