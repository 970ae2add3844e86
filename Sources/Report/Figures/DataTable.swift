import Gauge

/// The numbers of a picture.
struct DataTable: Sendable {
    struct Column: Sendable {
        let title: String
        /// The record's name for it, empty where it has none.
        let key: String
        var isText = false

        static func text(_ title: String, key: String = "") -> Column { Column(title: title, key: key, isText: true) }
        static func number(_ title: String, _ key: String) -> Column { Column(title: title, key: key) }
    }

    enum Cell: Sendable, Equatable {
        case text(String)
        /// As the record has it, and for a person.
        case number(Double, String)
        case absent(String)

        /// For a person who reads text.
        var words: String {
            switch self {
            case .text(let text), .number(_, let text): text
            case .absent: "-"
            }
        }

        static func of(_ figure: Measured<Double>, _ quantity: Quantity) -> Cell { of(figure, quantity.format) }

        static func of(_ figure: Measured<Double>, _ format: (Double) -> String) -> Cell {
            switch figure {
            case .value(let value): .number(value, format(value))
            case .unavailable(let reason): .absent(reason)
            }
        }

        static func count(_ value: some BinaryInteger) -> Cell { .number(Double(value), Units.format(count: value)) }
        static func nanoseconds(_ value: some BinaryInteger) -> Cell { .number(Double(value), Units.format(nanoseconds: Double(value))) }
    }

    struct Row: Sendable {
        let cells: [Cell]
        /// The sum of those above it.
        var isSum = false
    }

    let columns: [Column]
    private(set) var rows: [Row] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [Cell], isSum: Bool = false) { rows.append(Row(cells: cells, isSum: isSum)) }

    var isEmpty: Bool { rows.isEmpty }

    /// Without the columns in which nobody has anything.
    var withoutEmptyColumns: DataTable {
        let kept = columns.indices.filter { column in columns[column].isText || rows.contains { if case .absent = $0.cells[column] { false } else { true } } }
        var table = DataTable(kept.map { columns[$0] })
        table.rows = rows.map { row in Row(cells: kept.map { row.cells[$0] }, isSum: row.isSum) }
        return table
    }

    /// What is said of gaps below the table: a few reasons. On the page each gap has its own when somebody points at it.
    private var gaps: String {
        let told = reasons.prefix(3).joined(separator: "; ")
        let more = reasons.count > 3 ? "; \(reasons.count - 3) more reasons" : ""
        return reasons.isEmpty ? "" : "not available: \(told)\(more)"
    }

    /// Why there are gaps, each reason once.
    var reasons: [String] {
        var reasons: [String] = []
        for case .absent(let reason) in rows.flatMap(\.cells) where reason != Measured<Double>.unmeasured.reason && !reason.isEmpty {
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        return reasons
    }

    var html: String {
        let head = columns.map { column in
            let key = column.key.isEmpty ? "" : " data-key=\"\(Markup.escaped(column.key))\""
            return "<th scope=\"col\"\(column.isText ? " class=\"w\"" : "")\(key)>\(Markup.escaped(column.title))</th>"
        }
        let body = rows.map { row in
            "<tr\(row.isSum ? " class=\"sum\"" : "")>" + zip(columns, row.cells).enumerated().map { cell($1.1, $1.0, isFirst: $0 == 0) }.joined() + "</tr>\n"
        }
        let gaps = gaps.isEmpty ? "" : "<p class=\"note\">– \(Markup.escaped(gaps))</p>\n"
        // A table that nobody reads from end to end scrolls within a part of the screen.
        let long = rows.count > 40 ? " long" : ""
        return "<div class=\"box\(long)\" tabindex=\"0\"><table><thead><tr>\(head.joined())</tr></thead>\n<tbody>\n\(body.joined())</tbody></table></div>\n\(gaps)"
    }

    private func cell(_ cell: Cell, _ column: Column, isFirst: Bool) -> String {
        switch cell {
        case .text(let text) where isFirst: "<th scope=\"row\">\(Markup.escaped(text))</th>"
        case .text(let text): "<td class=\"w\(text.count > 40 ? " say" : "")\">\(Markup.escaped(text))</td>"
        case .number(let value, let text): "<td\(Self.colour(text)) data-value=\"\(value)\">\(Markup.escaped(text))</td>"
        case .absent(let reason): "<td class=\"a\" title=\"\(Markup.escaped("not available: " + reason))\">–</td>"
        }
    }

    /// Ratios carry the sign of their verdict.
    private static func colour(_ text: String) -> String {
        text.hasPrefix(RatioChart.sign(.better)) ? " class=\"ok\"" : text.hasPrefix(RatioChart.sign(.worse)) ? " class=\"no\"" : ""
    }

    var markdown: [String] {
        let text = Set(columns.indices.filter { columns[$0].isText })
        return Markdown.table(columns.map(\.title), rows.map { $0.cells.map(\.words) }, textColumns: text)
            + (gaps.isEmpty ? [] : ["", "\\- " + Markdown.escaped(gaps)])
    }
}
