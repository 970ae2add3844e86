import Kernel
import Multiformats
@testable import P2P
import Reactor
import Testing

/// Hosts that are dialled by name.
@Suite(.timeLimit(.minutes(5))) struct NameTransportTests {
    /// A client that finds addresses as told, and where a server listens.
    private func withNames(
        _ resolve: @escaping NameTransport.Resolver, dialNanoseconds: UInt64 = 240_000_000_000,
        _ body: (_ client: Host, _ server: Host, _ port: UInt16) async throws -> Void
    ) async throws {
        try await withHosts(client: {
            $0.transports = [SocketTransport(), NameTransport(resolve: resolve), MemoryTransport()]
            $0.limits.dialNanoseconds = dialNanoseconds
        }) { client, server, address in
            guard case .tcp(let port)? = address.components.dropFirst().first else {
                Issue.record("\(address)")
                return
            }
            try await body(client, server, port)
        }
    }

    /// The machine's own resolver; `localhost` may be IPv6 first, where nobody listens.
    @Test(arguments: ["dns", "dns4"])
    func theSystemKnowsItsOwnName(family: String) async throws {
        try await withHosts { client, server, address in
            guard case .tcp(let port)? = address.components.dropFirst().first else {
                Issue.record("\(address)")
                return
            }
            let named = try Multiaddr("/\(family)/localhost/tcp/\(port)/p2p/\(server.peerID)")
            let connection = try await client.connect(to: named)
            #expect(connection.remotePeerID == server.peerID)
            _ = try await Identify.ask(connection, timeoutNanoseconds: 240_000_000_000)
        }
    }

    @Test func namesThatAreNone() async throws {
        try await withHosts { client, _, _ in
            let error = await hostError { try await client.connect(to: Multiaddr("/dns4/two..dots/tcp/1")) }
            guard case .nameNotResolved(let failure)? = error else {
                Issue.record("\(error as Any)")
                return
            }
            #expect(failure.name == "two..dots" && !failure.reason.isEmpty)
            #expect("\(failure)".hasPrefix("the name 'two..dots' cannot be resolved: "))
        }
    }

    /// What the resolver says first may be gone; the others are tried.
    @Test func theNextAddressIsTried() async throws {
        try await withNames({ name, family, port, completion in
            #expect(name == "here.test" && family == .ip6)
            completion(.success([.loopback4(port: 1), .loopback6(port: 1), .loopback4(port: port)]))
        }) { client, server, port in
            let connection = try await client.connect(to: Multiaddr("/dns6/here.test/tcp/\(port)"))
            #expect(connection.remotePeerID == server.peerID)
        }
    }

    @Test func theLastFailureIsTold() async throws {
        try await withNames({ _, _, _, completion in completion(.success([.loopback4(port: 1)])) }) { client, _, port in
            guard case .channel(.refused)? = await hostError({ try await client.connect(to: Multiaddr("/dns/here.test/tcp/\(port)")) }) else {
                Issue.record("somebody listens on port 1")
                return
            }
        }
    }

    @Test func resolversMayFail() async throws {
        try await withNames({ _, _, _, _ throws(Errno) in throw Errno(11, "pthread_create") }) { client, _, port in
            guard case .channel(.kernel(let error))? = await hostError({ try await client.connect(to: Multiaddr("/dns/here.test/tcp/\(port)")) }) else {
                Issue.record("no failure")
                return
            }
            #expect(error.call == "pthread_create")
        }
    }

    /// A resolver that never answers holds up nobody for longer than a dial may take, nor a host that closes.
    @Test func resolversMayBeSilent() async throws {
        let silent: NameTransport.Resolver = { _, _, _, _ in }
        try await withNames(silent, dialNanoseconds: 10_000_000) { client, _, port in
            guard case .channel(.timedOut)? = await hostError({ try await client.connect(to: Multiaddr("/dns/here.test/tcp/\(port)")) }) else {
                Issue.record("no time-out")
                return
            }
        }
        try await withNames(silent) { client, _, port in
            async let error = hostError { try await client.connect(to: Multiaddr("/dns/here.test/tcp/\(port)")) }
            await client.close()
            guard case .hostClosed? = await error else {
                Issue.record("\(await error as Any)")
                return
            }
        }
    }

    @Test func namesAreNotListenedOn() async throws {
        try await withHosts { client, _, _ in
            guard case .unsupportedAddress? = await hostError({ try await client.listen(on: Multiaddr("/dns4/localhost/tcp/0")) }) else {
                Issue.record("listening on a name")
                return
            }
        }
    }
}
