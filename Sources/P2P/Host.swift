import Kernel
public import Multiformats
import Reactor
import SecureChannels
import Synchronization

/// A node of libp2p's: listens, connects, and takes streams to the handlers of their protocols. May be used from any thread.
///
/// Call order: `init`; any of ``handle(_:_:)-(ProtocolID,StreamService)``, ``listen(on:)``, ``connect(to:expecting:)``,
/// ``openStream(to:protocols:)-(Multiaddr,_)``; ``close()`` last. A host lives until it is closed, whether or not somebody holds it.
///
/// Invariant: every connection in `connections` is in `byPeer` unless it is being closed, and neither holds one that has ended.
public final class Host: Sendable {
    /// As it was when the host was made.
    public let configuration: HostConfiguration
    let events = HostEvents()
    private let upgradeConfiguration: UpgradeConfiguration
    private let loops: [EventLoop]
    private let state = Locked(State())
    let registrationVersion = Atomic<Int>(0)

    private typealias DialOutcome = Result<PeerConnection, HostError>

    private enum Phase {
        case open, closing, closed
    }

    private struct Dial {
        let address: Multiaddr
        /// Who waits for it.
        var waiting: [CheckedContinuation<JoinedDial?, Never>] = []
    }

    /// What became of a dial that somebody else had begun.
    private struct JoinedDial {
        let address: Multiaddr
        let outcome: DialOutcome
    }

    private struct State {
        var phase = Phase.open
        var registrations: [Registration] = []
        var listeners: [any TransportListener] = []
        var parts: [ObjectIdentifier: LoopBound<HostLoop>] = [:]
        var nextLoop = 0
        var connections: [UInt64: PeerConnection] = [:]
        var byPeer: [PeerID: [PeerConnection]] = [:]
        var nextConnection: UInt64 = 0
        var handshakes = 0
        /// Dials under way to peers whose ID is known.
        var dials: [PeerID: Dial] = [:]
        /// Who waits for the last connection to end, and for the host to be closed.
        var emptied: [CheckedContinuation<Void, Never>] = []
        var closed: [CheckedContinuation<Void, Never>] = []

        /// The peer cannot be reached by this connection any more.
        mutating func forget(_ connection: PeerConnection) {
            byPeer[connection.remotePeerID]?.removeAll { $0 === connection }
            if byPeer[connection.remotePeerID]?.isEmpty == true { byPeer[connection.remotePeerID] = nil }
        }
    }

    /// Starts the host's loops, unless it shares others. Ping and identify are answered from now on, and perf where the configuration says so.
    ///
    /// - Throws: ``HostError/security(_:)`` or ``HostError/channel(_:)`` when the keys of secure channels or the loops cannot be made.
    public init(_ configuration: HostConfiguration) throws(HostError) {
        self.configuration = configuration
        do {
            var upgrade = try UpgradeConfiguration(
                identity: configuration.identity, security: configuration.security, muxers: configuration.muxers,
                muxerNegotiation: configuration.muxerNegotiation)
            upgrade.timeoutNanoseconds = configuration.limits.upgradeNanoseconds
            upgrade.connection = configuration.limits.connection
            upgradeConfiguration = upgrade
        } catch {
            throw .security(error)
        }
        switch configuration.loops {
        case .shared(let loops):
            precondition(!loops.isEmpty, "a host needs a loop")
            self.loops = loops
        case .own(let count, let loopConfiguration):
            precondition(count > 0, "a host needs a loop")
            do throws(Errno) {
                loops = try Self.startLoops(count, loopConfiguration)
            } catch {
                throw .channel(.kernel(error))
            }
        }
        handle(Ping.protocolID, Ping.service)
        handle(Identify.protocolID, .task { [weak self] stream in if let self { try await Identify.answer(stream, self) } })
        handle(Identify.pushProtocolID, .task { [weak self] stream in if let self { try await Identify.takePush(stream, self) } })
        if case .on = configuration.perf { handle(Perf.protocolID, Perf.service) }
    }

    /// All of them, or none: those that had been made when another could not be are ended.
    private static func startLoops(_ count: Int, _ configuration: EventLoopConfiguration) throws(Errno) -> [EventLoop] {
        var started: [EventLoop] = []
        do throws(Errno) {
            for _ in 0..<count {
                let loop = try EventLoop(configuration)
                do throws(Errno) {
                    try loop.start()
                } catch {
                    loop.finish()
                    throw error
                }
                started.append(loop)
            }
        } catch {
            for loop in started { loop.stop() }
            for loop in started { loop.join() }
            throw error
        }
        return started
    }

    /// Whose host this is, as others know it.
    public var peerID: PeerID { configuration.identity.peerID }

    // MARK: Protocols

    /// From now on streams that the far end opens for `id` go to `service`; a service that was there for this ID is replaced.
    public func handle(_ id: ProtocolID, _ service: StreamService) {
        register { registrations in
            registrations.removeAll { if case .exact(id) = $0.match { true } else { false } }
            registrations.append(Registration(match: .exact(id), service: service))
        }
    }

    /// From now on streams that the far end opens for `id` go to a task of their own, see ``StreamService/task(_:)``.
    public func handle(_ id: ProtocolID, _ body: @escaping @Sendable (Stream) async throws -> Void) { handle(id, .task(body)) }

    /// Streams for any protocol that `matches` is true for go to `service`, unless something registered earlier takes them. The far end is told of `listed`.
    public func handle(matching listed: ProtocolID, _ matches: @escaping @Sendable (ProtocolID) -> Bool, _ service: StreamService) {
        register { $0.append(Registration(match: .matching(listed: listed, matches), service: service)) }
    }

    /// Ends what ``handle(_:_:)-(ProtocolID,StreamService)`` or ``handle(matching:_:_:)`` began; streams that are open go on.
    public func removeHandler(_ id: ProtocolID) {
        register { $0.removeAll { $0.match.listed == id } }
    }

    private func register(_ change: (inout [Registration]) -> Void) {
        state.withLock { state in
            change(&state.registrations)
            registrationVersion.wrappingAdd(1, ordering: .releasing)
        }
        announce()
    }

    /// Changes whenever what is handled does; a loop looks at it for every stream that comes in, so that a change holds from when it was made.
    var registrationsNow: (version: Int, registrations: [Registration]) {
        state.withLock { (registrationVersion.load(ordering: .acquiring), $0.registrations) }
    }

    /// What this host speaks, as it tells others.
    public var protocols: [ProtocolID] { state.withLock { $0.registrations.map(\.match.listed) } }

    // MARK: Listening

    /// Listens on `address` and returns what was bound, with its port and, where the form allows, this host's ID at the end.
    ///
    /// - Throws: ``HostError/unsupportedAddress(_:)``, ``HostError/hostClosed``, or what the transport could not do.
    @discardableResult
    public func listen(on address: Multiaddr) async throws(HostError) -> Multiaddr {
        let bare = address.withoutPeerID
        let transport = try transport(for: bare)
        try checkOpen()
        let listener = try await transport.listen(on: bare, loops: loops) { [weak self] channel, loop in
            guard let self, let part = try? part(on: loop) else { return channel.close() }
            part.value.accept(channel)
        }
        let isOpen = state.withLock { state in
            if state.phase == .open { state.listeners.append(listener) }
            return state.phase == .open
        }
        guard isOpen else {
            await listener.close()
            throw .hostClosed
        }
        let bound = named(listener.address)
        events.tell(.listening(bound))
        if !connections.isEmpty { announce() }
        return bound
    }

    /// Where others reach this host, with its ID where the form allows: what is listened on, and for a listener on all interfaces the address of each,
    /// those first that other machines can reach.
    public var addresses: [Multiaddr] { state.withLock { $0.listeners.map(\.address) }.flatMap(\.reachable).map(named) }

    /// A path is the last that an address can hold, so that of a Unix socket stays without the ID.
    private func named(_ address: Multiaddr) -> Multiaddr { (try? Multiaddr(checking: address.components + [.p2p(peerID)])) ?? address }

    private func transport(for address: Multiaddr) throws(HostError) -> any Transport {
        guard let transport = configuration.transports.first(where: { $0.knows(address) }) else { throw .unsupportedAddress(address) }
        return transport
    }

    private func checkOpen() throws(HostError) {
        guard state.withLock({ $0.phase == .open }) else { throw .hostClosed }
    }

    // MARK: Connecting

    /// A connection to the host at `address`: the one that there is when the address names a peer, or else a new one.
    ///
    /// - Parameters:
    ///   - address: where to dial, when there is no connection yet.
    ///   - peer: who must be there, for addresses that cannot say it themselves. Anybody when neither does.
    /// - Throws: ``HostError/wrongPeer(expected:actual:)`` when somebody else is there; what the transport or the upgrade found wrong.
    @discardableResult
    public func connect(to address: Multiaddr, expecting peer: PeerID? = nil) async throws(HostError) -> PeerConnection {
        let bare = address.withoutPeerID
        let transport = try transport(for: bare)
        guard let expected = peer ?? address.peerID else { return try await dial(bare, transport, nil) }
        guard expected != peerID else { throw .cannotDialSelf }
        while true {
            try checkOpen()
            if let live = connection(to: expected) { return live }
            let isMine = state.withLock { state in
                guard state.dials[expected] == nil else { return false }
                state.dials[expected] = Dial(address: bare)
                return true
            }
            if isMine {
                let outcome = await dialing { () throws(HostError) in try await self.dial(bare, transport, expected) }
                endDial(expected, outcome)
                return try outcome.get()
            }
            guard let joined = await joinDial(expected) else { continue }
            // What became of the dial that was under way becomes of this one, unless it was to another address: then this one's has not been tried.
            if case .failure = joined.outcome, joined.address != bare { continue }
            return try joined.outcome.get()
        }
    }

    private func dialing(_ body: () async throws(HostError) -> PeerConnection) async -> DialOutcome {
        do throws(HostError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// Waits for a dial to the same peer that is under way; nil when it was over meanwhile.
    private func joinDial(_ peer: PeerID) async -> JoinedDial? {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                state.dials[peer]?.waiting.append(continuation)
                return state.dials[peer] == nil
            }
            if isOver { continuation.resume(returning: nil) }
        }
    }

    private func endDial(_ peer: PeerID, _ outcome: DialOutcome) {
        guard let dial = state.withLock({ $0.dials.removeValue(forKey: peer) }) else { return }
        for continuation in dial.waiting { continuation.resume(returning: JoinedDial(address: dial.address, outcome: outcome)) }
    }

    private func dial(_ address: Multiaddr, _ transport: any Transport, _ expected: PeerID?) async throws(HostError) -> PeerConnection {
        let loop = transport.loop(for: address) ?? state.withLock { state in
            state.nextLoop += 1
            return loops[state.nextLoop % loops.count]
        }
        let part = try part(on: loop)
        let result: Result<PeerConnection, HostError> = await withCheckedContinuation { continuation in
            loop.submit {
                part.value.dial(address, by: transport, expectedRemote: expected) { continuation.resume(returning: $0) }
            }
        }
        return try result.get()
    }

    /// A live connection to `peer`, the oldest there is that is not being closed.
    public func connection(to peer: PeerID) -> PeerConnection? { state.withLock { $0.byPeer[peer]?.first } }

    /// All of them, those that are being closed included, the oldest first.
    public var connections: [PeerConnection] { state.withLock { $0.connections.values.sorted { $0.id < $1.id } } }

    func isLive(_ connection: PeerConnection) -> Bool { state.withLock { $0.connections[connection.id] != nil } }

    /// Opens a stream to a peer that there is a connection to, see ``PeerConnection/openStream(_:)-([ProtocolID])``.
    ///
    /// - Throws: ``HostError/notConnected(_:)`` when there is none.
    public func openStream(to peer: PeerID, protocols: [ProtocolID]) async throws(HostError) -> Stream {
        guard let connection = connection(to: peer) else { throw .notConnected(peer) }
        return try await connection.openStream(protocols)
    }

    /// Connects if need be, and opens a stream: ``connect(to:expecting:)`` and then ``PeerConnection/openStream(_:)-([ProtocolID])``.
    public func openStream(to address: Multiaddr, protocols: [ProtocolID]) async throws(HostError) -> Stream {
        try await connect(to: address).openStream(protocols)
    }

    // MARK: Events

    /// What happens from now on. Each call makes a sequence of its own, which ends when the host has closed, at once for a host that has; one that is not read keeps
    /// the newest 4,096 events.
    public func makeEvents() -> AsyncStream<HostEvent> { events.subscribe() }

    // MARK: What the loops tell

    /// A host that closes gets no further part: nobody would end it.
    private func part(on loop: EventLoop) throws(HostError) -> LoopBound<HostLoop> {
        try state.withLock { state throws(HostError) in
            guard state.phase == .open else { throw .hostClosed }
            if let part = state.parts[ObjectIdentifier(loop)] { return part }
            let part = LoopBound(HostLoop(self, on: loop, upgradeConfiguration), on: loop)
            state.parts[ObjectIdentifier(loop)] = part
            return part
        }
    }

    func beginHandshake() throws(HostError) {
        let limits = configuration.limits
        try state.withLock { state throws(HostError) in
            guard state.phase == .open else { throw .hostClosed }
            guard state.handshakes < limits.handshakesMax else { throw .tooManyHandshakes(limit: limits.handshakesMax) }
            guard state.connections.count < limits.connectionsMax else { throw .tooManyConnections(limit: limits.connectionsMax) }
            state.handshakes += 1
        }
    }

    func endHandshake() { state.withLock { $0.handshakes -= 1 } }

    func admit(_ make: (UInt64) -> PeerConnection) throws(HostError) -> PeerConnection {
        let limit = configuration.limits.connectionsMax
        return try state.withLock { state throws(HostError) in
            guard state.phase == .open else { throw .hostClosed }
            guard state.connections.count < limit else { throw .tooManyConnections(limit: limit) }
            state.nextConnection += 1
            let peer = make(state.nextConnection)
            state.connections[peer.id] = peer
            state.byPeer[peer.remotePeerID, default: []].append(peer)
            return peer
        }
    }

    /// Whoever connects to the peer from now on gets another connection.
    func closing(_ peer: PeerConnection) { state.withLock { $0.forget(peer) } }

    func ended(_ peer: PeerConnection) {
        let emptied = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.connections[peer.id] = nil
            state.forget(peer)
            guard state.connections.isEmpty else { return [] }
            defer { state.emptied = [] }
            return state.emptied
        }
        for continuation in emptied { continuation.resume() }
    }

    // MARK: Closing

    /// Ends the host in order: stops listening, lets streams end for ``HostLimits/closeNanoseconds`` while none begins, then ends the rest. Returns when nothing of the
    /// host is left. Idempotent.
    public func close() async {
        let (isFirst, listeners, parts) = state.withLock { state in
            let isFirst = state.phase == .open
            if isFirst { state.phase = .closing }
            return (isFirst, state.listeners, Array(state.parts.values))
        }
        guard isFirst else { return await waitUntilClosed() }
        for listener in listeners { await listener.close() }
        for part in parts { await part.loop.perform { part.value.close() } }
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.connections.isEmpty { state.emptied.append(continuation) }
                return state.connections.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
        if case .own = configuration.loops { stopLoops() }
        events.finish()
        let closed = state.withLock { state in
            state.phase = .closed
            state.listeners = []
            // Breaks the cycle between the host and its parts.
            let held = (state.closed, state.parts)
            state.closed = []
            state.parts = [:]
            return held
        }
        for continuation in closed.0 { continuation.resume() }
    }

    private func waitUntilClosed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if state.phase != .closed { state.closed.append(continuation) }
                return state.phase == .closed
            }
            if isClosed { continuation.resume() }
        }
    }

    private func stopLoops() {
        for loop in loops { loop.stop() }
        // A task of one of the loops cannot wait for its own thread, which ends when it gets the chance.
        for loop in loops where !loop.isOnLoop { loop.join() }
    }
}
