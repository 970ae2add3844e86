import Bytes
import Foundation
import Kernel
import Multiformats
import SecureChannels
import Testing
import TestSupport

@testable import P2P

/// libp2p's own protocols between two hosts, and keys in files.
@Suite(.timeLimit(.minutes(5))) struct ProtocolTests {
    @Test(arguments: HostStack.all)
    func pingsComeBack(stack: HostStack) async throws {
        try await withHosts(stack) { client, server, address in
            let ping = try await Ping.open(on: client.connect(to: address, server))
            for _ in 0..<10 { #expect(try await ping.roundTrip() > 0) }
            await ping.close()
        }
    }

    /// A far end that answers with other bytes, or not at all, is found out.
    @Test func wrongPongsAreNoticed() async throws {
        try await withHosts { client, server, address in
            server.handle(Ping.protocolID) { stream in
                let ping = try await stream.read(exactly: 32)
                try await stream.write(ping.map { ~$0 })
                while try await stream.read() != nil {}
            }
            let connection = try await client.connect(to: address)
            guard case .wrongPong? = await hostError({ try await Ping.open(on: connection).roundTrip() }) else {
                Issue.record("a wrong pong was taken")
                return
            }
            server.handle(Ping.protocolID) { stream in while try await stream.read() != nil {} }
            let error = await hostError { try await Ping.open(on: connection).roundTrip(timeoutNanoseconds: 50_000_000) }
            guard case .timedOut? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test(arguments: HostStack.all)
    func hostsDescribeThemselves(stack: HostStack) async throws {
        try await withHosts(stack, server: { $0.agentVersion = "a server/1" }) { client, server, address in
            let events = client.makeEvents()
            server.handle(Echo.protocolID, Echo.service)
            try await client.connect(to: address, server)
            let found = try #require(await next(events) { if case .identified(_, let found) = $0 { found } else { nil } })
            #expect(found.agentVersion == "a server/1" && found.protocolVersion == "ipfs/0.1.0")
            #expect(found.publicKey.map { PeerID(of: $0) } == server.peerID)
            #expect(found.listenAddresses == [address.withoutPeerID])
            #expect(found.protocols == server.protocols && found.protocols.contains(Echo.protocolID))
            if stack.link == .tcp { #expect(found.observedAddress?.components.first == .ip4(IPv4Address(0x7f00_0001))) }
            #expect(client.connections.first?.identification == found)
        }
    }

    /// A new protocol is told to those who are connected.
    @Test func changesArePushed() async throws {
        try await withHosts { client, server, address in
            let events = client.makeEvents()
            let serverEvents = server.makeEvents()
            try await client.connect(to: address)
            // The server must know first that the client takes pushes.
            _ = await next(serverEvents) { if case .identified = $0 { true } else { nil } }
            server.handle("/new/1.0.0") { _ in }
            let found = await next(events) { event -> Identification? in
                if case .identified(_, let found) = event, found.protocols.contains("/new/1.0.0") { found } else { nil }
            }
            #expect(found?.agentVersion == "streamgauge")
            server.removeHandler("/new/1.0.0")
            let without = await next(events) { event -> Identification? in
                if case .identified(_, let found) = event, !found.protocols.contains("/new/1.0.0") { found } else { nil }
            }
            #expect(without != nil)
        }
    }

    /// What is not known, and addresses of kinds that are not known, are passed over; broken messages are refused.
    /// A peer that takes a push and never ends its side does not keep the stream.
    @Test func pushesHaveADeadline() async throws {
        final class Silent: StreamProtocolHandler {
            func streamStarted(_ stream: RoutedStream) {}
            func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int { range.count }
            func streamFinished(_ stream: RoutedStream) {}
            func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {}
        }
        try await withHosts(server: { $0.limits.identifyNanoseconds = 200_000_000 }) { client, server, address in
            client.handle(Identify.pushProtocolID, .callbacks { _ in Silent() })
            let events = server.makeEvents()
            try await client.connect(to: address)
            _ = await next(events) { if case .identified = $0 { true } else { nil } }
            server.handle("/new/1.0.0") { _ in }
            let isClosed = await next(events) { event -> Bool? in
                if case .streamClosed(_, Identify.pushProtocolID, .outbound) = event { true } else { nil }
            }
            #expect(isClosed == true)
        }
    }

    @Test func descriptionsAreReadWithCare() throws {
        var whole = Identification()
        whole.publicKey = try LocalIdentity().publicKey
        whole.listenAddresses = [try Multiaddr("/ip4/1.2.3.4/tcp/5"), try Multiaddr("/memory/7")]
        whole.protocols = ["/a/1", "/b/1"]
        whole.observedAddress = try Multiaddr("/ip6/::1/tcp/9")
        whole.protocolVersion = "p"
        whole.agentVersion = "a"
        var again = Identification()
        try again.merge(whole.encoded.rawSpan)
        #expect(again == whole)

        var strange = ProtobufWriter()
        strange.append([0xFF, 0xFF, 0x03, 1], field: 2)
        strange.append("no slash", field: 3)
        strange.append([1, 2, 3], field: 8)
        strange.appendVarint(9, field: 77)
        let (known, unknown) = (whole.encoded, strange.bytes)
        var mixed = Identification()
        try mixed.merge((known + unknown).rawSpan)
        #expect(mixed == whole)

        // A later message changes what it names and leaves the rest.
        var change = Identification()
        change.agentVersion = "b"
        try again.merge(change.encoded.rawSpan)
        #expect(again.agentVersion == "b" && again.protocols == whole.protocols)
        for length in 1..<known.count { _ = try? again.merge(Array(known.prefix(length)).rawSpan) }
    }

    @Test func othersKeysAreRefused() async throws {
        try await withHosts { client, server, address in
            let stranger = try LocalIdentity()
            server.handle(Identify.protocolID) { stream in
                var lie = Identification()
                lie.publicKey = stranger.publicKey
                try await Identify.send(lie, on: stream)
            }
            let connection = try await client.connect(to: address)
            let error = await hostError { try await Identify.ask(connection, timeoutNanoseconds: 10_000_000_000) }
            guard case .identifyOfAnotherPeer(claimed: stranger.peerID, actual: server.peerID)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            server.handle(Identify.protocolID) { stream in try await stream.write([UInt8](repeating: 0, count: 100_000)) }
            let huge = await hostError { try await Identify.ask(connection, timeoutNanoseconds: 10_000_000_000) }
            guard case .identifyTooLarge? = huge else {
                Issue.record("a huge description was read: \(String(describing: huge))")
                return
            }
        }
    }

    @Test(arguments: HostStack.all)
    func perfMovesWhatWasAsked(stack: HostStack) async throws {
        try await withHosts(stack, server: { $0.perf = .on }) { client, server, address in
            let connection = try await client.connect(to: address, server)
            for (up, down) in [(0, 0), (1, 1), (3_000_000, 10), (0, 2_000_000), (500_000, 500_000)] as [(UInt64, UInt64)] {
                let outcome = try await Perf.measure(connection, uploadBytes: up, downloadBytes: down)
                #expect(outcome.uploadedBytes == up && outcome.downloadedBytes == down)
            }
        }
    }

    @Test func perfIsOffUnlessAsked() async throws {
        try await withHosts { client, _, address in
            let connection = try await client.connect(to: address)
            guard case .negotiation? = await hostError({ try await Perf.measure(connection, uploadBytes: 1, downloadBytes: 1) }) else {
                Issue.record("perf without having been asked")
                return
            }
        }
    }

    /// A server that sends without end is left when it has sent one byte too many.
    @Test func perfStopsAtTooMuch() async throws {
        try await withHosts { client, server, address in
            server.handle(Perf.protocolID) { stream in while true { try await stream.write([UInt8](repeating: 0, count: 10_000)) } }
            let connection = try await client.connect(to: address)
            let error = await hostError { try await Perf.measure(connection, uploadBytes: 1, downloadBytes: 100_000) }
            guard case .streamTooLong(expected: 100_000)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    // MARK: Keys

    @Test func keysAreKeptInFiles() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("streamgauge-key-\(UInt64.random(in: 0 ... .max))").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: HostError.self) { try KeyFile.identity(at: path) }
        let made = try KeyFile.identity(at: path, whenMissing: .create)
        #expect(try PrivateFile.read(path, byteCountMax: 4096).mode == 0o600)
        #expect(try KeyFile.identity(at: path).peerID == made.peerID)
        #expect(try KeyFile.identity(at: path, whenMissing: .create).peerID == made.peerID)
        #expect(throws: HostError.self) { try KeyFile.write(made, to: path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path).filter {
            path.hasSuffix($0.split(separator: ".").first.map(String.init) ?? "?")
        }.count == 1)

        // What a process that was ended has left behind is in nobody's way.
        let (other, stale) = ("\(path)-other", "\(path)-other.\(ProcessInfo.processInfo.processIdentifier).new")
        try Data().write(to: URL(fileURLWithPath: stale))
        try KeyFile.write(made, to: other)
        for path in [other, stale] { try FileManager.default.removeItem(atPath: path) }

        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        do throws(HostError) {
            _ = try KeyFile.identity(at: path)
            Issue.record("a key that others may read")
        } catch {
            guard case .keyFileNotPrivate(_, mode: 0o644) = error else {
                Issue.record("\(error)")
                return
            }
        }
        try FileManager.default.removeItem(atPath: path)
        try PrivateFile.create(path, [1, 2, 3])
        do throws(HostError) {
            _ = try KeyFile.identity(at: path)
            Issue.record("three bytes are a key")
        } catch {
            guard case .malformedKey = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}
