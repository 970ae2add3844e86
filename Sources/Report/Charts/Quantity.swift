import Gauge

/// What the numbers of an axis or a column are, which decides how they are written.
enum Quantity: Sendable, Equatable {
    case bytesPerSecond, perSecond, nanoseconds, bytes, secondsPerGiB
    /// Values are parts of a hundred.
    case percent
    /// Something without a unit of its own; axes name what is counted.
    case number

    init(_ unit: MetricUnit) {
        self = switch unit {
        case .bytesPerSecond: .bytesPerSecond
        case .perSecond: .perSecond
        case .nanoseconds: .nanoseconds
        case .secondsPerGiB: .secondsPerGiB
        case .bytes: .bytes
        case .none: .number
        }
    }

    /// For a person, with its unit.
    func format(_ value: Double) -> String {
        switch self {
        case .bytesPerSecond: Units.format(bytesPerSecond: value)
        case .perSecond: Units.format(perSecond: value)
        case .nanoseconds: Units.format(nanoseconds: value)
        case .bytes: Units.format(bytes: value)
        case .secondsPerGiB: Units.format(seconds: value) + "/GiB"
        case .percent: Units.significant(value) + " %"
        case .number: Units.significant(value)
        }
    }

    /// The unit in which a value of this size is best written, and how much of it is one.
    func unit(for value: Double) -> (name: String, size: Double) {
        switch self {
        case .bytesPerSecond: Self.unit(value, step: 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
        case .perSecond: Self.unit(value, step: 1000, ["/s", "k/s", "M/s", "G/s"])
        case .nanoseconds: Self.unit(value, step: 1000, ["ns", "us", "ms", "s"])
        case .bytes: Self.unit(value, step: 1024, ["B", "KiB", "MiB", "GiB", "TiB"])
        case .secondsPerGiB: Self.perGiB(Self.unit(value * 1e9, step: 1000, ["ns", "us", "ms", "s"]))
        case .percent: ("%", 1)
        case .number: ("", 1)
        }
    }

    private static func unit(_ value: Double, step: Double, _ names: [String]) -> (name: String, size: Double) {
        var (index, size) = (0, 1.0)
        while abs(value) / size >= step, index + 1 < names.count {
            index += 1
            size *= step
        }
        return (names[index], size)
    }

    private static func perGiB(_ time: (name: String, size: Double)) -> (name: String, size: Double) { (time.name + "/GiB", time.size / 1e9) }

    /// A round value as short as it can be: `1 us`, `64 KiB`, `2.5 GB/s`.
    func short(_ value: Double) -> String {
        let unit = unit(for: value)
        let digits = decimal(value / unit.size)
        return unit.name.isEmpty ? digits : digits + " " + unit.name
    }
}
