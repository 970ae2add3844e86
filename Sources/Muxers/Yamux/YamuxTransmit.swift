import Bytes
import CProbes

/// What a frame's tag tells when the frame is taken back: stream, kind, and the flags that went with it.
private struct FrameTag {
    static let data: UInt64 = 0
    static let finish: UInt64 = 1
    static let marker: UInt64 = 2

    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    init(_ kind: UInt64, _ stream: StreamHandle, opens: Bool, acknowledges: Bool, origin: UInt64) {
        bits = kind | (opens ? 1 << 4 : 0) | (acknowledges ? 1 << 5 : 0) | origin << 6
            | UInt64(stream.generation & 0xffff) << 16 | UInt64(stream.index) << 32
    }

    var kind: UInt64 { bits & 0xf }
    var opens: Bool { bits & 1 << 4 != 0 }
    var acknowledges: Bool { bits & 1 << 5 != 0 }
    var origin: UInt64 { bits >> 6 & (1 << SendScheduler.Turn.originBitCount - 1) }
    var generation: UInt32 { UInt32(bits >> 16 & 0xffff) }
    var index: Int { Int(bits >> 32) }
}

extension YamuxMachine {
    /// Streams that were opened since, of a stream that lasts.
    private static let lastingStreamsMin: UInt32 = 64

    /// Mutating, though it changes nothing: the optimizer makes a getter that borrows so large a value copy it first.
    var hasOutput: Bool {
        mutating get { !control.isEmpty || (!hasFailed && (scheduler.hasTurn(marks.hold) || marks.isDue(openingsWait: scheduler.hasOpenings))) }
    }

    /// Control frames first: they are small, and credit and answers are what the far end waits for. Then data by turns.
    mutating func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList) {
        streams.recycle()
        isTransmitUnsettled = true
        transmittedAt = now
        roundTrip.start(at: now)
        while gather.byteCount < byteLimit, gather.hasRoom, let frame = control.pop() {
            emit(frame, into: &gather, now: now)
        }
        guard !hasFailed else { return }
        if marks.isDue(openingsWait: false) && gather.hasRoom { emitMark(into: &gather, now: now) }
        while gather.byteCount < byteLimit, gather.hasRoom, events.count < eventsPerTransmitMax,
            let turn = scheduler.next(marks.hold, &streams)
        {
            if turn.origin & SendScheduler.Turn.sparse != 0, scheduler.hasBulk || marks.remembersOpenings && isLasting(turn.index) {
                marks.rememberSparse()
            }
            if !streams[turn.index].queue.isEmpty {
                guard streams[turn.index].sendWindow > 0 else {
                    scheduler.blocked(turn.index, &streams)
                    continue
                }
                emitData(turn, into: &gather, byteLimit: byteLimit, now: now, events: &events)
            } else if streams[turn.index].hasSomethingToSend {
                emitFinish(turn, into: &gather)
            }
            scheduler.endTurn(turn.index, &streams)
        }
        if marks.isDue(openingsWait: scheduler.hasOpenings) && gather.hasRoom { emitMark(into: &gather, now: now) }
    }

    /// A message on a stream that was there before many others waits behind their openings. Without such a one streams that come and go may do so at their leisure.
    private func isLasting(_ index: Int) -> Bool {
        streams.openedSince(index) > Self.lastingStreamsMin && !streams[index].queue.isEmpty
    }

    @inline(__always)
    private func append(_ header: YamuxHeader, to gather: inout Gather) {
        gather.appendBigEndian(header.high)
        gather.appendBigEndian(header.length)
    }

    /// Takes what opens or acknowledges the stream, to be sent with its next frame.
    @inline(__always)
    private static func takeFirstFlags(_ stream: inout StreamRecord) -> YamuxHeader.Flags {
        let pending = stream.flags.intersection([.openPending, .acknowledgePending])
        guard !pending.isEmpty else { return [] }
        stream.flags.subtract([.openPending, .acknowledgePending])
        return pending.contains(.openPending) ? .syn : .ack
    }

    // MARK: Data

    /// Frames of the stream whose turn it is: many small ones, or one.
    @inline(__always)
    private mutating func emitData(
        _ turn: SendScheduler.Turn, into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList
    ) {
        let index = turn.index
        var sent = (frames: 0, payloadBytes: 0)
        if streams[index].queue.hasSeveral, streams[index].flags.isDisjoint(with: [.openPending, .acknowledgePending]) {
            sent = emitSmall(turn, into: &gather, byteLimit: byteLimit)
        }
        var opens = false
        if sent.frames == 0 { (sent.frames, (sent.payloadBytes, opens)) = (1, emitOne(turn, into: &gather)) }
        streams[index].sendWindow &-= UInt32(truncatingIfNeeded: sent.payloadBytes)
        if streams[index].dequeued(sent.payloadBytes, limits.common) { events.push(.writable(streams.handle(index))) }
        counters.sent.dataHeaderBytes &+= UInt64(truncatingIfNeeded: sent.frames &* YamuxHeader.byteCount)
        counters.sent.payloadBytes &+= UInt64(truncatingIfNeeded: sent.payloadBytes)
        counters.sent.dataFrames &+= UInt64(truncatingIfNeeded: sent.frames)
        guard marks.isEnabled else { return }
        marks.sent(sent.payloadBytes)
        if opens, marks.sentOpening() { streams[index].flags.insert(.unanswered) }
        if marks.isDue(openingsWait: false) { emitMark(into: &gather, now: now) }
    }

    /// Frames of small messages, as long as nothing has to be decided between them: none when the first one is not small.
    private mutating func emitSmall(
        _ turn: SendScheduler.Turn, into gather: inout Gather, byteLimit: Int
    ) -> (frames: Int, payloadBytes: Int) {
        let (connection, streamID, handle) = (connection, streams[turn.index].wireID, streams.handle(turn.index))
        func tag(_ origin: UInt64) -> UInt64 { FrameTag(FrameTag.data, handle, opens: false, acknowledges: false, origin: origin).bits }
        let series = Gather.FrameSeries(
            header: YamuxHeader(YamuxHeader.Kind.data, [], streamID: streamID, length: 0).high, firstTag: tag(turn.origin), tag: tag(turn.originOfTheRest))
        let allowance = FrameAllowance(
            framePayloadBytesMax: limits.common.framePayloadBytesMax, windowBytes: Int(streams[turn.index].sendWindow),
            payloadByteLimit: min(scheduler.byteCountLeft(streams[turn.index]), marks.byteCountToMark), byteLimit: byteLimit)
        return gather.appendFrames(series, from: &queues, &streams[turn.index].queue, upTo: allowance) { count in
            cp_frame_sent(connection, UInt(streamID), CP_DATA, count)
            #if BurnsCycles
            burn.perFrame()
            #endif
        }
    }

    /// One frame of whatever size, with what opens or acknowledges the stream. Returns the length of its payload, and whether it opens the stream.
    @inline(__always)
    private mutating func emitOne(_ turn: SendScheduler.Turn, into gather: inout Gather) -> (payloadBytes: Int, opens: Bool) {
        let index = turn.index
        let byteCountMax = min(Int(streams[index].sendWindow), limits.common.framePayloadBytesMax)
        let payload = queues.popFront(&streams[index].queue, byteCountMax: byteCountMax)
        let count = payload.count
        let flags = Self.takeFirstFlags(&streams[index])
        let streamID = streams[index].wireID
        let header = YamuxHeader(YamuxHeader.Kind.data, flags, streamID: streamID, length: UInt32(truncatingIfNeeded: count))
        let tag = FrameTag(
            FrameTag.data, streams.handle(index), opens: flags.contains(.syn), acknowledges: flags.contains(.ack), origin: turn.origin)
        gather.appendFrame(header: header.high, header.length, tag: tag.bits, payload: payload)
        cp_frame_sent(connection, UInt(streamID), CP_DATA, count)
        #if BurnsCycles
        burn.perFrame()
        #endif
        return (count, flags.contains(.syn))
    }

    /// A ping whose answer says that all data before it has arrived.
    private mutating func emitMark(into gather: inout Gather, now: Nanoseconds) {
        guard marks.engages(received: counters.received.payloadBytes) else { return }
        append(YamuxHeader(YamuxHeader.Kind.ping, .syn, streamID: 0, length: marks.mark(at: now)), to: &gather)
        gather.endFrame(tag: FrameTag(FrameTag.marker, .none, opens: false, acknowledges: false, origin: 0).bits)
        counters.sent.pingBytes &+= 12
        cp_frame_sent(connection, 0, CP_PING, 0)
    }

    /// The end of a stream is a frame of its own: on a data frame some receivers see the end before the data.
    private mutating func emitFinish(_ turn: SendScheduler.Turn, into gather: inout Gather) {
        let index = turn.index
        if !streams[index].flags.isDisjoint(with: [.openPending, .acknowledgePending]) {
            // Some receivers overlook FIN beside ACK, so the stream is announced first.
            emitAnnouncement(index, into: &gather)
        }
        streams[index].flags.insert([.finishSent, .finishUnsettled])
        let id = streams[index].wireID
        append(YamuxHeader(YamuxHeader.Kind.data, .fin, streamID: id, length: 0), to: &gather)
        gather.endFrame(
            tag: FrameTag(FrameTag.finish, streams.handle(index), opens: false, acknowledges: false, origin: turn.origin).bits)
        counters.sent.openCloseBytes &+= 12
        cp_frame_sent(connection, UInt(id), CP_OPEN_CLOSE, 0)
        unsettled.push(streams.handle(index))
    }

    // MARK: Control

    private mutating func emit(_ frame: YamuxControl, into gather: inout Gather, now: Nanoseconds) {
        switch frame {
        case .announce(let stream):
            guard let index = streams.resolve(stream) else { return }
            let isPending = !streams[index].flags.isDisjoint(with: [.openPending, .acknowledgePending])
            // With data waiting its first frame does it, at no cost.
            guard isPending, streams[index].queue.isEmpty else { return }
            emitAnnouncement(index, into: &gather)
        case .update(let stream):
            guard let index = streams.resolve(stream) else { return }
            emitUpdate(index, into: &gather, now: now)
        case .reset(let streamID, let code):
            emitPinned(YamuxHeader(YamuxHeader.Kind.windowUpdate, .rst, streamID: streamID, length: code), into: &gather)
            counters.sent.openCloseBytes &+= 12
            cp_frame_sent(connection, UInt(streamID), CP_OPEN_CLOSE, 0)
        case .pong(let value):
            emitPinned(YamuxHeader(YamuxHeader.Kind.ping, .ack, streamID: 0, length: value), into: &gather)
            counters.sent.pingBytes &+= 12
            cp_frame_sent(connection, 0, CP_PING, 0)
        case .ping:
            emitPinned(YamuxHeader(YamuxHeader.Kind.ping, .syn, streamID: 0, length: roundTrip.sent(at: now)), into: &gather)
            counters.sent.pingBytes &+= 12
            cp_frame_sent(connection, 0, CP_PING, 0)
        case .goAway(let code):
            emitPinned(YamuxHeader(YamuxHeader.Kind.goAway, [], streamID: 0, length: code), into: &gather)
            counters.sent.openCloseBytes &+= 12
            cp_frame_sent(connection, 0, CP_OPEN_CLOSE, 0)
        }
    }

    /// A frame that stays in the gather: it is small, it stands in front, and taking it back would gain nothing.
    private func emitPinned(_ header: YamuxHeader, into gather: inout Gather) {
        append(header, to: &gather)
        gather.endPinnedFrame()
    }

    private mutating func emitAnnouncement(_ index: Int, into gather: inout Gather) {
        let flags = Self.takeFirstFlags(&streams[index])
        let id = streams[index].wireID
        emitPinned(YamuxHeader(YamuxHeader.Kind.windowUpdate, flags, streamID: id, length: 0), into: &gather)
        if marks.isEnabled, flags.contains(.syn), marks.sentOpening() { streams[index].flags.insert(.unanswered) }
        counters.sent.openCloseBytes &+= 12
        cp_frame_sent(connection, UInt(id), CP_OPEN_CLOSE, 0)
    }

    private mutating func emitUpdate(_ index: Int, into gather: inout Gather, now: Nanoseconds) {
        streams[index].flags.remove(.updateQueued)
        guard !streams[index].flags.contains(.remoteFinished) else { return }
        tuneWindow(index, now: now)
        let grant = streams[index].windowTarget - streams[index].receiveWindow - streams[index].unconsumed
        guard grant > 0 else { return }
        streams[index].receiveWindow += grant
        let flags = Self.takeFirstFlags(&streams[index])
        let id = streams[index].wireID
        emitPinned(YamuxHeader(YamuxHeader.Kind.windowUpdate, flags, streamID: id, length: grant), into: &gather)
        cp_window_update_sent(connection, UInt(id), Int(grant))
        if flags.isEmpty {
            counters.sent.windowUpdateBytes &+= 12
            counters.sent.windowUpdateFrames &+= 1
            cp_frame_sent(connection, UInt(id), CP_WINDOW_UPDATE, Int(grant))
        } else {
            counters.sent.openCloseBytes &+= 12
            cp_frame_sent(connection, UInt(id), CP_OPEN_CLOSE, 0)
        }
    }

    /// Doubles the receive window when half of it went within four round trips: the far end could send more than it is let.
    private mutating func tuneWindow(_ index: Int, now: Nanoseconds) {
        if roundTrip.isStale(at: now) { requestPing() }
        defer { streams[index].windowEpoch = now }
        guard let roundTripTime = roundTrip.latest, now &- streams[index].windowEpoch < 4 * roundTripTime else { return }
        let window = streams[index].windowTarget
        let growth = min(window, limits.windowBytesMax - min(window, limits.windowBytesMax))
        guard growth > 0, windowGrowth + Int(growth) <= limits.windowBudgetBytesMax else { return }
        streams[index].windowTarget += growth
        windowGrowth += Int(growth)
        windowBytesLargest = max(windowBytesLargest, streams[index].windowTarget)
    }

    // MARK: Taking back

    /// Whether a frame with this tag carries data of `stream`.
    func isOfFrame(tag bits: UInt64, _ stream: StreamHandle) -> Bool {
        let tag = FrameTag(bits: bits)
        return tag.kind == FrameTag.data && tag.index == Int(stream.index) && tag.generation == stream.generation & 0xffff
    }

    mutating func takeBack(_ frame: consuming Gather.Frame) {
        let tag = FrameTag(bits: frame.tag)
        let byteCount = frame.payloadByteCount
        let stream = streams.resolveTagged(tag.index, generation: tag.generation)
        let streamID = stream.map { UInt(streams[$0].wireID) } ?? .max
        switch tag.kind {
        case FrameTag.data:
            cp_frame_taken_back(connection, streamID, CP_DATA, byteCount)
            counters.sent.dataHeaderBytes &-= 12
            counters.sent.payloadBytes &-= UInt64(byteCount)
            counters.sent.dataFrames &-= 1
            marks.takeBack(byteCount, opens: tag.opens)
            // A stream that was reset meanwhile wants nothing back.
            guard let index = stream, let payload = frame.takePayload() else {
                if tag.opens { forgetReset(tag.index, generation: tag.generation) }
                return
            }
            queues.pushFront(payload, on: &streams[index].queue)
            streams[index].queuedBytes += UInt32(truncatingIfNeeded: byteCount)
            // The far end may have granted more while the frame was under way, up to the largest window there is.
            let (window, overflow) = streams[index].sendWindow.addingReportingOverflow(UInt32(truncatingIfNeeded: byteCount))
            streams[index].sendWindow = overflow ? .max : window
            if tag.opens {
                streams[index].flags.insert(.openPending)
                forgetOpening(index)
            }
            if tag.acknowledges { streams[index].flags.insert(.acknowledgePending) }
            scheduler.takeBack(index, byteCount: byteCount, origin: tag.origin, &streams)
        case FrameTag.finish:
            cp_frame_taken_back(connection, streamID, CP_OPEN_CLOSE, 0)
            counters.sent.openCloseBytes &-= 12
            guard let index = stream else { return }
            streams[index].flags.subtract([.finishSent, .finishUnsettled])
            scheduler.takeBack(index, byteCount: 0, origin: tag.origin, &streams)
        default:
            cp_frame_taken_back(connection, 0, CP_PING, 0)
            counters.sent.pingBytes &-= 12
            marks.takeBackMark()
        }
    }
}
