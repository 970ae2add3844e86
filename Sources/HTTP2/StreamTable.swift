import Bytes
import Muxers

/// What is known of one stream beside what libnghttp2 knows.
struct StreamRecord: BitwiseCopyable {
    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// The application has finished its side; the end follows what is queued.
        static let finishQueued = Flags(rawValue: 1 << 0)
        /// The end has been transmitted.
        static let finishSent = Flags(rawValue: 1 << 1)
        /// The end is in the write that is under way.
        static let finishUnsettled = Flags(rawValue: 1 << 2)
        static let remoteFinished = Flags(rawValue: 1 << 3)
        /// libnghttp2 asked for data and there was none: it is to be told when there is.
        static let waiting = Flags(rawValue: 1 << 4)
        /// The application waits for ``MuxerEvent/writable(_:)``.
        static let writableWanted = Flags(rawValue: 1 << 5)
    }

    let id: Int32
    var generation: UInt32 = 0
    var flags: Flags = []
    var queue = SliceQueues.Fifo()
    var queuedBytes: UInt32 = 0
    /// Delivered to the application and not yet given back.
    var unconsumed: UInt32 = 0

    init(id: Int32) { self.id = id }
}

/// The streams of one connection: records in a slab, found by identifier or by handle. All are opened by the client, so the identifiers are odd.
///
/// A record's place is used again after its stream has ended; the generation, different for every stream of the connection and zero in
/// a free place, tells an old handle from a new stream.
struct StreamTable: ~Copyable {
    private var records = Slab<StreamRecord>()
    private var indices = IndexMap()
    private var lastGeneration: UInt32 = 0
    /// Places of streams that ended since ``recycle()``.
    private var ended = Stack<UInt32>()
    private(set) var count = 0

    /// Indices of all records ever used are below this.
    var places: Int { records.places }

    subscript(index: Int) -> StreamRecord {
        @inline(__always) _read { yield records[index] }
        @inline(__always) _modify { yield &records[index] }
    }

    mutating func insert(_ id: Int32) -> StreamHandle {
        lastGeneration = lastGeneration == .max ? 1 : lastGeneration + 1
        var record = StreamRecord(id: id)
        record.generation = lastGeneration
        let index = records.insert(record)
        indices.insert(Self.key(id), index: index)
        count += 1
        return handle(index)
    }

    mutating func remove(_ index: Int) {
        indices.remove(Self.key(records[index].id))
        records[index].generation = 0
        count -= 1
        ended.push(UInt32(truncatingIfNeeded: index))
    }

    /// Makes the places of ended streams available again, when the owner has handled the events of the last call.
    @inline(__always)
    mutating func recycle() {
        while let index = ended.pop() { records.remove(Int(index)) }
    }

    @inline(__always)
    func find(_ id: Int32) -> Int? { indices.find(Self.key(id)) }

    /// The place of a live stream, or nil when the handle is stale.
    @inline(__always)
    func resolve(_ handle: StreamHandle) -> Int? {
        let index = Int(handle.index)
        guard index < records.places, records[index].generation == handle.generation else { return nil }
        return index
    }

    @inline(__always)
    func handle(_ index: Int) -> StreamHandle {
        StreamHandle(index: UInt32(truncatingIfNeeded: index), generation: records[index].generation)
    }

    private static func key(_ id: Int32) -> UInt32 { UInt32(bitPattern: id) >> 1 }
}
