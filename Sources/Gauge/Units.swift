/// Reads sizes, durations, counts and rates as people write them on a command line. Printing is in `UnitsFormat.swift`;
/// what ``spelled(bytes:)`` and ``spelled(nanoseconds:)`` print reads back as the same value.
public enum Units {
    /// A size in bytes: `64`, `64KiB`, `1.5MiB`, `8Gbit`.
    public static func bytes(_ text: String) throws(UnitsError) -> Int {
        let scanned = scanNumber(text[...])
        guard let number = scanned.number else { throw .sizeMalformed(text) }
        let unit = String(scanned.rest.drop { $0 == " " })
        let bitsPerUnit = try bits(ofSizeUnit: unit, in: text, digits: scanned.digits)
        guard let bits = number.scaled(by: bitsPerUnit) else {
            throw number.isWhole(scaledBy: bitsPerUnit) ? .tooLarge(text, limit: "\(Int.max) bytes") : .sizeNotWholeBytes(text)
        }
        guard bits % 8 == 0 else { throw .sizeNotWholeBytes(text) }
        guard let bytes = Int(exactly: bits / 8) else { throw .tooLarge(text, limit: "\(Int.max) bytes") }
        return bytes
    }

    private static func bits(ofSizeUnit unit: String, in text: String, digits: Substring) throws(UnitsError) -> UInt128 {
        switch unit {
        case "", "B": return 8
        case "KiB": return 8 << 10
        case "MiB": return 8 << 20
        case "GiB": return 8 << 30
        case "TiB": return 8 << 40
        case "bit": return 1
        case "kbit": return 1_000
        case "Mbit": return 1_000_000
        case "Gbit": return 1_000_000_000
        default: throw .sizeUnitUnknown(text, unit: unit, suggestion: suggestion(forSizeUnit: unit).map { digits + $0 })
        }
    }

    private static func suggestion(forSizeUnit unit: String) -> String? {
        switch unit.lowercased() {
        case "k", "kb", "kib", "ki": "KiB"
        case "m", "mb", "mib", "mi": "MiB"
        case "g", "gb", "gib", "gi": "GiB"
        case "t", "tb", "tib", "ti": "TiB"
        case "b", "byte", "bytes": "B"
        case "kbit", "kbits", "kbps": "kbit"
        case "mbit", "mbits", "mbps": "Mbit"
        case "gbit", "gbits", "gbps": "Gbit"
        case "bits": "bit"
        default: nil
        }
    }

    private static let durationUnits: [(name: String, nanoseconds: UInt128)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
    ]

    /// A duration in nanoseconds: `10s`, `1m30s`, `500ms`, `250us`, `1.5s`.
    public static func duration(_ text: String) throws(UnitsError) -> UInt64 {
        var rest = text[...]
        var total: UInt128 = 0
        var smallestSoFar = UInt128.max
        if rest.isEmpty { throw .durationMalformed(text) }
        while !rest.isEmpty {
            let scanned = scanNumber(rest)
            guard let number = scanned.number else { throw .durationMalformed(text) }
            let unit = scanned.rest.prefix { !$0.isNumber && $0 != "." && $0 != "-" }
            rest = scanned.rest.dropFirst(unit.count)
            if unit.isEmpty { throw smallestSoFar == .max && rest.isEmpty ? .durationWithoutUnit(text) : .durationMalformed(text) }
            let name = unit == "µs" || unit == "μs" ? "us" : String(unit)
            guard let scale = durationUnits.first(where: { $0.name == name })?.nanoseconds else {
                throw .durationUnitUnknown(text, unit: String(unit))
            }
            guard scale < smallestSoFar else { throw .durationUnitsOutOfOrder(text) }
            smallestSoFar = scale
            guard let part = number.scaled(by: scale) else {
                throw number.isWhole(scaledBy: scale) ? .tooLarge(text, limit: "500 years") : .durationBelowOneNanosecond(text)
            }
            total += part
        }
        guard let nanoseconds = UInt64(exactly: total) else { throw .tooLarge(text, limit: "500 years") }
        return nanoseconds
    }

    /// A whole number: `1000`, `1_000`, `1,000`.
    public static func count(_ text: String) throws(UnitsError) -> Int {
        if let suffix = text.last, let zeros = ["k": "000", "m": "000000", "g": "000000000"][suffix.lowercased()],
            let digits = ungrouped(text.dropLast()), !digits.isEmpty {
            throw .countWithSuffix(text, suggestion: digits + zeros)
        }
        guard let digits = ungrouped(text[...]), !digits.isEmpty else { throw .countMalformed(text) }
        guard let value = Int(digits) else { throw .tooLarge(text, limit: "\(Int.max)") }
        return value
    }

    /// Operations a second: `10000`, `10,000`, `0.5`; `/s` may follow.
    public static func rate(_ text: String) throws(UnitsError) -> Double {
        let body = text.hasSuffix("/s") ? text.dropLast(2) : text[...]
        let parts = body.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = ungrouped(parts[0]), !whole.isEmpty else { throw .rateMalformed(text) }
        guard parts.count == 2 else {
            guard let value = Double(whole), value > 0, value.isFinite else { throw .rateMalformed(text) }
            return value
        }
        guard !parts[1].isEmpty, parts[1].allSatisfy(isDigit), let value = Double(whole + "." + parts[1]), value > 0, value.isFinite
        else { throw .rateMalformed(text) }
        return value
    }

    /// The digits of a number whose groups may be separated; nil when anything else is in it, or a separator stands at the edge.
    private static func ungrouped(_ text: Substring) -> String? {
        guard let first = text.first, let last = text.last, isDigit(first), isDigit(last) else { return nil }
        let digits = text.filter { $0 != "_" && $0 != "," }
        return digits.allSatisfy(isDigit) ? String(digits) : nil
    }

    private static func isDigit(_ character: Character) -> Bool { character >= "0" && character <= "9" && character.utf8.count == 1 }

    /// A decimal number without rounding: `digits` / 10^`places`.
    private struct Decimal {
        let digits: UInt128
        let places: Int

        private var divisor: UInt128 { (0..<places).reduce(1) { power, _ in power * 10 } }

        func isWhole(scaledBy scale: UInt128) -> Bool { (digits % divisor).multipliedReportingOverflow(by: scale).partialValue % divisor == 0 }

        /// The number times `scale`, or nil when that is not whole or too large.
        func scaled(by scale: UInt128) -> UInt128? {
            let (product, overflow) = digits.multipliedReportingOverflow(by: scale)
            guard !overflow, product % divisor == 0, product / divisor <= UInt128(UInt64.max) * 8 else { return nil }
            return product / divisor
        }
    }

    private static func scanNumber(_ text: Substring) -> (number: Decimal?, digits: Substring, rest: Substring) {
        let whole = text.prefix(while: isDigit)
        var rest = text.dropFirst(whole.count)
        var fraction = rest.prefix(0)
        if rest.first == ".", let next = rest.dropFirst().first, isDigit(next) {
            fraction = rest.dropFirst().prefix(while: isDigit)
            rest = rest.dropFirst(1 + fraction.count)
        }
        // Nine places are a nanosecond in a second; 20 digits are 64 bits.
        guard !whole.isEmpty, whole.count <= 20, fraction.count <= 12, let digits = UInt128(whole + fraction) else {
            return (nil, whole, rest)
        }
        return (Decimal(digits: digits, places: fraction.count), text.prefix(text.count - rest.count), rest)
    }
}
