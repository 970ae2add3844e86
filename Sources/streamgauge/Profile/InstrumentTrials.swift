import Foundation
import Glibc
import Kernel
import Load
import Report

/// Tries the instruments of `streamgauge profile`: what a kernel or a container forbids is found out by doing it.
enum InstrumentTrials {
    static func readings() -> InstrumentReadings {
        // First, as perf mounts tracefs where it may: what is read below is what profile will find.
        let schedulerEvents = Programs.find("perf").map { record($0, "sched:sched_switch") }
        var readings = InstrumentReadings(root: "")
        readings.isRoot = geteuid() == 0
        for name in ["perf", "bpftrace", "strace", "gdb", "valgrind", "nm", "swift"] { readings.programs[name] = Programs.find(name) }
        readings.heapProfiling = HeapUsage.isProfilingCompiledIn
        if let perf = readings.programs["perf"] {
            readings.perfVersion = attempt([perf, "--version"]).output
            readings.perfClock = record(perf, "cpu-clock")
            readings.perfCycles = cycles
            if let schedulerEvents { readings.schedulerEvents = schedulerEvents }
        }
        if let bpftrace = readings.programs["bpftrace"] {
            readings.bpftraceVersion = attempt([bpftrace, "--version"]).output
            readings.probes = attempt([bpftrace, "-e", "BEGIN { exit(); } usdt:\(Runner.program):streamgauge:flush { @ = 1; }"]).trial
        }
        if let strace = readings.programs["strace"] { readings.strace = attempt([strace, "-qq", "-c", "-o", "/dev/null", "true"]).trial }
        return readings
    }

    /// Asked of the kernel: where there are no counters perf takes the clock in place of cycles without a word.
    private static var cycles: InstrumentReadings.Trial {
        let events = PerfEvents()
        events.start()
        events.stop()
        guard let reading = events.read().first(where: { $0.name == "cycles" }) else { return .fails("the kernel was not asked") }
        switch reading.value {
        case .value: return .works
        case .unavailable(let reason): return .fails(reason)
        }
    }

    /// Whether perf can record an event, into a file that goes away.
    static func record(_ perf: String, _ event: String) -> InstrumentReadings.Trial {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("streamgauge-doctor-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let trial = attempt([perf, "record", "-q", "-e", event, "-o", folder.path + "/perf.data", "--", "true"]).trial
            try FileManager.default.removeItem(at: folder)
            return trial
        } catch {
            return .fails(error.localizedDescription)
        }
    }

    /// Runs a program to its end. What it prints is short.
    static func attempt(_ command: [String]) -> (trial: InstrumentReadings.Trial, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = FileHandle.nullDevice
        let said = Pipe()
        process.standardOutput = said
        process.standardError = said
        let end = ProcessEnd(of: process)
        do { try process.run() } catch { return (.fails(error.localizedDescription), "") }
        let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        // Its output has ended, and so has it, or is about to.
        let how = end.wait(5) ?? end.force(process.processIdentifier)
        let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        guard how == .exit(0) else {
            let reason = lines.first { $0.lowercased().contains("error") && $0.count > 8 && !$0.contains("RLIMIT_MEMLOCK") } ?? lines.first ?? "\(how)"
            return (.fails(reason), text)
        }
        return (.works, lines.first ?? "")
    }
}
