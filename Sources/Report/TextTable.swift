/// A table for a terminal: columns are as wide as they need to be, numbers stand right-aligned under their heads.
///
/// When the table is wider than the terminal, columns of the least importance are left out until it fits (those of equal importance together); those
/// that are essential stay. A head may have several lines.
public struct TextTable {
    public enum Alignment: Sendable { case left, right }

    public struct Column: Sendable {
        let title: String
        let alignment: Alignment
        /// Columns with the smallest number are left out first; `.max` never.
        let importance: Int

        public init(_ title: String, _ alignment: Alignment = .right, importance: Int = .max) {
            self.title = title
            self.alignment = alignment
            self.importance = importance
        }
    }

    private enum Row {
        case cells([String])
        case rule
    }

    private let columns: [Column]
    private var rows: [Row] = []
    private let separator = "  "

    public init(_ columns: [Column]) { self.columns = columns }

    public var isEmpty: Bool { rows.isEmpty }

    /// - Parameter cells: one text a column; missing ones are empty.
    public mutating func add(_ cells: [String]) {
        precondition(cells.count <= columns.count, "more cells than columns")
        rows.append(.cells(cells + Array(repeating: "", count: columns.count - cells.count)))
    }

    /// A line between what stands above and its sum below.
    public mutating func addRule() { rows.append(.rule) }

    /// The table's lines.
    ///
    /// - Parameters:
    ///   - width: columns of the terminal.
    ///   - indent: blanks before each line.
    public func lines(width: Int, indent: Int = 0) -> [String] {
        var shown = Array(columns.indices)
        while lineWidth(shown) + indent > width,
            let least = shown.min(by: { columns[$0].importance < columns[$1].importance }), columns[least].importance < .max {
            shown.removeAll { columns[$0].importance == columns[least].importance }
        }
        let widths = shown.map(columnWidth)
        let margin = String(repeating: " ", count: indent)
        func line(_ cells: [String]) -> String {
            var parts: [String] = []
            for (index, column) in shown.enumerated() {
                let cell = cells[column]
                parts.append(columns[column].alignment == .left ? cell.paddedRight(to: widths[index]) : cell.paddedLeft(to: widths[index]))
            }
            let text = margin + parts.joined(separator: separator)
            return text.lastIndex { $0 != " " }.map { String(text[...$0]) } ?? ""
        }
        let heads = columns.map { $0.title.split(separator: "\n").map(String.init) }
        let headHeight = heads.map(\.count).max() ?? 0
        // Short heads stand at the bottom, next to their figures.
        let headLines = (0..<headHeight).map { height in
            line(heads.map { head in height + head.count >= headHeight ? head[height + head.count - headHeight] : "" })
        }
        return headLines + rows.map { row in
            switch row {
            case .cells(let cells): line(cells)
            case .rule: margin + String(repeating: "-", count: lineWidth(shown))
            }
        }
    }

    private func columnWidth(_ column: Int) -> Int {
        let head = columns[column].title.split(separator: "\n").map { String($0).displayWidth }.max() ?? 0
        return rows.reduce(head) { widest, row in
            if case .cells(let cells) = row { max(widest, cells[column].displayWidth) } else { widest }
        }
    }

    private func lineWidth(_ shown: [Int]) -> Int {
        shown.reduce(0) { $0 + columnWidth($1) } + separator.count * max(0, shown.count - 1)
    }
}
