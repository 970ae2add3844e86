import Multiformats
import Negotiation
import TestSupport

/// Negotiation against a far end that sends anything at all, and two machines against each other. ``NegotiationEnd`` checks what is consumed and counted.
enum NegotiationDriver {
    private static let table = ProtocolTable([.exact("/a/1"), .matching(listed: "/m", { $0.utf8.count % 2 == 0 }), .exact("/b/1")])
    private static let proposals = ProtocolProposals(["/x/1", "/b/1", "/a/1"])

    static func listener(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let end = NegotiationEnd(listener: NegotiationListener(table))
        feed(end, &input)
        check(end)
        require(end.sent.count <= 20 + 64 * 4 + 4 * 20 + 1025, "\(end.sent.count) bytes of answers")
    }

    static func dialer(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let end = NegotiationEnd(dialer: NegotiationDialer(proposals))
        feed(end, &input)
        check(end)
        if case .agreed(let id) = end.outcome { require(["/x/1", "/b/1", "/a/1"].contains(id), "\(id) was never proposed") }
    }

    /// However the bytes of two honest ends are cut, they agree, and what is behind arrives.
    static func pair(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let dialer = NegotiationEnd(dialer: NegotiationDialer(proposals))
        let listener = NegotiationEnd(listener: NegotiationListener(table))
        var carried = (dialer: 0, listener: 0)
        while carried.dialer < dialer.sent.count || carried.listener < listener.sent.count {
            let toListener = dialer.sent.dropFirst(carried.dialer).prefix(Int(input.byte()) + 1)
            carried.dialer += toListener.count
            listener.receive(Array(toListener))
            let toDialer = listener.sent.dropFirst(carried.listener).prefix(Int(input.byte()) + 1)
            carried.listener += toDialer.count
            dialer.receive(Array(toDialer))
        }
        check(dialer)
        check(listener)
        // Its first proposal has an even number of bytes, which the predicate takes.
        require(dialer.outcome == .agreed("/x/1") && listener.outcome == dialer.outcome, "the two do not agree")
    }

    private static func feed(_ end: NegotiationEnd, _ input: inout Input) {
        let header = Array("\u{13}/multistream/1.0.0\n".utf8)
        if input.byte() & 1 == 1 { end.receive(header) }
        while !input.isEmpty {
            end.receive(input.bytes(Int(input.byte() % 32) + 1))
            check(end)
        }
        end.receiveEnd()
        require(end.outcome != nil, "the negotiation comes to no end")
    }

    private static func check(_ end: NegotiationEnd) {
        require(end.violations.isEmpty, end.violations.joined(separator: "; "))
    }
}
