import Foundation
import Glibc
import Report
import Testing
import TestSupport
@testable import streamgauge

/// Whether this machine lets probes be watched.
private enum Watching {
    static let isAllowed: Bool = {
        do {
            try ProbesPass(binary: Executable.path).check()
            return true
        } catch {
            return false
        }
    }()
}

/// The probes of a running program, counted by bpftrace and by the program itself.
@Suite(
    .serialized, .enabled(if: Watching.isAllowed, "bpftrace or root is missing, or this kernel has no uprobes: streamgauge doctor tells which"), .timeLimit(.minutes(5)))
struct ProbesTests {
    /// Whether the record's own counters are the probes' is in the table, row by row.
    @Test(arguments: ["tcp+yamux", "tcp+mplex", "tcp+noise+yamux"])
    func probesCountWhatTheRecordCounts(stack: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("probes-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let outcome = try await Command(["profile", "--probes", "--out", folder, "--", "run", stack, "-w", "request", "-m", "20", "-s", "64", "-t", "500ms", "-O", "100ms"]).outcome()
        #expect(outcome.code == 0, "\(outcome)")
        let table = try String(contentsOfFile: folder + "/probes/probes.md", encoding: .utf8)
        #expect(!table.contains("DIFFERENT"), "\(table)")
        for row in ["| sendmsg | client |", "| recv | server |", "| data frames | client |", "| writes of connections | server |"] { #expect(table.contains(row), "\(table)") }
        for probe in ["loop_turn_done", "frame_queued", "data_frame_decoded"] { #expect(table.contains("| \(probe) |"), "\(table)") }
        if stack.contains("noise") { #expect(table.contains("| record_sealed |") && table.contains("| record_opened |"), "\(table)") }
    }
}
