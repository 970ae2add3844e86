import Bytes
public import Multiformats

/// The end of a negotiation that answers proposals: multistream-select as a machine that knows no socket and no clock.
///
/// ```
///                    header                              known proposal
///   awaiting header ────────▶ awaiting proposal ─────────────────────────▶ agreed
///                              ▲             │
///                              └─────────────┘ unknown proposal, ls
///
///   anything else, a limit, the end of the stream: failed
/// ```
///
/// Call order: ``receive(_:)`` with what arrives, again and again until a step agrees, consumes nothing more, or it throws. Send each
/// step's reply at once. A dialer may send header, proposal and data in one flight: the step that agrees leaves the data
/// unconsumed. After agreement or a throw the machine is done, and calling it is a mistake.
///
/// The header goes ahead of the first reply, or alone as soon as the dialer's header has arrived and nothing behind it: some dialers
/// wait for it before they propose.
///
/// A dialer that settles on its protocol before it is confirmed has sent data already when it is refused. Should that data look like a proposal, it is
/// taken for one; the protocol leaves no way to tell.
///
/// Invariant: `sentBytes` and `receivedBytes` are exactly the bytes of the negotiation so far; nothing behind an agreed proposal is consumed.
public struct NegotiationListener {
    /// What came of one step.
    public enum Event: Equatable, Sendable {
        /// More bytes are needed.
        case incomplete
        /// A proposal was refused with `na`.
        case refused
        /// The list of protocols was asked for and sent.
        case listed
        /// Entry `index` of the table speaks `id` from here on.
        case agreed(index: Int, id: ProtocolID)
    }

    private enum State {
        case awaitingHeader, awaitingProposal, agreed, failed
    }

    private let table: ProtocolTable
    private var state = State.awaitingHeader
    private var header = ProtocolTable.Header.withHeader
    private var refusals: UInt32 = 0
    private var listRequests: UInt32 = 0
    private var assembler = MessageAssembler()
    /// Bytes of this end's messages: those of all replies so far.
    public private(set) var sentBytes: UInt64 = 0
    /// Bytes of the far end's messages; those of one that is not whole yet count as they arrive. What came with a broken message counts in full.
    public private(set) var receivedBytes: UInt64 = 0

    /// Answers by `table`, which other listeners may share.
    public init(_ table: ProtocolTable) { self.table = table }

    /// Takes what arrived, up to one message that has an answer.
    public mutating func receive(_ bytes: RawSpan) throws(NegotiationError) -> NegotiationStep<Event> {
        precondition(state == .awaitingHeader || state == .awaitingProposal, "the negotiation is over")
        var offset = 0
        do throws(NegotiationError) {
            while let found = try assembler.next(bytes, &offset, byteCountMax: table.limits.messageBytesMax) {
                let answer =
                    switch found {
                    case .inPlace(let text): try accept(bytes.extracting(text))
                    case .whole(let message, let text): try accept(message.rawSpan.extracting(text))
                    }
                guard let answer else { continue }
                receivedBytes &+= UInt64(offset)
                return NegotiationStep(consumedBytes: offset, reply: send(answer.reply), event: answer.event)
            }
        } catch {
            state = .failed
            receivedBytes &+= UInt64(bytes.byteCount)
            // What follows a refusal and is no proposal is the data of a dialer that had settled on its protocol.
            throw refusals > 0 && error.isMalformed ? .refusalIgnored : error
        }
        receivedBytes &+= UInt64(offset)
        let greets = state == .awaitingProposal && header == .withHeader
        return NegotiationStep(consumedBytes: offset, reply: greets ? send(table.headerAlone()) : nil, event: .incomplete)
    }

    /// The far end will send nothing more, and nothing was agreed on.
    public mutating func receiveEnd() -> NegotiationError {
        precondition(state == .awaitingHeader || state == .awaitingProposal, "the negotiation is over")
        state = .failed
        return refusals > 0 && !assembler.isInsideMessage ? .refusalIgnored : .ended
    }

    /// The answer to one message; nil for the header, whose answer may go with the next one's.
    @inline(__always)
    private mutating func accept(_ text: RawSpan) throws(NegotiationError) -> (reply: Slice, event: Event)? {
        if state == .awaitingHeader {
            guard Message.isHeader(text) else { throw .wrongHeader }
            state = .awaitingProposal
            return nil
        }
        if let (index, id) = table.match(text) {
            state = .agreed
            return (table.confirmation(of: id, by: index, header), .agreed(index: index, id: id))
        }
        if Message.isList(text) {
            guard listRequests < table.limits.listRequestsMax else { throw .tooManyListRequests(limit: table.limits.listRequestsMax) }
            listRequests += 1
            return (table.list(header), .listed)
        }
        guard refusals < table.limits.proposalsMax else { throw .tooManyProposals(limit: table.limits.proposalsMax) }
        refusals += 1
        return (table.notAvailable(header), .refused)
    }

    private mutating func send(_ reply: Slice) -> Slice {
        header = .alreadySent
        sentBytes &+= UInt64(reply.count)
        return reply
    }
}

extension NegotiationError {
    /// Whether the bytes were no message at all.
    fileprivate var isMalformed: Bool {
        switch self {
        case .malformedLength, .messageTooLong, .missingNewline: true
        default: false
        }
    }
}
