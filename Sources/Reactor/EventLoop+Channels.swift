public import Bytes
public import Kernel

extension EventLoop {
    /// How long to wait before accepting again when there was no descriptor for a connection.
    static let acceptRetryNanoseconds: UInt64 = 10_000_000
    /// How long to wait before connecting again to a Unix listener whose backlog is full: the kernel does not tell when there is room.
    static let connectRetryNanoseconds: UInt64 = 1_000_000

    /// Ten seconds: a far end that is there answers within a few round trips, and a lost packet is sent again within three seconds.
    public static let connectTimeoutDefaultNanoseconds: UInt64 = 10_000_000_000

    /// Connects to `address`. `completion` is called once, on the loop, never from within this call; not at all when the attempt is cancelled before.
    @discardableResult
    public func connect(
        to address: SocketAddress, options: SocketOptions = SocketOptions(),
        timeoutNanoseconds: UInt64 = EventLoop.connectTimeoutDefaultNanoseconds,
        completion: @escaping (Result<any Channel, ChannelError>) -> Void
    ) -> ConnectAttempt {
        requireOnLoop()
        let started = refreshNow()
        let attempt = ConnectAttempt(completion)
        attemptConnect(address, options, deadline: started &+ timeoutNanoseconds, timeoutNanoseconds, attempt)
        return attempt
    }

    private func attemptConnect(
        _ address: SocketAddress, _ options: SocketOptions, deadline: UInt64, _ timeout: UInt64, _ attempt: ConnectAttempt
    ) {
        let token: Token
        do throws(ChannelError) {
            if isEnding { throw .loopStopped }
            token = try backend.connect(to: address, options: options)
        } catch {
            if error.isFullBacklog, now < deadline {
                attempt.retryTimer = schedule(at: min(now &+ Self.connectRetryNanoseconds, deadline)) {
                    attempt.retryTimer = nil
                    self.attemptConnect(address, options, deadline: deadline, timeout, attempt)
                }
                return
            }
            let outcome = error.isFullBacklog ? ChannelError.timedOut(afterNanoseconds: timeout) : error
            return later { attempt.complete(.failure(outcome)) }
        }
        let channel = LoopChannel(loop: self, token: token, state: .connecting, remote: address)
        attempt.channel = channel
        channel.completion = attempt.complete
        channel.connectTimer = schedule(at: deadline) { [unowned channel] in
            let completion = channel.completion
            channel.close()
            completion?(.failure(.timedOut(afterNanoseconds: timeout)))
        }
        remember(channel)
    }

    /// Listens on `address`; `accepted` gets each connection, not started yet, on the loop.
    public func listen(
        on address: SocketAddress, options: SocketOptions = SocketOptions(), accepted: @escaping (any Channel) -> Void
    ) throws(ChannelError) -> Listener {
        requireOnLoop()
        if isEnding { throw .loopStopped }
        let (token, bound) = try backend.listen(on: address, options: options)
        let listener = Listener(loop: self, token: token, address: bound, accepted: accepted)
        put(.listener(listener), at: token.index)
        return listener
    }

    /// Takes over a connected socket; it is closed with the channel, or when this throws.
    public func adopt(_ socket: Socket, remote: SocketAddress) throws(ChannelError) -> any Channel {
        requireOnLoop()
        if isEnding {
            var counts = SyscallCounts()
            socket.close(counts: &counts)
            throw .loopStopped
        }
        let channel = LoopChannel(loop: self, token: try backend.adopt(socket), state: .open, remote: remote)
        remember(channel)
        return channel
    }

    /// What the kernel made of a channel's socket options; nil when it is closed or none of this loop's.
    public func settings(of channel: any Channel) -> SocketSettings? {
        requireOnLoop()
        guard let channel = channel as? LoopChannel, channel.loop === self else { return nil }
        return backend.settings(channel.token)
    }

    // MARK: The table

    func remember(_ channel: LoopChannel) {
        put(.channel(channel), at: channel.token.index)
        openChannels += 1
    }

    func forget(_ channel: LoopChannel) {
        table[channel.token.index] = .vacant
        openChannels -= 1
    }

    func forget(_ listener: Listener) {
        table[listener.token.index] = .vacant
    }

    private func put(_ entry: Entry, at index: Int) {
        while table.count <= index { table.append(.vacant) }
        table[index] = entry
    }

    @inline(__always)
    private func channel(_ token: Token) -> LoopChannel? {
        guard token.index < table.count, case .channel(let channel) = table[token.index] else { return nil }
        return channel
    }

    /// Ends every channel and listener; handlers hear why.
    func closeAll() {
        for index in table.indices {
            switch table[index] {
            case .vacant:
                break
            case .listener(let listener):
                listener.close()
            case .channel(let channel):
                backend.close(channel.token)
                forget(channel)
                channel.failed(.loopStopped)
            }
        }
    }
}

extension EventLoop: BackendClient {
    public func backendAccepted(_ token: Token, from remote: SocketAddress, by listener: Token) {
        let channel = LoopChannel(loop: self, token: token, state: .open, remote: remote)
        remember(channel)
        guard case .listener(let owner) = table[listener.index], let accepted = owner.accepted else { return channel.close() }
        accepted(channel)
    }

    public func backendAcceptFailed(_ error: ChannelError, by token: Token) {
        guard case .listener(let listener) = table[token.index] else { return }
        listener.acceptFailures += 1
        listener.lastFailure = error
        listener.retryTimer = schedule(at: now &+ Self.acceptRetryNanoseconds) { [unowned self] in
            backend.resumeAccepting(token)
        }
    }

    public func backendConnected(_ token: Token) { channel(token)?.connected() }
    public func backendReceived(_ token: Token, _ block: Block, _ range: Range<Int>) { channel(token)?.received(block, range) }
    public func backendWritable(_ token: Token) { channel(token)?.writable() }
    public func backendSent(_ token: Token, _ byteCount: Int) { channel(token)?.sent(byteCount) }
    public func backendEnded(_ token: Token) { channel(token)?.ended() }

    public func backendFailed(_ token: Token, _ error: ChannelError) {
        guard let channel = channel(token) else { return }
        forget(channel)
        channel.failed(error)
    }
}
