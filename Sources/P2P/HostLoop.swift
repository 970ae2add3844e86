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

    let loop: EventLoop
    private let host: Host
    private let limits: HostLimits
    private let upgrader: Upgrader
    private var servicesKept: (version: Int, table: ServiceTable)?
    private var proposalsKept: [[ProtocolID]: ProtocolProposals] = [:]
    private var routers: [UInt64: StreamRouter] = [:]
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
        do {
            let table = try ServiceTable(registrations, limits: limits.negotiation)
            servicesKept = (version, table)
            return table
        } catch {
            preconditionFailure("too many protocols are handled: \(error)")
        }
    }

    func proposals(_ ids: [ProtocolID]) -> ProtocolProposals {
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
        transport.dial(address, on: loop, timeoutNanoseconds: limits.dialNanoseconds) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let channel):
                upgrade(channel, .initiator, expectedRemote: expectedRemote) { [self] result in
                    completion(finishDial(result, address))
                }
            }
        }
    }

    private func finishDial(_ result: Result<UpgradedConnection, UpgradeError>, _ address: Multiaddr) -> Result<PeerConnection, HostError> {
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
        // The host may have closed while this was dialled.
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
        if isClosing { router.close() } else { host.identify(peer) }
        return peer
    }

    private static func remoteAddress(of channel: any Channel) -> Multiaddr? {
        guard let address = SocketAddress(channel.remoteDescription) else { return nil }
        return Multiaddr(address)
    }

    // MARK: Ending

    func ended(_ router: StreamRouter, _ reason: ConnectionEnd) {
        let peer = router.peer
        guard routers.removeValue(forKey: peer.id) != nil else { return }
        peer.ended(reason)
        if routers.isEmpty { closeTimer?.cancel() }
        note(.disconnected(peer, reason))
        host.ended(peer)
    }

    /// Ends everything in order, and what has not ended within the time for that at once.
    func close() {
        guard !isClosing else { return }
        isClosing = true
        upgrader.cancelAll()
        for router in routers.values { router.close() }
        guard !routers.isEmpty else { return }
        closeTimer = loop.schedule(at: loop.refreshNow() &+ limits.closeNanoseconds) { [self] in
            for router in routers.values { router.abort() }
        }
    }
}
