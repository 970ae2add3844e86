import Foundation
import Multiformats
import P2P
import SecureChannels

/// A cell that did not come out as it should, in words.
struct Mismatch: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func unless(_ isRight: Bool, _ description: @autoclosure () -> String) throws {
        if !isRight { throw Mismatch(description()) }
    }
}

/// One cell of the matrix, tried with a node and a host of its own.
struct Trial: Sendable {
    let stack: Stack
    let dialer: Dialer
    let cell: Cell

    static let halfClose: ProtocolID = "/half-close/1.0.0"
    static let reset: ProtocolID = "/reset/1.0.0"
    static let streamBytes = 1024
    static let halfCloseBytes = 64 << 10
    static let perfBytes = 16 << 20

    /// Many times what a cell takes with a node that is written in Python: for one that hangs.
    var secondsMax: Double {
        switch cell {
        case .connect, .identify, .halfClose, .reset: 60
        case .ping, .streams, .perf: 180
        case .echo: 300
        }
    }

    /// Why the other node does not offer this; nil when it does.
    static func whyNotOffered(_ other: Implementation, _ security: String, _ muxer: String, _ dialer: Dialer, _ cell: Cell) -> String? {
        guard other.securities.contains(where: { $0.rawValue == security }) else { return "\(other.testDescription) has no \(security)" }
        guard other.muxers.contains(where: { $0.rawValue == muxer }) else { return "\(other.testDescription) has no \(muxer)" }
        guard !other.halfCloses else { return nil }
        switch cell {
        case .perf: return "\(other.testDescription) does not serve perf, and the daemon's control socket has no half-close to serve or ask for it"
        case .halfClose where dialer == .them: return "the control socket of \(other.testDescription) has no half-close"
        default: return nil
        }
    }

    func outcome() async -> Outcome {
        do {
            let note = try await dialer == .them ? theyDial() : weDial()
            guard cell == .streams, streamCount < Cell.streamCount else { return .works(note: note) }
            return .works(
                size: "\(streamCount)",
                note: "\(stack.other.testDescription) opens no more than \(streamCount) streams of its own at a time over \(stack.muxer.rawValue), whoever is at the other end")
        } catch {
            return .fails("\(error)")
        }
    }

    /// The slots of py-libp2p's yamux, each of which a stream keeps until it is closed.
    var streamCount: Int { stack.other == .pyLibp2p && dialer == .them && stack.muxer == .yamux ? 256 : Cell.streamCount }

    // MARK: They dial

    private func theyDial() async throws -> String? {
        try await stack.withHost { host in
            let endings = serveTrials(on: host)
            let events = host.makeEvents()
            let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
            let options = ["--dial", "\(address)", "--only", cell.rawValue, "--timeout", "\(Int(secondsMax))"] + optionsOfDialer
            let node = try Node(stack, options, secondsMax: secondsMax + 30)
            let seen: Seen
            do {
                seen = try await node.report().0
            } catch {
                throw Mismatch(node.isOutOfTime ? "not done within \(Int(secondsMax)) s" : "the node ended without a report")
            }
            if let failed = seen.failed { throw Mismatch("at \(failed.stage), the dialer: \(failed.error)") }
            try Mismatch.unless(seen.peer == "\(host.peerID)", "the dialer sees another peer: \(seen.peer ?? "none")")
            try Mismatch.unless(
                seen.security == "\(stack.security.protocolID)" && seen.muxer == "\(stack.muxer.protocolID)",
                "the dialer sees \(seen.security ?? "no security"), \(seen.muxer ?? "no multiplexer")")
            try expect(seen, host, address)
            if cell == .reset {
                let ending = await endings.first { _ in true }
                try Mismatch.unless(ending == "reset", "this end did not see the dialer's reset but: \(ending ?? "nothing")")
            }
            try await expectEvents(events, seen.local)
            return cell == .reset && !stack.other.halfCloses ? Self.noteOnResets : nil
        }
    }

    private var optionsOfDialer: [String] {
        switch cell {
        case .connect, .identify: []
        case .ping: ["--ping", "\(Cell.pingCount)"]
        case .echo: ["--echo", "\(Cell.echoMebibytes << 20)"] + (stack.other.halfCloses ? ["--finish", "first"] : [])
        case .streams: ["--streams", "\(streamCount)", "--echo", "\(Self.streamBytes)"]
        case .halfClose: ["--echo", "\(Self.halfCloseBytes)"]
        case .reset: ["--ping", "1"]
        case .perf: ["--perf", "\(Self.perfBytes):\(Self.perfBytes)"]
        }
    }

    private func expect(_ seen: Seen, _ host: P2P.Host, _ address: Multiaddr) throws {
        switch cell {
        case .connect: break
        case .identify:
            guard let found = seen.identify else { throw Mismatch("the dialer has no answer to identify") }
            try Mismatch.unless(found.agentVersion == "streamgauge" && found.publicKeyPeer == "\(host.peerID)", "\(found)")
            try Mismatch.unless(found.listenAddrs == ["\(address.withoutPeerID)"], "\(found.listenAddrs)")
            try Mismatch.unless(Set(found.protocols) == Set(host.protocols.map { "\($0)" }), "\(found.protocols)")
            try Mismatch.unless(found.observedAddr?.hasPrefix("/ip4/127.0.0.1/tcp/") == true, "observed \(found.observedAddr ?? "nothing")")
        case .ping: try Mismatch.unless(seen.pings?.count == Cell.pingCount, "\(seen.pings?.count ?? 0) answers")
        case .echo: try expect(seen.echo?.first, byteCount: Cell.echoMebibytes << 20)
        case .streams:
            let held = seen.streams
            let counts = [held?.open, held?.same, held?.finished]
            try Mismatch.unless(counts == Array(repeating: streamCount, count: 3), "\(counts)")
        case .halfClose: try expect(seen.halfClose, byteCount: Self.halfCloseBytes)
        // What the daemon tells its client of a reset is an end.
        case .reset: try Mismatch.unless(seen.reset == (stack.other.halfCloses ? "reset" : "ended"), "the dialer saw no reset but: \(seen.reset ?? "nothing")")
        case .perf: try Mismatch.unless(seen.perf?.sent == Self.perfBytes && seen.perf?.received == Self.perfBytes, "\(String(describing: seen.perf))")
        }
    }

    private func expect(_ echo: Seen.Echo?, byteCount: Int) throws {
        guard let echo else { throw Mismatch("the dialer has no answer") }
        try Mismatch.unless(echo.received == byteCount && echo.end == "finished", "\(echo.received) bytes came back: \(echo.end)")
        try Mismatch.unless(echo.same && echo.sentSHA256 == echo.receivedSHA256, "other bytes came back than were sent")
    }

    /// The dialer is who it says, described itself when it was asked to, and its connection ended as it should.
    private func expectEvents(_ events: AsyncStream<HostEvent>, _ dialer: String?) async throws {
        var found: Identification?
        for await event in events {
            switch event {
            case .connected(let connection): try Mismatch.unless("\(connection.remotePeerID)" == dialer, "another peer connected: \(connection)")
            case .identified(_, let identification): found = identification
            case .upgradeFailed(let error): throw Mismatch("\(error)")
            case .disconnected(_, let end):
                try Mismatch.unless(stack.isUsual(end), "the connection ended otherwise: \(end)")
                guard cell == .identify else { return }
                guard let found else { throw Mismatch("the dialer has not answered identify") }
                return try expect(found, of: dialer)
            default: break
            }
        }
        throw Mismatch("the connection has not ended")
    }

    private func expect(_ found: Identification, of peer: String?) throws {
        try Mismatch.unless(found.agentVersion?.hasPrefix(stack.other.agent) == true, "agent \(found.agentVersion ?? "unnamed")")
        try Mismatch.unless(found.publicKey.map { "\(PeerID(of: $0))" } == peer, "the key of another peer")
        try Mismatch.unless(found.protocols.contains(Ping.protocolID), "\(found.protocols)")
    }

    // MARK: Protocols of the trials

    /// Serves what the cells need; how streams that the dialer was to reset ended.
    private func serveTrials(on host: P2P.Host) -> AsyncStream<String> {
        let (endings, continuation) = AsyncStream.makeStream(of: String.self)
        host.handle(
            Self.halfClose,
            .task { stream in
                var bytes: [UInt8] = []
                while let next = try await stream.read() { bytes += next }
                try await stream.write(bytes)
            })
        host.handle(
            Self.reset,
            .task { stream in
                guard try await stream.read(exactly: 1) != Array("R".utf8) else { return stream.reset() }
                try await stream.write("ok")
                continuation.yield(await Self.ending(of: stream))
            })
        return endings
    }

    /// How the far end ends a stream on which it says nothing more.
    static func ending(of stream: P2P.Stream) async -> String {
        do throws(HostError) {
            return try await stream.read() == nil ? "finished" : "more bytes"
        } catch .streamReset {
            return "reset"
        } catch {
            return "\(error)"
        }
    }

    static let noteOnResets = "the daemon tells its client of a reset as of an end, so of resets by StreamGauge it is known only that the stream ended"
}
