import Bytes
import Kernel
import Reactor
import Synchronization
import Testing
import TestSupport

/// Handlers may do anything in their callbacks; blocks and syscalls are accounted for.
@Suite(.timeLimit(.minutes(5))) struct CallbackTests {
    @Test(arguments: BackendKind.available)
    func closeInsideReceive(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        pair.server.onReceived = { server, _, _ in server.close() }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            for part in 0..<40 { pair.client.queue(PatternBytes(seed: 1).slice(at: part, count: 65_521)) }
        }
        loop.wait("the far end's close") { pair.client.hasEnded || pair.client.failure != nil || pair.client.sendFailure != nil }
        #expect(pair.server.callbacksAfterEnd == 0)
        loop.finish()
    }

    /// What a wait brings is told with the time after the wait: a loop that slept for long would otherwise see time-outs as over that it begins.
    @Test(arguments: BackendKind.real)
    func callbacksSeeTheTimeAfterTheWait(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let far = try EventLoop()
        try far.start()
        let sentAt = Mutex<UInt64>(0)
        var acceptedAt: UInt64?
        var receivedAt: UInt64?
        let listener = try loop.become {
            try loop.listen(on: .loopback4(port: 0)) { channel in
                acceptedAt = loop.now
                let server = Endpoint(channel)
                server.onReceived = { _, _, _ in receivedAt = loop.now }
                channel.start(server)
            }
        }
        let address = listener.address
        let startedAt = Clock.now
        far.submit {
            // Long enough for the loop to have fallen asleep, and not needed to be.
            far.schedule(at: far.now + 5_000_000) {
                far.connect(to: address) { result in
                    guard case .success(let channel) = result else { return }
                    let client = Endpoint(channel)
                    channel.start(client)
                    far.schedule(at: far.now + 5_000_000) {
                        sentAt.withLock { $0 = Clock.now }
                        client.queue(Slice(copying: [1]))
                    }
                }
            }
        }
        loop.wait("a byte") { receivedAt != nil }
        #expect(try #require(acceptedAt) >= startedAt + 5_000_000)
        #expect(try #require(receivedAt) >= sentAt.withLock { $0 })
        loop.finish()
        far.stop()
        far.join()
    }

    /// One channel's callback closes the others, whose events of the same turn must then be stale.
    @Test(arguments: BackendKind.available)
    func closeOthersInsideReceive(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var pairs: [Pair] = []
        for _ in 0..<20 { pairs.append(try loop.makePair()) }
        var closed = 0
        for pair in pairs {
            pair.server.onReceived = { _, _, _ in
                for other in pairs where other.server.channel !== pair.server.channel {
                    other.server.close()
                }
                closed += 1
            }
        }
        loop.become {
            for pair in pairs {
                pair.server.channel.start(pair.server)
                pair.client.channel.start(pair.client)
                pair.client.queue(Slice(copying: [1]))
            }
        }
        loop.wait("a receive") { closed > 0 }
        _ = loop.run(until: { false }, limitNanoseconds: 5_000_000)
        #expect(closed == 1)
        #expect(pairs.allSatisfy { $0.server.callbacksAfterEnd == 0 })
        loop.finish()
    }

    /// Closing in the connect completion, in the accept callback, in ended and in writable.
    @Test(arguments: BackendKind.available)
    func closeInsideOtherCallbacks(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var accepted = 0
        let listener = try loop.become {
            try loop.listen(on: .loopback4(port: 0)) { channel in
                accepted += 1
                channel.close()
            }
        }
        var connected = 0
        loop.become {
            for _ in 0..<10 {
                loop.connect(to: listener.address) { result in
                    connected += 1
                    if case .success(let channel) = result { channel.close() }
                }
            }
        }
        loop.wait("all") { accepted == 10 && connected == 10 }
        #expect(loop.channelCount == 0)
        let pair = try loop.makePair()
        pair.server.onEnded = { $0.close() }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            pair.client.finishWhenEmpty()
        }
        loop.wait("the end") { pair.client.hasEnded || pair.client.failure != nil }
        loop.finish()
    }

    /// A handler that keeps everything it gets: the slices stay intact while more arrives.
    @Test(arguments: BackendKind.available)
    func keptSlicesStayIntact(_ kind: BackendKind) throws {
        let seed = UInt64.random(in: 0 ... .max)
        let loop = try kind.makeLoop(seed: seed)
        let pair = try loop.makePair()
        let pattern = PatternBytes(seed: seed)
        let total = 8 << 20
        var kept: [Slice] = []
        var produced = 0
        pair.client.source = {
            guard produced < total else { return nil }
            let slice = pattern.slice(at: produced, count: min(30_000, total - produced))
            produced += slice.count
            return slice
        }
        pair.server.onReceived = { _, block, range in kept.append(Slice(block, range)) }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            pair.client.finishWhenEmpty()
        }
        loop.wait("everything") { pair.server.hasEnded }
        var position = 0
        for slice in kept {
            let isIntact = pattern.matches(slice.bytes, at: position)
            #expect(isIntact, "seed \(seed)")
            position += slice.count
        }
        #expect(position == total)
        loop.become { kept = [] }
        loop.finish()
        #expect(loop.pool.outstanding == 0)
    }

    /// When every block is held, channels wait; when blocks come back, they go on.
    @Test(arguments: BackendKind.available)
    func poolExhaustion(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop(configure: {
            $0.blocksMax = 4
            $0.blockByteCount = 64 << 10
        })
        let pairs = [try loop.makePair(), try loop.makePair(), try loop.makePair()]
        let pattern = PatternBytes(seed: 4)
        let total = 4 << 20
        var kept: [Slice] = []
        var corrupt = 0
        for pair in pairs {
            var produced = 0
            pair.client.source = {
                guard produced < total else { return nil }
                let slice = pattern.slice(at: produced, count: min(65_521, total - produced))
                produced += slice.count
                return slice
            }
            pair.server.onReceived = { server, block, range in
                if !pattern.matches(block.bytes(range), at: server.bytesReceived) { corrupt += 1 }
                kept.append(Slice(block, range))
            }
        }
        loop.become {
            for pair in pairs {
                pair.server.channel.start(pair.server)
                pair.client.channel.start(pair.client)
                pair.client.finishWhenEmpty()
            }
        }
        var rounds = 0
        while !pairs.allSatisfy({ $0.server.hasEnded }), rounds < 10_000 {
            rounds += 1
            _ = loop.run(until: { pairs.allSatisfy { $0.server.hasEnded } }, limitNanoseconds: 2_000_000)
            #expect(loop.pool.outstanding <= 4)
            // Blocks come back on the loop, by whatever runs there.
            loop.become { kept = [] }
        }
        #expect(corrupt == 0)
        #expect(pairs.allSatisfy { $0.server.bytesReceived == total })
        loop.finish()
        #expect(loop.pool.outstanding == 0)
    }

    /// What the counts say is what happened, where that can be known.
    @Test func epollSyscallsAreCounted() throws {
        let loop = try BackendKind.epoll.makeLoop()
        let pair = try loop.makePair()
        loop.become {
            let counts = loop.counts
            #expect(counts.socket == 2 && counts.bind == 1 && counts.listen == 1 && counts.connect == 1)
            // The eventfd, the listener, and the two ends.
            #expect(counts.epollControl == 4)
            #expect(counts.accept >= 1 && counts.close == 1)
            #expect(counts.send == 0 && counts.receive == 0)
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
        }
        let before = loop.counts
        for round in 1...10 {
            loop.become { pair.client.queue(Slice(copying: [UInt8](repeating: 1, count: 100))) }
            loop.wait("round \(round)") { pair.server.bytesReceived == 100 * round }
        }
        let difference = loop.counts - before
        #expect(difference.send == 10 && difference.bytesSent == 1000 && difference.bytesReceived == 1000)
        // One receive for each message, and one that finds nothing for the first edge of a new socket.
        #expect(difference.receive >= 10 && difference.receive <= 12)
        #expect(difference.epollControl == 0)
        #expect(difference.total == difference.byName.reduce(0) { $0 + $1.count })
        loop.become {
            pair.client.close()
            pair.server.close()
        }
        #expect(loop.counts.close == 3)
        loop.finish()
    }
}
