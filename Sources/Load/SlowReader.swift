import Bytes
import Muxers
import P2P
import Reactor

/// A receiver that is done with what it received at a fixed rate and no faster, as an application is that writes to a disk or a database.
///
/// Invariant: while `owed` is not empty the timer is armed.
final class SlowReader: PacedReader {
    /// Short against what a person notices and long against a turn of the loop.
    private static let tick: Nanoseconds = 1_000_000

    private struct Debt: BitwiseCopyable {
        let stream: StreamHandle
        var byteCount: Int
    }

    private let loop: EventLoop
    private let bytesPerSecond: Double
    private var owed = RingQueue<Debt>()
    private var allowance = 0.0
    private var lastTick: Nanoseconds = 0
    private var timer: LoopTimer?
    /// Held: the connection lets go of its handler, and with it of this, at its end.
    private var connection: Connection?
    /// How long something was owed, before what is owed now.
    private var withheldBefore: Nanoseconds = 0
    private var withheldSince: Nanoseconds = 0

    /// How long bytes had arrived and were not read.
    var withheldNanoseconds: Nanoseconds { withheldBefore &+ (owed.isEmpty ? 0 : loop.now &- withheldSince) }

    init(loop: EventLoop, bytesPerSecond: Double) {
        self.loop = loop
        self.bytesPerSecond = bytesPerSecond
    }

    deinit { timer?.cancel() }

    func received(_ byteCount: Int, on stream: StreamHandle, _ connection: Connection) {
        if self.connection == nil { self.connection = connection }
        let wasIdle = owed.isEmpty
        owed.push(Debt(stream: stream, byteCount: byteCount))
        guard wasIdle else { return }
        lastTick = loop.now
        withheldSince = loop.now
        arm()
    }

    func finish() {
        withheldBefore = withheldNanoseconds
        while let debt = owed.pop() { connection?.consume(debt.stream, byteCount: debt.byteCount) }
        timer?.cancel()
    }

    private func arm() {
        let timer = self.timer ?? loop.makeTimer { [unowned self] in read() }
        self.timer = timer
        timer.arm(at: loop.now &+ Self.tick)
    }

    private func read() {
        // A loop that was held up reads no more than it would have in a few turns.
        let elapsed = min(loop.now &- lastTick, 4 * Self.tick)
        lastTick = loop.now
        allowance += Double(elapsed) / 1e9 * bytesPerSecond
        while allowance >= 1, var debt = owed.pop() {
            let count = min(debt.byteCount, Int(allowance))
            allowance -= Double(count)
            debt.byteCount -= count
            connection?.consume(debt.stream, byteCount: count)
            if debt.byteCount > 0 { owed.pushFront(debt) }
        }
        guard owed.isEmpty else { return arm() }
        allowance = 0
        withheldBefore &+= loop.now &- withheldSince
    }
}
