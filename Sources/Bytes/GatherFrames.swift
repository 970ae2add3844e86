/// How far ``Gather/appendFrames(_:from:_:upTo:each:)`` goes.
public struct FrameAllowance: BitwiseCopyable, Sendable {
    /// Longest payload of a frame.
    public var framePayloadBytesMax: Int
    /// No frame is begun that would bring the payloads together beyond this: what the far end lets us send.
    public var windowBytes: Int
    /// No frame is begun when the payloads together have reached this.
    public var payloadByteLimit: Int
    /// No frame is begun when the gather holds this much.
    public var byteLimit: Int

    @inlinable public init(framePayloadBytesMax: Int, windowBytes: Int, payloadByteLimit: Int, byteLimit: Int) {
        self.framePayloadBytesMax = framePayloadBytesMax
        self.windowBytes = windowBytes
        self.payloadByteLimit = payloadByteLimit
        self.byteLimit = byteLimit
    }
}

extension Gather {
    /// What all frames of one call of ``appendFrames(_:from:_:upTo:each:)`` have in common.
    public struct FrameSeries: BitwiseCopyable, Sendable {
        /// The first eight bytes of the header, as a number; the length of the payload follows them in four.
        public var header: UInt64
        /// Of the first frame.
        public var firstTag: UInt64
        /// Of all that follow.
        public var tag: UInt64

        @inlinable public init(header: UInt64, firstTag: UInt64, tag: UInt64) {
            self.header = header
            self.firstTag = firstTag
            self.tag = tag
        }
    }

    /// Moves small messages from the head of a queue into the gather, each as a frame with a header of twelve bytes. What holds for all of them is looked at once, which makes
    /// it the cheap way for messages that are small; the first that is to be referenced or cut, or for which there is no room, ends it.
    ///
    /// - Parameters:
    ///   - series: what the frames have in common.
    ///   - queues: where the messages are.
    ///   - fifo: the queue; empty is allowed.
    ///   - allowance: how far to go.
    ///   - each: is told of every frame's payload length.
    /// - Returns: how many frames and bytes of payload that was: none when already the first message is not for here.
    @inlinable @inline(__always)
    public mutating func appendFrames(
        _ series: FrameSeries, from queues: inout SliceQueues, _ fifo: inout SliceQueues.Fifo, upTo allowance: FrameAllowance,
        each: (_ payloadByteCount: Int) -> Void
    ) -> (frames: Int, payloadBytes: Int) {
        guard vectorsUsed &+ 3 <= vectorsCapacity else { return (0, 0) }
        if framesUsed == framesCapacity { makeFrameRoom() }
        let start = arenaUsed
        // A frame that begins below this has room in the arena, whatever its size.
        let arenaLimit = min(arenaCapacity &- copyThreshold &- 32 &+ 1, start &+ min(allowance.byteLimit &- byteCount, arenaCapacity))
        let countMax = min(copyThreshold &- 1, allowance.framePayloadBytesMax)
        let (windowBytes, payloadByteLimit) = (allowance.windowBytes, allowance.payloadByteLimit)
        let entries = unsafe queues.entries
        var (head, free) = (fifo.head, queues.freeHead)
        var used = start
        var payloadBytes = 0
        var note = unsafe frames + framesUsed
        let firstNote = unsafe note
        let notesEnd = unsafe note + min(framesCapacity &- framesUsed, Self.framesPerWriteMax &- (framesUsed &- framesHead))
        var tag = series.firstTag
        let base = appended &- UInt64(truncatingIfNeeded: start)
        while head != fifo.none, used < arenaLimit, payloadBytes < payloadByteLimit, unsafe note < notesEnd {
            precondition(Int(head) < queues.places)
            let entry = unsafe entries[Int(head)]
            let count = Int(entry.slice.length)
            guard count <= countMax, payloadBytes &+ count <= windowBytes else { break }
            let target = unsafe arena + used
            unsafe target.storeBytes(of: series.header.bigEndian, as: UInt64.self)
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: count).bigEndian, toByteOffset: 8, as: UInt32.self)
            unsafe (target + 12).copyMemory(from: entry.slice.base, byteCount: count)
            used &+= 12 &+ count
            payloadBytes &+= count
            unsafe note.initialize(to: Note(tag: tag, end: base &+ UInt64(truncatingIfNeeded: used), payload: entry.slice))
            unsafe note += 1
            tag = series.tag
            unsafe entries[Int(head)].next = free
            free = head
            head = entry.next
            each(count)
        }
        fifo.head = head
        if head == fifo.none { fifo.tail = fifo.none }
        queues.freeHead = free
        arenaUsed = used
        appended &+= UInt64(truncatingIfNeeded: used &- start)
        copied &+= UInt64(truncatingIfNeeded: payloadBytes)
        let count = unsafe note - firstNote
        framesUsed &+= count
        return (count, payloadBytes)
    }
}
