import Foundation
import Kernel
import Testing
import TestSupport

/// Servers as a person starts them, and servers that are none: each failure names the address and what to do, with exit code 2.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PeerTests {
    /// A server of ours, and its address as it printed it.
    private func serve(_ arguments: String..., descriptors: Int? = nil) async throws -> (server: Command, address: String) {
        let server = try Command(["serve"] + arguments, descriptors: descriptors)
        #expect(await server.output.has("\n"), "no address: \(server.errors.text)")
        // The libp2p node's address may have come as well.
        let line = String(server.output.text.prefix { $0 != "\n" })
        #expect(line.hasPrefix("listening on /"), "\(line)")
        return (server, String(line.dropFirst("listening on ".count)))
    }

    private func end(_ server: Command) async {
        server.send(SIGTERM)
        let outcome = await server.outcome()
        #expect(outcome.code == 0, "\(outcome) \(server.errors.text)")
    }

    // MARK: Serving

    /// One server answers any number of runs with whatever stack each asks for.
    @Test func serveAndTarget() async throws {
        let (server, address) = try await serve()
        for subject in ["tcp", "tcp+yamux", "tcp+mplex"] {
            let outcome = try await Command.run("run", subject, "-m", "3", "-n", "50", "--target", address)
            #expect(outcome.code == 0 && outcome.output.hasPrefix("VALID: \(subject), bulk up"), "\(outcome) \(server.errors.text)")
        }
        await end(server)
    }

    @Test func serveOverUnix() async throws {
        let scratch = try Scratch()
        let (server, address) = try await serve("--listen", "/unix\(scratch.path)/s")
        #expect(address == "/unix\(scratch.path)/s")
        let outcome = try await Command.run("run", "unix+yamux", "-w", "request", "-n", "50", "--target", address)
        #expect(outcome.code == 0, "\(outcome)")
        await end(server)
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/s"), "the socket's file is gone with its server")
    }

    @Test func portInUse() async throws {
        let (server, address) = try await serve()
        let second = try await Command.run("serve", "--listen", address)
        expectFailure(second, "cannot listen on \(address)", "in use", "choose another port, or 0 for a free one")
        #expect(second.output == "")
        await end(server)
    }

    @Test(arguments: [("/unix/nonexistent-directory/s", "no such path"), ("/ip4/203.0.113.1/tcp/0", "not one of this machine's")])
    func addressesThatCannotBeHad(address: String, said: String) async throws {
        expectFailure(try await Command.run("serve", "--listen", address), "cannot listen on \(address)", said)
    }

    /// A server that may not have as many sockets as the run wants says so, and the run does not wait for it.
    @Test func serverWithoutDescriptors() async throws {
        let (server, address) = try await serve(descriptors: 64)
        let outcome = try await Command.run("run", "tcp", "-m", "200", "-n", "400", "--target", address)
        #expect(outcome.code == 2 && outcome.output.hasPrefix("INVALID"), "\(outcome)")
        let said = outcome.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(said.contains("the server could not take a connection: no descriptor left: raise the limit with ulimit -n"), "\(said)")
        let smaller = try await Command.run("run", "tcp", "-m", "10", "-n", "40", "--target", address)
        #expect(smaller.code == 0, "the server goes on: \(smaller)")
        await end(server)
    }

    /// A stranger is turned away with a line on the server's standard error.
    @Test func serverNamesStrangers() async throws {
        let (server, address) = try await serve()
        let port = try #require(address.split(separator: "/").last)
        let line = "printf 'GET / HTTP/1.1\\r\\n\\r\\n' > /dev/tcp/127.0.0.1/\(port)"
        let outcome = try await Command(["-c", line], executable: "/bin/bash").outcome()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(await server.errors.has("does not speak StreamGauge's protocol"), "\(server.errors.text)")
        #expect(server.errors.text.hasPrefix("turned away 127.0.0.1:"))
        await end(server)
    }

    // MARK: Servers that are none

    private func target(_ stranger: Stranger) -> String { "/ip4/127.0.0.1/tcp/\(stranger.address.port ?? 0)" }

    @Test func nobodyListens() async throws {
        let stranger = try Stranger(answer: nil)
        stranger.stop()
        let outcome = try await Command.run("run", "tcp+yamux", "-n", "1", "--target", target(stranger))
        expectFailure(outcome, "streamgauge: no server at \(stranger.address): connection refused: nobody listens at this address")
        #expect(outcome.output == "")
    }

    @Test func silentServer() async throws {
        let stranger = try Stranger(answer: nil)
        defer { stranger.stop() }
        let outcome = try await Command.run("run", "tcp+yamux", "-n", "1", "--timeout", "200ms", "--target", target(stranger))
        expectFailure(outcome, "the server at \(stranger.address) did not answer 'setup' within 0.2 s", "--timeout")
    }

    @Test func anotherProtocol() async throws {
        let stranger = try Stranger(answer: "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        defer { stranger.stop() }
        let outcome = try await Command.run("run", "tcp+yamux", "-n", "1", "--target", target(stranger))
        expectFailure(
            outcome, "the peer at \(stranger.address) does not speak StreamGauge's protocol", "it began with 'SSH-2.0-OpenSSH", "streamgauge serve")
    }

    @Test func serverThatClosesAtOnce() async throws {
        let stranger = try Stranger(answer: "")
        defer { stranger.stop() }
        let outcome = try await Command.run("run", "tcp+yamux", "-n", "1", "--target", target(stranger))
        expectFailure(outcome, "the control connection to \(stranger.address) is over")
    }

    // MARK: Servers that go away

    /// Kills the server in the middle of the window: what was measured is printed and not believed.
    @Test func killedServer() async throws {
        let run = try Command(["run", "tcp+yamux", "-w", "request", "-m", "10", "-t", "600s", "-O", "1ms", "--interval"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        let children = run.children
        #expect(children.count == 1)
        for child in children { kill(child, SIGKILL) }
        let outcome = await run.outcome()
        #expect(outcome.code == 2, "\(outcome)")
        #expect(outcome.output.hasPrefix("INVALID, PARTIAL: tcp+yamux, request"), "\(outcome.output)")
        let said = outcome.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(said.contains("the control connection to 127.0.0.1:") && said.contains("is over"), "\(said)")
        for child in children { #expect(said.contains("the server process \(child) ended with signal 9"), "\(said)") }
    }

    /// The same with a server that somebody else has started.
    @Test func killedTarget() async throws {
        let (server, address) = try await serve()
        let run = try Command(["run", "tcp+mplex", "-m", "10", "-t", "600s", "-O", "1ms", "--interval", "--format", "json", "--target", address])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        server.send(SIGKILL)
        let outcome = await run.outcome()
        #expect(outcome.code == 2 && outcome.output.contains("\"partial\": true"), "\(outcome)")
        #expect(outcome.output.contains("is over"), "\(outcome.output)")
        #expect(await server.outcome().signal == SIGKILL)
    }

    /// The client is killed: its server does not outlive it. It holds the same standard error, so that ends only with the server.
    @Test func serverEndsWithItsClient() async throws {
        let run = try Command(["run", "tcp+yamux", "-t", "600s", "-O", "1ms", "--interval"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        let children = run.children
        #expect(children.count == 1)
        run.send(SIGKILL)
        let outcome = await run.outcome()
        #expect(outcome.signal == SIGKILL && !outcome.wasCut, "\(outcome)")
    }
}
