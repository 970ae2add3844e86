import Bytes
import Kernel
import Testing

/// The wrappers alone, without a loop.
@Suite(.timeLimit(.minutes(5))) struct SocketTests {
    @Test func sendAndReceiveAreCounted() throws {
        var counts = SyscallCounts()
        let (left, right) = try Socket.pair(counts: &counts)
        defer {
            left.close(counts: &counts)
            right.close(counts: &counts)
        }
        let block = Block(capacity: 4096)
        #expect(try left.receive(into: block, 0..<4096, counts: &counts) == .wouldBlock)
        var gather = Gather()
        gather.appendBigEndian(UInt32(7))
        gather.endFrame(tag: 0, payload: Slice(copying: [UInt8](repeating: 5, count: 3000)))
        #expect(try right.send(&gather, counts: &counts) == .done(3004))
        #expect(gather.byteCount == 3004, "sending does not advance the gather")
        #expect(try left.receive(into: block, 96..<4096, counts: &counts) == .done(3004))
        #expect(block.bytes(96..<100).bigEndian32(at: 0) == 7)
        try right.finishSending(counts: &counts)
        #expect(try left.receive(into: block, 0..<4096, counts: &counts) == .done(0))
        #expect(counts.send == 1 && counts.receive == 3 && counts.bytesSent == 3004 && counts.bytesReceived == 3004)
        #expect(counts.byName.map(\.name) == ["recv", "sendmsg", "socket", "shutdown"])
    }

    /// A send that fills the socket is partial, and the next one would block.
    @Test func fullSocket() throws {
        var counts = SyscallCounts()
        let (left, right) = try Socket.pair(counts: &counts)
        var gather = Gather()
        let large = Slice(Block(capacity: 8 << 20), 0..<8 << 20)
        gather.endFrame(tag: 0, payload: large)
        guard case .done(let sent) = try left.send(&gather, counts: &counts) else {
            Issue.record("nothing was taken")
            return
        }
        #expect(sent > 0 && sent < 8 << 20)
        gather.advance(by: sent)
        while case .done(let more) = try left.send(&gather, counts: &counts) { gather.advance(by: more) }
        right.close(counts: &counts)
        do {
            _ = try left.send(&gather, counts: &counts)
            Issue.record("the far end is gone")
        } catch {
            #expect(error.call == "sendmsg")
        }
        left.close(counts: &counts)
    }

    @Test func differencesAndSums() {
        var before = SyscallCounts()
        before.receive = 3
        before.bytesReceived = 100
        var after = before
        after.receive += 2
        after.send += 1
        after.bytesReceived += 50
        let difference = after - before
        #expect(difference.receive == 2 && difference.send == 1 && difference.bytesReceived == 50 && difference.total == 3)
        #expect(before + difference == after)
    }

    /// A path left over by a listener that died is replaced; one that is in use is not.
    @Test func abandonedUnixPath() throws {
        var counts = SyscallCounts()
        let address = SocketAddress.unix("/tmp/streamgauge-test-\(UInt64.random(in: 0 ... .max)).sock")
        let (first, bound) = try Socket.listening(on: address, SocketOptions(), counts: &counts)
        #expect(bound == address)
        #expect(throws: Errno.self) { try Socket.listening(on: address, SocketOptions(), counts: &counts) }
        first.close(counts: &counts)
        let (second, _) = try Socket.listening(on: address, SocketOptions(), counts: &counts)
        second.close(counts: &counts)
        if case .unix(let path) = address { Socket.removePath(path) }
    }

    @Test func tcpInfoAndAddresses() throws {
        var counts = SyscallCounts()
        let (listener, bound) = try Socket.listening(on: .loopback4(port: 0), SocketOptions(), counts: &counts)
        let client = try Socket.connecting(to: bound, SocketOptions(), counts: &counts)
        _ = try client.connect(to: bound, counts: &counts)
        var accepted: (Socket, SocketAddress)?
        while accepted == nil {
            if case .done(let connection) = try listener.accept(counts: &counts) { accepted = connection }
        }
        let (server, remote) = try #require(accepted)
        #expect(try server.localAddress() == bound)
        #expect(try client.localAddress() == remote)
        #expect(try client.remoteAddress() == bound)
        #expect(client.takeError("connect", counts: &counts) == nil)
        let info = try #require(client.tcpInfo())
        #expect(info.bytesReceived == 0 && info.retransmitsTotal == 0)
        for socket in [listener, client, server] { socket.close(counts: &counts) }
        #expect(counts.accept >= 1 && counts.connect == 1)
    }
}
