import Foundation
import Gauge
import Testing

/// The commands that are libp2p nodes, as processes: `serve` on one side; `ping`, `identify` and `perf` on the other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct NodeTests {
    /// Starts `serve`, and gives the full address of its libp2p node to `body`.
    private func withNode(_ arguments: [String] = [], _ body: (String) async throws -> Void) async throws {
        let server = try Command(["serve"] + arguments)
        #expect(await server.output.has("/p2p/"), "no node: \(server.errors.text)")
        #expect(await server.output.has("libp2p node at "), "\(server.output.text)")
        let line = server.output.text.split(separator: "\n").last { $0.hasPrefix("libp2p node at ") } ?? ""
        do {
            try await body(String(line.dropFirst("libp2p node at ".count)))
        } catch {
            server.send(SIGTERM)
            throw error
        }
        server.send(SIGTERM)
        #expect(await server.outcome().code == 0)
    }

    private func peerID(_ address: String) -> String { String(address.split(separator: "/").last ?? "") }

    @Test(arguments: ["noise", "tls"], ["yamux", "mplex"])
    func pingAndIdentify(security: String, muxer: String) async throws {
        try await withNode { address in
            let ping = try await Command.run("ping", address, "-n", "3", "--security", security, "--muxer", muxer)
            #expect(ping.code == 0 && ping.errors == "", "\(ping)")
            #expect(ping.output.hasPrefix("ping \(peerID(address)) over \(security) and \(muxer) (early negotiation"), "\(ping)")
            #expect(ping.output.contains("  3: ") && ping.output.contains("3 pings: p50 "), "\(ping)")
            let known = try await Command.run("identify", address, "--security", security, "--muxer", muxer)
            #expect(known.code == 0, "\(known)")
            for text in ["peer        \(peerID(address))", "speaks      /ipfs/ping/1.0.0", "speaks      /echo/1.0.0", "far end authenticated"] {
                #expect(known.output.contains(text), "\(text) in \(known)")
            }
            #expect(!known.output.contains("/perf/1.0.0"), "perf is off unless asked for")
        }
    }

    @Test func perfBothWays() async throws {
        try await withNode(["--perf"]) { address in
            let outcome = try await Command.run("perf", address, "--upload", "3MiB", "--download", "5MiB")
            #expect(outcome.code == 0, "\(outcome)")
            #expect(outcome.output.contains("upload  3.00 MiB in ") && outcome.output.contains("download  5.00 MiB in "), "\(outcome)")
        }
    }

    @Test func perfIsOffUnlessAskedFor() async throws {
        try await withNode { address in
            let outcome = try await Command.run("perf", address)
            #expect(outcome.code == 2 && outcome.errors.contains("/perf/1.0.0"), "\(outcome)")
        }
    }

    /// Runs take a node as their target, for what nodes serve.
    @Test func runsAgainstANode() async throws {
        try await withNode(["--perf"]) { address in
            for line in ["request -m 3", "bulk", "bulk --direction down", "churn -m 2", "connect"] {
                let words = ["run", "tcp+noise+yamux", "-n", "20", "-w"] + line.split(separator: " ").map(String.init)
                let outcome = try await Command(words + ["--target", address, "--format", "json"]).outcome()
                #expect(outcome.code == 0, "\(line): \(outcome)")
                let record = try RunRecord.decode(Array(outcome.output.utf8), file: "standard output")
                #expect(record.valid && record.figures.messages == 20, "\(line): \(outcome)")
                #expect(record.setup.verify == (line.hasPrefix("request") || line == "connect" ? "full" : "sizes"), "\(line)")
                #expect(record.figures.ledger.server.value == nil, "\(line)")
            }
            let idle = try await Command.run("run", "tcp+noise+yamux", "-w", "idle", "--target", address)
            #expect(idle.code == 64 && idle.errors.contains("'idle' needs a StreamGauge server"), "\(idle)")
            let bare = try await Command.run("run", "tcp+yamux", "--target", address)
            #expect(bare.code == 64 && bare.errors.contains("negotiates security first"), "\(bare)")
        }
        try await withNode { address in
            let outcome = try await Command.run("run", "tcp+noise+yamux", "-n", "20", "--target", address)
            #expect(outcome.code == 2 && outcome.errors.contains("does not serve /perf/1.0.0"), "\(outcome)")
        }
    }

    /// A node that is another than the address says, and one that is none.
    @Test func othersAreNotTaken() async throws {
        try await withNode { address in
            try await withNode { other in
                let claimed = address.replacingOccurrences(of: peerID(address), with: peerID(other))
                let outcome = try await Command.run("ping", claimed)
                #expect(outcome.code == 2, "\(outcome)")
                #expect(outcome.errors.contains("the far end is \(peerID(address)), not \(peerID(other))"), "\(outcome)")
            }
            let nothing = try await Command.run("ping", address, "--security", "plaintext")
            #expect(nothing.code == 2 && nothing.errors.contains("/plaintext/2.0.0"), "\(nothing)")
        }
    }

    /// A key in a file is made once and then is who the node is.
    @Test func identityIsKept() async throws {
        let scratch = try Scratch()
        let path = scratch.path + "/node.key"
        var first = ""
        try await withNode(["--key", path]) { first = peerID($0) }
        try await withNode(["--key", path]) { address in #expect(peerID(address) == first) }
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let outcome = try await Command.run("serve", "--key", path)
        #expect(outcome.code == 2 && outcome.errors.contains(path), "\(outcome)")
    }

    @Test(arguments: [
        (["ping", "nowhere"], "'nowhere' is not a multiaddr"), (["ping", "/ip4/127.0.0.1/tcp/1", "-n", "0"], "--count is 0"),
        (["identify", "/ip4/127.0.0.1/tcp/1", "--security", "ssl"], "--security: there is no 'ssl'; known are noise, tls, plaintext"),
        (["perf", "/ip4/127.0.0.1/tcp/1", "--muxer", "yamux,yamux"], "--muxer: 'yamux' is named twice"),
        (["perf", "/ip4/127.0.0.1/tcp/1", "--upload", "much"], "--upload"), (["serve", "--libp2p", "nowhere"], "--libp2p: 'nowhere' is not a multiaddr"),
        (["serve", "--muxer", "quic"], "--muxer: there is no 'quic'"), (["serve", "--until-stdin-ends", "--perf"], "only where --libp2p is given"),
    ])
    func mistakes(arguments: [String], said: String) async throws {
        let outcome = try await Command(arguments).outcome()
        #expect(outcome.code == 64 && outcome.errors.contains(said), "\(outcome)")
        #expect(outcome.output == "", "nobody is told that anything is ready")
    }
}
