public import Bytes
import CProbes
public import Muxers
public import Reactor
import SecureChannels

/// A multiplexed connection: joins a channel, which moves bytes, and a muxer, which frames streams, on one event loop.
///
/// ```
///   channel ──block, range──▶ muxer.receive ──events──▶ handler
///   channel ◀──gather──────── muxer.transmit ◀──send─── handler
/// ```
///
/// Writing is batched: what handlers queue while one read is processed leaves in one write right behind it, or behind each part of
/// a long read; what is queued at other times leaves at the end of the loop's turn. A write that the kernel takes only in part gives the frames not begun back to the
/// muxer, so that they can be overtaken.
///
/// Invariant: the gather is appended to only while no send is pending and the channel is not blocked.
///
/// Call order: `init`, ``start()``, any calls on streams, ``close()`` or ``abort(_:)``; the handler hears ``StreamHandler/connectionEnded(_:_:)`` once.
public final class Connection: ChannelHandler, TurnEndHandler {
    private enum State {
        case open
        /// Nothing new; ends when all is written and the far end has said the same.
        case closing
        case ended
    }

    /// What every read and write touches.
    @usableFromInline struct Hot: ~Copyable {
        var gather: Gather
        var events = EventList(capacity: 64)
        @usableFromInline var isFlushScheduled = false
        /// The application has something to say since the last write: more than credit, which can wait for the end of a read.
        @usableFromInline var hasSpoken = false

        init(gather: consuming Gather) { self.gather = gather }
    }

    public let loop: EventLoop
    public let channel: any Channel
    public let muxer: any Muxer
    /// Bytes written and read on the channel before the muxer took over.
    public let negotiationBytes: (sent: UInt64, received: UInt64)
    /// Held until the end, which breaks the cycle with a handler that holds its connection. Not weak: an object that was ever referenced weakly
    /// pays for it in every retain.
    private var handler: (any StreamHandler)?
    @usableFromInline let hot: Owned<Hot>
    /// Stands for the block where events carry no data.
    private let noBlock = Block(capacity: 0)
    private var timer: LoopTimer?
    private let closeNanoseconds: UInt64
    private var closeTimer: LoopTimer?
    private var state = State.open
    private var isSendPending = false
    private var isBlocked = false
    private var isPaused = false
    private var hasFinishedSending = false
    /// The far end has finished sending.
    public private(set) var hasReceivedEnd = false
    private var budget: WriteBudget
    /// Writes that reached the kernel.
    public private(set) var writes: UInt64 = 0
    /// How many of ``writes`` the kernel took only in part.
    public private(set) var partialWrites: UInt64 = 0
    /// Received bytes copied out of their block: see ``keep(_:_:)``, and small pieces that wait to be read by a task.
    public private(set) var bytesCopiedOut: UInt64 = 0

    /// Whether the handler hears ``StreamHandler/connectionWrote(_:)``.
    public var tellsOfWrites = false
    /// When the last write began, while ``tellsOfWrites`` and the loop notes it (``/Reactor/EventLoop/transferTimeUsers``).
    public private(set) var lastWriteAt: UInt64 = 0

    /// Takes `channel`, not started yet, and holds `handler` until the end. `prefix` goes ahead of the muxer's bytes, such as a greeting, and is counted as
    /// negotiation; `negotiationBytesReceived` were read from the channel already.
    public init(
        channel: any Channel, muxer: any Muxer, handler: any StreamHandler, loop: EventLoop, limits: ConnectionLimits = .init(),
        prefix: [UInt8] = [], negotiationBytesReceived: UInt64 = 0
    ) {
        self.loop = loop
        self.channel = channel
        self.muxer = muxer
        self.handler = handler
        negotiationBytes = (UInt64(prefix.count), negotiationBytesReceived)
        closeNanoseconds = limits.closeNanoseconds
        var gather = Gather(arenaByteCount: limits.arenaBytesMax, copyThreshold: limits.copyThresholdBytes)
        budget = WriteBudget(limits: limits)
        gather.appendPinned(prefix)
        hot = Owned(Hot(gather: gather))
    }

    /// Begins to receive, and writes the prefix.
    public func start() {
        channel.start(self)
        wantFlush()
    }

    // MARK: Calls of the application

    /// Takes the one stream of a connection without a muxer as opened before anything has arrived on it, so that this side can speak first.
    /// With a muxer the far end's streams announce themselves, and this does nothing.
    public func acceptStream() {
        guard let muxer = muxer as? Passthrough else { return }
        muxer.acceptStream(events: &hot.value.events)
        dispatchOwnEvents()
        wantFlush()
    }

    @inlinable @inline(__always) func hasSomethingToSay() {
        hot.value.hasSpoken = true
        if !hot.value.isFlushScheduled { wantFlush() }
    }

    /// Opens a stream; it is told to the far end by the next write. See ``/Muxers/Muxer/openStream(now:)`` for what can refuse it.
    public func openStream() throws(MuxerError) -> StreamHandle {
        let stream = try muxer.openStream(now: loop.now)
        hasSomethingToSay()
        return stream
    }

    /// Queues a message; see ``/Muxers/Muxer/send(_:on:)``.
    @discardableResult @inlinable @inline(__always)
    public func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int {
        let queued = try muxer.send(payload, on: stream)
        hasSomethingToSay()
        return queued
    }

    /// Queues a slice that is shared, else as ``send(_:on:)-(QueuedSlice,_)`` does.
    @discardableResult @inlinable @inline(__always)
    public func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try send(QueuedSlice(payload), on: stream)
    }

    /// Ends this side of the stream behind what is queued (half-close). Harmless when repeated.
    public func finish(_ stream: StreamHandle) throws(MuxerError) {
        try muxer.finish(stream)
        hasSomethingToSay()
    }

    /// Ends the stream at once in both directions; what is queued is dropped.
    public func reset(_ stream: StreamHandle, code: UInt32 = 0) {
        muxer.reset(stream, code: code)
        hasSomethingToSay()
    }

    /// Bytes of the stream that were given to `send` and that no write has taken yet; see ``/Muxers/Muxer/unwrittenByteCount(on:in:)``.
    public func unwrittenByteCount(on stream: StreamHandle) -> Int { muxer.unwrittenByteCount(on: stream, in: hot.value.gather) }

    /// Gives back received bytes as credit.
    public func consume(_ stream: StreamHandle, byteCount: Int) {
        muxer.consume(stream, byteCount: byteCount)
        if isPaused, muxer.wantsInput {
            isPaused = false
            channel.resumeReceiving()
        }
        wantFlush()
    }

    /// Keeps received bytes beyond the callback. As long as the pool has blocks to spare this is a reference; when kept slices
    /// pin too many blocks the bytes are copied to storage of their own size, and counted.
    public func keep(_ block: Block, _ range: Range<Int>) -> Slice {
        if loop.pool.outstanding * 2 < loop.pool.blocksMax { return Slice(block, range) }
        noteCopiedOut(range.count)
        return Slice(copying: block.bytes(range))
    }

    /// Received bytes were copied elsewhere.
    func noteCopiedOut(_ byteCount: Int) { bytesCopiedOut += UInt64(byteCount) }

    /// Payload bytes that were copied on their way in or out.
    public var bytesCopied: UInt64 { hot.value.gather.payloadBytesCopied + bytesCopiedOut }

    /// Ends the connection in order: what is queued is sent, then this side is finished, and when the far end has finished too the handler
    /// hears of the end. Streams should be closed before. A far end that takes nothing for ``ConnectionLimits/closeNanoseconds`` is given up.
    public func close() {
        guard state == .open else { return }
        state = .closing
        muxer.close(code: .normal)
        armCloseTimer()
        wantFlush()
    }

    /// Ends the connection at once.
    public func abort(_ reason: ConnectionEnd = .aborted) {
        end(reason)
    }

    /// Has `flush` run at the end of this turn.
    public func wantFlush() {
        guard !hot.value.isFlushScheduled else { return }
        hot.value.isFlushScheduled = true
        loop.scheduleFlush(self)
    }

    public func turnEnded() {
        hot.value.isFlushScheduled = false
        flush()
    }

    // MARK: Receiving

    public func channelReceived(_ block: Block, _ range: Range<Int>) {
        // Handlers queue freely meanwhile: one write follows the whole read.
        let wasScheduled = hot.value.isFlushScheduled
        hot.value.isFlushScheduled = true
        var offset = range.lowerBound
        while offset < range.upperBound && state != .ended {
            do {
                offset += try muxer.receive(
                    block.bytes(offset..<range.upperBound), at: offset, now: loop.now, events: &hot.value.events)
            } catch {
                dispatchEvents(block)
                return fail(.muxer(error))
            }
            dispatchEvents(block)
            guard hot.value.hasSpoken, offset < range.upperBound else { continue }
            flush()
        }
        handler?.connectionBatchEnded(self)
        hot.value.isFlushScheduled = wasScheduled
        // A protocol without windows can hold the far end back only by not reading.
        if !muxer.wantsInput && !isPaused && state != .ended {
            isPaused = true
            channel.pauseReceiving()
        }
        flush()
    }

    /// Handles what the muxer reported, in order. `block` is where data events lie.
    private func dispatchEvents(_ block: Block) {
        guard let handler else { return hot.value.events.removeAll() }
        var index = 0
        // What the handler is done with: neighbouring messages are often of one stream, and are given back together.
        var (doneStream, doneBytes) = (StreamHandle.none, 0)
        // A handler may give the connection up: the rest of the batch is then nobody's.
        while index < hot.value.events.count, state != .ended {
            let event = hot.value.events[index]
            index += 1
            guard case .data(let stream, let offset, let count) = event else {
                dispatch(event, to: handler)
                continue
            }
            let done = handler.streamReceived(stream, block, Int(offset)..<Int(offset) + Int(count), on: self)
            if stream != doneStream {
                if doneBytes > 0 { muxer.consume(doneStream, byteCount: doneBytes) }
                (doneStream, doneBytes) = (stream, 0)
            }
            doneBytes += done
        }
        if doneBytes > 0 { muxer.consume(doneStream, byteCount: doneBytes) }
        hot.value.events.removeAll()
    }

    private func dispatch(_ event: MuxerEvent, to handler: any StreamHandler) {
        switch event {
        case .data, .roundTrip: break
        case .goAway: handler.connectionGoesAway(self)
        case .opened(let stream): handler.streamOpened(stream, on: self)
        case .finished(let stream): handler.streamFinished(stream, on: self)
        case .reset(let stream, let reset): handler.streamReset(stream, reset, on: self)
        case .closed(let stream): handler.streamClosed(stream, on: self)
        case .writable(let stream): handler.streamWritable(stream, on: self)
        case .canOpen: handler.connectionCanOpen(self)
        }
    }

    public func channelEnded() {
        guard state != .ended else { return }
        hasReceivedEnd = true
        let resetsBefore = muxer.counters.streamsReset
        muxer.receiveEnd(events: &hot.value.events)
        dispatchEvents(noBlock)
        handler?.connectionBatchEnded(self)
        let resets = Int(muxer.counters.streamsReset - resetsBefore)
        if resets > 0 { return end(.remoteClosed(openStreams: resets)) }
        flush()
    }

    public func channelFailed(_ error: ChannelError) {
        end(reason(error))
    }

    private func reason(_ error: ChannelError) -> ConnectionEnd {
        let failure = (channel as? SecuredChannel)?.failure
        switch (error, failure) {
        case (.reset, _), (.notSecure, .tls(.endedWithoutFarewell)?):
            return muxer.streamCount == 0 ? .orderly : .remoteClosed(openStreams: muxer.streamCount)
        case (.notSecure, let failure?): return .security(failure)
        default: return .channel(error)
        }
    }

    // MARK: Sending

    public func channelWritable() {
        isBlocked = false
        flush()
    }

    public func channelSent(_ byteCount: Int) {
        isSendPending = false
        settle(byteCount)
        flush()
    }

    /// One write of what is most urgent now; what remains is left to the next turn.
    private func flush() {
        guard state != .ended, !isSendPending, !isBlocked else { return }
        hot.value.hasSpoken = false
        fill()
        guard !hot.value.gather.isEmpty else {
            muxer.settle(events: &hot.value.events)
            dispatchOwnEvents()
            return finishWhenDone()
        }
        let outcome = channel.send(&hot.value.gather)
        if tellsOfWrites { lastWriteAt = loop.lastSendAt }
        switch outcome {
        case .complete(let byteCount):
            settle(byteCount)
        case .partial(let byteCount):
            isBlocked = true
            settle(byteCount)
        case .blocked:
            isBlocked = true
            settle(0)
        case .pending:
            isSendPending = true
            return armTimer()
        case .failed(let error):
            return end(reason(error))
        }
        guard !isBlocked else { return armTimer() }
        if muxer.hasOutput { wantFlush() } else { finishWhenDone() }
    }

    /// Fills the gather up to the write budget. Producers that are told of room add to their queues meanwhile.
    private func fill() {
        // After the half-close nothing more can be said: what the muxer would still answer, such as a ping, is for nobody.
        guard !hasFinishedSending else { return }
        while hot.value.gather.byteCount < budget.bytes, hot.value.gather.hasRoom, muxer.hasOutput {
            let before = hot.value.gather.byteCount
            muxer.transmit(into: &hot.value.gather, byteLimit: budget.bytes, now: loop.now, events: &hot.value.events)
            let hadEvents = !hot.value.events.isEmpty
            dispatchOwnEvents()
            if hot.value.gather.byteCount == before && !hadEvents { break }
        }
    }

    /// Events of `transmit` and `settle`: what handlers queue now is part of the flush under way.
    private func dispatchOwnEvents() {
        guard !hot.value.events.isEmpty else { return }
        let wasScheduled = hot.value.isFlushScheduled
        hot.value.isFlushScheduled = true
        dispatchEvents(noBlock)
        hot.value.isFlushScheduled = wasScheduled
    }

    /// The channel took `byteCount` bytes of the gather. Frames of which it took nothing go back to the muxer.
    private func settle(_ byteCount: Int) {
        let offered = hot.value.gather.byteCount
        hot.value.gather.advance(by: byteCount)
        if byteCount > 0 { writes += 1 }
        if byteCount < offered {
            if byteCount > 0 { partialWrites += 1 }
            while let frame = hot.value.gather.popUnbegun() { muxer.takeBack(frame) }
            hot.value.gather.trim()
        }
        cp_flush(UInt(bitPattern: ObjectIdentifier(muxer)), offered, byteCount)
        budget.adapt(offered: offered, taken: byteCount)
        if tellsOfWrites && byteCount > 0 { handler?.connectionWrote(self) }
        muxer.settle(events: &hot.value.events)
        dispatchOwnEvents()
    }

    /// Ends this side once there is nothing left to say, and the connection once both sides have.
    private func finishWhenDone() {
        guard state != .ended, hot.value.gather.isEmpty, hasFinishedSending || !muxer.hasOutput else { return armTimer() }
        let demand = muxer.connectionDemand
        if demand == .abort { return end(.aborted) }
        if hasReceivedEnd && state == .open && muxer.streamCount == 0 {
            // The far end is done and no stream is left: nothing more can happen here.
            close()
            return
        }
        guard state == .closing || demand == .finishSending else { return armTimer() }
        if !hasFinishedSending {
            hasFinishedSending = true
            channel.finishSending()
        }
        if hasReceivedEnd { end(.orderly) }
    }

    // MARK: Time and the end

    private func armTimer() {
        guard let due = muxer.deadline, state != .ended else { return }
        if let timer {
            // An early timer looks again, which is cheaper than moving it later at every flush. The time-out of a ping may come before the
            // keepalive that the timer was set for.
            if !timer.isArmed || due < timer.deadline { timer.arm(at: due) }
            return
        }
        // The cycle is broken at the end, and surely comes to it: the connection outlives its channel by nothing.
        let timer = loop.makeTimer { [self] in timerFired() }
        timer.arm(at: due)
        self.timer = timer
    }

    private func armCloseTimer() {
        let taken = channel.bytesSent
        closeTimer = loop.schedule(at: loop.refreshNow() &+ closeNanoseconds) { [self] in
            guard state != .ended else { return }
            // As long as the kernel takes bytes, which it does as the far end does, that one's end can still come.
            if channel.bytesSent > taken { armCloseTimer() } else { end(.aborted) }
        }
    }

    private func timerFired() {
        guard state != .ended, let due = muxer.deadline else { return }
        guard loop.now >= due else {
            timer?.arm(at: due)
            return
        }
        do {
            try muxer.advanceTime(to: loop.now, events: &hot.value.events)
            dispatchOwnEvents()
            flush()
            armTimer()
        } catch {
            fail(.muxer(error))
        }
    }

    /// The far end broke the protocol: the muxer's farewell goes out if the channel takes it, and that is the end.
    private func fail(_ reason: ConnectionEnd) {
        if state != .ended && !isSendPending && !isBlocked && hot.value.gather.isEmpty {
            muxer.transmit(into: &hot.value.gather, byteLimit: budget.bytes, now: loop.now, events: &hot.value.events)
            hot.value.events.removeAll()
            if !hot.value.gather.isEmpty { _ = channel.send(&hot.value.gather) }
        }
        end(reason)
    }

    private func end(_ reason: ConnectionEnd) {
        guard state != .ended else { return }
        state = .ended
        timer?.cancel()
        timer = nil
        closeTimer?.cancel()
        closeTimer = nil
        let handler = self.handler
        self.handler = nil
        handler?.connectionEnded(self, reason)
        channel.close()
    }
}
