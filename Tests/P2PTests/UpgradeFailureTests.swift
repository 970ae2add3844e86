import Bytes
import Multiformats
import Muxers
import Negotiation
import P2P
import Reactor
import SecureChannels
import Testing
import TestSupport

/// Upgrades that fail, and connections that break off: who is told what.
@Suite(.timeLimit(.minutes(5))) struct UpgradeFailureTests {
    @Test(arguments: SecurityKind.allCases)
    func wrongPeer(security: SecurityKind) throws {
        let wire = try Wire(.tcp)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux]))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux]), expecting: Hosts.mallory)
        wire.wait("the failure") { pair.near != nil }
        let mismatch = SecureChannelError.peerIDMismatch(expected: Hosts.mallory.peerID, actual: Hosts.bob.peerID)
        #expect(pair.nearError == .handshake(security, mismatch))
        #expect(pair.nearError?.origin == .remote)
        wire.settle(turns: 50)
        if case .success(let far) = pair.far {
            // The listener of a plaintext handshake has nothing to wait for but the multiplexer.
            wire.act { far.channel.close() }
        } else if pair.far == nil {
            wire.act { pair.farUpgrade?.cancel() }
        }
        #expect(wire.act { wire.loop.channelCount } == 0)
    }

    @Test(arguments: Stack.links, [1, 2])
    func noSecurityInCommon(link: Link, offers: Int) throws {
        let wire = try Wire(link)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [.plaintext], [.yamux]))
        pair.dial(try Hosts.configuration(Hosts.alice, offers == 1 ? [.noise] : [.noise, .tls], [.yamux]))
        pair.wait()
        let offered = offers == 1 ? [SecurityKind.noise] : [.noise, .tls]
        switch pair.nearError {
        case .securityNegotiation(.noProtocolInCommon(offered.map(\.protocolID))): break
        // The refusal of one who had settled at once may be lost with the connection.
        case .channel(.reset, _) where offers == 1, .ended where offers == 1: break
        default: Issue.record("\(String(describing: pair.nearError))")
        }
        switch pair.farError {
        case .securityNegotiation(.refusalIgnored), .ended(during: .securityNegotiation), .channel(.reset, _): break
        default: Issue.record("\(String(describing: pair.farError))")
        }
        // Last words may still be on their way.
        wire.wait("the close") { wire.loop.channelCount == 0 }
    }

    @Test(arguments: SecurityKind.allCases, MuxerNegotiation.allCases)
    func noMuxerInCommon(security: SecurityKind, negotiation: MuxerNegotiation) throws {
        let wire = try Wire(.memory)
        let pair = UpgradePair(wire)
        pair.listen(try Hosts.configuration(Hosts.bob, [security], [.mplex], negotiation))
        pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux], negotiation))
        pair.wait()
        if security == .noise && negotiation == .early {
            #expect(pair.nearError == .handshake(.noise, .noCommonMuxer(remote: [MuxerKind.mplex.protocolID])))
        } else {
            #expect(pair.nearError == .muxerNegotiation(.noProtocolInCommon([MuxerKind.yamux.protocolID])))
        }
        #expect(pair.farError != nil)
        #expect(pair.nearError?.origin == .remote)
    }

    /// What is no negotiation, and a negotiation whose handshake is noise of another kind.
    @Test(arguments: [MuxerRole.initiator, .responder], SecurityKind.allCases)
    func garbage(role: MuxerRole, security: SecurityKind) throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            let wire = try Wire(.memory)
            let pair = UpgradePair(wire)
            var random = SeededGenerator(seed: seed)
            var bytes = random.bytes(random.int(200...3000))
            if seed % 2 == 0 { bytes = Array("\u{13}/multistream/1.0.0\n".utf8) + [UInt8(security.protocolID.utf8.count + 1)] + security.protocolID.utf8 + [10] + bytes }
            let stranger = Endpoint(role == .initiator ? wire.far : wire.near)
            if role == .initiator {
                pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux]))
            } else {
                pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux]))
            }
            wire.act {
                stranger.channel.start(stranger)
                stranger.queue(Slice(copying: bytes))
                stranger.finishWhenEmpty()
            }
            wire.wait("the failure") { pair.near != nil || pair.far != nil }
            let error = try #require(role == .initiator ? pair.nearError : pair.farError)
            #expect(error.origin == .remote && !"\(error)".isEmpty)
            wire.act { stranger.channel.close() }
        }
    }

    @Test(arguments: [MuxerRole.initiator, .responder], [Link.tcp, .simulated])
    func silenceTimesOut(role: MuxerRole, link: Link) throws {
        let wire = try Wire(link)
        let pair = UpgradePair(wire)
        let silent = Endpoint(role == .initiator ? wire.far : wire.near)
        wire.act { silent.channel.start(silent) }
        var configuration = try Hosts.configuration(Hosts.alice, [.noise], [.yamux])
        configuration.timeoutNanoseconds = 50_000_000
        if role == .initiator { pair.dial(configuration) } else { pair.listen(configuration) }
        wire.wait("the time limit") { pair.near != nil || pair.far != nil }
        let error = role == .initiator ? pair.nearError : pair.farError
        #expect(error == .timedOut(during: .securityNegotiation, afterNanoseconds: 50_000_000))
        wire.wait("the close") { silent.hasEnded || silent.failure != nil }
        wire.act { silent.channel.close() }
        #expect(wire.act { wire.loop.channelCount } == 0)
    }

    @Test func cancelling() throws {
        let wire = try Wire(.tcp)
        let pair = UpgradePair(wire)
        pair.dial(try Hosts.configuration(Hosts.alice, [.noise], [.yamux]))
        wire.act {
            pair.nearUpgrade?.cancel()
            pair.nearUpgrade?.cancel()
        }
        #expect(pair.nearError == .cancelled)
        pair.listen(try Hosts.configuration(Hosts.bob, [.noise], [.yamux]))
        wire.wait("the other end") { pair.far != nil }
        #expect(pair.farError != nil)
    }

    /// The network breaks at any point, of the upgrade or after it: both ends hear of it, once, and nothing stays open.
    @Test(arguments: SecurityKind.allCases, [Link.simulated, .simulatedPending])
    func cutAnywhere(security: SecurityKind, link: Link) throws {
        for seed in 1...25 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            let cut = UInt64(random.int(1...(seed % 2 == 0 ? 900 : 100_000)))
            let wire = try Wire(
                link, seed: seed,
                plan: { plan in
                    plan.resetAfterBytes = cut
                    plan.segmentBytes = 1...400
                })
            let pair = UpgradePair(wire)
            let (client, server) = (Peer("client"), Peer("server"))
            server.behaviour = .echo
            pair.listen(try Hosts.configuration(Hosts.bob, [security], [.yamux], seed % 3 == 0 ? .classic : .early))
            pair.dial(try Hosts.configuration(Hosts.alice, [security], [.yamux], seed % 3 == 0 ? .classic : .early))
            func go(_ result: Result<UpgradedConnection, UpgradeError>?, _ peer: Peer, _ role: MuxerRole) {
                guard peer.connection == nil, case .success(let upgraded) = result else { return }
                peer.connection = Connection(channel: upgraded.channel, muxer: upgraded.muxer.make(role), handler: peer, loop: wire.loop)
                peer.connection?.start()
                if role == .initiator { _ = try? peer.open(sending: messages(40, upTo: 20_000, seed: seed), finishing: false) }
            }
            wire.wait("both ends, cut after \(cut) bytes") {
                go(pair.near, client, .initiator)
                go(pair.far, server, .responder)
                return (pair.nearError != nil || client.end != nil) && (pair.farError != nil || server.end != nil)
            }
            #expect(client.violations == [] && server.violations == [])
            wire.wait("the close") { wire.loop.channelCount == 0 }
        }
    }
}
