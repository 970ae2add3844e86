import Bytes
import Muxers

/// Types of frames (RFC 9113, section 6).
enum FrameType {
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9
}

/// Follows the frames of received bytes without looking into them, for two purposes: every byte gets its account the moment it is handed to
/// libnghttp2, whether the library reports it or not, and no more frames are handed over at a time than the events have room for.
///
/// Invariant: the accounts hold every byte handed over, less a header that is still incomplete.
struct FrameScanner: ~Copyable {
    static let headerByteCount = 9
    static let prefaceByteCount = 24
    private static let endStream: UInt8 = 1
    private static let padded: UInt8 = 8

    /// Bytes of the client's connection preface (RFC 9113, section 3.4) that are still to come.
    private var prefaceRemaining: Int
    private var header: UInt64 = 0
    private var headerCount = 0
    private var type: UInt8 = 0
    private var bodyRemaining = 0
    /// How many of the last bytes of the body are padding.
    private var paddingRemaining = 0
    private var isPadLengthDue = false
    /// Most events that what remains of the frame can cause.
    private var weight = 0
    /// Payload bytes since the last ``takePayload()``.
    private var payload = 0

    init(isServer: Bool) { prefaceRemaining = isServer ? Self.prefaceByteCount : 0 }

    /// Accounts for bytes from `start` on, and returns how many may be handed over: as many as can cause no more than `eventsMax` events.
    mutating func scan(_ bytes: RawSpan, from start: Int, eventsMax: Int, _ counters: inout MuxerCounters.Direction) -> Int {
        var offset = start
        let end = bytes.byteCount
        if prefaceRemaining > 0 {
            let count = min(prefaceRemaining, end - offset)
            prefaceRemaining -= count
            counters.openCloseBytes &+= UInt64(count)
            offset += count
        }
        var events = 0
        while offset < end {
            if bodyRemaining > 0 {
                events += weight
                if events > eventsMax { break }
                offset += scanBody(bytes, from: offset, &counters)
                // A go-away can end any number of streams: their events are taken before anything else is looked at.
                if type == FrameType.goAway && bodyRemaining == 0 { break }
            } else {
                // The rest of a header costs nothing, but what it announces may: a frame without a body ends with its header.
                if events + Self.weightMax > eventsMax { break }
                if headerCount == 0 && end - offset >= Self.headerByteCount {
                    begin(bytes.bigEndian64(at: offset), &counters)
                    offset += Self.headerByteCount
                } else {
                    // The last byte of a header is the lowest of the stream's identifier, which does not matter here.
                    if headerCount < 8 { header = header << 8 | UInt64(bytes.byte(at: offset)) }
                    headerCount += 1
                    offset += 1
                    guard headerCount == Self.headerByteCount else { continue }
                    headerCount = 0
                    begin(header, &counters)
                }
                if bodyRemaining == 0 { events += weight }
            }
        }
        return offset - start
    }

    /// Payload bytes that were accounted for since the last call.
    mutating func takePayload() -> Int {
        defer { payload = 0 }
        return payload
    }

    private static let weightMax = 4

    private mutating func begin(_ header: UInt64, _ counters: inout MuxerCounters.Direction) {
        bodyRemaining = Int(header >> 40)
        type = UInt8(truncatingIfNeeded: header >> 32)
        let flags = UInt8(truncatingIfNeeded: header >> 24)
        isPadLengthDue = false
        paddingRemaining = 0
        switch type {
        case FrameType.data:
            // data, finished, closed
            weight = flags & Self.endStream != 0 ? 3 : 1
            isPadLengthDue = flags & Self.padded != 0
            if bodyRemaining > 0 { counters.dataFrames &+= 1 }
        case FrameType.headers, FrameType.continuation, FrameType.goAway: weight = Self.weightMax
        default: weight = 1
        }
        if type == FrameType.windowUpdate { counters.windowUpdateFrames &+= 1 }
        account(Self.headerByteCount, isEmptyData: type == FrameType.data && bodyRemaining == 0, &counters)
    }

    /// Counts bytes that are no payload.
    private func account(_ count: Int, isEmptyData: Bool = false, _ counters: inout MuxerCounters.Direction) {
        counters.add(count, ofFrame: type, isEmptyData: isEmptyData)
    }

    private mutating func scanBody(_ bytes: RawSpan, from offset: Int, _ counters: inout MuxerCounters.Direction) -> Int {
        if isPadLengthDue {
            isPadLengthDue = false
            bodyRemaining -= 1
            paddingRemaining = min(Int(bytes.byte(at: offset)), bodyRemaining)
            account(1, &counters)
            return 1
        }
        let isPayload = type == FrameType.data && bodyRemaining > paddingRemaining
        let count = min(isPayload ? bodyRemaining - paddingRemaining : bodyRemaining, bytes.byteCount - offset)
        bodyRemaining -= count
        if isPayload {
            payload += count
            counters.payloadBytes &+= UInt64(count)
        } else {
            account(count, &counters)
        }
        return count
    }
}

extension MuxerCounters.Direction {
    /// Bytes of a frame that are no payload, in the account of its type. A frame of no data is there for its END_STREAM alone.
    mutating func add(_ byteCount: Int, ofFrame type: UInt8, isEmptyData: Bool = false) {
        let bytes = UInt64(byteCount)
        switch type {
        case FrameType.data where !isEmptyData: dataHeaderBytes &+= bytes
        case FrameType.ping: pingBytes &+= bytes
        case FrameType.windowUpdate: windowUpdateBytes &+= bytes
        default: openCloseBytes &+= bytes
        }
    }
}
