import Bytes
import Gauge
import Links
import Muxers
import P2P
import Reactor

/// Where one side's traffic stood at a moment that both sides share.
struct FlowSample: Codable, Equatable, Sendable {
    /// Multiples of ``FlowSampler/tickNanoseconds`` of the machine's monotonic clock.
    var tick: UInt64
    /// Of the largest receive window so far; 0 where the multiplexer has none.
    var windowBytes: UInt64
    /// Payload framed so far.
    var sentBytes: UInt64
    /// Payload received so far.
    var receivedBytes: UInt64
}

/// Looks at a shard's connections again and again while traffic goes over an emulated link. Both sides look at the same moments, as they share a clock, so that
/// what one has sent and the other not received is what is under way.
///
/// Invariant: at most ``samplesMax`` samples, evenly spaced: when there are more, every second is dropped and the spacing doubled.
final class FlowSampler {
    static let tickNanoseconds: Nanoseconds = 5_000_000
    static let samplesMax = 512

    private unowned let shard: Shard
    private var timer: LoopTimer?
    private var stride: UInt64 = 1
    private(set) var samples: [FlowSample] = []

    init(_ shard: Shard) { self.shard = shard }

    deinit { timer?.cancel() }

    func start() {
        look()
        let timer = shard.loop.makeTimer { [unowned self] in look() }
        self.timer = timer
        arm()
    }

    /// Looks a last time.
    func stop() {
        guard let timer else { return }
        look()
        timer.cancel()
        self.timer = nil
    }

    private func arm() {
        let next = (shard.loop.now / Self.tickNanoseconds / stride + 1) * stride
        timer?.arm(at: next * Self.tickNanoseconds)
    }

    private func look() {
        var sample = FlowSample(
            tick: shard.loop.now / Self.tickNanoseconds, windowBytes: 0, sentBytes: shard.harvest.ledger.sent.payload,
            receivedBytes: shard.harvest.ledger.received.payload)
        shard.forEachLive { traffic in
            guard let muxer = traffic.connection?.muxer else { return }
            sample.sentBytes += muxer.counters.sent.payloadBytes
            sample.receivedBytes += muxer.counters.received.payloadBytes
            sample.windowBytes = max(sample.windowBytes, UInt64(muxer.flow(at: shard.loop.now)?.receiveWindowBytesMax ?? 0))
        }
        samples.append(sample)
        if samples.count > Self.samplesMax {
            stride *= 2
            samples.removeAll { $0.tick % stride != 0 }
        }
        arm()
    }

    /// The samples of several loops as one side's: at moments that all have.
    static func merged(_ loops: [[FlowSample]]) -> [FlowSample] {
        guard var sums = loops.first else { return [] }
        for samples in loops.dropFirst() {
            let others = Dictionary(samples.map { ($0.tick, $0) }) { $1 }
            sums = sums.compactMap { sample in
                guard let other = others[sample.tick] else { return nil }
                return FlowSample(
                    tick: sample.tick, windowBytes: max(sample.windowBytes, other.windowBytes), sentBytes: sample.sentBytes + other.sentBytes,
                    receivedBytes: sample.receivedBytes + other.receivedBytes)
            }
        }
        return sums
    }
}

/// What both sides' samples say together.
enum LinkAccount {
    static func figures(_ link: LinkShape, _ run: RunFigures) -> LinkFigures {
        func utilisation(_ goodput: Gauge.Measured<Double>) -> Gauge.Measured<Double> { goodput.map { $0 * 8 / Double(link.bitsPerSecond) } }
        return LinkFigures(
            roundTripNanoseconds: link.roundTripNanoseconds, bitsPerSecond: link.bitsPerSecond, bufferBytes: link.bufferBytes,
            jitterNanoseconds: link.jitterNanoseconds, bandwidthDelayBytes: link.bandwidthDelayBytes,
            utilisationUp: utilisation(run.goodputUpBytesPerSecond), utilisationDown: utilisation(run.goodputDownBytesPerSecond))
    }

    /// One for each direction in which payload went.
    static func trajectories(_ link: LinkShape, client: [FlowSample], server: [FlowSample]) -> [WindowTrajectory] {
        [(Gauge.Direction.up, client, server), (.down, server, client)].compactMap { direction, sender, receiver in
            let sent = Dictionary(sender.map { ($0.tick, $0.sentBytes) }) { $1 }
            let shared = receiver.filter { sent[$0.tick] != nil }
            guard let first = shared.first, let last = shared.last, last.receivedBytes > first.receivedBytes else { return nil }
            let points = shared.map { sample in
                let ahead = sent[sample.tick] ?? 0
                return WindowTrajectory.Point(
                    seconds: Double(sample.tick - first.tick) * Double(FlowSampler.tickNanoseconds) / 1e9,
                    windowBytes: sample.windowBytes > 0 ? .value(sample.windowBytes) : .unavailable("the multiplexer has no windows that are counted"),
                    inFlightBytes: ahead > sample.receivedBytes ? ahead - sample.receivedBytes : 0,
                    receivedBytes: sample.receivedBytes - first.receivedBytes)
            }
            return WindowTrajectory(
                direction: direction.rawValue, points: points, bytesPerSecond: Double(link.bitsPerSecond) / 8,
                spanSeconds: max(Double(link.roundTripNanoseconds) / 1e9, 0.05))
        }
    }
}
