import Kernel
import Multiformats
import Muxers
import P2P
import Reactor

/// Makes a run's connections, spread over its loops: connection `i` belongs to loop `i mod loops`.
struct Dialler: Sendable {
    /// Dials under way on a loop at once: well below the listener's backlog, or a burst is dropped and tried again after a second.
    static let inFlightMax = 128

    let address: SocketAddress
    let token: UInt64
    /// Connections for each of the run's: without a muxer a stream is a connection, and these are the streams' numbers, as far as the connection has them.
    let streams: Range<Int>
    let scenario: Scenario
    let responder: Responder?

    func streams(of connection: UInt32) -> Range<Int> { streams.clamped(to: 0..<scenario.streams(on: Int(connection))) }

    /// Dials all; returns the first failure. Where each operation is a connection of its own none is dialled yet: they are made as traffic goes.
    func dialAll(_ run: SideRun) async -> RunError? {
        for (number, shard) in run.shards.enumerated() {
            let failure: RunError? = await withCheckedContinuation { continuation in
                shard.loop.submit {
                    let dials = LoopDials(dialler: self, shard: shard.value, first: number, stride: run.shards.count)
                    dials.run { continuation.resume(returning: $0) }
                }
            }
            if let failure { return failure }
        }
        return nil
    }
}

/// The dials of one loop, few at a time. On the loop only; kept by the shard where connections are made again and again.
private final class LoopDials {
    private struct Job {
        let connection: UInt32
        var stream: UInt64 = 0
        /// Called when the connection is there, upgraded and counted, or cannot be had.
        let done: (RunError?) -> Void
    }

    private let dialler: Dialler
    private unowned let shard: Shard
    private let connections: [UInt32]
    private var waiting: [Job] = []
    private var next = 0
    /// Dials whose socket is not connected yet.
    private var inFlight = 0

    init(dialler: Dialler, shard: Shard, first: Int, stride: Int) {
        self.dialler = dialler
        self.shard = shard
        connections = Swift.stride(from: first, to: dialler.scenario.connections, by: stride).map { UInt32($0) }
    }

    func run(_ done: @escaping (RunError?) -> Void) {
        guard !shard.reopensConnections else {
            shard.prepareConnecting(connections) { [self] connection in
                begin(Job(connection: connection) { [shard] failure in if let failure { shard.problem("\(failure)") } })
            }
            return done(nil)
        }
        var left = connections.reduce(0) { $0 + dialler.streams(of: $1).count }
        var firstFailure: RunError?
        guard left > 0 else { return done(nil) }
        for connection in connections {
            for stream in dialler.streams(of: connection) {
                begin(Job(connection: connection, stream: UInt64(stream)) { failure in
                    firstFailure = firstFailure ?? failure
                    left -= 1
                    if left == 0 { done(firstFailure) }
                })
            }
        }
    }

    private func begin(_ job: Job) {
        shard.dialBegan()
        waiting.append(job)
        advance()
    }

    private func advance() {
        while inFlight < Dialler.inFlightMax, next < waiting.count {
            let job = waiting[next]
            next += 1
            if next == waiting.count {
                waiting.removeAll(keepingCapacity: true)
                next = 0
            }
            inFlight += 1
            dial(job)
        }
    }

    private func connected(_ result: Result<any Channel, RunError>, _ job: Job, startedAt: Nanoseconds) {
        inFlight -= 1
        switch result {
        case .failure(let failure): end(job, failure)
        case .success(let channel):
            shard.dialled(channel, index: job.connection, streamBase: job.stream, token: dialler.token, dialledAt: startedAt) { [self] error in
                end(job, error.map { failure(job, "\($0)") })
            }
        }
        advance()
    }

    private func end(_ job: Job, _ failure: RunError?) {
        // Whoever hears that all is done may let go of the shard at once.
        shard.dialEnded()
        job.done(failure)
    }

    private func failure(_ job: Job, _ reason: String) -> RunError {
        .dialFailed(connection: Int(job.connection), address: dialler.responder == nil ? "\(dialler.address)" : "memory", reason: reason)
    }

    private func dial(_ job: Job) {
        let startedAt = shard.freshNow()
        if let responder = dialler.responder {
            // Not from within this call, as a socket would.
            shard.loop.schedule(at: shard.now) { [self] in
                let channel = responder.acceptMemory(on: shard.loop)
                connected(
                    channel.map { .success($0) } ?? .failure(failure(job, "the responder is on other loops")), job, startedAt: startedAt)
            }
            return
        }
        shard.loop.connect(to: dialler.address, options: dialler.options(shard)) { [self] result in
            connected(result.mapError { failure(job, "\($0)") }, job, startedAt: startedAt)
        }
    }
}

extension Dialler {
    /// Connections that live for one operation are reset at their end, once both sides have finished: ports in TIME_WAIT would run out
    /// after some 28,000 of them.
    fileprivate func options(_ shard: Shard) -> SocketOptions {
        var options = SocketOptions()
        if shard.reopensConnections { options.lingerSeconds = 0 }
        return options
    }
}
