public import Gauge

/// What must hold of response times, as a person writes it: `p99<5ms`, `p99.9<=800us`, `max<1s`.
public enum RateGoal {
    /// The shortest and the longest bound, in nanoseconds: what a clock tells apart, and what can be waited for.
    public static let boundNanoseconds: ClosedRange<UInt64> = 1_000...1_000_000_000

    /// Why a text is no goal.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// It has not the form of one.
        case malformed(String)
        /// What stands before the sign is no percentile.
        case unknownPercentile(String, in: String)
        /// What stands behind the sign is no duration.
        case unreadableBound(UnitsError)
        /// No run can tell it.
        case boundOutOfRange(String)

        private static let forms = "write a percentile (p50, p90, p99, p99.9, any from p1 to p99.999, or max), < or <=, and a duration: 'p99<5ms', 'p99.9<=800us'"

        public var description: String {
            switch self {
            case .malformed(let text): "\"\(text)\" is not a goal: \(Self.forms)"
            case .unknownPercentile(let name, let text): "\"\(text)\": there is no percentile \"\(name)\": \(Self.forms)"
            case .unreadableBound(let error): "\(error)"
            case .boundOutOfRange(let text): "\"\(text)\" is a bound that no search can decide; allowed is 1us to 1s"
            }
        }
    }

    /// Reads a goal. `<=` is told from `<` by a nanosecond.
    public static func parse(_ text: String) throws(Failure) -> RateSearchRecord.Goal {
        let plain = text.filter { $0 != " " }
        guard let sign = plain.firstIndex(of: "<") else { throw .malformed(text) }
        let name = String(plain[..<sign])
        var rest = plain[plain.index(after: sign)...]
        let isInclusive = rest.first == "="
        if isInclusive { rest = rest.dropFirst() }
        guard !name.isEmpty, !rest.isEmpty, !rest.contains("<"), !rest.contains("=") else { throw .malformed(text) }
        guard fraction(ofPercentile: name) != nil else { throw .unknownPercentile(name, in: text) }
        let bound: UInt64
        do {
            bound = try Units.duration(String(rest))
        } catch {
            throw .unreadableBound(error)
        }
        guard boundNanoseconds.contains(bound) else { throw .boundOutOfRange(String(rest)) }
        return RateSearchRecord.Goal(percentile: name, boundNanoseconds: isInclusive ? bound + 1 : bound)
    }

    /// Which share of responses a percentile lies above: 0.99 for `p99`, 1 for `max`; nil for what is no percentile.
    static func fraction(ofPercentile name: String) -> Double? {
        if name == "max" { return 1 }
        let digits = name.dropFirst()
        guard name.first == "p", digits.first?.isNumber == true, digits.last?.isNumber == true, digits.count <= 6,
            digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let percentage = Double(digits), (1...99.999).contains(percentage)
        else { return nil }
        return percentage / 100
    }
}

extension RateSearchRecord.Goal: CustomStringConvertible {
    /// As a person writes it.
    public var description: String {
        let (below, upTo) = (Units.spelled(nanoseconds: boundNanoseconds), Units.spelled(nanoseconds: boundNanoseconds - 1))
        return upTo.count < below.count ? "\(percentile) <= \(upTo)" : "\(percentile) < \(below)"
    }

    /// Which share of responses may reach the bound: 0.01 for `p99`, none for `max`.
    var allowedShare: Double { RateGoal.fraction(ofPercentile: percentile).map { max(0, 1 - $0) } ?? 0 }
}
