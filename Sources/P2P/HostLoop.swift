import Bytes
import Kernel
import Multiformats
import Muxers
import Negotiation
import Reactor
import Synchronization
import SecureChannels

/// One loop's part of a host: upgrades what is accepted and dialled there, and keeps what its connections share.
///
/// ```
///   accepted ─┐
///             ├─▶ upgrade ──▶ admitted by the host ──▶ connection, router ──▶ ended
///   dialled ──┘
/// ```
///
/// Invariant: `routers` holds the connections of this loop that have not ended; `servicesKept` is what the host handled when it was last needed. All on the loop.
final class HostLoop {
    /// Sets of proposals that are kept: a program opens streams for a handful of protocols.
    private static let proposalsKeptMax = 64

    private struct Dial {
        let completion: (Result<PeerConnection, HostError>) -> Void
        var giveUp: (() -> Void)?
    }

    let loop: EventLoop
    private let host: Host
    private let limits: HostLimits
    private let upgrader: Upgrader
    private var servicesKept: (version: Int, table: ServiceTable)?
    private var proposalsKept: [[ProtocolID]: ProtocolProposals] = [:]
    private var routers: [UInt64: StreamRouter] = [:]
    /// Dials under way: who waits for them, and how the transport gives them up.
    private var dials: [UInt64: Dial] = [:]
    private var nextDial: UInt64 = 0
    private var isClosing = false
    private var closeTimer: LoopTimer?

    init(_ host: Host, on loop: EventLoop, _ upgrade: UpgradeConfiguration) {
        self.host = host
        self.loop = loop
        limits = host.configuration.limits
        upgrader = Upgrader(upgrade, loop: loop)
    }

    /// What the host handles now.
    var services: ServiceTable {
        if let kept = servicesKept, kept.version == host.registrationVersion.load(ordering: .acquiring) { return kept.table }
        let (version, registrations) = host.registrationsNow
        let table = ServiceTable(registrations, limits: limits.negotiation)
        servicesKept = (version, table)
        return table
    }

    func proposals(_ ids: [ProtocolID]) throws(HostError) -> ProtocolProposals {
        guard ids.count <= limits.negotiation.proposalsMax else { throw .tooManyProposals(ids.count, limit: limits.negotiation.proposalsMax) }
        if let kept = proposalsKept[ids] { return kept }
        if proposalsKept.count >= Self.proposalsKeptMax { proposalsKept.removeAll() }
        let made = ProtocolProposals(ids, limits: limits.negotiation)
        proposalsKept[ids] = made
        return made
    }

    func note(_ event: @autoclosure () -> HostEvent) { host.events.tell(event()) }

    // MARK: Beginning

    func accept(_ channel: any Channel) {
        do throws(HostError) {
            try host.beginHandshake()
        } catch {
            note(.refused(error))
            return channel.close()
        }
        let address = Self.remoteAddress(of: channel)
        upgrade(channel, .responder, expectedRemote: nil) { [self] result in
            host.endHandshake()
            switch result {
            case .failure(let error):
                note(.upgradeFailed(error))
            case .success(let upgraded):
                do throws(HostError) {
                    _ = try admit(upgraded, .inbound, address)
                } catch {
                    note(.refused(error))
                }
            }
        }
    }

    func dial(
        _ address: Multiaddr, by transport: any Transport, expectedRemote: PeerID?, _ completion: @escaping (Result<PeerConnection, HostError>) -> Void
    ) {
        guard !isClosing else { return completion(.failure(.hostClosed)) }
        nextDial += 1
        let id = nextDial
        dials[id] = Dial(completion: completion)
        let giveUp = transport.dial(address, on: loop, timeoutNanoseconds: limits.dialNanoseconds) { [self] result in
            dials[id]?.giveUp = nil
            switch result {
            case .failure(let error): finishDial(id, .failure(error))
            case .success(let channel):
                upgrade(channel, .initiator, expectedRemote: expectedRemote) { [self] in finishDial(id, outcome(of: $0, address)) }
            }
        }
        dials[id]?.giveUp = giveUp
    }

    private func finishDial(_ id: UInt64, _ result: Result<PeerConnection, HostError>) { dials.removeValue(forKey: id)?.completion(result) }

    private func outcome(of result: Result<UpgradedConnection, UpgradeError>, _ address: Multiaddr) -> Result<PeerConnection, HostError> {
        switch result {
        case .failure(.handshake(_, .peerIDMismatch(expected: let expected, actual: let actual))): .failure(.wrongPeer(expected: expected, actual: actual))
        case .failure(.cancelled) where isClosing: .failure(.hostClosed)
        case .failure(let error): .failure(.upgrade(error))
        case .success(let upgraded): Result { () throws(HostError) in try admit(upgraded, .outbound, address) }
        }
    }

    private func upgrade(
        _ channel: any Channel, _ role: MuxerRole, expectedRemote: PeerID?, _ completion: @escaping (Result<UpgradedConnection, UpgradeError>) -> Void
    ) {
        let upgrade = upgrader.upgrade(channel, role, expectedRemote: expectedRemote, completion: completion)
        // The host may have closed while this was accepted.
        if isClosing { upgrade.cancel() }
    }

    private func admit(_ upgraded: UpgradedConnection, _ direction: ConnectionDirection, _ address: Multiaddr?) throws(HostError) -> PeerConnection {
        let peer: PeerConnection
        do throws(HostError) {
            peer = try host.admit { PeerConnection(id: $0, upgraded, direction: direction, remoteAddress: address, limits: limits, loop: loop) }
        } catch {
            upgraded.channel.close()
            throw error
        }
        let router = StreamRouter(peer: peer, hostLoop: self, limits: limits)
        let role = direction == .outbound ? MuxerRole.initiator : .responder
        let connection = Connection(
            channel: upgraded.channel, muxer: upgraded.muxer.make(role, limits: limits.muxer), handler: router, loop: loop, limits: limits.connection)
        router.begin(connection)
        peer.begin(router)
        routers[peer.id] = router
        note(.connected(peer))
        connection.start()
        if isClosing { router.close(.hostClosed) } else { host.identify(peer) }
        return peer
    }

    private static func remoteAddress(of channel: any Channel) -> Multiaddr? {
        switch channel.remoteAddress {
        // The dialling end of a Unix socket has no name.
        case nil, .unix("")?: nil
        case let address?: Multiaddr(address)
        }
    }

    // MARK: Ending

    /// Nothing begins on the router's connection any more.
    func closing(_ router: StreamRouter) { host.closing(router.peer) }

    func ended(_ router: StreamRouter, _ reason: ConnectionEnd) {
        let peer = router.peer
        guard routers.removeValue(forKey: peer.id) != nil else { return }
        peer.ended(reason)
        if routers.isEmpty { dropCloseTimer() }
        note(.disconnected(peer, reason))
        host.ended(peer)
    }

    /// Ends everything in order, and what has not ended within the time for that at once.
    func close() {
        guard !isClosing else { return }
        isClosing = true
        upgrader.cancelAll()
        for (id, dial) in dials {
            dial.giveUp?()
            finishDial(id, .failure(.hostClosed))
        }
        for router in routers.values { router.close(.hostClosed) }
        guard !routers.isEmpty else { return }
        closeTimer = loop.schedule(at: loop.refreshNow() &+ limits.closeNanoseconds) { [self] in
            dropCloseTimer()
            for router in routers.values { router.abort() }
        }
    }

    /// The timer holds this part of the host, and this part holds the timer.
    private func dropCloseTimer() {
        closeTimer?.cancel()
        closeTimer = nil
    }
}
