import Bytes
import Muxers
import P2P
import Reactor

/// A receiver that is done with what it received later than it came. What it is not done with is credit withheld: the muxer's flow control has to hold the far
/// end back. One for each flow of a connection that is not read at once.
protocol PacedReader: AnyObject {
    /// Bytes arrived that are to be read later.
    func received(_ byteCount: Int, on stream: StreamHandle, _ connection: Connection)
    /// Reads all that is left, at once: the run is over, and only its end is waited for.
    func finish()
    /// How long bytes had arrived and were not read.
    var withheldNanoseconds: Nanoseconds { get }
}

/// A receiver whose handler takes long: on each stream it reads a message, and rests before it reads on.
///
/// Invariant: a stream stands in `resting` at most once, and does while it has bytes in `unread`; the timer is armed while `resting` is not empty.
final class RestingReader: PacedReader {
    private struct Rest: BitwiseCopyable {
        let stream: StreamHandle
        let end: Nanoseconds
    }

    private let loop: EventLoop
    private let messageBytes: Int
    private let restNanoseconds: Nanoseconds
    private var unread: [StreamHandle: Int] = [:]
    private var resting = RingQueue<Rest>()
    private var timer: LoopTimer?
    /// Over all streams.
    private var unreadBytes = 0
    /// How long there was something to read, before what there is now.
    private var withheldBefore: Nanoseconds = 0
    private var withheldSince: Nanoseconds = 0

    var withheldNanoseconds: Nanoseconds { withheldBefore &+ (unreadBytes == 0 ? 0 : loop.now &- withheldSince) }

    /// Held: the connection lets go of its handler, and with it of this, at its end.
    private var connection: Connection?

    init(loop: EventLoop, messageBytes: Int, restSeconds: Double) {
        self.loop = loop
        self.messageBytes = messageBytes
        restNanoseconds = Nanoseconds(restSeconds * 1e9)
    }

    deinit { timer?.cancel() }

    func received(_ byteCount: Int, on stream: StreamHandle, _ connection: Connection) {
        if self.connection == nil { self.connection = connection }
        if unreadBytes == 0 { withheldSince = loop.now }
        unreadBytes += byteCount
        let isResting = unread[stream] != nil
        unread[stream, default: 0] += byteCount
        guard !isResting else { return }
        // Not from inside the read that brought them.
        rest(stream, until: loop.now)
    }

    func finish() {
        for (stream, byteCount) in unread where byteCount > 0 { connection?.consume(stream, byteCount: byteCount) }
        withheldBefore = withheldNanoseconds
        unreadBytes = 0
        unread = [:]
        while resting.pop() != nil {}
        timer?.cancel()
    }

    private func rest(_ stream: StreamHandle, until end: Nanoseconds) {
        let wasIdle = resting.isEmpty
        resting.push(Rest(stream: stream, end: end))
        if wasIdle { arm(at: end) }
    }

    private func arm(at time: Nanoseconds) {
        let timer = self.timer ?? loop.makeTimer { [unowned self] in wake() }
        self.timer = timer
        timer.arm(at: time)
    }

    /// Those whose rest is over read a message each.
    private func wake() {
        let now = loop.now
        while let rest = resting.pop() {
            guard rest.end <= now else {
                resting.pushFront(rest)
                return arm(at: rest.end)
            }
            guard let waiting = unread[rest.stream], waiting > 0 else {
                unread[rest.stream] = nil
                continue
            }
            let count = min(waiting, messageBytes)
            unread[rest.stream] = waiting - count
            unreadBytes -= count
            if unreadBytes == 0 { withheldBefore &+= now &- withheldSince }
            connection?.consume(rest.stream, byteCount: count)
            self.rest(rest.stream, until: now &+ restNanoseconds)
        }
    }
}

extension Scenario.Flow {
    /// Who reads what arrives on the flow's streams of a connection; nil where everything is read at once.
    func makeReader(_ loop: EventLoop) -> (any PacedReader)? {
        if let restSeconds { return RestingReader(loop: loop, messageBytes: messageSizeBytes, restSeconds: restSeconds) }
        return readRateBytesPerSecond.map { SlowReader(loop: loop, bytesPerSecond: $0) }
    }
}
