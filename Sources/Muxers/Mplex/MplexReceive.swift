import Bytes
import CProbes

extension MplexMachine {
    mutating func receive(_ bytes: RawSpan, at base: Int, events: inout EventList) throws(MuxerError) -> Int {
        streams.recycle()
        guard !hasFailed else { throw .closing }
        let end = bytes.byteCount
        var offset = 0
        // One header or one piece of a body causes at most two events.
        while offset < end && events.count <= eventsPerReceiveMax - 4 {
            if bodyRemaining > 0 {
                offset += deliver(available: end - offset, at: base + offset, events: &events)
                continue
            }
            do throws(MuxerError) {
                guard let header = try reader.read(bytes, &offset) else { break }
                try accept(header, events: &events)
            } catch {
                throw fail(error)
            }
        }
        return offset
    }

    /// Hands on what has arrived of a body.
    @inline(__always)
    private mutating func deliver(available: Int, at position: Int, events: inout EventList) -> Int {
        let count = min(bodyRemaining, available)
        bodyRemaining -= count
        guard case .payload = body else {
            counters.received.openCloseBytes &+= UInt64(count)
            return count
        }
        counters.received.payloadBytes &+= UInt64(count)
        guard let index = bodyStream else {
            counters.lateBytes &+= UInt64(count)
            return count
        }
        guard Int(streams[index].unconsumed) + count <= limits.receiveBufferBytesMax else {
            counters.lateBytes &+= UInt64(count)
            abandon(index, .readerTooSlow, events: &events)
            return count
        }
        streams[index].unconsumed += UInt32(truncatingIfNeeded: count)
        events.push(.data(streams.handle(index), offset: UInt32(truncatingIfNeeded: position), count: UInt32(truncatingIfNeeded: count)))
        return count
    }

    @inline(__always)
    private mutating func accept(_ header: MplexHeader, events: inout EventList) throws(MuxerError) {
        guard header.flag != 7 else { throw .unknownFrameType(header.flag) }
        let limit = header.kind == MplexHeader.Kind.open ? limits.nameBytesMax : MplexLimits.messageBytesMax
        guard header.length <= UInt64(limit) else { throw .frameTooLarge(byteCount: header.length, limitBytes: limit) }
        bodyRemaining = Int(header.length)
        if header.kind == MplexHeader.Kind.message {
            counters.received.dataHeaderBytes &+= UInt64(header.byteCount)
            counters.received.dataFrames &+= 1
            cp_frame_decoded(connection, header.probed, CP_DATA, Int(truncatingIfNeeded: header.length))
            body = .payload
            bodyStream = try find(header)
            // Data behind the end ("Closing a stream": a protocol violation): the stream is broken, the connection is not.
            if let index = bodyStream, streams[index].flags.contains(.remoteFinished) { abandon(index, .dataAfterEnd, events: &events) }
            return
        }
        counters.received.openCloseBytes &+= UInt64(header.byteCount)
        cp_frame_decoded(connection, header.probed, CP_OPEN_CLOSE, 0)
        body = .ignored
        switch header.kind {
        case MplexHeader.Kind.open:
            try open(header.streamID, events: &events)
        case MplexHeader.Kind.close:
            if let index = try find(header) { finishRemote(index, events: &events) }
        default:
            guard let index = try find(header) else { return }
            events.push(.reset(streams.handle(index), .farEnd(code: 0)))
            counters.streamsReset += 1
            remove(index)
        }
    }

    /// The stream a message belongs to; nil when it has ended, and also when it was never opened. The specification is silent about
    /// the latter, and go-mplex and rust-libp2p drop such messages: an end that forgets what it has reset cannot tell the two apart.
    @inline(__always)
    private func find(_ header: MplexHeader) throws(MuxerError) -> Int? {
        guard let key = key(header.streamID) else { return nil }
        return streams.find(key: key, local: !header.isInitiators)
    }

    private mutating func open(_ id: UInt64, events: inout EventList) throws(MuxerError) {
        if let key = key(id), streams.find(key: key, local: false) != nil { throw .duplicateStream(streamID: id) }
        // One that opens, and has us reset what it opened, must not make us collect resets for ever.
        guard provokedResets < limits.controlFramesMax else { throw .tooManyControlFrames(limit: limits.controlFramesMax) }
        guard streams.count < limits.common.streamsMax, !isClosing else {
            queueReset(id, isLocal: false)
            counters.streamsReset += 1
            return
        }
        counters.streamsAccepted += 1
        let index = insert(key: makeKey(id), flags: [])
        events.push(.opened(streams.handle(index)))
    }

    private mutating func finishRemote(_ index: Int, events: inout EventList) {
        guard !streams[index].flags.contains(.remoteFinished) else { return }
        streams[index].flags.insert(.remoteFinished)
        events.push(.finished(streams.handle(index)))
        closeIfDone(index, events: &events)
    }

    /// Resets a stream whose far end breaks the rules or whose reader is too slow; the rest of its message is dropped.
    private mutating func abandon(_ index: Int, _ reason: StreamReset, events: inout EventList) {
        let stream = streams.handle(index)
        events.push(.reset(stream, reason))
        reset(stream)
    }
}
