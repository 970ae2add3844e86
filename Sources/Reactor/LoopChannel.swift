import Bytes
import Kernel

/// A connection of an event loop, over whatever backend it has.
///
/// ```
/// connecting ──▶ open ──▶ closed
///      └──────────────────▲
/// ```
final class LoopChannel: Channel {
    enum State {
        case connecting, open, closed
    }

    unowned let loop: EventLoop
    var token: Token
    var state: State
    let remote: SocketAddress
    /// Who asked for the connection, until it is known what became of it.
    var completion: ((Result<any Channel, ChannelError>) -> Void)?
    var connectTimer: LoopTimer?
    private(set) var handler: (any ChannelHandler)?
    private(set) var bytesSent: UInt64 = 0
    private(set) var bytesReceived: UInt64 = 0
    /// Since when the kernel has not taken all that it was offered; nil when it has.
    private var blockedSince: UInt64?
    private var blockedBefore: UInt64 = 0
    private var isSendPending = false
    /// ``finishSending()`` was called while a send was pending.
    private var finishesAfterSend = false

    init(loop: EventLoop, token: Token, state: State, remote: SocketAddress) {
        self.loop = loop
        self.token = token
        self.state = state
        self.remote = remote
    }

    var remoteAddress: SocketAddress? { remote }

    func start(_ handler: any ChannelHandler) {
        loop.requireOnLoop()
        precondition(self.handler == nil, "a channel is started once")
        guard state == .open else { return }
        self.handler = handler
        loop.backend.startReceiving(token)
    }

    func handOver(to handler: any ChannelHandler) {
        loop.requireOnLoop()
        precondition(self.handler != nil && !isSendPending, "a channel is handed over by its handler, between sends")
        if state == .open { self.handler = handler }
    }

    func send(_ gather: inout Gather) -> SendOutcome {
        loop.requireOnLoop()
        precondition(!isSendPending, "a send is still pending")
        guard state == .open else { return .failed(.closed) }
        loop.noteSend()
        let outcome = loop.backend.send(token, &gather, owner: handler ?? self)
        switch outcome {
        case .complete(let count): bytesSent &+= UInt64(count)
        case .partial(let count):
            bytesSent &+= UInt64(count)
            blockedSince = blockedSince ?? loop.now
        case .pending:
            isSendPending = true
            blockedSince = loop.now
        case .blocked: blockedSince = blockedSince ?? loop.now
        case .failed: break
        }
        return outcome
    }

    var blockedNanoseconds: UInt64? { blockedBefore &+ (blockedSince.map { loop.now &- $0 } ?? 0) }

    private func isTakenAgain() {
        guard let since = blockedSince else { return }
        blockedBefore &+= loop.now &- since
        blockedSince = nil
    }

    func finishSending() {
        loop.requireOnLoop()
        guard state == .open else { return }
        // Ending now would take the bytes away from the send that is under way.
        if isSendPending { finishesAfterSend = true } else { loop.backend.finishSending(token) }
    }

    func close() {
        loop.requireOnLoop()
        guard state != .closed else { return }
        markClosed()
        loop.forget(self)
        loop.backend.close(token)
    }

    func pauseReceiving() {
        loop.requireOnLoop()
        if state == .open { loop.backend.stopReceiving(token) }
    }

    func resumeReceiving() {
        loop.requireOnLoop()
        if state == .open, handler != nil { loop.backend.startReceiving(token) }
    }

    func tcpInfo() -> TCPInfo? {
        loop.requireOnLoop()
        return state == .open ? loop.backend.tcpInfo(token) : nil
    }

    // MARK: What the loop tells

    func received(_ block: Block, _ range: Range<Int>) {
        bytesReceived &+= UInt64(range.count)
        loop.noteReceive()
        handler?.channelReceived(block, range)
    }

    func writable() {
        isTakenAgain()
        handler?.channelWritable()
    }

    func sent(_ byteCount: Int) {
        isSendPending = false
        isTakenAgain()
        bytesSent &+= UInt64(byteCount)
        handler?.channelSent(byteCount)
        if finishesAfterSend, !isSendPending, state == .open {
            finishesAfterSend = false
            loop.backend.finishSending(token)
        }
    }

    func ended() { handler?.channelEnded() }

    /// The backend has closed the token, or is about to be shut down.
    func failed(_ error: ChannelError) {
        guard state != .closed else { return }
        let handler = self.handler
        let completion = self.completion
        markClosed()
        handler?.channelFailed(error)
        completion?(.failure(error))
    }

    func connected() {
        state = .open
        connectTimer?.cancel()
        connectTimer = nil
        let completion = self.completion
        self.completion = nil
        completion?(.success(self))
    }

    private func markClosed() {
        state = .closed
        handler = nil
        completion = nil
        connectTimer?.cancel()
        connectTimer = nil
    }
}

/// A socket that accepts connections. Made by ``EventLoop/listen(on:options:accepted:)``; all on the loop.
public final class Listener {
    /// The address that was bound; the port is known.
    public let address: SocketAddress
    /// Times that accepting failed for want of descriptors or the like; it goes on by itself.
    public internal(set) var acceptFailures: UInt64 = 0
    /// Why it failed last.
    public internal(set) var lastFailure: ChannelError?
    /// ``close()`` was called, or the loop is over.
    public internal(set) var isClosed = false
    let token: Token
    private(set) var accepted: ((any Channel) -> Void)?
    var retryTimer: LoopTimer?
    private unowned let loop: EventLoop

    init(loop: EventLoop, token: Token, address: SocketAddress, accepted: @escaping (any Channel) -> Void) {
        self.loop = loop
        self.token = token
        self.address = address
        self.accepted = accepted
    }

    /// Stops listening. Accepted channels go on. Idempotent.
    public func close() {
        loop.requireOnLoop()
        guard !isClosed else { return }
        markClosed()
        loop.forget(self)
        loop.backend.close(token)
    }

    func markClosed() {
        isClosed = true
        accepted = nil
        retryTimer?.cancel()
        retryTimer = nil
    }
}
