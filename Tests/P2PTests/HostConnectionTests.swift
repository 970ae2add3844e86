import Kernel
import Multiformats
import Muxers
import P2P
import Reactor
import SecureChannels
import Testing
import TestSupport

/// How hosts find, keep and end connections.
@Suite(.timeLimit(.minutes(5))) struct HostConnectionTests {
    @Test(arguments: HostStack.all)
    func wrongPeersAreRefused(stack: HostStack) async throws {
        try await withHosts(stack) { client, server, address in
            let other = try LocalIdentity().peerID
            guard case .wrongPeer(expected: other, actual: server.peerID)? = await hostError({
                try await client.connect(to: address.withoutPeerID, expecting: other)
            }) else {
                Issue.record("connected to somebody else")
                return
            }
            #expect(client.connections.isEmpty)
            #expect(try await client.connect(to: address).remotePeerID == server.peerID)
        }
    }

    /// Dials to a peer that there is a connection to, or a dial, give that one.
    @Test func connectionsAreUsedAgain() async throws {
        try await withHosts { client, server, address in
            let connections = try await withThrowingTaskGroup(of: PeerConnection.self) { group in
                for _ in 0..<10 { group.addTask { try await client.connect(to: address) } }
                return try await group.reduce(into: Set<PeerConnection>()) { $0.insert($1) }
            }
            #expect(connections.count == 1 && client.connections.count == 1)
            #expect(client.connection(to: server.peerID) == connections.first)
            #expect(try await client.connect(to: address) == connections.first)
            // Without a name for who is there, there is nothing to compare.
            #expect(try await client.connect(to: address.withoutPeerID) != connections.first)
            #expect(client.connections.count == 2)
        }
    }

    /// Those who joined a dial hear of its failure.
    @Test func dialsFailTogether() async throws {
        try await withHosts { client, _, _ in
            let nobody = try Multiaddr("/ip4/127.0.0.1/tcp/1/p2p/\(LocalIdentity().peerID)")
            let errors = await withTaskGroup(of: HostError?.self) { group in
                for _ in 0..<10 { group.addTask { await hostError { try await client.connect(to: nobody) } } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(errors.count == 10)
            for case let error in errors {
                guard case .channel(.refused)? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
        }
    }

    /// A stream to a peer uses the connection there is, whoever dialled.
    @Test func streamsGoBothWays() async throws {
        try await withHosts { client, server, address in
            client.handle(Echo.protocolID, Echo.service)
            guard case .notConnected(client.peerID)? = await hostError({
                try await server.openStream(to: client.peerID, protocols: [Echo.protocolID])
            }) else {
                Issue.record("a stream without a connection")
                return
            }
            let events = server.makeEvents()
            try await client.connect(to: address)
            _ = await next(events) { if case .connected = $0 { true } else { nil } }
            let stream = try await server.openStream(to: client.peerID, protocols: [Echo.protocolID])
            try await stream.write("hello")
            try await stream.finish()
            #expect(try await stream.readAll() == Array("hello".utf8))
        }
    }

    @Test func eventsComeInOrder() async throws {
        var events: AsyncStream<HostEvent>?
        var serverID: PeerID?
        try await withHosts { client, server, address in
            server.handle(Echo.protocolID, Echo.service)
            events = client.makeEvents()
            serverID = server.peerID
            let bound = try await client.listen(on: Multiaddr("/memory/0"))
            #expect(client.addresses == [bound])
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream(Echo.protocolID)
            try await stream.finish()
            _ = try await stream.readAll()
        }
        var names: [String] = []
        for await event in try #require(events) {
            switch event {
            case .listening: names.append("listening")
            case .connected(let connection):
                #expect(connection.remotePeerID == serverID)
                names.append("connected")
            case .streamOpened(_, Echo.protocolID, .outbound): names.append("opened")
            case .streamClosed(_, Echo.protocolID, .outbound): names.append("closed")
            case .disconnected: names.append("disconnected")
            default: break
            }
        }
        #expect(names == ["listening", "connected", "opened", "closed", "disconnected"])
    }

    @Test func addressesNameTheHost() async throws {
        try await withHosts { client, server, address in
            #expect(address.peerID == server.peerID && server.addresses == [address])
            guard case .tcp(let port)? = address.components.dropFirst().first else {
                Issue.record("\(address)")
                return
            }
            #expect(port != 0)
            let unix = try await server.listen(on: HostLink.unix.address)
            #expect(unix.peerID == nil && server.addresses.count == 2)
            #expect(try await client.connect(to: unix, expecting: server.peerID).remoteAddress == unix)
        }
    }

    /// A listener on all interfaces tells the addresses of the interfaces: nobody can dial the one that stands for all.
    @Test(arguments: [("/ip4/0.0.0.0/tcp/0", "/ip4/127.0.0.1"), ("/ip6/::/tcp/0", "/ip6/::1")])
    func allInterfacesAreNamed(all: String, loopback: String) async throws {
        try await withHosts { client, server, _ in
            let bound = try await server.listen(on: Multiaddr(all))
            guard case .tcp(let port)? = bound.components.dropFirst().first else {
                Issue.record("\(bound)")
                return
            }
            let local = try Multiaddr("\(loopback)/tcp/\(port)/p2p/\(server.peerID)")
            #expect(server.addresses.contains(local) && !server.addresses.contains(bound))
            let events = client.makeEvents()
            let connection = try await client.connect(to: local)
            let told = await next(events) { if case .identified(connection, let told) = $0 { told.listenAddresses } else { nil } }
            #expect(told == server.addresses.map(\.withoutPeerID))
        }
    }

    @Test func whatCannotBeDialledIsNamed() async throws {
        try await withHosts { client, server, _ in
            let longPath = "/unix/tmp/\(String(repeating: "a", count: 104))"
            for (text, check) in [
                ("/ip4/127.0.0.1/udp/1/quic-v1", { if case .unsupportedAddress = $0 { true } else { false } }),
                ("/ip4/127.0.0.1/tcp/1/ws", { if case .unsupportedAddress = $0 { $0.description.contains("/ws") } else { false } }),
                ("/ip6/::1/tcp/1/tls/ws/p2p/\(server.peerID)", { if case .unsupportedAddress = $0 { $0.description.contains("/tls") } else { false } }),
                ("/ip4/127.0.0.1/tcp/1/wss", { if case .unsupportedAddress = $0 { $0.description.contains("/wss") } else { false } }),
                ("/ip4/127.0.0.1/tcp/1/p2p/\(server.peerID)/p2p-circuit", { if case .unsupportedAddress = $0 { true } else { false } }),
                (longPath, { if case .pathTooLong(_, byteCount: 109, limitBytes: 107) = $0 { true } else { false } }),
                ("/memory/424242", { if case .noMemoryListener = $0 { true } else { false } }),
                ("/ip4/127.0.0.1/tcp/1", { if case .channel(.refused) = $0 { true } else { false } }),
                ("/ip4/127.0.0.1/tcp/1/p2p/\(client.peerID)", { if case .cannotDialSelf = $0 { true } else { false } }),
            ] as [(String, (HostError) -> Bool)] {
                let error = await hostError { try await client.connect(to: Multiaddr(text)) }
                #expect(error.map(check) == true, "\(text): \(String(describing: error))")
                #expect(error?.description.isEmpty == false)
            }
            guard case .pathTooLong? = await hostError({ try await client.listen(on: Multiaddr(longPath)) }) else {
                Issue.record("a path that the kernel does not take")
                return
            }
            let bound = try await server.listen(on: Multiaddr("/memory/0"))
            guard case .memoryAddressInUse? = await hostError({ try await client.listen(on: bound.withoutPeerID) }) else {
                Issue.record("two listeners")
                return
            }
        }
    }

    // MARK: Limits

    @Test func connectionsAreLimited() async throws {
        try await withHosts(server: { $0.limits.connectionsMax = 1 }) { client, server, address in
            let events = server.makeEvents()
            try await client.connect(to: address)
            let error = await hostError { try await client.connect(to: address.withoutPeerID) }
            guard case .upgrade? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let refusal = await next(events) { if case .refused(let error) = $0 { error } else { nil } }
            guard case .tooManyConnections(limit: 1)? = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
        }
        try await withHosts(client: { $0.limits.connectionsMax = 1 }) { client, _, address in
            try await client.connect(to: address)
            guard case .tooManyConnections(limit: 1)? = await hostError({ try await client.connect(to: address.withoutPeerID) }) else {
                Issue.record("connected beyond the limit")
                return
            }
        }
    }

    /// Silent strangers hold as many handshakes as there may be, and the next is turned away; when they go there is room again.
    @Test func handshakesAreLimited() async throws {
        try await withHosts(server: { $0.limits.handshakesMax = 1 }) { client, server, address in
            let events = server.makeEvents()
            let target = try SocketAddress(address)
            let loop = try EventLoop()
            try loop.start()
            for _ in 0..<2 {
                await withCheckedContinuation { continuation in
                    loop.submit { loop.connect(to: target) { _ in continuation.resume() } }
                }
            }
            let refusal = await next(events) { if case .refused(let error) = $0 { error } else { nil } }
            guard case .tooManyHandshakes(limit: 1)? = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
            loop.stop()
            loop.join()
            let failure = await next(events) { if case .upgradeFailed(let error) = $0 { error } else { nil } }
            #expect(failure?.origin == .remote)
            try await client.connect(to: address)
        }
    }

    @Test(arguments: MuxerKind.allCases)
    func streamsAreLimited(muxer: MuxerKind) async throws {
        try await withHosts(HostStack(muxer: muxer), server: { $0.limits.streamsPerConnectionMax = 8 }) { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            var streams: [P2P.Stream] = []
            for _ in 0..<12 {
                let stream = try await connection.openStream("/hold/1.0.0")
                // The reset may be here already.
                try? await stream.write([1])
                streams.append(stream)
            }
            guard case .streamReset? = await hostError({ try await streams[11].read() }) else {
                Issue.record("a stream beyond the limit")
                return
            }
        }
        try await withHosts(HostStack(muxer: muxer), client: { $0.limits.streamsPerConnectionMax = 8 }) { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            var streams: [P2P.Stream] = []
            let error = await hostError { for _ in 0..<12 { streams.append(try await connection.openStream("/hold/1.0.0")) } }
            guard case .tooManyStreams(limit: 8)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    /// More streams at once than a far end lets go unacknowledged: the rest wait and are opened.
    @Test func opensWaitForAcknowledgements() async throws {
        try await withHosts { client, server, address in
            server.handle(Echo.protocolID, Echo.service)
            let connection = try await client.connect(to: address)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<1000 {
                    group.addTask {
                        let stream = try await connection.openStream(Echo.protocolID)
                        try await stream.write([1, 2, 3])
                        try await stream.finish()
                        return try await stream.readAll().count
                    }
                }
                var sum = 0
                for try await count in group { sum += count }
                #expect(sum == 3000)
            }
        }
    }

    // MARK: Ends

    /// Streams that are open when a host closes are reset when its time is over, at both ends, and tell why.
    @Test func closingEndsWhatIsOpen() async throws {
        try await withHosts { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream("/hold/1.0.0")
            try await stream.write([1])
            let reader = Task { await hostError { try await stream.read() } }
            await server.close()
            switch await reader.value {
            case .streamReset?, .streamGivenUp(.cutOff)?, .connectionEnded?: break
            case let other: Issue.record("\(String(describing: other))")
            }
            guard case .hostClosed? = await hostError({ try await server.connect(to: address.withoutPeerID) }) else {
                Issue.record("a closed host connects")
                return
            }
        }
    }

    /// A stream that is about to end does end, although its host closes.
    @Test func closingLetsStreamsEnd() async throws {
        try await withHosts(client: { $0.limits.closeNanoseconds = 60_000_000_000 }) { client, server, address in
            let gate = Gate()
            server.handle("/late/1.0.0") { stream in
                _ = try await stream.readAll()
                try await gate.wait()
                try await stream.write("done")
            }
            let stream = try await client.connect(to: address).openStream("/late/1.0.0")
            try await stream.finish()
            let answer = Task { try await stream.readAll() }
            let closing = Task { await client.close() }
            gate.open()
            #expect(try await answer.value == Array("done".utf8))
            await closing.value
        }
    }

    @Test func connectionsEndOneByOne() async throws {
        try await withHosts { client, server, address in
            let events = client.makeEvents()
            let connection = try await client.connect(to: address)
            _ = try await Ping.open(on: connection).roundTrip()
            connection.close()
            let end = await next(events) { if case .disconnected(connection, let end) = $0 { end } else { nil } }
            #expect(end != nil)
            guard case .connectionEnded? = await hostError({ try await connection.openStream(Echo.protocolID) }) else {
                Issue.record("a stream on a connection that is over")
                return
            }
            #expect(await connection.counters().streamNegotiation.sent > 0)
            #expect(try await client.connect(to: address) != connection)
        }
    }

    /// A host with loops of its own stops them.
    @Test func hostsMayOwnTheirLoops() async throws {
        let (one, other) = (try Host(HostConfiguration()), try Host(HostConfiguration()))
        let address = try await other.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        #expect(try await Ping.open(on: one.connect(to: address)).roundTrip() > 0)
        await one.close()
        await other.close()
        await other.close()
        // Nothing happens any more.
        #expect(await next(other.makeEvents()) { _ in true } == nil)
    }
}
