import Bytes
import Kernel
public import Multiformats
public import Muxers
public import Reactor
import SecureChannels

/// A connection to another host: secured, multiplexed, and with a peer at the other end who has proved who it is. May be used from any thread.
///
/// Made by a ``Host``. Lives until one of the ends closes it; what is asked of it afterwards fails with ``HostError/connectionEnded(_:)``.
public final class PeerConnection: Sendable {
    /// Counts up in a host.
    public let id: UInt64
    /// Who is at the other end, proved by the handshake; with `plaintext` it is what the far end says.
    public let remotePeerID: PeerID
    /// The key that ``remotePeerID`` is the ID of.
    public let remotePublicKey: PublicKey
    /// Where the far end is; nil where that has no address, as the dialling end of a Unix socket or of memory.
    public let remoteAddress: Multiaddr?
    /// Who dialled.
    public let direction: ConnectionDirection
    /// The secure channel that was agreed on.
    public let security: SecurityKind
    /// The multiplexer that was agreed on.
    public let muxer: MuxerKind
    /// What securing and multiplexing the connection took.
    public let upgradeReport: UpgradeReport
    private let cell: LoopBound<Cell>
    private let limits: HostLimits
    private let identified = Locked<Identification?>(nil)

    /// What belongs to the loop, until the end: a connection that somebody still holds must not keep the loop's memory.
    final class Cell {
        var router: StreamRouter?
        var end = ConnectionEnd.aborted
        /// Counters at the end.
        var counters = ConnectionCounters()
    }

    init(
        id: UInt64, _ upgraded: UpgradedConnection, direction: ConnectionDirection, remoteAddress: Multiaddr?, limits: HostLimits, loop: EventLoop
    ) {
        self.id = id
        remotePeerID = upgraded.remote.peerID
        remotePublicKey = upgraded.remote.publicKey
        self.remoteAddress = remoteAddress
        self.direction = direction
        security = upgraded.security
        muxer = upgraded.muxer
        upgradeReport = upgraded.report
        self.limits = limits
        cell = LoopBound(Cell(), on: loop)
    }

    /// The loop on which the connection, its streams and their handlers run.
    public var loop: EventLoop { cell.loop }

    /// What the far end told about itself; nil until it has.
    public internal(set) var identification: Identification? {
        get { identified.withLock { $0 } }
        set { identified.withLock { $0 = newValue } }
    }

    // MARK: On the loop

    func begin(_ router: StreamRouter) { cell.value.router = router }

    func ended(_ reason: ConnectionEnd) {
        guard let router = cell.value.router else { return }
        cell.value.counters = router.counters
        cell.value.end = reason
        cell.value.router = nil
    }

    /// Opens a stream for a handler of callbacks, which hears everything that follows. On the loop.
    public func openStream(_ protocols: [ProtocolID], handler: any StreamProtocolHandler) throws(HostError) {
        precondition(!protocols.isEmpty, "a stream needs a protocol")
        guard let router = cell.value.router else { throw .connectionEnded(cell.value.end) }
        try router.open(protocols, handler)
    }

    // MARK: Any thread

    /// Opens a stream that speaks the first of `protocols` that the far end knows.
    ///
    /// With one protocol this does not wait for the far end: what is written goes out behind the proposal, and a far end that does not speak it is found
    /// out by the first read. With several it takes a round trip for each that is refused.
    public func openStream(_ protocols: [ProtocolID]) async throws(HostError) -> Stream {
        let limits = limits
        let result: Result<Stream, HostError> = await withCheckedContinuation { continuation in
            onLoop { connection in
                let buffer = StreamBuffer(limits) { continuation.resume(returning: $0) }
                do throws(HostError) {
                    try connection.openStream(protocols, handler: buffer)
                } catch {
                    buffer.openFailed(error)
                }
            }
        }
        return try result.get()
    }

    /// Opens a stream for one protocol, see ``openStream(_:)-([ProtocolID])``.
    public func openStream(_ id: ProtocolID) async throws(HostError) -> Stream { try await openStream([id]) }

    /// Ends the connection in order: nothing new begins (``HostError/connectionClosing``), and it closes when the last stream has ended. The host does not count on it
    /// any more: who connects to this peer from now on gets another connection.
    public func close() { onLoop { $0.cell.value.router?.close(.connectionClosing) } }

    /// Ends the connection at once, and its streams with it.
    public func abort() { onLoop { $0.cell.value.router?.abort() } }

    /// What the connection has carried so far, or had when it ended.
    public func counters() async -> ConnectionCounters {
        if loop.isOnLoop { return cell.value.router?.counters ?? cell.value.counters }
        let cell = cell
        return await loop.perform { cell.value.router?.counters ?? cell.value.counters }
    }

    private func onLoop(_ body: @escaping @Sendable (PeerConnection) -> Void) {
        if loop.isOnLoop { return body(self) }
        loop.submit { body(self) }
    }
}

extension PeerConnection: Hashable, CustomStringConvertible {
    public static func == (left: PeerConnection, right: PeerConnection) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    public var description: String {
        "\(direction) connection \(id) \(direction == .inbound ? "from" : "to") \(remotePeerID)\(remoteAddress.map { " at \($0)" } ?? "")"
    }
}

/// What a connection carried, by what it was for.
public struct ConnectionCounters: Equatable, Sendable {
    /// Negotiation of protocols on streams. The multiplexer counts these bytes among its payload.
    public var streamNegotiation = NegotiationBytes()
    /// Bytes and frames of the multiplexer, by what they were for.
    public var muxer = MuxerCounters()
    /// All bytes of the socket, and those of the upgrade, of records and of the multiplexer among them.
    public var socket = SocketAccounts()
    /// Streams open now, or when the connection ended.
    public var openStreams = 0
    /// Streams of the far end's that were turned away for a limit's sake.
    public var streamsRefused: UInt64 = 0

    public init() {}
}
