import Kernel
import Multiformats

/// Between addresses as libp2p writes them and as the kernel takes them.
extension SocketAddress {
    /// - Throws: ``ScenarioError`` when the address names no socket.
    init(_ address: Multiaddr) throws(ScenarioError) {
        let made = SocketAddress(address.components[...])
        if case .unix(let path)? = made, path.utf8.count > SocketAddress.unixPathByteCountMax {
            throw .contradiction(
                "'\(address)' cannot be a Unix socket: its path has \(path.utf8.count) bytes and the kernel takes \(SocketAddress.unixPathByteCountMax); use a shorter one")
        }
        guard let made else {
            throw .contradiction("'\(address)' is not an address to listen on or dial; use /ip4/HOST/tcp/PORT, /ip6/HOST/tcp/PORT or /unix/PATH")
        }
        self = made
    }

    private init?(_ components: ArraySlice<MultiaddrComponent>) {
        var rest = components
        // The zone of a link-local address is the index of an interface.
        var scope: UInt32 = 0
        if case .ip6zone(let zone) = rest.first, case .ip6 = rest.dropFirst().first {
            guard let index = UInt32(zone) else { return nil }
            scope = index
            rest.removeFirst()
        }
        switch (rest.popFirst(), rest.first) {
        case (.ip4(let host), .tcp(let port)): self = .ip4(host.value, port: port)
        case (.ip6(let host), .tcp(let port)): self = .ip6(high: host.high, low: host.low, scope: scope, port: port)
        case (.unix(let path), nil): self = .unix(path)
        default: return nil
        }
    }
}

extension Multiaddr {
    init(_ address: SocketAddress) {
        switch address {
        case .unix(let path): self.init([.unix(path)])
        case .ip4(let host, let port): self.init([.ip4(IPv4Address(host)), .tcp(port)])
        case .ip6(let high, let low, let scope, let port):
            let zone: [MultiaddrComponent] = scope == 0 ? [] : [.ip6zone("\(scope)")]
            self.init(zone + [.ip6(IPv6Address(high: high, low: low)), .tcp(port)])
        }
    }
}
