import Foundation
import Gauge
import Kernel
import Testing
import TestSupport

/// `streamgauge profile --syscalls` and `--heap` on real runs.
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

    @Test func heapTellsWhatStreamsHold() async throws {
        guard HeapProfiler.isBuiltIn, isInstalled("nm") else {
            print("left out: no nm, or a jemalloc without its profiler")
            return
        }
        let scratch = try Scratch()
        let outcome = try await Command.run("profile", "--heap", "--out", scratch.path + "/p", "--", "run", "tcp+yamux", "-w", "churn", "-m", "20", "-n", "3000")
        #expect(outcome.code == 0, "\(outcome)")
        for words in ["## Heap", "Every allocation was noted.", "bytes a stream", "allocations a message", "They agree"] {
            #expect(outcome.output.contains(words), "no '\(words)' in \(outcome.output)")
        }
        for file in ["client-held", "server-held", "client-allocated", "server-allocated"] {
            let lines = String(decoding: try scratch.read("p/heap/\(file).folded"), as: UTF8.self).split(separator: "\n")
            #expect(!lines.isEmpty && lines.allSatisfy { UInt64($0.split(separator: " ").last ?? "") != nil }, "\(file)")
        }
    }

    @Test(arguments: ["--syscalls", "--heap"])
    func whatToRunIsNeeded(flag: String) async throws {
        expectUsage(try await Command.run("profile", flag), ["what to run is missing", "streamgauge profile -- run"])
        expectUsage(try await Command.run("profile", flag, "--", "run", "tcp+yamux", "--repeat", "2"), ["--repeat does not go with profile"])
    }

    /// Nobody has asked for profiles: nothing is written, and nothing is looked at.
    @Test func profilesAreOnlyOnRequest() {
        #expect(!HeapProfiler.isEnabled)
        #expect(throws: Errno.self) { try HeapProfiler.dump(to: "/nonexistent/file") }
    }
}
