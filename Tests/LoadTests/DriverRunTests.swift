import Foundation
import Gauge
@testable import Load
import TestSupport
import Testing

/// Whole runs of drivers: two processes of this program's own, told what to do by lines and watched from outside.
@Suite(.timeLimit(.minutes(5))) struct DriverRunTests {
    static let own = Driver(name: "swift", command: [Executable.path, "driver"])

    static func run(_ options: DriverOptions, client: Driver = own, server: Driver = own, seconds: Double = 0.2) async throws -> RunFigures {
        let about = try await own.about()
        let run = try DriverRun(
            Subject(client: client.name, server: server.name, stack: options.stack), options,
            ends: BothSides(client: (client, about), server: (server, about)), durationSeconds: seconds, omitSeconds: 0.05)
        return await run.run()
    }

    @Test(arguments: ["tcp", "tcp+yamux", "tcp+mplex", "tcp+noise+yamux", "tcp+tls+mplex"], ["up", "down", "both"])
    func bulk(stack: String, direction: String) async throws {
        let figures = try await Self.run(
            DriverOptions(stack: stack, workload: .bulk, direction: direction, connections: 2, streams: 5, messageBytes: 10_000))
        #expect(figures.invalidReasons == [] && !figures.partial)
        #expect((figures.goodputUpBytesPerSecond.value ?? 0 > 0) == (direction != "down"))
        #expect((figures.goodputDownBytesPerSecond.value ?? 0 > 0) == (direction != "up"))
        #expect(figures.messages > 0 && figures.latency.value == nil)
        #expect(try #require(figures.cpuSeconds.client.value) > 0 && #require(figures.cpuSeconds.server.value) > 0)
        #expect(figures.syscalls.client.value?["sendmsg"] != nil || direction == "down")
        if stack == "tcp" {
            #expect(figures.frameOverheadRatio.value == nil)
        } else {
            let overhead = try #require(figures.frameOverheadRatio.value)
            #expect(overhead > 0 && overhead < 0.2, "\(overhead)")
        }
    }

    @Test(arguments: ["tcp", "tcp+yamux", "tcp+mplex"], [Workload.request, .churn, .mixed])
    func answers(stack: String, workload: Workload) async throws {
        if stack == "tcp", workload == .churn { return }
        let figures = try await Self.run(
            DriverOptions(stack: stack, workload: workload, connections: 2, streams: 8, messageBytes: 512, depth: workload == .request ? 3 : 1))
        #expect(figures.invalidReasons == [] && !figures.partial)
        let latency = try #require(figures.latency.value)
        #expect(latency.count > 0 && latency.p50 > 0 && figures.messages > 0)
        #expect(figures.messagesPerSecond.value ?? 0 > 0)
    }

    @Test func idleStreamsHaveASlope() async throws {
        let figures = try await Self.run(DriverOptions(stack: "tcp+yamux", workload: .idle, connections: 1, streams: 20_000, messageBytes: 64))
        #expect(figures.invalidReasons == [])
        #expect(figures.messagesPerSecond.value == nil)
        for perStream in [
            figures.memory.bytesPerStreamClient, figures.memory.bytesPerStreamServer, figures.memory.rssBytesPerStreamClient,
            figures.memory.rssBytesPerStreamServer,
        ] {
            let bytes = try #require(perStream.value)
            #expect(bytes > 20 && bytes < 2000, "\(bytes)")
        }
    }

    @Test func whatADriverDoesNotOfferIsRefused() async throws {
        await #expect(throws: DriverError.self) {
            _ = try await Self.run(DriverOptions(stack: "tcp+smux", workload: .bulk, messageBytes: 64))
        }
        await #expect(throws: DriverError.self) {
            _ = try await Self.run(DriverOptions(stack: "tcp+yamux", workload: .connect, messageBytes: 64))
        }
    }

    /// Programs that are no drivers, or bad ones: each is told by name, and what its partner saw does not hide it.
    @Test(arguments: [
        ("echo hello", "broke the contract"), ("exit 3", "ended with status 3"), ("echo '{\"error\":\"no luck\"}'", "no luck"),
        ("kill -9 $$", "ended with signal 9"), ("head -c 20000000 /dev/zero", "a line of more than"),
    ])
    func badServers(script: String, reason: String) async throws {
        let bad = Driver(name: "bad", command: ["/bin/sh", "-c", script])
        let figures = try await Self.run(DriverOptions(stack: "tcp+yamux", workload: .bulk, messageBytes: 64), server: bad)
        #expect(!figures.valid && figures.partial)
        #expect(figures.invalidReasons.contains { $0.contains(reason) && $0.contains("bad server") }, "\(figures.invalidReasons)")
    }

    /// One that is gone when it is told something: the pipe to it is broken.
    @Test func aClientThatEndsBetweenTwoCommands() async throws {
        let fleeting = Driver(name: "fleeting", command: ["/bin/sh", "-c", "echo '{\"ready\":true}'; read command; echo '{\"streams\":0}'"])
        let figures = try await Self.run(DriverOptions(stack: "tcp+yamux", workload: .bulk, messageBytes: 64), client: fleeting)
        #expect(figures.invalidReasons.contains { $0.contains("fleeting client ended with status 0") }, "\(figures.invalidReasons)")
    }

    @Test func aProgramThatIsNotThere() async throws {
        let figures = try await Self.run(
            DriverOptions(stack: "tcp+yamux", workload: .bulk, messageBytes: 64), client: Driver(name: "none", command: ["/nowhere/driver"]))
        #expect(figures.invalidReasons.contains { $0.contains("/nowhere/driver") && $0.contains("cannot be started") }, "\(figures.invalidReasons)")
    }

    /// A driver that falls silent half-way: the lines pass through a program that swallows one answer.
    @Test func receiptsThatDisagree() async throws {
        let script = "exec \"$0\" driver \"$@\" | sed -u 's/\"received\":{\"bytes\":\\([0-9]*\\),\"messages\":\\([0-9]*\\)}/\"received\":{\"bytes\":1\\1,\"messages\":\\2}/'"
        let forger = Driver(name: "forger", command: ["/bin/sh", "-c", script, Executable.path])
        let figures = try await Self.run(DriverOptions(stack: "tcp+yamux", workload: .bulk, messageBytes: 640), server: forger)
        #expect(!figures.valid)
        #expect(figures.invalidReasons.contains { $0.contains("the client sent") && $0.contains("the server received") }, "\(figures.invalidReasons)")
    }
}

@Suite struct SubjectTests {
    @Test func forms() throws {
        #expect(try Subject(parsing: "tcp+yamux") == Subject(stack: "tcp+yamux"))
        #expect(try Subject(parsing: "go:tcp+smux") == Subject(client: "go", server: "go", stack: "tcp+smux"))
        let mixed = try Subject(parsing: "swift>go:tcp+yamux")
        #expect(mixed == Subject(client: "swift", server: "go", stack: "tcp+yamux"))
        #expect(mixed.description == "swift>go:tcp+yamux")
        #expect(try Subject(parsing: "swift:tcp").description == "tcp")
        #expect(try Subject(parsing: "swift>swift:tcp").description == "tcp")
        for text in ["", ":", "go:", ">go:tcp", "a>b>c:tcp", "a:b:c", "go>:tcp"] {
            #expect(throws: ScenarioError.self, "\(text)") { try Subject(parsing: text) }
        }
    }

    @Test func driversAreFoundAndNamed() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("drivers-\(UInt64.random(in: 0...UInt64.max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("#!/bin/sh\n".utf8).write(to: folder.appendingPathComponent("go"))
        try Data("text".utf8).write(to: folder.appendingPathComponent("notes"))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.appendingPathComponent("go").path)
        let catalogue = try DriverCatalogue(program: "/bin/self", folders: ["/nowhere", folder.path], named: ["mine=./driver --fast", "swift=other driver"])
        #expect(catalogue.drivers.map(\.name) == ["go", "mine", "swift"])
        #expect(try catalogue.driver(named: "mine").command == ["./driver", "--fast"])
        #expect(try catalogue.driver(named: "swift").command == ["other", "driver"])
        #expect(throws: DriverError.unknown("goo", nearest: "go", known: ["go", "mine", "swift"])) { try catalogue.driver(named: "goo") }
        for text in ["", "=", "a=", "=b", "a:b=c", "a>b=c", "plain"] {
            #expect(throws: ScenarioError.self, "\(text)") { try DriverCatalogue(program: "/bin/self", folders: [], named: [text]) }
        }
    }
}

@Suite struct DriverHistogramTests {
    @Test func pairsBecomeADistribution() throws {
        let histogram = try DriverContract.histogram([[1000, 5], [2000, 4], [500_000, 1]])
        #expect(histogram.count == 10)
        let p50 = try #require(histogram.summary()?.p50)
        #expect((999...1001).contains(p50))
        for pairs in [[[1000]], [[1000, 5], [1000, 1]], [[2000, 1], [1000, 1]], [[1, 2, 3]], [[5, UInt64.max]]] as [[[UInt64]]] {
            #expect(throws: DriverError.self) { try DriverContract.histogram(pairs) }
        }
    }
}
