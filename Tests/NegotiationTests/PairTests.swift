import Bytes
import Multiformats
import Negotiation
import TestSupport
import Testing

/// Both machines against each other.
@Suite struct PairTests {
    static let toListener = Array("request of the dialer".utf8)
    static let toDialer = Array("answer of the listener".utf8)

    /// Runs a negotiation that succeeds, with data behind it in both directions.
    static func run(
        _ dialer: NegotiationEnd, _ listener: NegotiationEnd, agreeing id: String, chunk: () -> Int, _ comment: Comment = ""
    ) {
        connect(dialer, listener, chunk: chunk)
        #expect(dialer.outcome == .agreed(id), comment)
        #expect(listener.outcome == .agreed(id), comment)
        let negotiated = (dialer.sent.count, listener.sent.count)
        dialer.send(toListener)
        listener.send(toDialer)
        listener.receive(toListener)
        dialer.receive(toDialer)
        #expect(listener.data == toListener && dialer.data == toDialer, comment)
        #expect(dialer.counters == (UInt64(negotiated.0), UInt64(negotiated.1)), comment)
        #expect(listener.counters == (UInt64(negotiated.1), UInt64(negotiated.0)), comment)
        #expect(dialer.violations + listener.violations == [], comment)
    }

    @Test(arguments: Array(1...60) + [Int.max]) func everyChunk(byteCount: Int) {
        Self.run(dialer("/a/1", "/b/1", "/c/1"), listener("/c/1", "/b/1"), agreeing: "/b/1") { byteCount }
    }

    /// Header, proposal and data in one flight, cut at every place.
    @Test func everyCutOfALazyFlight() {
        let count = dialer("/a").sent.count + Self.toListener.count
        for cut in 0...count {
            let dialing = dialer("/a", settling: .atOnce)
            dialing.send(Self.toListener)
            let listening = listener("/b", "/a")
            listening.receive(Array(dialing.sent[..<cut]))
            listening.receive(Array(dialing.sent[cut...]))
            #expect(listening.outcome == .agreed("/a"))
            #expect(listening.data == Self.toListener)
            listening.send(Self.toDialer)
            for byte in listening.sent { dialing.receive([byte]) }
            #expect(dialing.outcome == .agreed("/a"))
            #expect(dialing.data == Self.toDialer)
            #expect(dialing.violations + listening.violations == [])
        }
    }

    @Test func nothingInCommon() {
        let dialing = dialer("/a", "/b")
        let listening = listener("/c")
        connect(dialing, listening) { .max }
        #expect(dialing.outcome == .failed(.noProtocolInCommon(["/a", "/b"])))
        #expect(dialing.log == ["refused /a"])
        #expect(listening.outcome == nil)
        listening.receiveEnd()
        #expect(listening.outcome == .failed(.refusalIgnored))
        #expect(listening.sent == Wire.header + Wire.na + Wire.na)
    }

    /// Random protocols on both sides, random reads: they agree on the dialer's first that the listener has.
    @Test(arguments: SeededGenerator.seeds(6)) func theFirstInCommonIsAgreedOn(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<80 {
            let ids = try (0..<12).map { try ProtocolID("/" + String(repeating: "p", count: random.oneIn(5) ? random.int(100...900) : 4) + "/\($0)") }
            let proposed = Array(ids.shuffled(using: &random).prefix(random.int(1...6)))
            let spoken = Array(ids.shuffled(using: &random).prefix(random.int(0...6)))
            let dialing = NegotiationEnd(dialer: NegotiationDialer(ProtocolProposals(proposed)))
            let listening = NegotiationEnd(listener: NegotiationListener(ProtocolTable(spoken.map { .exact($0) })))
            let width = random.size(upTo: 2000) + 1
            guard let common = proposed.first(where: spoken.contains) else {
                connect(dialing, listening) { random.int(1...width) }
                #expect(dialing.outcome == .failed(.noProtocolInCommon(proposed)), "seed \(seed)")
                continue
            }
            Self.run(dialing, listening, agreeing: "\(common)", chunk: { random.int(1...width) }, "seed \(seed)")
        }
    }
}
