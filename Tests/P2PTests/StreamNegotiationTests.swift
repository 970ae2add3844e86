import Bytes
import Kernel
import Multiformats
import Muxers
import P2P
import Reactor
import Testing
import TestSupport

/// What a host does with streams whose far end negotiates as no host would: byte by byte, all at once, or never.
@Suite(.timeLimit(.minutes(5))) struct StreamNegotiationTests {
    private static let opening = Array("\u{13}/multistream/1.0.0\n\u{0C}/echo/1.0.0\n".utf8)

    /// A connection to `address` with a test's handler on it, in place of a host's.
    private static func dial(_ address: Multiaddr, _ peer: LoopBound<Peer>, _ muxers: [MuxerKind]) async throws {
        let (loop, target) = (peer.loop, try SocketAddress(address))
        let configuration = try UpgradeConfiguration(identity: HostConfiguration().identity, muxers: muxers)
        let failure: String? = await withCheckedContinuation { continuation in
            loop.submit {
                loop.connect(to: target) { result in
                    guard case .success(let channel) = result else { return continuation.resume(returning: "\(result)") }
                    Upgrader(configuration, loop: loop).upgrade(channel, .initiator) { result in
                        guard case .success(let upgraded) = result else { return continuation.resume(returning: "\(result)") }
                        let connection = Connection(channel: upgraded.channel, muxer: upgraded.muxer.make(.initiator), handler: peer.value, loop: loop)
                        peer.value.connection = connection
                        connection.start()
                        continuation.resume(returning: nil)
                    }
                }
            }
        }
        if let failure { Issue.record("\(failure)") }
    }

    private static func withPeer(
        muxers: [MuxerKind] = [.yamux], server configure: (inout HostConfiguration) -> Void = { _ in }, _ body: (LoopBound<Peer>, Host) async throws -> Void
    ) async throws {
        try await withHosts(server: configure) { _, server, address in
            server.handle(Echo.protocolID, Echo.service)
            let loop = try EventLoop()
            try loop.start()
            let peer = await loop.perform { LoopBound(Peer("stranger"), on: loop) }
            try await dial(address, peer, muxers)
            try await body(peer, server)
            await loop.perform { peer.value.connection?.abort() }
            loop.stop()
            loop.join()
        }
    }

    /// Header, proposal and data in one message, or a message for every byte: all that is behind the negotiation arrives.
    @Test(arguments: [1, 2, 7, 33, 1000])
    func nothingBehindTheNegotiationIsLost(step: Int) async throws {
        try await Self.withPeer { peer, _ in
            let data = [UInt8](0..<200)
            let bytes = Self.opening + data
            let (closed, tell) = AsyncStream.makeStream(of: Void.self)
            await peer.loop.perform {
                peer.value.onClosed = { _ in tell.yield() }
                let parts = stride(from: 0, to: bytes.count, by: step).map { Array(bytes[$0..<Swift.min($0 + step, bytes.count)]) }
                _ = try? peer.value.open(sending: parts)
            }
            _ = await closed.first { _ in true }
            let received = await peer.loop.perform { peer.value.received.values.first { $0.count > 100 } ?? [] }
            #expect(received == Self.opening + data)
        }
    }

    /// A stream on which nothing is said is reset when its time is over; so is one that is no negotiation, and at once.
    @Test(arguments: [[], Array("\u{5}what\n".utf8)] as [[UInt8]])
    func silenceAndNoiseAreReset(said: [UInt8]) async throws {
        try await Self.withPeer(server: { $0.limits.negotiationNanoseconds = said.isEmpty ? 50_000_000 : 60_000_000_000 }) { peer, server in
            let stream = await peer.loop.perform { try? peer.value.open(sending: said.isEmpty ? [] : [said], finishing: false) }
            var isReset = false
            while !isReset {
                try Task.checkCancellation()
                isReset = await peer.loop.perform { peer.value.resets.contains { $0.stream == stream } }
                await Task.yield()
            }
            #expect(server.connections.count == 1)
        }
    }

    /// Nothing in mplex holds a burst back: a far end that opens a thousand streams before it says anything on them is in order.
    @Test func aThousandStreamsMayComeAtOnce() async throws {
        try await Self.withPeer(muxers: [.mplex], server: { $0.muxers = [.mplex] }) { peer, server in
            await peer.loop.perform {
                for _ in 0..<1000 { _ = try? peer.value.open(sending: [], finishing: false) }
                _ = try? peer.value.open(sending: [Self.opening])
            }
            var isOver = false
            while !isOver {
                try Task.checkCancellation()
                isOver = await peer.loop.perform { !peer.value.closed.isEmpty || !peer.value.resets.isEmpty }
                await Task.yield()
            }
            let counters = await server.connections.first?.counters()
            #expect(counters?.streamsRefused == 0 && (counters?.openStreams ?? 0) >= 1000, "\(String(describing: counters))")
        }
    }

    /// More streams that say nothing than may negotiate at once: the rest are reset right away.
    @Test func negotiationsAreLimited() async throws {
        try await Self.withPeer(server: { $0.limits.negotiationsPerConnectionMax = 4 }) { peer, server in
            await peer.loop.perform { for _ in 0..<10 { _ = try? peer.value.open(sending: [], finishing: false) } }
            var resets = 0
            while resets < 6 {
                try Task.checkCancellation()
                resets = await peer.loop.perform { peer.value.resets.count }
                await Task.yield()
            }
            #expect(await server.connections.first?.counters().streamsRefused == 6)
        }
    }
}
