public import Bytes
import CUring
import Glibc

/// An io_uring instance with a ring of provided buffers.
///
/// Call order: ``init(entries:)``, ``registerBuffers(count:)``, then from one thread: ``enable(counts:)`` once; prepare operations; ``enter(timeoutNanoseconds:counts:)``;
/// ``next()`` until nil. Operations are named by the caller's tags, which come back in their completions.
///
/// Memory: blocks that were provided are kept here until their completion hands them out. The memory of a send must be kept by the
/// caller until its completion.
@safe public struct Ring: ~Copyable {
    /// How the kernel runs completions; later is older.
    public enum Mode: String, Sendable, CaseIterable {
        /// SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1): work is done when the loop asks for it, never in between.
        case deferred
        /// COOP_TASKRUN (Linux 5.19): at the next system call, without an interrupt.
        case cooperative
        case plain
    }

    /// What became of an operation.
    public struct Completion: BitwiseCopyable, Sendable {
        public let tag: UInt64
        /// A count or a descriptor; nil when it failed, see ``error(_:)``.
        public var value: Int? { result >= 0 ? Int(result) : nil }
        let result: Int32
        let flags: UInt32

        /// The operation goes on and will complete again.
        public var hasMore: Bool { flags & IORING_CQE_F_MORE != 0 }
        /// The provided buffer that bytes were put into.
        var bufferID: Int? { flags & IORING_CQE_F_BUFFER != 0 ? Int(flags >> UInt32(IORING_CQE_BUFFER_SHIFT)) : nil }
        public var isCanceled: Bool { result == -ECANCELED }
        public var isOutOfBuffers: Bool { result == -ENOBUFS }

        public func error(_ call: String) -> Errno? { result < 0 ? Errno(-result, call) : nil }
    }

    /// Bytes that a receive put into a provided buffer.
    @safe public struct Filled {
        public let block: Block
        public let range: Range<Int>
        /// The buffer that the kernel is done with, for ``Ring/provideAgain(_:)``; nil when more will come into it.
        public let doneID: Int?
    }

    /// What a poll waits for; errors and hang-ups are always reported.
    public enum PollInterest: Sendable {
        case readable, writable, errorsOnly
    }

    /// What is put into the submission queue. The vectors of a send are the caller's, who keeps them until its completion.
    @safe private enum Operation {
        case receive(Int32, UInt64)
        case accept(Int32, UInt64)
        case send(Int32, UnsafeMutableBufferPointer<iovec>, UInt64)
        case poll(Int32, UInt32, repeats: Int32, UInt64)
        case cancel(UInt64, UInt64)
        case cancelAll(Int32, UInt64)
    }

    /// Completions that may wait: many operations complete more than once.
    static let completionsMax: UInt32 = 4096

    public let mode: Mode
    private let ring: UnsafeMutablePointer<cu_ring>
    private var provided: [Block?] = []
    /// Bytes at the beginning of each buffer that have been filled already.
    private var filledBytes: [Int] = []
    private var isEnabled = false
    /// Operations that found the submission queue full before the ring was enabled.
    private var backlog: [Operation] = []
    /// Buffers that the kernel may fill now.
    public private(set) var providedCount = 0

    /// - Throws: `io_uring_setup` when the kernel does not have or does not allow it.
    public init(entries: Int) throws(Errno) {
        unsafe ring = .allocate(capacity: 1)
        var result: Int32 = 0
        for (mode, value) in [(Mode.deferred, CU_MODE_DEFERRED), (.cooperative, CU_MODE_COOPERATIVE), (.plain, CU_MODE_PLAIN)] {
            result = unsafe cu_init(ring, UInt32(entries), Self.completionsMax, value)
            if result == 0 {
                self.mode = mode
                return
            }
            if result != -EINVAL { break }
        }
        unsafe ring.deallocate()
        throw Errno(-result, "io_uring_setup")
    }

    deinit {
        unsafe cu_exit(ring)
        unsafe ring.deallocate()
    }

    // MARK: Buffers

    /// Makes room for `count` provided buffers, a power of two.
    public mutating func registerBuffers(count: Int) throws(Errno) {
        let result = unsafe cu_register_buffers(ring, UInt32(count))
        if result < 0 { throw Errno(-result, "io_uring_register") }
        provided = Array(repeating: nil, count: count)
        filledBytes = Array(repeating: 0, count: count)
    }

    /// Whether many small receives share one buffer (Linux 6.12); otherwise each takes a whole one.
    public var sharesBuffers: Bool { unsafe ring.pointee.buffers_are_incremental != 0 }

    /// Gives the whole of `block` to the kernel as buffer `id`; it may be filled from the next ``enter(timeoutNanoseconds:counts:)`` on.
    public mutating func provide(_ block: Block, id: Int) {
        precondition(provided[id] == nil, "the buffer is provided already")
        unsafe block.withUnsafeMutableBytes(0..<block.capacity) { memory in
            unsafe cu_stage_buffer(ring, memory.baseAddress, UInt32(memory.count), UInt16(id))
        }
        provided[id] = block
        filledBytes[id] = 0
        providedCount += 1
    }

    /// The bytes of a completed receive, or nil when it brought none.
    public mutating func filled(_ completion: Completion) -> Filled? {
        guard let id = completion.bufferID, id < provided.count, let block = provided[id] else { return nil }
        let count = completion.value ?? 0
        // A receive that brought nothing has left a shared buffer as it was, and used up a whole one.
        let isDone = !sharesBuffers || (count > 0 && completion.flags & CU_COMPLETION_BUFFER_MORE == 0)
        let start = filledBytes[id]
        let range = start..<start + count
        precondition(range.upperBound <= block.capacity, "the kernel filled more than it was given")
        filledBytes[id] = range.upperBound
        if isDone { providedCount -= 1 }
        return Filled(block: block, range: range, doneID: isDone ? id : nil)
    }

    /// Gives the block of a buffer that the kernel is done with to it once more, unless somebody has kept a part of it. Then the buffer is vacant, and the answer false.
    ///
    /// The ``Filled`` that named the buffer must have been let go.
    public mutating func provideAgain(_ id: Int) -> Bool {
        let isUnshared = isKnownUniquelyReferenced(&provided[id])
        guard let block = provided[id].take(), isUnshared else { return false }
        provide(block, id: id)
        return true
    }

    /// Takes all blocks back. No receive may be in flight.
    public mutating func takeAllBuffers() {
        for id in provided.indices { provided[id] = nil }
        providedCount = 0
    }

    // MARK: Preparing

    /// Receives again and again, each time into a provided buffer.
    public mutating func receive(_ socket: Socket, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.receive(socket.descriptor, tag), &counts)
    }

    /// Accepts again and again; the completions' values are descriptors.
    public mutating func accept(_ socket: Socket, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.accept(socket.descriptor, tag), &counts)
    }

    /// Sends the unwritten bytes of `gather`, as many as the kernel takes at once. The gather's memory must stay as it is until the completion.
    public mutating func send(_ socket: Socket, _ gather: inout Gather, tag: UInt64, counts: inout SyscallCounts) {
        let vectors = unsafe gather.withVectors { unsafe $0 }
        unsafe prepare(.send(socket.descriptor, vectors, tag), &counts)
    }

    /// Waits once until `descriptor` is ready.
    public mutating func poll(_ descriptor: Int32, _ interest: PollInterest, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.poll(descriptor, Self.mask(interest), repeats: 0, tag), &counts)
    }

    /// Tells each time that `descriptor` becomes ready.
    public mutating func watch(_ descriptor: Int32, _ interest: PollInterest, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.poll(descriptor, Self.mask(interest), repeats: 1, tag), &counts)
    }

    private static func mask(_ interest: PollInterest) -> UInt32 {
        switch interest {
        case .readable: UInt32(POLLIN)
        case .writable: UInt32(POLLOUT)
        case .errorsOnly: 0
        }
    }

    /// Ends the operation that was prepared with the tag `target`; it completes, canceled if it was not faster.
    public mutating func cancel(_ target: UInt64, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.cancel(target, tag), &counts)
    }

    /// Ends all operations on `socket`.
    public mutating func cancelAll(_ socket: Socket, tag: UInt64, counts: inout SyscallCounts) {
        prepare(.cancelAll(socket.descriptor, tag), &counts)
    }

    private mutating func prepare(_ operation: Operation, _ counts: inout SyscallCounts) {
        if put(operation) { return }
        // The submission queue is full: hand over what is in it. A ring that no thread owns yet cannot, so the rest waits for its first turn.
        guard isEnabled else { return backlog.append(operation) }
        submitAndPut(operation, &counts)
    }

    private mutating func submitAndPut(_ operation: Operation, _ counts: inout SyscallCounts) {
        unsafe cu_publish_buffers(ring)
        counts.ringEnter &+= 1
        let submitted = unsafe cu_submit(ring)
        let isPrepared = put(operation)
        precondition(isPrepared, "the ring takes no operations: \(Errno(-submitted, "io_uring_enter"))")
    }

    /// False when the submission queue is full.
    private func put(_ operation: Operation) -> Bool {
        let isPut: Int32
        switch operation {
        case .receive(let descriptor, let tag):
            isPut = unsafe cu_receive_multishot(ring, descriptor, tag)
        case .accept(let descriptor, let tag):
            isPut = unsafe cu_accept_multishot(ring, descriptor, tag)
        case .send(let descriptor, let vectors, let tag):
            isPut = unsafe cu_send(ring, descriptor, vectors.baseAddress, min(vectors.count, Socket.vectorsPerCallMax), tag)
        case .poll(let descriptor, let mask, let repeats, let tag):
            isPut = unsafe cu_poll(ring, descriptor, mask, repeats, tag)
        case .cancel(let target, let tag):
            isPut = unsafe cu_cancel(ring, target, tag)
        case .cancelAll(let descriptor, let tag):
            isPut = unsafe cu_cancel_descriptor(ring, descriptor, tag)
        }
        return isPut != 0
    }

    // MARK: Entering

    /// Lets the ring run; the calling thread is the only one that may use it from here on.
    public mutating func enable(counts: inout SyscallCounts) throws(Errno) {
        if mode == .deferred {
            let result = unsafe cu_enable(ring)
            if result < 0 { throw Errno(-result, "io_uring_register") }
        }
        isEnabled = true
        let waiting = backlog
        backlog = []
        for operation in waiting where !put(operation) { submitAndPut(operation, &counts) }
    }

    /// Whether ``next()`` would find something without entering.
    public var hasCompletions: Bool { completionCount > 0 }

    /// How many completions ``next()`` would find without entering.
    public var completionCount: Int { unsafe Int(cu_completed(ring)) }

    /// Hands over what was prepared and waits until there is a completion: at most `timeoutNanoseconds`; 0 only looks, nil waits without end.
    /// One system call, or none when nothing was prepared and completions are there.
    public mutating func enter(timeoutNanoseconds: UInt64?, counts: inout SyscallCounts) throws(Errno) {
        unsafe cu_publish_buffers(ring)
        if unsafe cu_completed(ring) > 0, unsafe cu_prepared(ring) == 0 { return }
        counts.ringEnter &+= 1
        let result: Int32
        if unsafe timeoutNanoseconds == 0 || cu_completed(ring) > 0 {
            result = unsafe cu_submit(ring)
        } else if let timeoutNanoseconds {
            result = unsafe cu_submit_and_wait_for(ring, timeoutNanoseconds)
        } else {
            result = unsafe cu_submit_and_wait(ring)
        }
        switch -result {
        // Interrupted, timed out, or the kernel asks to take completions first: the loop comes again.
        case EINTR, ETIME, EAGAIN, EBUSY: return
        default: if result < 0 { throw Errno(-result, "io_uring_enter") }
        }
    }

    /// The oldest completion, taken.
    public mutating func next() -> Completion? {
        var entry = cu_completion()
        guard unsafe cu_next(ring, &entry) != 0 else { return nil }
        return Completion(tag: entry.user_data, result: entry.result, flags: entry.flags)
    }
}
