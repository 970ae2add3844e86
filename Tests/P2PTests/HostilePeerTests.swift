import Bytes
import Muxers
import P2P
import Reactor
import Testing
import TestSupport

/// A far end that breaks the rules, says nothing, or goes away.
@Suite(.timeLimit(.minutes(5))) struct HostilePeerTests {
    /// A connection on the near end; the far end is the test's own, byte by byte.
    private final class Setup {
        let wire: Wire
        let far: Endpoint
        let peer = Peer("peer")
        var bytes: [UInt8] = []

        init(_ link: Link, role: MuxerRole = .responder, muxer: any Muxer) throws {
            wire = try Wire(link)
            far = Endpoint(wire.far)
            far.onReceived = { [weak self] _, block, range in self?.bytes += block.bytes(range).array() }
            wire.act {
                wire.far.start(far)
                let connection = Connection(channel: wire.near, muxer: muxer, handler: peer, loop: wire.loop)
                peer.connection = connection
                connection.start()
            }
        }

        func send(_ bytes: [UInt8]) { wire.act { far.queue(Slice(copying: bytes)) } }
    }

    private func yamux(_ kind: UInt8, flags: UInt8 = 0, stream: UInt8 = 0, length: UInt8 = 0, version: UInt8 = 0) -> [UInt8] {
        [version, kind, 0, flags, 0, 0, 0, stream, 0, 0, 0, length]
    }

    static let violations: [(name: String, bytes: [UInt8], error: MuxerError)] = [
        ("another version", [9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], .unsupportedVersion(9)),
        ("an unknown type", [0, 77, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], .unknownFrameType(77)),
        ("text", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), .unsupportedVersion(UInt8(ascii: "G"))),
    ]

    /// What breaks the protocol ends the connection, and the far end is told why before it is closed.
    @Test(arguments: [Link.memory, .tcp, .simulated], 0..<3)
    func garbageIsAnsweredWithGoAway(link: Link, violation: Int) throws {
        let (name, bytes, error) = Self.violations[violation]
        let setup = try Setup(link, muxer: Yamux(role: .responder))
        setup.send(bytes)
        setup.wire.wait("the end") { setup.peer.end != nil }
        guard case .muxer(let found) = try #require(setup.peer.end) else { Issue.record("\(String(describing: setup.peer.end))"); return }
        #expect(found == error, "\(name)")
        #expect(found.origin == .remote)
        setup.wire.wait("the farewell") { setup.far.hasEnded || setup.far.failure != nil }
        #expect(setup.bytes.suffix(12) == yamux(3, length: 1)[...], "\(name): go-away with code 1")
        #expect(setup.peer.violations == [])
        #expect(setup.wire.act { setup.wire.near.bytesSent } == UInt64(setup.bytes.count))
    }

    /// What came before the violation is delivered.
    @Test func framesBeforeTheGarbageCount() throws {
        let setup = try Setup(.tcp, muxer: Yamux(role: .responder))
        setup.send(yamux(0, flags: 1, stream: 1, length: 3) + [7, 8, 9] + yamux(42))
        setup.wire.wait("the end") { setup.peer.end != nil }
        #expect(setup.peer.received.values.first == [7, 8, 9])
        #expect(setup.peer.violations == [])
    }

    @Test(arguments: [Link.memory, .tcp])
    func mplexGarbageEndsTheConnection(link: Link) throws {
        let setup = try Setup(link, muxer: Mplex(role: .responder))
        setup.send([UInt8](repeating: 0xff, count: 64))
        setup.wire.wait("the end") { setup.peer.end != nil && (setup.far.hasEnded || setup.far.failure != nil) }
        guard case .muxer(.malformedVarint) = try #require(setup.peer.end) else { Issue.record("\(String(describing: setup.peer.end))"); return }
    }

    /// Bytes without sense, many times: the connection ends with an error or waits for more, and nothing else happens.
    @Test(arguments: SeededGenerator.seeds(10), Framing.multiplexers)
    func randomBytesDoNoHarm(seed: UInt64, framing: Framing) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let setup = try Setup(.memory, muxer: framing.make(.responder))
            setup.peer.behaviour = .echo
            for _ in 0..<random.int(1...8) { setup.send(plausible(&random, framing)) }
            setup.wire.act { setup.far.finishWhenEmpty() }
            setup.wire.wait("the end, seed \(seed)") { setup.peer.end != nil }
            // An echo may find its stream reset by what came behind it in the same read.
            #expect(setup.peer.violations.filter { !$0.contains("echoing") && !$0.contains("finishing") } == [], "seed \(seed)")
        }
    }

    /// Frames that are nearly right reach further than noise does.
    private func plausible(_ random: inout SeededGenerator, _ framing: Framing) -> [UInt8] {
        let body = random.bytes(random.int(0...20))
        switch framing {
        case .yamux:
            return yamux(
                UInt8(random.int(0...4)), flags: UInt8(random.int(0...15)), stream: UInt8(random.int(0...9)), length: UInt8(body.count)) + body
        case .mplex, .none: return [UInt8(random.int(0...63)), UInt8(body.count)] + body
        }
    }

    /// A far end that takes everything and answers nothing is given up when its ping has been unanswered for long enough. Time is virtual.
    @Test func silenceIsNoticed() throws {
        var limits = YamuxLimits()
        limits.keepaliveNanoseconds = 5_000_000_000
        limits.pingTimeoutNanoseconds = 2_000_000_000
        let setup = try Setup(.simulated, muxer: Yamux(role: .initiator, limits: limits))
        let began = setup.wire.act { setup.wire.loop.now }
        _ = try setup.wire.act { try setup.peer.open(sending: [[1]], finishing: false) }
        setup.wire.wait("the time-out") { setup.peer.end != nil }
        guard case .muxer(.keepaliveTimeout(let after)) = try #require(setup.peer.end) else {
            Issue.record("\(String(describing: setup.peer.end))")
            return
        }
        #expect(after == 2_000_000_000)
        let elapsed = setup.wire.act { setup.wire.loop.now } - began
        #expect(elapsed >= 2_000_000_000 && elapsed < 8_000_000_000, "noticed after \(elapsed) ns")
    }

    /// A ping that is under way already, for a round trip, has its own time-out: it is not noticed only when the next keepalive is due.
    @Test func unansweredPingEndsTheConnectionInItsTime() throws {
        var limits = YamuxLimits()
        limits.keepaliveNanoseconds = 50_000_000_000
        limits.pingTimeoutNanoseconds = 1_000_000_000
        let setup = try Setup(.simulated, muxer: Yamux(role: .responder, limits: limits))
        setup.wire.settle(turns: 5)
        let began = setup.wire.act { setup.wire.loop.now }
        // Data that is consumed makes the machine measure the round trip: windows are tuned by it.
        let stream = yamux(0, flags: 1, stream: 1)
        var frame = yamux(0, stream: 1)
        frame[9] = 2
        frame += [UInt8](repeating: 5, count: 128 << 10)
        setup.send(stream + frame)
        setup.wire.wait("the time-out") { setup.peer.end != nil }
        guard case .muxer(.keepaliveTimeout) = try #require(setup.peer.end) else { Issue.record("\(String(describing: setup.peer.end))"); return }
        let elapsed = setup.wire.act { setup.wire.loop.now } - began
        #expect(elapsed < 5_000_000_000, "noticed after \(elapsed) ns")
    }

    /// A far end that answers pings and says nothing else is kept, for as long as it likes.
    @Test func quietFarEndIsKept() throws {
        var limits = YamuxLimits()
        limits.keepaliveNanoseconds = 1_000_000_000
        limits.pingTimeoutNanoseconds = 1_000_000_000
        let wire = try Wire(.simulated)
        let (client, server) = (Peer("client"), Peer("server"))
        wire.connect(client, server) { Yamux(role: $0, limits: limits) }
        _ = try wire.act { try client.open(sending: [[1]], finishing: false) }
        wire.wait("the stream") { server.receivedByteCount == 1 }
        let limit = wire.act { wire.loop.now } + 30_000_000_000
        wire.act { _ = wire.loop.schedule(at: limit) {} }
        wire.wait("half a minute") { wire.loop.now >= limit }
        #expect(client.end == nil && server.end == nil)
        let counters = try #require(client.connection).muxer.counters
        #expect(counters.sent.pingBytes + counters.received.pingBytes >= 20 * 24)
        wire.act { client.connection?.abort() }
    }
}
