import Bytes
public import Multiformats

/// What a dialer would like to speak, the best first. Made once and used for every stream of an event loop.
///
/// The messages are written beforehand, the header first:
///
/// ```
///  ┌────────┬────────────┬────────────┬─ ─ ─
///  │ header │ proposal 0 │ proposal 1 │
///  └────────┴────────────┴────────────┴─ ─ ─
/// ```
///
/// Invariant: there is at least one ID, and at most as many as ``NegotiationLimits/proposalsMax`` allows.
public final class ProtocolProposals {
    /// In the order they are proposed.
    public let ids: [ProtocolID]
    /// What the far end may send.
    public let limits: NegotiationLimits
    private let block: Block
    private let messages: [Range<Int>]

    /// At least one ID, and no more than the limits let one negotiation have.
    public init(_ ids: [ProtocolID], limits: NegotiationLimits = NegotiationLimits()) {
        precondition(!ids.isEmpty && ids.count <= limits.proposalsMax, "\(ids.count) proposals; there must be 1 to \(limits.proposalsMax)")
        var bytes = Message.headerBytes
        messages = ids.map { id in
            let start = bytes.count
            bytes += Message.encode(id.utf8)
            return start..<bytes.count
        }
        self.ids = ids
        self.limits = limits
        block = Block(copying: bytes.rawSpan)
    }

    /// The first flight: the header and the first proposal.
    func opening() -> Slice { Slice(block, 0..<messages[0].upperBound) }

    func proposal(_ index: Int) -> Slice { Slice(block, messages[index]) }

    func isProposal(_ index: Int, _ text: RawSpan) -> Bool {
        let proposal = ids[index].utf8
        return text.equals(proposal.rawSpan)
    }
}
