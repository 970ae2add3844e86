import Bytes

/// What a muxer knows of one stream: 64 bytes, so that a hundred thousand idle streams fit into a few megabytes.
///
/// ```
///            openStream / peer's open
///                     │
///                     ▼
///       ┌────────── open ──────────┐
///  finish, queue sent        peer finished
///       ▼                          ▼
///   finSent ───────┐      ┌── remoteFinished
///                  ▼      ▼
///                   closed            (reset, from either side or by a limit, leads from any state to the end)
/// ```
struct StreamRecord: BitwiseCopyable {
    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        /// Opened by this side.
        static let local = Flags(rawValue: 1 << 0)
        /// The frame that opens the stream is still to be sent.
        static let openPending = Flags(rawValue: 1 << 1)
        /// The acknowledgement of the far end's opening is still to be sent.
        static let acknowledgePending = Flags(rawValue: 1 << 2)
        /// The far end has not yet acknowledged our opening.
        static let unacknowledged = Flags(rawValue: 1 << 3)
        /// The application has finished its side; the end follows what is queued.
        static let finishQueued = Flags(rawValue: 1 << 4)
        /// The end has been transmitted.
        static let finishSent = Flags(rawValue: 1 << 5)
        /// The end has been transmitted, but may still be taken back.
        static let finishUnsettled = Flags(rawValue: 1 << 6)
        static let remoteFinished = Flags(rawValue: 1 << 7)
        /// A window update is on the control queue.
        static let updateQueued = Flags(rawValue: 1 << 8)
        /// The application waits for ``MuxerEvent/writable(_:)``.
        static let writableWanted = Flags(rawValue: 1 << 9)
        /// There is data and no window: when it opens, the stream is no newcomer.
        static let windowBlocked = Flags(rawValue: 1 << 10)
        /// One of the openings that are counted until the far end has sent something on their streams.
        static let unanswered = Flags(rawValue: 1 << 11)
    }

    enum Schedule: UInt8 {
        /// On no list.
        case idle
        case sparse
        /// Sparse, and the frame that opens it is still to be sent.
        case opening
        case bulk
    }

    var wireID: UInt32
    var generation: UInt32 = 0
    var flags: Flags = []
    var schedule = Schedule.idle
    // Sending
    var queue = SliceQueues.Fifo()
    var queuedBytes: UInt32 = 0
    /// Deficit round robin: what it may still send in this round; below zero when a frame was larger than what was left.
    var deficit: Int32 = 0
    /// The scheduler's round in which it last had its quantum.
    var round: UInt32 = 0
    /// Its neighbours on the scheduler's list.
    var next = StreamRecord.noLink
    var previous = StreamRecord.noLink
    static let noLink = UInt32.max
    /// What the far end lets us send.
    var sendWindow: UInt32
    // Receiving
    /// What the far end may still send.
    var receiveWindow: UInt32
    /// Delivered to the application and not yet given back.
    var unconsumed: UInt32 = 0
    /// The size of the receive window: `receiveWindow + unconsumed` plus credit not granted yet.
    var windowTarget: UInt32
    /// When the last window update was sent: how fast half a window goes tells whether it is too small.
    var windowEpoch: Nanoseconds = 0

    /// Queues a message; an empty one changes nothing. Returns the bytes then queued. `probe` is told of the message's bytes and of those.
    @inline(__always)
    mutating func enqueue(
        _ payload: consuming QueuedSlice, on queues: inout SliceQueues, _ limits: borrowing MuxerLimits,
        _ probe: (borrowing StreamRecord, _ count: Int, _ queued: Int) -> Void
    ) throws(MuxerError) -> Int {
        guard !flags.contains(.finishQueued) else { throw .sendSideClosed }
        let count = payload.count
        let queued = Int(queuedBytes) + count
        guard queued <= limits.sendQueueBytesMax else { throw .sendQueueFull(limitBytes: limits.sendQueueBytesMax) }
        guard count > 0 else { return queued }
        // Here its arguments are in registers.
        probe(self, count, queued)
        queues.push(payload, on: &queue)
        queuedBytes = UInt32(truncatingIfNeeded: queued)
        if queued > limits.sendLowWaterBytes { flags.insert(.writableWanted) }
        return queued
    }

    /// Takes note that `byteCount` queued bytes were framed; whether that is what the application waits for.
    @inline(__always)
    mutating func dequeued(_ byteCount: Int, _ limits: borrowing MuxerLimits) -> Bool {
        deficit &-= Int32(truncatingIfNeeded: byteCount)
        queuedBytes &-= UInt32(truncatingIfNeeded: byteCount)
        guard flags.contains(.writableWanted), Int(queuedBytes) <= limits.sendLowWaterBytes else { return false }
        flags.remove(.writableWanted)
        return true
    }

    func handle(_ index: Int) -> StreamHandle {
        StreamHandle(index: UInt32(truncatingIfNeeded: index), generation: generation)
    }

    @inline(__always)
    var hasSomethingToSend: Bool {
        !queue.isEmpty || flags.contains(.finishQueued) && !flags.contains(.finishSent)
    }
}

/// The streams of one connection: records in a slab, found by the identifier on the wire or by handle.
///
/// A record's place is used again after its stream has ended; the generation, different for every stream of the connection and
/// zero in a free place, tells an old handle from a new stream.
/// Identifiers are kept per opener, as the same number may exist once in each direction in some protocols.
struct StreamTable: ~Copyable {
    private var records = Slab<StreamRecord>()
    private var localIndex = IndexMap()
    private var remoteIndex = IndexMap()
    private var lastGeneration: UInt32 = 0
    /// Places of streams that ended since ``recycle()``.
    private var ended = Stack<UInt32>()
    private(set) var localCount = 0
    private(set) var remoteCount = 0

    var count: Int { localCount + remoteCount }

    /// Streams that either side has opened since this one.
    @inline(__always) func openedSince(_ index: Int) -> UInt32 { lastGeneration &- records[index].generation }
    /// Indices of all records ever used are below this.
    var places: Int { records.places }

    subscript(index: Int) -> StreamRecord {
        @inline(__always) _read { yield records[index] }
        @inline(__always) _modify { yield &records[index] }
    }

    /// - Parameter key: what identifies the stream among those of the same opener.
    mutating func insert(_ record: StreamRecord, key: UInt32) -> Int {
        lastGeneration = lastGeneration == .max ? 1 : lastGeneration + 1
        let index = records.insert(record)
        records[index].generation = lastGeneration
        if record.flags.contains(.local) {
            localIndex.insert(key, index: index)
            localCount += 1
        } else {
            remoteIndex.insert(key, index: index)
            remoteCount += 1
        }
        return index
    }

    mutating func remove(_ index: Int, key: UInt32) {
        if records[index].flags.contains(.local) {
            localIndex.remove(key)
            localCount -= 1
        } else {
            remoteIndex.remove(key)
            remoteCount -= 1
        }
        records[index].generation = 0
        records[index].schedule = .idle
        ended.push(UInt32(truncatingIfNeeded: index))
    }

    /// Makes the places of ended streams available again. Called when the owner has handled the events of the last call: until then a stream that
    /// a handler opens must not get the place of one whose last events are still to be handled.
    @inline(__always)
    mutating func recycle() {
        while let index = ended.pop() { records.remove(Int(index)) }
    }

    @inline(__always)
    func find(key: UInt32, local: Bool) -> Int? {
        local ? localIndex.find(key) : remoteIndex.find(key)
    }

    /// The place of a live stream, or nil when the handle is stale.
    @inline(__always)
    func resolve(_ handle: StreamHandle) -> Int? {
        let index = Int(handle.index)
        guard index < records.places, records[index].generation == handle.generation else { return nil }
        return index
    }

    /// The same for the 16 bits of a generation that fit into a frame's tag.
    func resolveTagged(_ index: Int, generation: UInt32) -> Int? {
        guard index < records.places, records[index].generation != 0,
            records[index].generation & 0xffff == generation
        else { return nil }
        return index
    }

    @inline(__always)
    func handle(_ index: Int) -> StreamHandle {
        records[index].handle(index)
    }
}
