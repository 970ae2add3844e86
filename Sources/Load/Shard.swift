import Bytes
import Gauge
import Kernel
import Muxers
import P2P
import Reactor

/// One side's part of a run on one event loop: its connections, what they recorded, and what remains of those that have ended.
///
/// Everything here happens on the loop. The generator and the responder reach it through ``EventLoop/perform(_:)``.
///
/// Phases: connections are made → `startTraffic` → `beginWindow` … `endWindow` → `stopTraffic` → `finishTraffic` → every connection
/// ends → `outcome`.
final class Shard {
    let loop: EventLoop
    let side: Side
    let scenario: Scenario
    let stack: ProtocolStack
    let flows: [Scenario.Flow]
    let shapes: [MessageShape]
    let depthMax: Int
    let isEphemeral: Bool
    let payload: Payload
    let sampleRule: SampleRule
    let recorder = Recorder()
    /// A stream is refilled until it holds this much.
    let queueTargetBytes: Int
    let muxerLimits: MuxerLimits
    /// Secures connections and agrees on their multiplexer, where the stack has security.
    private let upgrader: Upgrader?
    var pacer: Pacer?
    /// Nil where stages of latency are not measured.
    let stages: StageRecorder?
    /// Over an emulated link, from when traffic starts.
    private(set) var sampler: FlowSampler?

    private(set) var isTrafficOn = false
    private(set) var isFinishing = false
    private var isAbandoned = false
    /// Every message is checked, so that the last one surely is.
    private(set) var checksAll = false
    /// Connections stay when their last stream is over, until ``releaseConnections()``: their kernel counts are read in between.
    var holdsConnections = false
    /// Received messages whose every byte was compared.
    var verifiedMessages: UInt64 = 0
    /// Operations still allowed; nil is no limit.
    private var operationsLeft: Int?
    /// Closing messages still allowed, out of the same number.
    private var closersLeft: Int?

    var live: [UInt32: [TrafficConnection]] = [:]
    private(set) var liveCount = 0
    /// Connections that are being made by this side and are not live yet.
    private(set) var dialling = 0
    /// Streams that have been opened by this side or accepted, ever.
    private(set) var streamsBegun = 0
    var harvest = Harvest()
    /// Called when something changed that somebody may wait for.
    var onProgress: (() -> Void)?
    /// Connect: the connections of this shard, made when traffic starts and again in the place of each that ended.
    private var connecting: (indices: [UInt32], dial: (UInt32) -> Void)?

    /// - Parameters:
    ///   - operations: how many may be started; nil for no limit.
    ///   - streams: how many streams of all connections are this shard's.
    init(loop: EventLoop, side: Side, scenario: Scenario, stack: ProtocolStack, operations: Int?, streams: Int) throws {
        self.loop = loop
        self.side = side
        self.scenario = scenario
        self.stack = stack
        flows = scenario.flows
        shapes = flows.map { MessageShape(messageBytes: $0.messageSizeBytes) }
        depthMax = flows.map(\.depth).max() ?? 1
        isEphemeral = flows.contains { $0.verb.isEphemeral }
        payload = Payload(seed: scenario.seed)
        upgrader = try stack.makeUpgradeConfiguration().map { Upgrader($0, loop: loop) }
        sampleRule = try SampleRule(parsing: scenario.verify)
        stages = scenario.measuresStages == true ? StageRecorder() : nil
        if stages != nil { loop.transferTimeUsers += 1 }
        // The last message of each stream is its closing one, and counts as well.
        let closers = flows[0].verb.isBulk ? operations.map { min($0, streams) } : nil
        closersLeft = closers
        operationsLeft = operations.map { $0 - (closers ?? 0) }
        // What the streams of a connection hold together: enough for the next write and no more, because what is queued is touched
        // again when it is sent, and by then a larger queue would have left the processor's cache (32,000 queued messages of 64 bytes cost
        // more in cache misses than everything else about them).
        let message = flows.map(\.messageSizeBytes).max() ?? 0
        let together = min(1 << 20, 4096 * message)
        let perStream = together / (stack.hasMuxer ? scenario.streams : 1)
        queueTargetBytes = max(perStream, min(2 * message, 256 << 10))
        var limits = MuxerLimits()
        limits.sendLowWaterBytes = queueTargetBytes / 2
        limits.streamsMax = max(limits.streamsMax, scenario.streams + 16)
        limits.sendQueueBytesMax = max(limits.sendQueueBytesMax, 2 * message + queueTargetBytes)
        muxerLimits = limits
        stages?.wantsChanged = { [unowned self] in forEachLive { $0.chooseMessages() } }
    }

    var now: Nanoseconds { loop.now }

    /// The time, read afresh: for latencies, where a turn's cached time would be too coarse.
    @inline(__always) func freshNow() -> Nanoseconds { Clock.now }

    // MARK: Connections

    /// Whether a connection is there, or on its way.
    var hasConnections: Bool { liveCount + dialling > 0 }

    func prepareConnecting(_ indices: [UInt32], dial: @escaping (UInt32) -> Void) { connecting = (indices, dial) }

    func dialBegan() { dialling += 1 }

    func dialEnded() {
        dialling -= 1
        onProgress?()
    }

    func makeMuxer(_ role: MuxerRole) -> any Muxer {
        stack.muxer?.make(role, limits: muxerLimits, windowBytesMax: stack.yamuxWindowBytesMax) ?? Passthrough(role: role, limits: muxerLimits)
    }

    /// A connection that has been dialled; its greeting goes out, it is upgraded where the stack says so, and its streams are opened.
    func dialled(
        _ channel: any Channel, index: UInt32, streamBase: UInt64, token: UInt64, dialledAt: Nanoseconds, _ done: @escaping (UpgradeError?) -> Void
    ) {
        let greeting = Greeting(role: .data, connection: index, streamBase: streamBase, token: token).encoded
        let traffic = TrafficConnection(shard: self, index: index, streamBase: streamBase)
        traffic.dialledAt = dialledAt
        traffic.readyAt = freshNow()
        guard let upgrader else {
            let connection = Connection(channel: channel, muxer: makeMuxer(.initiator), handler: traffic, loop: loop, prefix: greeting)
            add(traffic, connection)
            connection.start()
            traffic.open(streams: streamsAtFirst(on: index))
            return done(nil)
        }
        upgrader.upgrade(channel, .initiator, prefix: greeting) { [self] result in
            switch result {
            case .success(let upgraded):
                traffic.readyAt = upgraded.report.marks.last?.nanoseconds ?? traffic.readyAt
                adopt(upgraded, traffic, .initiator)
                traffic.open(streams: streamsAtFirst(on: index))
                done(nil)
            case .failure(let error): done(error)
            }
        }
    }

    /// A connection that lives for one request has its answer: its steps are known.
    func cameUp(_ traffic: TrafficConnection, firstAnswerAt end: Nanoseconds) {
        guard recorder.isMeasuring else { return }
        harvest.connectSteps.add(
            stack.transport, dialledAt: traffic.dialledAt, traffic.secured?.report.marks ?? [], readyAt: traffic.readyAt, answeredAt: end)
    }

    private func adopt(_ upgraded: UpgradedConnection, _ traffic: TrafficConnection, _ role: MuxerRole) {
        traffic.secured = (upgraded.channel, upgraded.report)
        upgraded.channel.timesCiphers = stack.link != nil
        let connection = Connection(channel: upgraded.channel, muxer: makeMuxer(role), handler: traffic, loop: loop)
        add(traffic, connection)
        connection.start()
    }

    /// Streams that a connection opens at once. Silent ones come in two parts, so that memory can be told as a slope.
    func streamsAtFirst(on connection: UInt32) -> Int {
        guard stack.hasMuxer else { return 1 }
        return flows[0].verb == .hold ? max(1, scenario.streams / 10) : scenario.streams(on: Int(connection))
    }

    /// The second part.
    func openRemainingStreams() {
        guard stack.hasMuxer else { return }
        forEachLive { $0.open(streams: scenario.streams - streamsAtFirst(on: $0.index)) }
    }

    /// A connection that was accepted and has greeted. Returns who handles what comes next.
    func accepted(_ channel: any Channel, _ greeting: Greeting) -> any ChannelHandler {
        let traffic = TrafficConnection(shard: self, index: greeting.connection, streamBase: greeting.streamBase)
        if let upgrader {
            let before = Traffic(received: UInt64(Greeting.byteCount))
            return upgrader.takeOver(channel, .responder, before: before) { [self] result in
                switch result {
                case .success(let upgraded): adopt(upgraded, traffic, .responder)
                case .failure(let error): problem("connection \(greeting.connection): \(error)")
                }
            }
        }
        let connection = Connection(
            channel: channel, muxer: makeMuxer(.responder), handler: traffic, loop: loop,
            negotiationBytesReceived: UInt64(Greeting.byteCount))
        add(traffic, connection)
        // Without a muxer the greeting is the stream's opening: the server may be the one that sends.
        connection.acceptStream()
        return connection
    }

    private func add(_ traffic: TrafficConnection, _ connection: Connection) {
        traffic.connection = connection
        connection.tellsOfWrites = stages != nil
        live[traffic.index, default: []].append(traffic)
        liveCount += 1
    }

    func connectionReady() { onProgress?() }

    /// Every connection is there and has opened what it should.
    var isOpened: Bool { dialling == 0 && live.values.allSatisfy { $0.allSatisfy(\.isReady) } }

    var liveStreams: Int {
        var sum = 0
        forEachLive { sum += $0.liveLanes }
        return sum
    }

    /// The last stream of a connection is over. Whether the connection may end.
    func streamsEnded() -> Bool {
        if holdsConnections { onProgress?() }
        return !holdsConnections
    }

    /// Ends connections that were held.
    func releaseConnections() {
        holdsConnections = false
        forEachLive { $0.closeIfDone() }
    }

    func streamBegan() { streamsBegun += 1 }

    func connectionEnded(_ traffic: TrafficConnection, _ connection: Connection, _ reason: ConnectionEnd) {
        harvest.add(traffic, connection, reason, stack: stack)
        harvest.stalls.add(connection, withheldNanoseconds: traffic.withheldNanoseconds, at: now)
        if case .orderly = reason {} else { problem("\(name(of: traffic)): \(reason)") }
        traffic.connection = nil
        live[traffic.index]?.removeAll { $0 === traffic }
        if live[traffic.index]?.isEmpty == true { live[traffic.index] = nil }
        liveCount -= 1
        connect(traffic.index)
        onProgress?()
    }

    /// Connect: the next operation, in the place of the connection `index`.
    private func connect(_ index: UInt32) {
        guard let connecting, isTrafficOn, mayIssue() else { return }
        connecting.dial(index)
    }

    /// Without a muxer a connection is a stream, and the streams of one index are told apart.
    private func name(of traffic: TrafficConnection) -> String {
        stack.hasMuxer ? "connection \(traffic.index)" : "connection \(traffic.index), stream \(traffic.streamBase)"
    }

    func forEachLive(_ body: (TrafficConnection) -> Void) {
        for connections in live.values { for connection in connections { body(connection) } }
    }

    // MARK: Phases

    func startTraffic() {
        isTrafficOn = true
        stages?.warmUp()
        forEachLive { $0.startTraffic() }
        for index in connecting?.indices ?? [] { connect(index) }
        pacer?.start()
        guard stack.link != nil else { return }
        sampler = FlowSampler(self)
        sampler?.start()
    }

    func beginWindow() {
        forEachLive { $0.beginWindow(at: now) }
        harvest.beginWindow()
        stages?.begin(at: freshNow())
        recorder.begin(at: freshNow())
    }

    func endWindow() {
        recorder.end(at: freshNow())
        stages?.endSending()
        sampler?.stop()
        forEachLive { $0.endWindow(into: &harvest) }
    }

    func stopTraffic() {
        isTrafficOn = false
        pacer?.stop()
        forEachLive { $0.stopTraffic() }
    }

    /// From here on every message is checked: the last of each stream is among them.
    func checkAll() { checksAll = true }

    func finishTraffic() {
        isFinishing = true
        forEachLive { $0.finishTraffic() }
    }

    /// Gives up what is still open, or on its way.
    func abandon() {
        if stages != nil, !isAbandoned { loop.transferTimeUsers -= 1 }
        isAbandoned = true
        upgrader?.cancelAll()
        forEachLive { $0.connection?.abort() }
    }

    // MARK: What connections ask and tell

    /// Whether a stream of the flow is followed by another.
    func reopensStreams(ofFlow flow: Int) -> Bool { isTrafficOn && side == .client && flows[flow].verb == .churn }
    var reopensConnections: Bool { flows[0].verb == .connect }

    /// What a stream is for: the last flow has all that come behind those of the others.
    func flow(ofStream ordinal: UInt64, on connection: UInt32) -> (number: Int, flow: Scenario.Flow) {
        var first: UInt64 = 0
        let isSeparate = scenario.separatesFirstFlow == true
        if isSeparate && connection == 0 { return (0, flows[0]) }
        for (number, flow) in flows.enumerated().dropFirst(isSeparate ? 1 : 0) {
            guard let count = flow.streams else { return (number, flow) }
            first += UInt64(count)
            if ordinal < first { return (number, flow) }
        }
        return (flows.count - 1, flows[flows.count - 1])
    }

    func streamKey(connection: UInt32, stream: UInt64, direction: Direction) -> UInt64 {
        Payload.streamKey(seed: scenario.seed, connection: connection, stream: stream, direction: direction)
    }

    /// Takes one operation from the budget, if there is one.
    @inline(__always)
    func mayIssue() -> Bool {
        guard let left = operationsLeft else { return true }
        guard left > 0 else { return false }
        operationsLeft = left - 1
        return true
    }

    /// Whether a stream may end with a message more.
    func mayClose() -> Bool {
        guard let left = closersLeft else { return true }
        guard left > 0 else { return false }
        closersLeft = left - 1
        return true
    }

    /// Requests under way.
    var outstanding: Int {
        var sum = 0
        forEachLive { sum += $0.outstanding }
        return sum
    }

    var operationsAreSpent: Bool { operationsLeft == 0 }

    /// Where this shard is on its way to the end of a run that a count ends.
    var advance: Advance {
        Advance(
            completed: recorder.totals.operationsCompleted, received: recorder.totals.messagesReceived, left: operationsLeft ?? 0,
            connections: liveCount + dialling)
    }

    struct Advance: Equatable, Sendable {
        /// Operations that were answered.
        var completed: UInt64 = 0
        var received: UInt64 = 0
        /// Operations that may still be started.
        var left = 0
        var connections = 0
    }

    func operationCompleted(startedAt: Nanoseconds, endedAt: Nanoseconds) {
        recorder.recordLatency(endedAt &- startedAt)
        recorder.completed(1, at: endedAt)
    }

    func batchEnded() { onProgress?() }

    func problem(_ text: String) { harvest.note(text) }
    func corruption(_ text: String) { harvest.note(text) }

    func writeReceipts(_ traffic: TrafficConnection, _ lane: Lane) {
        harvest.addReceipts(traffic, lane, side: side, pools: isEphemeral, shapes: shapes)
    }
}
