import Foundation
import Kernel
import Multiformats
import P2P
import Reactor
import SecureChannels
import Testing

/// This host and nodes that others wrote, each as listener and as dialer, in everything that both speak.
@Suite(
    .serialized, .enabled(if: !Implementation.installed.isEmpty, "no node that others wrote is installed: scripts/install-peers"), .timeLimit(.minutes(5)))
struct InteropTests {
    private static let byteCount = 1 << 20

    /// A multiaddr, with its peer exchanged.
    private func address(_ address: Multiaddr, of peer: PeerID) throws -> Multiaddr {
        try Multiaddr(checking: Array(address.components.dropLast()) + [.p2p(peer)])
    }

    // MARK: They dial

    @Test(arguments: Stack.all)
    func theyDial(stack: Stack) async throws {
        try await stack.withHost { host in
            let events = host.makeEvents()
            let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
            var options = ["--dial", "\(address)", "--ping", "5", "--echo", "\(Self.byteCount)", "--streams", "3"]
            if stack.other.halfCloses { options += ["--finish", "first", "--perf", "300000:500000"] }
            let seen = try await Node(stack, options).seen()
            #expect(seen.ok, "\(seen.failed?.stage ?? ""): \(seen.failed?.error ?? "")")
            #expect(seen.peer == "\(host.peerID)" && seen.pings?.count == 5)
            #expect(seen.security == "\(stack.security.protocolID)" && seen.muxer == "\(stack.muxer.protocolID)")
            let identify = try #require(seen.identify)
            #expect(identify.agentVersion == "streamgauge" && identify.publicKeyPeer == "\(host.peerID)")
            #expect(identify.listenAddrs == ["\(Multiaddr(Array(address.components.dropLast())))"])
            #expect(Set(identify.protocols) == Set(host.protocols.map { "\($0)" }))
            #expect(identify.observedAddr?.hasPrefix("/ip4/127.0.0.1/tcp/") == true)
            let echoes = try #require(seen.echo)
            #expect(echoes.count == 3 && echoes.allSatisfy { $0.same && $0.end == "finished" })
            if stack.other.halfCloses { #expect(seen.perf?.sent == 300_000 && seen.perf?.received == 500_000) }
            try await expectUsual(events, dialer: seen.local, stack)
        }
    }

    /// Connected, identified, ended: in this order, and the end is one that this implementation is known for.
    private func expectUsual(_ events: AsyncStream<HostEvent>, dialer: String?, _ stack: Stack) async throws {
        var identified = false
        for await event in events {
            switch event {
            case .connected(let connection): #expect("\(connection.remotePeerID)" == dialer)
            case .identified(_, let found):
                identified = true
                #expect(found.agentVersion?.hasPrefix(stack.other.agent) == true)
                #expect(found.protocols.contains(Ping.protocolID))
            case .disconnected(_, let end):
                #expect(identified)
                #expect(stack.isUsual(end), "the connection ended otherwise: \(end)")
                return
            case .upgradeFailed(let error): Issue.record("\(error)")
            default: break
            }
        }
        Issue.record("the connection has not ended")
    }

    // MARK: We dial

    @Test(arguments: Stack.all)
    func weDial(stack: Stack) async throws {
        let node = try Node(stack)
        let address = try await node.address()
        try await stack.withHost { host in
            let events = host.makeEvents()
            let connection = try await host.connect(to: address)
            #expect(connection.remotePeerID == address.peerID)
            #expect(connection.security == stack.security && connection.muxer == stack.muxer)
            // py-libp2p leaves the muxer to multistream-select.
            #expect(connection.upgradeReport.negotiated == (stack.other == .goLibp2p ? .early : .classic))
            let ping = try await Ping.open(on: connection)
            for _ in 0..<5 { #expect(try await ping.roundTrip() > 0) }
            await ping.close()
            let found = try await Identify.ask(connection, timeoutNanoseconds: 10_000_000_000)
            #expect(found.agentVersion?.hasPrefix(stack.other.agent) == true)
            #expect(found.publicKey.map { PeerID(of: $0) } == address.peerID)
            #expect(found.protocols.contains(Echo.protocolID))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<3 { group.addTask { try await echo(on: connection, stack, number) } }
                try await group.waitForAll()
            }
            for _ in 0..<3 {
                let echoed = try await node.event("echo")
                #expect(echoed.bytes == Self.byteCount && (echoed.end == "finished" || !stack.other.halfCloses), "\(echoed)")
            }
            if stack.other.halfCloses {
                let outcome = try await Perf.measure(connection, uploadBytes: 300_000, downloadBytes: 500_000)
                #expect(outcome.uploadedBytes == 300_000 && outcome.downloadedBytes == 500_000)
            }
            connection.close()
            #expect(try await node.event("disconnected").peer == "\(host.peerID)")
            let end = try #require(await end(of: connection, in: events), "the connection has not ended")
            #expect(stack.isUsual(end), "the connection ended otherwise: \(end)")
        }
        #expect(await node.end() == 0)
    }

    private func end(of connection: PeerConnection, in events: AsyncStream<HostEvent>) async -> ConnectionEnd? {
        for await case .disconnected(connection, let end) in events { return end }
        return nil
    }

    /// Sends and receives at once; ends its side when everything was sent, or came back.
    private func echo(on connection: PeerConnection, _ stack: Stack, _ number: Int) async throws {
        var state = UInt64(number + 1)
        let sent = (0..<Self.byteCount).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        let stream = try await connection.openStream(Echo.protocolID)
        async let sending: Void = {
            try await stream.write(sent)
            if stack.other.halfCloses { try await stream.finish() }
        }()
        let got = try await stream.read(exactly: sent.count)
        try await sending
        #expect(got == sent)
        guard stack.other.halfCloses else { return try await stream.finish() }
        #expect(try await stream.read() == nil)
    }

    // MARK: Who is there

    @Test(arguments: Stack.all)
    func wrongPeersAreRefused(stack: Stack) async throws {
        let other = try LocalIdentity().peerID
        let node = try Node(stack)
        let theirs = try await node.address()
        try await stack.withHost { host in
            do {
                _ = try await host.connect(to: address(theirs, of: other))
                Issue.record("connected to somebody else")
            } catch HostError.wrongPeer(let expected, let actual) {
                #expect(expected == other && actual == theirs.peerID)
            }
            #expect(host.connections.isEmpty)
            // The listener is none the worse for it.
            #expect(try await Ping.open(on: host.connect(to: theirs)).roundTrip() > 0)
            let ours = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
            let seen = try await Node(stack, ["--dial", "\(address(ours, of: other))"]).seen()
            #expect(!seen.ok && seen.failed?.stage == "connect")
        }
        #expect(await node.end() == 0)
    }

    /// Identities of every kind, proven by us and by them.
    @Test(arguments: Stack.secure)
    func keysOfAllKinds(stack: Stack) async throws {
        for key in stack.other.keys {
            try await stack.withHost(key: key) { host in
                let node = try Node(stack, ["--key", "\(key)"])
                let theirs = try await node.address()
                let connection = try await host.connect(to: theirs)
                #expect(connection.remotePublicKey.type == key)
                let found = try await Identify.ask(connection, timeoutNanoseconds: 10_000_000_000)
                #expect(found.publicKey == connection.remotePublicKey)
                #expect(await node.end() == 0)
                let ours = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
                let seen = try await Node(stack, ["--key", "\(key)", "--dial", "\(ours)"]).seen()
                #expect(seen.ok && seen.identify?.publicKeyPeer == "\(host.peerID)", "\(key): \(seen.failed?.error ?? "")")
            }
        }
    }

    // MARK: Ends

    /// A wait ends with its task. A node that is cut off takes its daemon with it, and nobody waits for it any more.
    @Test(arguments: Implementation.installed)
    func nobodyWaitsForEver(other: Implementation) async throws {
        let stack = try #require(Stack.secure.first { $0.other == other })
        let node = try Node(stack)
        let address = try await node.address()
        try await stack.withHost { host in
            let events = host.makeEvents()
            let connection = try await host.connect(to: address)
            let waiting = Task { try await node.event("none that it has") }
            waiting.cancel()
            await #expect(throws: (any Error).self) { try await waiting.value }
            node.cut()
            #expect(await end(of: connection, in: events) != nil)
        }
        #expect(await node.end() != 0)
    }
}

/// Which implementations the tests run with: one that is not installed is a test that is skipped, and says why.
@Suite struct ImplementationTests {
    private static func reason(_ implementation: Implementation) -> Comment {
        "\(implementation.testDescription) is not installed and left out; scripts/install-peers installs it"
    }

    @Test(.enabled(if: Implementation.pyLibp2p.isInstalled, reason(.pyLibp2p)))
    func pyLibp2p() { expectTested(.pyLibp2p) }

    @Test(.enabled(if: Implementation.goLibp2p.isInstalled, reason(.goLibp2p)))
    func goLibp2p() { expectTested(.goLibp2p) }

    private func expectTested(_ implementation: Implementation) {
        let stacks = Stack.all.filter { $0.other == implementation }
        #expect(stacks.count == implementation.securities.count * implementation.muxers.count)
    }
}
