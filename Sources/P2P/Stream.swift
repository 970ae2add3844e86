public import Bytes
public import Multiformats
public import Reactor

/// A stream as tasks use it: one conversation on a connection, with a protocol that both ends agreed on.
///
/// Handlers of protocols run on the connection's loop, and there nothing hops to another thread: a read that finds bytes, and a write that finds room, return
/// without suspending. From other threads each call is a round trip to the loop.
///
/// Call order: any reads and writes, one task reading at a time; ``finish()`` when this side has said everything; the stream is over when the far end has finished too.
/// ``reset(code:)`` ends it at once. A task that is cancelled while it waits resets the stream. A stream that nobody holds any more and that this side has not finished is reset.
public final class Stream: Sendable {
    /// What both ends speak on it.
    public let protocolID: ProtocolID
    /// The connection that carries it.
    public let connection: PeerConnection
    /// Who opened it.
    public let direction: ConnectionDirection
    private let buffer: LoopBound<StreamBuffer>

    init(_ buffer: StreamBuffer, _ stream: RoutedStream) {
        guard let protocolID = stream.protocolID else { preconditionFailure("a stream starts when its protocol is known") }
        self.protocolID = protocolID
        connection = stream.peer
        direction = stream.direction
        self.buffer = LoopBound(buffer, on: stream.connection.loop)
    }

    deinit {
        let buffer = buffer
        if buffer.loop.isOnLoop { return buffer.value.abandoned() }
        buffer.loop.submit { buffer.value.abandoned() }
    }

    /// The loop on which this stream's handlers run.
    public var loop: EventLoop { buffer.loop }

    // MARK: Reading

    /// The next bytes, at most `byteCountMax` of them; nil when the far end has finished.
    ///
    /// - Throws: ``HostError/streamReset(code:)``, ``HostError/connectionEnded(_:)``, ``HostError/cancelled`` or another reason why the stream ended; bytes that
    ///   had not been read are lost with it.
    public func read(upTo byteCountMax: Int = .max) async throws(HostError) -> [UInt8]? {
        precondition(byteCountMax > 0, "a read takes at least one byte")
        if loop.isOnLoop, buffer.value.isReadReady {
            guard let slice = try buffer.value.takeSlice(byteCountMax) else { return nil }
            return slice.bytes.array()
        }
        let buffer = buffer
        let result: StreamBuffer.ReadResult = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                Self.onLoop(buffer) { $0.read(byteCountMax) { continuation.resume(returning: $0) } }
            }
        } onCancel: {
            buffer.loop.submit { buffer.value.reset(.cancelled, code: 0) }
        }
        return try result.get()
    }

    /// The next bytes where they were received, without a copy; nil when the far end has finished. On the stream's loop only, and what is returned must not leave it.
    public func readSlice() async throws(HostError) -> Slice? {
        precondition(loop.isOnLoop, "slices belong to the loop")
        if !buffer.value.isReadReady {
            let buffer = buffer
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in buffer.value.whenReadReady { continuation.resume() } }
            } onCancel: {
                buffer.loop.submit { buffer.value.reset(.cancelled, code: 0) }
            }
        }
        return try buffer.value.takeSlice(.max)
    }

    /// Just `byteCount` bytes.
    ///
    /// - Throws: ``HostError/streamEndedEarly(byteCount:expected:)`` when the far end finishes before.
    public func read(exactly byteCount: Int) async throws(HostError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < byteCount {
            guard let next = try await read(upTo: byteCount - bytes.count) else {
                throw .streamEndedEarly(byteCount: bytes.count, expected: byteCount)
            }
            if bytes.isEmpty && next.count == byteCount { return next }
            bytes += next
        }
        return bytes
    }

    // MARK: Writing

    /// Queues `bytes`, any number of them. Returns when they are queued and no more waits to be sent than ``HostLimits/sendHighWaterBytes``; else when that has fallen
    /// to the low-water mark. That the far end has them is not said.
    ///
    /// - Throws: ``HostError/streamClosed`` behind ``finish()``, or why the stream ended.
    public func write(_ bytes: [UInt8]) async throws(HostError) {
        guard loop.isOnLoop else { return try await writeFromElsewhere(bytes) }
        if bytes.count <= Self.writeBytesMax { return try await write(Slice(copying: bytes)) }
        for start in stride(from: 0, to: bytes.count, by: Self.writeBytesMax) {
            let part = bytes[start..<Swift.min(start + Self.writeBytesMax, bytes.count)]
            try await write(Slice(copying: Array(part)))
        }
    }

    /// Queues the text's bytes in UTF-8, as ``write(_:)-([UInt8])`` does.
    public func write(_ text: String) async throws(HostError) { try await write(Array(text.utf8)) }

    /// Queues the slice's bytes without a copy, else as ``write(_:)-([UInt8])`` does. On the stream's loop only.
    public func write(_ slice: Slice) async throws(HostError) {
        precondition(loop.isOnLoop, "slices belong to the loop")
        guard try buffer.value.write(slice) == .full else { return }
        let buffer = buffer
        let result: StreamBuffer.WriteResult = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in buffer.value.whenWritable { continuation.resume(returning: $0) } }
        } onCancel: {
            buffer.loop.submit { buffer.value.reset(.cancelled, code: 0) }
        }
        try result.get()
    }

    /// One message of the multiplexer: more is queued bit by bit, so that a large array does not outgrow the stream's queue.
    private static let writeBytesMax = 256 << 10

    private func writeFromElsewhere(_ bytes: [UInt8]) async throws(HostError) {
        let buffer = buffer
        for start in stride(from: 0, to: bytes.count, by: Self.writeBytesMax) {
            let part = start == 0 && bytes.count <= Self.writeBytesMax ? bytes : Array(bytes[start..<Swift.min(start + Self.writeBytesMax, bytes.count)])
            let result: StreamBuffer.WriteResult = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    Self.onLoop(buffer) { buffer in
                        do throws(HostError) {
                            guard try buffer.write(Slice(copying: part)) == .full else { return continuation.resume(returning: .success(())) }
                            buffer.whenWritable { continuation.resume(returning: $0) }
                        } catch {
                            continuation.resume(returning: .failure(error))
                        }
                    }
                }
            } onCancel: {
                buffer.loop.submit { buffer.value.reset(.cancelled, code: 0) }
            }
            try result.get()
        }
    }

    // MARK: Ending

    /// Ends this side behind what was written (half-close); reading goes on. Harmless when repeated.
    public func finish() async throws(HostError) {
        if loop.isOnLoop { return try buffer.value.finish() }
        let buffer = buffer
        let result: StreamBuffer.WriteResult = await loop.perform {
            Result { () throws(HostError) in try buffer.value.finish() }
        }
        try result.get()
    }

    /// Ends the stream at once in both directions; what is queued is dropped. Any thread.
    public func reset(code: UInt32 = 0) {
        Self.onLoop(buffer) { $0.reset(.streamClosed, code: code) }
    }

    /// Resets the stream unless it ends within so many nanoseconds, or this is called again; nil takes the deadline away. Any thread.
    public func setDeadline(afterNanoseconds nanoseconds: UInt64?) {
        Self.onLoop(buffer) { $0.setDeadline(nanoseconds) }
    }

    /// Runs a handler: the stream is finished when it returns, and reset when it throws.
    func serve(_ service: @Sendable (Stream) async throws -> Void) async {
        do {
            try await service(self)
            endService()
        } catch {
            reset()
        }
    }

    private func endService() {
        Self.onLoop(buffer) { buffer in
            try? buffer.finish()
            buffer.discard()
        }
    }

    /// Runs `body` now when on the loop, and there as soon as possible when not.
    private static func onLoop(_ buffer: LoopBound<StreamBuffer>, _ body: @escaping @Sendable (StreamBuffer) -> Void) {
        if buffer.loop.isOnLoop { return body(buffer.value) }
        buffer.loop.submit { body(buffer.value) }
    }
}

/// What the far end sends, piece by piece: `for try await bytes in stream`.
extension Stream: AsyncSequence {
    public struct AsyncIterator: AsyncIteratorProtocol {
        let stream: Stream

        public mutating func next() async throws(HostError) -> [UInt8]? { try await stream.read() }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(HostError) -> [UInt8]? { try await stream.read() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }
}
