import Bytes
import Multiformats
import Negotiation
import TestSupport
import Testing

@Suite struct BadInputTests {
    /// What a listener makes of bytes behind a good header.
    static let behindHeader: [([UInt8], NegotiationError)] = [
        ([0], .missingNewline), ([2, 0x2F, 0x61], .missingNewline), ([0x80, 0], .malformedLength),
        ([UInt8](repeating: 0xFF, count: 9), .malformedLength), ([0x81, 0x08], .messageTooLong(byteCount: 1025, limitBytes: 1024)),
        ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], .messageTooLong(byteCount: UInt64(Int64.max), limitBytes: 1024)),
    ]

    @Test(arguments: behindHeader) func listenersRefuse(bytes: [UInt8], error: NegotiationError) {
        for chunk in [1, 2, Int.max] {
            let end = listener("/a")
            for start in stride(from: 0, to: (Wire.header + bytes).count, by: min(chunk, 100)) {
                end.receive(Array((Wire.header + bytes).dropFirst(start).prefix(chunk)))
            }
            #expect(end.outcome == .failed(error))
            #expect(end.violations == [] && !error.description.isEmpty)
            // The same behind a refusal is the data of a dialer that did not wait.
            let other = listener("/a")
            other.receive(Wire.header + Wire.message("/x"))
            for byte in bytes { other.receive([byte]) }
            #expect(other.outcome == .failed(.refusalIgnored))
        }
    }

    @Test(arguments: [
        Wire.message("/multistream/1.0.1"), Wire.message("/multistream/1.0"), Wire.na, Wire.ls, Wire.message("/a"), Wire.message("/multistream/1.0.0 "),
        Array("GET / HTTP/1.1\r\n\r\n".utf8),
    ])
    func theHeaderComesFirst(bytes: [UInt8]) {
        for end in [listener("/a"), dialer("/a")] {
            end.receive(bytes + [UInt8](repeating: 0x0A, count: 100))
            #expect(end.outcome == .failed(.wrongHeader) || end.outcome == .failed(.missingNewline))
            #expect(end.violations == [])
        }
    }

    @Test(arguments: [Wire.message("/b"), Wire.header, Wire.ls, Wire.message("/A"), Wire.message(""), Wire.message("/a "), Wire.message("na ")])
    func dialersTakeNoOtherAnswer(bytes: [UInt8]) {
        let end = dialer("/a", "/c")
        end.receive(Wire.header + bytes)
        #expect(end.outcome == .failed(.unexpectedAnswer(to: "/a")))
    }

    @Test func theEndComesTooEarly() {
        let whole = Wire.header + Wire.message("/a")
        for cut in 0..<whole.count {
            for end in [listener("/a"), dialer("/a")] {
                end.receive(Array(whole[..<cut]))
                end.receiveEnd()
                #expect(end.outcome == .failed(.ended))
            }
        }
        let end = listener("/a")
        end.receive(Wire.header + Wire.message("/x") + [5])
        end.receiveEnd()
        #expect(end.outcome == .failed(.ended))
    }

    @Test func messagesAreLimited() throws {
        let id = try ProtocolID("/" + String(repeating: "x", count: 1022))
        let end = NegotiationEnd(listener: NegotiationListener(table(id)))
        end.receive(Wire.header + [0x80, 0x08] + id.utf8 + [0x0A])
        #expect(end.outcome == .agreed("\(id)"))
        var limits = NegotiationLimits()
        limits.messageBytesMax = 30
        let short = NegotiationEnd(listener: NegotiationListener(ProtocolTable([.exact("/a")], limits: limits)))
        short.receive(Wire.header + Wire.message("/" + String(repeating: "x", count: 28)))
        short.receive([31])
        #expect(short.log == ["refused"])
        #expect(short.outcome == .failed(.refusalIgnored))
    }

    @Test func proposalsAndListsAreLimited() {
        var limits = NegotiationLimits()
        limits.proposalsMax = 2
        limits.listRequestsMax = 1
        let small = ProtocolTable([.exact("/a")], limits: limits)
        let end = NegotiationEnd(listener: NegotiationListener(small))
        end.receive(Wire.header + Wire.message("/x") + Wire.message("/y") + Wire.message("/z"))
        #expect(end.outcome == .failed(.tooManyProposals(limit: 2)))
        #expect(end.sent == Wire.header + Wire.na + Wire.na)
        let other = NegotiationEnd(listener: NegotiationListener(small))
        other.receive(Wire.header + Wire.ls + Wire.ls)
        #expect(other.outcome == .failed(.tooManyListRequests(limit: 1)))
        // The last one that is allowed may still be answered.
        let third = NegotiationEnd(listener: NegotiationListener(small))
        third.receive(Wire.header + Wire.message("/x") + Wire.ls + Wire.message("/y") + Wire.message("/a"))
        #expect(third.outcome == .agreed("/a"))
    }

    /// More protocols than fit into a list are spoken all the same; the list is refused.
    @Test func listsAreLimited() {
        var limits = NegotiationLimits()
        for (limit, answer) in [(9, [9] + Wire.message("/a") + Wire.message("/b") + [0x0A]), (8, Wire.na)] {
            limits.listBytesMax = limit
            let end = NegotiationEnd(listener: NegotiationListener(ProtocolTable([.exact("/a"), .exact("/b")], limits: limits)))
            end.receive(Wire.header + Wire.ls + Wire.message("/b"))
            #expect(end.sent == Wire.header + answer + Wire.message("/b") && end.log == ["listed", "agreed 1 /b"])
        }
    }

    @Test func mistakesTrap() async {
        await #expect(processExitsWith: .failure) { _ = ProtocolProposals([]) }
        await #expect(processExitsWith: .failure) { _ = ProtocolProposals([ProtocolID](repeating: "/a", count: 65)) }
        await #expect(processExitsWith: .failure) { _ = NegotiationDialer(ProtocolProposals(["/a", "/b"]), settling: .atOnce) }
        await #expect(processExitsWith: .failure) {
            var machine = NegotiationDialer(ProtocolProposals(["/a"]))
            let bytes = Wire.header
            _ = try machine.receive(bytes.rawSpan)
        }
        await #expect(processExitsWith: .failure) {
            var machine = NegotiationListener(table("/a"))
            let bytes = Wire.header + Wire.message("/a")
            _ = try machine.receive(bytes.rawSpan)
            _ = try machine.receive(bytes.rawSpan)
        }
    }

    /// Conversations in which bytes are changed, lost, doubled or cut: nothing traps, nothing hangs, and what is agreed on is one of the dialer's.
    @Test(arguments: SeededGenerator.seeds(6)) func anythingMayArrive(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let dialing = dialer("/a/1", "/b/1")
            let listening = listener("/b/1", "/c/1")
            var positions = (dialer: 0, listener: 0)
            for _ in 0..<40 {
                for isDialers in [true, false] {
                    let (from, to) = isDialers ? (dialing, listening) : (listening, dialing)
                    let position = isDialers ? positions.dialer : positions.listener
                    var bytes = Array(from.sent.dropFirst(position).prefix(random.int(1...30)))
                    if isDialers { positions.dialer += bytes.count } else { positions.listener += bytes.count }
                    if !bytes.isEmpty && random.oneIn(8) {
                        let at = random.int(0...bytes.count - 1)
                        switch random.int(0...3) {
                        case 0: bytes[at] ^= UInt8(random.int(1...255))
                        case 1: bytes.remove(at: at)
                        case 2: bytes.insert(bytes[at], at: at)
                        default: bytes = random.bytes(random.int(1...40))
                        }
                    }
                    to.receive(bytes)
                }
            }
            dialing.receiveEnd()
            listening.receiveEnd()
            #expect(dialing.violations + listening.violations == [], "seed \(seed)")
            for end in [dialing, listening] {
                switch end.outcome {
                case .agreed(let id): #expect(["/a/1", "/b/1", "/c/1"].contains(id), "seed \(seed)")
                case .failed: break
                case nil: Issue.record("seed \(seed): an end came to no end")
                }
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func noise(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            for end in [listener("/a"), dialer("/a")] {
                if random.oneIn(2) { end.receive(Wire.header) }
                for _ in 0..<10 { end.receive(random.bytes(random.size(upTo: 50))) }
                end.receiveEnd()
                #expect(end.violations == [], "seed \(seed)")
                #expect(end.outcome != nil, "seed \(seed)")
            }
        }
    }
}
