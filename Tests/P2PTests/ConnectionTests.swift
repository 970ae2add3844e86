import Bytes
import Kernel
import Muxers
import P2P
import Reactor
import Testing
import TestSupport

/// A connection over every link and with every muxer: bytes, half-close, and how it ends.
@Suite(.timeLimit(.minutes(5))) struct ConnectionTests {
    static let combinations = Link.allCases.flatMap { link in Framing.allCases.map { (link, $0) } }

    @Test(arguments: combinations)
    func echoesComeBack(link: Link, framing: Framing) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .echo
        wire.connect(client, server, framing)
        var sent: [StreamHandle: [UInt8]] = [:]
        let streams = framing.hasManyStreams ? 20 : 1
        try wire.act {
            for number in 0..<streams {
                let list = messages(10, upTo: 30_000, seed: UInt64(number))
                sent[try client.open(sending: list)] = list.flatMap { $0 }
            }
        }
        wire.wait("echoes") { client.closed.count == streams && server.closed.count == streams }
        #expect(client.received == sent)
        #expect(server.opened.count == streams && server.finished.count == streams && client.finished.count == streams)
        wire.act { client.connection?.close() }
        wire.wait("the end") { client.end != nil && server.end != nil }
        #expect(client.end?.isOrderly == true && server.end?.isOrderly == true)
        #expect(client.violations == [] && server.violations == [])
        try expectAccounts(client, server)
    }

    /// Every byte that a channel carried is in a muxer's account, and what one end sent the other received.
    private func expectAccounts(_ client: Peer, _ server: Peer, location: SourceLocation = #_sourceLocation) throws {
        let (near, far) = (try #require(client.connection), try #require(server.connection))
        for connection in [near, far] {
            let counters = connection.muxer.counters
            #expect(connection.channel.bytesSent == counters.sent.totalBytes + connection.negotiationBytes.sent, sourceLocation: location)
            #expect(
                connection.channel.bytesReceived == counters.received.totalBytes + connection.negotiationBytes.received,
                sourceLocation: location)
        }
        #expect(near.channel.bytesSent == far.channel.bytesReceived, sourceLocation: location)
        #expect(far.channel.bytesSent == near.channel.bytesReceived, sourceLocation: location)
    }

    /// The far end goes on sending after ours has finished.
    @Test(arguments: combinations)
    func halfCloseLeavesTheOtherHalf(link: Link, framing: Framing) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        let answer = messages(40, upTo: 60_000, seed: 7)
        wire.connect(client, server, framing)
        server.onFinished = { stream in
            guard let connection = server.connection else { return }
            for message in answer { _ = try? connection.send(Slice(copying: message), on: stream) }
            try? connection.finish(stream)
        }
        let stream = try wire.act { try client.open(sending: [[1, 2, 3]]) }
        wire.wait("the answer") { client.closed == [stream] && server.closed.count == 1 }
        #expect(server.received.values.first == [1, 2, 3])
        #expect(client.received[stream] == answer.flatMap { $0 })
        #expect(client.violations == [] && server.violations == [])
    }

    /// What is queued when a side closes still arrives; then both hear of an orderly end, once.
    @Test(arguments: combinations)
    func closingSendsWhatIsQueued(link: Link, framing: Framing) throws {
        for closer in [MuxerRole.initiator, .responder] {
            let wire = try Wire(link)
            let (client, server) = (Peer("client"), Peer("server"))
            server.behaviour = .echo
            wire.connect(client, server, framing)
            let list = messages(30, upTo: 50_000, seed: 3)
            let stream = try wire.act { try client.open(sending: list) }
            wire.wait("the stream's end") { client.closed == [stream] && !server.closed.isEmpty }
            wire.act { closer == .initiator ? client.connection?.close() : server.connection?.close() }
            wire.wait("both ends") { client.end != nil && server.end != nil }
            #expect(client.received[stream] == list.flatMap { $0 })
            #expect(client.end?.isOrderly == true && server.end?.isOrderly == true, "\(closer) closed")
            #expect(client.violations == [] && server.violations == [])
            wire.settle(turns: 20)
            #expect(wire.act { wire.loop.channelCount } == 0)
            try expectAccounts(client, server)
        }
    }

    /// Of a read that brings many messages the first answers leave before the last messages are looked at, so that both ends work at once.
    @Test(arguments: Framing.multiplexers)
    func firstAnswersLeaveEarly(framing: Framing) throws {
        let wire = try Wire(.memory)
        let (client, server) = (Peer("client"), Peer("server"))
        server.behaviour = .echo
        wire.connect(client, server, framing)
        let list = messages(2000, upTo: 20, seed: 11)
        let stream = try wire.act { try client.open(sending: list) }
        var leftEarly = false
        server.onReceived = { _, _, _ in
            if let writes = server.connection?.writes, writes > 1, server.batches == 0 { leftEarly = true }
        }
        wire.wait("echoes") { client.closed == [stream] }
        #expect(leftEarly, "\(server.connection?.writes ?? 0) writes in \(server.batches) reads")
        #expect(client.received[stream] == list.flatMap { $0 })
        #expect(client.violations == [] && server.violations == [])
    }

    /// The prefix goes ahead of everything and is no part of the muxer's accounts.
    @Test(arguments: Link.allCases)
    func prefixGoesFirst(link: Link) throws {
        let wire = try Wire(link)
        let far = Endpoint(wire.far)
        var bytes: [UInt8] = []
        far.onReceived = { _, block, range in bytes += block.bytes(range).array() }
        let client = Peer("client")
        let prefix = Array("greetings to you".utf8)
        try wire.act {
            wire.far.start(far)
            let connection = Connection(
                channel: wire.near, muxer: Framing.yamux.make(.initiator), handler: client, loop: wire.loop, prefix: prefix)
            client.connection = connection
            connection.start()
            _ = try client.open(sending: [[9]], finishing: false)
        }
        wire.wait("the first frame") { bytes.count >= prefix.count + 13 }
        #expect(bytes.starts(with: prefix))
        #expect(bytes.dropFirst(prefix.count).first == 0, "yamux version")
        let connection = try #require(client.connection)
        #expect(connection.negotiationBytes == (16, 0))
        #expect(connection.channel.bytesSent == connection.muxer.counters.sent.totalBytes + 16)
        wire.act { connection.abort() }
    }

    @Test(arguments: combinations)
    func abortEndsBothSides(link: Link, framing: Framing) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, framing)
        _ = try wire.act { try client.open(sending: [[1]], finishing: false) }
        wire.wait("the stream") { server.receivedByteCount == 1 }
        wire.act { client.connection?.abort() }
        wire.wait("the server's end") { server.end != nil || !server.finished.isEmpty }
        guard case .aborted = try #require(client.end) else { Issue.record("\(String(describing: client.end))"); return }
        if framing.hasManyStreams {
            switch try #require(server.end) {
            case .remoteClosed(let streams): #expect(streams == 1)
            case .channel(.reset): break
            default: Issue.record("\(String(describing: server.end))")
            }
        }
        #expect(client.violations == [] && server.violations == [])
    }

    /// A reset is an end in order when no stream was open, and else the far end's closing too early.
    @Test(arguments: Framing.multiplexers, [Link.tcp, .simulated])
    func resetsCountOpenStreams(framing: Framing, link: Link) throws {
        for openStreams in 0...2 {
            var options = SocketOptions()
            options.lingerSeconds = 0
            let wire = try Wire(link, options: options)
            let (client, server) = (Peer("client"), Peer("server"))
            server.behaviour = .echo
            wire.connect(client, server, framing)
            _ = try wire.act { try client.open(sending: [[1]]) }
            wire.wait("the echo") { server.closed.count == 1 && client.closed.count == 1 }
            try wire.act { for _ in 0..<openStreams { _ = try client.open(sending: [[1]], finishing: false) } }
            wire.wait("the open streams") { server.receivedByteCount == 1 + openStreams }
            wire.act { client.connection?.abort() }
            wire.wait("the server's end") { server.end != nil }
            switch try #require(server.end) {
            case .orderly: #expect(openStreams == 0)
            case .remoteClosed(openStreams: let count): #expect(count == openStreams && count > 0)
            case let other: Issue.record("\(other)")
            }
            #expect(client.violations == [] && server.violations == [])
        }
    }

    /// So is the end of a TLS connection without a farewell.
    @Test func missingFarewellsCountOpenStreams() throws {
        for openStreams in 0...1 {
            let wire = try Wire(.simulated)
            let (client, server) = (Peer("client"), Peer("server"))
            _ = try UpgradePair.connect(wire, client, server, security: .tls, muxer: .yamux)
            _ = try wire.act { for _ in 0..<openStreams { _ = try client.open(sending: [[1]], finishing: false) } }
            wire.wait("the open streams") { server.receivedByteCount == openStreams }
            wire.act { wire.near.finishSending() }
            wire.wait("the server's end") { server.end != nil }
            switch try #require(server.end) {
            case .orderly: #expect(openStreams == 0)
            case .remoteClosed(openStreams: 1): #expect(openStreams == 1)
            case let other: Issue.record("\(other)")
            }
            wire.act { client.connection?.abort() }
        }
    }

    /// The far end stops sending while streams are open: they are reset, and the reason counts them.
    @Test(arguments: Framing.multiplexers, [Link.memory, .tcp, .simulated])
    func endWithOpenStreamsIsNoOrderlyEnd(framing: Framing, link: Link) throws {
        let wire = try Wire(link)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, framing)
        try wire.act { for _ in 0..<3 { _ = try client.open(sending: [[1]], finishing: false) } }
        wire.wait("the streams") { server.receivedByteCount == 3 }
        wire.act { wire.near.finishSending() }
        wire.wait("the server's end") { server.end != nil }
        guard case .remoteClosed(openStreams: 3) = try #require(server.end) else { Issue.record("\(String(describing: server.end))"); return }
        #expect(server.resets.count == 3)
        #expect("\(ConnectionEnd.remoteClosed(openStreams: 3))".contains("3 streams"))
        wire.wait("the client's end") { client.end != nil }
        #expect(client.violations == [] && server.violations == [])
    }

    /// A handler may give up the connection from inside any call; it hears of the end once and of nothing else.
    @Test(arguments: Framing.multiplexers, ["opened", "received", "finished"])
    func handlersMayAbort(framing: Framing, during call: String) throws {
        let wire = try Wire(.memory)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server, framing)
        switch call {
        case "opened": server.onOpened = { _ in server.connection?.abort() }
        case "received": server.onReceived = { _, _, _ in server.connection?.abort() }
        default: server.onFinished = { _ in server.connection?.abort() }
        }
        try wire.act { for _ in 0..<5 { _ = try client.open(sending: [[1], [2]]) } }
        wire.wait("both ends") { client.end != nil && server.end != nil }
        #expect(server.violations == [])
        guard case .aborted = try #require(server.end) else { Issue.record("\(String(describing: server.end))"); return }
    }
}
