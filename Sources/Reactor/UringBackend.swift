public import Bytes
import CProbes
public import Kernel

/// The completion shape on io_uring.
///
/// A socket has one receive that completes again and again, each time with a part of one of a few blocks that all sockets share. A block that is full goes back to
/// the kernel when no handler kept a part of it, and is replaced by a fresh one from the pool when one did. (Before Linux 6.12 a receive takes a
/// whole block, however little it brings.) A send is one operation, of which a socket has one at a time. Operations are
/// handed over together with the wait, so a turn is one system call.
///
/// Pausing cancels the receive; what had completed by then is held for ``startReceiving(_:)``. Closing cancels everything and gives the
/// descriptor back when the last operation on it has completed: until then the kernel may read the memory of a send, so its owner is kept.
///
/// Invariant: `slot.inFlight` is the number of operations on the slot that will still complete; a slot is vacated when it is closing and that is 0.
///
/// With ``/Kernel/Ring/Mode/deferred`` the thread of the first ``reap(timeoutNanoseconds:client:)`` is the only one that may reap.
public final class UringBackend: Backend {
    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let listening = Flags(rawValue: 1)
        /// The owner wants bytes (or connections).
        static let receiving = Flags(rawValue: 2)
        /// A receive or accept is in flight.
        static let armed = Flags(rawValue: 4)
        /// It is being cancelled.
        static let canceling = Flags(rawValue: 8)
        /// The end arrived.
        static let ended = Flags(rawValue: 16)
        static let sending = Flags(rawValue: 32)
        static let closing = Flags(rawValue: 64)
        /// On the list of those that wait for a buffer.
        static let starved = Flags(rawValue: 128)
        /// On the list of those that resume with something held.
        static let resumed = Flags(rawValue: 256)
    }

    struct Slot: BitwiseCopyable {
        let socket: Socket
        var generation: UInt32
        var flags: Flags
        var inFlight: UInt16 = 0
        var mark = LowWaterMarks.State()
    }

    /// What an operation was; the low byte of its tag.
    enum Operation: UInt64 {
        case receive, accept, send, connect, watch, cancel, wake
    }

    /// What arrived for a socket whose owner did not want it at the moment.
    struct Held {
        var slices: [Slice] = []
        var hasEnded = false
        var failure: ChannelError?
    }

    struct ListenerSetup {
        let address: SocketAddress
        let options: SocketOptions
    }

    /// Buffers the kernel chooses from. Few, so that they stay in the cache: they are used in turn.
    static let buffersMax = 8
    /// Entries of the submission queue; more operations in one turn cost one more system call.
    static let entries = 256

    public let name = "io_uring"
    public var counts: SyscallCounts { syscalls.value }
    public var waker: any Waker { eventWaker }

    // What changes with every completion is owned apart: it is passed on `inout`, between calls of handlers.
    let syscalls = Owned(SyscallCounts())
    let pool: BlockPool
    let eventWaker: EventWaker
    let ring: Owned<Ring>
    let slots = Owned(Slab<Slot>(capacity: 64))
    /// Every index below this has been used at least once.
    var indexEnd = 0
    var lastGeneration: UInt32 = 0
    var listeners: [Int: ListenerSetup] = [:]
    /// Who owns the memory of a send in flight, by index.
    var owners: [AnyObject?] = []
    var held: [Int: Held] = [:]
    var sendFailures: [Int: ChannelError] = [:]
    var resumed: [Token] = []
    var starved: [Token] = []
    /// Buffers that have no block.
    var vacantBuffers: [Int]
    let marks = Owned(LowWaterMarks())
    private var isEnabled = false
    private var isShutDown = false

    /// A backend that receives into blocks of `pool`. Throws the call that failed, as where io_uring is not allowed.
    public init(pool: BlockPool) throws(Errno) {
        self.pool = pool
        eventWaker = try EventWaker()
        ring = Owned(try Ring(entries: Self.entries))
        var count = 1
        while count * 2 <= min(Self.buffersMax, max(pool.blocksMax / 2, 1)) { count *= 2 }
        vacantBuffers = Array((0..<count).reversed())
        try ring.value.registerBuffers(count: count)
        watchWaker()
    }

    deinit { shutDown() }

    public var now: UInt64 { Clock.now }

    /// How the kernel runs completions.
    public var mode: Ring.Mode { ring.value.mode }

    public var hasWork: Bool { ring.value.hasCompletions || !resumed.isEmpty || (!starved.isEmpty && hasBuffers) }

    private var hasBuffers: Bool { ring.value.providedCount > 0 || pool.outstanding < pool.blocksMax }

    // MARK: Slots and tags

    static func tag(_ token: Token, _ operation: Operation) -> UInt64 {
        UInt64(token.generation) << 32 | UInt64(token.index) << 8 | operation.rawValue
    }

    static func token(_ tag: UInt64) -> Token {
        Token(index: Int(tag >> 8 & 0xff_ffff), generation: UInt32(truncatingIfNeeded: tag >> 32))
    }

    func isLive(_ token: Token) -> Bool {
        token.index < indexEnd && slots.value[token.index].generation == token.generation
    }

    func isOpen(_ token: Token) -> Bool {
        isLive(token) && !slots.value[token.index].flags.contains(.closing)
    }

    func insert(_ socket: Socket, _ flags: Flags) -> Token {
        lastGeneration = lastGeneration == .max ? 1 : lastGeneration + 1
        let index = slots.value.insert(Slot(socket: socket, generation: lastGeneration, flags: flags))
        precondition(index < 1 << 24, "more sockets than a tag can name")
        if index >= indexEnd {
            indexEnd = index + 1
            owners.append(nil)
        }
        return Token(index: index, generation: lastGeneration)
    }

    /// Notes that an operation on the slot has completed for good.
    func complete(_ token: Token) {
        slots.value[token.index].inFlight -= 1
        vacateIfDone(token)
    }

    func vacateIfDone(_ token: Token) {
        let slot = slots.value[token.index]
        guard slot.flags.contains(.closing), slot.inFlight == 0 else { return }
        slots.value[token.index].generation = 0
        slots.value.remove(token.index)
        owners[token.index] = nil
        slot.socket.close(counts: &syscalls.value)
    }

    private func watchWaker() {
        ring.value.watch(eventWaker.event.descriptor, .readable, tag: Operation.wake.rawValue, counts: &syscalls.value)
    }

    // MARK: Operations

    public func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress) {
        do throws(Errno) {
            let (socket, bound) = try Socket.listening(on: address, options, counts: &syscalls.value)
            let token = insert(socket, [.listening, .receiving])
            listeners[token.index] = ListenerSetup(address: address, options: options)
            arm(token)
            return (token, bound)
        } catch {
            throw ChannelError(error)
        }
    }

    public func resumeAccepting(_ token: Token) { startReceiving(token) }

    public func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token {
        do throws(Errno) {
            let socket = try Socket.connecting(to: address, options, counts: &syscalls.value)
            do throws(Errno) {
                _ = try socket.connect(to: address, counts: &syscalls.value)
            } catch {
                socket.close(counts: &syscalls.value)
                throw error
            }
            let token = insert(socket, [])
            slots.value[token.index].mark = LowWaterMarks.State(options)
            ring.value.poll(socket.descriptor, .writable, tag: Self.tag(token, .connect), counts: &syscalls.value)
            slots.value[token.index].inFlight += 1
            return token
        } catch {
            throw ChannelError(error)
        }
    }

    public func adopt(_ socket: Socket) throws(ChannelError) -> Token { insert(socket, []) }

    func arm(_ token: Token) {
        let slot = slots.value[token.index]
        guard slot.flags.contains(.receiving), slot.flags.isDisjoint(with: [.armed, .ended, .closing, .starved, .resumed]) else { return }
        slots.value[token.index].flags.insert(.armed)
        slots.value[token.index].inFlight += 1
        if slot.flags.contains(.listening) {
            ring.value.accept(slot.socket, tag: Self.tag(token, .accept), counts: &syscalls.value)
        } else {
            ring.value.receive(slot.socket, tag: Self.tag(token, .receive), counts: &syscalls.value)
        }
    }

    public func startReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        slots.value[token.index].flags.insert(.receiving)
        if held[token.index] != nil, !slots.value[token.index].flags.contains(.resumed) {
            slots.value[token.index].flags.insert(.resumed)
            resumed.append(token)
        }
        arm(token)
    }

    public func stopReceiving(_ token: Token) {
        guard isOpen(token) else { return }
        slots.value[token.index].flags.remove(.receiving)
        guard slots.value[token.index].flags.contains(.armed), !slots.value[token.index].flags.contains(.canceling) else { return }
        slots.value[token.index].flags.insert(.canceling)
        ring.value.cancel(Self.tag(token, .receive), tag: Operation.cancel.rawValue, counts: &syscalls.value)
    }

    public func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome {
        guard isOpen(token) else { return .failed(.closed) }
        if let failure = sendFailures[token.index] { return .failed(failure) }
        precondition(!slots.value[token.index].flags.contains(.sending), "one send at a time")
        slots.value[token.index].flags.insert(.sending)
        slots.value[token.index].inFlight += 1
        owners[token.index] = owner
        ring.value.send(slots.value[token.index].socket, &gather, tag: Self.tag(token, .send), counts: &syscalls.value)
        return .pending
    }

    public func finishSending(_ token: Token) {
        guard isOpen(token) else { return }
        // Fails only when the connection is already gone, which the receive reports.
        do throws(Errno) { try slots.value[token.index].socket.finishSending(counts: &syscalls.value) } catch {}
    }

    public func close(_ token: Token) {
        guard isOpen(token) else { return }
        let slot = slots.value[token.index]
        slots.value[token.index].flags.insert(.closing)
        marks.value.forget(token, slot.mark)
        held[token.index] = nil
        sendFailures[token.index] = nil
        if slot.flags.contains(.listening) {
            if case .unix(let path)? = listeners.removeValue(forKey: token.index)?.address { Socket.removePath(path) }
            // The address is free at once, although the descriptor is not.
            slot.socket.shutdownBoth(counts: &syscalls.value)
        }
        if slot.inFlight > 0 { ring.value.cancelAll(slot.socket, tag: Operation.cancel.rawValue, counts: &syscalls.value) }
        vacateIfDone(token)
    }

    public func settings(_ token: Token) -> SocketSettings? {
        guard isOpen(token) else { return nil }
        do throws(Errno) { return try slots.value[token.index].socket.settings() } catch { return nil }
    }

    public func tcpInfo(_ token: Token) -> TCPInfo? {
        isOpen(token) ? slots.value[token.index].socket.tcpInfo() : nil
    }

    // MARK: Entering

    public func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int {
        fillBuffers()
        rearmStarved()
        let delivered = deliverHeld(client)
        enter(timeoutNanoseconds: delivered > 0 ? 0 : marks.value.bounded(timeoutNanoseconds))
        cp_loop_woken(ring.value.completionCount)
        var events = delivered
        if events == 0, timeoutNanoseconds != 0, !ring.value.hasCompletions { lowerMarks() }
        while events < Self.eventsPerReapMax, let completion = ring.value.next() {
            events += 1
            handle(completion, client)
        }
        return events
    }

    /// Completions handled before the loop's other work has its turn.
    static let eventsPerReapMax = 4096

    private func enter(timeoutNanoseconds: UInt64?) {
        do throws(Errno) {
            if !isEnabled {
                isEnabled = true
                try ring.value.enable(counts: &syscalls.value)
            }
            try ring.value.enter(timeoutNanoseconds: timeoutNanoseconds, counts: &syscalls.value)
        } catch {
            fatalError("the loop cannot wait: \(error)")
        }
    }

    /// Gives every vacant buffer a block, as far as the pool has any.
    func fillBuffers() {
        while let id = vacantBuffers.last, let block = pool.take() {
            vacantBuffers.removeLast()
            ring.value.provide(block, id: id)
        }
    }

    private func rearmStarved() {
        guard !starved.isEmpty, ring.value.providedCount > 0 else { return }
        let waiting = starved
        starved.removeAll(keepingCapacity: true)
        for token in waiting where isOpen(token) {
            slots.value[token.index].flags.remove(.starved)
            arm(token)
        }
    }

    private func lowerMarks() {
        marks.value.lowerAll(&syscalls.value) { slots.value[$0.index].mark.isRaised = false }
    }

    func watchWakerAgain() {
        if !isShutDown { watchWaker() }
    }

    public func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        for index in 0..<indexEnd where slots.value[index].generation != 0 {
            close(Token(index: index, generation: slots.value[index].generation))
        }
        if !isEnabled || awaitOperations() { ring.value.takeAllBuffers() }
        // What is left was never handed over, or its thread is gone: the kernel does nothing for it any more.
        for index in 0..<indexEnd where slots.value[index].generation != 0 {
            slots.value[index].inFlight = 0
            vacateIfDone(Token(index: index, generation: slots.value[index].generation))
        }
    }

    /// Waits until the kernel holds no memory of ours: everything is being cancelled, so that is soon. False when this thread cannot find out.
    private func awaitOperations() -> Bool {
        while (0..<indexEnd).contains(where: { slots.value[$0].generation != 0 }) {
            do throws(Errno) {
                try ring.value.enter(timeoutNanoseconds: nil, counts: &syscalls.value)
            } catch {
                // The ring belongs to another thread, which has ended.
                return false
            }
            while let completion = ring.value.next() { handleAfterEnd(completion) }
        }
        return true
    }
}
