import Bytes
import Gauge
import Kernel
import Multiformats
import Muxers
import P2P
import Reactor

/// What one loop does in a run against a libp2p node, and what it saw. All on the loop.
///
/// Invariant: `underWay` operations have been started and not ended; `operationsLeft` more may be.
final class NodeShard {
    let loop: EventLoop
    let workload: NodeWorkload
    let payload: Payload
    let recorder = Recorder()
    var harvest = Harvest()
    private(set) var lanes: [any NodeLane] = []
    /// Nil for no limit.
    private(set) var operationsLeft: Int?
    private(set) var underWay = 0
    private(set) var isStarted = false
    private(set) var isStopping = false
    /// The first thing that went wrong: it stops a run that has not begun.
    private(set) var failure: HostError?

    init(loop: EventLoop, workload: NodeWorkload, seed: UInt64, operations: Int?) {
        self.loop = loop
        self.workload = workload
        payload = Payload(seed: seed)
        operationsLeft = operations
    }

    // MARK: Phases

    func add(_ lane: any NodeLane) { lanes.append(lane) }

    func start() {
        isStarted = true
        for lane in lanes { lane.start() }
    }

    func stop() {
        isStopping = true
        for lane in lanes { lane.stop() }
    }

    /// Breaks the ties between shard and lanes, when all is over.
    func forget() { lanes = [] }

    /// What one part of the run waits for.
    struct Progress: Sendable {
        var ready = 0
        var live = 0
        var underWay = 0
        var isSpent = true
        var totals = Recording.Totals()
        var failure: HostError?
    }

    var progress: Progress {
        Progress(
            ready: lanes.count { $0.isReady }, live: lanes.count { !$0.isOver }, underWay: underWay, 
            isSpent: operationsLeft == 0 || lanes.allSatisfy { $0.isOver },
            totals: recorder.totals, failure: failure)
    }

    // MARK: Operations

    /// Whether one more operation may be started; it is under way then.
    func begins() -> Bool {
        guard isStarted, !isStopping, operationsLeft != 0 else { return false }
        operationsLeft = operationsLeft.map { $0 - 1 }
        underWay += 1
        return true
    }

    func completed(startedAt start: Nanoseconds, endedAt now: Nanoseconds = Clock.now, receivedBytes: Int) {
        underWay -= 1
        recorder.recordLatency(now &- start)
        recorder.received(bytes: receivedBytes, messages: 1, at: now)
        recorder.completed(1, at: now)
    }

    /// A message is the multiplexer's now: nobody will tell when it has arrived.
    func handedOver() { underWay -= 1 }

    /// An operation that was under way will not end.
    func lost(_ error: HostError) {
        underWay -= 1
        recorder.failed(1)
        problem(error)
    }

    /// Sends a message; returns the bytes then queued on the stream.
    func send(_ number: UInt64, _ shape: MessageShape, _ key: UInt64, on stream: RoutedStream) throws(HostError) -> Int {
        var (offset, queued) = (0, 0)
        while offset < shape.messageBytes {
            let count = shape.bytesLeftInPiece(offset)
            queued = try stream.send(payload.slice(streamKey: key, piece: shape.piece(message: number, offset: offset), count: count).shared())
            offset += count
        }
        recorder.sent(bytes: shape.messageBytes, messages: 1)
        return queued
    }

    func problem(_ error: HostError) {
        if failure == nil { failure = error }
        harvest.note("\(error)")
    }
}

/// What a stream, or a row of streams one after the other, does in a run against a node. On its shard's loop.
///
/// Call order: made and opened, ``isReady`` once the node has shown that it serves the protocol; ``start()``; ``stop()``; ``isOver`` when nothing is left.
protocol NodeLane: AnyObject {
    var isReady: Bool { get }
    var isOver: Bool { get }
    func start()
    /// Begins nothing more, and ends what has no end of its own.
    func stop()
}
