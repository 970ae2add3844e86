import Bytes
import Kernel
import Multiformats
import Muxers
import P2P
import Reactor
import Synchronization
import Testing
import TestSupport

/// What becomes of what is under way when a connection or its host closes, and of opens that must wait.
@Suite(.timeLimit(.minutes(5))) struct HostClosingTests {
    // MARK: Opens that wait

    /// Writes down what it is told of one open.
    private final class Opener: StreamProtocolHandler {
        var stream: RoutedStream?
        var failure: HostError?
        var end: StreamEnd?
        var onStarted: (() -> Void)?

        func streamStarted(_ stream: RoutedStream) {
            self.stream = stream
            onStarted?()
        }

        func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int { range.count }
        func streamFinished(_ stream: RoutedStream) {}
        func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) { self.end = end }
        func openFailed(_ error: HostError) { failure = error }
    }

    /// Opens as many streams as `count` says at once, and returns those who wait for them.
    private static func open(
        _ count: Int, _ id: ProtocolID, on connection: PeerConnection, each change: @escaping @Sendable (Int, LoopBound<Opener>) -> Void = { _, _ in }
    ) async -> LoopBound<[Opener]> {
        await connection.loop.perform {
            let openers = (0..<count).map { _ in Opener() }
            for (index, opener) in openers.enumerated() {
                change(index, LoopBound(opener, on: connection.loop))
                do throws(HostError) { try connection.openStream([id], handler: opener) } catch { opener.failure = error }
            }
            return LoopBound(openers, on: connection.loop)
        }
    }

    private static func waitUntil(_ loop: EventLoop, _ condition: @escaping @Sendable () -> Bool) async throws {
        while await !loop.perform(condition) {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// The first open that had to wait closes the connection from inside its start: it stays started, and those behind it hear that the connection is being closed.
    @Test func waitingOpensHearOneThing() async throws {
        try await withHosts { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            let openers = await Self.open(300, "/hold/1.0.0", on: connection) { index, opener in
                guard index == 256 else { return }
                opener.value.onStarted = { connection.close() }
            }
            try await Self.waitUntil(connection.loop) { openers.value.allSatisfy { $0.stream != nil || $0.failure != nil } }
            let (both, closing) = await connection.loop.perform {
                (
                    openers.value.count { $0.stream != nil && $0.failure != nil },
                    openers.value.count { if case .connectionClosing? = $0.failure { true } else { false } }
                )
            }
            #expect(both == 0 && closing > 0)
            connection.abort()
        }
    }

    /// Streams that had to wait are no more than there may be either.
    @Test func waitingOpensAreStreamsToo() async throws {
        try await withHosts(client: { $0.limits.streamsPerConnectionMax = 260 }) { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            let openers = await Self.open(300, "/hold/1.0.0", on: connection)
            try await Self.waitUntil(connection.loop) { openers.value.allSatisfy { $0.stream != nil || $0.failure != nil } }
            let (started, refused) = await connection.loop.perform {
                (
                    openers.value.count { $0.stream != nil },
                    openers.value.count { if case .tooManyStreams(limit: 260)? = $0.failure { true } else { false } }
                )
            }
            // Two of the 260 may be those of identify, one each way.
            #expect((258...260).contains(started) && started + refused == 300, "\(started) started, \(refused) refused")
            connection.abort()
        }
    }

    /// A far end that acknowledges nothing does not keep an open for ever.
    @Test func waitingOpensTimeOut() async throws {
        let loop = try EventLoop()
        try loop.start()
        let configuration = try UpgradeConfiguration(identity: Hosts.bob)
        let kept = await loop.perform { LoopBound(Kept(), on: loop) }
        let bound: SocketAddress? = await loop.perform {
            kept.value.listener = try? loop.listen(on: .loopback4(port: 0)) { channel in
                // Upgraded, and never read from: nothing is acknowledged.
                Upgrader(configuration, loop: loop).upgrade(channel, .responder) { kept.value.upgraded = $0 }
            }
            return kept.value.listener?.address
        }
        let address = Multiaddr(try #require(bound))
        try await withHosts(client: { $0.limits.negotiationNanoseconds = 50_000_000 }) { client, _, _ in
            let connection = try await client.connect(to: address)
            let openers = await Self.open(257, Echo.protocolID, on: connection)
            try await Self.waitUntil(connection.loop) { openers.value[256].failure != nil }
            let failure = await connection.loop.perform { openers.value[256].failure }
            guard case .timedOut(afterNanoseconds: 50_000_000)? = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            connection.abort()
        }
        loop.stop()
        loop.join()
    }

    private final class Kept {
        var listener: Listener?
        var upgraded: Result<UpgradedConnection, UpgradeError>?
    }

    // MARK: Connections that close

    /// A connection that is being closed opens no stream, and is not what a new dial gets; what is open on it goes on.
    @Test func closingConnectionsAreNotUsedAgain() async throws {
        try await withHosts { client, server, address in
            server.handle(Echo.protocolID, Echo.service)
            let old = try await client.connect(to: address)
            let stream = try await old.openStream(Echo.protocolID)
            try await stream.write("hel")
            _ = try await stream.read(exactly: 3)
            old.close()
            guard case .connectionClosing? = await hostError({ try await old.openStream(Echo.protocolID) }) else {
                Issue.record("a stream on a connection that is being closed")
                return
            }
            #expect(client.connection(to: server.peerID) == nil && client.connections == [old])
            let new = try await client.connect(to: address)
            #expect(new != old && client.connection(to: server.peerID) == new)
            let other = try await client.openStream(to: server.peerID, protocols: [Echo.protocolID])
            #expect(other.connection == new)
            try await stream.write("lo")
            try await stream.finish()
            #expect(try await stream.readAll() == Array("lo".utf8))
        }
    }

    /// The far end's go-away is an end of new streams at this end too.
    @Test func goingAwayIsHeard() async throws {
        try await withHosts { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream("/hold/1.0.0")
            try await stream.write([1])
            _ = try await Ping.open(on: connection).roundTrip()
            let far = try #require(server.connection(to: client.peerID))
            let events = client.makeEvents()
            far.close()
            try await stream.finish()
            #expect(await next(events) { if case .disconnected(connection, _) = $0 { true } else { nil } } == true)
            #expect(try await client.connect(to: address) != connection)
        }
    }

    /// Giving a connection up ends its streams at once, and they say that it was this side.
    @Test func abortingEndsAtOnce() async throws {
        try await withHosts { client, server, address in
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream("/hold/1.0.0")
            try await stream.write([1])
            await connection.loop.perform { connection.abort() }
            guard case .connectionEnded(.aborted)? = await hostError({ try await stream.read() }) else {
                Issue.record("a stream of a connection that was given up")
                return
            }
            #expect(client.connections.isEmpty)
        }
    }

    /// A far end that neither reads nor finishes does not keep a connection that is being closed.
    @Test func closingHasADeadline() throws {
        let wire = try Wire(.simulated)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, .yamux)
        wire.act { wire.far.pauseReceiving() }
        _ = try wire.act { try client.open(sending: [[UInt8](repeating: 1, count: 100_000)]) }
        wire.act { client.connection?.close() }
        wire.wait("the end") { client.end != nil }
        guard case .aborted? = client.end else {
            Issue.record("\(String(describing: client.end))")
            return
        }
        #expect(client.violations.isEmpty)
    }

    // MARK: Hosts that close

    /// A host that had to end streams by force leaves nothing behind, itself included.
    @Test func closedHostsAreLetGo() async throws {
        let server = try Host(HostConfiguration())
        server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
        let address = try await server.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        weak var client: Host?
        do {
            var configuration = try HostConfiguration()
            configuration.limits.closeNanoseconds = 1_000_000
            let host = try Host(configuration)
            client = host
            let stream = try await host.connect(to: address).openStream("/hold/1.0.0")
            try await stream.write([1])
            await host.close()
        }
        #expect(client == nil)
        await server.close()
    }

    /// A transport that never comes to an end, until it is given up or told to fail.
    private final class Nowhere: Transport, Sendable {
        static let address = try! Multiaddr("/memory/1")
        let dials = Mutex<[LoopBound<(Result<any Channel, HostError>) -> Void>]>([])
        let givenUp = Atomic<Int>(0)

        func knows(_ address: Multiaddr) -> Bool { address == Self.address }

        func listen(
            on address: Multiaddr, loops: [EventLoop], accepted: @escaping @Sendable (any Channel, EventLoop) -> Void
        ) async throws(HostError) -> any TransportListener { throw .unsupportedAddress(address) }

        func dial(
            _ address: Multiaddr, on loop: EventLoop, timeoutNanoseconds: UInt64, completion: @escaping (Result<any Channel, HostError>) -> Void
        ) -> () -> Void {
            let kept = LoopBound(completion, on: loop)
            dials.withLock { $0.append(kept) }
            return { self.givenUp.wrappingAdd(1, ordering: .relaxed) }
        }

        func waitUntilDialled() async throws {
            while dials.withLock({ $0.isEmpty }) {
                try Task.checkCancellation()
                await Task.yield()
            }
        }

        func fail(_ error: HostError) async {
            guard let dial = dials.withLock({ $0.popLast() }) else { return }
            await dial.loop.perform { dial.value(.failure(error)) }
        }
    }

    /// Dials that are under way end with an error when their host closes, those who joined them too, and nobody dials afterwards.
    @Test func closingEndsDials() async throws {
        let nowhere = Nowhere()
        try await withHosts(client: { $0.transports = [nowhere] + $0.transports }) { client, server, address in
            let dials = (0..<3).map { number in
                Task.immediate { await hostError { try await client.connect(to: Nowhere.address, expecting: number == 2 ? nil : server.peerID) } }
            }
            try await nowhere.waitUntilDialled()
            await client.close()
            for dial in dials {
                guard case .hostClosed? = await dial.value else {
                    Issue.record("\(String(describing: await dial.value))")
                    return
                }
            }
            #expect(nowhere.givenUp.load(ordering: .relaxed) == nowhere.dials.withLock { $0.count })
            guard case .hostClosed? = await hostError({ try await client.connect(to: address) }) else {
                Issue.record("a closed host dials")
                return
            }
        }
    }

    /// A socket that is still being connected is closed with its host.
    @Test func closingGivesUpSockets() async throws {
        try await withHosts { client, _, _ in
            // A listener whose queue is full does not answer.
            var counts = SyscallCounts()
            var options = SocketOptions()
            options.backlog = 0
            let (socket, bound) = try Socket.listening(on: .loopback4(port: 0), options, counts: &counts)
            var held = [socket]
            for _ in 0..<4 {
                let filler = try Socket.connecting(to: bound, options, counts: &counts)
                _ = try filler.connect(to: bound, counts: &counts)
                held.append(filler)
            }
            let dial = Task.immediate { await hostError { try await client.connect(to: Multiaddr(bound)) } }
            await client.close()
            guard case .hostClosed? = await dial.value else {
                Issue.record("\(String(describing: await dial.value))")
                return
            }
            for socket in held { socket.close(counts: &counts) }
        }
    }

    /// Who joined a dial to one address of a peer and hears that it failed tries the other address.
    @Test func otherAddressesAreTried() async throws {
        let nowhere = Nowhere()
        try await withHosts(client: { $0.transports = [nowhere] + $0.transports }) { client, server, address in
            let first = Task.immediate { await hostError { try await client.connect(to: Nowhere.address, expecting: server.peerID) } }
            try await nowhere.waitUntilDialled()
            let same = Task.immediate { await hostError { try await client.connect(to: Nowhere.address, expecting: server.peerID) } }
            let other = Task.immediate { try await client.connect(to: address) }
            await nowhere.fail(.channel(.refused))
            for task in [first, same] {
                guard case .channel(.refused)? = await task.value else {
                    Issue.record("\(String(describing: await task.value))")
                    return
                }
            }
            let connection = try await other.value
            #expect(connection.remotePeerID == server.peerID)
        }
    }
}
