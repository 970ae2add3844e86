public import Bytes
import CProbes
public import Kernel
import Glibc
import Synchronization

/// A thread that owns sockets, timers, blocks and the code that handles them.
///
/// Everything a loop owns is touched on its thread only, so nothing on the data path needs a lock. A turn is: wait, I/O events, work from
/// other threads and async jobs, timers, turn-end handlers.
///
/// Call order: ``start()`` (a thread of its own) or ``run()`` (the caller's thread); anything; ``stop()``; ``join()``. Methods marked *any thread* may be called
/// from anywhere; all others on the loop, which is checked.
///
/// A loop is also a serial executor and a task executor: `Task(executorPreference: loop)` and actors with the loop as their
/// executor run on its thread without a hop. Jobs that arrive when the loop is over run on the thread that brings them, one at a time, so nothing is lost.
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    /// As it was when the loop was made.
    public let configuration: EventLoopConfiguration
    /// Which I/O interface the loop uses, and why this one.
    public let io: IOSelection
    let backend: any Backend
    private let storedPool: BlockPool
    private let inbox = Inbox()
    private let waker: any Waker
    /// The thread that is the loop now, or 0.
    private let ownerID = Atomic<UInt>(0)
    private let thread = Locked<LoopThread?>(nil)

    // Loop only, from here on.
    var table: [Entry] = []
    var openChannels = 0
    private let timers = Owned(TimerHeap())
    private var dueTimers: [LoopTimer] = []
    private var batch: [Inbox.Item] = []
    private let localJobs = Owned(RingQueue<UnownedJob>(capacity: 64))
    private var localWork: [() -> Void] = []
    private let turnEnd = Owned<[any TurnEndHandler]>([])
    private let turnEndRunning = Owned<[any TurnEndHandler]>([])
    @usableFromInline let time: Owned<TurnTime>
    private let turnCountsSoFar = Owned(TurnCounts())
    private var isInTurn = false

    /// The turn's time, asked for with every message.
    @usableFromInline struct TurnTime {
        @usableFromInline var now: UInt64
        /// The loop has waited since the clock was read. What the wait brought is told from within it, so the first who asks reads the clock.
        @usableFromInline var isStale = false

        init(now: UInt64) { self.now = now }
    }

    /// What a token's index stands for.
    enum Entry {
        case vacant
        case channel(LoopChannel)
        case listener(Listener)
    }

    /// Async jobs run in one turn at most, so that I/O has its turn as well.
    static let jobsPerTurnMax = 4096

    /// - Throws: the call that failed when the I/O interface could not be set up, or is not available.
    public convenience init(_ configuration: EventLoopConfiguration = EventLoopConfiguration()) throws(Errno) {
        let selection = try IOSelection(configuration.io)
        try self.init(configuration, io: selection) { pool throws(Errno) in
            try selection.makeBackend(pool: pool)
        }
    }

    /// A loop over a backend of the caller's, such as a simulated one.
    public init(
        _ configuration: EventLoopConfiguration, io: IOSelection, backend: (BlockPool) throws(Errno) -> any Backend
    ) throws(Errno) {
        self.configuration = configuration
        self.io = io
        storedPool = BlockPool(blockByteCount: configuration.blockByteCount, blocksMax: configuration.blocksMax)
        self.backend = try backend(storedPool)
        waker = self.backend.waker
        time = Owned(TurnTime(now: self.backend.now))
    }

    // MARK: Any thread

    /// Whether the caller is on the loop. Any thread.
    public var isOnLoop: Bool { ownerID.load(ordering: .relaxed) == LoopThread.currentID }

    @inline(__always)
    func requireOnLoop() { precondition(isOnLoop, "only on the loop's thread") }

    /// Starts the loop's thread. Any thread, once.
    public func start() throws(Errno) {
        let new = try LoopThread(name: configuration.name) { self.run() }
        thread.withLock { thread in
            precondition(thread == nil, "a loop is started once")
            thread = new
        }
    }

    /// Asks the loop to end: work already submitted runs, channels are closed (their handlers hear ``ChannelError/loopStopped``), then the
    /// thread ends. Idempotent. Any thread.
    public func stop() { act(on: inbox.requestStop()) }

    /// Waits for the loop's thread to end. Any thread but the loop's.
    public func join() {
        precondition(!isOnLoop, "a loop cannot wait for itself")
        thread.withLock { thread in
            let joined = thread.take()
            joined?.join()
        }
    }

    /// Runs `work` on the loop, in the order of submission. Never dropped. Any thread, also the loop's.
    public func submit(_ work: @escaping @Sendable () -> Void) { act(on: inbox.add(.work(work))) }

    /// Runs `work` on the loop and returns what it returns. Any thread.
    public func perform<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            submit { continuation.resume(returning: work()) }
        }
    }

    /// Runs a job of async code on the loop. Any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        if isOnLoop, !inbox.isOver { return localJobs.value.push(unowned) }
        act(on: inbox.add(.job(unowned)))
    }

    public func checkIsolated() { requireOnLoop() }

    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    private func act(on outcome: Inbox.AddOutcome) {
        switch outcome {
        case .queued: break
        case .wake: waker.wake()
        case .drain: drainAfterEnd()
        }
    }

    /// The loop is over, and this thread stands in for it: the inbox lets one in at a time.
    private func drainAfterEnd() {
        let standsIn = !isOnLoop
        // The loop's own thread may still be on its way out, and holds the loop until it is: a few instructions and closing descriptors.
        while standsIn, !ownerID.compareExchange(expected: 0, desired: LoopThread.currentID, ordering: .sequentiallyConsistent).exchanged {
            sched_yield()
        }
        while case let items = inbox.nextAfterEnd(), !items.isEmpty {
            for item in items { run(item) }
        }
        if standsIn { ownerID.store(0, ordering: .sequentiallyConsistent) }
    }

    // MARK: Running

    /// Makes the calling thread the loop until ``stop()``. Once.
    public func run() {
        become {
            if let core = configuration.core {
                do throws(Errno) { try Affinity.pinThread(to: core) } catch { pinFailure = error }
            }
            if let slack = configuration.timerSlackNanoseconds { LoopThread.setTimerSlack(nanoseconds: slack) }
            while !inbox.isStopRequested { turnOnce(waitingUntil: nil) }
            end()
        }
    }

    /// Why the thread could not be pinned to its core, if it could not.
    public private(set) var pinFailure: Errno?

    /// Makes the calling thread the loop for turns until `condition` holds, at most `limitNanoseconds` of the backend's time. Returns whether it holds. For tests
    /// and programs of one thread.
    public func run(until condition: () -> Bool, limitNanoseconds: UInt64) -> Bool {
        become {
            let deadline = backend.now &+ limitNanoseconds
            while !condition() {
                if backend.now >= deadline || inbox.isStopRequested { return condition() }
                turnOnce(waitingUntil: deadline)
            }
            return true
        }
    }

    /// Runs `body` with the calling thread as the loop, which must have no other.
    @discardableResult
    public func become<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        let (exchanged, _) = ownerID.compareExchange(
            expected: 0, desired: LoopThread.currentID, ordering: .sequentiallyConsistent)
        precondition(exchanged || isOnLoop, "the loop already has a thread")
        defer { if exchanged { ownerID.store(0, ordering: .sequentiallyConsistent) } }
        return try body()
    }

    /// Ends a loop that ran on the caller's thread: as ``stop()`` does for one with a thread of its own.
    public func finish() {
        become { end() }
    }

    private func turnOnce(waitingUntil limit: UInt64?) {
        precondition(!isInTurn, "a turn inside a turn")
        isInTurn = true
        turnCountsSoFar.value.turns &+= 1
        cp_loop_turn(UInt(turnCountsSoFar.value.turns))
        let events = waitForEvents(limit)
        turnCountsSoFar.value.events &+= UInt64(events)
        runInbox()
        runTimers()
        runTurnEnd()
        cp_loop_turn_done(UInt(turnCountsSoFar.value.turns), events)
        isInTurn = false
    }

    /// One reap, that waits only when nothing else is to be done.
    private func waitForEvents(_ limit: UInt64?) -> Int {
        var events = 0
        time.value.isStale = true
        let deadline = earlier(limit, timers.value.nextDeadline)
        let isBusy = hasLocalWork || inbox.hasItems || backend.hasWork
        if isBusy || deadline.map({ $0 <= backend.now }) == true {
            events = backend.reap(timeoutNanoseconds: 0, client: self)
        } else {
            events = spin(until: deadline)
            if events == 0 { events = sleep(until: deadline) }
        }
        _ = refreshNow()
        return events
    }

    private func earlier(_ left: UInt64?, _ right: UInt64?) -> UInt64? {
        guard let left, let right else { return left ?? right }
        return min(left, right)
    }

    private func spin(until deadline: UInt64?) -> Int {
        guard configuration.spinNanoseconds > 0 else { return 0 }
        let end = min(backend.now &+ configuration.spinNanoseconds, deadline ?? .max)
        repeat {
            turnCountsSoFar.value.spins &+= 1
            let events = backend.reap(timeoutNanoseconds: 0, client: self)
            if events > 0 { return events }
        } while !inbox.hasItems && !inbox.isStopRequested && backend.now < end
        return 0
    }

    private func sleep(until deadline: UInt64?) -> Int {
        turnCountsSoFar.value.waits &+= 1
        guard inbox.fallAsleep() else { return backend.reap(timeoutNanoseconds: 0, client: self) }
        var timeout: UInt64?
        if let deadline {
            let now = backend.now
            timeout = deadline > now ? deadline - now : 0
        }
        let events = backend.reap(timeoutNanoseconds: timeout, client: self)
        inbox.awake()
        turnCountsSoFar.value.wakeups &+= 1
        return events
    }

    private func runInbox() {
        inbox.take(into: &batch)
        if !batch.isEmpty {
            var items = batch
            batch = []
            for item in items { run(item) }
            items.removeAll(keepingCapacity: true)
            batch = items
        }
        if !localWork.isEmpty {
            let works = localWork
            localWork = []
            for work in works { work() }
        }
        var remaining = Self.jobsPerTurnMax
        while remaining > 0, let job = localJobs.value.pop() {
            remaining -= 1
            run(.job(job))
        }
    }

    private func run(_ item: Inbox.Item) {
        switch item {
        case .work(let work):
            work()
        case .job(let job):
            turnCountsSoFar.value.jobs &+= 1
            runJob(job, on: self)
        }
    }

    private func runTimers() {
        while let timer = timers.value.popDue(at: time.value.now) { dueTimers.append(timer) }
        guard !dueTimers.isEmpty else { return }
        for index in dueTimers.indices where dueTimers[index].state == .due {
            let timer = dueTimers[index]
            timer.state = .idle
            turnCountsSoFar.value.timersFired &+= 1
            timer.action()
        }
        dueTimers.removeAll(keepingCapacity: true)
    }

    private func runTurnEnd() {
        guard !turnEnd.value.isEmpty else { return }
        swap(&turnEnd.value, &turnEndRunning.value)
        for handler in turnEndRunning.value {
            turnCountsSoFar.value.turnEndCalls &+= 1
            handler.turnEnded()
        }
        turnEndRunning.value.removeAll(keepingCapacity: true)
    }

    /// Something that must run before the loop may sleep.
    private var hasLocalWork: Bool { !turnEnd.value.isEmpty || !localJobs.value.isEmpty || !localWork.isEmpty }

    /// Work runs, channels close, what that caused runs as well, until nothing is left.
    private func end() {
        guard !inbox.isOver else { return }
        runInbox()
        runTurnEnd()
        repeat {
            closeAll()
            runInbox()
            runTurnEnd()
        } while !localJobs.value.isEmpty || !localWork.isEmpty || !inbox.finish()
        // A handler that asks for a next turn for ever would otherwise keep the loop.
        turnEnd.value.removeAll()
        timers.value.removeAll()
        backend.shutDown()
        table = []
    }

    // MARK: On the loop

    /// The time of this turn, nanoseconds: read after the wait, and before that by the first who is told what the wait brought and asks.
    @inlinable public var now: UInt64 { time.value.isStale ? refreshNow() : time.value.now }

    /// How many want every write and read of a channel to note when it was, which takes a reading of the clock for each. Who adds one takes it away again.
    public var transferTimeUsers = 0
    /// When a channel of this loop last offered bytes to what is below it, as far as somebody wanted it noted.
    public private(set) var lastSendAt: UInt64 = 0
    /// When a channel of this loop last got bytes from what is below it, as far as somebody wanted it noted.
    public private(set) var lastReceiveAt: UInt64 = 0

    /// A channel is about to offer bytes; for channels that are not the loop's own.
    public func noteSend() { if transferTimeUsers > 0 { lastSendAt = backend.now } }

    /// A channel has got bytes; for channels that are not the loop's own.
    public func noteReceive() { if transferTimeUsers > 0 { lastReceiveAt = backend.now } }

    /// Reads the clock anew and makes that the time of this turn.
    public func refreshNow() -> UInt64 {
        time.value.now = backend.now
        time.value.isStale = false
        return time.value.now
    }

    /// The blocks that receives go into.
    public var pool: BlockPool { storedPool }

    /// System calls of this loop so far.
    public var counts: SyscallCounts {
        var counts = backend.counts
        counts.eventWrite = inbox.wakes
        return counts
    }

    /// What the loop did so far.
    public var turnCounts: TurnCounts {
        var counts = turnCountsSoFar.value
        counts.submissions = inbox.submissions
        counts.wakeSignals = inbox.wakes
        return counts
    }

    /// Open channels, those that are still connecting included.
    public var channelCount: Int { openChannels }

    /// Calls `handler` once at the end of this turn; when called from ``TurnEndHandler/turnEnded()``, at the end of the next, which then does not sleep before.
    /// Calling twice means being called twice: the handler keeps note of whether it has asked.
    public func scheduleFlush(_ handler: any TurnEndHandler) {
        requireOnLoop()
        turnEnd.value.append(handler)
    }

    /// A timer that calls `action`; it is not armed yet.
    public func makeTimer(_ action: @escaping () -> Void) -> LoopTimer {
        LoopTimer(loop: self, action: action)
    }

    /// Calls `action` at `deadline`, in the loop's time.
    @discardableResult
    public func schedule(at deadline: UInt64, _ action: @escaping () -> Void) -> LoopTimer {
        let timer = makeTimer(action)
        timer.arm(at: deadline)
        return timer
    }

    /// Whether the loop has been asked to end: nothing new begins.
    var isEnding: Bool { inbox.isStopRequested || inbox.isOver }

    /// Runs `work` later in this turn or in the next, which then does not sleep before.
    func later(_ work: @escaping () -> Void) {
        localWork.append(work)
    }

    func arm(_ timer: LoopTimer, at deadline: UInt64) {
        requireOnLoop()
        timers.value.arm(timer, at: deadline)
    }

    func cancel(_ timer: LoopTimer) {
        requireOnLoop()
        timers.value.cancel(timer)
    }
}
