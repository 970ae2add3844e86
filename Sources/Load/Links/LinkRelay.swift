import Bytes
import Kernel
public import Links
public import Multiformats
import P2P
public import Reactor

/// An emulated link in real time: accepts connections, dials the server for each, and moves their bytes through the two directions of one link.
///
/// ```
///   client ──kernel──▶ port ──▶ LinkDirection, up   ──▶ port ──kernel──▶ server
///   client ◀─kernel─── port ◀── LinkDirection, down ◀── port ◀─kernel─── server
/// ```
///
/// All connections share the link, as they would share a path. TCP below it loses nothing, so a full buffer makes the relay stop reading, and what
/// cannot be read backs up to the sender. TCP's own handshake is with the relay and takes no round trip of the link; all bytes after it do.
///
/// The kernel's buffers at both sides hold bytes beside the link's own: up to 128 KiB at the entrance while the buffer is full, and at the exit
/// what the receiver has not read, which is little as long as it does.
public final class LinkRelay: Sendable {
    /// Where clients connect.
    public let address: Multiaddr
    private let loop: EventLoop
    private let hub: LoopBound<LinkHub>

    /// The effective receive buffer of the relay's sockets: as small as is without harm, for what waits there waits outside the link.
    static let receiveBufferBytes = 128 << 10

    /// What a relay's loop reads at once: the buffer is looked at between two reads.
    static func readBytes(_ shape: LinkShape) -> Int { min(64 << 10, max(4 << 10, shape.bufferBytes / 2 & ~4095)) }

    /// How the loop of a relay is to be set up: small reads, and blocks for all that the link can hold.
    public static func loopConfiguration(for shape: LinkShape) -> EventLoopConfiguration {
        var configuration = EventLoopConfiguration()
        configuration.name = "relay"
        configuration.io = .epoll
        // A relay lives by its timers.
        configuration.timerSlackNanoseconds = 1
        configuration.blockByteCount = readBytes(shape)
        // A read may leave half of its block unused; both directions, what has arrived and waits for its receiver, and some to spare.
        let inside = 4 * (shape.bufferBytes + shape.bandwidthDelayBytes) + LinkPort.heldBytesMax * 4
        configuration.blocksMax = 2 * inside / configuration.blockByteCount + 1024
        return configuration
    }

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - shape: the link.
    ///   - target: the server, over TCP.
    ///   - address: where to listen, over TCP; port 0 takes any.
    ///   - loop: one of its own, started, made with ``loopConfiguration(for:)``.
    ///   - note: hears one line for every connection that could not be carried on.
    /// - Throws: ``ListenError``, or ``ScenarioError`` for an address of another kind.
    public static func start(
        _ shape: LinkShape, to target: Multiaddr, listeningOn address: Multiaddr, loop: EventLoop, note: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> LinkRelay {
        let (local, remote) = (try SocketAddress(ofRun: address), try SocketAddress(ofRun: target))
        guard local.port != nil, remote.port != nil else {
            throw ScenarioError.contradiction("a link is emulated by a relay of TCP connections, and neither end may be a Unix socket")
        }
        let result = await loop.perform { () -> Result<(LoopBound<LinkHub>, SocketAddress), ChannelError> in
            Result { () throws(ChannelError) in
                let hub = LinkHub(shape, target: remote, loop: loop, note: note)
                let bound = try hub.listen(on: local)
                return (LoopBound(hub, on: loop), bound)
            }
        }
        let (hub, bound) = try result.mapError { ListenError(address: address, reason: $0) }.get()
        return LinkRelay(address: Multiaddr(bound), loop: loop, hub: hub)
    }

    private init(address: Multiaddr, loop: EventLoop, hub: LoopBound<LinkHub>) {
        self.address = address
        self.loop = loop
        self.hub = hub
    }

    /// Stops listening and ends all connections.
    public func stop() async {
        let hub = hub
        await loop.perform { hub.value.close() }
    }
}

/// What a relay has on its loop: the link and the connections over it.
///
/// Invariant: a connection is in `ports` from when both its sides are connected until both have ended.
final class LinkHub {
    let loop: EventLoop
    let up: LinkLane
    let down: LinkLane
    private let target: SocketAddress
    private let note: @Sendable (String) -> Void
    private let options: SocketOptions
    private var listener: Listener?
    private var ports: [UInt32: (near: LinkPort, far: LinkPort)] = [:]
    private var lastTag: UInt32 = 0

    init(_ shape: LinkShape, target: SocketAddress, loop: EventLoop, note: @escaping @Sendable (String) -> Void) {
        self.loop = loop
        self.target = target
        self.note = note
        var options = SocketOptions()
        options.receiveBufferBytes = LinkRelay.receiveBufferBytes
        options.receiveBufferScope = .allAddresses
        self.options = options
        up = LinkLane(shape, stream: 0, loop: loop)
        down = LinkLane(shape, stream: 1, loop: loop)
        up.receiver = { [unowned self] in ports[$0]?.far }
        down.receiver = { [unowned self] in ports[$0]?.near }
        up.feeder = { [unowned self] in ports[$0]?.near }
        down.feeder = { [unowned self] in ports[$0]?.far }
    }

    func listen(on address: SocketAddress) throws(ChannelError) -> SocketAddress {
        let listener = try loop.listen(on: address, options: options) { [unowned self] in dial(for: $0) }
        self.listener = listener
        return listener.address
    }

    private func dial(for near: any Channel) {
        loop.connect(to: target, options: options) { [weak self] result in
            guard let self else { return near.close() }
            switch result {
            case .success(let far): join(near, far)
            case .failure(let error):
                note("\(near.remoteDescription): the server at \(target) cannot be reached: \(error)")
                near.close()
            }
        }
    }

    private func join(_ near: any Channel, _ far: any Channel) {
        lastTag &+= 1
        let tag = lastTag
        let pair = (near: LinkPort(near, tag: tag, into: up, hub: self), far: LinkPort(far, tag: tag, into: down, hub: self))
        pair.near.peer = pair.far
        pair.far.peer = pair.near
        ports[tag] = pair
        up.joined(tag)
        down.joined(tag)
        pair.near.start()
        pair.far.start()
    }

    /// A port has nothing to do any more.
    func ended(_ port: LinkPort) {
        guard let pair = ports[port.tag], pair.near.isOver, pair.far.isOver else { return }
        ports[port.tag] = nil
        up.left(port.tag)
        down.left(port.tag)
        pair.near.close()
        pair.far.close()
    }

    func close() {
        listener?.close()
        listener = nil
        up.close()
        down.close()
        for pair in ports.values {
            pair.near.close()
            pair.far.close()
        }
        ports.removeAll()
    }
}

extension EventLoop {
    /// A started loop for a relay over this link.
    public static func forRelay(over shape: LinkShape, core: Int? = nil) throws -> EventLoop {
        var configuration = LinkRelay.loopConfiguration(for: shape)
        configuration.core = core
        let loop = try EventLoop(configuration)
        try loop.start()
        return loop
    }
}
