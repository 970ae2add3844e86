public import Bytes
public import Kernel

/// Names a socket of a backend. The generation tells a socket from an earlier one in the same place, so that an event which
/// was on its way when its socket closed is recognised as stale.
public struct Token: BitwiseCopyable, Hashable, Sendable {
    /// Generation in the upper half, index in the lower.
    public let raw: UInt64

    public init(raw: UInt64) { self.raw = raw }
    /// A token for one use of a place in a table.
    public init(index: Int, generation: UInt32) { raw = UInt64(generation) << 32 | UInt64(UInt32(truncatingIfNeeded: index)) }

    /// Place in a table; used again by later sockets.
    public var index: Int { Int(UInt32(truncatingIfNeeded: raw)) }
    /// How often the place has been used.
    public var generation: UInt32 { UInt32(truncatingIfNeeded: raw >> 32) }
}

/// Completions, told one by one while a backend reaps. They are calls and not a list, so that the block of a receive can be filled again as soon as
/// its handler is done with it, while it is still in the processor's cache.
///
/// A backend only names tokens that are open at the moment of the call.
public protocol BackendClient: AnyObject {
    /// A connection came in and is open under `token`.
    func backendAccepted(_ token: Token, from remote: SocketAddress, by listener: Token)
    /// Accepting is suspended until ``Backend/resumeAccepting(_:)``.
    func backendAcceptFailed(_ error: ChannelError, by listener: Token)
    /// What ``Backend/connect(to:options:)`` began has come about.
    func backendConnected(_ token: Token)
    /// Bytes arrived. They are valid during the call.
    func backendReceived(_ token: Token, _ block: Block, _ range: Range<Int>)
    /// After a send that was partial or blocked: the kernel takes bytes again.
    func backendWritable(_ token: Token)
    /// A pending send is over and carried `byteCount` bytes.
    func backendSent(_ token: Token, _ byteCount: Int)
    /// The far end will send nothing more.
    func backendEnded(_ token: Token)
    /// The token is closed already. Also the outcome of a connect that failed.
    func backendFailed(_ token: Token, _ error: ChannelError)
}

/// Interrupts the wait of a backend. The only part of one that other threads may touch.
public protocol Waker: Sendable {
    /// Ends the wait that is under way, or the next one. Any thread.
    func wake()
}

/// An I/O interface in completion shape: operations are submitted by token, their outcomes reaped.
///
/// Call order: any operations; then ``reap(timeoutNanoseconds:client:)`` again and again, from one thread; ``shutDown()`` last. Operations may be submitted from
/// within completions.
public protocol Backend: AnyObject {
    /// The name users know it by.
    var name: String { get }
    /// System calls so far.
    var counts: SyscallCounts { get }
    /// The time this backend lives in: the machine's, or a simulation's.
    var now: UInt64 { get }
    /// For other threads.
    var waker: any Waker { get }
    /// Whether reaping would find something at once, without waiting.
    var hasWork: Bool { get }

    /// Listens, and begins to accept. Returns the address that was bound.
    func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress)
    /// Accepts again after ``BackendClient/backendAcceptFailed(_:by:)``.
    func resumeAccepting(_ token: Token)
    /// Begins to connect; connected or failed follows.
    func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token
    /// Takes over a connected socket. When it throws, the socket has been closed.
    func adopt(_ socket: Socket) throws(ChannelError) -> Token

    /// Bytes may be told of from now on.
    func startReceiving(_ token: Token)
    /// No bytes until ``startReceiving(_:)``: the kernel's buffer fills.
    func stopReceiving(_ token: Token)
    /// Offers the gather's unwritten bytes, see ``Channel/send(_:)``.
    ///
    /// - Parameters:
    ///   - token: a connected socket.
    ///   - gather: stays as it is while the outcome is ``SendOutcome/pending``.
    ///   - owner: kept while the kernel may read the gather's memory.
    func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome
    /// Ends this side's sending (half-close).
    func finishSending(_ token: Token)
    /// Ends both directions; the token is stale from here on.
    func close(_ token: Token)

    /// What the kernel made of the options; nil when the token is stale.
    func settings(_ token: Token) -> SocketSettings?
    /// What the kernel says about the connection; nil where it is not TCP, or the token stale.
    func tcpInfo(_ token: Token) -> TCPInfo?

    /// Submits what was prepared, waits for completions at most `timeoutNanoseconds` (nil: without end; 0: not at all), and tells them.
    /// Returns how many events there were.
    func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int

    /// Closes everything and waits until the kernel holds no memory of ours.
    func shutDown()
}

/// Wakes a backend that watches the descriptor of an eventfd.
public final class EventWaker: Waker {
    /// What the backend watches.
    public let event: EventFD

    public init() throws(Errno) { event = try EventFD() }

    public func wake() { event.signal() }
}
