/// The frame of a picture whose rows have names at the left and, in most, a number at the right.
struct RowFrame {
    static let width = 420.0
    static let rowHeight = 22.0
    private static let nameWidthMax = 205.0

    let labels: [String]
    let plotLeft: Double
    let plotRight: Double
    let plotTop: Double
    let plotBottom: Double
    let rowHeight: Double
    private let nameWidth: Double

    /// - Parameters:
    ///   - labels: of the rows, from the top.
    ///   - texts: the numbers at the right.
    ///   - top: room above the rows, for a legend.
    init(labels: [String], texts: [String], top: Double = 8, rowHeight: Double = rowHeight) {
        self.labels = labels
        self.rowHeight = rowHeight
        nameWidth = min(labels.map(TextWidth.of).max() ?? 0, Self.nameWidthMax)
        plotLeft = nameWidth + 10
        let textWidth = texts.map(TextWidth.of).max() ?? 0
        plotRight = Self.width - (textWidth > 0 ? textWidth + 10 : 14)
        plotTop = top
        plotBottom = top + Double(max(labels.count, 1)) * rowHeight
    }

    /// With the marks of the axis and its title.
    var height: Double { plotBottom + 38 }

    func middle(_ row: Int) -> Double { plotTop + (Double(row) + 0.5) * rowHeight }

    func x(_ fraction: Double) -> Double { plotLeft + fraction * (plotRight - plotLeft) }

    /// Lines at the marks, the marks, the axis' title and the names of the rows.
    func draw(_ axis: Axis, in drawing: inout Drawing) {
        var end = -Double.infinity
        for tick in axis.ticks {
            let x = x(axis.fraction(tick.value))
            drawing.line(x1: x, y1: plotTop, x2: x, y2: plotBottom, "g")
            // A mark that would touch the one before it is left out; its line stays.
            let half = TextWidth.of(tick.label) * 0.45
            guard x - half > end + 4 else { continue }
            drawing.text(tick.label, x: x, y: plotBottom + 15, "t q", anchor: .middle)
            end = x + half
        }
        let middle = (plotLeft + plotRight) / 2
        let half = TextWidth.of(axis.title) / 2
        drawing.text(axis.title, x: min(max(middle, half + 2), Self.width - half - 2), y: plotBottom + 32, "t q", anchor: .middle)
        for (row, label) in labels.enumerated() {
            drawing.text(TextWidth.fitted(label, nameWidth + 1), x: nameWidth + 2, y: self.middle(row) + 4, "t", anchor: .end)
        }
    }
}

/// The parts of stacked or grouped bars, by name: colour and pattern, so that no part is told by its colour alone.
struct Legend {
    let id: String
    let names: [String]

    private var places: [(x: Double, row: Int)] {
        var (x, row) = (0.0, 0)
        return names.map { name in
            let width = TextWidth.of(name) + 34
            if x + width > RowFrame.width, x > 0 { (x, row) = (0, row + 1) }
            defer { x += width }
            return (x, row)
        }
    }

    var height: Double { names.isEmpty ? 0 : Double((places.last?.row ?? 0) + 1) * 18 + 8 }

    func draw(in drawing: inout Drawing) {
        drawing.insert("<defs>" + names.indices.map { Self.pattern($0, id: "\(id)-p\($0)") }.joined() + "</defs>\n")
        for (index, (name, place)) in zip(names, places).enumerated() {
            let y = Double(place.row) * 18
            fill(index, x: place.x, y: y + 2, width: 16, height: 11, in: &drawing)
            drawing.text(name, x: place.x + 21, y: y + 12, "t q")
        }
    }

    /// A part of a bar, or the sample of one.
    func fill(_ index: Int, x: Double, y: Double, width: Double, height: Double, value: Double? = nil, about: String? = nil, in drawing: inout Drawing) {
        let kind = value == nil ? "" : "mark "
        drawing.rectangle(x: x, y: y, width: width, height: height, "\(kind)f\(index % Palette.count)", value: value, about: about)
        if index > 0 { drawing.rectangle(x: x, y: y, width: width, height: height, "n", fill: "url(#\(id)-p\(index))") }
    }

    /// The first part is plain; the others are hatched, each in its own way.
    private static func pattern(_ index: Int, id: String) -> String {
        let shapes = [
            "", "M0 6L6 0", "M0 0L6 6", "M0 3H6", "M3 0V6", "M0 6L6 0M0 0L6 6", "M0 3H6M3 0V6", "M0 1.5H6M0 4.5H6", "M2 2H4V4H2Z",
        ]
        guard index > 0 else { return "" }
        return "<pattern id=\"\(id)\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"h\" d=\"\(shapes[index % shapes.count])\"/></pattern>"
    }
}
