import Bytes
import Kernel
import Reactor

/// What happens at a ``RawPort``, told to the layer that has it at the moment.
protocol RawPortUser: AnyObject {
    func portReceived(_ block: Block, _ range: Range<Int>)
    /// Everything written has been taken, after a time in which it had not; or nothing will be any more (``RawPort/writeFailure``).
    func portDrained()
    /// A pending ``RawPort/pass(_:owner:)`` is over.
    func portPassed(_ byteCount: Int)
    func portEnded()
    func portFailed(_ error: ChannelError)
}

/// The one handler of a raw channel while layers above it come and go: an upgrade, then a ``SecuredChannel``. A channel cannot be handed over while a send is
/// pending; a port can.
///
/// Writes go through a gather of its own:
///
/// ```
///              append                flush: all taken
///   ┌───────┐ ────────▶ ┌─────────┐ ─────────────────▶ idle
///   │ idle  │           │ filled  │
///   └───────┘           └────┬────┘ partial, blocked, pending      writable, sent
///                            └─────────────────▶ waiting ───────────────────────▶ flushed again; idle: portDrained
///
///   a failed send: failed, where everything is dropped
/// ```
///
/// Call order: ``start(_:)``; ``append(_:)`` and ``flush()`` at any time; ``pass(_:owner:)`` while ``isReady``; ``hand(to:)`` at any time; ``finishWhenDrained()`` after the
/// last append; ``close(_:)`` last.
///
/// Invariant: the gather does not change while a send is pending; what is appended meanwhile waits in `held`. `passingOwner` is there from a pending pass until the
/// kernel is done with it.
final class RawPort: ChannelHandler {
    private enum Sending {
        case ready
        /// ``channelWritable()`` follows.
        case blocked
        /// ``channelSent(_:)`` follows, for the gather or for that of the user.
        case pending, passing
        case failed(ChannelError)
    }

    /// What becomes of bytes that are still to be written when the user closes.
    enum Farewell {
        case dropped
        /// Written, as long as that takes less than ``lingerNanosecondsMax``.
        case written
    }

    /// How long a closed connection may take to write its last bytes. A far end that reads does it in a round trip; one that does not must not hold the
    /// descriptor.
    static let lingerNanosecondsMax: UInt64 = 2_000_000_000

    private struct Hot: ~Copyable {
        /// Everything is referenced, so the arena stays empty; it must hold what ``Gather/hasRoom`` asks for.
        var gather = Gather(arenaByteCount: 64, copyThreshold: 0)
    }

    let raw: any Channel
    private let loop: EventLoop
    private let hot = Owned(Hot())
    private var sending = Sending.ready
    private var held: [Slice] = []
    private var droppedByteCount = 0
    private var finishes = false
    private var hasFinished = false
    private var isClosed = false
    private var lingerTimer: LoopTimer?
    private var user: (any RawPortUser)?
    /// Whoever owns the gather of a pending pass, however the connection ends: the kernel may still read it. The channel lets go of the port when it no
    /// longer does.
    private var passingOwner: AnyObject?

    init(_ raw: any Channel, loop: EventLoop) {
        self.raw = raw
        self.loop = loop
    }

    func start(_ user: any RawPortUser) {
        self.user = user
        raw.start(self)
    }

    /// Gives what happens from now on to another layer.
    func hand(to user: any RawPortUser) {
        if !isClosed { self.user = user }
    }

    // MARK: Writing

    /// Whether what is written now goes out at once, as far as is known.
    var isReady: Bool { if case .ready = sending { true } else { false } }

    /// Why nothing can be written any more.
    var writeFailure: ChannelError? { if case .failed(let error) = sending { error } else { nil } }

    /// Bytes that were appended and not taken, nor ever will be after a failure.
    var unwrittenByteCount: Int { held.reduce(hot.value.gather.byteCount + droppedByteCount) { $0 + $1.count } }

    func append(_ bytes: [UInt8]) {
        if !bytes.isEmpty { append(Slice(copying: bytes)) }
    }

    func append(_ slice: Slice) {
        guard !slice.isEmpty, !isClosed, writeFailure == nil else { return }
        queue(slice)
    }

    private func queue(_ slice: Slice) {
        if case .pending = sending { return held.append(slice) }
        guard hot.value.gather.hasRoom else { return held.append(slice) }
        hot.value.gather.endFrame(tag: 0, payload: slice)
    }

    /// Offers what was appended.
    func flush() {
        while isReady {
            if hot.value.gather.isEmpty { takeHeld() }
            guard !hot.value.gather.isEmpty else { return finishIfDue() }
            switch raw.send(&hot.value.gather) {
            case .complete(let byteCount): hot.value.gather.advance(by: byteCount)
            case .partial(let byteCount):
                hot.value.gather.advance(by: byteCount)
                sending = .blocked
            case .blocked: sending = .blocked
            case .pending: sending = .pending
            case .failed(let error): fail(error)
            }
        }
    }

    /// Offers the gather of `owner` as it is, and keeps the owner as long as the kernel may read it. What is said of ``Channel/send(_:)`` holds; only
    /// while ``isReady``.
    func pass(_ gather: inout Gather, owner: AnyObject?) -> SendOutcome {
        precondition(isReady, "what was written before goes first")
        flush()
        guard isReady else { return writeFailure.map(SendOutcome.failed) ?? .blocked }
        let outcome = raw.send(&gather)
        switch outcome {
        case .complete: break
        case .partial, .blocked: sending = .blocked
        case .pending:
            sending = .passing
            passingOwner = owner
        case .failed(let error): fail(error)
        }
        return outcome
    }

    /// Ends this side's sending behind everything appended.
    func finishWhenDrained() {
        finishes = true
        flush()
    }

    private func takeHeld() {
        guard !held.isEmpty else { return }
        let waiting = held
        held = []
        for slice in waiting { queue(slice) }
    }

    private func finishIfDue() {
        guard finishes, !hasFinished else { return }
        hasFinished = true
        raw.finishSending()
    }

    private func fail(_ error: ChannelError) {
        // What is in the gather of a pending send stays there: the kernel may still read it.
        let isPending = if case .pending = sending { true } else { false }
        sending = .failed(error)
        droppedByteCount += held.reduce(0) { $0 + $1.count }
        held = []
        guard !isPending else { return }
        droppedByteCount += hot.value.gather.byteCount
        hot.value.gather.advance(by: hot.value.gather.byteCount)
    }

    // MARK: The end

    /// Ends both directions; no call of the user follows.
    func close(_ farewell: Farewell) {
        guard !isClosed else { return }
        isClosed = true
        user = nil
        if farewell == .written, unwrittenByteCount > 0, writeFailure == nil {
            raw.pauseReceiving()
            lingerTimer = loop.schedule(at: loop.now &+ Self.lingerNanosecondsMax) { [self] in closeRaw() }
        } else {
            closeRaw()
        }
    }

    /// Whether a gather of the user's may be in the hands of the kernel.
    var isPassing: Bool { passingOwner != nil }

    private func closeRaw() {
        lingerTimer?.cancel()
        lingerTimer = nil
        raw.close()
    }

    private func drained() {
        if isClosed { return closeRaw() }
        user?.portDrained()
    }

    // MARK: ChannelHandler

    func channelReceived(_ block: Block, _ range: Range<Int>) { user?.portReceived(block, range) }

    func channelWritable() {
        guard case .blocked = sending else { return }
        sending = .ready
        continueSending()
    }

    func channelSent(_ byteCount: Int) {
        if case .passing = sending {
            sending = .ready
            // Until the end of this call: it may be the last that holds the owner.
            let owner = passingOwner.take()
            defer { withExtendedLifetime(owner) {} }
            guard !isClosed else { return continueSending() }
            user?.portPassed(byteCount)
            return flush()
        }
        guard case .pending = sending else { return }
        sending = .ready
        hot.value.gather.advance(by: byteCount)
        continueSending()
    }

    private func continueSending() {
        flush()
        switch sending {
        case .ready, .failed: drained()
        case .blocked, .pending, .passing: break
        }
    }

    func channelEnded() { user?.portEnded() }

    func channelFailed(_ error: ChannelError) {
        lingerTimer?.cancel()
        lingerTimer = nil
        fail(error)
        let user = self.user
        self.user = nil
        isClosed = true
        user?.portFailed(error)
    }
}
