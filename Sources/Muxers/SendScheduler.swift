import Bytes
import CProbes

/// Decides whose turn it is to send: deficit round robin over the streams that have something to send (Shreedhar and Varghese), with sparse
/// streams first (the idea of FQ-CoDel's new-flow list, RFC 8290 section 4.1.1).
///
/// In every round, which is one pass over the bulk list, each stream may send one quantum. A stream that becomes active is sparse when
/// what it has sent in the round and what it has queued are little together: it sends ahead of the bulk. Those whose first frame is still to
/// open them have a list of their own behind the other sparse ones, as they may be held back (see ``OpeningPace``). Any other waits for its turn in
/// the bulk list. So a small request does not wait behind bulk, however often it comes, and yet no stream gets more than its share, counted in
/// bytes: what a frame overdraws is missing in the next round. A quantum is at least a frame, so every turn sends something.
///
/// ```
///            activate, little           becomes much
///   idle ─────────────────────▶ sparse ──────────────▶ bulk ⟲ one quantum a round
///    ▲ │                          │ dry                 ▲ │ dry, or window shut
///    │ └── activate, much ────────┼─────────────────────┘ │
///    └────────────────────────────┴───────────────────────┘
/// ```
///
/// Frames that come back unsent, last first, undo their turns one by one, so that a write that was cut short leaves everything as if what it
/// did not take had never been transmitted. Otherwise streams would be credited for rounds that never were, and those whose frames are
/// always cut off would starve.
///
/// Invariants: `lackingWindow` streams are flagged `windowBlocked`, and these are on no list; a stream is on at most one list, and on none when its record says `idle`; `deficit <= quantum`; at the head of the bulk list,
/// after the refill, `deficit > 0`. The lists are linked through the records, so that a stream leaves in constant time when it ends and
/// nothing is left behind.
struct SendScheduler: ~Copyable {
    private struct List: BitwiseCopyable {
        var head = StreamRecord.noLink
        var tail = StreamRecord.noLink
    }

    private var sparse = List()
    /// Sparse streams that are still to be opened.
    private var opening = List()
    /// Turns of openings since the last of bulk.
    private var openingsInTurn = 0
    /// Openings that go ahead of one turn of bulk: as some are held back they may never end.
    private static let openingsInTurnMax = 8
    private var bulk = List()
    /// What probes call the connection: the same number in all of them.
    var connection: UInt = 0
    /// Streams that have data and no window to send it.
    private(set) var lackingWindow = 0
    /// Counts rounds, so that a stream's record tells whether it has had its quantum of this one.
    private var round: UInt32 = 1
    private let quantum: Int32
    /// What is left of a sparse stream's quantum when it has sent all it has queued is at least this.
    private let sparseDeficitMin: Int32

    init(limits: MuxerLimits) {
        quantum = Int32(clamping: max(limits.quantumBytes, limits.framePayloadBytesMax, 1))
        sparseDeficitMin = quantum - Int32(clamping: min(max(limits.sparseBytesMax, 0), Int(quantum)))
    }

    /// A stream's right to send frames, and how it came by it. `origin` goes into the first frame's tag, ``originOfTheRest`` into the others', for ``takeBack(_:byteCount:origin:_:)``.
    struct Turn: BitwiseCopyable {
        let index: Int
        let origin: UInt64

        /// Bits of `origin`: how many of a tag it takes.
        static let originBitCount = 3
        static let sparse: UInt64 = 1
        /// How the frames behind the first of a turn came by it.
        var originOfTheRest: UInt64 { origin & Self.sparse }
        /// The stream was given its quantum of the round.
        static let refilled: UInt64 = 2
        /// And with that the round began.
        static let advanced: UInt64 = 4
    }

    var isEmpty: Bool { sparse.head == StreamRecord.noLink && opening.head == StreamRecord.noLink && bulk.head == StreamRecord.noLink }

    /// Whether ``next(_:_:)`` has a turn to give.
    @inline(__always) func hasTurn(_ hold: Hold) -> Bool {
        sparse.head != StreamRecord.noLink || hold != .allButSparse && (hasBulk || hold == .nothing && hasOpenings)
    }

    @inline(__always) var hasOpenings: Bool { opening.head != StreamRecord.noLink }

    /// What may not be sent now.
    enum Hold { case nothing, openings, allButSparse }

    var hasBulk: Bool { bulk.head != StreamRecord.noLink }

    /// The stream has something to send.
    @inline(__always)
    mutating func activate(_ index: Int, _ streams: inout StreamTable) {
        guard streams[index].schedule == .idle else { return }
        credit(index, &streams)
        let wasBlocked = streams[index].flags.contains(.windowBlocked)
        if wasBlocked { hasWindow(index, &streams) }
        // A stream that waited for its window is no newcomer.
        guard isSparse(streams[index]) && !wasBlocked else { return append(index, .bulk, &streams) }
        append(index, streams[index].flags.contains(.openPending) ? .opening : .sparse, &streams)
    }

    /// Whose turn it is. The stream may send as long as ``keepsTurn(_:)``; then follows ``endTurn(_:_:)``, or ``blocked(_:_:)``.
    @inline(__always)
    mutating func next(_ hold: Hold, _ streams: inout StreamTable) -> Turn? {
        if sparse.head != StreamRecord.noLink { return Turn(index: Int(sparse.head), origin: Turn.sparse) }
        guard hold != .allButSparse else { return nil }
        if hold == .nothing, hasOpenings, openingsInTurn < Self.openingsInTurnMax || !hasBulk {
            openingsInTurn &+= 1
            return Turn(index: Int(opening.head), origin: Turn.sparse)
        }
        openingsInTurn = 0
        guard bulk.head != StreamRecord.noLink else { return nil }
        let index = Int(bulk.head)
        if streams[index].deficit > 0 { return Turn(index: index, origin: 0) }
        var origin = Turn.refilled
        // The first stream that has had its quantum already comes round: everyone has.
        if streams[index].round == round {
            round &+= 1
            origin |= Turn.advanced
        }
        streams[index].round = round
        streams[index].deficit &+= quantum
        return Turn(index: index, origin: origin)
    }

    /// Whether the stream whose turn it is may send another frame, after its last one has been taken from its queue and its deficit.
    @inline(__always)
    func keepsTurn(_ stream: borrowing StreamRecord) -> Bool {
        stream.schedule == .bulk ? stream.deficit > 0 : isSparse(stream)
    }

    /// How many bytes of what it has queued the stream whose turn it is may send before ``keepsTurn(_:)`` is to be asked again. Of a sparse stream what is left of the quantum
    /// and what is queued fall together, so nothing changes by its sending.
    @inline(__always)
    func byteCountLeft(_ stream: borrowing StreamRecord) -> Int {
        stream.schedule == .bulk ? max(Int(stream.deficit), 1) : isSparse(stream) ? .max : 1
    }

    /// The stream whose turn it is has sent; when its quantum is used up the turn passes on.
    @inline(__always)
    mutating func endTurn(_ index: Int, _ streams: inout StreamTable) {
        guard streams[index].hasSomethingToSend else { return unlink(index, &streams) }
        let keepsTurn = keepsTurn(streams[index])
        // What was to be opened is open now, and what it has more is not held back.
        guard !keepsTurn || streams[index].schedule == .opening else { return }
        unlink(index, &streams)
        append(index, keepsTurn ? .sparse : .bulk, &streams)
    }

    /// The stream whose turn it is may not send until the far end opens its window.
    mutating func blocked(_ index: Int, _ streams: inout StreamTable) {
        lacksWindow(index, &streams)
        unlink(index, &streams)
    }

    /// The stream, on no list or about to leave it, has data and no window. Harmless when repeated.
    mutating func lacksWindow(_ index: Int, _ streams: inout StreamTable) {
        guard !streams[index].flags.contains(.windowBlocked) else { return }
        streams[index].flags.insert(.windowBlocked)
        lackingWindow &+= 1
        cp_window_stalled(connection, UInt(streams[index].wireID))
    }

    private mutating func hasWindow(_ index: Int, _ streams: inout StreamTable) {
        guard streams[index].flags.contains(.windowBlocked) else { return }
        streams[index].flags.remove(.windowBlocked)
        lackingWindow &-= 1
        cp_window_opened(connection, UInt(streams[index].wireID))
    }

    /// The stream's last frame came back unsent: undoes the turn that sent it, and puts the stream in front again.
    mutating func takeBack(_ index: Int, byteCount: Int, origin: UInt64, _ streams: inout StreamTable) {
        var deficit = streams[index].deficit &+ Int32(truncatingIfNeeded: byteCount)
        if origin & Turn.refilled != 0 {
            deficit &-= quantum
            if origin & Turn.advanced != 0 { round &-= 1 }
            streams[index].round = origin & Turn.advanced != 0 ? round : round &- 1
        }
        streams[index].deficit = min(quantum, deficit)
        // With the frame its window came back.
        hasWindow(index, &streams)
        unlink(index, &streams)
        guard origin & Turn.sparse != 0 else { return prepend(index, .bulk, &streams) }
        prepend(index, streams[index].flags.contains(.openPending) ? .opening : .sparse, &streams)
    }

    /// The stream has ended.
    mutating func remove(_ index: Int, _ streams: inout StreamTable) {
        hasWindow(index, &streams)
        unlink(index, &streams)
    }

    @inline(__always)
    private func isSparse(_ stream: borrowing StreamRecord) -> Bool {
        Int64(stream.deficit) - Int64(stream.queuedBytes) >= Int64(sparseDeficitMin)
    }

    /// Gives a stream that was idle a quantum for each round that has begun since it had its last, and no more than one in all.
    @inline(__always)
    private func credit(_ index: Int, _ streams: inout StreamTable) {
        // Below zero when a round that had begun was undone.
        let rounds = Int32(bitPattern: round &- streams[index].round)
        guard rounds > 0 else { return }
        streams[index].round = round
        let deficit = Int64(streams[index].deficit) + Int64(rounds) * Int64(quantum)
        streams[index].deficit = Int32(min(deficit, Int64(quantum)))
    }

    // MARK: The lists

    @inline(__always)
    private func list(_ schedule: StreamRecord.Schedule) -> List {
        switch schedule {
        case .sparse: sparse
        case .opening: opening
        default: bulk
        }
    }

    @inline(__always)
    private mutating func setList(_ schedule: StreamRecord.Schedule, _ list: List) {
        switch schedule {
        case .sparse: sparse = list
        case .opening: opening = list
        default: bulk = list
        }
    }

    @inline(__always)
    private mutating func append(_ index: Int, _ schedule: StreamRecord.Schedule, _ streams: inout StreamTable) {
        var list = list(schedule)
        let link = UInt32(truncatingIfNeeded: index)
        streams[index].schedule = schedule
        streams[index].next = StreamRecord.noLink
        streams[index].previous = list.tail
        if list.tail == StreamRecord.noLink { list.head = link } else { streams[Int(list.tail)].next = link }
        list.tail = link
        setList(schedule, list)
    }

    private mutating func prepend(_ index: Int, _ schedule: StreamRecord.Schedule, _ streams: inout StreamTable) {
        var list = list(schedule)
        let link = UInt32(truncatingIfNeeded: index)
        streams[index].schedule = schedule
        streams[index].previous = StreamRecord.noLink
        streams[index].next = list.head
        if list.head == StreamRecord.noLink { list.tail = link } else { streams[Int(list.head)].previous = link }
        list.head = link
        setList(schedule, list)
    }

    @inline(__always)
    private mutating func unlink(_ index: Int, _ streams: inout StreamTable) {
        let schedule = streams[index].schedule
        guard schedule != .idle else { return }
        var list = list(schedule)
        let (previous, next) = (streams[index].previous, streams[index].next)
        if previous == StreamRecord.noLink { list.head = next } else { streams[Int(previous)].next = next }
        if next == StreamRecord.noLink { list.tail = previous } else { streams[Int(next)].previous = previous }
        setList(schedule, list)
        streams[index].schedule = .idle
    }
}
