import Bytes
public import Muxers

/// What went wrong in a ``Pair``, with the plan that makes it happen again.
public struct PairFailure: Error, CustomStringConvertible {
    public let what: [String]
    public let plan: FaultPlan

    public var description: String { "[\(plan)] " + what.joined(separator: "; ") }
}

/// Two machines joined by two pipes in memory, driven under a virtual clock: a connection without a network.
///
/// Call order: act on ``initiator`` and ``responder``, then ``settle()`` (everything that can cross does), ``turn()`` (one write and one
/// read at each end) or ``run(until:)``; time-outs pass with ``run(for:)``. Each throws when an end broke the contract of ``Muxer``.
///
/// The same seed and the same calls make the same bytes cross in the same pieces.
public final class Pair {
    public let clock = VirtualClock()
    public let initiator: End
    public let responder: End
    public let plan: FaultPlan
    private var random: SeededGenerator
    private let toResponder: Pipe
    private let toInitiator: Pipe

    /// Far more turns than any test needs: beyond it something goes round in circles.
    static let turnsMax = 5_000_000

    public init(_ plan: FaultPlan, _ make: (MuxerRole) -> any Muxer) {
        self.plan = plan
        random = SeededGenerator(seed: plan.seed)
        func pipe(_ direction: FaultPlan.Direction) -> Pipe {
            Pipe(capacity: plan.pipeBytesMax, cutAt: plan.cuts[direction], corruptions: plan.corruptions.filter { $0.direction == direction })
        }
        toResponder = pipe(.toResponder)
        toInitiator = pipe(.toInitiator)
        let checksContent = plan.corruptions.isEmpty
        initiator = End(role: .initiator, muxer: make(.initiator), clock: clock, checksContent: checksContent)
        responder = End(role: .responder, muxer: make(.responder), clock: clock, checksContent: checksContent)
        initiator.peer = responder
        responder.peer = initiator
    }

    public func end(_ role: MuxerRole) -> End { role == .initiator ? initiator : responder }

    private func outgoing(_ end: End) -> Pipe { end === initiator ? toResponder : toInitiator }
    private func incoming(_ end: End) -> Pipe { end === initiator ? toInitiator : toResponder }

    /// One write and one read at each end. Returns whether anything moved.
    @discardableResult
    public func turn() throws(PairFailure) -> Bool {
        var moved = false
        for end in random.oneIn(2) ? [initiator, responder] : [responder, initiator] {
            if case .perTurn(let byteCount) = end.consumption, end.consumeAll(upTo: byteCount) { moved = true }
            if write(end) { moved = true }
            if read(end) { moved = true }
        }
        try verify()
        return moved
    }

    /// Lets everything cross that can, moving the clock on while bytes are under way (but not to time-outs).
    public func settle() throws(PairFailure) {
        for _ in 0..<Self.turnsMax {
            if try turn() { continue }
            let next = [toResponder, toInitiator].compactMap { $0.nextArrival(after: clock.now) }.min()
            guard let next else { return }
            clock.advance(to: next)
        }
        throw PairFailure(what: ["does not come to rest"], plan: plan)
    }

    /// Turns until the condition holds, or fails when everything rests before.
    public func run(until condition: () -> Bool) throws(PairFailure) {
        for _ in 0..<Self.turnsMax {
            if condition() { return }
            if try turn() { continue }
            guard let next = [toResponder, toInitiator].compactMap({ $0.nextArrival(after: clock.now) }).min() else {
                throw PairFailure(what: ["at rest before the condition held"], plan: plan)
            }
            clock.advance(to: next)
        }
        throw PairFailure(what: ["the condition is never met"], plan: plan)
    }

    /// Lets `duration` pass, with all that is due meanwhile.
    public func run(for duration: Nanoseconds) throws(PairFailure) {
        let end = clock.now + duration
        while clock.now < end {
            try settle()
            let deadline = [initiator, responder].compactMap { $0.failure == nil ? $0.muxer.deadline : nil }.min()
            clock.advance(to: min(end, deadline ?? end))
            for end in [initiator, responder] { end.advanceTime() }
        }
        try settle()
    }

    /// Ends the bytes from `role` on, as when its connection is lost after what was written.
    public func disconnect(_ role: MuxerRole) { outgoing(end(role)).end() }

    /// Lets more bytes be between the ends from now on.
    public func widenPipes(to byteCount: Int) {
        toResponder.capacity = byteCount
        toInitiator.capacity = byteCount
    }

    /// Bytes that someone else wrote in the name of `role`.
    public func inject(_ bytes: [UInt8], from role: MuxerRole) {
        outgoing(end(role)).write(bytes.rawSpan, arriving: clock.now)
    }

    /// At rest: every counter equals the bytes of the wire exactly, at both ends.
    public func checkLedger() throws(PairFailure) {
        var what: [String] = []
        for end in [initiator, responder] where end.failure == nil {
            let counters = end.muxer.counters
            if counters.sent.totalBytes != end.bytesWritten { what.append("\(end.role) sent \(counters.sent.totalBytes), wire \(end.bytesWritten)") }
            if counters.received.totalBytes != end.bytesRead { what.append("\(end.role) received \(counters.received.totalBytes), wire \(end.bytesRead)") }
        }
        if initiator.failure == nil, responder.failure == nil, plan.cuts.isEmpty, plan.corruptions.isEmpty {
            if initiator.muxer.counters.sent != responder.muxer.counters.received { what.append("the responder counts otherwise than the initiator") }
            if responder.muxer.counters.sent != initiator.muxer.counters.received { what.append("the initiator counts otherwise than the responder") }
        }
        if plan.cuts.isEmpty, plan.corruptions.isEmpty {
            for (end, far) in [(initiator, responder), (responder, initiator)] where far.failure == nil {
                for (key, count) in end.written {
                    guard let log = far.logs[key], log.isLive, log.received.count < count else { continue }
                    what.append("\(end.role) says \(count) bytes of stream \(key.wireID) were written, \(log.received.count) came")
                }
            }
        }
        if !what.isEmpty { throw PairFailure(what: what, plan: plan) }
    }

    private func verify() throws(PairFailure) {
        let what = initiator.violations.map { "initiator: \($0)" } + responder.violations.map { "responder: \($0)" }
        if !what.isEmpty { throw PairFailure(what: Array(what.prefix(5)), plan: plan) }
    }

    // MARK: Moving bytes

    private func write(_ end: End) -> Bool {
        let pipe = outgoing(end)
        if let byteCount = end.inFlight {
            end.inFlight = nil
            end.wrote(byteCount)
            _ = obey(end)
            return true
        }
        // A connection that failed says its farewell and ends.
        if end.failure != nil, end.gather.isEmpty, !end.muxer.hasOutput {
            let isNews = !pipe.hasEnded
            pipe.end()
            return isNews
        }
        guard !end.gather.isEmpty || end.muxer.hasOutput else { return false }
        let room = min(pipe.room, plan.writeBytesMax)
        // A full pipe is met now and then only after frames were asked for.
        guard room > 0 || random.oneIn(8) else { return false }
        end.transmit(byteLimit: plan.transmitBytesMax)
        let block = Block(capacity: min(room, end.gather.byteCount))
        let byteCount = end.gather.copyBytes(into: block)
        pipe.write(block.bytes(0..<byteCount), arriving: clock.now + Nanoseconds(random.int(Int(plan.delay.lowerBound)...Int(plan.delay.upperBound))))
        if case .later = plan.writesComplete, byteCount > 0 {
            end.inFlight = byteCount
            return true
        }
        end.wrote(byteCount)
        // A machine may have had something to settle and nothing to write.
        let isQuiet = end.gather.isEmpty && !end.muxer.hasOutput
        return obey(end) || byteCount > 0 || isQuiet
    }

    /// Does with the connection what the machine asks for. Returns whether that changed anything.
    private func obey(_ end: End) -> Bool {
        switch end.muxer.connectionDemand {
        case .none: return false
        case .abort: incoming(end).end()
        case .finishSending: break
        }
        guard end.gather.isEmpty, !outgoing(end).hasEnded else { return false }
        outgoing(end).end()
        return true
    }

    private func read(_ end: End) -> Bool {
        let pipe = incoming(end)
        let available = pipe.available(at: clock.now)
        guard end.failure == nil else {
            // Nobody reads any more: what comes is lost.
            if available > 0 { _ = pipe.take(available) }
            return available > 0
        }
        guard end.muxer.wantsInput else { return false }
        guard available > 0 else {
            guard pipe.hasEnded, pipe.isEmpty, !end.hasReceivedEnd else { return false }
            end.receiveEnd()
            return true
        }
        let count = switch plan.chunking {
        case .whole: available
        case .everyByte: 1
        case .random(let limit): min(available, max(1, random.size(upTo: limit)))
        }
        end.receive(pipe.take(count), margin: random.int(0...64))
        return true
    }
}
