import Gauge
import Kernel
import Multiformats
import Muxers
import P2P
import Reactor

/// Connections one after the other, each with its upgrade, one ping and its end. The first shows that the node is there, and is not measured.
final class ConnectLane: NodeLane {
    private let shard: NodeShard
    private let host: P2P.Host
    private let target: Multiaddr
    private let timeoutNanoseconds: UInt64
    private var resume: (() -> Void)?
    private(set) var isReady = false
    private(set) var isOver = false

    init(_ shard: NodeShard, _ host: P2P.Host, _ target: Multiaddr, timeoutNanoseconds: UInt64) {
        self.shard = shard
        self.host = host
        self.target = target
        self.timeoutNanoseconds = timeoutNanoseconds
    }

    /// Begins with the first connection.
    func open() {
        let lane = LoopBound(self, on: shard.loop)
        let (host, target, timeout) = (host, target, timeoutNanoseconds)
        Task(executorPreference: shard.loop) {
            var events = host.makeEvents().makeAsyncIterator()
            while true {
                let dialledAt = Clock.now
                do throws(HostError) {
                    let connection = try await host.connect(to: target)
                    let ping = try await Ping.open(on: connection)
                    _ = try await ping.roundTrip(timeoutNanoseconds: timeout)
                    let answeredAt = Clock.now
                    await ping.close()
                    connection.close()
                    while let event = await events.next() {
                        if case .disconnected(connection, _) = event { break }
                    }
                    lane.value.came(connection.upgradeReport, SideLedger(await connection.counters()), dialledAt, answeredAt)
                } catch {
                    lane.value.failed(error)
                }
                await withCheckedContinuation { continuation in lane.value.whenStarted { continuation.resume() } }
                guard lane.value.begins() else { return }
            }
        }
    }

    private func came(_ report: UpgradeReport, _ ledger: SideLedger, _ dialledAt: Nanoseconds, _ answeredAt: Nanoseconds) {
        shard.harvest.ledger = shard.harvest.ledger + ledger
        guard isReady else {
            isReady = true
            return
        }
        if shard.recorder.isMeasuring {
            shard.harvest.connectSteps.add(.tcp, dialledAt: dialledAt, report.marks, answeredAt: answeredAt)
        }
        shard.recorder.sent(bytes: NodeWorkload.pingBytes, messages: 1)
        shard.completed(startedAt: dialledAt, endedAt: answeredAt, receivedBytes: NodeWorkload.pingBytes)
    }

    private func failed(_ error: HostError) {
        isReady ? shard.lost(error) : shard.problem(error)
        // A node that cannot be reached once will hardly be a moment later, and is not to be hammered.
        isOver = true
    }

    /// Calls back at once when the run has started, is over for this lane, or ends before it starts.
    private func whenStarted(_ resume: @escaping () -> Void) {
        guard !shard.isStarted, !shard.isStopping, !isOver else { return resume() }
        self.resume = resume
    }

    private func begins() -> Bool {
        if !isOver, shard.begins() { return true }
        isOver = true
        return false
    }

    func start() { resumed() }
    func stop() { resumed() }

    private func resumed() {
        let resume = resume
        self.resume = nil
        resume?()
    }
}
