public import Bytes
public import Multiformats

/// The end of a negotiation that proposes: multistream-select as a machine that knows no socket and no clock.
///
/// ```
///           start            header                      the same
///   unsent ───────▶ awaiting ───────▶ awaiting answer ─────────────▶ agreed
///                    header            ▲           │
///                                      └───────────┘ na, and another proposal is left
///
///   anything else, na to the last proposal, the end of the stream: failed
/// ```
///
/// Call order: ``start()`` gives the first flight, which needs no answer to go out; then ``receive(_:)`` with what arrives, again and again until a step
/// agrees, consumes nothing more, or it throws. Send each step's reply at once. After agreement or a throw the machine is done,
/// and calling it is a mistake.
///
/// A dialer that settles ``Settling/atOnce`` on its one proposal may send data right behind the first flight, without waiting; whether the far end
/// speaks the protocol is found out when the answer arrives, and what was sent is lost if not (rust-libp2p calls it `V1Lazy`; go-libp2p does it on streams
/// whose protocol it knows to be spoken).
///
/// Invariant: `sentBytes` and `receivedBytes` are exactly the bytes of the negotiation so far; nothing behind the answer that agrees is consumed.
public struct NegotiationDialer {
    /// When data of the protocol may be sent.
    public enum Settling: Sendable {
        /// When the far end has said that it speaks it.
        case whenConfirmed
        /// Behind the first flight. There must be one proposal only.
        case atOnce
    }

    /// What came of one step.
    public enum Event: Equatable, Sendable {
        /// More bytes are needed.
        case incomplete
        /// The far end does not speak this one; the reply proposes the next.
        case refused(ProtocolID)
        /// Both ends speak proposal `index`, `id`, from here on.
        case agreed(index: Int, id: ProtocolID)
    }

    private enum State {
        case unsent, awaitingHeader, awaitingAnswer, agreed, failed
    }

    private let proposals: ProtocolProposals
    private let settling: Settling
    private var state = State.unsent
    /// Which proposal is to be answered, or made next.
    private var index = 0
    private var assembler = MessageAssembler()
    /// Bytes of this end's messages so far.
    public private(set) var sentBytes: UInt64 = 0
    /// Bytes of the far end's messages; those of one that is not whole yet count as they arrive. What came with a broken message counts in full.
    public private(set) var receivedBytes: UInt64 = 0

    /// One that settles at once must have a single proposal.
    public init(_ proposals: ProtocolProposals, settling: Settling = .whenConfirmed) {
        precondition(settling == .whenConfirmed || proposals.ids.count == 1, "one can settle at once on one proposal only")
        self.proposals = proposals
        self.settling = settling
    }

    /// The first flight.
    public mutating func start() -> Slice {
        precondition(state == .unsent, "the first flight goes once")
        state = .awaitingHeader
        return send(proposals.opening())
    }

    /// Whether data of the protocol may be sent.
    public var isSettled: Bool { state == .agreed || (settling == .atOnce && state != .unsent && state != .failed) }

    /// Takes what arrived, up to one message that means something to the owner.
    public mutating func receive(_ bytes: RawSpan) throws(NegotiationError) -> NegotiationStep<Event> {
        precondition(isWaiting, "nothing was asked, or the negotiation is over")
        var offset = 0
        do throws(NegotiationError) {
            while let found = try assembler.next(bytes, &offset, byteCountMax: proposals.limits.messageBytesMax) {
                let event =
                    switch found {
                    case .inPlace(let text): try accept(bytes.extracting(text))
                    case .whole(let message, let text): try accept(message.rawSpan.extracting(text))
                    }
                guard let event else { continue }
                receivedBytes &+= UInt64(offset)
                var reply: Slice?
                if case .refused = event { reply = send(proposals.proposal(index)) }
                return NegotiationStep(consumedBytes: offset, reply: reply, event: event)
            }
        } catch {
            state = .failed
            receivedBytes &+= UInt64(bytes.byteCount)
            throw error
        }
        receivedBytes &+= UInt64(offset)
        return NegotiationStep(consumedBytes: offset, reply: nil, event: .incomplete)
    }

    /// The far end will send nothing more, and nothing was agreed on.
    public mutating func receiveEnd() -> NegotiationError {
        precondition(isWaiting, "nothing was asked, or the negotiation is over")
        state = .failed
        return .ended
    }

    private var isWaiting: Bool { state == .awaitingHeader || state == .awaitingAnswer }

    /// What one message means; nil for the header.
    @inline(__always)
    private mutating func accept(_ text: RawSpan) throws(NegotiationError) -> Event? {
        guard state == .awaitingHeader else { return try acceptAnswer(text) }
        guard Message.isHeader(text) else { throw .wrongHeader }
        state = .awaitingAnswer
        return nil
    }

    private mutating func acceptAnswer(_ text: RawSpan) throws(NegotiationError) -> Event {
        let id = proposals.ids[index]
        if proposals.isProposal(index, text) {
            state = .agreed
            return .agreed(index: index, id: id)
        }
        guard Message.isNotAvailable(text) else { throw .unexpectedAnswer(to: id) }
        index += 1
        guard index < proposals.ids.count else { throw .noProtocolInCommon(proposals.ids) }
        return .refused(id)
    }

    private mutating func send(_ flight: Slice) -> Slice {
        sentBytes &+= UInt64(flight.count)
        return flight
    }
}
