public import Bytes

/// What speaks a protocol on one stream: the callback face. All calls come on the connection's loop.
///
/// Call order: ``streamStarted(_:)`` once the protocol is known, then any of the middle ones, ``streamEnded(_:_:)`` last and once. A handler may send, finish,
/// reset and consume from inside any of them; nothing is written before it returns.
public protocol StreamProtocolHandler: AnyObject {
    /// The protocol is known, and the handler may send.
    func streamStarted(_ stream: RoutedStream)

    /// Bytes arrived, the negotiation's left out. They lie in `block` and may change after this call; ``Connection/keep(_:_:)`` keeps them.
    ///
    /// Returns how many of them the handler is done with; it gives the rest back later with ``RoutedStream/consume(byteCount:)``.
    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int

    /// The far end will send nothing more.
    func streamFinished(_ stream: RoutedStream)
    /// What was queued has fallen to the low-water mark.
    func streamWritable(_ stream: RoutedStream)
    /// The stream is over. The last call.
    func streamEnded(_ stream: RoutedStream, _ end: StreamEnd)
    /// Instead of everything else: the stream could not be opened after all, because the connection ended while the open had to wait.
    func openFailed(_ error: HostError)
}

extension StreamProtocolHandler {
    public func streamWritable(_ stream: RoutedStream) {}
    public func openFailed(_ error: HostError) {}
}

/// How a stream ended.
public enum StreamEnd: Sendable {
    /// Both sides finished, and everything was sent.
    case orderly
    /// A reset, a broken connection or a time-out; what was queued may be lost.
    case failed(HostError)
}

/// Who dialled a connection, or opened a stream on it.
public enum ConnectionDirection: Sendable {
    /// The far end.
    case inbound
    /// This end.
    case outbound
}

/// What a host does with the streams of a protocol that the far end opens.
public enum StreamService: Sendable {
    /// A task for each stream, on its connection's loop. When it returns the stream is finished, and what is not read is dropped; when it throws the stream is reset.
    /// When the stream fails, by a reset or with its connection, the task is cancelled.
    case task(@Sendable (Stream) async throws -> Void)
    /// A handler for each stream, made on its connection's loop.
    case callbacks(@Sendable (RoutedStream) -> any StreamProtocolHandler)
}
