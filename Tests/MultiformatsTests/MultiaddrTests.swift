import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct MultiaddrTests {
    static let peer = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
    static let otherPeer = "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"

    /// Text that comes out as it went in. Most are from go-multiaddr's tests.
    @Test(arguments: [
        "/ip4/1.2.3.4", "/ip4/0.0.0.0", "/ip4/192.0.2.0/ipcidr/24", "/ip6/::1", "/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21",
        "/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/udp/1234/quic-v1", "/ip6/2001:db8::/ipcidr/32", "/ip6zone/x/ip6/fe80::1",
        "/ip6zone/x%y/ip6/::", "/ip6zone/x/ip6/fe80::1/udp/1234/quic", "/ip6/::ffff:127.0.0.1/tcp/111", "/udp/0", "/tcp/0", "/udp/65535", "/tcp/65535",
        "/p2p/\(peer)", "/p2p/\(otherPeer)", "/p2p/\(peer)/tcp/1234", "/ip4/127.0.0.1/udp/1234/quic-v1/webtransport", "/ip4/127.0.0.1/tcp/443/https",
        "/ip4/127.0.0.1/udp/1234/quic-v1/webtransport/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
        "/ip4/127.0.0.1/udp/9090/webrtc-direct/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g/p2p/\(otherPeer)",
        "/unix/a/b/c/d/e", "/unix/stdio", "/ip4/1.2.3.4/tcp/80/unix/a/b/c/d/e/f", "/p2p/\(peer)/unix/a/b/c", "/unix/tmp/with space", "/unix//two",
        "/ip4/127.0.0.1/tcp/127/ws", "/ip4/127.0.0.1/tcp/127/tls/ws", "/ip4/127.0.0.1/tcp/127/wss", "/ip4/127.0.0.1/tcp/127/noise",
        "/ip4/127.0.0.1/tcp/443/tls/sni/example.com/http", "/dns/example.com/tcp/1", "/dns4/example.com/tcp/1", "/dns6/example.com/tcp/1",
        "/dnsaddr/bootstrap.libp2p.io", "/dns6/am6.bootstrap.libp2p.io/tcp/443/wss/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
        "/ip4/1.2.3.4/tcp/1/p2p/\(peer)/p2p-circuit/p2p/\(otherPeer)", "/ip4/127.0.0.1/udp/1/webrtc", "/memory/4", "/memory/18446744073709551615",
    ])
    func textGoesThereAndBack(text: String) throws {
        let address = try Multiaddr(text)
        #expect(address.description == text)
        let bytes = address.bytes
        #expect(try Multiaddr(bytes: bytes.rawSpan) == address)
        #expect(Multiaddr(address.components) == address)
    }

    /// Text that comes out in its one form.
    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/1234/", "/ip4/127.0.0.1/tcp/1234"), ("/unix/a/b///", "/unix/a/b"), ("/tls//", "/tls"), ("/tcp/0080", "/tcp/80"),
        ("/ipfs/\(peer)", "/p2p/\(peer)"), ("/p2p/k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl7", "/p2p/\(peer)"),
        ("/p2p/bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u", "/p2p/\(otherPeer)"),
        ("/certhash/b2uaraocy6yrdblb4sfptaddgimjmmpy", "/certhash/u1QEQOFj2IjCsPJFfMAxmQxLGPw"),
        ("/ip6/0:0:0:0:0:0:0:1", "/ip6/::1"), ("/ip6/2001:DB8:0:0:1:0:0:1", "/ip6/2001:db8::1:0:0:1"),
    ])
    func textBecomesCanonical(text: String, canonical: String) throws {
        #expect(try Multiaddr(text).description == canonical)
    }

    /// The binary forms of go-multiaddr's tests, and of the README of multiformats/multiaddr.
    static let binaries: [(String, String)] = [
        ("/ip4/127.0.0.1/udp/1234", "047f000001910204d2"), ("/ip4/127.0.0.1/tcp/4321", "047f0000010610e1"),
        ("/ip4/127.0.0.1/udp/1234/ip4/127.0.0.1/tcp/4321", "047f000001910204d2047f0000010610e1"),
        ("/ip6zone/eth0/ip6/::1", "2a04657468302900000000000000000000000000000001"),
        ("/dns6/000000000000000000000000000000000000000000", "372a" + String(repeating: "30", count: 42)),
        ("/unix/a/b", "900304" + "2f612f62"), ("/memory/4", "8906080000000000000004"), ("/tls/quic-v1/p2p-circuit", "c003cd03a202"),
        ("/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC", "a503221220d52ebb89d85b02a284948203a62ff28389c57c9f42beec4ec20db76a68911c0b"),
    ]

    @Test(arguments: binaries)
    func binaryForms(text: String, binary: String) throws {
        let bytes = hex(binary)
        #expect(hexText(try Multiaddr(text).bytes) == binary)
        #expect(try Multiaddr(bytes: bytes.rawSpan).description == text)
    }

    static let refusedTexts: [(String, MultiformatError)] = [
        ("", .noLeadingSlash("")), ("127.0.0.1:4001", .noLeadingSlash("127.0.0.1:4001")), ("ip4/127.0.0.1", .noLeadingSlash("ip4/127.0.0.1")),
        ("/\u{301}ip4/1.2.3.4", .unknownComponent("\u{301}ip4", in: "/\u{301}ip4/1.2.3.4")),
        ("/", .emptyMultiaddr), ("///", .emptyMultiaddr), ("//tls", .unknownComponent("", in: "//tls")),
        ("/ip4/1.2.3.4//tls", .unknownComponent("", in: "/ip4/1.2.3.4//tls")), ("/sctp/1", .unknownComponent("sctp", in: "/sctp/1")),
        ("/ip4/127.0.0.1/quic/1234", .unknownComponent("1234", in: "/ip4/127.0.0.1/quic/1234")),
        ("/ip4", .missingValue(component: "ip4", in: "/ip4")), ("/ip4/", .missingValue(component: "ip4", in: "/ip4/")),
        ("/ip6zone//ip6/fe80::1", .missingValue(component: "ip6zone", in: "/ip6zone//ip6/fe80::1")),
        ("/ip4/127.0.0.1/tcp", .missingValue(component: "tcp", in: "/ip4/127.0.0.1/tcp")), ("/unix", .missingValue(component: "unix", in: "/unix")),
        ("/unix/", .missingValue(component: "unix", in: "/unix/")), ("/p2p", .missingValue(component: "p2p", in: "/p2p")),
        ("/ip4/localhost/tcp/1", .badValue(component: "ip4", value: "localhost", in: "/ip4/localhost/tcp/1")),
        ("/ip4/1.2.3", .badValue(component: "ip4", value: "1.2.3", in: "/ip4/1.2.3")), ("/ip4/::1", .badValue(component: "ip4", value: "::1", in: "/ip4/::1")),
        ("/ip4/1.2.3.256", .badValue(component: "ip4", value: "1.2.3.256", in: "/ip4/1.2.3.256")),
        ("/ip4/01.2.3.4", .badValue(component: "ip4", value: "01.2.3.4", in: "/ip4/01.2.3.4")),
        ("/ip4/+1.2.3.4", .badValue(component: "ip4", value: "+1.2.3.4", in: "/ip4/+1.2.3.4")),
        ("/ip6/1.2.3.4", .badValue(component: "ip6", value: "1.2.3.4", in: "/ip6/1.2.3.4")),
        ("/ip6/fe80::1%2", .badValue(component: "ip6", value: "fe80::1%2", in: "/ip6/fe80::1%2")),
        ("/ip4/0.0.0.0/ipcidr/256", .badValue(component: "ipcidr", value: "256", in: "/ip4/0.0.0.0/ipcidr/256")),
        ("/tcp/65536", .badValue(component: "tcp", value: "65536", in: "/tcp/65536")), ("/udp/65536", .badValue(component: "udp", value: "65536", in: "/udp/65536")),
        ("/tcp/-1", .badValue(component: "tcp", value: "-1", in: "/tcp/-1")), ("/tcp/+1", .badValue(component: "tcp", value: "+1", in: "/tcp/+1")),
        ("/udp/jfod", .badValue(component: "udp", value: "jfod", in: "/udp/jfod")), ("/memory/x", .badValue(component: "memory", value: "x", in: "/memory/x")),
        (
            "/memory/18446744073709551616",
            .badValue(component: "memory", value: "18446744073709551616", in: "/memory/18446744073709551616")
        ),
        ("/ipfs/tcp", .badValue(component: "ipfs", value: "tcp", in: "/ipfs/tcp")),
        (
            "/certhash/b2uaraocy6yrdblb4sfptaddgimjmmp",
            .badValue(component: "certhash", value: "b2uaraocy6yrdblb4sfptaddgimjmmp", in: "/certhash/b2uaraocy6yrdblb4sfptaddgimjmmp")
        ),
        ("/dns/a\nb", .badValue(component: "dns", value: "a\nb", in: "/dns/a\nb")), ("/unix/a\0b", .badValue(component: "unix", value: "a\0b", in: "/unix/a\0b")),
    ]

    @Test(arguments: refusedTexts)
    func refusalsNameWhatIsWrong(text: String, error: MultiformatError) {
        #expect(throws: error) { try Multiaddr(text) }
        #expect(!error.description.isEmpty)
        switch error {
        case .unknownComponent(let part, _), .missingValue(let part, _), .badValue(_, let part, _): #expect(error.description.contains("'\(part)'"))
        default: break
        }
    }

    static let refusedBytes: [(String, MultiformatError)] = [
        ("", .emptyMultiaddr), ("04", .truncated(.multiaddr)), ("047f0000", .truncated(.multiaddr)), ("91", .truncated(.multiaddr)),
        ("3703", .truncated(.multiaddr)), ("37036161", .truncated(.multiaddr)), ("840000", .malformedVarint(.multiaddr, .notMinimal)),
        ("ffffffffffffffffff01", .malformedVarint(.multiaddr, .tooLong)), ("00", .unknownComponentCode(0)), ("8401", .unknownComponentCode(132)),
        ("3700", .badBytes(component: "dns6")), ("3702c328", .badBytes(component: "dns6")), ("3701" + "2f", .badBytes(component: "dns6")),
        ("37010a", .badBytes(component: "dns6")), ("9003012f", .badBytes(component: "unix")), ("9003026162", .badBytes(component: "unix")),
        ("9003032f612f", .badBytes(component: "unix")), ("900302" + "2f61" + "c003", .componentBehindPath("/a")),
        ("89060100", .badBytes(component: "memory")), ("a503021220", .badBytes(component: "p2p")), ("d2030100", .badBytes(component: "certhash")),
        // go-multiaddr's invalid peer ID.
        ("a503221221c05877cbae039d70a5e600ea02c6f9f2942439285c9e344e26f8d280c850fad6", .badBytes(component: "p2p")),
    ]

    @Test(arguments: refusedBytes)
    func binaryRefusals(binary: String, error: MultiformatError) {
        let bytes = hex(binary)
        #expect(throws: error) { try Multiaddr(bytes: bytes.rawSpan) }
        #expect(!error.description.isEmpty)
    }

    @Test func sizesAreLimited() throws {
        let name = String(repeating: "a", count: 253)
        #expect(try Multiaddr("/dns/" + name).description == "/dns/" + name)
        #expect(throws: MultiformatError.badValue(component: "dns", value: name + "a", in: "/dns/\(name)a")) { try Multiaddr("/dns/\(name)a") }
        let full = try Multiaddr(String(repeating: "/tls", count: 1024))
        #expect(full.bytes.count == Multiaddr.byteCountMax)
        #expect(throws: MultiformatError.tooLarge(.multiaddr, byteCount: 2050, limitBytes: 2048)) { try Multiaddr(String(repeating: "/tls", count: 1025)) }
        #expect(throws: MultiformatError.tooLarge(.multiaddr, byteCount: 2050, limitBytes: 2048)) { try full.encapsulating(Multiaddr("/tls")) }
        #expect(throws: MultiformatError.tooLarge(.multiaddr, byteCount: 9000, limitBytes: 8192)) { try Multiaddr(String(repeating: "/", count: 9000)) }
        let long = [UInt8](repeating: 4, count: 2049)
        #expect(throws: MultiformatError.tooLarge(.multiaddr, byteCount: 2049, limitBytes: 2048)) { try Multiaddr(bytes: long.rawSpan) }
    }

    @Test func componentsOfTheProgramAreChecked() async {
        await #expect(processExitsWith: .failure) { _ = Multiaddr([.dns("a/b")]) }
        await #expect(processExitsWith: .failure) { _ = Multiaddr([]) }
        await #expect(processExitsWith: .failure) { _ = Multiaddr([.unix("/a"), .tls]) }
    }

    @Test func addressesAreKeys() throws {
        let addresses: Set = [try Multiaddr("/memory/1"), try Multiaddr("/memory/1"), try Multiaddr("/memory/2")]
        #expect(addresses.count == 2)
    }

    @Test func theLastPeerIsMeant() throws {
        #expect(try Multiaddr("/ip4/1.2.3.4/tcp/1/p2p/\(Self.peer)/p2p-circuit/p2p/\(Self.otherPeer)").peerID == PeerID(Self.otherPeer))
        #expect(try Multiaddr("/ip4/1.2.3.4/tcp/1/p2p/\(Self.peer)/p2p-circuit").peerID == PeerID(Self.peer))
        #expect(try Multiaddr("/ip4/1.2.3.4/tcp/1").peerID == nil)
    }

    /// go-multiaddr's tests, and the examples of "Addressing in libp2p".
    @Test(arguments: [
        ("/ip4/1.2.3.4/tcp/1234", "/ip4/1.2.3.4", nil), ("/ip4/1.2.3.4", "/ip4/1.2.3.4/tcp/1234", "/ip4/1.2.3.4"),
        ("/ip4/1.2.3.5/tcp/1234", "/ip4/5.3.2.1", "/ip4/1.2.3.5/tcp/1234"), ("/ip4/1.2.3.5/udp/1234/quic-v1", "/udp/1234", "/ip4/1.2.3.5"),
        ("/ip4/1.2.3.6/udp/1234/quic-v1", "/udp/1234/quic-v1", "/ip4/1.2.3.6"), ("/ip4/1.2.3.7/tcp/1234", "/ws", "/ip4/1.2.3.7/tcp/1234"),
        ("/dnsaddr/wss.com/ws", "/wss", "/dnsaddr/wss.com/ws"), ("/dnsaddr/wss.com/ws", "/dnsaddr/wss.com", nil),
        ("/ip4/1.2.3.4/tcp/1234/ws", "/ws", "/ip4/1.2.3.4/tcp/1234"), ("/tcp/1/tcp/2/tcp/1", "/tcp/1", "/tcp/1/tcp/2"),
    ])
    func decapsulation(outer: String, inner: String, left: String?) throws {
        #expect(try Multiaddr(outer).decapsulating(Multiaddr(inner))?.description == left)
    }

    @Test func encapsulation() throws {
        #expect(try Multiaddr("/ip4/127.0.0.1/udp/1234").encapsulating(Multiaddr("/udp/5678")).description == "/ip4/127.0.0.1/udp/1234/udp/5678")
        #expect(throws: MultiformatError.componentBehindPath("/a")) { try Multiaddr("/unix/a").encapsulating(Multiaddr("/tls")) }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let components = (0..<random.int(1...8)).map { _ in Self.component(&random) } + (random.oneIn(4) ? [.unix("/a/\(random.next())")] : [])
            let address = Multiaddr(components)
            #expect(try Multiaddr(address.description) == address)
            let bytes = address.bytes
            #expect(try Multiaddr(bytes: bytes.rawSpan) == address)
            var broken = bytes
            broken[random.int(0...bytes.count - 1)] ^= UInt8(random.int(1...255))
            if let other = try? Multiaddr(bytes: broken.rawSpan) {
                #expect(other.bytes == broken)
                #expect(try Multiaddr(other.description) == other)
            }
        }
    }

    static func component(_ random: inout SeededGenerator) -> MultiaddrComponent {
        let word = random.next()
        let name = "n\(word)"
        let choices: [MultiaddrComponent] = [
            .ip4(IPv4Address(UInt32(truncatingIfNeeded: word))), .ip6(IPv6Address(high: word & random.next() & random.next(), low: word & random.next())),
            .ip6zone(name), .ipcidr(UInt8(truncatingIfNeeded: word)), .dns(name), .dns4(name), .dns6(name), .dnsaddr(name),
            .tcp(UInt16(truncatingIfNeeded: word)), .udp(UInt16(truncatingIfNeeded: word)), .p2pCircuit, .quic, .quicV1, .webtransport, .webrtc, .webrtcDirect,
            .tls, .sni(name), .noise, .ws, .wss, .http, .https, .memory(word),
            (try? Multihash(.sha256, digest: random.bytes(32))).map { .certhash($0) } ?? .tls,
            (try? PeerID(Multihash(.identity, digest: random.bytes(36)))).map { .p2p($0) } ?? .tls,
        ]
        return choices[random.int(0...choices.count - 1)]
    }
}
