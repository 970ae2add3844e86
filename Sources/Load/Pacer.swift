import Bytes
import Gauge
import Muxers
import Reactor

/// Starts operations on a schedule that does not wait for answers (open loop): operation `i` is due at `start + i / rate`. An operation that finds no free
/// stream waits, and its latency counts from when it was due all the same, so a slow far end cannot hide behind its own
/// slowness (coordinated omission).
///
/// It audits itself: how late it was at noticing each due operation is recorded. A pacer that could not keep its schedule makes the run INVALID.
///
/// Invariant: `issued <= due(now)`; a lane is on the free list once for every request it may still start.
final class Pacer {
    /// Above this lateness at the 99th percentile the schedule was not kept, and what was measured is the generator.
    static let latenessP99Max: Nanoseconds = 2_000_000
    /// The loop is woken for what is due within this time all at once: a timer for every operation would be all the loop does.
    private static let grain: Nanoseconds = 20_000

    private unowned let shard: Shard
    private let nanosecondsPerOperation: Double
    private var startedAt: Nanoseconds = 0
    /// Operations that have been noticed as due, and those that have been started.
    private var noticed: UInt64 = 0
    private var issued: UInt64 = 0
    private var free = RingQueue<FreeLane>()
    private var connections: [TrafficConnection] = []
    private var timer: LoopTimer?
    private var isRunning = false

    private struct FreeLane: BitwiseCopyable {
        let connection: UInt32
        let place: UInt32
    }

    init(shard: Shard, ratePerSecond: Double) {
        self.shard = shard
        nanosecondsPerOperation = 1e9 / ratePerSecond
    }

    func start() {
        isRunning = true
        startedAt = shard.freshNow()
        let timer = shard.loop.makeTimer { [unowned self] in tick() }
        self.timer = timer
        tick()
    }

    func stop() {
        isRunning = false
        timer?.cancel()
    }

    private func due(_ operation: UInt64) -> Nanoseconds {
        startedAt &+ Nanoseconds(Double(operation) * nanosecondsPerOperation)
    }

    /// A lane can take one more request.
    func laneFree(_ connection: TrafficConnection, _ place: Int) {
        if connection.pacerNumber == nil {
            connection.pacerNumber = UInt32(connections.count)
            connections.append(connection)
        }
        guard let number = connection.pacerNumber else { return }
        free.push(FreeLane(connection: number, place: UInt32(truncatingIfNeeded: place)))
        issueDue()
    }

    private func tick() {
        guard isRunning else { return }
        let now = shard.freshNow()
        while due(noticed) <= now {
            shard.recorder.recordPacerLateness(now &- due(noticed))
            noticed += 1
        }
        issueDue()
        timer?.arm(at: max(due(noticed), now &+ Self.grain))
    }

    private func issueDue() {
        guard isRunning else { return }
        while issued < noticed, let lane = free.first {
            guard shard.mayIssue() else { return }
            _ = free.pop()
            let traffic = connections[Int(lane.connection)]
            guard let connection = traffic.connection else { continue }
            traffic.issue(Int(lane.place), intendedAt: due(issued), on: connection)
            issued += 1
        }
    }
}
