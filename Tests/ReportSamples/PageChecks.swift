import Foundation

extension ReportPage {
    /// What is wrong with the pictures, as sentences: nothing drawn, something that is no number, or something outside the picture.
    public var pictureFaults: [String] {
        pictures.flatMap { picture -> [String] in
            let name = "\(picture.section), \(picture.title)"
            guard picture.viewBox.count == 4, picture.viewBox[2] > 0, picture.viewBox[3] > 0 else { return ["\(name): no view box"] }
            var faults = picture.marks.isEmpty ? ["\(name): nothing is drawn"] : []
            for element in picture.elements {
                for (x, y) in Self.corners(element) where !(x.isFinite && y.isFinite) || x < -0.6 || y < -0.6 || x > picture.viewBox[2] + 0.6
                    || y > picture.viewBox[3] + 0.6 {
                    faults.append("\(name): \(element.name) \(element.attributes) at \(x) \(y) lies outside \(picture.viewBox)")
                }
            }
            return faults
        }
    }

    /// Places that an element reaches; a coordinate that does not read as a number is not finite. Definitions of patterns have places of their own.
    private static func corners(_ element: (name: String, attributes: [String: String])) -> [(Double, Double)] {
        func number(_ key: String) -> Double { element.attributes[key].flatMap(Double.init) ?? .nan }
        switch element.name {
        case "rect": return [(number("x"), number("y")), (number("x") + number("width"), number("y") + number("height"))]
        case "line": return [(number("x1"), number("y1")), (number("x2"), number("y2"))]
        case "circle": return [(number("cx") - number("r"), number("cy") - number("r")), (number("cx") + number("r"), number("cy") + number("r"))]
        case "text" where element.attributes["transform"] == nil: return [(number("x"), number("y"))]
        case "path" where element.attributes["class"] != "h":
            let numbers = (element.attributes["d"] ?? "").split { "MLZ ".contains($0) }.map { Double($0) ?? .nan }
            return numbers.count % 2 == 0 && !numbers.isEmpty ? stride(from: 0, to: numbers.count,
                by: 2).map { (numbers[$0], numbers[$0 + 1]) } : [(.nan, .nan)]
        default: return []
        }
    }

    /// Addresses that a browser would load, or go to beyond the page.
    public var foreignAddresses: [String] {
        elements.flatMap { element in
            element.attributes.compactMap { name, value in
                let isAddress = ["href", "src", "srcset", "action", "data", "poster", "xlink:href"].contains(name) && !value.hasPrefix("#")
                let isLoaded = value.contains("url(") && !value.contains("url(#")
                return isAddress || isLoaded ? "\(element.name) \(name)=\(value)" : nil
            }
        }
    }

    /// Numbers of the page that are not the record's, as sentences, and how many were compared.
    ///
    /// - Parameters:
    ///   - table: whose rows are `records`, in order.
    ///   - records: JSON objects.
    ///   - suffix: what a key has in the record beyond what the column says, by row.
    public static func differences(
        _ table: Table, _ records: [Any], keyOf: (String, Int) -> String = { key, _ in key }
    ) -> (faults: [String], compared: Int) {
        let name = "\(table.section), \(table.heading)"
        guard table.rows.count == records.count else { return (["\(name): \(table.rows.count) rows for \(records.count) records"], 0) }
        var faults: [String] = []
        var compared = 0
        for (index, row) in table.rows.enumerated() {
            for (key, cell) in zip(table.keys, row) where !key.isEmpty {
                let path = keyOf(key, index)
                switch resolve(records[index], path) {
                case let number as NSNumber where cell.value != nil:
                    compared += 1
                    if !isSame(number.doubleValue, cell.value) { faults.append("\(name), row \(index), \(path): \(cell.text) for \(number)") }
                case let text as String where cell.value == nil && !text.hasPrefix("not available"):
                    compared += 1
                    if !cell.text.hasPrefix(text.prefix(1)) { faults.append("\(name), row \(index), \(path): \(cell.text) for \(text)") }
                case let list as [Any] where cell.value != nil:
                    compared += 1
                    if Double(list.count) != cell.value { faults.append("\(name), row \(index), \(path): \(cell.text) for \(list.count) elements") }
                case let text as String where cell.value != nil: faults.append("\(name), row \(index), \(path): \(cell.text) for \(text)")
                case nil where cell.value != nil: faults.append("\(name), row \(index): the record has no \(path)")
                default: break
                }
            }
        }
        return (faults, compared)
    }

    /// Foundation's reader of JSON may miss a number's last bit.
    private static func isSame(_ one: Double, _ other: Double?) -> Bool { other.map { abs(one - $0) <= 1e-14 * max(abs(one), abs($0)) } ?? false }

    /// What stands at a path such as `latency_ns.p99`.
    public static func resolve(_ record: Any, _ path: String) -> Any? {
        path.split(separator: ".").reduce(record as Any?) { value, key in (value as? [String: Any])?[String(key)] }
    }
}
