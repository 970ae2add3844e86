public import Bytes
public import Kernel
public import Reactor
public import SecureChannels

/// A channel that carries plaintext, over one that carries what a ``/SecureChannels/SecureChannel`` makes of it: what is above works as it would on a socket.
///
/// ```
///   owner ──gather──▶ seal ──block──▶ port ──▶ raw channel ──▶ kernel
///   owner ◀──slices── open ◀──block, range──── raw channel ◀── kernel
/// ```
///
/// A send is over when its bytes are sealed, so it is never pending (but on a transparent channel, where the owner's own bytes go down). Sealed bytes
/// cannot be taken back and nothing overtakes them: no more are sealed at once than the kernel took of the last, and while some wait every send is blocked.
///
/// Opened slices wait here while the owner has not started or has paused; what is below is then paused too, so that is one read at most.
///
/// Call order: that of ``/Reactor/Channel``. An ``Upgrader`` makes it.
///
/// Invariant: the raw channel receives only while nothing waits to be delivered.
public final class SecuredChannel: Channel {
    /// For less than this a block of its own costs no more than one of the pool, and does not hold 256 KiB until the kernel has taken it.
    static let pooledBytesMin = 8 << 10
    /// The most that is sealed before the kernel is offered it, as much as a block of 256 KiB holds with the frames: what the kernel does not take at once waits sealed, and
    /// cannot be overtaken any more. Without this limit a request beside bulk streams waited twice as long (p99), and bulk alone was no faster.
    static let sealedBytesMax = 255 << 10
    /// What is sealed at once while the pool has few blocks to spare, which receiving needs more.
    static let sealedBytesWithoutPool = 32 << 10

    /// How it ended, to be told behind what has arrived.
    fileprivate enum End {
        case ended
        case failed(ChannelError)
    }

    /// The channel below: what the kernel knows.
    public let raw: any Channel
    private let loop: EventLoop
    private let secure: any SecureChannel
    /// Gone after the end when the owner must live longer than this, see ``RawPort/pass(_:owner:)``.
    private var port: RawPort?
    /// Nil before the start, and after the end.
    private var handler: (any ChannelHandler)?
    /// Opened and not delivered: from `waitingHead` on.
    private var waiting: [Slice]
    private var waitingHead = 0
    private var end: End?
    /// What is sealed before the kernel is offered it.
    private var budget: WriteBudget
    private var isDelivering = false
    private var isDeliveryScheduled = false
    private var isPaused = false
    private var isRawPaused = false
    private var isOwnerBlocked = false
    private var isFinishing = false
    private var isClosed = false
    /// Whether sealing and opening are timed. Off: reading the clock twice for every small record would be told as the record's cost.
    public var timesCiphers = false
    /// How long sealing and opening took, while they were timed.
    public private(set) var cipherNanoseconds: UInt64 = 0
    /// Payload that went around a transparent channel.
    private var passed = Traffic()
    private var undeliveredAtEnd = 0
    /// Why the secure channel gave the connection up; the owner hears ``/Reactor/ChannelError/notSecure(by:)``.
    public private(set) var failure: SecureChannelError?

    /// - Parameter opened: what was opened together with the end of the handshake.
    init(_ port: RawPort, _ secure: any SecureChannel, opened: [Slice], loop: EventLoop, limits: ConnectionLimits) {
        raw = port.raw
        self.port = port
        self.loop = loop
        self.secure = secure
        waiting = opened
        budget = WriteBudget(limits: limits)
        port.hand(to: self)
    }

    /// Of the channel below, so that every byte of a socket is in the sum.
    public var bytesSent: UInt64 { raw.bytesSent }
    public var bytesReceived: UInt64 { raw.bytesReceived }
    public var blockedNanoseconds: UInt64? { raw.blockedNanoseconds }
    public func tcpInfo() -> TCPInfo? { raw.tcpInfo() }
    public var remoteAddress: SocketAddress? { raw.remoteAddress }

    /// What the secure channel sent and received, by account, its handshake included; also what went around it.
    public var secureCounters: SecureChannelCounters {
        var counters = secure.counters
        counters.sent.payloadBytes += passed.sent
        counters.received.payloadBytes += passed.received
        return counters
    }

    /// Bytes made ready and not taken by the kernel.
    var unwrittenByteCount: Int { port?.unwrittenByteCount ?? 0 }
    /// Bytes opened and not delivered.
    var undeliveredByteCount: Int { waiting[waitingHead...].reduce(undeliveredAtEnd) { $0 + $1.count } }

    // MARK: Sending

    public func send(_ gather: inout Gather) -> SendOutcome {
        guard let port, !isClosed, !isFinishing else { return .failed(.closed) }
        if case .failed(let error) = end { return .failed(error) }
        if let error = port.writeFailure { return .failed(error) }
        guard port.isReady else {
            isOwnerBlocked = true
            return .blocked
        }
        return secure.isTransparent ? pass(&gather, port) : seal(&gather, port)
    }

    private func pass(_ gather: inout Gather, _ port: RawPort) -> SendOutcome {
        let outcome = port.pass(&gather, owner: handler)
        switch outcome {
        case .complete(let byteCount): passed.sent += UInt64(byteCount)
        case .partial(let byteCount):
            passed.sent += UInt64(byteCount)
            isOwnerBlocked = true
        case .blocked: isOwnerBlocked = true
        case .pending, .failed: break
        }
        return outcome
    }

    private func seal(_ gather: inout Gather, _ port: RawPort) -> SendOutcome {
        let offered = gather.byteCount
        var cursor = Gather.Cursor()
        do {
            while cursor.byteCount < offered, port.isReady { try sealBatch(&gather, &cursor, port) }
        } catch {
            fail(error)
            return .failed(.notSecure(by: .local))
        }
        if let error = port.writeFailure { return .failed(error) }
        guard cursor.byteCount < offered else { return .complete(cursor.byteCount) }
        isOwnerBlocked = true
        return .partial(cursor.byteCount)
    }

    /// Seals as much as the kernel is likely to take, and offers it. What does not fit into one block goes into the next, and all of it into one write.
    private func sealBatch(_ gather: inout Gather, _ cursor: inout Gather.Cursor, _ port: RawPort) throws(SecureChannelError) {
        var wanted = min(gather.byteCount - cursor.byteCount, budget.bytes, Self.sealedBytesMax)
        while wanted > 0 {
            let before = cursor.byteCount
            let block = takeBlock(wanted)
            let began = cipherClock()
            let sealed = try secure.seal(&gather, from: &cursor, byteLimit: wanted, into: block, at: 0)
            noteCipherTime(since: began)
            port.append(Slice(block, 0..<sealed))
            wanted -= cursor.byteCount - before
        }
        let offered = port.unwrittenByteCount
        port.flush()
        budget.adapt(offered: offered, taken: offered - port.unwrittenByteCount)
    }

    /// A block for sealing about `byteCount` bytes.
    private func takeBlock(_ byteCount: Int) -> Block {
        let pool = loop.pool
        if byteCount >= Self.pooledBytesMin, pool.outstanding * 2 < pool.blocksMax, let block = pool.take() { return block }
        // Of the size of the bytes and a few records' frames.
        let payload = min(byteCount, Self.sealedBytesWithoutPool)
        return Block(capacity: max(payload + payload / 8, SecureChannelLimits.blockBytesMin * 2))
    }

    private func cipherClock() -> UInt64 { timesCiphers ? loop.refreshNow() : 0 }

    private func noteCipherTime(since began: UInt64) {
        if timesCiphers { cipherNanoseconds &+= loop.refreshNow() &- began }
    }

    /// Writes a few bytes of a negotiation, ready or not.
    func write(_ slice: Slice) {
        guard let port, end == nil, !isClosed else { return }
        if secure.isTransparent {
            passed.sent += UInt64(slice.count)
            port.append(slice)
        } else {
            var gather = Gather(arenaByteCount: 64, copyThreshold: 0)
            gather.endFrame(tag: 0, payload: slice)
            let block = Block(capacity: slice.count + slice.count / 8 + SecureChannelLimits.blockBytesMin * 2)
            do {
                let sealed = try secure.seal(&gather, into: block, at: 0)
                precondition(gather.isEmpty, "a block with room for them takes all bytes")
                port.append(Slice(block, 0..<sealed))
            } catch {
                return fail(error)
            }
        }
        port.flush()
    }

    public func finishSending() {
        guard let port, !isClosed, !isFinishing, end.isOpen else { return }
        isFinishing = true
        port.append(secure.takeOutput())
        port.append(secure.close())
        port.finishWhenDrained()
    }

    // MARK: Receiving

    public func start(_ handler: any ChannelHandler) {
        precondition(self.handler == nil, "a channel is started once")
        guard !isClosed else { return }
        self.handler = handler
        wake()
    }

    public func handOver(to handler: any ChannelHandler) {
        if !isClosed { self.handler = handler }
    }

    /// The end of a negotiation above this channel, from inside its ``ChannelHandler/channelReceived(_:_:)``: `rest` is the next owner's, who starts anew.
    func release(_ rest: Slice) {
        handler = nil
        if !rest.isEmpty { waiting.insert(rest, at: waitingHead) }
    }

    public func pauseReceiving() {
        isPaused = true
        pauseRaw()
    }

    public func resumeReceiving() {
        isPaused = false
        wake()
    }

    private func pauseRaw() {
        guard !isRawPaused, !isClosed else { return }
        isRawPaused = true
        raw.pauseReceiving()
    }

    /// Delivers what waits, at the end of the turn: not from inside a call of the owner's.
    private func wake() {
        guard !isClosed, handler != nil, !isPaused, !isDelivering else { return }
        guard waitingHead < waiting.count || end != nil else { return resumeRaw() }
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        loop.scheduleFlush(self)
    }

    private func resumeRaw() {
        guard isRawPaused, end == nil else { return }
        isRawPaused = false
        raw.resumeReceiving()
    }

    private func deliver() {
        isDelivering = true
        while !isClosed, !isPaused, let handler, waitingHead < waiting.count {
            let slice = waiting[waitingHead]
            waitingHead += 1
            handler.channelReceived(slice.block, slice.range)
        }
        isDelivering = false
        waiting.removeSubrange(..<waitingHead)
        waitingHead = 0
        guard !isClosed else { return }
        guard waiting.isEmpty, !isPaused, let handler else {
            if !waiting.isEmpty { pauseRaw() }
            return
        }
        guard let end else { return resumeRaw() }
        switch end {
        case .ended:
            // Told once; what may follow is a failure.
            guard !hasToldEnd else { return }
            hasToldEnd = true
            handler.channelEnded()
        case .failed(let error):
            shut(.written)
            handler.channelFailed(error)
        }
    }

    private var hasToldEnd = false

    /// The secure channel is of no use any more: the far end is told, if that is possible, and the owner behind what was opened before.
    private func fail(_ error: SecureChannelError) {
        guard end.isOpen, let port else { return }
        failure = error
        end = .failed(.notSecure(by: error.origin == .local ? .local : .remote))
        port.append(secure.takeOutput())
        port.flush()
        port.close(.written)
        wake()
    }

    // MARK: The end

    public func close() { shut(isFinishing ? .written : .dropped) }

    private func shut(_ farewell: RawPort.Farewell) {
        guard !isClosed else { return }
        isClosed = true
        undeliveredAtEnd = undeliveredByteCount
        // The loop that delivers may be under way, and finds nothing more.
        waiting = []
        waitingHead = 0
        handler = nil
        guard let port else { return }
        port.close(farewell)
        // The port then holds the owner, which holds this channel.
        if port.isPassing { self.port = nil }
    }
}

extension SecuredChannel: RawPortUser {
    func portReceived(_ block: Block, _ range: Range<Int>) {
        guard end == nil, !isClosed else { return }
        if secure.isTransparent {
            passed.received += UInt64(range.count)
            waiting.append(Slice(block, range))
        } else {
            do {
                let began = cipherClock()
                try secure.open(block, range, into: &waiting)
                noteCipherTime(since: began)
                writeOutput()
            } catch {
                fail(error)
            }
        }
        deliver()
    }

    private func writeOutput() {
        let output = secure.takeOutput()
        guard !output.isEmpty, let port else { return }
        port.append(output)
        port.flush()
    }

    func portDrained() {
        guard isOwnerBlocked else { return }
        isOwnerBlocked = false
        handler?.channelWritable()
    }

    func portPassed(_ byteCount: Int) {
        passed.sent += UInt64(byteCount)
        handler?.channelSent(byteCount)
    }

    func portEnded() {
        guard end == nil, !isClosed else { return }
        do {
            try secure.receiveEnd()
            end = .ended
        } catch {
            fail(error)
        }
        deliver()
    }

    func portFailed(_ error: ChannelError) {
        guard end.isOpen, !isClosed else { return }
        end = .failed(error)
        wake()
    }
}

extension SecuredChannel: TurnEndHandler {
    public func turnEnded() {
        isDeliveryScheduled = false
        if !isClosed && !isDelivering { deliver() }
    }
}

extension SecuredChannel.End? {
    /// Whether anything can still go wrong.
    fileprivate var isOpen: Bool { if case .failed = self { false } else { true } }
}
