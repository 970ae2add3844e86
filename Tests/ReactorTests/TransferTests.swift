import Bytes
import Kernel
import Reactor
import Testing
import TestSupport

/// Bytes go where they belong, whatever happens to them on the way.
@Suite(.timeLimit(.minutes(5))) struct TransferTests {
    /// The server sends back what it gets; the client checks every byte by its position. Write sizes are random.
    @Test(arguments: BackendKind.available)
    func echo64MiB(_ kind: BackendKind) throws {
        let seed = UInt64.random(in: 0 ... .max)
        let total = 64 << 20
        let loop = try kind.makeLoop(seed: seed)
        let pair = try loop.makePair()
        let pattern = PatternBytes(seed: seed)
        var random = SeededRandom(seed: seed)
        var produced = 0
        var mismatchAt: Int?
        let (client, server) = (pair.client, pair.server)
        client.source = {
            guard produced < total else { return nil }
            let slice = pattern.slice(at: produced, count: min(total - produced, Int.random(in: 1...40_000, using: &random)))
            produced += slice.count
            client.writeBytesMax = Int.random(in: 1...(600 << 10), using: &random)
            return slice
        }
        client.onReceived = { client, block, range in
            if mismatchAt == nil, !pattern.matches(block.bytes(range), at: client.bytesReceived) { mismatchAt = client.bytesReceived }
        }
        server.onReceived = { server, block, range in
            server.queue(Slice(block, range))
            if server.queuedBytes > 1 << 20 { server.channel.pauseReceiving() }
        }
        server.onEnded = { $0.finishWhenEmpty() }
        loop.become {
            client.channel.start(client)
            server.channel.start(server)
            client.finishWhenEmpty()
        }
        while !client.hasEnded, client.failure == nil {
            loop.wait("echo, seed \(seed), received \(client.bytesReceived)") { client.hasEnded || client.failure != nil || server.queuedBytes == 0 }
            loop.become { server.channel.resumeReceiving() }
            if client.bytesReceived == 0 && loop.channelCount == 0 { break }
            _ = loop.run(until: { false }, limitNanoseconds: 1_000)
        }
        #expect(mismatchAt == nil, "seed \(seed)")
        #expect(client.bytesReceived == total, "seed \(seed)")
        loop.become {
            #expect(client.channel.bytesSent == UInt64(total) && client.channel.bytesReceived == UInt64(total))
            #expect(loop.counts.bytesSent == 2 * UInt64(total) && loop.counts.bytesReceived == 2 * UInt64(total))
        }
        #expect(client.callbacksAfterEnd == 0 && server.callbacksAfterEnd == 0)
        loop.finish()
    }

    /// A receiver that does not read makes the sender's sends partial, then blocked; nothing is lost when it reads again.
    @Test(arguments: BackendKind.available)
    func pauseFillsThePathAndResumeEmptiesIt(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        let pattern = PatternBytes(seed: 7)
        let total = 32 << 20
        var produced = 0
        var isIntact = true
        pair.client.source = {
            guard produced < total else { return nil }
            let slice = pattern.slice(at: produced, count: min(65_521, total - produced))
            produced += slice.count
            return slice
        }
        pair.server.onReceived = { server, block, range in
            isIntact = isIntact && pattern.matches(block.bytes(range), at: server.bytesReceived)
        }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.server.channel.pauseReceiving()
            pair.client.channel.start(pair.client)
            pair.client.finishWhenEmpty()
        }
        // The path is full when the sender makes no more progress.
        var sentBefore = -1
        while pair.client.bytesSent != sentBefore {
            sentBefore = pair.client.bytesSent
            _ = loop.run(until: { false }, limitNanoseconds: 50_000_000)
        }
        #expect(pair.server.bytesReceived == 0)
        #expect(pair.client.bytesSent < total)
        if kind != .uring { #expect(pair.client.partialSends + pair.client.blockedSends > 0) }
        loop.become { pair.server.channel.resumeReceiving() }
        loop.wait("the rest") { pair.server.hasEnded }
        #expect(isIntact && pair.server.bytesReceived == total)
        loop.finish()
    }

    /// Each side finishes while the other goes on sending.
    @Test(arguments: BackendKind.available, [true, false])
    func halfClose(_ kind: BackendKind, clientFirst: Bool) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        let (first, second) = clientFirst ? (pair.client, pair.server) : (pair.server, pair.client)
        loop.become {
            first.channel.start(first)
            second.channel.start(second)
            first.queue(Slice(copying: [1, 2, 3]))
            first.finishWhenEmpty()
        }
        loop.wait("the first end") { second.hasEnded }
        #expect(second.bytesReceived == 3)
        let more = PatternBytes(seed: 3)
        loop.become {
            for part in 0..<20 { second.queue(more.slice(at: part * 65_521, count: 65_521)) }
            second.finishWhenEmpty()
        }
        loop.wait("the second end") { first.hasEnded }
        #expect(first.bytesReceived == 20 * 65_521)
        #expect(first.failure == nil && second.failure == nil)
        loop.become {
            first.close()
            second.close()
            #expect(loop.channelCount == 0)
        }
        loop.finish()
    }

    /// What was sent before the far end closed still arrives, although this side is only started later.
    @Test(arguments: BackendKind.available)
    func bytesBeforeCloseArrive(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        loop.become {
            pair.client.channel.start(pair.client)
            pair.client.queue(PatternBytes(seed: 1).slice(at: 0, count: 50_000))
        }
        loop.wait("the send") { pair.client.isIdle }
        loop.become { pair.client.close() }
        _ = loop.run(until: { false }, limitNanoseconds: 10_000_000)
        loop.become { pair.server.channel.start(pair.server) }
        loop.wait("bytes and end") { pair.server.hasEnded }
        #expect(pair.server.bytesReceived == 50_000)
        loop.finish()
    }

    @Test(arguments: BackendKind.available)
    func resetByTheFarEnd(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.lingerSeconds = 0
        let pair = try loop.makePair(options)
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            pair.client.close()
        }
        loop.wait("the reset") { pair.server.failure != nil }
        #expect(pair.server.failure == .reset)
        loop.become {
            #expect(loop.channelCount == 0)
            var gather = Gather()
            gather.endFrame(tag: 0, payload: Slice(copying: [1]))
            #expect(pair.server.channel.send(&gather) == .failed(.closed))
            pair.server.channel.close()
        }
        #expect(pair.client.callbacksAfterEnd == 0 && pair.client.failure == nil)
        loop.finish()
    }

    /// A sender that waits for room, with its own receiving paused, hears of a reset.
    @Test(arguments: BackendKind.available)
    func resetWhileBlockedAndPaused(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.lingerSeconds = 0
        let pair = try loop.makePair(options)
        let pattern = PatternBytes(seed: 1)
        pair.server.source = { pattern.slice(at: 0, count: 65_521) }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.server.channel.pauseReceiving()
            pair.server.pump()
        }
        var sentBefore = -1
        while pair.server.bytesSent != sentBefore {
            sentBefore = pair.server.bytesSent
            _ = loop.run(until: { false }, limitNanoseconds: 50_000_000)
        }
        loop.become { pair.client.close() }
        loop.wait("the failure") { pair.server.sendFailure != nil || pair.server.failure != nil }
        #expect(pair.server.sendFailure ?? pair.server.failure == .reset)
        loop.finish()
    }

    @Test(arguments: BackendKind.available)
    func manyConnections(_ kind: BackendKind) throws {
        let count = 1_000
        let loop = try kind.makeLoop(configure: { $0.blocksMax = 64 })
        var servers: [Endpoint] = []
        var clients: [Endpoint] = []
        var failures: [ChannelError] = []
        let pattern = PatternBytes(seed: 9)
        var corrupt = 0
        let listener = try loop.become {
            try loop.listen(on: .loopback4(port: 0)) { channel in
                let server = Endpoint(channel)
                servers.append(server)
                server.onReceived = { server, block, range in server.queue(Slice(block, range)) }
                server.onEnded = { $0.finishWhenEmpty() }
                channel.start(server)
            }
        }
        loop.become {
            for index in 0..<count {
                loop.connect(to: listener.address, timeoutNanoseconds: patienceNanoseconds) { result in
                    switch result {
                    case .failure(let error): failures.append(error)
                    case .success(let channel):
                        let client = Endpoint(channel)
                        clients.append(client)
                        client.onReceived = { client, block, range in
                            if !pattern.matches(block.bytes(range), at: index + client.bytesReceived) { corrupt += 1 }
                        }
                        channel.start(client)
                        client.queue(pattern.slice(at: index, count: 1_000 + index))
                        client.finishWhenEmpty()
                    }
                }
            }
        }
        loop.wait("all echoes") { failures.count + clients.count(where: { $0.hasEnded }) == count }
        #expect(failures.isEmpty && corrupt == 0)
        #expect(clients.indices.allSatisfy { clients[$0].bytesReceived == clients[$0].bytesSent })
        loop.become {
            #expect(loop.channelCount == 2 * count)
            for end in clients + servers { end.close() }
            #expect(loop.channelCount == 0)
            #expect(loop.counts.connect == UInt64(count))
        }
        loop.finish()
    }

    /// A raised receive mark does not hold back the short end of a bulk transfer, nor what comes after it.
    @Test(arguments: BackendKind.real)
    func raisedReceiveMark(_ kind: BackendKind) throws {
        let mark = 16 << 10
        let loop = try kind.makeLoop(configure: { $0.blockByteCount = 64 << 10 })
        var options = SocketOptions()
        options.receiveLowWaterBytes = mark
        options.receiveBufferBytes = 1 << 20
        let pair = try loop.makePair(options)
        let pattern = PatternBytes(seed: 2)
        var marks: Set<Int> = []
        pair.server.onReceived = { server, _, _ in
            if let settings = loop.settings(of: server.channel) { marks.insert(settings.receiveLowWaterBytes) }
        }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
        }
        var total = 0
        for round in 0..<20 {
            loop.become {
                // Paused until much has gathered, so that large receives follow each other.
                pair.server.channel.pauseReceiving()
                for part in 0..<100 { pair.client.queue(pattern.slice(at: part, count: 65_521)) }
                pair.client.queue(pattern.slice(at: 0, count: 100))
            }
            total += 100 * 65_521 + 100
            var sentBefore = -1
            while pair.client.bytesSent != sentBefore {
                sentBefore = pair.client.bytesSent
                _ = loop.run(until: { false }, limitNanoseconds: 5_000_000)
            }
            loop.become { pair.server.channel.resumeReceiving() }
            loop.wait("round \(round)") { pair.server.bytesReceived == total }
        }
        #expect(marks == [1, mark], "the mark was never raised")
        loop.finish()
    }

    @Test(arguments: BackendKind.real)
    func unixSockets(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let path = uniqueSocketPath()
        let pair = try loop.makePair(address: .unix(path))
        let pattern = PatternBytes(seed: 2)
        var isIntact = true
        pair.server.onReceived = { server, block, range in
            isIntact = isIntact && pattern.matches(block.bytes(range), at: server.bytesReceived)
        }
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            for part in 0..<100 { pair.client.queue(pattern.slice(at: part * 65_521, count: 65_521)) }
            pair.client.finishWhenEmpty()
            #expect(pair.client.channel.tcpInfo() == nil)
        }
        loop.wait("the end") { pair.server.hasEnded }
        #expect(isIntact && pair.server.bytesReceived == 100 * 65_521)
        loop.finish()
    }
}
