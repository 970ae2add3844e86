import Kernel
import Multiformats

/// Between addresses as libp2p writes them and as the kernel takes them.
extension SocketAddress {
    /// - Throws: ``ScenarioError`` when the address names no socket.
    init(_ address: Multiaddr) throws(ScenarioError) {
        let made: SocketAddress? =
            switch address.components.first {
            case .ip4(let host): address.port.flatMap { SocketAddress("\(host):\($0)") }
            case .ip6(let host): address.port.flatMap { SocketAddress("[\(host)]:\($0)") }
            case .unix(let path): .unix(path)
            case .tcp, .memory, nil: nil
            }
        if case .unix(let path)? = made, path.utf8.count > SocketAddress.unixPathByteCountMax {
            throw .contradiction(
                "'\(address)' cannot be a Unix socket: its path has \(path.utf8.count) bytes and the kernel takes \(SocketAddress.unixPathByteCountMax); use a shorter one")
        }
        guard let made else {
            throw .contradiction("'\(address)' is not an address to listen on or dial; use /ip4/HOST/tcp/PORT, /ip6/HOST/tcp/PORT or /unix/PATH")
        }
        self = made
    }
}

extension Multiaddr {
    var port: UInt16? {
        for case .tcp(let port) in components { return port }
        return nil
    }

    init(_ address: SocketAddress) {
        switch address {
        case .unix(let path): self.init([.unix(path)])
        case .ip4(_, let port), .ip6(_, _, _, let port):
            // The host is what stands before the port's colon, without brackets.
            let text = address.description
            let host = text[..<(text.lastIndex(of: ":") ?? text.endIndex)].trimming { $0 == "[" || $0 == "]" }
            self.init([host.contains(":") ? .ip6(host) : .ip4(host), .tcp(port)])
        }
    }
}

extension Substring {
    fileprivate func trimming(_ isDropped: (Character) -> Bool) -> String {
        String(drop(while: isDropped).reversed().drop(while: isDropped).reversed())
    }
}
