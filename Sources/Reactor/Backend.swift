public import Bytes
public import Kernel

/// Names a socket of a backend. The generation tells a socket from an earlier one in the same place, so that an event which
/// was on its way when its socket closed is recognised as stale.
public struct Token: BitwiseCopyable, Hashable, Sendable {
    public let raw: UInt64

    public init(raw: UInt64) { self.raw = raw }
    public init(index: Int, generation: UInt32) { raw = UInt64(generation) << 32 | UInt64(UInt32(truncatingIfNeeded: index)) }

    public var index: Int { Int(UInt32(truncatingIfNeeded: raw)) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: raw >> 32) }
}

/// Completions, told one by one while a backend reaps. They are calls and not a list, so that the block of a receive can be filled again as soon as
/// its handler is done with it, while it is still in the processor's cache.
///
/// A backend only names tokens that are open at the moment of the call.
public protocol BackendClient: AnyObject {
    func backendAccepted(_ token: Token, from remote: SocketAddress, by listener: Token)
    /// Accepting is suspended until ``Backend/resumeAccepting(_:)``.
    func backendAcceptFailed(_ error: ChannelError, by listener: Token)
    func backendConnected(_ token: Token)
    func backendReceived(_ token: Token, _ block: Block, _ range: Range<Int>)
    func backendWritable(_ token: Token)
    func backendSent(_ token: Token, _ byteCount: Int)
    func backendEnded(_ token: Token)
    /// The token is closed already. Also the outcome of a connect that failed.
    func backendFailed(_ token: Token, _ error: ChannelError)
}

/// Interrupts the wait of a backend. The only part of one that other threads may touch.
public protocol Waker: Sendable {
    func wake()
}

/// An I/O interface in completion shape: operations are submitted by token, their outcomes reaped.
///
/// Call order: any operations; then ``reap(timeoutNanoseconds:client:)`` again and again, from one thread; ``shutDown()`` last. Operations may be submitted from
/// within completions.
public protocol Backend: AnyObject {
    /// The name users know it by.
    var name: String { get }
    var counts: SyscallCounts { get }
    /// The time this backend lives in: the machine's, or a simulation's.
    var now: UInt64 { get }
    var waker: any Waker { get }
    /// Whether reaping would find something at once, without waiting.
    var hasWork: Bool { get }

    /// Listens, and begins to accept. Returns the address that was bound.
    func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress)
    func resumeAccepting(_ token: Token)
    /// Begins to connect; connected or failed follows.
    func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token
    /// Takes over a connected socket. When it throws, the socket has been closed.
    func adopt(_ socket: Socket) throws(ChannelError) -> Token

    func startReceiving(_ token: Token)
    func stopReceiving(_ token: Token)
    /// Offers the gather's unwritten bytes, see ``Channel/send(_:)``.
    ///
    /// - Parameters:
    ///   - token: a connected socket.
    ///   - gather: stays as it is while the outcome is ``SendOutcome/pending``.
    ///   - owner: kept while the kernel may read the gather's memory.
    func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome
    func finishSending(_ token: Token)
    func close(_ token: Token)

    func settings(_ token: Token) -> SocketSettings?
    func tcpInfo(_ token: Token) -> TCPInfo?

    /// Submits what was prepared, waits for completions at most `timeoutNanoseconds` (nil: without end; 0: not at all), and tells them.
    /// Returns how many events there were.
    func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int

    /// Closes everything and waits until the kernel holds no memory of ours.
    func shutDown()
}

/// Wakes a backend that watches the descriptor of an eventfd.
public final class EventWaker: Waker {
    public let event: EventFD

    public init() throws(Errno) { event = try EventFD() }

    public func wake() { event.signal() }
}
