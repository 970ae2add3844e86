public import Bytes
public import Kernel
public import Reactor

/// A pair of channels inside one event loop, with no kernel between them: what a multiplexer costs by itself.
///
/// Bytes that one end sends are copied into a block and handed to the other end in the next turn of the loop. A channel takes at most
/// ``bufferBytesMax`` that the other end has not been given yet, so a sender meets back-pressure as it would on a socket.
public final class MemoryChannel: Channel, TurnEndHandler {
    /// About what the kernel keeps for a loopback connection with bounded buffers.
    public static let bufferBytesMax = 512 << 10
    /// How long to wait when the pool has no block to carry bytes in: nobody tells when one comes back.
    static let poolRetryNanoseconds: UInt64 = 100_000

    private let loop: EventLoop
    private weak var peer: MemoryChannel?
    private var handler: (any ChannelHandler)?
    private var inbox: [(block: Block, byteCount: Int)] = []
    private var inboxBytes = 0
    private var peerHasEnded = false
    private var isScheduled = false
    private var isPaused = false
    private var isClosed = false
    private var hasToldEnd = false
    private var isBlocked = false
    public private(set) var bytesSent: UInt64 = 0
    public private(set) var bytesReceived: UInt64 = 0

    private init(loop: EventLoop) {
        self.loop = loop
    }

    /// Two ends of one connection.
    public static func pair(on loop: EventLoop) -> (MemoryChannel, MemoryChannel) {
        let (one, other) = (MemoryChannel(loop: loop), MemoryChannel(loop: loop))
        one.peer = other
        other.peer = one
        return (one, other)
    }

    public func start(_ handler: any ChannelHandler) {
        self.handler = handler
        wake()
    }

    public func handOver(to handler: any ChannelHandler) {
        if !isClosed { self.handler = handler }
    }

    public func send(_ gather: inout Gather) -> SendOutcome {
        guard !isClosed, let peer, !peer.isClosed else { return .failed(.closed) }
        let offered = gather.byteCount
        let room = Self.bufferBytesMax - peer.inboxBytes
        guard room > 0 else {
            isBlocked = true
            return .blocked
        }
        guard let block = loop.pool.take() else {
            isBlocked = true
            loop.schedule(at: loop.now &+ Self.poolRetryNanoseconds) { [weak self] in self?.wake() }
            return .blocked
        }
        loop.noteSend()
        let count = gather.copyBytes(into: block, byteLimit: room)
        peer.inbox.append((block, count))
        peer.inboxBytes += count
        peer.wake()
        bytesSent += UInt64(count)
        guard count < offered else { return .complete(count) }
        isBlocked = true
        // What did not fit was larger than a block, and there may be room for another.
        if count < room { wake() }
        return .partial(count)
    }

    public func finishSending() {
        peer?.peerHasEnded = true
        peer?.wake()
    }

    public func close() {
        guard !isClosed else { return }
        isClosed = true
        handler = nil
        inbox.removeAll()
        inboxBytes = 0
        peer?.peerHasEnded = true
        peer?.wake()
    }

    public func pauseReceiving() { isPaused = true }

    public func resumeReceiving() {
        isPaused = false
        wake()
    }

    public func tcpInfo() -> TCPInfo? { nil }
    public var remoteAddress: SocketAddress? { nil }

    private func wake() {
        guard !isScheduled, !isClosed, handler != nil else { return }
        isScheduled = true
        loop.scheduleFlush(self)
    }

    /// Delivers one block a turn, so that both ends have their turns.
    public func turnEnded() {
        isScheduled = false
        guard !isClosed, let handler else { return }
        // A far end that is gone takes nothing; the send that follows says so.
        if isBlocked, (peer?.inboxBytes ?? 0) < Self.bufferBytesMax {
            isBlocked = false
            handler.channelWritable()
        }
        guard !isPaused, !isClosed else { return }
        if !inbox.isEmpty {
            let (block, count) = inbox.removeFirst()
            inboxBytes -= count
            bytesReceived += UInt64(count)
            loop.noteReceive()
            handler.channelReceived(block, 0..<count)
            if peer?.isBlocked == true { peer?.wake() }
            wake()
        } else if peerHasEnded && !hasToldEnd {
            hasToldEnd = true
            handler.channelEnded()
        }
    }
}
