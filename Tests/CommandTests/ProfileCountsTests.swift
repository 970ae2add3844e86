import Foundation
import Gauge
import Testing
import TestSupport

/// `streamgauge profile --syscalls` on real runs.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProfileCountsTests {
    private func isInstalled(_ tool: String) -> Bool {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["/usr/bin"]
        return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
    }

    @Test func systemCallsAgreeWithTheRunsOwnCounts() async throws {
        guard isInstalled("perf") || isInstalled("strace") else {
            print("left out: neither perf nor strace is installed")
            return
        }
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "profile", "--syscalls", "--out", scratch.path + "/p", "--", "run", "tcp+yamux", "-w", "request", "-m", "10", "-n", "5000", "--io", "epoll")
        #expect(outcome.code == 0, "\(outcome)")
        for words in ["## System calls", "### Client", "### Server", "| recvfrom |", "| sendmsg |", "The counts agree with StreamGauge's own"] {
            #expect(outcome.output.contains(words), "no '\(words)' in \(outcome.output)")
        }
        #expect(!outcome.output.contains("do NOT agree") || outcome.output.contains("LOST"), "\(outcome.output)")
        #expect(outcome.output == String(decoding: try scratch.read("p/summary.md"), as: UTF8.self))
        #expect(try scratch.read("p/syscalls/syscalls.md").isEmpty == false)
    }

    @Test(arguments: ["--syscalls"])
    func whatToRunIsNeeded(flag: String) async throws {
        expectUsage(try await Command.run("profile", flag), ["what to run is missing", "streamgauge profile -- run"])
        expectUsage(try await Command.run("profile", flag, "--", "run", "tcp+yamux", "--repeat", "2"), ["--repeat does not go with profile"])
    }
}
