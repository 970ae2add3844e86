public import Bytes
public import Muxers
public import Reactor
public import SecureChannels

/// What the application does with a connection's streams: the callback face. All calls come on the connection's loop.
///
/// A handler may open, send, finish, reset and consume from inside any of them; nothing is written before it returns.
public protocol StreamHandler: AnyObject {
    /// The far end opened a stream.
    func streamOpened(_ stream: StreamHandle, on connection: Connection)

    /// Bytes of a stream arrived. They lie in `block` and may change after this call; ``Connection/keep(_:_:)`` keeps them.
    ///
    /// Returns how many of them the application is done with. The rest is credit withheld: it is given back
    /// with ``Connection/consume(_:byteCount:)``, and until then the far end's window shrinks.
    func streamReceived(_ stream: StreamHandle, _ block: Block, _ range: Range<Int>, on connection: Connection) -> Int

    /// The far end will send nothing more on the stream.
    func streamFinished(_ stream: StreamHandle, on connection: Connection)
    /// The stream ended at once. ``streamClosed(_:on:)`` does not follow.
    func streamReset(_ stream: StreamHandle, _ reset: StreamReset, on connection: Connection)
    /// Both sides have finished and everything was written: the handle is stale from here on.
    func streamClosed(_ stream: StreamHandle, on connection: Connection)
    /// What was queued has fallen to the low-water mark.
    func streamWritable(_ stream: StreamHandle, on connection: Connection)
    /// `openStream` was refused and may be tried again.
    func connectionCanOpen(_ connection: Connection)
    /// The far end takes no new streams any more; those that are open go on.
    func connectionGoesAway(_ connection: Connection)
    /// Everything that one read brought has been handled.
    func connectionBatchEnded(_ connection: Connection)
    /// A write has taken something; told only while ``Connection/tellsOfWrites``.
    func connectionWrote(_ connection: Connection)
    /// The connection is over; no further call follows.
    func connectionEnded(_ connection: Connection, _ reason: ConnectionEnd)
}

extension StreamHandler {
    public func connectionGoesAway(_ connection: Connection) {}
    public func connectionWrote(_ connection: Connection) {}
}

/// How a connection ended.
public enum ConnectionEnd: Error, Sendable, CustomStringConvertible {
    /// Both sides said they were done; or the far end is gone without a word, by a reset or without TLS's farewell, and no stream was open: that
    /// cannot be told from an end in order, and several implementations end every connection like this.
    case orderly
    /// The far end stopped sending, or was gone, while streams were open.
    case remoteClosed(openStreams: Int)
    /// The far end broke the multiplexer's protocol, or does not answer its pings.
    case muxer(MuxerError)
    /// What lies below failed.
    case channel(ChannelError)
    /// The secure channel gave the connection up.
    case security(SecureChannelError)
    /// This side gave up.
    case aborted

    public var description: String {
        switch self {
        case .orderly: "closed in order"
        case .remoteClosed(let streams): "the far end closed the connection while \(streams) streams were open"
        case .muxer(let error): "the far end broke the multiplexer's protocol: \(error)"
        case .channel(let error): "\(error)"
        case .security(let error): "the secure channel failed: \(error)"
        case .aborted: "given up by this side"
        }
    }
}
