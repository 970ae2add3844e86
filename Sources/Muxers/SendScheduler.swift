import Bytes

/// Decides whose turn it is to send: deficit round robin over the streams that have something to send, with sparse streams first (the
/// new-flow list of FQ-CoDel, RFC 8290 section 4.1.1).
///
/// A stream that has been idle joins the sparse list and sends its first quantum ahead of the bulk; after that, or once it has run dry, it
/// takes its turns in the bulk list. Running dry does not make it sparse again before the bulk list has come round once, so a stream
/// cannot stay ahead by sending little at a time. No stream starves: each turn is at most one quantum plus one frame.
///
/// ```
///            activate                    quantum used, or dry while others have bulk
///   idle ───────────────▶ sparse ─────────────────────────────────▶ bulk ⟲ quantum used
///    ▲ ▲                    │ dry, no bulk waiting                    │ dry for a second visit, or window shut
///    │ └────────────────────┘                                         │
///    └────────────────────────────────────────────────────────────────┘
/// ```
struct SendScheduler: ~Copyable {
    private var sparse = RingQueue<UInt32>()
    private var bulk = RingQueue<UInt32>()
    private let quantum: Int32

    init(quantumBytes: Int) {
        quantum = Int32(clamping: quantumBytes)
    }

    var isEmpty: Bool { sparse.isEmpty && bulk.isEmpty }

    /// The stream has something to send.
    @inline(__always)
    mutating func activate(_ index: Int, _ record: inout StreamRecord) {
        guard record.schedule == .idle else { return }
        record.deficit = quantum
        record.isLingering = false
        if record.flags.contains(.windowBlocked) {
            record.flags.remove(.windowBlocked)
            record.schedule = .bulk
            bulk.push(UInt32(truncatingIfNeeded: index))
        } else {
            record.schedule = .sparse
            sparse.push(UInt32(truncatingIfNeeded: index))
        }
    }

    /// Frames of the stream came back unsent: it goes on where it was, ahead of its list.
    mutating func reactivate(_ index: Int, _ record: inout StreamRecord, wasSparse: Bool) {
        guard record.schedule == .idle else { return }
        record.isLingering = false
        if wasSparse {
            record.schedule = .sparse
            sparse.pushFront(UInt32(truncatingIfNeeded: index))
        } else {
            record.schedule = .bulk
            bulk.pushFront(UInt32(truncatingIfNeeded: index))
        }
    }

    /// Whose turn it is. Follow with ``charge(_:_:byteCount:)`` when it sent and has more, else with ``ranDry(_:_:)`` or
    /// ``blocked(_:_:)``.
    ///
    /// An index on the lists may belong to a stream that has ended; its record then says `idle`, or another list, and the owner calls
    /// ``skip(isSparse:)``.
    @inline(__always)
    var next: (index: Int, isSparse: Bool)? {
        if let index = sparse.first { return (Int(index), true) }
        if let index = bulk.first { return (Int(index), false) }
        return nil
    }

    /// Drops the head: its stream has ended.
    mutating func skip(isSparse: Bool) {
        _ = isSparse ? sparse.pop() : bulk.pop()
    }

    /// The head sent `byteCount` bytes; when its deficit is used up the turn passes on.
    @inline(__always)
    mutating func charge(_ index: Int, _ record: inout StreamRecord, byteCount: Int) {
        record.isLingering = false
        record.deficit &-= Int32(truncatingIfNeeded: byteCount)
        guard record.deficit <= 0 else { return }
        record.deficit &+= quantum
        // One frame may exceed several quanta; what it overdrew by more than one is forgiven.
        if record.deficit <= 0 { record.deficit = 1 }
        passTurn(index, &record)
    }

    /// The head has nothing (more) to send.
    @inline(__always)
    mutating func ranDry(_ index: Int, _ record: inout StreamRecord) {
        if bulk.isEmpty || record.isLingering {
            drop(&record)
        } else {
            record.isLingering = true
            record.deficit = quantum
            passTurn(index, &record)
        }
    }

    /// The head may not send until the far end opens its window.
    mutating func blocked(_ index: Int, _ record: inout StreamRecord) {
        record.flags.insert(.windowBlocked)
        drop(&record)
    }

    private mutating func drop(_ record: inout StreamRecord) {
        _ = record.schedule == .sparse ? sparse.pop() : bulk.pop()
        record.schedule = .idle
        record.isLingering = false
    }

    private mutating func passTurn(_ index: Int, _ record: inout StreamRecord) {
        _ = record.schedule == .sparse ? sparse.pop() : bulk.pop()
        record.schedule = .bulk
        bulk.push(UInt32(truncatingIfNeeded: index))
    }
}
