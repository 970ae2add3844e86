public import Multiformats
public import Muxers
public import Reactor
public import SecureChannels

/// What came of an upgrade: make a ``Connection`` of it.
///
/// ```swift
/// let connection = Connection(
///     channel: upgraded.channel, muxer: upgraded.muxer.make(role), handler: handler, loop: loop)
/// connection.start()
/// ```
public struct UpgradedConnection {
    /// Carries plaintext; not started yet. Close it if it is not used.
    public let channel: SecuredChannel
    /// Which multiplexer was agreed on; nobody has made it yet.
    public let muxer: MuxerKind
    /// Which secure channel was agreed on.
    public let security: SecurityKind
    /// Who the far end is; plaintext takes its word for it.
    public let remote: RemoteIdentity
    /// What the upgrade cost.
    public let report: UpgradeReport
}

/// Makes secure, multiplexed connections out of channels, on one event loop.
///
/// Call order: `init` once for a loop, then ``upgrade(_:_:expectedRemote:prefix:completion:)`` for each channel. All on the loop.
public final class Upgrader {
    /// Shared by the upgraders of all loops.
    public let configuration: UpgradeConfiguration
    /// Where everything happens.
    public let loop: EventLoop
    let security: ProtocolChoice
    let muxers: ProtocolChoice
    private var underWay: [ObjectIdentifier: Upgrade] = [:]

    public init(_ configuration: UpgradeConfiguration, loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
        security = ProtocolChoice(configuration.security.map(\.protocolID))
        muxers = ProtocolChoice(configuration.muxers.map(\.protocolID))
    }

    /// Upgrades `channel`, which has not been started and belongs to the upgrade from now on.
    ///
    /// - Parameters:
    ///   - channel: not started yet.
    ///   - role: the initiator proposes, and is the one that dialled.
    ///   - expectedRemote: who the far end must be; nil for anybody.
    ///   - prefix: bytes that go ahead of the upgrade's, such as a greeting; they are in ``UpgradeReport/before``.
    ///   - completion: called once, on the loop. After a failure the channel is closed.
    @discardableResult
    public func upgrade(
        _ channel: any Channel, _ role: MuxerRole, expectedRemote: PeerID? = nil, prefix: [UInt8] = [],
        completion: @escaping (Result<UpgradedConnection, UpgradeError>) -> Void
    ) -> Upgrade {
        let port = RawPort(channel, loop: loop)
        let before = Traffic(sent: channel.bytesSent &+ UInt64(prefix.count), received: channel.bytesReceived)
        let upgrade = Upgrade(self, port, role, before: before, expectedRemote: expectedRemote, completion: completion)
        port.start(upgrade)
        port.append(prefix)
        upgrade.begin()
        return upgrade
    }

    /// Upgrades a channel that somebody else has started and read the beginning of.
    ///
    /// - Parameters:
    ///   - channel: started; the upgrade's from now on.
    ///   - role: the initiator proposes, and is the one that dialled.
    ///   - before: what was written to the channel and read from it. What arrived behind that is to be handed on.
    ///   - expectedRemote: who the far end must be; nil for anybody.
    ///   - completion: called once, on the loop. After a failure the channel is closed.
    /// - Returns: the handler that the channel is to be handed over to.
    public func takeOver(
        _ channel: any Channel, _ role: MuxerRole, before: Traffic, expectedRemote: PeerID? = nil,
        completion: @escaping (Result<UpgradedConnection, UpgradeError>) -> Void
    ) -> any ChannelHandler {
        let port = RawPort(channel, loop: loop)
        let upgrade = Upgrade(self, port, role, before: before, expectedRemote: expectedRemote, completion: completion)
        port.hand(to: upgrade)
        upgrade.begin()
        return port
    }

    /// Gives up every upgrade that is under way; their completions hear ``UpgradeError/cancelled``.
    public func cancelAll() {
        for upgrade in underWay.values { upgrade.cancel() }
    }

    func began(_ upgrade: Upgrade) { underWay[ObjectIdentifier(upgrade)] = upgrade }
    func ended(_ upgrade: Upgrade) { underWay[ObjectIdentifier(upgrade)] = nil }
}
