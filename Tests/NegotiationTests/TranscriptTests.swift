import Bytes
import Multiformats
import Negotiation
import TestSupport
import Testing

/// Byte for byte what multiformats/multistream-select and the libp2p specification say, wherever reads cut it.
@Suite struct TranscriptTests {
    /// Runs `body` with the ways in which `count` bytes can arrive: whole, byte by byte, and cut once at every place.
    static func everySplit(of bytes: [UInt8], _ body: ([[UInt8]]) -> Void) {
        body([bytes])
        body(bytes.map { [$0] })
        for cut in 0...bytes.count { body([Array(bytes[..<cut]), Array(bytes[cut...])]) }
    }

    @Test func listenerConfirms() {
        let rest = Array("data".utf8)
        Self.everySplit(of: Wire.header + Wire.message("/echo/1.0.0") + rest) { reads in
            let end = listener("/ping/1.0.0", "/echo/1.0.0")
            for read in reads { end.receive(read) }
            #expect(end.sent == Wire.header + Wire.message("/echo/1.0.0"))
            #expect(end.log == ["agreed 1 /echo/1.0.0"])
            #expect(end.data == rest)
            #expect(end.violations == [])
            #expect(end.counters == (33, 33))
        }
    }

    @Test func listenerRefusesListsAndConfirms() {
        // Data may look like anything, such as another proposal.
        let rest = Wire.message("/b")
        Self.everySplit(of: Wire.header + Wire.message("/x") + Wire.ls + Wire.message("no slash") + Wire.message("/a") + rest) { reads in
            let end = listener("/a", "/b")
            for read in reads { end.receive(read) }
            let list: [UInt8] = [9] + Wire.message("/a") + Wire.message("/b") + [0x0A]
            #expect(end.sent == Wire.header + Wire.na + list + Wire.na + Wire.message("/a"))
            #expect(end.log == ["refused", "listed", "refused", "agreed 0 /a"])
            #expect(end.data == rest)
            #expect(end.violations == [])
        }
    }

    /// A dialer may wait for the header before it proposes anything.
    @Test func aHeaderAloneIsAnswered() {
        let end = listener("/a")
        end.receive(Array(Wire.header.dropLast()))
        #expect(end.sent == [])
        end.receive([0x0A])
        #expect(end.sent == Wire.header)
        end.receive(Wire.message("/a"))
        #expect(end.sent == Wire.header + Wire.message("/a"))
        #expect(end.log == ["agreed 0 /a"])
    }

    @Test func oneAnswerInOneRead() throws {
        var machine = NegotiationListener(table("/a", "/b"))
        let bytes = Wire.header + Wire.message("/b") + [1, 2, 3]
        let step = try machine.receive(bytes.rawSpan)
        #expect(step.consumedBytes == bytes.count - 3)
        #expect(step.reply?.bytes.array() == Wire.header + Wire.message("/b"))
        #expect(step.event == .agreed(index: 1, id: "/b"))
    }

    @Test func dialerProposes() {
        let rest = Wire.message("/a")
        Self.everySplit(of: Wire.header + Wire.na + Wire.message("/b") + rest) { reads in
            let end = dialer("/a", "/b")
            #expect(end.sent == Wire.header + Wire.message("/a"))
            for read in reads { end.receive(read) }
            #expect(end.sent == Wire.header + Wire.message("/a") + Wire.message("/b"))
            #expect(end.log == ["refused /a", "agreed 1 /b"])
            #expect(end.data == rest)
            #expect(end.violations == [])
            #expect(end.counters == (28, 28))
        }
    }

    @Test func aListMayBeEmpty() {
        let end = listener()
        end.receive(Wire.header + Wire.ls)
        #expect(end.sent == Wire.header + [1, 0x0A])
    }

    @Test func settlingAtOnce() {
        let end = dialer("/a", settling: .atOnce)
        #expect(end.isSettled && end.outcome == nil)
        end.send([7, 7])
        #expect(end.sent == Wire.header + Wire.message("/a") + [7, 7])
        end.receive(Wire.header + Wire.message("/a") + [8])
        #expect(end.outcome == .agreed("/a"))
        #expect(end.data == [8])
        #expect(end.counters == (24, 24))
    }

    @Test func settlingAtOnceMayTurnOutWrong() {
        let end = dialer("/a", settling: .atOnce)
        end.receive(Wire.header + Wire.na)
        #expect(end.outcome == .failed(.noProtocolInCommon(["/a"])))
        #expect(!end.isSettled)
    }

    @Test func predicatesTakeTheirTurn() {
        let entries: [ProtocolTable.Entry] = [
            .matching(listed: "/v/1", { $0.description.hasPrefix("/v/") }), .exact("/v/2"), .exact("/w"), .matching(listed: "/any", { _ in true }),
        ]
        for (proposal, index) in [("/v/2", 0), ("/v/9", 0), ("/w", 2), ("/w2", 3)] {
            let end = NegotiationEnd(listener: NegotiationListener(ProtocolTable(entries)))
            end.receive(Wire.header + Wire.message(proposal))
            #expect(end.log == ["agreed \(index) \(proposal)"])
            #expect(end.sent == Wire.header + Wire.message(proposal))
        }
        let end = NegotiationEnd(listener: NegotiationListener(ProtocolTable(entries)))
        end.receive(Wire.header)
        // What is no ID is nobody's, whatever predicates say.
        end.receive(Wire.message("w") + Wire.message(""))
        end.receive([4, 0x2F, 0xC3, 0x28, 0x0A])
        end.receive(Wire.message("/v/3"))
        #expect(end.log == ["refused", "refused", "refused", "agreed 0 /v/3"])
        #expect(end.sent == Wire.header + Wire.na + Wire.na + Wire.na + Wire.message("/v/3"))
    }
}
