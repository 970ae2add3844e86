import Gauge
import Muxers
import P2P

extension ByteLedger {
    /// What a multiplexer counted in one direction.
    init(_ counters: MuxerCounters.Direction) {
        self.init()
        payload = counters.payloadBytes
        muxDataHeader = counters.dataHeaderBytes
        muxWindowUpdate = counters.windowUpdateBytes
        muxOpenClose = counters.openCloseBytes
        muxPing = counters.pingBytes
    }

    /// Adds what came before the multiplexer and around it.
    mutating func add(_ accounts: SocketAccounts.Direction) {
        negotiation += accounts.beforeBytes + accounts.securityNegotiationBytes + accounts.muxerNegotiationBytes
        handshake += accounts.handshakeBytes
        securityRecord += accounts.recordOverheadBytes
    }

    /// One direction of a host's connection. The negotiation of its streams is no payload; what hosts tell each other by identify is.
    fileprivate init(_ counters: MuxerCounters.Direction, _ accounts: SocketAccounts.Direction, streamNegotiation: UInt64) {
        self.init(counters)
        payload &-= streamNegotiation
        negotiation = streamNegotiation
        add(accounts)
        socketBytes = accounts.socketBytes
        kernelBytes = .unavailable("not asked for in runs against a node")
    }
}

extension SideLedger {
    /// A host's connection that has ended.
    init(_ counters: ConnectionCounters) {
        self.init(
            sent: ByteLedger(counters.muxer.sent, counters.socket.sent, streamNegotiation: counters.streamNegotiation.sent),
            received: ByteLedger(counters.muxer.received, counters.socket.received, streamNegotiation: counters.streamNegotiation.received))
    }
}

extension ConnectSteps {
    /// A connection that has its first answer: from the dial on, without a gap.
    ///
    /// - Parameters:
    ///   - transport: what was connected first. Only TCP waits for an answer of the far end's.
    ///   - readyAt: when it could be used, if there is no upgrade.
    mutating func add(
        _ transport: ProtocolStack.Transport, dialledAt: UInt64, _ marks: [UpgradeReport.Mark], readyAt: UInt64? = nil, answeredAt: UInt64
    ) {
        let first = marks.first?.nanoseconds ?? readyAt ?? dialledAt
        record("\(transport.rawValue) connected", nanoseconds: first &- dialledAt, roundTrips: transport == .tcp ? 1 : 0)
        for (before, mark) in zip(marks, marks.dropFirst()) {
            record(
                mark.milestone.name, nanoseconds: mark.nanoseconds &- before.nanoseconds, roundTrips: mark.roundTrips - before.roundTrips)
        }
        record("stream opened, first answer", nanoseconds: answeredAt &- (marks.last?.nanoseconds ?? first), roundTrips: 1)
    }
}
