#if canImport(Glibc)
public import Glibc
#endif

/// What one write will carry: headers and small payloads in an arena, large payloads by reference, in order, with a note
/// of where each frame ends.
///
/// Call order: a muxer appends a header, then `endFrame` (with or without payload), any number of times; the I/O side
/// passes ``withVectors(_:)`` to one `writev` and tells the result with ``advance(by:)``. When a write was partial, frames of which
/// no byte was written are taken back, last first, with ``popUnbegun()`` and returned to the scheduler, so that what
/// has become urgent meanwhile can overtake them; ``trim()`` then leaves only the rest of the one frame that was begun.
///
/// Invariant: `written <= appended`; frames are contiguous; the vectors hold exactly `appended - written` bytes; every
/// referenced payload is kept alive by its frame.
@safe public struct Gather: ~Copyable {
    /// A frame that has been appended and not yet wholly written.
    @safe public struct Frame: ~Copyable {
        /// Whatever the muxer needs to take the frame back.
        public let tag: UInt64
        @usableFromInline let raw: RawSlice?

        init(tag: UInt64, raw: RawSlice?) {
            self.tag = tag
            self.raw = raw
        }

        deinit { raw?.release() }

        /// Length of the payload; 0 for a control frame.
        public var payloadByteCount: Int { raw.map { Int($0.length) } ?? 0 }

        /// The payload, or nil for a control frame.
        public consuming func takePayload() -> QueuedSlice? {
            let raw = raw
            discard self
            return raw.map { QueuedSlice(raw: $0) }
        }
    }

    /// The note of a frame: plain words, so that appending and dropping one is a store and a test.
    @safe @usableFromInline struct Note: BitwiseCopyable {
        @usableFromInline let tag: UInt64
        @usableFromInline let end: UInt64
        @usableFromInline let payload: RawSlice?

        @inlinable init(tag: UInt64, end: UInt64, payload: RawSlice?) {
            self.tag = tag
            self.end = end
            self.payload = payload
        }
    }

    /// Payloads below this are copied beside their header: an iovec entry costs the kernel more than the copy does up to about
    /// 2 KiB.
    public static let copyThresholdDefault = 2048

    /// Frames of one write. More of them save next to nothing on the system call, and what they touch (arena, notes, the queues they come from) would
    /// leave the processor's second-level cache before the next write.
    @usableFromInline static let framesPerWriteMax = 2048

    /// Vectors of one `writev` (IOV_MAX on Linux).
    static let vectorsPerWriteMax = 1024

    @usableFromInline let copyThreshold: Int
    @usableFromInline let arena: UnsafeMutableRawPointer
    @usableFromInline let arenaCapacity: Int
    @usableFromInline var arenaUsed = 0
    /// Arena bytes below this are already in a vector.
    @usableFromInline var arenaCovered = 0
    @usableFromInline var vectors: UnsafeMutablePointer<iovec>
    @usableFromInline let vectorsCapacity: Int
    @usableFromInline var vectorsHead = 0
    @usableFromInline var vectorsUsed = 0
    @usableFromInline var frames: UnsafeMutablePointer<Note>
    @usableFromInline var framesCapacity: Int
    @usableFromInline var framesHead = 0
    @usableFromInline var framesUsed = 0
    /// Bytes ever appended and ever written.
    @usableFromInline var appended: UInt64 = 0
    @usableFromInline var written: UInt64 = 0
    /// Where the first frame of the list begins.
    @usableFromInline var firstFrameStart: UInt64 = 0
    /// Bytes copied into the arena that were payload.
    @inlinable public var payloadBytesCopied: UInt64 { copied }
    @usableFromInline var copied: UInt64 = 0

    /// - Parameters:
    ///   - arenaByteCount: room for headers and copied payloads.
    ///   - copyThreshold: payloads shorter than this are copied, others referenced.
    public init(arenaByteCount: Int = 320 * 1024, copyThreshold: Int = Gather.copyThresholdDefault) {
        self.copyThreshold = copyThreshold
        arenaCapacity = arenaByteCount
        unsafe arena = .allocate(byteCount: arenaByteCount, alignment: 4096)
        vectorsCapacity = Self.vectorsPerWriteMax
        unsafe vectors = .allocate(capacity: vectorsCapacity)
        framesCapacity = 64
        unsafe frames = .allocate(capacity: framesCapacity)
    }

    deinit {
        for index in framesHead..<framesUsed { unsafe frames[index].payload?.release() }
        unsafe frames.deallocate()
        unsafe vectors.deallocate()
        unsafe arena.deallocate()
    }

    /// Bytes appended and not yet written.
    @inlinable public var byteCount: Int { Int(appended - written) }
    /// Whether all that was appended has been written.
    @inlinable public var isEmpty: Bool { appended == written }

    /// Whether one more frame with a header of up to 32 bytes and a payload of any size fits.
    @inlinable public var hasRoom: Bool {
        arenaUsed + 32 + copyThreshold <= arenaCapacity && vectorsUsed + 3 <= vectorsCapacity
            && framesUsed &- framesHead < Self.framesPerWriteMax
    }

    // MARK: Appending

    /// Appends eight bytes of a header, the most significant first.
    @inlinable public mutating func appendBigEndian(_ value: UInt64) {
        precondition(arenaUsed + 8 <= arenaCapacity, "the gather is full")
        unsafe arena.storeBytes(of: value.bigEndian, toByteOffset: arenaUsed, as: UInt64.self)
        arenaUsed += 8
        appended &+= 8
    }

    /// Appends four bytes of a header, the most significant first.
    @inlinable public mutating func appendBigEndian(_ value: UInt32) {
        precondition(arenaUsed + 4 <= arenaCapacity, "the gather is full")
        unsafe arena.storeBytes(of: value.bigEndian, toByteOffset: arenaUsed, as: UInt32.self)
        arenaUsed += 4
        appended &+= 4
    }

    /// Appends a byte of a header.
    @inlinable public mutating func appendByte(_ value: UInt8) {
        precondition(arenaUsed < arenaCapacity, "the gather is full")
        unsafe arena.storeBytes(of: value, toByteOffset: arenaUsed, as: UInt8.self)
        arenaUsed += 1
        appended &+= 1
    }

    /// Appends a varint of a header, one to ten bytes.
    @inlinable public mutating func appendVarint(_ value: UInt64) {
        precondition(arenaUsed + 10 <= arenaCapacity, "the gather is full")
        var rest = value
        var length = 0
        while rest >= 0x80 {
            unsafe arena.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: arenaUsed + length, as: UInt8.self)
            rest >>= 7
            length += 1
        }
        unsafe arena.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: arenaUsed + length, as: UInt8.self)
        arenaUsed += length + 1
        appended &+= UInt64(length + 1)
    }

    /// Ends a control frame: all its bytes have been appended.
    @inlinable public mutating func endFrame(tag: UInt64) {
        pushFrame(Note(tag: tag, end: appended, payload: nil))
    }

    /// Appends bytes that stand for themselves, such as a greeting, as one frame that stays.
    public mutating func appendPinned(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        precondition(arenaUsed + bytes.count <= arenaCapacity, "the gather is full")
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(start: arena + arenaUsed, count: source.count).copyMemory(from: source)
        }
        arenaUsed += bytes.count
        appended += UInt64(bytes.count)
        endPinnedFrame()
    }

    /// Ends a control frame that ``popUnbegun()`` leaves alone, and with it all that stands before it.
    @inlinable public mutating func endPinnedFrame() {
        endFrame(tag: Self.pinned)
    }

    /// The same for a frame with a payload: for a machine that cannot take a frame back.
    @inlinable public mutating func endPinnedFrame(payload: consuming QueuedSlice) {
        endFrame(tag: Self.pinned, payload: payload)
    }

    @usableFromInline static var pinned: UInt64 { .max }

    /// Appends `payload` behind the header and ends the frame. With a `tag` that is all ones the frame is pinned.
    @inlinable @inline(__always) public mutating func endFrame(tag: UInt64, payload: consuming QueuedSlice) {
        let raw = payload.take()
        let count = Int(raw.length)
        if count < copyThreshold {
            precondition(arenaUsed + count <= arenaCapacity, "the gather is full")
            unsafe (arena + arenaUsed).copyMemory(from: raw.base, byteCount: count)
            arenaUsed += count
            copied &+= UInt64(count)
        } else {
            reference(raw)
        }
        appended &+= UInt64(count)
        pushFrame(Note(tag: tag, end: appended, payload: raw))
    }

    /// The same for a slice of the caller's.
    public mutating func endFrame(tag: UInt64, payload: consuming Slice) {
        endFrame(tag: tag, payload: QueuedSlice(payload))
    }

    /// A frame with a header of twelve bytes, most significant first, in one step: what a yamux frame is.
    @inlinable @inline(__always)
    public mutating func appendFrame(header high: UInt64, _ low: UInt32, tag: UInt64, payload: consuming QueuedSlice) {
        let raw = payload.take()
        let count = Int(raw.length)
        let isCopied = count < copyThreshold
        precondition(arenaUsed + 12 + (isCopied ? count : 0) <= arenaCapacity, "the gather is full")
        let target = unsafe arena + arenaUsed
        unsafe target.storeBytes(of: high.bigEndian, as: UInt64.self)
        unsafe target.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt32.self)
        if isCopied {
            unsafe (target + 12).copyMemory(from: raw.base, byteCount: count)
            arenaUsed &+= 12 &+ count
            copied &+= UInt64(truncatingIfNeeded: count)
        } else {
            arenaUsed &+= 12
            reference(raw)
        }
        appended &+= UInt64(truncatingIfNeeded: 12 &+ count)
        pushFrame(Note(tag: tag, end: appended, payload: raw))
    }

    @usableFromInline mutating func reference(_ payload: RawSlice) {
        coverArena()
        precondition(vectorsUsed < vectorsCapacity, "the gather is full")
        unsafe (vectors + vectorsUsed).initialize(to: iovec(iov_base: payload.base, iov_len: Int(payload.length)))
        vectorsUsed += 1
    }

    @inlinable mutating func pushFrame(_ note: Note) {
        if framesUsed == framesCapacity { makeFrameRoom() }
        unsafe (frames + framesUsed).initialize(to: note)
        framesUsed += 1
    }

    @usableFromInline mutating func makeFrameRoom() {
        let live = framesUsed - framesHead
        let capacity = live * 2 > framesCapacity ? framesCapacity * 2 : framesCapacity
        let larger = UnsafeMutablePointer<Note>.allocate(capacity: capacity)
        unsafe larger.moveInitialize(from: frames + framesHead, count: live)
        unsafe frames.deallocate()
        unsafe frames = larger
        framesCapacity = capacity
        framesHead = 0
        framesUsed = live
    }

    /// Puts the arena bytes that no vector covers yet into one.
    mutating func coverArena() {
        guard arenaUsed > arenaCovered else { return }
        precondition(vectorsUsed < vectorsCapacity, "the gather is full")
        let vector = unsafe iovec(iov_base: arena + arenaCovered, iov_len: arenaUsed - arenaCovered)
        unsafe (vectors + vectorsUsed).initialize(to: vector)
        vectorsUsed += 1
        arenaCovered = arenaUsed
    }

    // MARK: Writing

    /// The unwritten bytes as the vectors of one write. They stay valid until the next ``advance(by:)``, so a kernel ring may keep
    /// them while the write is in flight, as long as nothing is appended.
    @unsafe public mutating func withVectors<R, E: Error>(
        _ body: (UnsafeMutableBufferPointer<iovec>) throws(E) -> R
    ) throws(E) -> R {
        coverArena()
        return unsafe try body(UnsafeMutableBufferPointer(start: vectors + vectorsHead, count: vectorsUsed - vectorsHead))
    }

    /// Notes that the first `byteCount` unwritten bytes have been written.
    public mutating func advance(by byteCount: Int) {
        precondition(byteCount >= 0 && UInt64(byteCount) <= appended - written, "more written than was appended")
        coverArena()
        written += UInt64(byteCount)
        var rest = byteCount
        while rest > 0 {
            let length = unsafe vectors[vectorsHead].iov_len
            if rest >= length {
                rest -= length
                vectorsHead += 1
            } else {
                unsafe vectors[vectorsHead].iov_base += rest
                unsafe vectors[vectorsHead].iov_len -= rest
                rest = 0
            }
        }
        var dropped = framesHead
        while dropped < framesUsed, unsafe frames[dropped].end <= written {
            unsafe firstFrameStart = frames[dropped].end
            unsafe frames[dropped].payload?.release()
            dropped += 1
        }
        framesHead = dropped
        if isEmpty { rewind() }
    }

    /// Payload of the frames that have not wholly been written and whose tag is one of those meant; a frame that was begun counts whole.
    public func unwrittenPayloadByteCount(where isMeant: (UInt64) -> Bool) -> Int {
        var sum = 0
        for index in framesHead..<framesUsed {
            guard let length = unsafe frames[index].payload?.length, isMeant(unsafe frames[index].tag) else { continue }
            sum += Int(length)
        }
        return sum
    }

    /// Takes back the last frame of which no byte has been written, or returns nil when there is none.
    /// Call ``trim()`` after the last one.
    public mutating func popUnbegun() -> Frame? {
        guard framesUsed > framesHead, unsafe frames[framesUsed - 1].tag != Self.pinned else { return nil }
        let start = unsafe framesUsed - 1 == framesHead ? firstFrameStart : frames[framesUsed - 2].end
        guard start >= written else { return nil }
        framesUsed -= 1
        appended = start
        let note = unsafe frames[framesUsed]
        return Frame(tag: note.tag, raw: note.payload)
    }

    /// Drops the bytes of frames that were taken back; what remains of a frame that was begun moves to the front of the arena.
    public mutating func trim() {
        guard !isEmpty else { return rewind() }
        coverArena()
        var rest = byteCount
        var kept = vectorsHead
        while rest > 0 {
            let length = min(rest, unsafe vectors[kept].iov_len)
            unsafe vectors[kept].iov_len = length
            rest -= length
            kept += 1
        }
        let live = kept - vectorsHead
        unsafe memmove(vectors, vectors + vectorsHead, live * MemoryLayout<iovec>.stride)
        vectorsHead = 0
        vectorsUsed = live
        arenaUsed = 0
        for index in 0..<live {
            guard let base = unsafe vectors[index].iov_base, unsafe isInArena(base) else { continue }
            let length = unsafe vectors[index].iov_len
            unsafe memmove(arena + arenaUsed, base, length)
            unsafe vectors[index].iov_base = arena + arenaUsed
            arenaUsed += length
        }
        arenaCovered = arenaUsed
    }

    private func isInArena(_ pointer: UnsafeMutableRawPointer) -> Bool {
        unsafe pointer >= arena && pointer < arena + arenaCapacity
    }

    private mutating func rewind() {
        arenaUsed = 0
        arenaCovered = 0
        vectorsHead = 0
        vectorsUsed = 0
        framesHead = 0
        framesUsed = 0
        firstFrameStart = appended
    }

    /// Copies the unwritten bytes into `block` from its beginning, `byteLimit` at most and as far as they fit: what a transport without a kernel does
    /// in place of a write. Returns how many bytes that was; the caller then tells ``advance(by:)``.
    public mutating func copyBytes(into block: Block, byteLimit: Int = .max) -> Int {
        var cursor = Cursor()
        return copyBytes(from: &cursor, byteLimit: byteLimit, into: block, at: 0)
    }
}
