import Multiformats
import Testing

@Suite struct MultiaddrTests {
    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/4001", [Multiaddr.Component.ip4("127.0.0.1"), .tcp(4001)]),
        ("/ip4/0.0.0.0/tcp/0", [.ip4("0.0.0.0"), .tcp(0)]),
        ("/ip6/::1/tcp/65535", [.ip6("::1"), .tcp(65535)]),
        ("/ip6/fe80::1%2/tcp/80", [.ip6("fe80::1%2"), .tcp(80)]),
        ("/unix/tmp/a.sock", [.unix("/tmp/a.sock")]),
        ("/unix/var/run/ip4/tcp/x", [.unix("/var/run/ip4/tcp/x")]),
        ("/memory/7", [.memory(7)]),
    ])
    func textGoesThereAndBack(text: String, components: [Multiaddr.Component]) throws {
        let address = try Multiaddr(text)
        #expect(address.components == components)
        #expect(address.description == text)
        #expect(try Multiaddr(address.description) == address)
    }

    @Test(arguments: [
        ("", MultiaddrError.noLeadingSlash("")),
        ("127.0.0.1:4001", .noLeadingSlash("127.0.0.1:4001")),
        ("ip4/127.0.0.1", .noLeadingSlash("ip4/127.0.0.1")),
        ("/", .unknownComponent("", in: "/")),
        ("/udp/1", .unknownComponent("udp", in: "/udp/1")),
        ("/ip4/127.0.0.1/quic-v1", .unknownComponent("quic-v1", in: "/ip4/127.0.0.1/quic-v1")),
        ("/ip4", .missingValue(component: "ip4", in: "/ip4")),
        ("/ip4/", .missingValue(component: "ip4", in: "/ip4/")),
        ("/ip4/127.0.0.1/tcp", .missingValue(component: "tcp", in: "/ip4/127.0.0.1/tcp")),
        ("/unix", .missingValue(component: "unix", in: "/unix")),
        ("/unix/", .missingValue(component: "unix", in: "/unix/")),
        ("/ip4/localhost/tcp/1", .badValue(component: "ip4", value: "localhost", in: "/ip4/localhost/tcp/1")),
        ("/ip4/1.2.3/tcp/1", .badValue(component: "ip4", value: "1.2.3", in: "/ip4/1.2.3/tcp/1")),
        ("/ip4/1.2.3.256/tcp/1", .badValue(component: "ip4", value: "1.2.3.256", in: "/ip4/1.2.3.256/tcp/1")),
        ("/ip4/1.2.3.4.5/tcp/1", .badValue(component: "ip4", value: "1.2.3.4.5", in: "/ip4/1.2.3.4.5/tcp/1")),
        ("/ip6/1.2.3.4/tcp/1", .badValue(component: "ip6", value: "1.2.3.4", in: "/ip6/1.2.3.4/tcp/1")),
        ("/ip4/127.0.0.1/tcp/65536", .badValue(component: "tcp", value: "65536", in: "/ip4/127.0.0.1/tcp/65536")),
        ("/ip4/127.0.0.1/tcp/-1", .badValue(component: "tcp", value: "-1", in: "/ip4/127.0.0.1/tcp/-1")),
        ("/memory/x", .badValue(component: "memory", value: "x", in: "/memory/x")),
    ])
    func refusalsNameWhatIsWrong(text: String, error: MultiaddrError) {
        #expect(throws: error) { try Multiaddr(text) }
        let mentioned: String =
            switch error {
            case .noLeadingSlash(let text): text
            case .unknownComponent(let name, _): name
            case .missingValue(let component, _): component
            case .badValue(_, let value, _): value
            }
        #expect(error.description.contains("'\(mentioned)'"))
    }

    @Test func addressesAreKeys() throws {
        let addresses: Set = [try Multiaddr("/memory/1"), try Multiaddr("/memory/1"), try Multiaddr("/memory/2")]
        #expect(addresses.count == 2)
    }
}
