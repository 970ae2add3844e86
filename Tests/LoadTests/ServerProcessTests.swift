import Foundation
import Gauge
import Glibc
@testable import Load
import Multiformats
import Testing
import TestSupport

/// Server processes that come to a bad end in the middle of a run. The cases wait for the first second of a window, so they run side by side.
@Suite(.timeLimit(.minutes(5))) struct ServerProcessTests {
    private func start(_ listen: String = "/ip4/127.0.0.1/tcp/0") throws -> ServerProcess {
        try ServerProcess(program: Executable.path, listen: try Multiaddr(listen), threads: 1, io: "auto", core: nil)
    }

    /// A server process that is killed half-way: the run ends, keeps what was measured, and does not believe it.
    @Test(arguments: ["tcp+yamux", "tcp", "unix+mplex"], [Workload.bulk, .request])
    func killedServer(subject: String, workload: Workload) async throws {
        let listen = subject.hasPrefix("unix") ? "/unix" + uniqueSocketPath() : "/ip4/127.0.0.1/tcp/0"
        let server = try start(listen)
        let process = server.processID
        let loops = try Lab.makeLoops(1, "client")
        let generator = try Generator(
            scenario: try .counted(subject, workload, count: 1, streams: 10, messageSizeBytes: 1000).lasting(600), loops: loops,
            server: .address(server.address), limits: .forTests)
        let figures = try await generator.run { progress in
            if case .measuring(_, let totals) = progress, totals.messagesReceived > 0 { kill(process, SIGKILL) }
        }
        #expect(server.stop() == "the server process \(process) ended with signal 9")
        Lab.stop(loops)
        expectInvalid(figures, "the control connection to", "is over")
        expectInvalid(figures, "client: connection 0")
        #expect(figures.partial && figures.durationSeconds > 0 && figures.durationSeconds < 300)
        #expect(figures.ledger.client.sent.payload > 0, "what was sent is known")
        if workload == .request { #expect(figures.messages > 0 && figures.latency.value != nil, "what was measured is kept") }
    }

    /// A server that hangs: the run gives up when it may, and the process is killed.
    @Test func frozenServer() async throws {
        let server = try start()
        let process = server.processID
        let loops = try Lab.makeLoops(1, "client")
        var limits = RunLimits.forTests
        // For connecting and setting up as well, which the server answers.
        limits.answerSeconds = 2
        let generator = try Generator(
            scenario: try .counted("tcp+yamux", .request, count: 1, streams: 10).lasting(600), loops: loops,
            server: .address(server.address), limits: limits)
        let figures = try await generator.run { progress in
            if case .measuring(_, let totals) = progress, totals.messagesReceived > 0 { kill(process, SIGSTOP) }
        }
        #expect(server.stop(within: 0.1) == "the server process \(process) did not end when it was asked to, and was killed")
        #expect(kill(process, 0) == -1, "nothing is left behind")
        Lab.stop(loops)
        expectInvalid(figures, "the server at 127.0.0.1:", "did not answer 'progress' within 2.0 s")
        #expect(figures.partial && figures.messages > 0)
    }

    @Test func serverEndsWhenAsked() throws {
        let server = try start()
        #expect(server.stop() == nil)
        #expect(kill(server.processID, 0) == -1)
    }
}
