/// `value` with thousands separators: `655,360`.
func grouped(_ value: some BinaryInteger) -> String {
    let digits = String(value.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return value < 0 ? "-" + text : text
}

/// `1 byte`, `2 bytes`, `655,360 bytes`.
func counted(_ value: some BinaryInteger, _ noun: String) -> String {
    "\(grouped(value)) \(noun)\(value == 1 ? "" : "s")"
}

extension Units {
    /// The shortest exact spelling, as a command line takes it: `64KiB`, `1000`.
    public static func spelled(bytes: Int) -> String {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes != 0 && bytes & ((1 << shift) - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }

    /// The exact size for a person: `64 KiB`, `64 B`.
    public static func exact(bytes: Int) -> String {
        let spelled = spelled(bytes: bytes)
        let digits = spelled.prefix { $0 == "-" || $0.isNumber }
        return digits.count == spelled.count ? spelled + " B" : digits + " " + spelled.dropFirst(digits.count)
    }

    /// The shortest exact spelling, as a command line takes it: `1m30s`, `500ms`.
    public static func spelled(nanoseconds: UInt64) -> String {
        if nanoseconds == 0 { return "0s" }
        var rest = nanoseconds
        var text = ""
        let units: [(String, UInt64)] = [
            ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
        ]
        for (unit, scale) in units where rest >= scale {
            text += "\(rest / scale)\(unit)"
            rest %= scale
        }
        return text
    }

    /// With thousands separators: `655,360`.
    public static func format(count: some BinaryInteger) -> String { grouped(count) }

    /// For a person, in binary units: `512 B`, `64 KiB`, `1.50 MiB`.
    public static func format(bytes: Double) -> String {
        scaled(bytes, by: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB"])
    }

    /// For a person, in binary units.
    public static func format(bytes: some BinaryInteger) -> String { format(bytes: Double(bytes)) }

    /// Throughput in decimal units: `3.51 GB/s`.
    public static func format(bytesPerSecond: Double) -> String {
        scaled(bytesPerSecond, by: 1000, units: ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
    }

    /// Throughput in bits: `28.1 Gbit/s`.
    public static func format(bitsPerSecond: Double) -> String {
        scaled(bitsPerSecond, by: 1000, units: ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
    }

    /// A rate of things: `941 /s`, `129 k/s`, `15.2 M/s`.
    public static func format(perSecond rate: Double) -> String {
        scaled(rate, by: 1000, units: ["/s", "k/s", "M/s", "G/s"])
    }

    /// A span of time: `850 ns`, `65.2 us`, `1.27 ms`, `2.35 s`.
    public static func format(nanoseconds: Double) -> String {
        scaled(nanoseconds, by: 1000, units: ["ns", "us", "ms", "s"])
    }

    /// A span of time.
    public static func format(nanoseconds: some BinaryInteger) -> String { format(nanoseconds: Double(nanoseconds)) }

    /// A span of time given in seconds: `5.00 s`, `181 us`.
    public static func format(seconds: Double) -> String { format(nanoseconds: seconds * 1e9) }

    /// `value` with three significant digits and the largest unit that leaves at least 1 before it.
    private static func scaled(_ value: Double, by step: Double, units: [String]) -> String {
        guard value.isFinite else { return "not a number" }
        var scaled = value
        var index = 0
        // 999.5 would be rounded to 1000 of the smaller unit.
        while abs(scaled) >= step - 0.5, index + 1 < units.count {
            scaled /= step
            index += 1
        }
        if index == 0, scaled == scaled.rounded() { return "\(grouped(Int64(scaled))) \(units[0])" }
        return "\(significant(scaled)) \(units[index])"
    }

    /// Three significant digits below 1,000, whole numbers with separators above: `0.0123`, `3.51`, `15.2`, `181`, `12,345`.
    public static func significant(_ value: Double) -> String {
        guard value.isFinite else { return "not a number" }
        if value == 0 { return "0" }
        let size = abs(value)
        if size >= 99.95 { return fixed(value, places: 0) }
        if size >= 9.995 { return fixed(value, places: 1) }
        if size >= 0.9995 { return fixed(value, places: 2) }
        if size >= 0.09995 { return fixed(value, places: 3) }
        if size >= 0.009995 { return fixed(value, places: 4) }
        return size < 0.000_000_5 ? (value < 0 ? ">-0.000001" : "<0.000001") : fixed(value, places: 6)
    }

    /// `value` with `places` digits after the point and thousands separators before it.
    public static func fixed(_ value: Double, places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let power = (0..<places).reduce(1.0) { product, _ in product * 10 }
        let units = Int64((abs(value) * power).rounded())
        let whole = grouped(units / Int64(power))
        let sign = value < 0 && units != 0 ? "-" : ""
        guard places > 0 else { return sign + whole }
        let fraction = String(units % Int64(power))
        return sign + whole + "." + String(repeating: "0", count: places - fraction.count) + fraction
    }
}
