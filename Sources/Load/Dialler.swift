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
    /// Connections for each of the run's: without a muxer a stream is a connection.
    let streamsPerConnection: Int
    let connections: Int
    let responder: Responder?

    /// Dials all; returns the first failure.
    func dialAll(_ run: SideRun) async -> RunError? {
        for (number, shard) in run.shards.enumerated() {
            let failure: RunError? = await withCheckedContinuation { continuation in
                shard.loop.submit {
                    let jobs = LoopDials(dialler: self, shard: shard.value, first: number, stride: run.shards.count)
                    jobs.run { continuation.resume(returning: $0) }
                }
            }
            if let failure { return failure }
        }
        return nil
    }
}

/// The dials of one loop. On the loop only.
private final class LoopDials {
    private let dialler: Dialler
    private let shard: Shard
    private let jobs: [(connection: UInt32, stream: UInt64)]
    private var next = 0
    private var inFlight = 0
    private var failure: RunError?
    private var done: ((RunError?) -> Void)?

    init(dialler: Dialler, shard: Shard, first: Int, stride: Int) {
        self.dialler = dialler
        self.shard = shard
        jobs = Swift.stride(from: first, to: dialler.connections, by: stride).flatMap { connection in
            (0..<dialler.streamsPerConnection).map { (UInt32(connection), UInt64($0)) }
        }
        let (dialler, shard) = (dialler, shard)
        shard.onReconnect = { [unowned shard] connection in
            LoopDials.dial(dialler, shard, connection, 0) { failure in
                if let failure { shard.problem("\(failure)") }
            }
        }
    }

    func run(_ done: @escaping (RunError?) -> Void) {
        self.done = done
        advance()
    }

    private func advance() {
        while failure == nil, inFlight < Dialler.inFlightMax, next < jobs.count {
            let job = jobs[next]
            next += 1
            inFlight += 1
            Self.dial(dialler, shard, job.connection, job.stream) { [self] failure in
                inFlight -= 1
                self.failure = self.failure ?? failure
                advance()
            }
        }
        guard inFlight == 0, failure != nil || next == jobs.count else { return }
        done?(failure)
        done = nil
    }

    private static func dial(
        _ dialler: Dialler, _ shard: Shard, _ connection: UInt32, _ stream: UInt64, _ done: @escaping (RunError?) -> Void
    ) {
        let started = shard.freshNow()
        func connected(_ channel: any Channel) {
            shard.dialled(channel, index: connection, streamBase: stream, token: dialler.token, dialledAt: started) { error in
                done(error.map { .dialFailed(connection: Int(connection), address: "\(dialler.address)", reason: "\($0)") })
            }
        }
        if let responder = dialler.responder {
            guard let channel = responder.acceptMemory(on: shard.loop) else {
                return done(.dialFailed(connection: Int(connection), address: "memory", reason: "the responder is on other loops"))
            }
            // Not from within this call, as a socket would.
            shard.loop.schedule(at: shard.now) { connected(channel) }
            return
        }
        shard.loop.connect(to: dialler.address, options: dialler.options(shard)) { result in
            switch result {
            case .success(let channel): connected(channel)
            case .failure(let error):
                done(.dialFailed(connection: Int(connection), address: "\(dialler.address)", reason: "\(error)"))
            }
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
