import Foundation
import Gauge
import Kernel
import Load
import Report

/// `--syscalls`: every system call of client and server in the window, and how long it took.
///
/// By perf and the kernel's tracepoints where this process may use them, which costs a run little; by strace where not, which stops a program twice in every call.
struct SyscallPass: ProfilePass {
    let name = "syscalls"

    private enum Tool: String { case perf, strace }

    /// Nil where neither can be used.
    private static var tool: Tool? {
        if Programs.find("perf") != nil, let folder = PerfTool.tracing,
            (try? Data(contentsOf: URL(fileURLWithPath: "\(folder)/events/raw_syscalls/sys_enter/id")))?.isEmpty == false { return .perf }
        return Programs.find("strace") == nil ? nil : .strace
    }
    private static let tracepointRemedy = "as root: mount -t tracefs tracefs /sys/kernel/tracing"

    func check() throws {
        guard Self.tool == nil else { return }
        let hasPerf = Programs.find("perf") != nil
        throw ProfileError.unavailable(
            pass: name, reason: hasPerf ? "the kernel's tracepoints cannot be read, and strace is not installed" : "neither perf nor strace is installed",
            remedy: hasPerf ? "\(Self.tracepointRemedy); or scripts/install strace" : "scripts/install linux-perf strace (Debian)")
    }

    func wrapped(_ command: [String], in folder: String) -> [String] {
        switch Self.tool {
        case .strace: ["strace", "-f", "-ttt", "-T", "-s", "0", "-o", "\(folder)/strace.txt"] + command
        default:
            // Room for what comes in a tenth of a second: what finds none is lost.
            ["perf", "record", "-q", "-k", "CLOCK_MONOTONIC", "-m", "8M", "-o", "\(folder)/perf.data", "-e", "raw_syscalls:sys_enter,raw_syscalls:sys_exit", "--"] + command
        }
    }

    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection {
        let isPerf = FileManager.default.fileExists(atPath: run.path("perf.data"))
        var (tally, notes, process): (SyscallTally, [String], (Int32) -> Int32)
        if isPerf {
            (tally, notes) = try await perf(run)
            process = { $0 }
        } else {
            (tally, notes, process) = try strace(run)
        }
        var text = notes.joined(separator: " ") + "\n"
        let figures = run.record.figures
        var sides = [("Client", run.marks.clientID, figures.syscalls.client)]
        if let server = run.marks.serverID {
            sides.append(("Server", server, figures.syscalls.server))
        } else {
            text += "\nBoth sides are one process, or the server was running already: what is told of the client is what was seen, and is not compared with StreamGauge's own counts.\n"
        }
        for (side, processID, counted) in sides {
            let seen = tally.byName { process($0) == processID }
            guard !seen.isEmpty else { throw ProfileError.runFailed(pass: name, detail: "the tool saw no call of the \(side.lowercased()) (process \(processID)) in the window") }
            let table = SyscallTable(seen: seen, counted: run.marks.serverID == nil ? nil : counted.value, messages: figures.messages)
            text += "\n### \(side)\n\n\(table.markdown)\n"
            // One process has both sides' calls, and the record tells them by side.
            if run.marks.serverID != nil { text += "\(Self.verdict(table, counted))\n" }
        }
        text += "\nA wait (`epoll_pwait2`, `futex`) takes as long as there is nothing to do.\n"
        try OutputFile.prepare(run.path("syscalls.md")).write(Array(text.utf8))
        return ProfileSection(
            title: "System calls", text: text,
            files: [("syscalls.md", "these tables"), isPerf ? ("perf.data", "what perf has recorded, the whole run") : ("strace.txt", "what strace has written, the whole run")])
    }

    private static func verdict(_ table: SyscallTable, _ counted: Gauge.Measured<[String: UInt64]>) -> String {
        if case .unavailable(let reason) = counted { return "StreamGauge has no counts of its own to check them by: \(reason)." }
        let differing = table.lines.filter { !$0.agrees }.map(\.name)
        guard !differing.isEmpty else {
            return "The counts agree with StreamGauge's own, but for what happened at the edges of the window (at most \(SyscallTable.edgeCallsMax) calls and 1 %). "
                + "What it does not count are calls of libraries, and of what is beside the event loops; a `write` may be either's."
        }
        return "The counts do NOT agree with StreamGauge's own for \(differing.joined(separator: ", ")): other threads of the process made such calls too, or some were lost."
    }

    private func perf(_ run: ProfiledRun) async throws -> (SyscallTally, [String]) {
        let (text, complaints) = (run.path(".perf-script"), run.path(".perf-errors"))
        defer { for file in [text, complaints] { try? FileManager.default.removeItem(atPath: file) } }
        let command = ["perf", "script", "-i", run.path("perf.data"), "--ns", "--show-lost-events", "-F", "comm,pid,tid,time,event,trace"]
        let end = try await ToolProcess.run(command, output: text, errors: complaints)
        guard end == .exit(0) else {
            let said = (try? String(contentsOfFile: complaints, encoding: .utf8))?.split(separator: "\n").last.map(String.init) ?? "it said nothing"
            throw ProfileError.toolFailed(command: command.joined(separator: " "), how: "\(end): \(said)")
        }
        var (reader, tally) = (PerfSyscallReader(), SyscallTally())
        func add(_ call: SyscallCall) { if run.marks.window.contains(call.began_ns) { tally.add(call) } }
        try TextLines.forEach(in: text) { if let call = reader.read($0) { add(call) } }
        reader.finish().forEach(add)
        var notes = ["Every call that began in the window of \(Self.length(run)), by perf and the kernel's tracepoints (`raw_syscalls`)."]
        if reader.lostEvents > 0 { notes.append("\(reader.lostEvents) events were LOST, as there was no room for them: counts and times are too low.") }
        if reader.unreadableLines > 0 { notes.append("\(reader.unreadableLines) lines of perf's text were not understood and are left out.") }
        return (tally, notes)
    }

    private func strace(_ run: ProfiledRun) throws -> (SyscallTally, [String], (Int32) -> Int32) {
        // strace tells the time of day.
        let offset = Int64(Date.now.timeIntervalSince1970 * 1e9) - Int64(Clock.now)
        var (reader, tally) = (StraceReader(), SyscallTally())
        func add(_ call: SyscallCall) {
            let time = Int64(call.began_ns) - offset
            if time >= 0, run.marks.window.contains(UInt64(time)) { tally.add(call) }
        }
        try TextLines.forEach(in: run.path("strace.txt")) { if let call = reader.read($0) { add(call) } }
        reader.finish().forEach(add)
        var notes = [
            "Every call that began in the window of \(Self.length(run)), by strace, which makes each take many times as long: times are no measure of what a call costs.",
            "With the kernel's tracepoints perf would do it (\(Self.tracepointRemedy)).",
        ]
        if reader.unreadableLines > 0 { notes.append("\(reader.unreadableLines) lines of strace's text were not understood and are left out.") }
        let threads = reader
        return (tally, notes, { threads.processID(of: $0) })
    }

    private static func length(_ run: ProfiledRun) -> String { Units.format(seconds: Double(run.marks.window.count) / 1e9) }
}
