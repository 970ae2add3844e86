import Bytes
import Multiformats
import Muxers
import Negotiation
import Reactor
import SecureChannels

/// An upgrade that is under way.
///
/// ```
///             ┌────────────────────┐ agreed  ┌─────────────┐ established, multiplexer agreed within ┌──────┐
///   begin ───▶│ negotiating        ├────────▶│ handshaking ├───────────────────────────────────────▶│ done │
///             │ security           │         └──────┬──────┘                                        └──────┘
///             └────────────────────┘                │ established   ┌───────────────────┐ agreed        ▲
///                                                   └──────────────▶│ negotiating muxer ├───────────────┘
///                                                                   └───────────────────┘
///   an error, the end, the time limit, cancel(): done, and the channel is closed
/// ```
///
/// A dialler with one kind of security to offer does not wait for the answer: the handshake's first message goes with the proposal, which saves a round
/// trip. Whatever is queued while one read is handled leaves in one write.
///
/// Invariant: `completion` exists until it was called, which is when `state` becomes `done`.
public final class Upgrade {
    private enum State {
        case negotiatingSecurity, handshaking, negotiatingMuxer, done
    }

    private let upgrader: Upgrader
    private let role: MuxerRole
    private let expectedRemote: PeerID?
    private var completion: ((Result<UpgradedConnection, UpgradeError>) -> Void)?
    private var port: RawPort?
    private var state = State.negotiatingSecurity
    private var party: NegotiationParty
    private var kind: SecurityKind?
    private var secure: (any SecureChannel)?
    private var secured: SecuredChannel?
    private var timer: LoopTimer?
    private var messagesNoted = 0
    /// Something was written since the last read.
    private var hasWritten = false
    /// What there is so far.
    public private(set) var report = UpgradeReport()

    init(
        _ upgrader: Upgrader, _ port: RawPort, _ role: MuxerRole, before: Traffic, expectedRemote: PeerID?,
        completion: @escaping (Result<UpgradedConnection, UpgradeError>) -> Void
    ) {
        self.upgrader = upgrader
        self.port = port
        self.role = role
        self.expectedRemote = expectedRemote
        self.completion = completion
        report.before = before
        switch role {
        case .initiator: party = upgrader.security.dialer(upgrader.configuration.security.count == 1 ? .atOnce : .whenConfirmed)
        case .responder: party = upgrader.security.listener()
        }
    }

    /// The port is the upgrade's already.
    func begin() {
        guard let port else { return }
        let loop = upgrader.loop
        upgrader.began(self)
        mark(.started)
        let timeout = upgrader.configuration.timeoutNanoseconds
        timer = loop.schedule(at: loop.now &+ timeout) { [self] in fail(.timedOut(during: step, afterNanoseconds: timeout)) }
        if let opening = party.start() {
            write(opening)
            let offered = upgrader.configuration.security
            if offered.count == 1, !startHandshake(offered[0]) { return }
        }
        port.flush()
        // Of other failures the read side tells more: an alert may have arrived. One that is closed will not tell anything.
        if port.writeFailure == .closed { fail(.channel(.closed, during: step)) }
    }

    /// Gives up: the channel is closed, and the completion hears ``UpgradeError/cancelled``. Harmless when the upgrade is over.
    public func cancel() { fail(.cancelled) }

    private var step: UpgradeStep {
        switch state {
        case .negotiatingSecurity: .securityNegotiation
        case .handshaking: .handshake
        case .negotiatingMuxer, .done: .muxerNegotiation
        }
    }

    private func mark(_ milestone: UpgradeReport.Milestone, at time: UInt64? = nil) {
        report.marks.append(UpgradeReport.Mark(milestone: milestone, nanoseconds: time ?? upgrader.loop.refreshNow(), roundTrips: report.roundTrips))
    }

    private func write(_ slice: Slice) {
        hasWritten = true
        port?.append(slice)
    }

    private func noteRead() {
        if hasWritten { report.roundTrips += 1 }
        hasWritten = false
    }

    // MARK: Security

    /// Takes part of a read; returns how much of it.
    private func negotiateSecurity(_ bytes: RawSpan) -> Int {
        do {
            let step = try party.receive(bytes)
            report.securityNegotiation = party.bytes
            if let reply = step.reply { write(reply) }
            if let index = step.agreed?.index {
                mark(.securityAgreed)
                state = .handshaking
                if secure == nil { _ = startHandshake(upgrader.configuration.security[index]) }
            }
            return step.consumedBytes
        } catch {
            report.securityNegotiation = party.bytes
            fail(.securityNegotiation(error))
            return bytes.byteCount
        }
    }

    /// Returns whether it began.
    private func startHandshake(_ kind: SecurityKind) -> Bool {
        self.kind = kind
        do {
            let secure = try upgrader.configuration.channel(kind, role, expectedRemote: expectedRemote)
            self.secure = secure
            try secure.start()
            takeHandshakeOutput()
            return true
        } catch {
            fail(.handshake(kind, error))
            return false
        }
    }

    /// - Parameter arrival: when what was handled came in. Messages count as received then, so that what answering took is in the step of the answer.
    private func takeHandshakeOutput(arrival: UInt64? = nil) {
        guard let secure else { return }
        let output = secure.takeOutput()
        if !output.isEmpty { write(Slice(copying: output)) }
        let messages = secure.handshakeMessages
        for message in messages[messagesNoted...] { mark(.handshakeMessage(message), at: message.direction == .received ? arrival : nil) }
        messagesNoted = messages.count
        report.handshake = Traffic(sent: secure.counters.sent.handshakeBytes, received: secure.counters.received.handshakeBytes)
    }

    private func shakeHands(_ block: Block, _ range: Range<Int>) {
        guard let secure, let kind else { return }
        var opened: [Slice] = []
        let arrival = upgrader.loop.refreshNow()
        do {
            try secure.open(block, range, into: &opened)
            takeHandshakeOutput(arrival: arrival)
        } catch {
            takeHandshakeOutput(arrival: arrival)
            return fail(.handshake(kind, error))
        }
        if secure.isEstablished { establish(opened) }
    }

    // MARK: The multiplexer

    private func establish(_ opened: [Slice]) {
        guard let port, let secure, let remote = secure.remote else { return }
        mark(.established)
        let secured = SecuredChannel(port, secure, opened: opened, loop: upgrader.loop, limits: upgrader.configuration.connection)
        self.secured = secured
        if let id = remote.muxer {
            guard let muxer = upgrader.configuration.muxers.first(where: { $0.protocolID == id }) else {
                preconditionFailure("a handshake chooses what was offered")
            }
            report.negotiated = .early
            port.flush()
            return succeed(muxer)
        }
        state = .negotiatingMuxer
        party = role == .initiator ? upgrader.muxers.dialer() : upgrader.muxers.listener()
        if let opening = party.start() {
            hasWritten = true
            report.muxerNegotiation = party.bytes
            secured.write(opening)
        }
        secured.start(self)
    }

    private func negotiateMuxer(_ block: Block, _ range: Range<Int>) {
        var offset = range.lowerBound
        while offset < range.upperBound, state == .negotiatingMuxer {
            do {
                let step = try party.receive(block.bytes(offset..<range.upperBound))
                report.muxerNegotiation = party.bytes
                offset += step.consumedBytes
                if let reply = step.reply {
                    hasWritten = true
                    secured?.write(reply)
                }
                if let index = step.agreed?.index {
                    secured?.release(Slice(block, offset..<range.upperBound))
                    return succeed(upgrader.configuration.muxers[index])
                }
            } catch {
                report.muxerNegotiation = party.bytes
                return fail(.muxerNegotiation(error))
            }
        }
    }

    // MARK: The end

    private func succeed(_ muxer: MuxerKind) {
        mark(.muxerAgreed)
        guard let secured, let kind, let remote = secure?.remote else { return }
        finish(
            .success(UpgradedConnection(channel: secured, muxer: muxer, security: kind, remote: remote, report: report)))
    }

    private func fail(_ error: UpgradeError) {
        guard state != .done else { return }
        // An alert, or the refusal of the last proposal, still goes out.
        port?.flush()
        // The port first: the channel above it would drop what is not written.
        port?.close(.written)
        secured?.close()
        finish(.failure(error))
    }

    private func finish(_ result: Result<UpgradedConnection, UpgradeError>) {
        state = .done
        upgrader.ended(self)
        timer?.cancel()
        timer = nil
        port = nil
        secure = nil
        secured = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    private func end(_ error: ChannelError) {
        if case .notSecure = error, let kind, let failure = secured?.failure { return fail(.handshake(kind, failure)) }
        fail(.channel(error, during: step))
    }
}

/// Before there is a secure channel.
extension Upgrade: RawPortUser {
    func portReceived(_ block: Block, _ range: Range<Int>) {
        noteRead()
        var offset = range.lowerBound
        while offset < range.upperBound, state == .negotiatingSecurity {
            offset += negotiateSecurity(block.bytes(offset..<range.upperBound))
        }
        if offset < range.upperBound, state == .handshaking { shakeHands(block, offset..<range.upperBound) }
        port?.flush()
    }

    func portEnded() {
        switch state {
        case .negotiatingSecurity:
            let error = party.receiveEnd()
            fail(error == .ended ? .ended(during: .securityNegotiation) : .securityNegotiation(error))
        case .handshaking: fail(.ended(during: .handshake))
        case .negotiatingMuxer, .done: break
        }
    }

    /// The read side says what became of a channel that cannot be written to.
    func portDrained() {}
    func portPassed(_ byteCount: Int) {}
    func portFailed(_ error: ChannelError) { end(error) }
}

/// Above the secure channel, until the multiplexer is agreed on.
extension Upgrade: ChannelHandler {
    public func channelReceived(_ block: Block, _ range: Range<Int>) {
        guard state == .negotiatingMuxer else { return }
        noteRead()
        negotiateMuxer(block, range)
    }

    public func channelEnded() {
        guard state == .negotiatingMuxer else { return }
        let error = party.receiveEnd()
        fail(error == .ended ? .ended(during: .muxerNegotiation) : .muxerNegotiation(error))
    }

    public func channelWritable() {}
    public func channelSent(_ byteCount: Int) {}
    public func channelFailed(_ error: ChannelError) { end(error) }
}
