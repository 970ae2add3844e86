import Bytes
import Multiformats
import Muxers
import P2P
import Reactor
import SecureChannels
import Testing

/// Two hosts that can upgrade connections; made once for each choice, as keys and certificates take longer than most tests.
struct Hosts {
    static let alice = identity()
    static let bob = identity()
    static let mallory = identity()

    private static func identity() -> LocalIdentity {
        guard let identity = try? LocalIdentity(generating: .ed25519) else { preconditionFailure("no key") }
        return identity
    }

    static func configuration(
        _ identity: LocalIdentity, _ security: [SecurityKind], _ muxers: [MuxerKind], _ negotiation: MuxerNegotiation = .early
    ) throws -> UpgradeConfiguration {
        try UpgradeConfiguration(identity: identity, security: security, muxers: muxers, muxerNegotiation: negotiation)
    }
}

/// Both ends of a wire being upgraded, and what comes of it.
final class UpgradePair {
    let wire: Wire
    private(set) var near: Result<UpgradedConnection, UpgradeError>?
    private(set) var far: Result<UpgradedConnection, UpgradeError>?
    private(set) var nearUpgrade: Upgrade?
    private(set) var farUpgrade: Upgrade?

    init(_ wire: Wire) { self.wire = wire }

    func dial(_ configuration: UpgradeConfiguration, expecting peer: LocalIdentity? = nil) {
        wire.act {
            nearUpgrade = Upgrader(configuration, loop: wire.loop).upgrade(wire.near, .initiator, expectedRemote: peer?.peerID) {
                if self.near != nil { Issue.record("completed twice") }
                self.near = $0
            }
        }
    }

    func listen(_ configuration: UpgradeConfiguration) {
        wire.act {
            farUpgrade = Upgrader(configuration, loop: wire.loop).upgrade(wire.far, .responder) {
                if self.far != nil { Issue.record("completed twice") }
                self.far = $0
            }
        }
    }

    func wait(location: SourceLocation = #_sourceLocation) {
        wire.wait("both upgrades", location: location) { near != nil && far != nil }
    }

    var nearError: UpgradeError? { if case .failure(let error) = near { error } else { nil } }
    var farError: UpgradeError? { if case .failure(let error) = far { error } else { nil } }

    /// Upgrades both ends with the same choices and puts peers on them.
    static func connect(
        _ wire: Wire, _ client: Peer, _ server: Peer, security: SecurityKind, muxer: MuxerKind, negotiation: MuxerNegotiation = .early,
        limits: MuxerLimits = MuxerLimits(), location: SourceLocation = #_sourceLocation
    ) throws -> UpgradePair {
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [muxer], negotiation))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [muxer], negotiation), expecting: Hosts.bob)
        pair.wait(location: location)
        let (near, far) = (try #require(pair.near).get(), try #require(pair.far).get())
        #expect(near.remote.peerID == Hosts.bob.peerID && far.remote.peerID == Hosts.alice.peerID, sourceLocation: location)
        #expect(near.muxer == muxer && far.muxer == muxer && near.security == security && far.security == security, sourceLocation: location)
        wire.act {
            client.connection = Connection(
                channel: near.channel, muxer: muxer.make(.initiator, limits: limits), handler: client, loop: wire.loop)
            server.connection = Connection(
                channel: far.channel, muxer: muxer.make(.responder, limits: limits), handler: server, loop: wire.loop)
            client.connection?.start()
            server.connection?.start()
        }
        return pair
    }

    /// Every byte of both sockets is in one account, and the multiplexer's is what it counted itself.
    func expectBalance(_ client: Peer, _ server: Peer, location: SourceLocation = #_sourceLocation) throws {
        for (result, peer) in [(near, client), (far, server)] {
            let upgraded = try #require(result).get()
            let counters = try #require(peer.connection).muxer.counters
            let accounts = upgraded.channel.accounts(upgraded.report)
            #expect(accounts.isBalanced, "\(peer.name): \(accounts)", sourceLocation: location)
            #expect(accounts.sent.muxerBytes == counters.sent.totalBytes, "\(peer.name)", sourceLocation: location)
            #expect(accounts.received.muxerBytes == counters.received.totalBytes, "\(peer.name)", sourceLocation: location)
            #expect(accounts.sent.unwrittenBytes == 0 && accounts.received.unfinishedBytes == 0, sourceLocation: location)
        }
        #expect(wire.near.bytesSent == wire.far.bytesReceived && wire.far.bytesSent == wire.near.bytesReceived, sourceLocation: location)
    }
}

/// What can be combined.
struct Stack: CustomTestStringConvertible {
    let link: Link
    let security: SecurityKind
    let muxer: MuxerKind
    var negotiation = MuxerNegotiation.early

    var testDescription: String { "\(link)+\(security)+\(muxer), \(negotiation)" }

    static let links: [Link] = [.memory, .tcp, .simulated, .simulatedPending]
    static let all = links.flatMap { link in
        SecurityKind.allCases.flatMap { security in MuxerKind.allCases.map { Stack(link: link, security: security, muxer: $0) } }
    }
    static let bothNegotiations = all.flatMap { stack in
        MuxerNegotiation.allCases.map { Stack(link: stack.link, security: stack.security, muxer: stack.muxer, negotiation: $0) }
    }
}
