public import Bytes
public import Kernel
public import Reactor

/// What a simulated network does to the bytes, repeatable by its seed.
public struct NetworkPlan: Sendable {
    public var seed: UInt64
    /// How long a segment takes to arrive. Segments of one direction never overtake each other.
    public var delayNanoseconds: ClosedRange<UInt64> = 1_000...200_000
    /// Sizes of what one receive brings.
    public var segmentBytes: ClosedRange<Int> = 1...90_000
    /// How many sends out of a hundred are taken only in part although there is room.
    public var partialSendsPercent: UInt64 = 30
    /// What the buffers of one direction hold.
    public var bufferBytes = 256 << 10
    /// Sends are completed later, as io_uring does it, and not at once.
    public var sendsArePending = false
    /// A connection is reset once it has carried this many bytes in one direction.
    public var resetAfterBytes: UInt64?
    /// Addresses that never answer.
    public var silentAddresses: Set<SocketAddress> = []

    public init(seed: UInt64) { self.seed = seed }
}

/// A network in memory behind the interface of a backend: both ends of every connection live in one loop, time is virtual, and what happens is decided by
/// a ``NetworkPlan``.
///
/// Time stands still while the loop works and jumps to the next event, or to the end of the time-out, when it waits.
public final class SimulatedBackend: Backend {
    struct End {
        var generation: UInt32
        var isListening = false
        var isConnecting = false
        var isReceiving = false
        var isQueued = false
        var isBlocked = false
        var hasEnded = false
        var hasFinishedSending = false
        var resetsOnClose = false
        var peer: Token?
        /// What has arrived and was not received yet.
        var arrived: [Slice] = []
        var endArrived = false
        /// Bytes this end has sent and the far end has not received.
        var inFlight = 0
        var bytesSent: UInt64 = 0
        /// When the last segment towards the peer arrives.
        var lastArrival: UInt64 = 0
        var owner: AnyObject?
        /// A pending send that waits for room.
        var waiting: Slice?
        var address: SocketAddress?
    }

    enum Event {
        case connected(Token)
        case refused(Token)
        case accepted(Token, remote: SocketAddress, by: Token)
        case segment(Token, Slice)
        case sent(Token, Int)
        case end(Token)
        case reset(Token)
        case writable(Token)
        /// The kernel is done with the send of an end that was closed meanwhile.
        case letGo(Int)
    }

    private struct Scheduled {
        let time: UInt64
        let order: UInt64
        let event: Event
    }

    private struct NoWaker: Waker {
        func wake() {}
    }

    public let name = "simulated"
    public private(set) var counts = SyscallCounts()
    public private(set) var now: UInt64 = 1_000_000_000
    public let waker: any Waker = NoWaker()
    public var plan: NetworkPlan

    private let pool: BlockPool
    private var random: SeededRandom
    private var ends: [End] = []
    private var vacant: [Int] = []
    private var listeners: [SocketAddress: Token] = [:]
    private var agenda: [Scheduled] = []
    private var nextOrder: UInt64 = 0
    private var ready: [Token] = []
    private var starved: [Token] = []
    private var storage = ReceiveStorage()
    private var lastGeneration: UInt32 = 0
    private var lastPort: UInt16 = 49_151
    /// Owners of sends that were pending when their end was closed: as with io_uring, the kernel may read their memory for a while.
    private var inKernel: [Int: AnyObject] = [:]
    private var lastInKernel = 0
    public var sendsInKernel: Int { inKernel.count }

    public init(pool: BlockPool, plan: NetworkPlan) {
        self.pool = pool
        self.plan = plan
        random = SeededRandom(seed: plan.seed)
    }

    public var hasWork: Bool { !ready.isEmpty || (!starved.isEmpty && pool.outstanding < pool.blocksMax) }

    // MARK: Ends

    private func isOpen(_ token: Token) -> Bool {
        token.index < ends.count && ends[token.index].generation == token.generation
    }

    private func insert(_ end: End) -> Token {
        lastGeneration += 1
        var end = end
        end.generation = lastGeneration
        if let index = vacant.popLast() {
            ends[index] = end
            return Token(index: index, generation: lastGeneration)
        }
        ends.append(end)
        return Token(index: ends.count - 1, generation: lastGeneration)
    }

    private func schedule(_ event: Event, at time: UInt64) {
        nextOrder += 1
        let entry = Scheduled(time: time, order: nextOrder, event: event)
        // Nearly all events come later than those that wait, so the search from the end is short.
        var index = agenda.count
        while index > 0, agenda[index - 1].time > time { index -= 1 }
        agenda.insert(entry, at: index)
    }

    private func delay() -> UInt64 { now + UInt64.random(in: plan.delayNanoseconds, using: &random) }

    private func nextPort() -> UInt16 {
        lastPort += 1
        return lastPort
    }

    // MARK: Operations

    public func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress) {
        counts.listen += 1
        let bound: SocketAddress = address.port == 0 ? .loopback4(port: nextPort()) : address
        if listeners[bound] != nil { throw .addressInUse }
        var end = End(generation: 0)
        end.isListening = true
        end.isReceiving = true
        end.address = bound
        let token = insert(end)
        listeners[bound] = token
        return (token, bound)
    }

    public func resumeAccepting(_ token: Token) {}

    public func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token {
        counts.connect += 1
        var end = End(generation: 0)
        end.isConnecting = true
        end.resetsOnClose = options.lingerSeconds == 0
        let token = insert(end)
        if plan.silentAddresses.contains(address) { return token }
        guard let listener = listeners[address] else {
            schedule(.refused(token), at: delay())
            return token
        }
        var accepted = End(generation: 0)
        accepted.peer = token
        let other = insert(accepted)
        ends[token.index].peer = other
        let time = delay()
        schedule(.connected(token), at: time)
        schedule(.accepted(other, remote: .loopback4(port: nextPort()), by: listener), at: time)
        // No byte may arrive before its connection.
        ends[token.index].lastArrival = time
        ends[other.index].lastArrival = time
        return token
    }

    public func adopt(_ socket: Socket) throws(ChannelError) -> Token { throw .permissionDenied }

    public func startReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        ends[token.index].isReceiving = true
        enqueue(token)
    }

    public func stopReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        ends[token.index].isReceiving = false
    }

    private func enqueue(_ token: Token) {
        let end = ends[token.index]
        guard end.isReceiving, !end.isQueued, !end.hasEnded, !end.arrived.isEmpty || end.endArrived else { return }
        ends[token.index].isQueued = true
        ready.append(token)
    }

    public func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome {
        guard isOpen(token) else { return .failed(.closed) }
        counts.send += 1
        let end = ends[token.index]
        guard let peer = end.peer, isOpen(peer), !end.hasFinishedSending else { return .failed(.reset) }
        if end.isBlocked { return .blocked }
        let wanted = gather.byteCount
        if plan.sendsArePending {
            ends[token.index].owner = owner
            ends[token.index].waiting = copy(min(wanted, plan.bufferBytes), of: &gather)
            beginWaitingSend(token)
            return .pending
        }
        let room = min(wanted, plan.bufferBytes - end.inFlight)
        let count = shortened(room)
        guard count > 0 else {
            ends[token.index].isBlocked = true
            return .blocked
        }
        carry(copy(count, of: &gather), from: token, to: peer)
        if count == wanted { return .complete(count) }
        ends[token.index].isBlocked = true
        if count < room { schedule(.writable(token), at: delay()) }
        return .partial(count)
    }

    private func shortened(_ count: Int) -> Int {
        guard count > 1, random.next() % 100 < plan.partialSendsPercent else { return count }
        return Int.random(in: 1..<count, using: &random)
    }

    private func copy(_ count: Int, of gather: inout Gather) -> Slice {
        let block = Block(capacity: count)
        let copied = gather.copyBytes(into: block)
        precondition(copied == count)
        return Slice(block, 0..<count)
    }

    /// A pending send goes out as soon as there is room for some of it.
    private func beginWaitingSend(_ token: Token) {
        let end = ends[token.index]
        guard let slice = end.waiting, let peer = end.peer, isOpen(peer) else { return }
        let count = shortened(min(slice.count, plan.bufferBytes - end.inFlight))
        guard count > 0 else { return }
        ends[token.index].waiting = nil
        carry(slice.prefix(count), from: token, to: peer)
        schedule(.sent(token, count), at: delay())
    }

    private func carry(_ slice: Slice, from token: Token, to peer: Token) {
        ends[token.index].inFlight += slice.count
        ends[token.index].bytesSent += UInt64(slice.count)
        counts.bytesSent += UInt64(slice.count)
        var rest = slice
        while !rest.isEmpty {
            let segment = rest.prefix(min(rest.count, Int.random(in: plan.segmentBytes, using: &random)))
            let time = max(ends[token.index].lastArrival, delay())
            ends[token.index].lastArrival = time
            schedule(.segment(peer, segment), at: time)
            rest = rest.dropFirst(segment.count)
        }
        if let limit = plan.resetAfterBytes, ends[token.index].bytesSent >= limit {
            schedule(.reset(peer), at: ends[token.index].lastArrival)
            schedule(.reset(token), at: ends[token.index].lastArrival)
        }
    }

    public func finishSending(_ token: Token) {
        guard isOpen(token), !ends[token.index].hasFinishedSending else { return }
        counts.shutdown += 1
        ends[token.index].hasFinishedSending = true
        guard let peer = ends[token.index].peer else { return }
        let time = max(ends[token.index].lastArrival, delay())
        ends[token.index].lastArrival = time
        schedule(.end(peer), at: time)
    }

    public func close(_ token: Token) {
        guard isOpen(token) else { return }
        counts.close += 1
        let end = ends[token.index]
        if let address = end.address { listeners[address] = nil }
        ends[token.index] = End(generation: 0)
        vacant.append(token.index)
        if let owner = end.owner {
            lastInKernel += 1
            inKernel[lastInKernel] = owner
            schedule(.letGo(lastInKernel), at: now + plan.delayNanoseconds.upperBound)
        }
        guard let peer = end.peer, isOpen(peer) else { return }
        // As TCP has it: closing with unread bytes, or with a linger time of zero, resets.
        if !end.arrived.isEmpty || end.resetsOnClose {
            schedule(.reset(peer), at: max(end.lastArrival, delay()))
        } else if !end.hasFinishedSending {
            schedule(.end(peer), at: max(end.lastArrival, delay()))
        }
    }

    public func settings(_ token: Token) -> SocketSettings? { nil }
    public func tcpInfo(_ token: Token) -> TCPInfo? { nil }

    public func shutDown() {
        for index in ends.indices where ends[index].generation != 0 {
            close(Token(index: index, generation: ends[index].generation))
        }
        agenda = []
        ready = []
        starved = []
        inKernel = [:]
        storage.removeAll()
    }

    // MARK: Reaping

    public func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int {
        let isWaiting = !hasWork && timeoutNanoseconds != 0
        if isWaiting {
            let limit = timeoutNanoseconds.map { now + $0 }
            guard let next = [limit, agenda.first?.time].compactMap({ $0 }).min() else {
                fatalError("the simulation waits without end: nothing is going to happen")
            }
            now = max(now, next)
        }
        var due = 0
        while due < agenda.count, agenda[due].time <= now { due += 1 }
        let events = Array(agenda[..<due])
        agenda.removeFirst(due)
        for scheduled in events { handle(scheduled.event, client) }
        if pool.outstanding < pool.blocksMax {
            ready += starved
            starved = []
        }
        let turn = ready
        ready = []
        for token in turn where isOpen(token) {
            ends[token.index].isQueued = false
            receive(token, client)
        }
        return events.count + turn.count
    }

    private func handle(_ event: Event, _ client: any BackendClient) {
        switch event {
        case .connected(let token):
            guard isOpen(token) else { return }
            ends[token.index].isConnecting = false
            client.backendConnected(token)
        case .refused(let token):
            fail(token, .refused, client)
        case .accepted(let token, let remote, let listener):
            guard isOpen(token) else { return }
            guard isOpen(listener) else { return close(token) }
            counts.accept += 1
            client.backendAccepted(token, from: remote, by: listener)
        case .segment(let token, let slice):
            guard isOpen(token) else { return }
            ends[token.index].arrived.append(slice)
            enqueue(token)
        case .sent(let token, let count):
            guard isOpen(token) else { return }
            ends[token.index].owner = nil
            client.backendSent(token, count)
        case .end(let token):
            guard isOpen(token) else { return }
            ends[token.index].endArrived = true
            enqueue(token)
        case .reset(let token):
            fail(token, .reset, client)
        case .writable(let token):
            unblock(token, client)
        case .letGo(let number):
            inKernel[number] = nil
        }
    }

    private func unblock(_ token: Token, _ client: any BackendClient) {
        guard isOpen(token), ends[token.index].isBlocked else { return }
        ends[token.index].isBlocked = false
        client.backendWritable(token)
    }

    private func fail(_ token: Token, _ error: ChannelError, _ client: any BackendClient) {
        guard isOpen(token) else { return }
        close(token)
        client.backendFailed(token, error)
    }

    /// One receive: one segment, as far as it fits.
    private func receive(_ token: Token, _ client: any BackendClient) {
        let end = ends[token.index]
        guard end.isReceiving, !end.hasEnded else { return }
        guard let first = end.arrived.first else {
            guard end.endArrived else { return }
            ends[token.index].hasEnded = true
            return client.backendEnded(token)
        }
        guard let block = storage.take(from: pool) else {
            ends[token.index].isQueued = true
            return starved.append(token)
        }
        counts.receive += 1
        let start = storage.start
        let count = min(first.count, block.capacity - start)
        block.copy(first.prefix(count).bytes, at: start)
        if count == first.count {
            ends[token.index].arrived.removeFirst()
        } else {
            ends[token.index].arrived[0] = first.dropFirst(count)
        }
        counts.bytesReceived += UInt64(count)
        enqueue(token)
        if let peer = end.peer, isOpen(peer) {
            ends[peer.index].inFlight -= count
            beginWaitingSend(peer)
            if ends[peer.index].isBlocked { schedule(.writable(peer), at: delay()) }
        }
        client.backendReceived(token, block, start..<start + count)
        storage.giveBack(block, filledTo: start + count)
    }
}
