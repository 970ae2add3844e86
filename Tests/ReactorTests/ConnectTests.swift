import Bytes
import Foundation
import Kernel
import Reactor
import Testing
import TestSupport

/// Connections come about, or fail by the right name.
@Suite(.timeLimit(.minutes(5))) struct ConnectTests {
    @Test(arguments: BackendKind.available)
    func nobodyListens(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        // A port that was free a moment ago.
        let address = try loop.become {
            let listener = try loop.listen(on: .loopback4(port: 0)) { _ in }
            listener.close()
            return listener.address
        }
        var outcome: ChannelError?
        loop.become {
            loop.connect(to: address) { if case .failure(let error) = $0 { outcome = error } }
            #expect(outcome == nil, "the completion must not run inside connect")
        }
        loop.wait("the refusal") { outcome != nil }
        #expect(outcome == .refused)
        #expect(loop.channelCount == 0)
        loop.finish()
    }

    @Test(arguments: BackendKind.real)
    func addressInUse(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        try loop.become {
            let first = try loop.listen(on: .loopback4(port: 0)) { _ in }
            #expect(throws: ChannelError.addressInUse) { try loop.listen(on: first.address) { _ in } }
            first.close()
            first.close()
            let second = try loop.listen(on: first.address) { _ in }
            second.close()
            #expect(throws: ChannelError.addressNotAvailable) {
                try loop.listen(on: .ip4(0x0102_0304, port: 0)) { _ in }
            }
            #expect(throws: ChannelError.noSuchPath) { try loop.listen(on: .unix("/nowhere/at/all")) { _ in } }
        }
        loop.finish()
    }

    @Test(arguments: BackendKind.real)
    func noSuchUnixPath(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var outcome: ChannelError?
        loop.become { loop.connect(to: .unix(uniqueSocketPath())) { if case .failure(let error) = $0 { outcome = error } } }
        loop.wait("the failure") { outcome != nil }
        #expect(outcome == .noSuchPath)
        loop.finish()
    }

    @Test(arguments: BackendKind.real)
    func ip6AndPortSharing(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.reusePort = true
        var accepted = 0
        let listeners = try loop.become {
            let first = try loop.listen(on: .loopback6(port: 0), options: options) { _ in accepted += 1 }
            let second = try loop.listen(on: first.address, options: options) { _ in accepted += 1 }
            return [first, second]
        }
        var connected = 0
        loop.become {
            for _ in 0..<20 { loop.connect(to: listeners[0].address) { if case .success = $0 { connected += 1 } } }
        }
        loop.wait("all connections") { accepted == 20 && connected == 20 }
        loop.finish()
    }

    /// A listener whose queue is full does not answer; the far end is silent.
    @Test(arguments: BackendKind.available)
    func silentPeer(_ kind: BackendKind) throws {
        let silent = SocketAddress.ip4(0x0a00_0001, port: 9)
        let loop = try kind.makeLoop(plan: { $0.silentAddresses = [silent] })
        var counts = SyscallCounts()
        var address = silent
        var held: [Socket] = []
        if !kind.isSimulated {
            var options = SocketOptions()
            options.backlog = 0
            let (socket, bound) = try Socket.listening(on: .loopback4(port: 0), options, counts: &counts)
            address = bound
            held.append(socket)
            for _ in 0..<4 {
                let filler = try Socket.connecting(to: bound, options, counts: &counts)
                _ = try filler.connect(to: bound, counts: &counts)
                held.append(filler)
            }
        }
        var outcome: ChannelError?
        let limit: UInt64 = 100_000_000
        loop.become {
            loop.connect(to: address, timeoutNanoseconds: limit) { if case .failure(let error) = $0 { outcome = error } }
        }
        loop.wait("the time-out") { outcome != nil }
        #expect(outcome == .timedOut(afterNanoseconds: limit))
        #expect(loop.channelCount == 0)
        for socket in held { socket.close(counts: &counts) }
        loop.finish()
    }

    /// A connection that is given up is closed, and nobody hears of it.
    @Test(arguments: BackendKind.available)
    func cancelledConnectsAreSilent(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let listener = try loop.become { try loop.listen(on: .loopback4(port: 0)) { $0.close() } }
        var (told, connected) = (0, 0)
        loop.become {
            let attempts = (0..<10).map { _ in loop.connect(to: listener.address) { _ in told += 1 } }
            for attempt in attempts + attempts { attempt.cancel() }
            #expect(loop.channelCount == 0)
        }
        var kept: ConnectAttempt?
        loop.become {
            kept = loop.connect(to: listener.address) { result in
                guard case .success(let channel) = result else { return }
                connected += 1
                // Over already: this takes nothing away.
                kept?.cancel()
                channel.close()
            }
        }
        loop.wait("the one that was not given up") { connected == 1 }
        #expect(told == 0)
        loop.finish()
    }

    /// Options are what was asked for, on both ends, as the kernel reports them.
    @Test(arguments: BackendKind.real)
    func socketOptions(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.sendBufferBytes = 256 << 10
        let pair = try loop.makePair(options)
        try loop.become {
            for channel in [pair.client.channel, pair.server.channel] {
                let settings = try #require(loop.settings(of: channel))
                #expect(settings.noDelay == true)
                #expect(settings.notSentLowWaterBytes == SocketOptions().notSentLowWaterBytes)
                #expect(settings.receiveBufferBytes == SocketOptions().receiveBufferBytes)
                #expect(settings.sendBufferBytes == 256 << 10)
                #expect(settings.receiveLowWaterBytes == 1)
                #expect(settings.congestionControl == "reno")
            }
        }
        loop.finish()
    }

    /// Without a choice of ours it is the machine's.
    @Test(arguments: BackendKind.real)
    func congestionControlOfTheMachine(_ kind: BackendKind) throws {
        let machines = try String(contentsOfFile: "/proc/sys/net/ipv4/tcp_congestion_control", encoding: .utf8)
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.congestionControl = nil
        let pair = try loop.makePair(options)
        try loop.become {
            for channel in [pair.client.channel, pair.server.channel] {
                let settings = try #require(loop.settings(of: channel))
                #expect(settings.congestionControl.map { $0 + "\n" } == machines)
            }
        }
        loop.finish()
    }

    /// One that the kernel does not have is an error that names the call, and leaves no socket behind.
    @Test(arguments: BackendKind.real)
    func unknownCongestionControl(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var options = SocketOptions()
        options.congestionControl = "no-such-one"
        loop.become {
            #expect(throws: ChannelError.self) { try loop.listen(on: .loopback4(port: 0), options: options) { $0.close() } }
            #expect(loop.channelCount == 0)
        }
        loop.finish()
    }

    /// A wildcard listener does not know that its connections are local; each is tuned when it is accepted.
    @Test(arguments: BackendKind.real)
    func wildcardListenerTunesLocalConnections(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var accepted: (any Channel)?
        let listener = try loop.become { try loop.listen(on: .ip4(0, port: 0)) { accepted = $0 } }
        let port = try #require(listener.address.port)
        loop.become { loop.connect(to: .loopback4(port: port)) { _ in } }
        loop.wait("the connection") { accepted != nil }
        let channel = try #require(accepted)
        let settings = loop.become { loop.settings(of: channel) }
        #expect(settings?.receiveBufferBytes == SocketOptions().receiveBufferBytes)
        #expect(settings?.congestionControl == "reno")
        loop.finish()
    }

    /// The kernel's own counters agree with ours.
    @Test(arguments: BackendKind.real)
    func tcpInfoIsAWitness(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            pair.client.queue(PatternBytes(seed: 1).slice(at: 0, count: 60_000))
        }
        loop.wait("the bytes") { pair.server.bytesReceived == 60_000 }
        try loop.become {
            let server = try #require(pair.server.channel.tcpInfo())
            #expect(server.bytesReceived == 60_000)
            let client = try #require(pair.client.channel.tcpInfo())
            #expect(client.bytesSent == 60_000)
        }
        loop.finish()
    }

    @Test func adoptsASocket() throws {
        let loop = try EventLoop()
        var counts = SyscallCounts()
        let (left, right) = try Socket.pair(counts: &counts)
        let ends = try loop.become {
            [Endpoint(try loop.adopt(left, remote: .unix(""))), Endpoint(try loop.adopt(right, remote: .unix("")))]
        }
        loop.become {
            for end in ends { end.channel.start(end) }
            ends[0].queue(Slice(copying: [9]))
        }
        loop.wait("the byte") { ends[1].bytesReceived == 1 }
        loop.finish()
    }
}
