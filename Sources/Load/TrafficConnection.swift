import Bytes
import Gauge
import Kernel
import Muxers
import P2P
import Reactor

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
    let state = Owned(State())
    private let payload: Payload
    private let sampleRule: SampleRule
    /// For each flow; empty where everything is read at once.
    let pacedReaders: [(any PacedReader)?]
    /// Nil where stages of latency are not measured.
    private let stages: StageRecorder?
    private let unwrittenStages = Owned(UnwrittenStages())

    /// What every message touches.
    struct State: ~Copyable {
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
        /// Messages up to this rank are more than sent and counted: of the first flow, and of the others.
        var sentRankMax = (first: UInt64.max, others: UInt64.max)
        var receivedRankMax = (first: UInt64.max, others: UInt64.max)
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
    var wanted = 0
    private(set) var isReady = false

    init(shard: Shard, index: UInt32, streamBase: UInt64) {
        self.shard = shard
        self.index = index
        self.streamBase = streamBase
        payload = shard.payload
        sampleRule = shard.sampleRule
        let readers = shard.flows.map { $0.makeReader(shard.loop) }
        pacedReaders = readers.contains { $0 != nil } ? readers : []
        stages = shard.stages
        for shape in shard.shapes { state.value.shapes.push(shape) }
        chooseMessages()
    }

    /// Which messages are looked at: what is to be verified, and what the stages are measured of. For all others there is one test.
    func chooseMessages() {
        let verified = sampleRule.rankMax
        func rankMax(ofFirst isFirst: Bool) -> (sent: UInt64, received: UInt64) {
            let timed = stages?.rankMax(ofFirst: isFirst) ?? (sent: 0, received: 0)
            return (max(verified, timed.sent), max(verified, timed.received))
        }
        let (first, others) = (rankMax(ofFirst: true), rankMax(ofFirst: false))
        state.value.sentRankMax = (first.sent, others.sent)
        state.value.receivedRankMax = (first.received, others.received)
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
                if shard.isTrafficOn && isEphemeral(place) { issue(place, intendedAt: shard.reopensConnections ? dialledAt : now, on: connection) }
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
        let (number, flow) = shard.flow(ofStream: ordinal, on: index)
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
            guard let pacer = shard.pacer, state.value.lanes[place].flow == 0 else { return issueAll(place, on: connection) }
            for _ in 0..<shard.flows[Int(state.value.lanes[place].flow)].depth { pacer.laneFree(self, place) }
        case .vacant, .sink, .responder: break
        }
    }

    /// Queues messages until the stream holds as many as it should. What was sent is worked on outside the table: sending calls nobody back.
    private func fill(_ place: Int, on connection: Connection) {
        let lane = state.value.lanes[place]
        guard shard.isTrafficOn, !lane.isFinished else { return }
        var message = lane.sent.messages
        let target = shard.queueTargetBytes
        var queued = 0
        repeat {
            // Beside requests, bulk goes on until they are done: the count is theirs.
            guard lane.flow > 0 || shard.mayIssue(), let now = send(place, lane, message, on: connection) else { break }
            message &+= 1
            queued = now
        } while queued < target
        state.value.lanes[place].sent.messages = message
    }

    private func issueAll(_ place: Int, on connection: Connection) {
        while state.value.lanes[place].outstanding < UInt32(shard.flows[Int(state.value.lanes[place].flow)].depth) {
            guard shard.isTrafficOn, state.value.lanes[place].flow > 0 || shard.mayIssue() else { return }
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
        if isEphemeral(place) { finishLane(place) }
    }

    /// Whether the lane's stream, or connection, lives for one operation.
    @inline(__always)
    func isEphemeral(_ place: Int) -> Bool { shard.isEphemeral && shard.flows[Int(state.value.lanes[place].flow)].verb.isEphemeral }

    @inline(__always)
    private func startSlot(_ place: Int, _ message: UInt64) -> Int {
        shard.depthMax == 1 ? place : place * shard.depthMax + Int(message % UInt64(shard.depthMax))
    }

    /// Queues one message; returns the bytes then queued, or nil when the stream is gone.
    func sendMessage(_ place: Int, on connection: Connection) -> Int? {
        let lane = state.value.lanes[place]
        guard let queued = send(place, lane, lane.sent.messages, on: connection) else { return nil }
        state.value.lanes[place].sent.messages = lane.sent.messages &+ 1
        return queued
    }

    /// Queues message number `message` of a lane.
    @inline(__always)
    private func send(_ place: Int, _ lane: Lane, _ message: UInt64, on connection: Connection) -> Int? {
        let shape = state.value.shapes[Int(lane.flow)]
        let key = lane.sent.key
        let isLookedAt = message == 0
            || SampleRule.rank(message: message, streamKey: key) <= (lane.flow == 0 ? state.value.sentRankMax.first : state.value.sentRankMax.others)
        do {
            guard shape.messageBytes > Payload.pieceBytesMax || isLookedAt || shard.checksAll else {
                return try connection.send(payload.slice(streamKey: key, piece: message, count: shape.messageBytes), on: lane.handle)
            }
            return try sendPieces(place, lane, message, shape, on: connection)
        } catch {
            shard.problem("connection \(index), stream \(lane.ordinal): sending failed: \(error)")
            return nil
        }
    }

    /// The same for a message of several pieces, or one that is looked at.
    private func sendPieces(
        _ place: Int, _ lane: Lane, _ message: UInt64, _ shape: MessageShape, on connection: Connection
    ) throws(MuxerError) -> Int {
        let isSampled = sampleRule.isSampled(message: message, streamKey: lane.sent.key)
        var checksum: UInt64 = 0
        var offset = 0
        var queued = 0
        repeat {
            let count = shape.bytesLeftInPiece(offset)
            let slice = payload.slice(streamKey: lane.sent.key, piece: shape.piece(message: message, offset: offset), count: count)
            if isSampled || shard.checksAll { checksum &+= PayloadChecksum.partial(of: slice, atOffset: UInt64(offset)) }
            if offset == 0 { noteSending(lane, message, shape) }
            queued = try connection.send(slice, on: lane.handle)
            offset += count
        } while offset < shape.messageBytes
        if isSampled { state.value.lanes[place].sentSums.checksum &+= PayloadChecksum.folded(checksum, message: message) }
        if shard.checksAll { state.value.lanes[place].sentSums.lastChecksum = checksum }
        return queued
    }

    /// Remembers when a message is sent whose stages are measured, until it is known when the kernel got it.
    private func noteSending(_ lane: Lane, _ message: UInt64, _ shape: MessageShape) {
        guard let stages, stages.wantsSent(message, key: lane.sent.key, flow: lane.flow) else { return }
        let sample = StageSample(key: lane.sent.key, message: message, flow: lane.flow, first: shard.freshNow(), second: 0)
        unwrittenStages.value.add(.init(stream: lane.handle, end: (message &+ 1) &* UInt64(shape.messageBytes), sample: sample), to: stages)
    }

    func connectionWrote(_ connection: Connection) {
        guard let stages, !unwrittenStages.value.isEmpty else { return }
        unwrittenStages.value.settle(at: connection.lastWriteAt, to: stages) { stream in
            guard let place = lane(of: stream) else { return nil }
            let lane = state.value.lanes[place]
            let sent = lane.sent.messages &* UInt64(state.value.shapes[Int(lane.flow)].messageBytes)
            // Where the stream's bytes cannot be told from others' in a write, more than it has sent may count as unwritten.
            return sent - min(sent, UInt64(connection.unwrittenByteCount(on: stream)))
        }
    }

    /// The stream's lane, or nil for a silent stream.
    @inline(__always)
    func lane(of stream: StreamHandle) -> Int? {
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
        let flow = state.value.lanes[place].flow
        let shape = state.value.shapes[Int(flow)]
        let rankMax = flow == 0 ? state.value.receivedRankMax.first : state.value.receivedRankMax.others
        var position = range.lowerBound
        while position < range.upperBound {
            let part = advance(&state.value.lanes[place], by: range.upperBound - position, shape, rankMax)
            let end = position + part.count
            if part.isLookedAt { lookAt(place, part, block.bytes(position..<end), shape) }
            position = end
            if part.isLast { endMessage(place, part.message, on: connection) }
        }
        state.value.batchBytes += range.count
        noteHeard(place)
        guard !pacedReaders.isEmpty, shard.isTrafficOn, let reader = pacedReaders[Int(state.value.lanes[place].flow)] else { return range.count }
        reader.received(range.count, on: stream, connection)
        return 0
    }

    /// Bytes of one message that arrived together.
    private struct Part: BitwiseCopyable {
        /// Of the message in its stream.
        let message: UInt64
        /// Where in the message they lie, and how many they are.
        let offset: Int
        let count: Int
        /// There is more to be done with them than to count them.
        let isLookedAt: Bool
        /// The message is complete with them.
        let isLast: Bool
    }

    /// Counts up to `available` bytes that have arrived, not beyond the end of a message.
    @inline(__always)
    private func advance(_ lane: inout Lane, by available: Int, _ shape: MessageShape, _ rankMax: UInt64) -> Part {
        let offset = Int(lane.offset)
        let message = lane.received.messages
        if offset == 0 { lane.isLookedAt = message == 0 || SampleRule.rank(message: message, streamKey: lane.received.key) <= rankMax }
        let count = min(shape.messageBytes &- offset, available)
        let isLast = offset &+ count == shape.messageBytes
        lane.offset = isLast ? 0 : UInt32(truncatingIfNeeded: offset &+ count)
        lane.received.messages = isLast ? message &+ 1 : message
        return Part(message: message, offset: offset, count: count, isLookedAt: lane.isLookedAt || shard.checksAll, isLast: isLast)
    }

    /// Notes when a message was complete, where its stages are measured, and then compares its bytes with what they must be, where that is wanted.
    @inline(never)
    private func lookAt(_ place: Int, _ part: Part, _ bytes: RawSpan, _ shape: MessageShape) {
        let (key, flow) = (state.value.lanes[place].received.key, state.value.lanes[place].flow)
        if part.isLast, let stages, stages.wantsReceived(part.message, key: key, flow: flow) {
            stages.received(StageSample(key: key, message: part.message, flow: flow, first: shard.loop.lastReceiveAt, second: shard.freshNow()))
        }
        let isSampled = sampleRule.isSampled(message: part.message, streamKey: key)
        guard isSampled || shard.checksAll else { return }
        compare(place, part, bytes, shape)
        let sum = PayloadChecksum.partial(bytes, atOffset: UInt64(part.offset))
        let checksum = part.offset == 0 ? sum : state.value.lanes[place].messageChecksum &+ sum
        state.value.lanes[place].messageChecksum = checksum
        guard part.isLast else { return }
        if isSampled {
            state.value.lanes[place].receivedSums.checksum &+= PayloadChecksum.folded(checksum, message: part.message)
            shard.verifiedMessages &+= 1
        }
        if shard.checksAll { state.value.lanes[place].receivedSums.lastChecksum = checksum }
    }

    private func compare(_ place: Int, _ part: Part, _ bytes: RawSpan, _ shape: MessageShape) {
        var done = 0
        while done < bytes.byteCount {
            let offset = part.offset + done
            let inPiece = shape.offsetInPiece(offset)
            let count = min(Payload.pieceBytesMax - inPiece, bytes.byteCount - done)
            let piece = shape.piece(message: part.message, offset: offset)
            let received = bytes.extracting(done..<done + count)
            guard payload.matches(received, streamKey: state.value.lanes[place].received.key, piece: piece, offset: inPiece) else {
                return shard.corruption(
                    "connection \(index), stream \(state.value.lanes[place].ordinal): message \(part.message) differs from what was sent, at or behind its byte \(offset)")
            }
            done += count
        }
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
    private func endMessage(_ place: Int, _ message: UInt64, on connection: Connection) {
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
        // What goes on beside the first flow is not counted.
        if state.value.lanes[place].flow == 0 { shard.operationCompleted(startedAt: state.value.starts[slot], endedAt: now) }
        if shard.reopensConnections { shard.cameUp(self, firstAnswerAt: now) }
        if shard.pacer != nil, state.value.lanes[place].flow == 0 { shard.recorder.recordService(now &- state.value.serviceStarts[slot]) }
        if isEphemeral(place) { return }
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
}
