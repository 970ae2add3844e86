import Bytes
import Reactor

/// One side of a connection over a relay: reads what its socket brings into the link, and writes to its socket what the link has brought for it.
///
/// Reading stops while the link is full, or while the far side's receiver takes so little that too much of this connection has arrived and waits. What is under way then
/// still arrives, so at most that and ``heldBytesMax`` wait.
///
/// Call order: `init`, ``start()``, ``deliver(_:)`` and ``deliverEnd()`` as the link brings it, ``close()``.
final class LinkPort: ChannelHandler, TurnEndHandler {
    /// What may wait for the receiver before the sender is held back, beside what the kernel holds for it.
    static let heldBytesMax = 256 << 10
    /// What is offered to the kernel at once.
    private static let writeBytesMax = 256 << 10

    let tag: UInt32
    private let channel: any Channel
    private let lane: LinkLane
    private unowned let hub: LinkHub
    weak var peer: LinkPort?
    private let outgoing = Owned(Outgoing())

    private struct Outgoing: ~Copyable {
        var gather = Gather(arenaByteCount: 64 << 10)
        var queues = SliceQueues()
        var waiting = SliceQueues.Fifo()
        var waitingBytes = 0
    }

    private var isBlocked = false
    private var isSendPending = false
    private var isFlushScheduled = false
    private var isReceiving = false
    /// The link has brought the end of what is to be written.
    private var isEndDelivered = false
    private var hasFinishedSending = false
    /// The socket brings nothing more.
    private var hasReceivedEnd = false
    private var isClosed = false

    init(_ channel: any Channel, tag: UInt32, into lane: LinkLane, hub: LinkHub) {
        self.channel = channel
        self.tag = tag
        self.lane = lane
        self.hub = hub
    }

    /// Nothing more is read or written.
    var isOver: Bool { isClosed || hasReceivedEnd && hasFinishedSending }

    /// Begins to read.
    func start() {
        isReceiving = true
        channel.start(self)
        updateReceiving()
    }

    /// Bytes that have arrived for this socket and were not taken by its kernel.
    private var heldBytes: Int { outgoing.value.waitingBytes + outgoing.value.gather.byteCount }

    /// Reads or stops reading, as the link and the receiver have it.
    func updateReceiving() {
        let wanted = lane.mayRead(tag) && (peer?.heldBytes ?? 0) <= Self.heldBytesMax
        guard wanted != isReceiving, !isClosed else { return }
        isReceiving = wanted
        if wanted { channel.resumeReceiving() } else { channel.pauseReceiving() }
    }

    // MARK: From the link

    func deliver(_ slice: consuming QueuedSlice) {
        guard !isClosed else { return }
        outgoing.value.waitingBytes += slice.count
        outgoing.value.queues.push(slice, on: &outgoing.value.waiting)
        wantFlush()
    }

    func deliverEnd() {
        isEndDelivered = true
        wantFlush()
    }

    private func wantFlush() {
        guard !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        hub.loop.scheduleFlush(self)
    }

    func turnEnded() {
        isFlushScheduled = false
        flush()
    }

    private func fill() {
        while outgoing.value.gather.byteCount < Self.writeBytesMax, outgoing.value.gather.hasRoom, !outgoing.value.waiting.isEmpty {
            let slice = outgoing.value.queues.popFront(&outgoing.value.waiting)
            outgoing.value.waitingBytes -= slice.count
            outgoing.value.gather.endPinnedFrame(payload: slice)
        }
    }

    private func flush() {
        while !isClosed, !isBlocked, !isSendPending {
            fill()
            guard !outgoing.value.gather.isEmpty else { return finishWhenDone() }
            switch channel.send(&outgoing.value.gather) {
            case .complete(let byteCount): wrote(byteCount)
            case .partial(let byteCount):
                isBlocked = true
                wrote(byteCount)
            case .blocked: isBlocked = true
            case .pending: isSendPending = true
            // The reader of this socket hears why.
            case .failed: return abandon()
            }
        }
        peer?.updateReceiving()
    }

    private func wrote(_ byteCount: Int) {
        outgoing.value.gather.advance(by: byteCount)
        peer?.updateReceiving()
    }

    private func finishWhenDone() {
        peer?.updateReceiving()
        guard isEndDelivered, !hasFinishedSending else { return }
        hasFinishedSending = true
        // Where the other socket is gone, nothing that this one brings could be delivered.
        if peer?.isClosed == true { close() } else { channel.finishSending() }
        hub.ended(self)
    }

    // MARK: From the socket

    func channelReceived(_ block: Block, _ range: Range<Int>) { lane.put(block, range, tag: tag) }

    func channelWritable() {
        isBlocked = false
        flush()
    }

    func channelSent(_ byteCount: Int) {
        isSendPending = false
        wrote(byteCount)
        flush()
    }

    func channelEnded() {
        hasReceivedEnd = true
        lane.end(tag: tag)
        hub.ended(self)
    }

    /// The socket is gone: what it has brought still arrives at the other, and then that one ends as well.
    func channelFailed(_ error: ChannelError) {
        isClosed = true
        if !hasReceivedEnd {
            hasReceivedEnd = true
            lane.end(tag: tag)
        }
        hub.ended(self)
    }

    /// Nothing can be written any more, and nobody would answer.
    private func abandon() {
        close()
        if !hasReceivedEnd {
            hasReceivedEnd = true
            lane.end(tag: tag)
        }
        hub.ended(self)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        channel.close()
    }
}
