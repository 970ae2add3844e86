import Bytes
import Multiformats
import Negotiation
import TestSupport

/// Messages as they stand on the wire, put together by hand.
enum Wire {
    /// The specification's header with its length, 19, in front.
    static let header: [UInt8] = [0x13] + Array("/multistream/1.0.0\n".utf8)
    /// The specification gives these two in hexadecimal: 0x036e610a, 0x036c730a.
    static let na: [UInt8] = [0x03, 0x6E, 0x61, 0x0A]
    static let ls: [UInt8] = [0x03, 0x6C, 0x73, 0x0A]

    /// A message of up to 127 bytes.
    static func message(_ text: String) -> [UInt8] { [UInt8(text.utf8.count + 1)] + Array(text.utf8) + [0x0A] }
}

func table(_ ids: ProtocolID...) -> ProtocolTable { ProtocolTable(ids.map { .exact($0) }) }

func dialer(_ ids: ProtocolID..., settling: NegotiationDialer.Settling = .whenConfirmed) -> NegotiationEnd {
    NegotiationEnd(dialer: NegotiationDialer(ProtocolProposals(ids), settling: settling))
}

func listener(_ ids: ProtocolID...) -> NegotiationEnd {
    NegotiationEnd(listener: NegotiationListener(ProtocolTable(ids.map { .exact($0) })))
}

/// Carries bytes between two ends, `chunk` at a time, until both are silent.
func connect(_ left: NegotiationEnd, _ right: NegotiationEnd, chunk: () -> Int) {
    var carried = (left: 0, right: 0)
    func carry(_ from: NegotiationEnd, _ position: inout Int, to: NegotiationEnd) {
        let count = min(chunk(), from.sent.count - position)
        if count > 0 { to.receive(Array(from.sent[position..<position + count])) }
        position += count
    }
    while carried.left < left.sent.count || carried.right < right.sent.count {
        carry(left, &carried.left, to: right)
        carry(right, &carried.right, to: left)
    }
}
