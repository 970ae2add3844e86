import Kernel
import Multiformats
import P2P
import Testing

@testable import Load

@Suite struct AddressTests {
    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/4001", "127.0.0.1:4001"), ("/ip6/::1/tcp/80", "[::1]:80"), ("/ip6zone/2/ip6/fe80::1/tcp/80", "[fe80::1%2]:80"),
        ("/unix/tmp/a.sock", "unix:/tmp/a.sock"),
    ])
    func bothWays(text: String, socket: String) throws {
        let address = try Multiaddr(text)
        #expect(try SocketAddress(ofRun: address).description == socket)
        #expect(Multiaddr(try SocketAddress(ofRun: address)) == address)
    }

    /// What comes behind the port says who is there, not where.
    @Test func aPeerIDIsNoPartOfTheSocket() throws {
        let address = try Multiaddr("/ip4/127.0.0.1/tcp/4001/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC")
        #expect(try SocketAddress(ofRun: address).description == "127.0.0.1:4001")
    }

    @Test(arguments: ["/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/tcp/1", "/memory/1", "/dns4/localhost/tcp/1", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip6zone/1/ip4/1.2.3.4/tcp/1"])
    func refusals(text: String) throws {
        let address = try Multiaddr(text)
        #expect(throws: ScenarioError.self) { try SocketAddress(ofRun: address) }
    }
}
