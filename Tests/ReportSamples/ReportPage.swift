/// A page of a report taken apart: tables with their numbers, and pictures with their marks. It reads what a browser writes as well as what the program does.
public struct ReportPage: Sendable {
    public struct Table: Sendable {
        public let section: String
        public let heading: String
        public var keys: [String] = []
        public var rows: [[Cell]] = []

        /// The cells of a column, by its key.
        public func column(_ key: String) -> [Cell] {
            guard let index = keys.firstIndex(of: key) else { return [] }
            return rows.compactMap { $0.indices.contains(index) ? $0[index] : nil }
        }
    }

    public struct Cell: Sendable, Equatable {
        public var text = ""
        public var value: Double?
    }

    public struct Picture: Sendable {
        public let section: String
        public let viewBox: [Double]
        public var title = ""
        public var elements: [(name: String, attributes: [String: String])] = []

        public var marks: [[String: String]] {
            elements.filter { $0.attributes["class"]?.split(separator: " ").contains("mark") == true }.map(\.attributes)
        }
    }

    public private(set) var tables: [Table] = []
    public private(set) var pictures: [Picture] = []
    /// Of elements in the order of the page.
    public private(set) var sections: [String] = []
    /// Every element's name and attributes.
    public private(set) var elements: [(name: String, attributes: [String: String])] = []

    public init(_ html: String) {
        var state = State()
        var rest = Substring(html)
        while let open = rest.firstIndex(of: "<") {
            state.text(Self.plain(rest[..<open]), &self)
            guard let close = rest[open...].firstIndex(of: ">") else { break }
            let tag = rest[rest.index(after: open)..<close]
            rest = rest[rest.index(after: close)...]
            if tag.hasPrefix("!") { continue }
            let element = Self.element(tag)
            if element.name == "style", let end = rest.firstRange(of: "</style>") { rest = rest[end.lowerBound...] }
            if element.name.hasPrefix("/") {
                state.end(String(element.name.dropFirst()), &self)
            } else {
                elements.append(element)
                state.begin(element, &self)
            }
        }
    }

    public func table(_ section: String, _ heading: String) -> Table? { tables.first { $0.section == section && $0.heading == heading } }

    public func tables(_ section: String) -> [Table] { tables.filter { $0.section == section } }

    public func pictures(_ section: String) -> [Picture] { pictures.filter { $0.section == section } }

    // MARK: Reading

    private struct State {
        var section = ""
        var heading = ""
        var inside: [String] = []

        mutating func begin(_ element: (name: String, attributes: [String: String]), _ page: inout ReportPage) {
            let attributes = element.attributes
            switch element.name {
            case "section":
                section = attributes["id"] ?? ""
                heading = ""
                page.sections.append(section)
            case "h3": heading = ""
            case "table": page.tables.append(Table(section: section, heading: heading))
            case "tr" where inside.contains("tbody"): page.change { $0.rows.append([]) }
            case "th" where inside.contains("thead"): page.change { $0.keys.append(attributes["data-key"] ?? "") }
            case "td", "th": page.change { $0.rows[$0.rows.count - 1].append(Cell(value: attributes["data-value"].flatMap(Double.init))) }
            case "svg":
                let box = (attributes["viewBox"] ?? "").split(separator: " ").compactMap { Double($0) }
                page.pictures.append(Picture(section: section, viewBox: box))
            default: break
            }
            if inside.contains("svg") { page.pictures[page.pictures.count - 1].elements.append(element) }
            inside.append(element.name)
        }

        mutating func end(_ name: String, _ page: inout ReportPage) {
            if let place = inside.lastIndex(of: name) { inside.removeSubrange(place...) }
        }

        mutating func text(_ text: String, _ page: inout ReportPage) {
            switch inside.last {
            case "h3": heading += text
            case "td", "th":
                page.change { table in
                    if let row = table.rows.indices.last, let cell = table.rows[row].indices.last { table.rows[row][cell].text += text }
                }
            case "title" where inside.dropLast().last == "svg": page.pictures[page.pictures.count - 1].title += text
            default: break
            }
        }
    }

    private mutating func change(_ change: (inout Table) -> Void) {
        if !tables.isEmpty { change(&tables[tables.count - 1]) }
    }

    /// `name a="b"` as the program and browsers write it: values in quotation marks.
    private static func element(_ tag: Substring) -> (name: String, attributes: [String: String]) {
        let name = String(tag.prefix { !$0.isWhitespace })
        var attributes: [String: String] = [:]
        var rest = tag.dropFirst(name.count)
        while let equals = rest.firstRange(of: "=\"") {
            let key = rest[..<equals.lowerBound].drop { $0.isWhitespace }
            guard let end = rest[equals.upperBound...].firstIndex(of: "\"") else { break }
            attributes[String(key)] = plain(rest[equals.upperBound..<end])
            rest = rest[rest.index(after: end)...]
        }
        return (name.hasSuffix("/") ? String(name.dropLast()) : name, attributes)
    }

    private static func plain(_ text: some StringProtocol) -> String {
        String(text).replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&quot;", with: "\"").replacing("&#39;", with: "'")
            .replacing("&nbsp;", with: "\u{a0}").replacing("&amp;", with: "&")
    }
}
