public import Kernel
public import Multiformats

/// Between addresses as libp2p writes them and as the kernel takes them. A `/p2p/` at the end says who is there, not where. Anything else behind the socket's part,
/// such as `/ws` or `/tls`, is a layer that must be spoken on top: such an address is none of a bare socket's.
extension SocketAddress {
    /// - Throws: ``HostError/unsupportedAddress(_:)`` when the address names no bare socket, ``HostError/pathTooLong(_:byteCount:limitBytes:)``.
    public init(_ address: Multiaddr) throws(HostError) {
        guard let made = SocketAddress(address.components[...]) else { throw .unsupportedAddress(address) }
        if case .unix(let path) = made, path.utf8.count > SocketAddress.unixPathByteCountMax {
            throw .pathTooLong(address, byteCount: path.utf8.count, limitBytes: SocketAddress.unixPathByteCountMax)
        }
        self = made
    }

    private init?(_ components: ArraySlice<MultiaddrComponent>) {
        var rest = components
        if rest.count > 1, case .p2p = rest.last { rest.removeLast() }
        // The zone of a link-local address is the index of an interface.
        var scope: UInt32 = 0
        if case .ip6zone(let zone) = rest.first, case .ip6 = rest.dropFirst().first {
            guard let index = UInt32(zone) else { return nil }
            scope = index
            rest.removeFirst()
        }
        guard rest.count <= 2 else { return nil }
        switch (rest.popFirst(), rest.first) {
        case (.ip4(let host), .tcp(let port)): self = .ip4(host.value, port: port)
        case (.ip6(let host), .tcp(let port)): self = .ip6(high: host.high, low: host.low, scope: scope, port: port)
        case (.unix(let path), nil): self = .unix(path)
        default: return nil
        }
    }
}

extension SocketAddress {
    /// What a listener on every interface is bound to.
    fileprivate var isAllInterfaces: Bool {
        switch self {
        case .ip4(0, _), .ip6(0, 0, _, _): true
        case .ip4, .ip6, .unix: false
        }
    }
}

extension Multiaddr {
    /// The address itself; for one that stands for all interfaces, those of the interfaces. Where the kernel does not tell them it stays as it is.
    var reachable: [Multiaddr] {
        guard let target = try? SocketAddress(self), target.isAllInterfaces, let interfaces = try? NetworkInterfaces.addresses() else { return [self] }
        let found = interfaces.compactMap { interface -> SocketAddress? in
            switch (target, interface) {
            case (.ip4(_, let port), .ip4(let host, _)): .ip4(host, port: port)
            case (.ip6(_, _, _, let port), .ip6(let high, let low, let scope, _)): .ip6(high: high, low: low, scope: scope, port: port)
            default: nil
            }
        }
        return found.isEmpty ? [self] : found.map { Multiaddr($0) }
    }

    public init(_ address: SocketAddress) {
        switch address {
        case .unix(let path): self.init([.unix(path)])
        case .ip4(let host, let port): self.init([.ip4(IPv4Address(host)), .tcp(port)])
        case .ip6(let high, let low, let scope, let port):
            let zone: [MultiaddrComponent] = scope == 0 ? [] : [.ip6zone("\(scope)")]
            self.init(zone + [.ip6(IPv6Address(high: high, low: low)), .tcp(port)])
        }
    }

    /// The address without the peer ID at its end.
    public var withoutPeerID: Multiaddr {
        guard case .p2p = components.last, components.count > 1 else { return self }
        return Multiaddr(Array(components.dropLast()))
    }
}
