public import Bytes
public import Kernel

/// What happens on a connection, told to its owner. Every method is called on the loop; each may close this or another channel, send,
/// pause or resume.
public protocol ChannelHandler: AnyObject {
    /// Bytes arrived in `range` of `block`. They are valid during the call; whoever wants them longer keeps a ``/Bytes/Slice``, which pins the block.
    func channelReceived(_ block: Block, _ range: Range<Int>)
    /// After a send that was partial or blocked: the kernel takes bytes again.
    func channelWritable()
    /// A pending send is over and carried `byteCount` bytes. The next send may follow at once.
    func channelSent(_ byteCount: Int)
    /// The far end will send nothing more. This side may go on sending.
    func channelEnded()
    /// The connection is gone and the channel closed. The last call.
    func channelFailed(_ error: ChannelError)
}

/// What became of a send. Byte counts are what was taken from the gather's unwritten bytes.
public enum SendOutcome: Equatable, Sendable {
    /// Everything was taken.
    case complete(Int)
    /// Only the first bytes; ``ChannelHandler/channelWritable()`` follows when there is room.
    case partial(Int)
    /// Nothing; ``ChannelHandler/channelWritable()`` follows when there is room.
    case blocked
    /// Under way: the gather must not change until ``ChannelHandler/channelSent(_:)``.
    case pending
    /// Nothing can be sent any more; no callback announces it. What has arrived is still delivered, and then ended or failed. The owner closes.
    case failed(ChannelError)
}

/// One connection that carries bytes in both directions.
///
/// Call order: ``start(_:)`` once, then any mix of the rest, ``close()`` last. All on the loop. A channel that closed itself (its handler was told
/// ``ChannelHandler/channelFailed(_:)``) ignores everything but reports ``SendOutcome/failed(_:)`` for sends.
///
/// The handler is held until the channel is closed and no send is under way, so a handler that owns its gather keeps the memory that the
/// kernel may still read.
public protocol Channel: AnyObject {
    /// Begins to receive.
    func start(_ handler: any ChannelHandler)
    /// Gives what happens from now on to another handler: the layer that dialled or greeted is done, and the next one takes over. Not while a
    /// send is pending.
    func handOver(to handler: any ChannelHandler)
    /// Offers the gather's unwritten bytes. Does not advance the gather: the caller does, by the count of the outcome. Not while a send is pending.
    func send(_ gather: inout Gather) -> SendOutcome
    /// Ends this side's sending (half-close). What was taken by earlier sends still goes out.
    func finishSending()
    /// Ends both directions. Idempotent; no callback follows.
    func close()
    /// No ``ChannelHandler/channelReceived(_:_:)`` until ``resumeReceiving()``: back-pressure, the kernel's buffer fills.
    func pauseReceiving()
    /// Ends ``pauseReceiving()``.
    func resumeReceiving()
    /// Bytes the kernel has taken so far.
    var bytesSent: UInt64 { get }
    /// Bytes the kernel has delivered so far.
    var bytesReceived: UInt64 { get }
    /// How long the kernel had not taken all that it was offered, so far; nil where no socket lies below.
    var blockedNanoseconds: UInt64? { get }
    /// What the kernel says about the connection; nil where it is not TCP, or closed.
    func tcpInfo() -> TCPInfo?
    /// Where the far end is; nil where no socket lies below.
    var remoteAddress: SocketAddress? { get }
}

extension Channel {
    public var blockedNanoseconds: UInt64? { nil }

    /// Where the far end is, in words.
    public var remoteDescription: String { remoteAddress?.description ?? "this process" }
}

/// Wants to run once at the end of a turn of the loop; see ``EventLoop/scheduleFlush(_:)``.
public protocol TurnEndHandler: AnyObject {
    /// The turn is at its end. Called once for each ``EventLoop/scheduleFlush(_:)``.
    func turnEnded()
}
