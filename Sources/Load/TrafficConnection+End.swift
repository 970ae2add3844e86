import Bytes
import Gauge
import Kernel
import Muxers
import P2P

/// How the measured window is cut out of a connection's traffic, and how the traffic ends.
extension TrafficConnection {
    // MARK: The window

    /// Notes where each stream stands, so that what it receives in the window can be told.
    func beginWindow(at now: Nanoseconds) {
        state.value.longestSilence = 0
        for place in 0..<state.value.lanes.count where state.value.lanes[place].role != .vacant {
            state.value.lanes[place].bytesAtWindow = receivedBytes(state.value.lanes[place])
            state.value.lanes[place].heardAt = now
        }
    }

    func endWindow(into harvest: inout Harvest) {
        harvest.noteSilence(state.value.longestSilence)
        for place in 0..<state.value.lanes.count { state.value.lanes[place].heardAt = 0 }
        for place in 0..<state.value.lanes.count { noteWindowBytes(state.value.lanes[place], &harvest) }
    }

    /// What a stream received in the window, at the window's end or its own. Requests are not compared with the bulk beside them.
    private func noteWindowBytes(_ lane: Lane, _ harvest: inout Harvest) {
        guard !shard.flows[Int(lane.flow)].verb.isEphemeral, lane.flow > 0 || shard.flows.count == 1 else { return }
        switch lane.role {
        case .sink, .duplex, .requester: harvest.windowBytes.append(receivedBytes(lane) - lane.bytesAtWindow)
        case .vacant, .source, .responder: break
        }
    }

    private func receivedBytes(_ lane: Lane) -> UInt64 {
        lane.received.messages * UInt64(shard.shapes[Int(lane.flow)].messageBytes) + UInt64(lane.offset)
    }

    // MARK: The end

    func stopTraffic() {
        // Streams that could not be opened yet, because the far end has not acknowledged enough of the others, would carry nothing any more.
        wanted = 0
        for reader in pacedReaders { reader?.finish() }
    }

    /// Sends a last message that both ends check whole, and finishes; requesters wait for its answer. Nothing else is under way by now.
    func finishTraffic() {
        guard let connection else { return }
        for place in 0..<state.value.lanes.count where state.value.lanes[place].role != .vacant && !state.value.lanes[place].isFinished {
            switch state.value.lanes[place].role {
            case .source, .duplex:
                if shard.mayClose() { _ = sendMessage(place, on: connection) }
                finishLane(place)
            case .requester: issue(place, intendedAt: shard.freshNow(), on: connection)
            case .vacant, .sink, .responder: break
            }
        }
        while shard.side == .client, let stream = state.value.holders.pop() { finish(stream, on: connection) }
        closeIfDone()
    }

    func finishLane(_ place: Int) {
        guard !state.value.lanes[place].isFinished, let connection else { return }
        state.value.lanes[place].isFinished = true
        finish(state.value.lanes[place].handle, on: connection)
    }

    private func finish(_ stream: StreamHandle, on connection: Connection) {
        do {
            try connection.finish(stream)
        } catch {
            shard.problem("connection \(index): finishing a stream failed: \(error)")
        }
    }

    func streamFinished(_ stream: StreamHandle, on connection: Connection) {
        guard let place = lane(of: stream) else {
            // The client finished it, and so knows that it is over.
            if shard.side == .server { finish(stream, on: connection) }
            return
        }
        if state.value.lanes[place].offset != 0 {
            shard.corruption("connection \(index), stream \(state.value.lanes[place].ordinal) ended in the middle of a message")
        }
        if state.value.lanes[place].role == .requester && (!state.value.lanes[place].isFinished || state.value.lanes[place].outstanding > 0) {
            shard.problem("connection \(index), stream \(state.value.lanes[place].ordinal): the far end finished it before this end had done with it")
        }
        // A source of ours has an end of its own; every other role has said all it had to say.
        if !state.value.lanes[place].role.isSource { finishLane(place) }
    }

    func streamClosed(_ stream: StreamHandle, on connection: Connection) {
        let flow = lane(of: stream).map { Int(state.value.lanes[$0].flow) } ?? 0
        retire(stream)
        // Churn: the next stream takes the place of the one that closed. Beside requests it goes on until they are done: the count is theirs.
        if shard.reopensStreams(ofFlow: flow) && (flow > 0 || shard.mayIssue()) {
            open(streams: 1)
        } else {
            closeIfDone()
        }
    }

    func streamReset(_ stream: StreamHandle, _ reset: StreamReset, on connection: Connection) {
        let name = lane(of: stream).map { "\(state.value.lanes[$0].ordinal)" } ?? "(silent)"
        shard.problem("connection \(index), stream \(name): \(reset)")
        retire(stream)
        closeIfDone()
    }

    /// How long bytes had arrived that slow readers had not read.
    var withheldNanoseconds: Nanoseconds { pacedReaders.reduce(0) { max($0, $1?.withheldNanoseconds ?? 0) } }

    /// Requests under way.
    var outstanding: Int {
        var sum = 0
        for place in 0..<state.value.lanes.count where state.value.lanes[place].role == .requester { sum += Int(state.value.lanes[place].outstanding) }
        return sum
    }

    /// The stream is over: its receipts are written.
    private func retire(_ stream: StreamHandle) {
        liveLanes -= 1
        guard let place = lane(of: stream) else { return }
        shard.writeReceipts(self, state.value.lanes[place])
        if shard.recorder.isMeasuring { noteWindowBytes(state.value.lanes[place], &shard.harvest) }
        state.value.lanes[place].role = .vacant
        state.value.lanes[place].handle = .none
    }

    func closeIfDone() {
        guard shard.isFinishing || shard.reopensConnections || shard.isEphemeral && !shard.isTrafficOn,
            shard.side == .client, liveLanes == 0, let connection, shard.streamsEnded() else { return }
        connection.close()
    }

    func connectionEnded(_ connection: Connection, _ reason: ConnectionEnd) {
        if state.value.batchBytes > 0 { connectionBatchEnded(connection) }
        for place in 0..<state.value.lanes.count where state.value.lanes[place].role != .vacant { retire(state.value.lanes[place].handle) }
        shard.connectionEnded(self, connection, reason)
    }
}
