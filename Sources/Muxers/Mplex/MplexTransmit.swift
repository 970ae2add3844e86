import Bytes

/// What a frame's tag tells when the frame is taken back: stream, kind, and the size of the header that went with it.
private struct FrameTag {
    static let data: UInt64 = 0
    static let close: UInt64 = 1

    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    init(_ kind: UInt64, _ stream: StreamHandle, headerByteCount: Int, origin: UInt64) {
        bits = kind | origin << 1 | UInt64(headerByteCount) << 8
            | UInt64(stream.generation & 0xffff) << 16 | UInt64(stream.index) << 32
    }

    var kind: UInt64 { bits & 1 }
    var origin: UInt64 { bits >> 1 & (1 << SendScheduler.Turn.originBitCount - 1) }
    var headerByteCount: UInt64 { bits >> 8 & 0xff }
    var generation: UInt32 { UInt32(bits >> 16 & 0xffff) }
    var index: Int { Int(bits >> 32) }
}

extension MplexMachine {
    var hasOutput: Bool { !hasFailed && (!control.isEmpty || !scheduler.isEmpty) }

    /// Openings and resets first, as they are small; then data by turns. An opening is always transmitted before its stream's data, and
    /// stays in the gather, so that no data can overtake it.
    mutating func transmit(into gather: inout Gather, byteLimit: Int, events: inout EventList) {
        streams.recycle()
        guard !hasFailed else { return }
        while gather.byteCount < byteLimit, gather.hasRoom, let frame = control.pop() {
            emit(frame, into: &gather)
        }
        while gather.byteCount < byteLimit, gather.hasRoom, events.count < eventsPerCallMax, let turn = scheduler.next(&streams) {
            if !streams[turn.index].queue.isEmpty {
                emitData(turn, into: &gather, events: &events)
            } else {
                if streams[turn.index].hasSomethingToSend { emitClose(turn, into: &gather) }
                scheduler.charge(turn.index, byteCount: 0, hasMore: false, &streams)
            }
        }
    }

    @inline(__always)
    private mutating func emitData(_ turn: SendScheduler.Turn, into gather: inout Gather, events: inout EventList) {
        let index = turn.index
        let front = queues.frontByteCount(streams[index].queue)
        let count = min(front, limits.common.framePayloadBytesMax, MplexLimits.messageBytesMax)
        let payload = count == front
            ? queues.popFront(&streams[index].queue) : queues.splitFront(&streams[index].queue, byteCount: count)
        let headerByteCount = append(MplexHeader.Kind.message, index, length: count, to: &gather)
        gather.endFrame(
            tag: FrameTag(FrameTag.data, streams.handle(index), headerByteCount: headerByteCount, origin: turn.origin).bits,
            payload: payload)

        counters.sent.dataHeaderBytes &+= UInt64(headerByteCount)
        counters.sent.payloadBytes &+= UInt64(count)
        counters.sent.dataFrames &+= 1
        streams[index].queuedBytes -= UInt32(truncatingIfNeeded: count)
        if streams[index].flags.contains(.writableWanted) && Int(streams[index].queuedBytes) <= limits.common.sendLowWaterBytes {
            streams[index].flags.remove(.writableWanted)
            events.push(.writable(streams.handle(index)))
        }
        scheduler.charge(index, byteCount: count, hasMore: streams[index].hasSomethingToSend, &streams)
    }

    private mutating func emitClose(_ turn: SendScheduler.Turn, into gather: inout Gather) {
        let index = turn.index
        streams[index].flags.insert([.finishSent, .finishUnsettled])
        let headerByteCount = append(MplexHeader.Kind.close, index, length: 0, to: &gather)
        gather.endFrame(
            tag: FrameTag(FrameTag.close, streams.handle(index), headerByteCount: headerByteCount, origin: turn.origin).bits)
        counters.sent.openCloseBytes &+= UInt64(headerByteCount)
        unsettled.push(streams.handle(index))
    }

    @inline(__always)
    private func append(_ kind: UInt8, _ index: Int, length: Int, to gather: inout Gather) -> Int {
        MplexHeader.append(
            kind, streamID: wireID(index), isLocal: streams[index].flags.contains(.local), length: length, to: &gather)
    }

    private mutating func emit(_ frame: MplexControl, into gather: inout Gather) {
        let byteCount: Int
        switch frame {
        case .open(let stream):
            guard let index = streams.resolve(stream) else { return }
            streams[index].flags.remove(.openPending)
            byteCount = appendOpening(wireID(index), to: &gather)
        case .reset(let streamID, let isLocal):
            if !isLocal { provokedResets -= 1 }
            byteCount = MplexHeader.append(MplexHeader.Kind.reset, streamID: streamID, isLocal: isLocal, length: 0, to: &gather)
        }
        gather.endPinnedFrame()
        counters.sent.openCloseBytes &+= UInt64(byteCount)
    }

    /// The opening with the identifier in decimal as the stream's name, as go-mplex names its streams.
    private func appendOpening(_ streamID: UInt64, to gather: inout Gather) -> Int {
        var divisor: UInt64 = 1
        var digits = 1
        while streamID / divisor >= 10 {
            divisor *= 10
            digits += 1
        }
        let headerByteCount = MplexHeader.append(MplexHeader.Kind.open, streamID: streamID, isLocal: true, length: digits, to: &gather)
        while divisor > 0 {
            gather.appendByte(UInt8(ascii: "0") + UInt8(streamID / divisor % 10))
            divisor /= 10
        }
        return headerByteCount + digits
    }

    mutating func takeBack(_ frame: consuming Gather.Frame) {
        let tag = FrameTag(bits: frame.tag)
        let stream = streams.resolveTagged(tag.index, generation: tag.generation)
        guard tag.kind == FrameTag.data else {
            counters.sent.openCloseBytes &-= tag.headerByteCount
            guard let index = stream else { return }
            streams[index].flags.subtract([.finishSent, .finishUnsettled])
            return scheduler.takeBack(index, byteCount: 0, origin: tag.origin, &streams)
        }
        let byteCount = frame.payloadByteCount
        counters.sent.dataHeaderBytes &-= tag.headerByteCount
        counters.sent.payloadBytes &-= UInt64(byteCount)
        counters.sent.dataFrames &-= 1
        // A stream that was reset meanwhile wants nothing back.
        guard let index = stream, let payload = frame.takePayload() else { return }
        queues.pushFront(payload, on: &streams[index].queue)
        streams[index].queuedBytes += UInt32(truncatingIfNeeded: byteCount)
        scheduler.takeBack(index, byteCount: byteCount, origin: tag.origin, &streams)
    }
}
