import Bytes
import CProbes

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
    /// Mutating, though it changes nothing: the optimizer makes a getter that borrows so large a value copy it first.
    var hasOutput: Bool { mutating get { !hasFailed && (!control.isEmpty || !scheduler.isEmpty) } }

    /// Openings and resets first, as they are small; then data by turns. An opening is always transmitted before its stream's data, and
    /// stays in the gather, so that no data can overtake it.
    mutating func transmit(into gather: inout Gather, byteLimit: Int, events: inout EventList) {
        streams.recycle()
        guard !hasFailed else { return }
        while gather.byteCount < byteLimit, gather.hasRoom, let frame = control.pop() {
            emit(frame, into: &gather)
        }
        while gather.byteCount < byteLimit, gather.hasRoom, events.count < eventsPerTransmitMax, let turn = scheduler.next(.nothing, &streams) {
            if !streams[turn.index].queue.isEmpty {
                emitData(turn, into: &gather, byteLimit: byteLimit, events: &events)
            } else if streams[turn.index].hasSomethingToSend {
                emitClose(turn, into: &gather)
            }
            scheduler.endTurn(turn.index, &streams)
        }
    }

    /// The frames of one turn. The stream's record is worked on outside the table, where nothing else can change it.
    private mutating func emitData(
        _ turn: SendScheduler.Turn, into gather: inout Gather, byteLimit: Int, events: inout EventList
    ) {
        let streamID = wireID(turn.index)
        var stream = streams[turn.index]
        let handle = stream.handle(turn.index)
        let isLocal = stream.flags.contains(.local)
        let connection = connection
        var origin = turn.origin
        var (frames, headerBytes, payloadBytes): (UInt64, UInt64, UInt64) = (0, 0, 0)
        repeat {
            let payload = queues.popFront(
                &stream.queue, byteCountMax: min(limits.common.framePayloadBytesMax, MplexLimits.messageBytesMax))
            let count = payload.count
            let headerByteCount = MplexHeader.append(
                MplexHeader.Kind.message, streamID: streamID, isLocal: isLocal, length: count, to: &gather)
            gather.endFrame(
                tag: FrameTag(FrameTag.data, handle, headerByteCount: headerByteCount, origin: origin).bits, payload: payload)
            origin = turn.originOfTheRest
            cp_frame_sent(connection, Self.probed(stream), CP_DATA, count)

            frames &+= 1
            headerBytes &+= UInt64(truncatingIfNeeded: headerByteCount)
            payloadBytes &+= UInt64(truncatingIfNeeded: count)
            if stream.dequeued(count, limits.common) { events.push(.writable(handle)) }
        } while !stream.queue.isEmpty && scheduler.keepsTurn(stream) && gather.byteCount < byteLimit && gather.hasRoom
            && events.count < eventsPerTransmitMax
        streams[turn.index] = stream
        counters.sent.dataHeaderBytes &+= headerBytes
        counters.sent.payloadBytes &+= payloadBytes
        counters.sent.dataFrames &+= frames
    }

    private mutating func emitClose(_ turn: SendScheduler.Turn, into gather: inout Gather) {
        let index = turn.index
        streams[index].flags.insert([.finishSent, .finishUnsettled])
        let headerByteCount = MplexHeader.append(
            MplexHeader.Kind.close, streamID: wireID(index), isLocal: streams[index].flags.contains(.local), length: 0, to: &gather)
        gather.endFrame(
            tag: FrameTag(FrameTag.close, streams.handle(index), headerByteCount: headerByteCount, origin: turn.origin).bits)
        counters.sent.openCloseBytes &+= UInt64(headerByteCount)
        cp_frame_sent(connection, Self.probed(streams[index]), CP_OPEN_CLOSE, 0)
        unsettled.push(streams.handle(index))
    }

    private mutating func emit(_ frame: MplexControl, into gather: inout Gather) {
        let byteCount: Int
        let probed: UInt
        switch frame {
        case .open(let stream):
            guard let index = streams.resolve(stream) else { return }
            probed = Self.probed(streams[index])
            streams[index].flags.remove(.openPending)
            byteCount = appendOpening(wireID(index), to: &gather)
        case .reset(let streamID, let isLocal):
            if !isLocal { provokedResets -= 1 }
            probed = UInt(streamID) << 1 | (isLocal ? 1 : 0)
            byteCount = MplexHeader.append(MplexHeader.Kind.reset, streamID: streamID, isLocal: isLocal, length: 0, to: &gather)
        }
        gather.endPinnedFrame()
        counters.sent.openCloseBytes &+= UInt64(byteCount)
        cp_frame_sent(connection, probed, CP_OPEN_CLOSE, 0)
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

    /// Whether a frame with this tag carries data of `stream`.
    func isOfFrame(tag bits: UInt64, _ stream: StreamHandle) -> Bool {
        let tag = FrameTag(bits: bits)
        return tag.kind == FrameTag.data && tag.index == Int(stream.index) && tag.generation == stream.generation & 0xffff
    }

    mutating func takeBack(_ frame: consuming Gather.Frame) {
        let tag = FrameTag(bits: frame.tag)
        let stream = streams.resolveTagged(tag.index, generation: tag.generation)
        let probed = stream.map { Self.probed(streams[$0]) } ?? .max
        guard tag.kind == FrameTag.data else {
            cp_frame_taken_back(connection, probed, CP_OPEN_CLOSE, 0)
            counters.sent.openCloseBytes &-= tag.headerByteCount
            guard let index = stream else { return }
            streams[index].flags.subtract([.finishSent, .finishUnsettled])
            return scheduler.takeBack(index, byteCount: 0, origin: tag.origin, &streams)
        }
        let byteCount = frame.payloadByteCount
        cp_frame_taken_back(connection, probed, CP_DATA, byteCount)
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
