import Bytes
import Multiformats
public import Negotiation

/// Either end of a negotiation, as an owner drives it: it hands in what arrives, keeps what is to be sent, and checks the machine's promises.
public final class NegotiationEnd {
    public enum Outcome: Equatable, Sendable {
        case agreed(String)
        case failed(NegotiationError)
    }

    private enum Machine {
        case dialer(NegotiationDialer)
        case listener(NegotiationListener)
    }

    private var machine: Machine
    /// All bytes that this end sent, the owner's own included.
    public private(set) var sent: [UInt8] = []
    /// What happened, in words, in order.
    public private(set) var log: [String] = []
    public private(set) var outcome: Outcome?
    /// What arrived behind the negotiation.
    public private(set) var data: [UInt8] = []
    /// What broke a promise of the machine; empty when all is well.
    public private(set) var violations: [String] = []
    private var offered = 0
    private var replied = 0

    /// Starts at once.
    public init(dialer: NegotiationDialer) {
        var dialer = dialer
        let flight = dialer.start()
        machine = .dialer(dialer)
        take(flight)
    }

    public init(listener: NegotiationListener) { machine = .listener(listener) }

    /// Sends data of the protocol agreed on.
    public func send(_ bytes: [UInt8]) { sent += bytes }

    public var isSettled: Bool {
        switch machine {
        case .dialer(let dialer): dialer.isSettled
        case .listener: if case .agreed = outcome { true } else { false }
        }
    }

    public var counters: (sentBytes: UInt64, receivedBytes: UInt64) {
        switch machine {
        case .dialer(let dialer): (dialer.sentBytes, dialer.receivedBytes)
        case .listener(let listener): (listener.sentBytes, listener.receivedBytes)
        }
    }

    /// Takes one read.
    public func receive(_ bytes: [UInt8]) {
        var rest = bytes
        while !rest.isEmpty && outcome == nil {
            let consumed = step(rest)
            rest.removeFirst(consumed)
            if outcome == nil && consumed == 0 { return violations.append("\(rest.count) bytes are left and nothing moves") }
        }
        guard case .agreed = outcome else { return }
        data += rest
    }

    public func receiveEnd() {
        guard outcome == nil else { return }
        switch machine {
        case .dialer(var dialer):
            outcome = .failed(dialer.receiveEnd())
            machine = .dialer(dialer)
        case .listener(var listener):
            outcome = .failed(listener.receiveEnd())
            machine = .listener(listener)
        }
    }

    private func step(_ bytes: [UInt8]) -> Int {
        offered += bytes.count
        defer { check() }
        do throws(NegotiationError) {
            switch machine {
            case .dialer(var dialer):
                defer { machine = .dialer(dialer) }
                let step = try dialer.receive(bytes.rawSpan)
                return handle(step.consumedBytes, of: bytes.count, step.reply, dialerEvent(step.event))
            case .listener(var listener):
                defer { machine = .listener(listener) }
                let step = try listener.receive(bytes.rawSpan)
                return handle(step.consumedBytes, of: bytes.count, step.reply, listenerEvent(step.event))
            }
        } catch {
            outcome = .failed(error)
            return bytes.count
        }
    }

    private func handle(_ consumed: Int, of count: Int, _ reply: Slice?, _ isIncomplete: Bool) -> Int {
        if let reply { take(reply) }
        if consumed > count { violations.append("\(consumed) of \(count) bytes were consumed") }
        if isIncomplete && consumed < count { violations.append("\(consumed) of \(count) bytes were consumed, and more are wanted") }
        offered -= count - consumed
        return consumed
    }

    /// Notes the event; says whether it asks for more bytes.
    private func dialerEvent(_ event: NegotiationDialer.Event) -> Bool {
        switch event {
        case .incomplete: return true
        case .refused(let id): log.append("refused \(id)")
        case .agreed(let index, let id): agree(index, "\(id)")
        }
        return false
    }

    private func listenerEvent(_ event: NegotiationListener.Event) -> Bool {
        switch event {
        case .incomplete: return true
        case .refused: log.append("refused")
        case .listed: log.append("listed")
        case .agreed(let index, let id): agree(index, "\(id)")
        }
        return false
    }

    private func agree(_ index: Int, _ id: String) {
        log.append("agreed \(index) \(id)")
        outcome = .agreed(id)
    }

    private func take(_ reply: Slice) {
        if reply.isEmpty { violations.append("an empty reply") }
        sent += reply.bytes.array()
        replied += reply.count
    }

    private func check() {
        let counters = counters
        if counters.sentBytes != UInt64(replied) { violations.append("\(replied) bytes were replied, \(counters.sentBytes) are counted") }
        if counters.receivedBytes != UInt64(offered) { violations.append("\(offered) bytes were consumed, \(counters.receivedBytes) are counted") }
    }
}
