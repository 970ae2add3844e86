/// A measurement that the machine may not be able to make. Absent is not zero: a value that cannot be had says why.
public enum Measured<Value> {
    case value(Value)
    case unavailable(reason: String)

    /// Nil when it could not be had.
    public var value: Value? {
        if case .value(let value) = self { value } else { nil }
    }

    /// Why there is no value; nil when there is one.
    public var reason: String? {
        if case .unavailable(let reason) = self { reason } else { nil }
    }

    /// The same absence, or the value transformed.
    public func map<Other>(_ transform: (Value) -> Other) -> Measured<Other> {
        switch self {
        case .value(let value): .value(transform(value))
        case .unavailable(let reason): .unavailable(reason: reason)
        }
    }
}

extension Measured: Sendable where Value: Sendable {}
extension Measured: Equatable where Value: Equatable {}

extension Measured: CustomStringConvertible {
    public var description: String {
        switch self {
        case .value(let value): "\(value)"
        case .unavailable(let reason): "not available: \(reason)"
        }
    }
}
