import Bytes
import Multiformats
import Muxers
import Negotiation
import Reactor

/// Bytes of negotiation on a connection, both ways: what was handed to the multiplexer, and what it brought.
public struct NegotiationBytes: Equatable, Sendable {
    /// Handed to the multiplexer.
    public var sent: UInt64 = 0
    /// Brought by the multiplexer.
    public var received: UInt64 = 0
}

/// Takes the streams of one connection to the handlers of their protocols.
///
/// ```
///   connection ──events──▶ router ──by handle──▶ routed stream ──▶ negotiation, then handler
/// ```
///
/// Negotiations, and opens that wait, have one time-out and one timer: they are begun in the order of their deadlines, so a queue holds each kind.
///
/// Invariant: `streams[h.index]` is the stream of handle `h` as long as it has not ended; `waitingOpens` is empty unless the muxer refused to open, and holds nothing
/// whose handler has been called. All on the loop.
final class StreamRouter: StreamHandler {
    /// A negotiation and when it must be over.
    private struct Pending: BitwiseCopyable {
        let handle: StreamHandle
        let deadline: UInt64
    }

    /// An open that the far end must make room for, and when it has waited long enough.
    private struct WaitingOpen {
        let proposals: ProtocolProposals
        let handler: any StreamProtocolHandler
        let deadline: UInt64
    }

    private(set) var connection: Connection!
    let peer: PeerConnection
    private let hostLoop: HostLoop
    private let limits: HostLimits
    private var streams: [RoutedStream?] = []
    private(set) var streamCount = 0
    /// Streams in negotiation: those that the far end opened, and all.
    private var answeringCount = 0
    private var negotiatingCount = 0
    private let negotiating = Owned(RingQueue<Pending>(capacity: 8))
    private var timer: LoopTimer?
    private var waitingOpens = Fifo<WaitingOpen>()
    /// Why nothing begins any more, while what is open goes on: the connection closes, or its host.
    private var closing: HostError?
    private(set) var end: ConnectionEnd?
    var negotiationBytes = NegotiationBytes()
    /// Streams that were turned away for a limit's sake.
    private(set) var streamsRefused: UInt64 = 0

    init(peer: PeerConnection, hostLoop: HostLoop, limits: HostLimits) {
        self.peer = peer
        self.hostLoop = hostLoop
        self.limits = limits
    }

    func begin(_ connection: Connection) { self.connection = connection }

    var counters: ConnectionCounters {
        var counters = ConnectionCounters()
        counters.streamNegotiation = negotiationBytes
        counters.muxer = connection.muxer.counters
        if let channel = connection.channel as? SecuredChannel { counters.socket = channel.accounts(peer.upgradeReport) }
        counters.openStreams = streamCount
        counters.streamsRefused = streamsRefused
        return counters
    }

    // MARK: Opening

    /// Opens a stream, now or when the far end has acknowledged others. The handler hears the rest, a failure included.
    func open(_ ids: [ProtocolID], _ handler: any StreamProtocolHandler) throws(HostError) {
        try checkOpen()
        let proposals = try hostLoop.proposals(ids)
        guard waitingOpens.isEmpty else { return try wait(proposals, handler) }
        do {
            try openNow(proposals, handler)
        } catch {
            guard case .tooManyUnacknowledgedStreams = error else { throw Self.refusal(error) }
            try wait(proposals, handler)
        }
    }

    private func checkOpen() throws(HostError) {
        if let end { throw .connectionEnded(end) }
        if let closing { throw closing }
        guard hasRoom else { throw .tooManyStreams(limit: limits.streamsPerConnectionMax) }
    }

    private var hasRoom: Bool { streamCount < limits.streamsPerConnectionMax }

    private static func refusal(_ error: MuxerError) -> HostError {
        if case .tooManyStreams(let limit) = error { .tooManyStreams(limit: limit) } else { .muxer(error) }
    }

    private func wait(_ proposals: ProtocolProposals, _ handler: any StreamProtocolHandler) throws(HostError) {
        guard waitingOpens.count < limits.waitingOpensMax else { throw .tooManyWaitingOpens(limit: limits.waitingOpensMax) }
        let deadline = connection.loop.now &+ limits.negotiationNanoseconds
        waitingOpens.append(WaitingOpen(proposals: proposals, handler: handler, deadline: deadline))
        armTimer(at: deadline)
    }

    private func openNow(_ proposals: ProtocolProposals, _ handler: any StreamProtocolHandler) throws(MuxerError) {
        let handle = try connection.openStream()
        let stream = RoutedStream(proposing: handle, proposals, handler: handler, router: self)
        remember(stream)
        stream.propose()
    }

    func connectionCanOpen(_ connection: Connection) {
        // Out of the queue first: the handler may close the connection, which fails what still waits.
        while end == nil, let next = waitingOpens.popFirst() {
            // Streams of the far end's may have come meanwhile.
            guard hasRoom else {
                next.handler.openFailed(.tooManyStreams(limit: limits.streamsPerConnectionMax))
                continue
            }
            do {
                try openNow(next.proposals, next.handler)
            } catch {
                if case .tooManyUnacknowledgedStreams = error { return waitingOpens.pushFirst(next) }
                next.handler.openFailed(Self.refusal(error))
            }
        }
    }

    private func failWaitingOpens(_ error: HostError) {
        for open in waitingOpens.takeAll() { open.handler.openFailed(error) }
    }

    // MARK: The table

    private func remember(_ stream: RoutedStream) {
        let index = Int(stream.handle.index)
        while streams.count <= index { streams.append(nil) }
        streams[index] = stream
        streamCount += 1
        if stream.direction == .inbound { answeringCount += 1 }
        negotiatingCount += 1
        stream.isInNegotiation = true
        let deadline = connection.loop.now &+ limits.negotiationNanoseconds
        dropSettled()
        negotiating.value.push(Pending(handle: stream.handle, deadline: deadline))
        armTimer(at: deadline)
    }

    private func armTimer(at deadline: UInt64) {
        let timer = self.timer ?? connection.loop.makeTimer { [weak self] in self?.timerFired() }
        self.timer = timer
        if !timer.isArmed || deadline < timer.deadline { timer.arm(at: deadline) }
    }

    /// Keeps the queue of negotiations about as long as there are any: a single slow one must not keep all that were begun behind it.
    private func dropSettled() {
        while let first = negotiating.value.first, stream(first.handle)?.isInNegotiation != true { _ = negotiating.value.pop() }
        guard negotiating.value.count > 64 + 2 * negotiatingCount else { return }
        for _ in 0..<negotiating.value.count {
            guard let next = negotiating.value.pop() else { return }
            if stream(next.handle)?.isInNegotiation == true { negotiating.value.push(next) }
        }
    }

    /// The stream's negotiation is over, one way or the other.
    func negotiated(_ stream: RoutedStream) {
        guard stream.isInNegotiation else { return }
        stream.isInNegotiation = false
        negotiatingCount -= 1
        if stream.direction == .inbound { answeringCount -= 1 }
    }

    func forget(_ stream: RoutedStream) {
        let index = Int(stream.handle.index)
        guard streams[index] === stream else { return }
        streams[index] = nil
        streamCount -= 1
        negotiated(stream)
        if stream.isStarted, let id = stream.protocolID { hostLoop.note(.streamClosed(peer, id, stream.direction)) }
        if closing != nil, streamCount == 0 { connection.close() }
    }

    private func stream(_ handle: StreamHandle) -> RoutedStream? {
        let index = Int(handle.index)
        guard index < streams.count, let stream = streams[index], stream.handle == handle else { return nil }
        return stream
    }

    func makeHandler(_ service: StreamService, for stream: RoutedStream) -> any StreamProtocolHandler {
        switch service {
        case .callbacks(let make): make(stream)
        case .task(let body): StreamBuffer(limits, serving: body)
        }
    }

    /// The handler of `stream` is about to start.
    func started(_ stream: RoutedStream) {
        if let id = stream.protocolID { hostLoop.note(.streamOpened(peer, id, stream.direction)) }
    }

    private func timerFired() {
        let now = connection.loop.now
        while let first = waitingOpens.first, first.deadline <= now {
            _ = waitingOpens.popFirst()
            first.handler.openFailed(.timedOut(afterNanoseconds: limits.negotiationNanoseconds))
        }
        if let first = waitingOpens.first { armTimer(at: first.deadline) }
        while let first = negotiating.value.first {
            guard let stream = stream(first.handle), stream.isInNegotiation else {
                _ = negotiating.value.pop()
                continue
            }
            guard first.deadline <= now else {
                return armTimer(at: first.deadline)
            }
            _ = negotiating.value.pop()
            stream.reset(.failed(.negotiationTimedOut(afterNanoseconds: limits.negotiationNanoseconds)))
        }
    }

    // MARK: StreamHandler

    func streamOpened(_ handle: StreamHandle, on connection: Connection) {
        guard closing == nil, hasRoom, answeringCount < limits.negotiationsPerConnectionMax else {
            streamsRefused += 1
            return connection.reset(handle)
        }
        remember(RoutedStream(answering: handle, hostLoop.services, router: self))
    }

    func streamReceived(_ handle: StreamHandle, _ block: Block, _ range: Range<Int>, on connection: Connection) -> Int {
        stream(handle)?.received(block, range) ?? range.count
    }

    func streamFinished(_ handle: StreamHandle, on connection: Connection) { stream(handle)?.finished() }
    func streamReset(_ handle: StreamHandle, _ reset: StreamReset, on connection: Connection) { stream(handle)?.ended(.failed(HostError(reset))) }
    func streamClosed(_ handle: StreamHandle, on connection: Connection) { stream(handle)?.ended(.orderly) }
    func streamWritable(_ handle: StreamHandle, on connection: Connection) { stream(handle)?.writable() }
    func connectionBatchEnded(_ connection: Connection) {}
    func connectionGoesAway(_ connection: Connection) { close(.connectionClosing) }

    func connectionEnded(_ connection: Connection, _ reason: ConnectionEnd) {
        end = reason
        timer?.cancel()
        timer = nil
        // What the host's closing cut short hears that, and not that this side gave the connection up.
        let error: HostError = if case .aborted = reason, case .hostClosed? = closing { .hostClosed } else { .connectionEnded(reason) }
        for stream in streams { stream?.ended(.failed(error)) }
        failWaitingOpens(error)
        negotiating.value.removeAll()
        hostLoop.ended(self, reason)
    }

    // MARK: Closing

    /// Nothing new; the connection closes in order when the last stream has ended.
    ///
    /// - Parameter reason: what is asked of the connection meanwhile fails with it.
    func close(_ reason: HostError) {
        guard end == nil else { return }
        guard closing == nil else {
            // That the host closes is the better reason for what it will cut short.
            if case .hostClosed = reason { closing = reason }
            return
        }
        closing = reason
        hostLoop.closing(self)
        failWaitingOpens(reason)
        if streamCount == 0 { connection.close() }
    }

    /// Ends everything at once.
    func abort() { connection.abort() }
}
