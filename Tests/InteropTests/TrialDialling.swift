import Bytes
import Ciphers
import Foundation
import Multiformats
import P2P
import TestSupport

/// The cells in which StreamGauge dials.
extension Trial {
    func weDial() async throws -> String? {
        let node = try Node(stack, secondsMax: secondsMax + 30)
        do {
            let address = try await node.address()
            let note = try await stack.withHost { host in
                let events = host.makeEvents()
                let connection = try await host.connect(to: address)
                try Mismatch.unless(connection.remotePeerID == address.peerID, "another peer answered: \(connection.remotePeerID)")
                try Mismatch.unless(connection.security == stack.security && connection.muxer == stack.muxer, "\(connection.security), \(connection.muxer)")
                let note = try await attempt(connection, host, node)
                connection.close()
                for await case .disconnected(connection, let end) in events {
                    try Mismatch.unless(stack.isUsual(end), "the connection ended otherwise: \(end)")
                    return note
                }
                throw Mismatch("the connection has not ended")
            }
            let status = await node.end()
            try Mismatch.unless(status == 0, "the node ended with \(status.map { "\($0)" } ?? "no status")")
            return note
        } catch {
            throw node.isOutOfTime ? Mismatch("not done within \(Int(secondsMax)) s: \(error)") : error
        }
    }

    private func attempt(_ connection: PeerConnection, _ host: P2P.Host, _ node: Node) async throws -> String? {
        switch cell {
        case .connect:
            let event = try await node.event("connected")
            try Mismatch.unless(event.peer == "\(host.peerID)", "the listener sees another peer: \(event.peer ?? "none")")
        case .identify: try await identify(connection)
        case .ping: try await ping(connection, count: Cell.pingCount)
        // On the connection's loop, as handlers run: mplex cannot hold the sender back, and a reader on a busy machine's other threads falls behind by the 4 MiB after
        // which StreamGauge resets a stream.
        case .echo: try await withTaskExecutorPreference(connection.loop) { try await echo(connection) }
        case .streams: try await streams(connection)
        case .halfClose: return try await halfClose(connection)
        case .reset: return try await reset(connection, node)
        case .perf:
            let outcome = try await Perf.measure(connection, uploadBytes: UInt64(Self.perfBytes), downloadBytes: UInt64(Self.perfBytes))
            try Mismatch.unless(outcome.downloadedBytes == UInt64(Self.perfBytes), "\(outcome)")
        }
        return nil
    }

    private func identify(_ connection: PeerConnection) async throws {
        let found = try await Identify.ask(connection, timeoutNanoseconds: 10_000_000_000)
        try Mismatch.unless(found.agentVersion?.hasPrefix(stack.other.agent) == true, "agent \(found.agentVersion ?? "unnamed")")
        try Mismatch.unless(found.publicKey == connection.remotePublicKey, "another key than the connection's")
        try Mismatch.unless(found.protocols.contains(Echo.protocolID), "\(found.protocols)")
        try Mismatch.unless(found.observedAddress.map { "\($0)".hasPrefix("/ip4/127.0.0.1/tcp/") } == true, "observed nothing, or another host")
        try Mismatch.unless(!found.listenAddresses.isEmpty, "it tells of no addresses")
    }

    private func ping(_ connection: PeerConnection, count: Int) async throws {
        let ping = try await Ping.open(on: connection)
        for _ in 0..<count { _ = try await ping.roundTrip() }
        await ping.close()
    }

    private func echo(_ connection: PeerConnection) async throws {
        let sent = Self.pattern(Cell.echoMebibytes << 20)
        let stream = try await connection.openStream(Echo.protocolID)
        async let sending: Void = {
            try await stream.write(sent)
            if stack.other.halfCloses { try await stream.finish() }
        }()
        let received = try await stream.read(exactly: sent.count)
        try await sending
        let digests = try (SHA256.hash(sent.rawSpan), SHA256.hash(received.rawSpan))
        try Mismatch.unless(digests.0 == digests.1, "other bytes came back than were sent")
        guard stack.other.halfCloses else { return try await stream.finish() }
        try Mismatch.unless(try await stream.read() == nil, "more came back than was sent")
    }

    private func streams(_ connection: PeerConnection) async throws {
        let bytes = Self.pattern(Cell.streamCount * Self.streamBytes)
        let held = try await withThrowingTaskGroup(of: P2P.Stream.self) { group in
            for number in 0..<Cell.streamCount {
                group.addTask {
                    let sent = Array(bytes[number * Self.streamBytes..<(number + 1) * Self.streamBytes])
                    let stream = try await connection.openStream(Echo.protocolID)
                    try await stream.write(sent)
                    try Mismatch.unless(try await stream.read(exactly: sent.count) == sent, "other bytes came back than were sent")
                    return stream
                }
            }
            var held: [P2P.Stream] = []
            for try await stream in group { held.append(stream) }
            return held
        }
        let open = await connection.counters().openStreams
        try Mismatch.unless(open >= Cell.streamCount, "\(open) streams are open")
        for stream in held { try await stream.finish() }
        // The daemon resets a stream whose far end has finished, instead of finishing it too.
        for stream in held where stack.other.halfCloses { try Mismatch.unless(try await stream.read() == nil, "more came back than was sent") }
    }

    private func halfClose(_ connection: PeerConnection) async throws -> String? {
        guard stack.other.halfCloses else {
            // What go-libp2p serves itself does not pass through the daemon's socket: a ping behind which this side ends is answered, and then the other side ends.
            let sent = Self.pattern(32)
            let stream = try await connection.openStream(Ping.protocolID)
            try await stream.write(sent)
            try await stream.finish()
            try Mismatch.unless(try await stream.read(exactly: 32) == sent, "other bytes came back than were sent")
            try Mismatch.unless(try await stream.read() == nil, "more came back than was sent")
            return "with 32 bytes to go-libp2p's own ping: protocols that are served through the daemon's control socket have no half-close"
        }
        let sent = Self.pattern(Self.halfCloseBytes)
        let stream = try await connection.openStream(Self.halfClose)
        try await stream.write(sent)
        try await stream.finish()
        try Mismatch.unless(try await stream.read(exactly: sent.count) == sent, "other bytes came back than were sent")
        try Mismatch.unless(try await stream.read() == nil, "more came back than was sent")
        return nil
    }

    private func reset(_ connection: PeerConnection, _ node: Node) async throws -> String? {
        let ours = try await connection.openStream(Self.reset)
        try await ours.write("W")
        try Mismatch.unless(try await ours.read(exactly: 2) == Array("ok".utf8), "another answer than 'ok'")
        ours.reset()
        let end = try await node.event("reset").end
        try Mismatch.unless(end == (stack.other.halfCloses ? "reset" : "ended"), "the listener saw no reset but: \(end ?? "nothing")")
        let theirs = try await connection.openStream(Self.reset)
        try await theirs.write("R")
        let ending = await Self.ending(of: theirs)
        try Mismatch.unless(ending == "reset", "this end did not see the listener's reset but: \(ending)")
        try await ping(connection, count: 1)
        return stack.other.halfCloses ? nil : Self.noteOnResets
    }

    private static func pattern(_ byteCount: Int) -> [UInt8] {
        let pattern = PatternBytes(seed: 1)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        while bytes.count < byteCount { bytes += pattern.slice(at: bytes.count, count: byteCount - bytes.count).bytes.array() }
        return bytes
    }
}
