public import Bytes
public import Multiformats
import Muxers
import Negotiation

/// A stream whose bytes go to a handler of its protocol, behind the negotiation that found it out.
///
/// ```
///   far end opens ──▶ answering ──agreed──▶ open ──both finished──▶ ended
///                                            ▲  │
///   this end opens ─▶ proposing ───agreed────┘  └──reset, connection over, time-out──▶ ended
/// ```
///
/// With a single proposal the handler starts at once, and what it sends goes out behind the proposal without waiting (`NegotiationDialer.Settling.atOnce`);
/// the answer is looked at when it comes, ahead of any other byte.
///
/// Invariant: while `negotiation` is there no received byte has gone to the handler, and none that it left was dropped; the handler hears nothing before
/// ``StreamProtocolHandler/streamStarted(_:)`` and nothing after ``StreamProtocolHandler/streamEnded(_:_:)``. All on the loop.
public final class RoutedStream {
    /// What carries the stream: ``Connection/keep(_:_:)`` keeps received bytes.
    public let connection: Connection
    /// Who opened it.
    public let direction: ConnectionDirection
    let handle: StreamHandle
    /// Nil once ended.
    private var router: StreamRouter?
    /// The connection as the host knows it.
    public let peer: PeerConnection
    /// What is spoken; meaningful once the handler has started.
    public private(set) var protocolID: ProtocolID?
    private var negotiation: NegotiationParty?
    private var services: ServiceTable?
    private var handler: (any StreamProtocolHandler)?
    private var hasStarted = false
    /// Nothing can be sent any more, and no call of the handler follows ``StreamProtocolHandler/streamEnded(_:_:)``.
    public private(set) var isEnded = false
    /// ``finish()`` was called.
    public private(set) var hasFinishedSending = false
    /// The far end has finished.
    public private(set) var hasReceivedEnd = false
    /// Kept by the router.
    var isInNegotiation = false

    /// A stream that the far end opened.
    init(answering handle: StreamHandle, _ services: ServiceTable, router: StreamRouter) {
        self.handle = handle
        self.router = router
        connection = router.connection
        peer = router.peer
        direction = .inbound
        self.services = services
        negotiation = NegotiationParty(NegotiationListener(services.protocols))
    }

    /// A stream that this end opened.
    init(proposing handle: StreamHandle, _ proposals: ProtocolProposals, handler: any StreamProtocolHandler, router: StreamRouter) {
        self.handle = handle
        self.router = router
        connection = router.connection
        peer = router.peer
        direction = .outbound
        self.handler = handler
        negotiation = NegotiationParty(NegotiationDialer(proposals, settling: proposals.ids.count == 1 ? .atOnce : .whenConfirmed))
        if proposals.ids.count == 1 { protocolID = proposals.ids[0] }
    }

    private var isNegotiating: Bool { negotiation != nil && !isEnded }

    /// Sends the proposal, and starts the handler if it need not wait.
    func propose() {
        guard let flight = negotiation?.start() else { return }
        transmit(flight)
        if negotiation?.isSettled == true { started() }
    }

    // MARK: Calls of the handler

    /// Queues a message and returns the bytes now queued, see ``Connection/send(_:on:)-(Slice,_)``.
    ///
    /// - Throws: ``HostError/streamClosed`` or ``HostError/muxer(_:)``.
    @discardableResult
    public func send(_ payload: consuming Slice) throws(HostError) -> Int {
        guard !isEnded, !hasFinishedSending else { throw .streamClosed }
        do {
            return try connection.send(payload, on: handle)
        } catch {
            throw .muxer(error)
        }
    }

    /// Ends this side behind what is queued (half-close). Harmless when it is over already.
    public func finish() {
        guard !isEnded, !hasFinishedSending else { return }
        hasFinishedSending = true
        try? connection.finish(handle)
    }

    /// Ends the stream at once in both directions; the handler hears of it before this returns.
    public func reset(code: UInt32 = 0) { reset(.failed(.streamClosed), code: code) }

    func reset(_ end: StreamEnd, code: UInt32 = 0) {
        guard !isEnded else { return }
        connection.reset(handle, code: code)
        ended(end)
    }

    /// Gives back received bytes as credit.
    public func consume(byteCount: Int) {
        if !isEnded, byteCount > 0 { connection.consume(handle, byteCount: byteCount) }
    }

    // MARK: What the router tells

    func received(_ block: Block, _ range: Range<Int>) -> Int {
        var offset = range.lowerBound
        if isNegotiating {
            do throws(NegotiationError) {
                try negotiate(block, &offset, upTo: range.upperBound)
            } catch {
                reset(.failed(.negotiation(error)))
            }
        }
        let taken = offset - range.lowerBound
        guard !isEnded, offset < range.upperBound, let handler else { return isEnded ? range.count : taken }
        return taken + handler.streamReceived(self, block, offset..<range.upperBound)
    }

    /// Feeds the negotiation until it agrees or has taken everything.
    private func negotiate(_ block: Block, _ offset: inout Int, upTo end: Int) throws(NegotiationError) {
        while offset < end, !isEnded, var party = negotiation.take() {
            let before = party.bytes.received
            defer { router?.negotiationBytes.received &+= party.bytes.received &- before }
            let step = try party.receive(block.bytes(offset..<end))
            offset += step.consumedBytes
            if let reply = step.reply { transmit(reply) }
            if let agreed = step.agreed { agree(agreed) } else { negotiation = party }
        }
    }

    private func agree(_ agreed: (index: Int, id: ProtocolID)) {
        protocolID = agreed.id
        router?.negotiated(self)
        if let services = services.take() { handler = router?.makeHandler(services.services[agreed.index], for: self) }
        if !hasStarted { started() }
    }

    private func started() {
        hasStarted = true
        router?.started(self)
        handler?.streamStarted(self)
    }

    /// What the negotiation says; a stream that is gone takes nothing more, and the end that follows says so.
    private func transmit(_ message: Slice) {
        guard (try? connection.send(message, on: handle)) != nil else { return }
        router?.negotiationBytes.sent &+= UInt64(message.count)
    }

    func finished() {
        hasReceivedEnd = true
        if let error = negotiation?.receiveEnd() { return reset(.failed(.negotiation(error))) }
        handler?.streamFinished(self)
    }

    func writable() { if hasStarted { handler?.streamWritable(self) } }

    /// The end, whoever caused it.
    func ended(_ end: StreamEnd) {
        guard !isEnded else { return }
        isEnded = true
        let handler = self.handler
        self.handler = nil
        negotiation = nil
        services = nil
        router?.forget(self)
        router = nil
        handler?.streamEnded(self, end)
    }

    /// Whether the handler has been told to start.
    var isStarted: Bool { hasStarted }
}
