/// An address as libp2p writes it: a path of protocols, `/ip4/127.0.0.1/tcp/4001`.
///
/// The components known so far are those of the transports that exist here; any other is refused by name.
public struct Multiaddr: Hashable, Sendable, CustomStringConvertible {
    public enum Component: Hashable, Sendable {
        case ip4(String)
        case ip6(String)
        case tcp(UInt16)
        case unix(String)
        /// A rendezvous inside this process.
        case memory(UInt64)
    }

    public let components: [Component]

    public init(_ components: [Component]) {
        self.components = components
    }

    /// Parses the text form.
    public init(_ text: String) throws(MultiaddrError) {
        guard text.hasPrefix("/") else { throw .noLeadingSlash(text) }
        var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)[...]
        var components: [Component] = []
        while let name = parts.popFirst() {
            // A path is everything behind `unix`: it holds slashes of its own.
            if name == "unix" {
                let path = parts.joined(separator: "/").drop { $0 == "/" }
                guard !path.isEmpty else { throw .missingValue(component: name, in: text) }
                components.append(.unix("/" + path))
                break
            }
            components.append(try Self.component(name, value: parts.popFirst(), in: text))
        }
        self.components = components
    }

    private static func component(_ name: String, value: String?, in text: String) throws(MultiaddrError) -> Component {
        guard ["ip4", "ip6", "tcp", "memory"].contains(name) else { throw .unknownComponent(name, in: text) }
        guard let value, !value.isEmpty else { throw .missingValue(component: name, in: text) }
        switch name {
        case "ip4":
            let numbers = value.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
            guard numbers.count == 4, !numbers.contains(nil) else { throw .badValue(component: name, value: value, in: text) }
            return .ip4(value)
        case "ip6":
            guard value.contains(":") else { throw .badValue(component: name, value: value, in: text) }
            return .ip6(value)
        case "tcp":
            guard let port = UInt16(value) else { throw .badValue(component: name, value: value, in: text) }
            return .tcp(port)
        default:
            guard let number = UInt64(value) else { throw .badValue(component: name, value: value, in: text) }
            return .memory(number)
        }
    }

    public var description: String {
        components.map { component in
            switch component {
            case .ip4(let host): "/ip4/\(host)"
            case .ip6(let host): "/ip6/\(host)"
            case .tcp(let port): "/tcp/\(port)"
            case .unix(let path): "/unix\(path)"
            case .memory(let number): "/memory/\(number)"
            }
        }.joined()
    }
}

/// What is wrong with the text of an address.
public enum MultiaddrError: Error, Equatable, Sendable, CustomStringConvertible {
    case noLeadingSlash(String)
    case unknownComponent(String, in: String)
    case missingValue(component: String, in: String)
    case badValue(component: String, value: String, in: String)

    public var description: String {
        switch self {
        case .noLeadingSlash(let text):
            "'\(text)' is not a multiaddr: it must begin with '/', as in /ip4/127.0.0.1/tcp/4001"
        case .unknownComponent(let name, let text):
            "'\(text)': '\(name)' is not a component known here; known are ip4, ip6, tcp, unix, memory"
        case .missingValue(let component, let text):
            "'\(text)': '\(component)' needs a value behind it"
        case .badValue(let component, let value, let text):
            "'\(text)': '\(value)' is not a value for '\(component)'"
        }
    }
}
