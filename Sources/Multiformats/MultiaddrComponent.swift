import Bytes

/// One protocol of a ``Multiaddr`` and what it needs to know.
public enum MultiaddrComponent: Hashable, Sendable {
    case ip4(IPv4Address)
    case ip6(IPv6Address)
    /// In front of an `ip6`: the interface that a link-local address belongs to (RFC 4007).
    case ip6zone(String)
    /// Behind an address: how many leading bits of it count.
    case ipcidr(UInt8)
    /// A name that resolves to addresses of both kinds, of one kind, or to whole multiaddrs.
    case dns(String), dns4(String), dns6(String), dnsaddr(String)
    /// A port.
    case tcp(UInt16)
    /// A port.
    case udp(UInt16)
    /// A path in the file system, with its leading slash.
    case unix(String)
    /// Who is there.
    case p2p(PeerID)
    /// Through a relay: what stands before is the relay's address.
    case p2pCircuit
    case quic, quicV1, webtransport, webrtc, webrtcDirect
    /// The multihash of a certificate that the far end may show.
    case certhash(Multihash)
    case tls
    /// The name that TLS asks for.
    case sni(String)
    case noise
    case ws, wss, http, https
    /// A rendezvous inside this process.
    case memory(UInt64)
}

extension MultiaddrComponent {
    /// The numbers and names of the table of protocols (multiformats/multiaddr, `protocols.csv`).
    enum Code: UInt64, CaseIterable {
        case ip4 = 4
        case ip6 = 41
        case ip6zone = 42
        case ipcidr = 43
        case dns = 53
        case dns4 = 54
        case dns6 = 55
        case dnsaddr = 56
        case tcp = 6
        case udp = 273
        case unix = 400
        case p2p = 421
        case p2pCircuit = 290
        case quic = 460
        case quicV1 = 461
        case webtransport = 465
        case webrtc = 281
        case webrtcDirect = 280
        case certhash = 466
        case tls = 448
        case sni = 449
        case noise = 454
        case ws = 477
        case wss = 478
        case http = 480
        case https = 443
        case memory = 777

        var name: String {
            switch self {
            case .p2pCircuit: "p2p-circuit"
            case .quicV1: "quic-v1"
            case .webrtcDirect: "webrtc-direct"
            default: "\(self)"
            }
        }

        /// `ipfs` is what `p2p` was called once ("Historical Note: the ipfs multiaddr Protocol").
        static func named(_ name: String) -> Code? { byName[name] }

        private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) } + [("ipfs", .p2p)])

        /// Bytes of a value that always takes as many, or nil when a length stands in front of it. The table gives no length to `memory`, but
        /// its values are numbers of 64 bits.
        var fixedByteCount: Int? {
            switch self {
            case .ip4: 4
            case .ip6: 16
            case .ipcidr: 1
            case .tcp, .udp: 2
            default: nil
            }
        }
    }

    /// Longest name that can be resolved (RFC 1035, section 3.1, as text).
    private static let hostByteCountMax = 253

    /// The component of a protocol that has no value; nil when it has one.
    init?(_ code: Code) {
        switch code {
        case .p2pCircuit: self = .p2pCircuit
        case .quic: self = .quic
        case .quicV1: self = .quicV1
        case .webtransport: self = .webtransport
        case .webrtc: self = .webrtc
        case .webrtcDirect: self = .webrtcDirect
        case .tls: self = .tls
        case .noise: self = .noise
        case .ws: self = .ws
        case .wss: self = .wss
        case .http: self = .http
        case .https: self = .https
        default: return nil
        }
    }

    /// The component with the value that `text` stands for; nil when there is none.
    init?(_ code: Code, text: String) {
        func number(_ max: UInt64) -> UInt64? { Decimal.parse(text.utf8, max: max) }
        let component: MultiaddrComponent? =
            switch code {
            case .ip4: IPv4Address(text).map { .ip4($0) }
            case .ip6: IPv6Address(text).map { .ip6($0) }
            case .ipcidr: number(255).map { .ipcidr(UInt8($0)) }
            case .tcp: number(65_535).map { .tcp(UInt16($0)) }
            case .udp: number(65_535).map { .udp(UInt16($0)) }
            case .memory: number(.max).map { .memory($0) }
            case .p2p: (try? PeerID(text)).map { .p2p($0) }
            case .certhash: Self.certhash(text).map { .certhash($0) }
            default: Self.named(code, text)
            }
        guard let component, component.isValid else { return nil }
        self = component
    }

    /// The component with the value that `bytes` hold; nil when there is none.
    init?(_ code: Code, bytes: RawSpan) {
        let component: MultiaddrComponent? =
            switch code {
            case .ip4: .ip4(IPv4Address(bytes.bigEndian32(at: 0)))
            case .ip6: .ip6(IPv6Address(high: bytes.bigEndian64(at: 0), low: bytes.bigEndian64(at: 8)))
            case .ipcidr: .ipcidr(bytes.byte(at: 0))
            case .tcp: .tcp(bytes.bigEndian16(at: 0))
            case .udp: .udp(bytes.bigEndian16(at: 0))
            case .memory: bytes.byteCount == 8 ? .memory(bytes.bigEndian64(at: 0)) : nil
            case .p2p: (try? PeerID(bytes: bytes)).map { .p2p($0) }
            case .certhash: (try? Multihash(bytes: bytes)).map { .certhash($0) }
            default: bytes.text(0..<bytes.byteCount).flatMap { Self.named(code, $0) }
            }
        guard let component, component.isValid else { return nil }
        self = component
    }

    private static func certhash(_ text: String) -> Multihash? {
        guard let bytes = try? Multibase.decode(text).bytes else { return nil }
        return try? Multihash(bytes: bytes.rawSpan)
    }

    /// The components whose value is a name.
    private static func named(_ code: Code, _ name: String) -> MultiaddrComponent? {
        switch code {
        case .ip6zone: .ip6zone(name)
        case .dns: .dns(name)
        case .dns4: .dns4(name)
        case .dns6: .dns6(name)
        case .dnsaddr: .dnsaddr(name)
        case .sni: .sni(name)
        case .unix: .unix(name)
        default: nil
        }
    }

    /// Whether the value can be written in text and read again. Control characters are refused: addresses go into logs.
    var isValid: Bool {
        switch self {
        case .unix(let path):
            path.utf8.count >= 2 && path.utf8.first == UInt8(ascii: "/") && path.utf8.last != UInt8(ascii: "/") && Self.isPrintable(path)
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name):
            !name.isEmpty && name.utf8.count <= Self.hostByteCountMax && !name.utf8.contains(UInt8(ascii: "/")) && Self.isPrintable(name)
        default: true
        }
    }

    private static func isPrintable(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }

    // MARK: Writing

    var code: Code {
        switch self {
        case .ip4: .ip4
        case .ip6: .ip6
        case .ip6zone: .ip6zone
        case .ipcidr: .ipcidr
        case .dns: .dns
        case .dns4: .dns4
        case .dns6: .dns6
        case .dnsaddr: .dnsaddr
        case .tcp: .tcp
        case .udp: .udp
        case .unix: .unix
        case .p2p: .p2p
        case .p2pCircuit: .p2pCircuit
        case .quic: .quic
        case .quicV1: .quicV1
        case .webtransport: .webtransport
        case .webrtc: .webrtc
        case .webrtcDirect: .webrtcDirect
        case .certhash: .certhash
        case .tls: .tls
        case .sni: .sni
        case .noise: .noise
        case .ws: .ws
        case .wss: .wss
        case .http: .http
        case .https: .https
        case .memory: .memory
        }
    }

    /// The protocol's name in text, such as `tcp`.
    public var name: String { code.name }

    /// Appends code, length where there is one, and value.
    func append(to bytes: inout [UInt8]) {
        Varint.append(code.rawValue, to: &bytes)
        guard MultiaddrComponent(code) == nil else { return }
        let value = valueBytes
        if code.fixedByteCount == nil { Varint.append(UInt64(value.count), to: &bytes) }
        bytes += value
    }

    /// What ``append(to:)`` appends.
    var byteCount: Int {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes.count
    }

    private var valueBytes: [UInt8] {
        func bigEndian(_ value: UInt64, _ byteCount: Int) -> [UInt8] {
            (1...byteCount).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (byteCount - $0))) }
        }
        return switch self {
        case .ip4(let address): bigEndian(UInt64(address.value), 4)
        case .ip6(let address): bigEndian(address.high, 8) + bigEndian(address.low, 8)
        case .ipcidr(let bits): [bits]
        case .tcp(let port), .udp(let port): bigEndian(UInt64(port), 2)
        case .memory(let number): bigEndian(number, 8)
        case .p2p(let peerID): peerID.bytes
        case .certhash(let hash): hash.bytes
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name), .unix(let name):
            Array(name.utf8)
        default: []
        }
    }
}

extension MultiaddrComponent: CustomStringConvertible {
    /// The component in text: `/tcp/4001`, `/tls`.
    public var description: String {
        switch self {
        case .ip4(let address): "/\(name)/\(address)"
        case .ip6(let address): "/\(name)/\(address)"
        case .ipcidr(let bits): "/\(name)/\(bits)"
        case .tcp(let port), .udp(let port): "/\(name)/\(port)"
        case .memory(let number): "/\(name)/\(number)"
        case .p2p(let peerID): "/\(name)/\(peerID)"
        // The libp2p specification of WebRTC writes it in base64url, and so does go-multiaddr.
        case .certhash(let hash): "/\(name)/\(Multibase.base64url.text(of: hash.bytes))"
        case .unix(let path): "/\(name)\(path)"
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name), .sni(let name):
            "/\(self.name)/\(name)"
        default: "/\(name)"
        }
    }
}
