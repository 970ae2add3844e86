public import Bytes
import CProbes
public import Kernel

/// The completion shape on top of epoll.
///
/// A socket is registered once, for everything, edge-triggered: no epoll_ctl when a direction stalls. An edge marks the socket ready; ready
/// sockets get one receive each a turn, so that none can hold up the others, and stay on the list while their receives fill the whole
/// room they are given. A receive that came back short has emptied the socket, and the next bytes make a new edge.
///
/// Invariant: a token is on the ready list at most once (`queued`), and `slots[token.index].generation == token.generation` exactly while it is open.
public final class EpollBackend: Backend {
    private struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let listening = Flags(rawValue: 1)
        static let connecting = Flags(rawValue: 2)
        /// The owner wants bytes (or connections).
        static let receiving = Flags(rawValue: 4)
        /// The kernel may have some.
        static let readable = Flags(rawValue: 8)
        /// On the ready list.
        static let queued = Flags(rawValue: 16)
        /// The far end's half-close was seen: a short receive does not mean empty.
        static let hungUp = Flags(rawValue: 32)
        /// The end was delivered.
        static let ended = Flags(rawValue: 64)
        /// The last send was not taken whole.
        static let blocked = Flags(rawValue: 128)
    }

    private struct Slot: BitwiseCopyable {
        let socket: Socket
        var generation: UInt32
        var flags: Flags
        var mark = LowWaterMarks.State()
    }

    private struct ListenerSetup {
        let address: SocketAddress
        let options: SocketOptions
    }

    /// Connections taken from one listener in a turn: the others must have theirs.
    static let acceptsPerTurnMax = 64

    public let name = "epoll"
    public var counts: SyscallCounts { syscalls.value }
    public var waker: any Waker { eventWaker }

    // What changes with every receive and send is owned apart: it is passed on `inout`, between calls of handlers.
    private let syscalls = Owned(SyscallCounts())
    private let pool: BlockPool
    private let eventWaker: EventWaker
    private let epoll: Owned<Epoll>
    private let slots = Owned(Slab<Slot>(capacity: 64))
    private var listeners: [Token: ListenerSetup] = [:]
    private let ready = Owned(RingQueue<Token>(capacity: 64))
    /// Sockets that had bytes when the pool had no block.
    private let starved = Owned(RingQueue<Token>(capacity: 16))
    private let storage = Owned(ReceiveStorage())
    private let marks = Owned(LowWaterMarks())
    private var lastGeneration: UInt32 = 0
    /// Every index below this has been used at least once.
    private var indexEnd = 0

    private static let wakerToken = Token(raw: .max)

    /// A backend that receives into blocks of `pool`. Throws the call that failed.
    public init(pool: BlockPool) throws(Errno) {
        self.pool = pool
        eventWaker = try EventWaker()
        epoll = Owned(try Epoll())
        try epoll.value.add(eventWaker.event.descriptor, token: Self.wakerToken.raw, interest: .readable, counts: &syscalls.value)
    }

    deinit { shutDown() }

    public var now: UInt64 { Clock.now }

    public var hasWork: Bool { !ready.value.isEmpty || (!starved.value.isEmpty && pool.outstanding < pool.blocksMax) }

    // MARK: Slots

    private func isOpen(_ token: Token) -> Bool {
        token.index < indexEnd && slots.value[token.index].generation == token.generation
    }

    private func insert(_ socket: Socket, _ flags: Flags, interest: Epoll.Interest) throws(Errno) -> Token {
        // Zero marks a closed slot.
        lastGeneration = lastGeneration == .max ? 1 : lastGeneration + 1
        let index = slots.value.insert(Slot(socket: socket, generation: lastGeneration, flags: flags))
        indexEnd = max(indexEnd, index + 1)
        let token = Token(index: index, generation: lastGeneration)
        do throws(Errno) {
            try epoll.value.add(socket.descriptor, token: token.raw, interest: interest, counts: &syscalls.value)
        } catch {
            close(token)
            throw error
        }
        return token
    }

    /// Puts a socket that has something and whose owner wants it on the ready list.
    private func enqueue(_ token: Token) {
        let flags = slots.value[token.index].flags
        guard flags.contains([.receiving, .readable]), flags.isDisjoint(with: [.queued, .ended]) else { return }
        slots.value[token.index].flags.insert(.queued)
        ready.value.push(token)
    }

    // MARK: Operations

    public func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress) {
        do throws(Errno) {
            let (socket, bound) = try Socket.listening(on: address, options, counts: &syscalls.value)
            let token = try insert(socket, [.listening, .receiving], interest: .readable)
            listeners[token] = ListenerSetup(address: address, options: options)
            return (token, bound)
        } catch {
            throw ChannelError(error)
        }
    }

    public func resumeAccepting(_ token: Token) {
        guard isOpen(token) else { return }
        slots.value[token.index].flags.formUnion([.receiving, .readable])
        enqueue(token)
    }

    public func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token {
        do throws(Errno) {
            let socket = try Socket.connecting(to: address, options, counts: &syscalls.value)
            do throws(Errno) {
                _ = try socket.connect(to: address, counts: &syscalls.value)
            } catch {
                socket.close(counts: &syscalls.value)
                throw error
            }
            // Also when it connected at once: the first event then says so, and the caller hears of it in one way only.
            let token = try insert(socket, .connecting, interest: .stream)
            slots.value[token.index].mark = LowWaterMarks.State(options)
            return token
        } catch {
            throw ChannelError(error)
        }
    }

    public func adopt(_ socket: Socket) throws(ChannelError) -> Token {
        do throws(Errno) {
            return try insert(socket, [], interest: .stream)
        } catch {
            throw ChannelError(error)
        }
    }

    public func startReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        slots.value[token.index].flags.insert(.receiving)
        enqueue(token)
    }

    public func stopReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        slots.value[token.index].flags.remove(.receiving)
    }

    public func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome {
        guard isOpen(token) else { return .failed(.closed) }
        let slot = slots.value[token.index]
        // The event that ends the stall is on its way: asking before it costs a call and learns nothing.
        if slot.flags.contains(.blocked) { return .blocked }
        let wanted = gather.byteCount
        do throws(Errno) {
            switch try slot.socket.send(&gather, counts: &syscalls.value) {
            case .done(let count) where count == wanted:
                return .complete(count)
            case .done(let count):
                slots.value[token.index].flags.insert(.blocked)
                return .partial(count)
            case .wouldBlock:
                slots.value[token.index].flags.insert(.blocked)
                return .blocked
            }
        } catch {
            return .failed(ChannelError(error))
        }
    }

    public func finishSending(_ token: Token) {
        guard isOpen(token) else { return }
        // Fails only when the connection is already gone, which the next receive reports.
        do throws(Errno) { try slots.value[token.index].socket.finishSending(counts: &syscalls.value) } catch {}
    }

    public func close(_ token: Token) {
        guard isOpen(token) else { return }
        let slot = slots.value[token.index]
        if slot.flags.contains(.listening), let setup = listeners.removeValue(forKey: token), case .unix(let path) = setup.address {
            Socket.removePath(path)
        }
        marks.value.forget(token, slot.mark)
        slots.value[token.index].generation = 0
        slots.value.remove(token.index)
        slot.socket.close(counts: &syscalls.value)
    }

    public func settings(_ token: Token) -> SocketSettings? {
        guard isOpen(token) else { return nil }
        do throws(Errno) { return try slots.value[token.index].socket.settings() } catch { return nil }
    }

    public func tcpInfo(_ token: Token) -> TCPInfo? {
        isOpen(token) ? slots.value[token.index].socket.tcpInfo() : nil
    }

    public func shutDown() {
        for index in 0..<indexEnd where slots.value[index].generation != 0 {
            close(Token(index: index, generation: slots.value[index].generation))
        }
        ready.value.removeAll()
        starved.value.removeAll()
        storage.value.removeAll()
    }

    // MARK: Reaping

    public func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int {
        let count: Int
        do throws(Errno) {
            count = try epoll.value.wait(timeoutNanoseconds: marks.value.bounded(timeoutNanoseconds), counts: &syscalls.value)
        } catch {
            fatalError("the loop cannot wait: \(error)")
        }
        cp_loop_woken(count)
        if count == 0, timeoutNanoseconds != 0 { lowerMarks() }
        for index in 0..<count { handle(epoll.value.event(index), client) }
        if pool.outstanding < pool.blocksMax {
            while let token = starved.value.pop() { ready.value.push(token) }
        }
        // Only those that are ready now: sockets that become ready again meanwhile wait for the next turn.
        let turn = ready.value.count
        for _ in 0..<turn {
            guard let token = ready.value.pop() else { break }
            guard isOpen(token) else { continue }
            slots.value[token.index].flags.remove(.queued)
            serve(token, client)
        }
        return count + turn
    }

    private func lowerMarks() {
        marks.value.lowerAll(&syscalls.value) { slots.value[$0.index].mark.isRaised = false }
    }

    private func handle(_ event: Epoll.Event, _ client: any BackendClient) {
        let token = Token(raw: event.token)
        if token == Self.wakerToken { return }
        guard isOpen(token) else { return }
        let index = token.index
        if slots.value[index].flags.contains(.connecting) {
            guard event.isWritable || event.isError else { return }
            if let error = slots.value[index].socket.takeError("connect", counts: &syscalls.value) { return fail(token, error, client) }
            slots.value[index].flags.remove(.connecting)
            client.backendConnected(token)
            guard isOpen(token) else { return }
        }
        if event.isHangUp { slots.value[index].flags.insert(.hungUp) }
        if event.isReadable || event.isHangUp || event.isError {
            slots.value[index].flags.insert(.readable)
            enqueue(token)
        }
        // After the end nothing receives any more, so nothing else would learn of a reset.
        if event.isError, slots.value[index].flags.contains(.ended),
            let error = slots.value[index].socket.takeError("recv", counts: &syscalls.value)
        {
            return fail(token, error, client)
        }
        if event.isWritable || event.isError, slots.value[index].flags.contains(.blocked) {
            slots.value[index].flags.remove(.blocked)
            client.backendWritable(token)
        }
    }

    private func serve(_ token: Token, _ client: any BackendClient) {
        let flags = slots.value[token.index].flags
        guard flags.contains([.receiving, .readable]) else { return }
        if flags.contains(.listening) {
            accept(token, client)
        } else {
            receive(token, client)
        }
    }

    private func receive(_ token: Token, _ client: any BackendClient) {
        guard let block = storage.value.take(from: pool) else {
            slots.value[token.index].flags.insert(.queued)
            return starved.value.push(token)
        }
        let room = storage.value.start..<block.capacity
        let outcome: Attempt<Int>
        do throws(Errno) {
            outcome = try slots.value[token.index].socket.receive(into: block, room, counts: &syscalls.value)
        } catch {
            storage.value.giveBack(block, filledTo: room.lowerBound)
            return fail(token, error, client)
        }
        guard case .done(let count) = outcome, count > 0 else {
            storage.value.giveBack(block, filledTo: room.lowerBound)
            slots.value[token.index].flags.remove(.readable)
            if case .done = outcome {
                slots.value[token.index].flags.insert(.ended)
                client.backendEnded(token)
            }
            return
        }
        if count < room.count, !slots.value[token.index].flags.contains(.hungUp) {
            slots.value[token.index].flags.remove(.readable)
        }
        marks.value.note(count, &slots.value[token.index].mark, token, slots.value[token.index].socket, &syscalls.value)
        enqueue(token)
        let end = room.lowerBound + count
        client.backendReceived(token, block, room.lowerBound..<end)
        storage.value.giveBack(block, filledTo: end)
    }

    private func accept(_ listener: Token, _ client: any BackendClient) {
        guard let setup = listeners[listener] else { return }
        for _ in 0..<Self.acceptsPerTurnMax {
            do throws(Errno) {
                guard case .done(let (socket, remote)) = try slots.value[listener.index].socket.accept(counts: &syscalls.value) else {
                    slots.value[listener.index].flags.remove(.readable)
                    return
                }
                tune(socket, setup, remote)
                let token = try insert(socket, [], interest: .stream)
                slots.value[token.index].mark = LowWaterMarks.State(setup.options)
                client.backendAccepted(token, from: remote, by: listener)
            } catch {
                // The connection was gone before it was accepted: the next one may be well.
                if case .reset = ChannelError(error) { continue }
                slots.value[listener.index].flags.remove(.receiving)
                return client.backendAcceptFailed(ChannelError(error), by: listener)
            }
            guard isOpen(listener) else { return }
        }
        enqueue(listener)
    }

    private func tune(_ socket: Socket, _ setup: ListenerSetup, _ remote: SocketAddress) {
        do throws(Errno) {
            try socket.tuneAccepted(setup.options, from: remote, listeningOn: setup.address, counts: &syscalls.value)
        } catch {
            // It fails only on a connection that is already gone, which its first receive reports.
        }
    }

    private func fail(_ token: Token, _ error: Errno, _ client: any BackendClient) {
        close(token)
        client.backendFailed(token, ChannelError(error))
    }
}
