import Foundation
import Gauge
import Glibc
import Kernel
import Report

/// `--off-cpu`: what the event loops do when they do not run, by the scheduler's tracepoints: blocked, and on what, or ready and without a core.
struct OffCPUPass: ProfilePass {
    let name = "off-cpu"

    func check() throws {
        try PerfTool.check(name)
        let files = FileManager.default
        guard let folder = PerfTool.tracing else {
            let isHidden = geteuid() != 0 && !files.isReadableFile(atPath: "/sys/kernel/tracing")
            throw ProfileError.unavailable(
                pass: name, reason: isHidden ? "the kernel's tracepoints are not readable by this user" : "the kernel's tracepoints are not to be seen: tracefs is not mounted",
                remedy: isHidden ? "run it as root" : "as root: mount -t tracefs tracefs /sys/kernel/tracing")
        }
        for event in ["sched_switch", "sched_waking"] where !files.isReadableFile(atPath: "\(folder)/events/sched/\(event)/id") {
            let exists = files.fileExists(atPath: "\(folder)/events/sched")
            throw ProfileError.unavailable(
                pass: name, reason: "\(folder)/events/sched/\(event) is \(exists ? "not readable" : "not there")", remedy: "run it as root, on a kernel with scheduler tracepoints")
        }
        let paranoid = (try? String(contentsOfFile: "/proc/sys/kernel/perf_event_paranoid", encoding: .utf8)).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        if geteuid() != 0, (paranoid ?? 2) > -1 {
            throw ProfileError.unavailable(
                pass: name, reason: "watching every core is for root alone here (perf_event_paranoid is \(paranoid.map(String.init) ?? "unknown"))",
                remedy: "run it as root, or as root: sysctl kernel.perf_event_paranoid=-1")
        }
    }

    /// Event loops are threads of these names.
    private static func isLoop(_ thread: String) -> Bool { thread.hasPrefix("client-") || thread.hasPrefix("server-") }

    func wrapped(_ command: [String], in folder: String) -> [String] {
        // The kernel passes on what concerns the loops and nothing else, so a busy machine loses no events.
        let switched = "prev_comm ~ \"client-*\" || prev_comm ~ \"server-*\""
        let woken = "comm ~ \"client-*\" || comm ~ \"server-*\""
        return [
            "perf", "record", "-q", "-a", "-o", "\(folder)/perf.data", "-k", "CLOCK_MONOTONIC", "-m", "4M", "--call-graph", "fp", "--switch-events", "-e", "sched:sched_switch",
            "--filter", switched, "-e", "sched:sched_waking", "--filter", woken, "--",
        ] + command
    }

    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection {
        let raw = run.path(".perf-script")
        let complaints = run.path(".perf-errors")
        defer { for file in [raw, complaints] { try? FileManager.default.removeItem(atPath: file) } }
        try await PerfTool.script(run.path("perf.data"), fields: "comm,pid,tid,cpu,time,event,trace,ip,sym,dso", showsSwitches: true, into: raw, complaints: complaints)
        let sides = ProfileSide.of(run.marks)
        var trace = SchedulerTrace(window: run.marks.window, processes: Set(sides.map(\.processID)), isWanted: Self.isLoop)
        let unreadable = try PerfTool.forEachSample(in: raw) { trace.take($0) } + trace.unreadableEvents
        let threads = trace.finish()
        guard !threads.isEmpty else {
            throw ProfileError.runFailed(pass: name, detail: "perf saw no event loop of this run give up its core: make the run longer (-t)")
        }
        let symbols = Set(threads.flatMap { $0.blocked.allFrames.map(\.symbol) })
        let names = try await SwiftNames(of: symbols, in: run.folder)
        var files: [(name: String, what: String)] = []
        for side in sides {
            let stacks = Self.microseconds(threads.filter { $0.states.processID == side.processID }, names)
            files += try write(stacks, side, run)
        }
        var notes = ["Of the event loops only: other threads wait nearly always, for nothing that matters here."]
        if let note = names.note { notes.append(note) }
        if unreadable > 0 { notes.append("\(unreadable) lines or events of perf's text were not understood and are left out.") }
        let complaint = (try? String(contentsOfFile: complaints, encoding: .utf8)) ?? ""
        if complaint.contains("lost") { notes.append("perf has lost events: shares are about right at best.") }
        let text = notes.joined(separator: " ") + "\n\n" + Self.table(threads.map(\.states), run.marks.window)
        files.append(("perf.data", "what perf has recorded, the whole run"))
        return ProfileSection(title: "Waiting", text: text, files: files)
    }

    /// Where the loops of a side were blocked, each under its name.
    private static func microseconds(_ threads: [(states: ThreadStates, blocked: StackCounts<PerfFrame>)], _ names: SwiftNames) -> FoldedStacks {
        var sums: [[String]: UInt64] = [:]
        for thread in threads {
            // Summed before it is rounded: most waits are shorter than many microseconds.
            thread.blocked.mapped(names.name).forEach { sums[[thread.states.name] + $0, default: 0] += $1 }
        }
        var stacks = FoldedStacks()
        for (stack, nanoseconds) in sums { stacks.add(stack, (nanoseconds + 500) / 1000) }
        return stacks
    }

    private func write(_ stacks: FoldedStacks, _ side: ProfileSide, _ run: ProfiledRun) throws -> [(name: String, what: String)] {
        let graph = FlameGraph(
            stacks, title: "\(side.title): where event loops are blocked", subtitle: "\(run.commandLine) · of \(Units.format(seconds: Double(run.marks.window.count) / 1e9))",
            unit: "us")
        try OutputFile.prepare(run.path("\(side.name).svg")).write(Array(graph.svg.utf8))
        try OutputFile.prepare(run.path("\(side.name).folded")).write(Array(stacks.text.utf8))
        return [
            ("\(side.name).svg", "flame graph of where the \(side.name)'s event loops were blocked, in microseconds"),
            ("\(side.name).folded", "the same in the folded format"),
        ]
    }

    private static func table(_ threads: [ThreadStates], _ window: Range<UInt64>) -> String {
        let all = max(Double(window.count), 1)
        func percent(_ part: UInt64) -> String { String(format: "%.1f", Double(part) / all * 100) }
        var text = "| event loop | running, % | ready, % | blocked, % | waits | preemptions | a wait, mean |\n|---|---:|---:|---:|---:|---:|---:|\n"
        for thread in threads {
            let mean = thread.waits > 0 ? Units.format(nanoseconds: Double(thread.blocked_ns) / Double(thread.waits)) : "-"
            text += "| \(thread.name) | \(percent(thread.running_ns)) | \(percent(thread.ready_ns)) | \(percent(thread.blocked_ns)) | \(thread.waits) | \(thread.preemptions) | \(mean) |\n"
        }
        return text + """

            *Ready* is awake or preempted, and without a core; *blocked* is waiting for something, until somebody wakes it. They add up to the window of \
            \(Units.format(seconds: Double(window.count) / 1e9)).

            """
    }
}
