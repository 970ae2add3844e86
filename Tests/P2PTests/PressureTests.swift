import Bytes
import Kernel
import Muxers
import P2P
import Reactor
import Testing
import TestSupport

/// More than the other side, the kernel or the pool will take.
@Suite(.timeLimit(.minutes(5))) struct PressureTests {
    /// A kernel buffer of a few KiB: nearly every write is partial, and frames go back to the muxer and come again.
    @Test(arguments: [Link.tcp, .unix, .simulated, .simulatedPending, .memory], Framing.allCases)
    func partialWritesLoseNothing(link: Link, framing: Framing) throws {
        var options = SocketOptions()
        options.sendBufferBytes = 8 << 10
        options.receiveBufferBytes = 16 << 10
        options.receiveBufferScope = .allAddresses
        let wire = try Wire(link, options: options, plan: { $0.bufferBytes = 10_000 })
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, framing)
        var sent: [[UInt8]] = []
        try wire.act {
            for number in 0..<(framing.hasManyStreams ? 50 : 1) {
                let list = messages(20, upTo: 20_000, seed: UInt64(number) + 100)
                _ = try client.open(sending: list)
                sent.append(list.flatMap { $0 })
            }
        }
        let total = sent.reduce(0) { $0 + $1.count }
        wire.wait("\(total) bytes") { server.receivedByteCount == total && server.finished.count == sent.count }
        #expect(server.openedInOrder.map { server.received[$0] } == sent)
        #expect(client.violations == [] && server.violations == [])
        let connection = try #require(client.connection)
        if link != .memory { #expect(connection.partialWrites > 0) }
        #expect(connection.writes >= connection.partialWrites)
        // The last completion may come after the bytes.
        wire.wait("the last completion") { connection.muxer.counters.sent.totalBytes == connection.channel.bytesSent }
        wire.act {
            client.connection?.abort()
            server.connection?.abort()
        }
    }

    /// What is urgent overtakes what is queued: a stream that was silent goes ahead of one with megabytes waiting.
    @Test(arguments: Framing.multiplexers)
    func sparseStreamOvertakesBulk(framing: Framing) throws {
        let wire = try Wire(.simulated, plan: { $0.bufferBytes = 64 << 10 })
        let (client, server) = (Peer("client"), Peer("server"))
        var limits = MuxerLimits()
        limits.framePayloadBytesMax = 16 << 10
        wire.connect(client, server, framing, limits: limits)
        let bulk = try wire.act { try client.open(sending: [[UInt8](repeating: 1, count: 200 << 10)], finishing: false) }
        let urgent = try wire.act { try client.open(sending: [[2]], finishing: false) }
        // Nothing has been written yet, so the urgent stream may even be opened first.
        wire.wait("the urgent byte") { server.received.values.contains([2]) }
        #expect(server.receivedByteCount < 200 << 10, "the bulk had to wait")
        wire.wait("the bulk") { server.receivedByteCount == (200 << 10) + 1 }
        #expect(bulk != urgent)
        wire.act { client.connection?.abort() }
    }

    /// A reader that gives nothing back holds the sender at the window; then everything comes.
    @Test(arguments: Link.allCases)
    func windowHoldsTheSender(link: Link) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .hold
        wire.connect(client, server, .yamux)
        let total = 3 << 20
        let stream = try wire.act { try client.open(sending: [[UInt8]](repeating: [UInt8](repeating: 3, count: 64 << 10), count: 48)) }
        let window = Int(YamuxLimits.windowBytesInitial)
        wire.wait("a window's worth") { server.receivedByteCount == window }
        wire.settle()
        #expect(server.receivedByteCount == window)
        #expect(client.connection?.muxer.queuedByteCount(on: stream) == total - window)
        #expect(client.writable == 0)
        wire.act { server.release() }
        wire.wait("the rest") { server.receivedByteCount == total && !server.finished.isEmpty }
        #expect(client.writable >= 1)
        #expect(client.violations == [] && server.violations == [])
        wire.act { client.connection?.abort() }
    }

    /// Without windows the connection itself is not read from while the application holds more than its share.
    @Test(arguments: Link.allCases)
    func pausedConnectionHoldsTheSender(link: Link) throws {
        var options = SocketOptions()
        options.sendBufferBytes = 64 << 10
        let wire = try Wire(link, options: options)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .hold
        let limit = 1 << 20
        wire.connect(client, server) { Passthrough(role: $0, receiveBufferBytesMax: limit) }
        let total = 8 << 20
        let stream = try wire.act { try client.open(sending: [[UInt8]](repeating: [UInt8](repeating: 3, count: 64 << 10), count: 128)) }
        wire.wait("the limit") { server.receivedByteCount >= limit }
        wire.settle()
        #expect(server.connection?.muxer.wantsInput == false)
        #expect(server.receivedByteCount < limit + (512 << 10), "no more than one read beyond the limit")
        #expect((client.connection?.muxer.queuedByteCount(on: stream) ?? 0) > 0, "the sender is held back")
        wire.act { server.release() }
        wire.wait("the rest") { server.receivedByteCount == total && !server.finished.isEmpty }
        #expect(client.violations == [] && server.violations == [])
        wire.act { client.connection?.abort() }
    }

    /// A stream that is not read is reset by mplex, and the others go on.
    @Test func mplexResetsTheSlowReader() throws {
        let wire = try Wire(.tcp)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .hold
        var limits = MplexLimits()
        limits.receiveBufferBytesMax = 256 << 10
        wire.connect(client, server) { Mplex(role: $0, limits: limits) }
        let slow = try wire.act { try client.open(sending: [[UInt8](repeating: 1, count: 1 << 20)], finishing: false) }
        wire.wait("the reset") { server.resets.count == 1 && client.resets.map(\.stream) == [slow] }
        #expect(server.receivedByteCount <= 256 << 10)
        server.behaviour = .echo
        let next = try wire.act { try client.open(sending: [[1, 2, 3]]) }
        wire.wait("the echo") { client.closed == [next] }
        #expect(client.received[next] == [1, 2, 3])
        wire.act { client.connection?.abort() }
    }

    /// Kept bytes pin their blocks until half the pool is pinned; from there on they are copied, and the copies are counted.
    @Test func keptBytesAreCopiedWhenBlocksAreScarce() throws {
        let wire = try Wire(.tcp, configure: {
            $0.blocksMax = 8
            $0.blockByteCount = 64 << 10
        })
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, .none)
        var kept: [Slice] = []
        var outstandingMax = 0
        server.onReceived = { _, block, range in
            guard let connection = server.connection else { return }
            kept.append(connection.keep(block, range))
            outstandingMax = max(outstandingMax, wire.loop.pool.outstanding)
        }
        let sent = messages(60, upTo: 60_000, seed: 11)
        _ = try wire.act { try client.open(sending: sent) }
        let total = sent.reduce(0) { $0 + $1.count }
        wire.wait("\(total) bytes") { server.receivedByteCount == total }
        #expect(kept.flatMap { $0.bytes.array() } == sent.flatMap { $0 })
        let connection = try #require(server.connection)
        #expect(connection.bytesCopiedOut > 0 && connection.bytesCopiedOut < UInt64(total))
        #expect(connection.bytesCopied >= connection.bytesCopiedOut)
        #expect(outstandingMax < 8, "the pool keeps blocks for receiving")
        wire.act {
            kept.removeAll()
            client.connection?.abort()
            server.connection?.abort()
        }
    }

    /// Producers that wait for room are told of it, again and again, until all is sent.
    @Test(arguments: Framing.allCases, [Link.tcp, .memory, .simulatedPending])
    func producersAreToldOfRoom(framing: Framing, link: Link) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        var limits = MuxerLimits()
        limits.sendQueueBytesMax = 256 << 10
        wire.connect(client, server, framing, limits: limits)
        let message = [UInt8](repeating: 4, count: 32 << 10)
        var left = 200
        func fill(_ stream: StreamHandle) {
            guard let connection = client.connection else { return }
            while left > 0 {
                guard let queued = try? connection.send(Slice(copying: message), on: stream) else { break }
                left -= 1
                if queued > 128 << 10 { return }
            }
            if left == 0 { try? connection.finish(stream) }
        }
        client.onWritable = { fill($0) }
        try wire.act { fill(try client.open(sending: [], finishing: false)) }
        wire.wait("200 messages") { server.receivedByteCount == 200 * message.count && !server.finished.isEmpty }
        #expect(client.writable > 10)
        #expect(client.violations == [] && server.violations == [])
        wire.act { client.connection?.abort() }
    }

    @Test func refusedOpeningIsRepeatedWhenAllowed() throws {
        let wire = try Wire(.tcp)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, .yamux)
        let opened = wire.act {
            var opened = 0
            while opened < 1000, (try? client.open(sending: [[1]], finishing: false)) != nil { opened += 1 }
            return opened
        }
        #expect(opened == 256, "unacknowledged streams are limited")
        wire.wait("room for more") { client.canOpen > 0 }
        _ = try wire.act { try client.open(sending: [[1]], finishing: false) }
        wire.act { client.connection?.abort() }
    }
}
