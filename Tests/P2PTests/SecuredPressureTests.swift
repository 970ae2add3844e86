import Bytes
import Kernel
import Muxers
import P2P
import Reactor
import SecureChannels
import Testing
import TestSupport

/// A secure channel under pressure: what waits stays bounded, and nothing is lost or overtaken.
@Suite(.timeLimit(.minutes(5))) struct SecuredPressureTests {
    /// A reader that pauses, in the middle of a batch: it hears nothing more, the sender is held back, and what waits in between is one read.
    @Test(arguments: SecurityKind.allCases, Stack.links)
    func slowReaderHoldsTheSenderBack(security: SecurityKind, link: Link) throws {
        let wire = try Wire(link, seed: 5)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux]))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux]))
        pair.wait()
        let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
        let (sender, reader) = (Endpoint(near.channel), Endpoint(far.channel))
        let message = Slice(copying: [UInt8](repeating: 7, count: 100_000))
        let total = 200
        var left = total
        sender.source = {
            left -= 1
            return left >= 0 ? message : nil
        }
        var isPaused = false
        var heardWhilePaused = 0
        reader.onReceived = { reader, _, _ in
            if isPaused { heardWhilePaused += 1 }
            guard !isPaused else { return }
            isPaused = true
            reader.channel.pauseReceiving()
        }
        wire.act {
            near.channel.start(sender)
            far.channel.start(reader)
            sender.finishWhenEmpty()
        }
        // Time for the sender to run into the pause; virtual time passes only while the loop waits.
        var isLater = false
        wire.act { _ = wire.loop.schedule(at: wire.loop.now + 50_000_000) { isLater = true } }
        wire.wait("the sender") { isPaused && isLater }
        #expect(isPaused && heardWhilePaused == 0)
        #expect(left > 0, "the sender was never held back")
        #expect(far.channel.accounts(far.report).received.unfinishedBytes <= 600_000)
        let blocks = wire.loop.pool.outstanding
        #expect(blocks <= 16, "\(blocks) blocks of the pool are held")
        wire.act {
            reader.onReceived = nil
            far.channel.resumeReceiving()
        }
        wire.wait("the rest") { reader.hasEnded }
        #expect(reader.bytesReceived == total * message.count)
        wire.act { reader.close() }
        wire.act { sender.close() }
        let (up, down) = (near.channel.accounts(near.report), far.channel.accounts(far.report))
        #expect(up.isBalanced && down.isBalanced)
        #expect(up.sent.muxerBytes == UInt64(total * message.count) && down.received.muxerBytes == up.sent.muxerBytes)
    }

    /// A request queued behind bulk overtakes it: only what was sealed is out of reach.
    @Test(arguments: SecurityKind.allCases)
    func requestsOvertakeBulk(security: SecurityKind) throws {
        let wire = try Wire(.simulated, seed: 2, plan: { $0.bufferBytes = 128 << 10 })
        let (client, server) = (Peer("client"), Peer("server"))
        _ = try UpgradePair.connect(wire, client, server, security: security, muxer: .yamux)
        let bulk = try wire.act { try client.open(sending: Array(repeating: [UInt8](repeating: 1, count: 60_000), count: 100)) }
        wire.wait("some bulk") { server.receivedByteCount > 200_000 }
        let request = try wire.act { try client.open(sending: [[1, 2, 3]]) }
        wire.wait("the request") { server.received.values.contains([1, 2, 3]) }
        #expect(server.receivedByteCount < 3_000_000, "the request came after \(server.receivedByteCount) bytes")
        wire.wait("all of it") { server.finished.count == 2 }
        #expect(bulk != request)
        wire.act { client.connection?.abort() }
    }

    /// What is sealed for one write is bounded by the limits of the upgrade, whatever a connection hands down at once.
    @Test(arguments: [SecurityKind.noise, .tls])
    func sealingKeepsToTheLimits(security: SecurityKind) throws {
        for limit in [16 << 10, 256 << 10] {
            var made: SimulatedBackend?
            let wire = try Wire(.simulated, plan: { ($0.bufferBytes, $0.partialSendsPercent) = (4 << 20, 0) }, backend: { made = $0 })
            let backend = try #require(made)
            var (ours, theirs) = (try Hosts.configuration(Hosts.alice, [security], [.mplex]), try Hosts.configuration(Hosts.bob, [security], [.mplex]))
            (ours.connection.writeBytesMin, ours.connection.writeBytesMax) = (limit, limit)
            (theirs.connection.writeBytesMin, theirs.connection.writeBytesMax) = (limit, limit)
            let pair = UpgradePair(wire)
            pair.listen(theirs)
            pair.dial(ours)
            pair.wait()
            let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
            let (client, server) = (Peer("client"), Peer("server"))
            wire.act {
                client.connection = Connection(channel: near.channel, muxer: near.muxer.make(.initiator), handler: client, loop: wire.loop)
                server.connection = Connection(channel: far.channel, muxer: far.muxer.make(.responder), handler: server, loop: wire.loop)
                client.connection?.start()
                server.connection?.start()
            }
            let before = backend.counts.send
            _ = try wire.act { try client.open(sending: Array(repeating: [UInt8](repeating: 1, count: 64 << 10), count: 8)) }
            wire.wait("all of it") { server.receivedByteCount == 512 << 10 }
            let sends = Int(backend.counts.send - before)
            #expect(limit == 16 << 10 ? sends >= 32 : sends < 32, "\(sends) sends of at most \(limit) bytes")
            wire.act { client.connection?.abort() }
        }
    }

    /// What the kernel may still read of a plaintext connection lives until it is done with it, also when the connection has failed and nobody else holds it.
    @Test func memoryInTheKernelLives() throws {
        var made: SimulatedBackend?
        let wire = try Wire(.simulatedPending, plan: { $0.bufferBytes = 64 << 10 }, backend: { made = $0 })
        let backend = try #require(made)
        let (client, server) = (Peer("client"), Peer("server"))
        var pair: UpgradePair? = try UpgradePair.connect(wire, client, server, security: .plaintext, muxer: .yamux)
        // The far end does not read, so that a send stays pending; closing with unread bytes then resets.
        wire.act { wire.far.pauseReceiving() }
        _ = try wire.act { try client.open(sending: [[UInt8](repeating: 1, count: 200_000)]) }
        var isFull = false
        wire.act { _ = wire.loop.schedule(at: wire.loop.now + 100_000_000) { isFull = true } }
        wire.wait("the buffer to be full") { isFull }
        wire.act { server.connection?.abort() }
        wire.wait("the failure") { client.end != nil }
        #expect(backend.sendsInKernel == 1)
        weak let connection = client.connection
        client.connection = nil
        pair = nil
        #expect(pair == nil && connection != nil)
        wire.wait("the kernel") { backend.sendsInKernel == 0 }
        #expect(connection == nil)
    }

    /// With the pool used up sealing goes on in blocks of its own.
    @Test func sendingGoesOnWithoutThePool() throws {
        let wire = try Wire(.tcp, configure: { $0.blocksMax = 8 })
        let (client, server) = (Peer("client"), Peer("server"))
        _ = try UpgradePair.connect(wire, client, server, security: .noise, muxer: .yamux)
        var taken = wire.act { (0..<5).compactMap { _ in wire.loop.pool.take() } }
        let list = messages(30, upTo: 200_000, seed: 4)
        _ = try wire.act { try client.open(sending: list) }
        wire.wait("the bytes") { server.finished.count == 1 }
        #expect(server.received.values.first == list.flatMap { $0 })
        taken = []
        #expect(taken.isEmpty)
        wire.act { client.connection?.abort() }
    }
}
