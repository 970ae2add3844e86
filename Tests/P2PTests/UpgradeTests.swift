import Bytes
import Multiformats
import Muxers
import P2P
import Reactor
import SecureChannels
import Testing
import TestSupport

/// Connections over every link, with every secure channel and every multiplexer: how they come about, bytes both ways, and how they end.
@Suite(.timeLimit(.minutes(5))) struct UpgradeTests {
    @Test func namesAreThoseOfTheMultiplexers() throws {
        #expect(try MuxerKind.yamux.protocolID == ProtocolID(Yamux.protocolID))
        #expect(try MuxerKind.mplex.protocolID == ProtocolID(Mplex.protocolID))
    }

    @Test(arguments: Stack.bothNegotiations)
    func echoesComeBack(stack: Stack) throws {
        let wire = try Wire(stack.link)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .echo
        let pair = try UpgradePair.connect(
            wire, client, server, security: stack.security, muxer: stack.muxer, negotiation: stack.negotiation)
        var sent: [StreamHandle: [UInt8]] = [:]
        try wire.act {
            for number in 0..<20 {
                let list = messages(5, upTo: 30_000, seed: UInt64(number))
                sent[try client.open(sending: list)] = list.flatMap { $0 }
            }
        }
        wire.wait("echoes") { client.closed.count == 20 && server.closed.count == 20 }
        #expect(client.received == sent)
        wire.act { client.connection?.close() }
        wire.wait("the end") { client.end != nil && server.end != nil }
        #expect(client.end?.isOrderly == true && server.end?.isOrderly == true, "\(String(describing: client.end)), \(String(describing: server.end))")
        #expect(client.violations == [] && server.violations == [])
        wire.settle(turns: 20)
        try pair.expectBalance(client, server)
        #expect(wire.act { wire.loop.channelCount } == 0)
        try expectReports(pair, stack)
    }

    private func expectReports(_ pair: UpgradePair, _ stack: Stack) throws {
        let isEarly = stack.negotiation == .early && stack.security != .plaintext
        for upgraded in [try #require(pair.near).get(), try #require(pair.far).get()] {
            let report = upgraded.report
            #expect(report.negotiated == (isEarly ? .early : .classic))
            #expect((report.muxerNegotiation == Traffic()) == isEarly)
            #expect(report.marks.first?.milestone == .started && report.marks.last?.milestone == .muxerAgreed)
            #expect(report.marks.filter { $0.milestone == .established || $0.milestone == .securityAgreed }.count == 2)
            #expect(report.marks.map(\.nanoseconds) == report.marks.map(\.nanoseconds).sorted())
            let messages = report.marks.compactMap { mark -> HandshakeMessage? in
                if case .handshakeMessage(let message) = mark.milestone { message } else { nil }
            }
            let bytes = messages.reduce(0) { $0 + $1.byteCount }
            #expect(bytes > 0)
            if stack.security != .tls { #expect(UInt64(bytes) == report.handshake.sent + report.handshake.received) }
        }
        // On a link that does not cut: one round trip for noise with its multiplexer, one more when it is negotiated behind it.
        guard stack.link == .memory, stack.security != .plaintext else { return }
        #expect(try #require(pair.near).get().report.roundTrips == (isEarly ? 1 : 2))
    }

    @Test(arguments: Stack.all)
    func bulkBothWays(stack: Stack) throws {
        let wire = try Wire(stack.link)
        let (client, server) = (Peer("client"), Peer("server"))
        let pair = try UpgradePair.connect(wire, client, server, security: stack.security, muxer: stack.muxer)
        let (up, down) = (messages(60, upTo: 200_000, seed: 1), messages(60, upTo: 200_000, seed: 2))
        let (ours, theirs) = try wire.act { (try client.open(sending: up), try server.open(sending: down)) }
        wire.wait("all bytes") { client.finished.count == 1 && server.finished.count == 1 }
        #expect(server.received.values.first == up.flatMap { $0 } && client.received.values.first == down.flatMap { $0 })
        wire.act {
            for stream in client.opened where stream != ours { try? client.connection?.finish(stream) }
            for stream in server.opened where stream != theirs { try? server.connection?.finish(stream) }
            server.connection?.close()
        }
        wire.wait("the end") { client.end != nil && server.end != nil }
        #expect(client.end?.isOrderly == true && server.end?.isOrderly == true, "\(String(describing: client.end)), \(String(describing: server.end))")
        #expect(client.violations == [] && server.violations == [])
        wire.settle(turns: 20)
        try pair.expectBalance(client, server)
    }

    @Test(arguments: Stack.all)
    func halfCloseLeavesTheOtherHalf(stack: Stack) throws {
        let wire = try Wire(stack.link, seed: 3)
        let (client, server) = (Peer("client"), Peer("server"))
        let answer = messages(20, upTo: 60_000, seed: 7)
        _ = try UpgradePair.connect(wire, client, server, security: stack.security, muxer: stack.muxer)
        server.onFinished = { stream in
            guard let connection = server.connection else { return }
            for message in answer { _ = try? connection.send(Slice(copying: message), on: stream) }
            try? connection.finish(stream)
        }
        let stream = try wire.act { try client.open(sending: [[1, 2, 3]]) }
        wire.wait("the answer") { client.closed == [stream] && server.closed.count == 1 }
        #expect(server.received.values.first == [1, 2, 3])
        #expect(client.received[stream] == answer.flatMap { $0 })
        wire.act { client.connection?.abort() }
    }

    /// Many seeds of an odd network: sizes and moments differ each time.
    @Test(arguments: SecurityKind.allCases, 1...12 as ClosedRange<UInt64>)
    func oddSegments(security: SecurityKind, seed: UInt64) throws {
        let wire = try Wire(
            seed % 2 == 0 ? .simulated : .simulatedPending, seed: seed,
            plan: { plan in
                plan.segmentBytes = 1...(seed % 3 == 0 ? 40 : 5000)
                plan.bufferBytes = seed % 4 == 0 ? 3000 : 100_000
            })
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .echo
        let pair = try UpgradePair.connect(
            wire, client, server, security: security, muxer: seed % 5 < 3 ? .yamux : .mplex, negotiation: seed % 7 < 4 ? .early : .classic)
        let list = messages(10, upTo: 3000, seed: seed)
        let stream = try wire.act { try client.open(sending: list) }
        wire.wait("echoes") { client.closed == [stream] && server.closed.count == 1 }
        #expect(client.received[stream] == list.flatMap { $0 })
        wire.act { client.connection?.close() }
        wire.wait("the end") { client.end != nil && server.end != nil }
        #expect(client.end?.isOrderly == true && server.end?.isOrderly == true)
        #expect(client.violations == [] && server.violations == [])
        wire.settle(turns: 50)
        try pair.expectBalance(client, server)
    }

    /// The listener takes the dialler's first kind of security that it has, and the same for the multiplexer.
    @Test(arguments: MuxerNegotiation.allCases)
    func preferencesAreTheDiallers(negotiation: MuxerNegotiation) throws {
        let wire = try Wire(.memory)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [.plaintext, .noise], [.yamux, .mplex], negotiation))
        pair.dial(try Hosts.configuration(Hosts.alice, [.tls, .noise, .plaintext], [.mplex, .yamux], negotiation))
        pair.wait()
        let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
        #expect(near.security == .noise && far.security == .noise)
        #expect(near.muxer == .mplex && far.muxer == .mplex)
        // A proposal refused, one accepted, the handshake, and perhaps the multiplexer's.
        #expect(near.report.roundTrips == (negotiation == .early ? 3 : 4))
        wire.act {
            near.channel.close()
            far.channel.close()
        }
    }

    /// A side that negotiates early and one that does not agree on the multiplexer afterwards.
    @Test(arguments: [SecurityKind.noise, .tls], MuxerNegotiation.allCases)
    func earlyMeetsClassic(security: SecurityKind, dialler: MuxerNegotiation) throws {
        let wire = try Wire(.memory)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux, .mplex], dialler == .early ? .classic : .early))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [.mplex, .yamux], dialler))
        pair.wait()
        let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
        #expect(near.muxer == .mplex && far.muxer == .mplex)
        #expect(near.report.negotiated == .classic && far.report.negotiated == .classic)
        wire.act {
            near.channel.close()
            far.channel.close()
        }
    }

    /// What arrives before the owner has started is kept, one read of it, and delivered at the start.
    @Test(arguments: SecurityKind.allCases)
    func bytesBeforeTheStartAreKept(security: SecurityKind) throws {
        let wire = try Wire(.memory)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux]))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux]))
        pair.wait()
        let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
        let client = Peer("client")
        let list = messages(200, upTo: 40_000, seed: 9)
        let stream = try wire.act {
            client.connection = Connection(channel: near.channel, muxer: near.muxer.make(.initiator), handler: client, loop: wire.loop)
            client.connection?.start()
            return try client.open(sending: list)
        }
        wire.settle()
        #expect(far.channel.accounts(far.report).received.unfinishedBytes <= 600_000)
        let server = Peer("server")
        server.behaviour = .echo
        wire.act {
            server.connection = Connection(channel: far.channel, muxer: far.muxer.make(.responder), handler: server, loop: wire.loop)
            server.connection?.start()
        }
        wire.wait("echoes") { client.closed == [stream] }
        #expect(client.received[stream] == list.flatMap { $0 })
        wire.act { client.connection?.close() }
        wire.wait("the end") { client.end != nil && server.end != nil }
        try pair.expectBalance(client, server)
    }

    /// Nothing of a connection outlives its end.
    @Test(arguments: Stack.all)
    func nothingIsLeftBehind(stack: Stack) throws {
        weak var upgrade: Upgrade?
        weak var channel: SecuredChannel?
        weak var connection: Connection?
        for isOrderly in [true, false] {
            try {
                let (client, server) = (Peer("client"), Peer("server"))
                let wire = try Wire(stack.link, seed: 8)
                let pair = try UpgradePair.connect(wire, client, server, security: stack.security, muxer: stack.muxer)
                _ = try wire.act { try client.open(sending: [[1, 2, 3]], finishing: isOrderly) }
                wire.wait("the stream") { server.receivedByteCount == 3 }
                upgrade = pair.nearUpgrade
                channel = try #require(pair.near).get().channel
                connection = client.connection
                if isOrderly {
                    wire.act { for stream in server.opened { try? server.connection?.finish(stream) } }
                    wire.wait("the stream's end") { client.closed.count == 1 }
                }
                wire.act { isOrderly ? client.connection?.close() : client.connection?.abort() }
                wire.wait("both ends") { client.end != nil && server.end != nil }
                wire.settle(turns: 50)
                client.connection = nil
                server.connection = nil
            }()
            #expect(upgrade == nil && channel == nil && connection == nil, "orderly: \(isOrderly)")
        }
    }
}
