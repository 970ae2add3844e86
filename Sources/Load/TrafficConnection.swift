import Bytes
import Gauge
import Kernel
import Muxers
import P2P

/// One connection of a run at one end: makes and checks the traffic of its streams. Both ends are the same code; a lane's role says who sends.
///
/// Invariant: `liveLanes` is the number of lanes that are not vacant; a lane stands at its stream handle's index.
///
/// Call order (client): `open` opens the streams; `startTraffic` when all connections have theirs; `stopTraffic`; `finishTraffic`; the end.
/// The server hears `streamOpened` instead of opening.
final class TrafficConnection: StreamHandler {
    let shard: Shard
    let index: UInt32
    let streamBase: UInt64
    var connection: Connection?
    /// The channel's accounts beside the multiplexer's, where the connection is secured.
    var secured: (channel: SecuredChannel, report: UpgradeReport)?
    private let state = Owned(State())
    private let payload: Payload
    private let sampleRule: SampleRule
    /// For each flow; empty where nothing is read slowly.
    private let slowReaders: [SlowReader?]

    /// What every message touches.
    private struct State: ~Copyable {
        var lanes = Stack<Lane>()
        /// Of each flow.
        var shapes = Stack<MessageShape>()
        /// Start of each request under way: `depth` places a lane.
        var starts = Stack<Nanoseconds>()
        /// The same, when they were really sent: kept in open loop only, where that is another time.
        var serviceStarts = Stack<Nanoseconds>()
        // What one read brought, told to the recorder once.
        var batchBytes = 0
        var batchMessages = 0
        var longestSilence: Nanoseconds = 0
        /// Streams that are open and silent have no lane: they would be most of what an idle stream costs.
        var holders = Stack<StreamHandle>()
    }

    var liveLanes = 0
    /// Receipts of streams that lived for one operation.
    var pooled = PooledReceipts()
    /// The pacer's number for this connection.
    var pacerNumber: UInt32?
    /// When dialling began: where a request is a connection's whole life its latency counts from here.
    var dialledAt: Nanoseconds = 0
    /// When the connection was ready for its first stream: the last step of coming up begins then.
    var readyAt: Nanoseconds = 0
    /// Streams still to be opened by this end.
    private var wanted = 0
    private(set) var isReady = false

    init(shard: Shard, index: UInt32, streamBase: UInt64) {
        self.shard = shard
        self.index = index
        self.streamBase = streamBase
        payload = shard.payload
        sampleRule = shard.sampleRule
        let readers = shard.flows.map { $0.readRateBytesPerSecond.map { SlowReader(loop: shard.loop, bytesPerSecond: $0) } }
        slowReaders = readers.contains { $0 != nil } ? readers : []
        for shape in shard.shapes { state.value.shapes.push(shape) }
    }

    // MARK: Opening

    /// Opens streams: those of the start, or more.
    func open(streams: Int) {
        wanted += streams
        isReady = false
        openWanted()
    }

    private func openWanted() {
        guard let connection else { return }
        while wanted > 0 {
            do {
                let now = shard.freshNow()
                let place = addLane(try connection.openStream(), isOpener: true)
                wanted -= 1
                // Churn: the next operation.
                if shard.isTrafficOn && shard.isEphemeral { issue(place, intendedAt: shard.reopensConnections ? dialledAt : now, on: connection) }
            } catch .tooManyUnacknowledgedStreams {
                return
            } catch {
                shard.problem("connection \(index): opening a stream failed: \(error)")
                return connection.abort()
            }
        }
        guard !isReady else { return }
        isReady = true
        shard.connectionReady()
    }

    func connectionCanOpen(_ connection: Connection) {
        openWanted()
    }

    func streamOpened(_ stream: StreamHandle, on connection: Connection) {
        let place = addLane(stream, isOpener: false)
        if shard.isTrafficOn { startLane(place, on: connection) }
    }

    @discardableResult
    private func addLane(_ stream: StreamHandle, isOpener: Bool) -> Int {
        let place = Int(stream.index)
        let ordinal = streamBase + (connection?.muxer.ordinal(of: stream) ?? 0)
        let (number, flow) = shard.flow(ofStream: ordinal)
        liveLanes += 1
        shard.streamBegan()
        if flow.verb == .hold {
            state.value.holders.push(stream)
            return place
        }
        while state.value.lanes.count <= place { state.value.lanes.push(Lane()) }
        var lane = Lane()
        lane.handle = stream
        lane.ordinal = ordinal
        lane.flow = UInt32(number)
        lane.role = flow.verb.role(ofOpener: isOpener)
        // "Up" is from the stream's opener to the other end; the client opens all streams.
        let up = shard.streamKey(connection: index, stream: ordinal, direction: .up)
        let down = shard.streamKey(connection: index, stream: ordinal, direction: .down)
        lane.sent.key = isOpener ? up : down
        lane.received.key = isOpener ? down : up
        state.value.lanes[place] = lane
        guard lane.role == .requester else { return place }
        while state.value.starts.count < (place + 1) * shard.depthMax { state.value.starts.push(0) }
        if shard.pacer != nil { while state.value.serviceStarts.count < state.value.starts.count { state.value.serviceStarts.push(0) } }
        return place
    }

    // MARK: Traffic

    /// The lanes of this end begin to do what they are for.
    func startTraffic() {
        guard let connection else { return }
        for place in 0..<state.value.lanes.count { startLane(place, on: connection) }
    }

    private func startLane(_ place: Int, on connection: Connection) {
        switch state.value.lanes[place].role {
        case .source, .duplex: fill(place, on: connection)
        case .requester:
            guard let pacer = shard.pacer else { return issueAll(place, on: connection) }
            for _ in 0..<shard.flows[Int(state.value.lanes[place].flow)].depth { pacer.laneFree(self, place) }
        case .vacant, .sink, .responder: break
        }
    }

    /// Queues messages until the stream holds as many as it should. What was sent is worked on outside the table: sending calls nobody back.
    private func fill(_ place: Int, on connection: Connection) {
        let lane = state.value.lanes[place]
        guard shard.isTrafficOn, !lane.isFinished else { return }
        var sent = lane.sent
        let target = shard.queueTargetBytes
        var queued = 0
        repeat {
            // Beside requests, bulk goes on until they are done: the count is theirs.
            guard lane.flow > 0 || shard.mayIssue(), let now = send(lane, &sent, on: connection) else { break }
            queued = now
        } while queued < target
        state.value.lanes[place].sent = sent
    }

    private func issueAll(_ place: Int, on connection: Connection) {
        while state.value.lanes[place].outstanding < UInt32(shard.flows[Int(state.value.lanes[place].flow)].depth) {
            guard shard.isTrafficOn, shard.mayIssue() else { return }
            issue(place, intendedAt: shard.freshNow(), on: connection)
        }
    }

    /// Sends one request. Its latency counts from `intendedAt`.
    func issue(_ place: Int, intendedAt: Nanoseconds, on connection: Connection) {
        let slot = startSlot(place, state.value.lanes[place].sent.messages)
        state.value.starts[slot] = intendedAt
        if shard.pacer != nil { state.value.serviceStarts[slot] = shard.freshNow() }
        state.value.lanes[place].outstanding += 1
        _ = sendMessage(place, on: connection)
        // Where the operation is the stream's whole life, nothing follows the request.
        if shard.isEphemeral { finishLane(place) }
    }

    @inline(__always)
    private func startSlot(_ place: Int, _ message: UInt64) -> Int {
        shard.depthMax == 1 ? place : place * shard.depthMax + Int(message % UInt64(shard.depthMax))
    }

    /// Queues one message; returns the bytes then queued, or nil when the stream is gone.
    private func sendMessage(_ place: Int, on connection: Connection) -> Int? {
        let lane = state.value.lanes[place]
        var sent = lane.sent
        let queued = send(lane, &sent, on: connection)
        state.value.lanes[place].sent = sent
        return queued
    }

    /// Queues the next message of a lane that has sent `sent` so far.
    @inline(__always)
    private func send(_ lane: Lane, _ sent: inout Lane.Progress, on connection: Connection) -> Int? {
        let shape = state.value.shapes[Int(lane.flow)]
        let message = sent.messages
        let isSampled = sampleRule.isSampled(message: message, streamKey: sent.key)
        let isChecked = isSampled || shard.checksAll
        var checksum: UInt64 = 0
        var offset = 0
        var queued = 0
        do {
            repeat {
                let count = shape.bytesLeftInPiece(offset)
                let slice = payload.slice(streamKey: sent.key, piece: shape.piece(message: message, offset: offset), count: count)
                if isChecked { checksum &+= PayloadChecksum.partial(of: slice, atOffset: UInt64(offset)) }
                queued = try connection.send(slice, on: lane.handle)
                offset += count
            } while offset < shape.messageBytes
        } catch {
            shard.problem("connection \(index), stream \(lane.ordinal): sending failed: \(error)")
            return nil
        }
        sent.messages = message &+ 1
        if isSampled { sent.checksum &+= PayloadChecksum.folded(checksum, message: message) }
        if shard.checksAll { sent.lastChecksum = checksum }
        return queued
    }

    /// The stream's lane, or nil for a silent stream.
    @inline(__always)
    private func lane(of stream: StreamHandle) -> Int? {
        let place = Int(stream.index)
        return place < state.value.lanes.count && state.value.lanes[place].handle == stream ? place : nil
    }

    func streamWritable(_ stream: StreamHandle, on connection: Connection) {
        guard let place = lane(of: stream) else { return }
        if state.value.lanes[place].role.isSource { fill(place, on: connection) }
    }

    // MARK: Receiving

    func streamReceived(_ stream: StreamHandle, _ block: Block, _ range: Range<Int>, on connection: Connection) -> Int {
        guard let place = lane(of: stream) else {
            shard.corruption("connection \(index): \(range.count) bytes came on a stream that should be silent")
            return range.count
        }
        let shape = state.value.shapes[Int(state.value.lanes[place].flow)]
        var position = range.lowerBound
        while position < range.upperBound {
            let offset = Int(state.value.lanes[place].offset)
            if offset == 0 { beginMessage(place) }
            let count = min(shape.messageBytes - offset, range.upperBound - position)
            if state.value.lanes[place].isSampled || shard.checksAll {
                check(place, block.bytes(position..<position + count), at: offset, shape)
            }
            position += count
            if offset + count == shape.messageBytes {
                state.value.lanes[place].offset = 0
                endMessage(place, on: connection)
            } else {
                state.value.lanes[place].offset = UInt32(truncatingIfNeeded: offset + count)
            }
        }
        state.value.batchBytes += range.count
        noteHeard(place)
        guard !slowReaders.isEmpty, shard.isTrafficOn, let reader = slowReaders[Int(state.value.lanes[place].flow)] else { return range.count }
        reader.received(range.count, on: stream, connection)
        return 0
    }

    /// Remembers when bytes of the stream last arrived, and the longest time without in the window.
    @inline(__always)
    private func noteHeard(_ place: Int) {
        let last = state.value.lanes[place].heardAt
        guard last != 0 else { return }
        let time = shard.now
        if time &- last > state.value.longestSilence { state.value.longestSilence = time &- last }
        state.value.lanes[place].heardAt = time
    }

    @inline(__always)
    private func beginMessage(_ place: Int) {
        state.value.lanes[place].isSampled = sampleRule.isSampled(
            message: state.value.lanes[place].received.messages, streamKey: state.value.lanes[place].received.key)
        state.value.lanes[place].messageChecksum = 0
    }

    /// Compares received bytes with what they must be.
    private func check(_ place: Int, _ bytes: RawSpan, at offset: Int, _ shape: MessageShape) {
        state.value.lanes[place].messageChecksum &+= PayloadChecksum.partial(bytes, atOffset: UInt64(offset))
        var done = 0
        while done < bytes.byteCount {
            let inPiece = (offset + done) % Payload.pieceBytesMax
            let count = min(Payload.pieceBytesMax - inPiece, bytes.byteCount - done)
            let piece = shape.piece(message: state.value.lanes[place].received.messages, offset: offset + done)
            let part = bytes.extracting(done..<done + count)
            if !payload.matches(part, streamKey: state.value.lanes[place].received.key, piece: piece, offset: inPiece) {
                shard.corruption(
                    "connection \(index), stream \(state.value.lanes[place].ordinal): message \(state.value.lanes[place].received.messages) differs from what was sent, at or behind its byte \(offset + done)")
                return
            }
            done += count
        }
    }

    @inline(__always)
    private func endMessage(_ place: Int, on connection: Connection) {
        let message = state.value.lanes[place].received.messages
        if state.value.lanes[place].isSampled {
            state.value.lanes[place].received.checksum &+= PayloadChecksum.folded(state.value.lanes[place].messageChecksum, message: message)
            shard.verifiedMessages &+= 1
        }
        if shard.checksAll { state.value.lanes[place].received.lastChecksum = state.value.lanes[place].messageChecksum }
        state.value.lanes[place].received.messages = message + 1
        state.value.batchMessages += 1
        switch state.value.lanes[place].role {
        case .requester: completed(place, message, on: connection)
        case .responder: _ = sendMessage(place, on: connection)
        case .vacant, .source, .sink, .duplex: break
        }
    }

    /// An answer is complete.
    private func completed(_ place: Int, _ message: UInt64, on connection: Connection) {
        let now = shard.freshNow()
        let slot = startSlot(place, message)
        guard state.value.lanes[place].outstanding > 0 else {
            return shard.corruption("connection \(index), stream \(state.value.lanes[place].ordinal): an answer came that nothing asked for")
        }
        state.value.lanes[place].outstanding -= 1
        shard.operationCompleted(startedAt: state.value.starts[slot], endedAt: now)
        if shard.reopensConnections { shard.cameUp(self, firstAnswerAt: now) }
        if shard.pacer != nil { shard.recorder.recordService(now &- state.value.serviceStarts[slot]) }
        if shard.isEphemeral { return }
        if shard.isFinishing { return finishLane(place) }
        if let pacer = shard.pacer { return pacer.laneFree(self, place) }
        guard shard.isTrafficOn, shard.mayIssue() else { return }
        issue(place, intendedAt: now, on: connection)
    }

    func connectionBatchEnded(_ connection: Connection) {
        if state.value.batchBytes > 0 {
            shard.recorder.received(bytes: state.value.batchBytes, messages: state.value.batchMessages, at: shard.now)
            state.value.batchBytes = 0
            state.value.batchMessages = 0
        }
        shard.batchEnded()
    }

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

    /// What a stream received in the window, at the window's end or its own.
    private func noteWindowBytes(_ lane: Lane, _ harvest: inout Harvest) {
        guard !shard.isEphemeral else { return }
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
        for reader in slowReaders { reader?.finish() }
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

    private func finishLane(_ place: Int) {
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
        // A source of ours has an end of its own; every other role has said all it had to say.
        if !state.value.lanes[place].role.isSource { finishLane(place) }
    }

    func streamClosed(_ stream: StreamHandle, on connection: Connection) {
        retire(stream)
        // Churn: the next stream takes the place of the one that closed.
        if shard.reopensStreams && shard.mayIssue() {
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
