/// A figure that may be impossible to have on this machine or for this workload. Absent is not zero: it carries the reason.
///
/// In JSON a value stands bare; an absent one is the string `not available: reason`.
public enum Measured<Value> {
    case value(Value)
    /// Why there is no figure, as a person should read it.
    case unavailable(String)

    /// `value`, or absent for `reason` when it is nil.
    public init(_ value: Value?, else reason: String) {
        self = value.map { .value($0) } ?? .unavailable(reason)
    }

    /// What a figure is before anybody measured it.
    public static var unmeasured: Measured { .unavailable("not measured") }

    /// Nil when it could not be had.
    public var value: Value? {
        if case .value(let value) = self { value } else { nil }
    }

    /// Why it could not be had; nil when it was.
    public var reason: String? {
        if case .unavailable(let reason) = self { reason } else { nil }
    }

    /// The same absence, or the value transformed.
    public func map<Other>(_ transform: (Value) -> Other) -> Measured<Other> {
        switch self {
        case .value(let value): .value(transform(value))
        case .unavailable(let reason): .unavailable(reason)
        }
    }

    /// Both figures combined; absent, with the first reason, when either is.
    public func combined<Other, Result>(
        with other: Measured<Other>, _ combine: (Value, Other) -> Result
    ) -> Measured<Result> {
        switch (self, other) {
        case (.value(let left), .value(let right)): .value(combine(left, right))
        case (.unavailable(let reason), _), (_, .unavailable(let reason)): .unavailable(reason)
        }
    }
}

extension Measured: Equatable where Value: Equatable {}
extension Measured: Sendable where Value: Sendable {}

let absencePrefix = "not available: "

extension Measured: Encodable where Value: Encodable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .value(let value): try container.encode(value)
        case .unavailable(let reason): try container.encode(absencePrefix + reason)
        }
    }
}

extension Measured: Decodable where Value: Decodable {
    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self), text.hasPrefix(absencePrefix) {
            self = .unavailable(String(text.dropFirst(absencePrefix.count)))
        } else {
            self = .value(try Value(from: decoder))
        }
    }
}

extension KeyedDecodingContainer {
    /// A record written before a figure existed has no key for it: that is an absence with a reason, not a broken file.
    func decode<Value: Decodable>(_ type: Measured<Value>.Type, forKey key: Key) throws -> Measured<Value> {
        try decodeIfPresent(type, forKey: key) ?? .unavailable("the record has no such key")
    }

    func decode<Value: Decodable>(
        _ type: BothSides<Measured<Value>>.Type, forKey key: Key
    ) throws -> BothSides<Measured<Value>> {
        try decodeIfPresent(type, forKey: key) ?? BothSides(both: .unavailable("the record has no such key"))
    }
}

extension Measured: ExpressibleByIntegerLiteral where Value: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Value.IntegerLiteralType) { self = .value(Value(integerLiteral: value)) }
}

extension Measured: ExpressibleByFloatLiteral where Value: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Value.FloatLiteralType) { self = .value(Value(floatLiteral: value)) }
}

/// The two ends of a run. The client is the one that dials.
public enum Side: String, Codable, Sendable, CaseIterable {
    case client, server

    /// The opposite one.
    public var other: Side { self == .client ? .server : .client }
}

/// Where payload flows: `up` from client to server, `down` from server to client.
public enum Direction: String, Codable, Sendable, CaseIterable {
    case up, down

    /// Who sends in this direction.
    public var sender: Side { self == .up ? .client : .server }
    /// Who receives in this direction.
    public var receiver: Side { sender.other }
}

/// Bytes as one side sees them: those it sent, or those it received.
public enum Flow: String, Codable, Sendable, CaseIterable {
    case sent, received
}

/// One figure for each end. In JSON: `{"client": …, "server": …}`.
public struct BothSides<Value> {
    public var client: Value
    public var server: Value

    public init(client: Value, server: Value) {
        self.client = client
        self.server = server
    }

    /// The same for both.
    public init(both value: Value) { self.init(client: value, server: value) }

    public func map<Other>(_ transform: (Value) -> Other) -> BothSides<Other> {
        BothSides<Other>(client: transform(client), server: transform(server))
    }

    public subscript(_ side: Side) -> Value {
        get { side == .client ? client : server }
        set { if side == .client { client = newValue } else { server = newValue } }
    }
}

extension BothSides: Equatable where Value: Equatable {}
extension BothSides: Sendable where Value: Sendable {}
extension BothSides: Encodable where Value: Encodable {}
extension BothSides: Decodable where Value: Decodable {}
