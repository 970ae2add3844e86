import Bytes
import Foundation
import Gauge
import Glibc
import Kernel
@testable import Load
import Multiformats
import P2P
import Reactor
import Testing
import TestSupport

/// Servers that go away, say nothing or speak another language; clients that do; addresses that cannot be had. Each ends in time with a sentence that
/// says what happened.
@Suite(.serialized, .timeLimit(.minutes(5))) struct FailureTests {
    // MARK: Servers

    /// The data connections are cut and the control connection lives: a run by count can never reach it, a run by time would measure nothing
    /// any more, and both end.
    @Test(arguments: [(Workload.bulk, "up", true), (.bulk, "down", true), (.request, "up", true), (.request, "up", false)])
    func cutDataConnections(workload: Workload, direction: String, endsByCount: Bool) async throws {
        let lab = try await Lab.start()
        let attack = Attack()
        var data: RelayLink?
        attack.onLink = { data = $0 }
        attack.onBytes = { _, _, position, bytes in
            guard position > 200_000, attack.count == 0, let data else { return bytes }
            attack.struck()
            data.close()
            return bytes
        }
        let relay = try await Relay.start(to: lab.responder.address, attack)
        var scenario = try Scenario.counted(
            "tcp+yamux", workload, count: 1_000_000, streams: 4, messageSizeBytes: 10_000, direction: direction)
        if !endsByCount { scenario = scenario.lasting(600) }
        let figures = try await lab.run(scenario, through: relay.address)
        await relay.stop()
        await lab.stop()
        #expect(attack.count == 1)
        expectInvalid(figures, "client: connection 0")
        #expect(figures.durationSeconds < 300)
    }

    /// A server that closes as it should, but between two messages and in traffic: the answers that never came are missed.
    @Test(arguments: [true, false])
    func finishedInTraffic(endsByCount: Bool) async throws {
        let lab = try await Lab.start()
        let attack = Attack()
        var data: RelayLink?
        attack.onLink = { data = $0 }
        attack.onBytes = { _, flow, position, bytes in
            guard flow == .up, position >= 500 else { return bytes }
            attack.struck()
            data?.client.finishWhenEmpty()
            return []
        }
        let relay = try await Relay.start(to: lab.responder.address, attack)
        var scenario = try Scenario.counted("tcp", .request, count: 1_000_000, streams: 1, messageSizeBytes: 100)
        if !endsByCount { scenario = scenario.lasting(600) }
        let figures = try await lab.run(scenario, through: relay.address)
        await relay.stop()
        await lab.stop()
        #expect(attack.count == 1)
        expectInvalid(figures, "client: connection 0, stream 0: the far end finished it before this end had done with it")
        #expect(figures.durationSeconds < 300)
    }

    @Test func silentServerIsNamed() async throws {
        let stranger = try Stranger(answer: nil)
        defer { stranger.stop() }
        let text = "\(try await failure(against: stranger.address, .short))"
        #expect(text.contains("the server at \(stranger.address) did not answer 'setup' within 0.2 s"), "\(text)")
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "SSH-2.0-Stranger\r\n"])
    func foreignServerIsNamed(answer: String) async throws {
        let stranger = try Stranger(answer: answer)
        defer { stranger.stop() }
        let text = "\(try await failure(against: stranger.address))"
        #expect(text.contains("the peer at \(stranger.address) does not speak StreamGauge's protocol") && text.contains(answer.prefix(8)), "\(text)")
    }

    @Test func closingServerIsNamed() async throws {
        let stranger = try Stranger(answer: "")
        defer { stranger.stop() }
        let text = "\(try await failure(against: stranger.address))"
        #expect(text == "the control connection to \(stranger.address) is over: the server closed it, or its process ended")
    }

    @Test func nobodyListens() async throws {
        let stranger = try Stranger(answer: nil)
        let address = stranger.address
        stranger.stop()
        let text = "\(try await failure(against: address))"
        #expect(text.contains("no server at \(address):") && text.contains("refused"), "\(text)")
    }

    private func failure(against address: SocketAddress, _ limits: RunLimits = .forTests) async throws -> ControlError {
        let loops = try Lab.makeLoops(1, "client")
        defer { Lab.stop(loops) }
        let generator = try Generator(
            scenario: try .counted("tcp+yamux", .bulk, count: 1), loops: loops, server: .address(Multiaddr(address)), limits: limits)
        do {
            _ = try await generator.run()
        } catch let error as ControlError {
            return error
        }
        throw RunError.interrupted
    }

    @Test func serverThatIsNoProgram() {
        #expect(throws: RunError.self) {
            try ServerProcess(program: "/nonexistent/streamgauge", listen: try Multiaddr("/ip4/127.0.0.1/tcp/0"), threads: 1, io: "auto", core: nil)
        }
        #expect(throws: RunError.serverDidNotStart("it ended with status 1 before it listened")) {
            try ServerProcess(program: "/bin/false", listen: try Multiaddr("/ip4/127.0.0.1/tcp/0"), threads: 1, io: "auto", core: nil)
        }
    }

    /// It says something else, or nothing: it is ended, although it would never end by itself.
    @Test(arguments: [("echo hello", "it said 'hello'"), ("true", "it did not listen within 0.2 s, and was killed")])
    func serverThatIsAnother(line: String, said: String) throws {
        let path = uniqueSocketPath() + ".sh"
        try Data("#!/bin/sh\ntrap '' TERM\n\(line)\nexec tail -f /dev/null\n".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        #expect(throws: RunError.serverDidNotStart(said)) {
            try ServerProcess(
                program: path, listen: try Multiaddr("/ip4/127.0.0.1/tcp/0"), threads: 1, io: "auto", core: nil, startSeconds: line == "true" ? 0.2 : 30)
        }
    }

    /// What a server refuses comes back as its own words.
    @Test func refusedScenario() async throws {
        let lab = try await Lab.start()
        let control = try await ControlClient.connect(to: try SocketAddress(lab.responder.address), on: lab.clientLoops[0], answerSeconds: 30)
        var scenario = try Scenario.counted("tcp+yamux", .bulk, count: 1)
        scenario.connections = 0
        await #expect(throws: ControlError.refused("connections is 0; allowed is 1 to 100000")) {
            try await control.call(.setup(scenario, token: 1))
        }
        await #expect(throws: ControlError.refused("no run has been set up")) { try await control.call(.start) }
        await control.close()
        await #expect(throws: ControlError.self) { try await control.call(.progress) }
        await lab.stop()
    }

    // MARK: Clients

    /// A client that speaks something else is turned away, with a line that says so, and the responder goes on serving.
    @Test func strangersAreTurnedAway() async throws {
        let lab = try await Lab.start()
        let unknown = Greeting(role: .data, connection: 3, token: 0xdead_beef).encoded
        var future = unknown
        future[9] = 77
        let cases: [(bytes: [UInt8], finishes: Bool, said: String)] = [
            (Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), false, "does not speak StreamGauge's protocol"),
            (unknown, false, "belongs to no run"),
            (Array(unknown.prefix(20)), true, "ended after 20 of the greeting's 32 bytes"),
            ([], true, "ended after 0 of"),
            (future, false, "version 77"),
        ]
        for (number, sample) in cases.enumerated() {
            try visit(lab.responder.address, sample.bytes, finishes: sample.finishes)
            #expect(lab.notes.all.count == number + 1)
            #expect(lab.notes.all.last?.contains(sample.said) == true, "\(lab.notes.all.last ?? "nothing was said")")
            #expect(lab.notes.all.last?.hasPrefix("127.0.0.1:") == true, "the peer is named")
        }
        expectHonest(try await lab.run(try .counted("tcp+yamux", .bulk, count: 10, messageSizeBytes: 100)))
        await lab.stop()
    }

    /// A client that says too little is not waited for.
    @Test(arguments: [0, 20])
    func silentClientsAreTurnedAway(byteCount: Int) async throws {
        let lab = try await Lab.start(limits: .short)
        let greeting = Greeting(role: .data, connection: 3, token: 0xdead_beef).encoded
        try visit(lab.responder.address, Array(greeting.prefix(byteCount)), finishes: false)
        #expect(lab.notes.all.count == 1 && lab.notes.all[0].contains("did not greet within 0.2 s"), "\(lab.notes.all)")
        await lab.stop()
    }

    /// The time to greet begins with the connection, however long the server has had nothing, or something else, to do.
    @Test func timeToGreetBeginsWithTheConnection() async throws {
        var limits = RunLimits.forTests
        limits.greetingSeconds = 0.5
        let lab = try await Lab.start(limits: limits)
        lab.serverLoops[0].submit {
            let until = Clock.now + 700_000_000
            while Clock.now < until {}
        }
        try visit(lab.responder.address, Array("GET / HTTP/1.1\r\n".utf8), finishes: true)
        #expect(lab.notes.all.count == 1 && lab.notes.all[0].contains("does not speak"), "\(lab.notes.all)")
        await lab.stop()
    }

    /// Noise where control messages should be.
    @Test(arguments: SeededGenerator.seeds(5))
    func noiseOnTheControlConnection(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let lab = try await Lab.start()
        for _ in 0..<20 {
            var bytes = Greeting(role: .control, token: 0).encoded
            if random.oneIn(2), let frame = try? ControlCodec.frame(ControlRequest.progress) { bytes += frame }
            try visit(lab.responder.address, bytes + random.bytes(random.int(1...500)), finishes: true)
        }
        expectHonest(try await lab.run(try .counted("tcp+yamux", .bulk, count: 10, messageSizeBytes: 100)), "seed \(seed)")
        await lab.stop()
    }

    /// Connects, sends `bytes`, and waits until the other side has closed.
    private func visit(_ address: Multiaddr, _ bytes: [UInt8], finishes: Bool) throws {
        let loop = try EventLoop()
        defer { loop.finish() }
        var end: Endpoint?
        var failure: ChannelError?
        try loop.become {
            loop.connect(to: try SocketAddress(address)) { result in
                switch result {
                case .success(let channel):
                    let visitor = Endpoint(channel)
                    end = visitor
                    channel.start(visitor)
                    visitor.queue(Slice(copying: bytes))
                    if finishes { visitor.finishWhenEmpty() }
                case .failure(let error): failure = error
                }
            }
        }
        let isOver = loop.run(until: { end?.hasEnded == true || end?.failure != nil || failure != nil }, limitNanoseconds: 60_000_000_000)
        #expect(isOver && failure == nil, "the visitor was not sent away")
    }

    // MARK: Addresses

    private func refusal(_ address: String, loops: Int = 1) async throws -> String {
        let loops = try Lab.makeLoops(loops, "server")
        defer { Lab.stop(loops) }
        do {
            let responder = try await Responder.start(loops: loops, address: try Multiaddr(address))
            await responder.stop()
            return "nothing was refused"
        } catch {
            return "\(error)"
        }
    }

    @Test func portInUse() async throws {
        let lab = try await Lab.start()
        let text = try await refusal(lab.responder.address.description)
        #expect(text.contains("cannot listen on \(lab.responder.address)") && text.contains("in use") && text.contains("choose another port"), "\(text)")
        await lab.stop()
    }

    @Test func unixPaths() async throws {
        let long = "/unix/tmp/" + String(repeating: "x", count: 120)
        let tooLong = try await refusal(long)
        #expect(tooLong.contains("'\(long)' cannot be a Unix socket: its path has 125 bytes and the kernel takes 107"), "\(tooLong)")
        let nowhere = try await refusal("/unix/nonexistent-directory/a.sock")
        #expect(nowhere.contains("cannot listen on /unix/nonexistent-directory/a.sock") && nowhere.contains("no such path"), "\(nowhere)")
        let file = try await refusal("/unix/dev/null/a.sock")
        #expect(file.contains("no such path"), "\(file)")
        let two = try await refusal("/unix" + uniqueSocketPath(), loops: 2)
        #expect(two.contains("one listener"), "\(two)")
    }

    @Test func unixPathCanBeUsedAgain() async throws {
        let path = uniqueSocketPath()
        for _ in 0..<2 { #expect(try await refusal("/unix" + path) == "nothing was refused") }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test(arguments: ["/memory/1", "/ip4/127.0.0.1", "/tcp/80", "/dns4/localhost/tcp/1"])
    func addressesThatAreNone(address: String) async throws {
        let text = try await refusal(address)
        #expect(text.contains(address) && text.contains("not an address to listen on"), "\(text)")
    }

    @Test func addressOfAnotherMachine() async throws {
        let text = try await refusal("/ip4/203.0.113.1/tcp/0")
        #expect(text.contains("not one of this machine's"), "\(text)")
    }

    /// Two paths that begin alike are two addresses, also where they are too long.
    @Test func longUnixPathsAreNotCutShort() throws {
        let path = "/tmp/" + String(repeating: "x", count: 120)
        var counts = SyscallCounts()
        #expect(throws: Errno.self) { try Socket.listening(on: .unix(path), SocketOptions(), counts: &counts) }
        #expect(throws: Errno.self) { try Socket.connecting(to: .unix(path), SocketOptions(), counts: &counts) }
        #expect(!FileManager.default.fileExists(atPath: String(path.prefix(107))))
    }

    @Test func stacksThatCannotBe() async throws {
        let loops = try Lab.makeLoops(1, "client")
        defer { Lab.stop(loops) }
        let address = try Multiaddr("/ip4/127.0.0.1/tcp/1")
        func refusal(_ scenario: Scenario) -> String {
            do {
                _ = try Generator(scenario: scenario, loops: loops, server: .address(address))
                return "nothing was refused"
            } catch {
                return "\(error)"
            }
        }
        #expect(refusal(try .counted("memory+yamux", .bulk, count: 1)).contains("no server to dial"))
        #expect(refusal(try .counted("tcp", .churn, count: 1)).contains("use the workload connect"))
        #expect(refusal(try .counted("unix", .bulk, count: 1)).contains("no Unix socket and the subject's transport is unix"))
        #expect(refusal(try .counted("unix", .bulk, count: 1, threads: 2)).contains("one listener"))
        #expect(refusal(try .counted("tcp+yamx", .bulk, count: 1)).contains("did you mean 'tcp+yamux'"))
    }
}
