import Bytes
import Multiformats
import Negotiation

/// Either end of a negotiation, for one who does the same with both.
///
/// Call order: ``start()``, then ``receive(_:)`` until it agrees or throws.
struct NegotiationParty {
    private enum Machine {
        case dialer(NegotiationDialer)
        case listener(NegotiationListener)
    }

    struct Step {
        let consumedBytes: Int
        let reply: Slice?
        /// Which of the protocols both speak from here on, and its ID.
        let agreed: (index: Int, id: ProtocolID)?
        /// Whether more bytes are needed to go on.
        let isIncomplete: Bool
    }

    private var machine: Machine

    init(_ dialer: NegotiationDialer) { machine = .dialer(dialer) }
    init(_ listener: NegotiationListener) { machine = .listener(listener) }

    var bytes: Traffic {
        switch machine {
        case .dialer(let dialer): Traffic(sent: dialer.sentBytes, received: dialer.receivedBytes)
        case .listener(let listener): Traffic(sent: listener.sentBytes, received: listener.receivedBytes)
        }
    }

    /// Whether data of the protocol may be sent before anything is agreed on.
    var isSettled: Bool { if case .dialer(let dialer) = machine { dialer.isSettled } else { false } }

    /// What the dialler says first.
    mutating func start() -> Slice? {
        guard case .dialer(var dialer) = machine else { return nil }
        defer { machine = .dialer(dialer) }
        return dialer.start()
    }

    mutating func receive(_ bytes: RawSpan) throws(NegotiationError) -> Step {
        switch machine {
        case .dialer(var dialer):
            defer { machine = .dialer(dialer) }
            let step = try dialer.receive(bytes)
            return Step(consumedBytes: step.consumedBytes, reply: step.reply, agreed: step.event.agreed, isIncomplete: step.event == .incomplete)
        case .listener(var listener):
            defer { machine = .listener(listener) }
            let step = try listener.receive(bytes)
            return Step(consumedBytes: step.consumedBytes, reply: step.reply, agreed: step.event.agreed, isIncomplete: step.event == .incomplete)
        }
    }

    mutating func receiveEnd() -> NegotiationError {
        switch machine {
        case .dialer(var dialer):
            defer { machine = .dialer(dialer) }
            return dialer.receiveEnd()
        case .listener(var listener):
            defer { machine = .listener(listener) }
            return listener.receiveEnd()
        }
    }
}

extension NegotiationDialer.Event {
    fileprivate var agreed: (index: Int, id: ProtocolID)? { if case .agreed(let index, let id) = self { (index, id) } else { nil } }
}

extension NegotiationListener.Event {
    fileprivate var agreed: (index: Int, id: ProtocolID)? { if case .agreed(let index, let id) = self { (index, id) } else { nil } }
}

/// One list of protocols for both roles, written out once for an event loop.
final class ProtocolChoice {
    private let proposals: ProtocolProposals
    private let table: ProtocolTable

    init(_ ids: [ProtocolID]) {
        proposals = ProtocolProposals(ids)
        table = ProtocolTable(ids.map { .exact($0) })
    }

    func dialer(_ settling: NegotiationDialer.Settling = .whenConfirmed) -> NegotiationParty {
        NegotiationParty(NegotiationDialer(proposals, settling: settling))
    }

    func listener() -> NegotiationParty { NegotiationParty(NegotiationListener(table)) }
}
