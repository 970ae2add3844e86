import ArgumentParser
import Foundation
import Gauge
import Report

/// `streamgauge profile`: a run under the machine's own tools.
struct ProfileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "Makes a run under the machine's own tools, and tells where time, bytes and calls went.",
        discussion: """
            Each instrument makes a run of its own, because tools disturb each other. What they saw is cut to the run's measured window: setting up, warming up
            and ending are left out. Client and server are told apart.

              streamgauge profile -- run tcp+yamux -m 1000 -s 64              processor time by layer and function, as flame graphs
              streamgauge profile --off-cpu -- run tcp+yamux -w request       where event loops wait
              streamgauge profile --cpu --baseline before -- run tcp+yamux    what has changed since the profile in the folder 'before'
              streamgauge profile --probes --heap --syscalls -- run tcp+noise+yamux   frames and writes, allocations, system calls

            Without a flag it is --cpu.

            Results are in a folder, summary.md first. `streamgauge doctor` tells which instruments this machine has, and what would allow the others.

            Ctrl-C ends the run early; what it has measured is looked at. Exit codes: 0 ok, 2 a run is INVALID or an instrument failed, 64 usage.
            """)

    @Flag(help: "Where processor time goes: samples of the call stacks, by perf.")
    var cpu = false

    @Flag(help: "What event loops do when they do not run: blocked, and on what, or ready without a core; by the scheduler's tracepoints.")
    var offCpu = false

    @Option(help: "With --cpu: the folder of an earlier profile. Pictures and a table show what has changed since.")
    var baseline: String?

    @Option(help: "With --cpu: a file that says which layer a stack belongs to. (default: the standard rules, which every profile has in cpu/layers.rules)")
    var rules: String?

    @Flag(help: "What the engine's probes count: frames a write, time from send to write, stalls of windows.")
    var probes = false

    @Flag(help: "Every system call by name, with its time and bytes, by perf or strace; checked against StreamGauge's own counts.")
    var syscalls = false

    @Flag(help: "What streams hold in memory and what messages allocate, by call site, by the allocator's own profiler.")
    var heap = false

    @Option(name: .customLong("out"), help: "The folder for results, made when it is missing. (default: profile-DATE-TIME)")
    var folder: String?

    @Argument(parsing: .postTerminator, help: "The run: 'run' and its arguments, after --.")
    var words: [String] = []

    /// The instruments that were asked for.
    private func passes() throws -> [any ProfilePass] {
        var passes: [any ProfilePass] = []
        if wantsCPU { passes.append(try CPUPass(rulesFile: rules, baseline: baseline)) }
        if offCpu { passes.append(OffCPUPass()) }
        if probes { passes.append(ProbesPass()) }
        if heap { passes.append(HeapPass(try options().makeScenario())) }
        if syscalls { passes.append(SyscallPass()) }
        return passes
    }

    /// Whether an instrument other than `--cpu` was named.
    private var namesOthers: Bool { offCpu || probes || heap || syscalls }
    private var wantsCPU: Bool { cpu || !namesOthers }

    func validate() throws {
        _ = try options()
        for (name, value) in [("--baseline", baseline), ("--rules", rules)] where value != nil && !wantsCPU {
            throw ValidationError("\(name) is for --cpu, which was not asked for")
        }
        do {
            _ = try passes()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() async throws {
        let passes = try passes()
        let session = ProfileSession(folder: try makeFolder(), runArguments: words)
        guard try await session.run(passes) else { throw Exit.failed }
    }

    /// The options of the run, understood as `streamgauge run` understands them.
    private func options() throws -> RunOptions {
        guard words.first == "run" else { throw ValidationError("what to run is missing: streamgauge profile -- run tcp+yamux -m 1000") }
        let command: RunCommand
        do {
            command = try RunCommand.parse(Array(words.dropFirst()))
        } catch {
            throw ValidationError(RunCommand.message(for: error))
        }
        let options = command.options
        let refused: [(String, Bool)] = [
            ("--find-rate", command.findRate != nil), ("--repeat", options.repeats != 1), ("--json", options.json != nil),
            ("--print-scenario", options.printScenario), ("--marks", options.marks != nil), ("--target", options.target != nil),
        ]
        if let (name, _) = refused.first(where: \.1) {
            throw ValidationError("\(name) does not go with profile: it makes one run an instrument, with a server of its own, and keeps the record itself")
        }
        try Runner.check(try options.makeScenario())
        return options
    }

    private func makeFolder() throws -> String {
        let name = folder ?? "profile-" + Date.now.formatted(.iso8601.year().month().day().time(includingFractionalSeconds: false).dateSeparator(.omitted)
            .timeSeparator(.omitted))
        do {
            try FileManager.default.createDirectory(atPath: name, withIntermediateDirectories: true)
        } catch {
            throw ValidationError("--out: the folder \(name) cannot be made: \(error.localizedDescription)")
        }
        return name
    }
}
