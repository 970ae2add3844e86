/// Why a size, duration, count or rate does not parse. The text says what was wrong and what is accepted.
public enum UnitsError: Error, Equatable, Sendable, CustomStringConvertible {
    case sizeMalformed(String)
    case sizeUnitUnknown(String, unit: String, suggestion: String?)
    case sizeNotWholeBytes(String)
    case durationMalformed(String)
    case durationWithoutUnit(String)
    case durationUnitUnknown(String, unit: String)
    case durationUnitsOutOfOrder(String)
    case durationBelowOneNanosecond(String)
    case countMalformed(String)
    case countWithSuffix(String, suggestion: String)
    case rateMalformed(String)
    case tooLarge(String, limit: String)
    case notASampleRule(String)

    static let sizesAccepted = "a size is a number of bytes, alone or with KiB, MiB, GiB or TiB (64, 64KiB, 1.5MiB), or bits with bit, kbit, Mbit or Gbit"
    static let durationsAccepted = "a duration is numbers with units h, m, s, ms, us or ns, the largest first (10s, 1m30s, 500ms)"
    static let countsAccepted = "a count is a whole number, in groups if you like (1000000, 1_000_000 or 1,000,000)"

    public var description: String {
        switch self {
        case .sizeMalformed(let text): "\"\(text)\" is not a size: \(Self.sizesAccepted)"
        case .sizeUnitUnknown(let text, _, let suggestion?):
            "\"\(text)\" is ambiguous: write \(suggestion) (binary units are spelled KiB, MiB, GiB here)"
        case .sizeUnitUnknown(let text, let unit, nil): "\"\(text)\" has an unknown unit \"\(unit)\": \(Self.sizesAccepted)"
        case .sizeNotWholeBytes(let text): "\"\(text)\" is not a whole number of bytes"
        case .durationMalformed(let text): "\"\(text)\" is not a duration: \(Self.durationsAccepted)"
        case .durationWithoutUnit(let text): "\"\(text)\" has no unit: write \(text)s for seconds, \(text)ms for milliseconds"
        case .durationUnitUnknown(let text, let unit): "\"\(text)\" has an unknown unit \"\(unit)\": \(Self.durationsAccepted)"
        case .durationUnitsOutOfOrder(let text): "\"\(text)\" has its units out of order: \(Self.durationsAccepted)"
        case .durationBelowOneNanosecond(let text): "\"\(text)\" is not a whole number of nanoseconds"
        case .countMalformed(let text): "\"\(text)\" is not a count: \(Self.countsAccepted)"
        case .countWithSuffix(let text, let suggestion): "\"\(text)\" is not a count: write \(suggestion)"
        case .rateMalformed(let text): "\"\(text)\" is not a rate: a rate is operations a second (10000, 10,000 or 0.5)"
        case .tooLarge(let text, let limit): "\"\(text)\" is too large: at most \(limit)"
        case .notASampleRule(let text):
            "\"\(text)\" is not a way to verify: \"full\" checks every byte, \"sampled\" one message in 64, \"1/N\" one in N (a power of two)"
        }
    }
}
