import Bytes
import CProbes

extension YamuxMachine {
    mutating func receive(
        _ bytes: RawSpan, at base: Int, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int {
        streams.recycle()
        guard !hasFailed else { throw .closing }
        roundTrip.heard(at: now)
        let end = bytes.byteCount
        var offset = 0
        var (wholeFrames, wholePayloadBytes) = (0, 0)
        defer { countWhole(wholeFrames, payloadBytes: wholePayloadBytes) }
        // One header causes at most four events.
        while offset < end && events.count <= eventsPerReceiveMax - 4 {
            if bodyRemaining > 0 {
                offset += deliver(available: end - offset, at: base + offset, events: &events)
            } else if carriedCount == 0 && end - offset >= YamuxHeader.byteCount {
                let header = YamuxHeader(high: bytes.bigEndian64(at: offset), length: bytes.bigEndian32(at: offset + 8))
                offset += YamuxHeader.byteCount
                let count = Int(header.length)
                if header.isPlainData, count <= end &- offset, deliverWhole(header, at: base &+ offset, events: &events) {
                    offset &+= count
                    wholeFrames &+= 1
                    wholePayloadBytes &+= count
                } else {
                    try accept(header, now: now, events: &events)
                }
            } else {
                carry(bytes.byte(at: offset))
                offset += 1
                guard carriedCount == YamuxHeader.byteCount else { continue }
                carriedCount = 0
                try accept(YamuxHeader(high: carriedHigh, length: carriedLow), now: now, events: &events)
            }
        }
        return offset
    }

    /// Most frames: data for a stream that is open both ways, whole in what was read, within the window. Hands its body on, or returns false with nothing done when it is something else.
    @inline(__always)
    private mutating func deliverWhole(_ header: YamuxHeader, at position: Int, events: inout EventList) -> Bool {
        let (id, length) = (header.streamID, header.length)
        guard let index = streams.find(key: key(id), local: isLocalID(id)),
            streams[index].flags.isDisjoint(with: [.unacknowledged, .unanswered, .remoteFinished]), length <= streams[index].receiveWindow
        else { return false }
        streams[index].receiveWindow &-= length
        // The two together are at most the window's size.
        streams[index].unconsumed &+= length
        cp_frame_decoded(connection, UInt(id), CP_DATA, Int(length))
        events.push(.data(streams.handle(index), offset: UInt32(truncatingIfNeeded: position), count: length))
        return true
    }

    @inline(__always)
    private mutating func countWhole(_ frames: Int, payloadBytes: Int) {
        counters.received.dataFrames &+= UInt64(truncatingIfNeeded: frames)
        counters.received.dataHeaderBytes &+= UInt64(truncatingIfNeeded: frames &* YamuxHeader.byteCount)
        counters.received.payloadBytes &+= UInt64(truncatingIfNeeded: payloadBytes)
    }

    /// Keeps one byte of a header that a read has cut.
    private mutating func carry(_ byte: UInt8) {
        if carriedCount < 8 {
            carriedHigh = carriedHigh << 8 | UInt64(byte)
        } else {
            carriedLow = carriedLow << 8 | UInt32(byte)
        }
        carriedCount += 1
    }

    /// Hands on what has arrived of a data frame's body.
    @inline(__always)
    private mutating func deliver(available: Int, at position: Int, events: inout EventList) -> Int {
        let count = min(Int(bodyRemaining), available)
        bodyRemaining -= UInt32(truncatingIfNeeded: count)
        counters.received.payloadBytes &+= UInt64(count)
        guard let index = bodyStream else {
            counters.lateBytes &+= UInt64(count)
            return count
        }
        events.push(.data(streams.handle(index), offset: UInt32(truncatingIfNeeded: position), count: UInt32(truncatingIfNeeded: count)))
        if bodyRemaining == 0 && bodyFinishes { finishRemote(index, events: &events) }
        return count
    }

    @inline(__always)
    private mutating func accept(_ header: YamuxHeader, now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        guard header.version == 0 else { throw fail(.unsupportedVersion(header.version)) }
        switch header.kind {
        case YamuxHeader.Kind.data: try acceptData(header, now: now, events: &events)
        case YamuxHeader.Kind.windowUpdate: try acceptWindowUpdate(header, now: now, events: &events)
        case YamuxHeader.Kind.ping: try acceptPing(header, now: now, events: &events)
        case YamuxHeader.Kind.goAway: try acceptGoAway(header, events: &events)
        default: throw fail(.unknownFrameType(header.kind))
        }
    }

    @inline(__always)
    private mutating func acceptData(_ header: YamuxHeader, now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        let length = header.length
        if length > 0 {
            counters.received.dataHeaderBytes &+= 12
            counters.received.dataFrames &+= 1
            cp_frame_decoded(connection, UInt(header.streamID), CP_DATA, Int(length))
        } else {
            counters.received.openCloseBytes &+= 12
            cp_frame_decoded(connection, UInt(header.streamID), CP_OPEN_CLOSE, 0)
        }
        bodyRemaining = length
        bodyFinishes = false
        guard let index = try find(header, now: now, events: &events) else {
            bodyStream = nil
            return
        }
        bodyStream = index
        if length > 0 {
            guard !streams[index].flags.contains(.remoteFinished) else {
                // Data behind the end: the stream is broken, the connection is not.
                return abandon(index, events: &events)
            }
            guard length <= streams[index].receiveWindow else {
                throw fail(.windowExceeded(
                    streamID: UInt64(header.streamID), byteCount: Int(length), windowBytes: Int(streams[index].receiveWindow)))
            }
            streams[index].receiveWindow -= length
            streams[index].unconsumed += length
        }
        guard header.flags.contains(.fin) else { return }
        if length == 0 { finishRemote(index, events: &events) } else { bodyFinishes = true }
    }

    private mutating func acceptWindowUpdate(
        _ header: YamuxHeader, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) {
        if header.flags.isEmpty {
            counters.received.windowUpdateBytes &+= 12
            counters.received.windowUpdateFrames &+= 1
            cp_frame_decoded(connection, UInt(header.streamID), CP_WINDOW_UPDATE, Int(header.length))
        } else {
            counters.received.openCloseBytes &+= 12
            cp_frame_decoded(connection, UInt(header.streamID), CP_OPEN_CLOSE, 0)
        }
        guard let index = try find(header, now: now, events: &events) else { return }
        let (window, overflow) = streams[index].sendWindow.addingReportingOverflow(header.length)
        guard !overflow else { throw fail(.windowOverflow(streamID: UInt64(header.streamID))) }
        streams[index].sendWindow = window
        if streams[index].hasSomethingToSend {
            wake(index)
            if sendClock.state == .window { sendClock.enter(.sending, at: now) }
        }
        if header.flags.contains(.fin) { finishRemote(index, events: &events) }
    }

    /// The stream a frame belongs to, after its SYN, ACK and RST have been obeyed; nil when the stream has ended.
    @inline(__always)
    private mutating func find(
        _ header: YamuxHeader, now: Nanoseconds, events: inout EventList
    ) throws(MuxerError) -> Int? {
        let flags = header.flags
        let id = header.streamID
        if flags.contains(.syn) { try open(id, now: now, events: &events) }
        let local = isLocalID(id)
        guard let index = streams.find(key: key(id), local: local) else {
            // Frames that were under way when the stream ended (specification, "Half-close"; every implementation sends them).
            guard id != 0 && (local ? id < nextLocalID : id <= highestRemoteID) else {
                throw fail(.unopenedStream(streamID: UInt64(id)))
            }
            return nil
        }
        if local && !streams[index].flags.isDisjoint(with: [.unacknowledged, .unanswered]) {
            // Any answer acknowledges: some implementations put ACK on their first frame only, others forget it.
            if streams[index].flags.contains(.unacknowledged) { acknowledge(index, events: &events) }
            if header.kind == YamuxHeader.Kind.data, streams[index].flags.contains(.unanswered) {
                streams[index].flags.remove(.unanswered)
                marks.openingAnswered()
            }
        }
        if flags.contains(.rst) {
            // RST's length is an error code where the implementation sends one.
            let code = header.kind == YamuxHeader.Kind.windowUpdate ? header.length : 0
            events.push(.reset(streams.handle(index), .farEnd(code: code)))
            counters.streamsReset += 1
            remove(index)
            return nil
        }
        return index
    }

    private mutating func open(_ id: UInt32, now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        guard id != 0, !isLocalID(id) else { throw fail(.wrongStreamParity(streamID: UInt64(id))) }
        guard streams.find(key: key(id), local: false) == nil else { throw fail(.duplicateStream(streamID: UInt64(id))) }
        highestRemoteID = max(highestRemoteID, id)
        // Every opening is answered, be it only to say no; one that resets what it opens must not make us collect answers for ever.
        try checkControlCount()
        guard streams.count < limits.common.streamsMax, !closeQueued else {
            control.push(.reset(streamID: id, code: 0))
            counters.streamsReset += 1
            return
        }
        counters.streamsAccepted += 1
        events.push(.opened(insert(id, flags: .acknowledgePending, now: now)))
    }

    private mutating func acknowledge(_ index: Int, events: inout EventList) {
        streams[index].flags.remove(.unacknowledged)
        unacknowledged -= 1
        // Tell only when a good part is free again, so that a burst of openings follows and not one at a time.
        if openWasRefused && unacknowledged <= limits.unacknowledgedStreamsMax / 2 {
            openWasRefused = false
            events.push(.canOpen)
        }
    }

    private mutating func finishRemote(_ index: Int, events: inout EventList) {
        bodyFinishes = false
        guard !streams[index].flags.contains(.remoteFinished) else { return }
        streams[index].flags.insert(.remoteFinished)
        events.push(.finished(streams.handle(index)))
        closeIfDone(index, events: &events)
    }

    /// Resets a stream whose far end breaks the rules; the rest of its frame is dropped.
    private mutating func abandon(_ index: Int, events: inout EventList) {
        let stream = streams.handle(index)
        events.push(.reset(stream, .dataAfterEnd))
        reset(stream, code: 0)
    }

    private mutating func acceptPing(_ header: YamuxHeader, now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        counters.received.pingBytes &+= 12
        cp_frame_decoded(connection, UInt(header.streamID), CP_PING, 0)
        guard header.streamID == 0 else { throw fail(.sessionFrameExpected(streamID: UInt64(header.streamID))) }
        if header.flags.contains(.syn) {
            control.push(.pong(header.length))
            try checkControlCount()
        } else if header.flags.contains(.ack) {
            marks.confirm(header.length, at: now)
            if let time = roundTrip.answered(header.length, at: now) { events.push(.roundTrip(time)) }
        }
    }

    private mutating func acceptGoAway(_ header: YamuxHeader, events: inout EventList) throws(MuxerError) {
        counters.received.openCloseBytes &+= 12
        cp_frame_decoded(connection, UInt(header.streamID), CP_OPEN_CLOSE, 0)
        guard header.streamID == 0 else { throw fail(.sessionFrameExpected(streamID: UInt64(header.streamID))) }
        remoteGoAway = header.length
        events.push(.goAway(code: header.length))
    }

    private mutating func checkControlCount() throws(MuxerError) {
        guard control.count <= limits.controlFramesMax else {
            throw fail(.tooManyControlFrames(limit: limits.controlFramesMax))
        }
    }
}
