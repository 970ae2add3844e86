public import Bytes

/// A stream multiplexer: frames many streams onto one connection, as a state machine that knows no socket and no clock.
///
/// Call order, by the owner of the connection:
///
/// 1. Bytes came in: ``receive(_:at:now:events:)`` until all are consumed; after each call handle the events in order. Handlers may call
///    any method meanwhile: the machine is not running then.
/// 2. The application acts: ``openStream(now:)``, ``send(_:on:)``, ``finish(_:)``, ``reset(_:code:)``, ``consume(_:byteCount:)``. Nothing is written
///    yet; frames are only queued.
/// 3. The connection can write: ``transmit(into:byteLimit:now:events:)`` appends frames to a gather, the most urgent first. Frames that the kernel
///    did not take come back through ``takeBack(_:)``, last first; then ``settle(events:)`` says that the rest is on its way. Both
///    come before the next `transmit`.
/// 4. Time passes: ``advanceTime(to:events:)`` at or after ``deadline``.
///
/// A thrown ``MuxerError`` from `receive` or `advanceTime` is fatal to the connection: the owner transmits once more (the machine has queued
/// its farewell, if the protocol has one) and closes.
///
/// All methods must be called from one thread. A muxer is a class so that a connection can hold any of them; hot state stays in structs
/// inside, because access to class fields costs an exclusivity check.
public protocol Muxer: AnyObject {
    /// The protocol ID by which multistream-select names it, such as `/yamux/1.0.0`.
    static var protocolID: String { get }

    /// Opens a stream. Nothing is sent until the next `transmit`.
    ///
    /// - Throws: ``MuxerError/tooManyStreams(limit:)``, ``MuxerError/tooManyUnacknowledgedStreams(limit:)`` (try again at ``MuxerEvent/canOpen``),
    ///   ``MuxerError/streamIDsExhausted``, ``MuxerError/goneAway(code:)`` or ``MuxerError/closing``.
    func openStream(now: Nanoseconds) throws(MuxerError) -> StreamHandle

    /// Queues `payload` as one message of `stream`. Each call becomes at least one frame; messages are never merged, and are split where
    /// the window or the frame size demands it.
    ///
    /// Returns the bytes now queued on the stream, so that a producer can stop at a mark of its own; it is told by
    /// ``MuxerEvent/writable(_:)`` when the queue has fallen to ``MuxerLimits/sendLowWaterBytes``.
    ///
    /// - Throws: ``MuxerError/unknownStream``, ``MuxerError/sendSideClosed`` or ``MuxerError/sendQueueFull(limitBytes:)``.
    @discardableResult
    func send(_ payload: consuming QueuedSlice, on stream: StreamHandle) throws(MuxerError) -> Int

    /// Ends this side of the stream after what is queued (half-close). Finishing twice is harmless.
    func finish(_ stream: StreamHandle) throws(MuxerError)

    /// Ends the stream at once in both directions; what is queued is dropped. Unknown streams are ignored: the far end may have been faster.
    func reset(_ stream: StreamHandle, code: UInt32)

    /// Gives back `byteCount` received bytes as credit: the application is done with them.
    func consume(_ stream: StreamHandle, byteCount: Int)

    /// Parses received bytes.
    ///
    /// - Parameters:
    ///   - bytes: what arrived, in order.
    ///   - offset: added to the positions in ``MuxerEvent/data(_:offset:count:)``, so that they can be offsets of the block `bytes` came from.
    ///   - now: the time of arrival.
    ///   - events: where events are appended. The machine stops when it holds ``eventsPerReceiveMax``.
    /// - Returns: how many bytes were consumed; fewer than given only when the events are full.
    /// - Throws: what makes the connection unusable.
    func receive(_ bytes: RawSpan, at offset: Int, now: Nanoseconds, events: inout EventList) throws(MuxerError) -> Int

    /// The far end will send nothing more. Streams that were still open towards us are reset.
    func receiveEnd(events: inout EventList)

    /// Appends frames to `gather` until `byteLimit` bytes are in it, it has no room, or nothing is left to send.
    func transmit(into gather: inout Gather, byteLimit: Int, now: Nanoseconds, events: inout EventList)

    /// Takes back a frame of which nothing was written. Frames come in reverse order of transmission.
    func takeBack(_ frame: consuming Gather.Frame)

    /// What the last `transmit` appended and was not taken back is on its way: streams whose end was part of it are closed.
    func settle(events: inout EventList)

    /// Whether `transmit`, or the `settle` that follows it, has something to do.
    var hasOutput: Bool { get }

    /// Whether the owner should go on reading from the connection. False while the application holds more than a protocol without windows
    /// may buffer: the connection's own flow control then holds the far end back. Bytes that were read already are still received.
    var wantsInput: Bool { get }

    /// What the connection underneath should do beside carrying bytes; look after each `settle` and each call of the application.
    var connectionDemand: ConnectionDemand { get }

    /// When ``advanceTime(to:events:)`` is next needed, or nil.
    var deadline: Nanoseconds? { get }

    /// Runs what is due: keepalive, time-outs.
    func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError)

    /// Asks for an orderly end: no new streams either way, open ones go on.
    func close(code: GoAwayCode)

    /// How many streams the same side opened before `stream`: with ``isLocal(_:)`` it names the stream alike at both ends. Nil when the handle
    /// is stale.
    func ordinal(of stream: StreamHandle) -> UInt64?

    /// Bytes queued on `stream` and not yet transmitted.
    func queuedByteCount(on stream: StreamHandle) -> Int

    /// Bytes of `stream` that were given to ``send(_:on:)`` and that no write has taken yet: queued, or among what is left in `gather`, where a
    /// frame that was begun counts whole. Where frames in the gather cannot be told apart by stream, all of them count.
    func unwrittenByteCount(on stream: StreamHandle, in gather: borrowing Gather) -> Int

    /// Whether this stream was opened by this side.
    func isLocal(_ stream: StreamHandle) -> Bool

    /// Open streams, both directions together.
    var streamCount: Int { get }
    /// What was put on and taken from the connection so far.
    var counters: MuxerCounters { get }
    /// The latest measured round-trip time, or nil when the protocol or the moment has none.
    var roundTripTime: Nanoseconds? { get }
    /// Where the time went until `now`; nil where the protocol has no windows to wait for, or nobody counts.
    func flow(at now: Nanoseconds) -> MuxerFlow?
}

extension Muxer {
    /// Queues a slice that is shared, else as ``send(_:on:)-(QueuedSlice,_)`` does.
    @discardableResult @inlinable
    public func send(_ payload: consuming Slice, on stream: StreamHandle) throws(MuxerError) -> Int {
        try send(QueuedSlice(payload), on: stream)
    }

    public func unwrittenByteCount(on stream: StreamHandle, in gather: borrowing Gather) -> Int {
        queuedByteCount(on: stream) + gather.unwrittenPayloadByteCount { _ in true }
    }

    public func flow(at now: Nanoseconds) -> MuxerFlow? { nil }
    public var wantsInput: Bool { true }
    public var connectionDemand: ConnectionDemand { .none }
}

/// What a muxer asks of the connection underneath it, whose end it cannot express in bytes.
public enum ConnectionDemand: Sendable {
    /// Nothing: go on.
    case none
    /// All has been written and nothing will follow: shut down the sending side. What comes in goes on.
    case finishSending
    /// Close both directions at once.
    case abort
}

/// A point in time or a span of it, in nanoseconds of a monotonic clock whose zero does not matter.
public typealias Nanoseconds = UInt64

/// Most events that one call of `transmit` appends before it returns to its caller.
public let eventsPerTransmitMax = 1024

/// Most events that one call of `receive` appends before it returns to its caller. A long read is handled in parts of this size, and what the handlers answered to one part leaves before the next is looked at:
/// both ends then work at the same time instead of taking turns and waking each other, which doubles the rate of small requests. Fewer events a part cost more in
/// system calls than they gain.
public let eventsPerReceiveMax = 128

/// What one call of a muxer found, in order; its owner empties it.
public typealias EventList = Stack<MuxerEvent>

/// Which end of the connection a muxer is: it decides who uses which stream identifiers.
public enum MuxerRole: Sendable {
    /// The end that dialled.
    case initiator
    /// The end that was dialled.
    case responder
}

/// Names a stream at this end. A handle outlives its stream harmlessly: it is recognised as stale.
public struct StreamHandle: BitwiseCopyable, Hashable, Sendable {
    /// Index for tables of the handler's own: small, used again after the stream's end.
    public let index: UInt32
    /// Tells a stream from those that had its place before; for multiplexers in targets of their own.
    @usableFromInline package let generation: UInt32

    /// A handle that names no stream.
    public static let none = StreamHandle(index: .max, generation: .max)

    @inlinable package init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// Why a stream ended at once.
public enum StreamReset: BitwiseCopyable, Equatable, Sendable, CustomStringConvertible {
    /// The far end wanted it, for the reason that `code` stands for where the protocol has one.
    case farEnd(code: UInt32)
    /// The far end ended the connection in the middle of the stream.
    case cutOff
    /// This side did: the far end sent data behind the stream's end.
    case dataAfterEnd
    /// This side did: more waited to be read than ``MplexLimits/receiveBufferBytesMax``, and the protocol cannot hold back the far end.
    case readerTooSlow

    /// As the protocol has it; 0 where nothing was said.
    public var code: UInt32 { if case .farEnd(let code) = self { code } else { 0 } }

    public var description: String {
        switch self {
        case .farEnd(let code): "the far end reset the stream (code \(code))"
        case .cutOff: "the far end ended the connection in the middle of the stream"
        case .dataAfterEnd: "the far end sent data behind the stream's end, and the stream was reset"
        case .readerTooSlow:
            "more came than was read and may wait, which this multiplexer cannot hold back: the stream was reset; read faster, or use yamux"
        }
    }
}

/// What a muxer tells its owner.
public enum MuxerEvent: BitwiseCopyable, Equatable, Sendable {
    /// The far end opened a stream. The handle is stale already when the stream ends within the same batch of events; the calls then say so.
    case opened(StreamHandle)
    /// Bytes of a stream arrived, at `offset` (see ``Muxer/receive(_:at:now:events:)``).
    case data(StreamHandle, offset: UInt32, count: UInt32)
    /// The far end will send nothing more on this stream.
    case finished(StreamHandle)
    /// The stream ended at once. No `closed` follows.
    case reset(StreamHandle, StreamReset)
    /// Both sides have finished and everything has been transmitted: the handle is stale from here on.
    case closed(StreamHandle)
    /// The stream's send queue has fallen to the low-water mark after a `send`.
    case writable(StreamHandle)
    /// `openStream` was refused for want of acknowledgements and may be tried again.
    case canOpen
    /// The far end answered a ping.
    case roundTrip(Nanoseconds)
    /// The far end wants no new streams.
    case goAway(code: UInt32)
}

/// Why a connection is ended in order. The numbers are yamux's.
public enum GoAwayCode: UInt32, Sendable {
    /// The connection is not needed any more.
    case normal = 0
    /// The other end broke the protocol.
    case protocolError = 1
    /// Something at this end went wrong.
    case internalError = 2
}

/// Every byte a muxer put on or took from the connection, by what it was for, and how often.
/// `sent` counts what `transmit` appended less what was taken back.
public struct MuxerCounters: Equatable, Sendable {
    /// One direction of the connection.
    public struct Direction: Equatable, Sendable {
        /// Application bytes.
        public var payloadBytes: UInt64 = 0
        /// Headers of frames that carry data.
        public var dataHeaderBytes: UInt64 = 0
        /// Frames that grant credit.
        public var windowUpdateBytes: UInt64 = 0
        /// Frames that only open, acknowledge, finish or reset a stream, and the end of the session.
        public var openCloseBytes: UInt64 = 0
        /// Round-trip probes and their answers.
        public var pingBytes: UInt64 = 0
        /// Frames that carry data.
        public var dataFrames: UInt64 = 0
        /// Frames that grant credit.
        public var windowUpdateFrames: UInt64 = 0

        /// All accounts together: what the connection underneath carried.
        public var totalBytes: UInt64 { payloadBytes + dataHeaderBytes + windowUpdateBytes + openCloseBytes + pingBytes }

        public init() {}
    }

    /// What this side wrote.
    public var sent = Direction()
    /// What the far end wrote.
    public var received = Direction()
    /// Streams that this side opened.
    public var streamsOpened: UInt64 = 0
    /// Streams that the far end opened.
    public var streamsAccepted: UInt64 = 0
    /// Streams that a reset ended, whoever sent it.
    public var streamsReset: UInt64 = 0
    /// Payload bytes that arrived for streams that had already ended, and were dropped.
    public var lateBytes: UInt64 = 0

    public init() {}
}

/// The limits that every muxer has. Protocols add their own.
public struct MuxerLimits: Sendable {
    /// Open streams a connection, both directions together. An endless peer would otherwise fill the memory with stream records; more
    /// are answered with a reset.
    public var streamsMax = 16_384
    /// Bytes of one stream that may wait to be sent. `send` refuses more: a producer must wait for `writable`.
    public var sendQueueBytesMax = 16 << 20
    /// A stream whose queue falls to this is reported writable.
    public var sendLowWaterBytes = 64 << 10
    /// Payload of one frame. Larger frames save headers (12 bytes in 64 KiB is 0.02 %) but delay whatever wants to overtake.
    public var framePayloadBytesMax = 64 << 10
    /// What a stream may send before the next one has its turn (deficit round robin); at least a frame's payload counts.
    public var quantumBytes = 64 << 10
    /// What a stream may send ahead of bulk in each round of turns; one that has more queued takes turns. Room for requests and answers.
    public var sparseBytesMax = 16 << 10

    public init() {}
}
