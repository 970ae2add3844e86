import Foundation

/// What is known of the instruments of `streamgauge profile` on a machine: settings read from files, programs found, and what trying them gave.
public struct InstrumentReadings: Equatable, Sendable {
    /// What came of trying something.
    public enum Trial: Equatable, Sendable {
        case works
        /// With what was said about it.
        case fails(String)
        /// Its program is not installed.
        case missing
    }

    public var isRoot = false
    /// `perf --version`; nil when it is not installed.
    public var perfVersion: String?
    public var perfClock = Trial.missing
    public var perfCycles = Trial.missing
    public var schedulerEvents = Trial.missing
    /// Watching a probe of this program with bpftrace.
    public var probes = Trial.missing
    public var bpftraceVersion: String?
    public var strace = Trial.missing
    /// Paths of programs, by name, where they were found.
    public var programs: [String: String] = [:]
    /// Whether the allocator was built with heap profiling; nil without jemalloc.
    public var heapProfiling: Bool?
    // Files of the kernel; nil where they cannot be read.
    public var perfEventParanoid: Int?
    public var kptrRestrict: Int?
    public var ptraceScope: Int?
    public var hasUprobes = false
    /// Where tracefs is mounted.
    public var tracefs: String?
    public var isTracefsReadable = false

    public init() {}

    /// Reads what files tell. `root` stands before every path, for tests.
    public init(root: String) {
        func number(_ path: String) -> Int? {
            // A file that is missing or not for us is a finding, not a failure.
            guard let text = try? String(contentsOfFile: root + path, encoding: .utf8) else { return nil }
            return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        perfEventParanoid = number("/proc/sys/kernel/perf_event_paranoid")
        kptrRestrict = number("/proc/sys/kernel/kptr_restrict")
        ptraceScope = number("/proc/sys/kernel/yama/ptrace_scope")
        hasUprobes = number("/sys/bus/event_source/devices/uprobe/type") != nil
        let mounts = (try? String(contentsOfFile: root + "/proc/mounts", encoding: .utf8)) ?? ""
        for mount in mounts.split(separator: "\n") {
            let fields = mount.split(separator: " ")
            guard fields.count > 2, fields[2] == "tracefs" else { continue }
            tracefs = String(fields[1])
            break
        }
        isTracefsReadable = tracefs.map { FileManager.default.isReadableFile(atPath: root + $0 + "/events/sched") } ?? false
    }
}

/// ``InstrumentReadings`` as sentences: what an instrument can do here, and the command that would allow what it cannot.
public struct InstrumentFinding: Equatable, Sendable {
    public let name: String
    public let finding: String
    /// A command; nil where there is nothing to do, or nothing that can be done.
    public let remedy: String?

    public init(_ name: String, _ finding: String, _ remedy: String? = nil) {
        self.name = name
        self.finding = finding
        self.remedy = remedy
    }

    /// The rows, instruments in the order of profile's options.
    public static func all(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        let groups: [[InstrumentFinding]] = [cpu(readings), offCPU(readings), probes(readings), heap(readings), syscalls(readings), others(readings)]
        return Array(groups.joined())
    }

    private static func install(_ package: String) -> String { "apt-get install \(package)" }

    private static func cpu(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        var findings: [InstrumentFinding] = []
        switch readings.perfClock {
        case .works: findings.append(.init("profile --cpu", "works (\(readings.perfVersion ?? "perf"))"))
        case .missing: findings.append(.init("profile --cpu", "not available: perf is not installed", install("linux-perf")))
        case .fails(let reason): findings.append(.init("profile --cpu", "not available: \(reason)", "sysctl kernel.perf_event_paranoid=1"))
        }
        if readings.perfClock == .works {
            if case .fails(let reason) = readings.perfCycles {
                findings.append(.init("hardware cycles", "not available, the clock samples instead: \(reason)"))
            } else {
                findings.append(.init("hardware cycles", readings.perfCycles == .works ? "work" : "not tried"))
            }
        }
        if let level = readings.perfEventParanoid {
            findings.append(.init("perf_event_paranoid", "\(level): \(meaning(level, readings.isRoot))", level > 1 && !readings.isRoot ? "sysctl kernel.perf_event_paranoid=1" : nil))
        }
        if let level = readings.kptrRestrict {
            let isShown = level == 0 || level == 1 && readings.isRoot
            findings.append(
                .init("kernel symbols", isShown ? "shown (kptr_restrict \(level))" : "hidden (kptr_restrict \(level)): kernel functions have no names", isShown ? nil : "sysctl kernel.kptr_restrict=0"))
        }
        findings.append(
            readings.programs["swift"] != nil
                ? .init("names of Swift functions", "swift demangle works")
                : .init("names of Swift functions", "mangled: there is no swift on PATH", "put the toolchain's usr/bin on PATH"))
        return findings
    }

    private static func meaning(_ level: Int, _ isRoot: Bool) -> String {
        if isRoot { return "of no consequence to root, who may have user and kernel stacks" }
        switch level {
        case ...1: return "user and kernel stacks of own processes"
        case 2: return "user stacks of own processes only, no kernel stacks"
        default: return "nothing without root"
        }
    }

    private static func offCPU(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        var findings: [InstrumentFinding] = []
        switch readings.schedulerEvents {
        case .works: findings.append(.init("profile --off-cpu", "works (scheduler tracepoints)"))
        case .missing: findings.append(.init("profile --off-cpu", "not available: perf is not installed", install("linux-perf")))
        case .fails(let reason):
            let remedy = readings.tracefs == nil ? "mount -t tracefs tracefs /sys/kernel/tracing" : readings.isRoot ? nil : "run it as root"
            findings.append(.init("profile --off-cpu", "not available: \(reason)", remedy))
        }
        if let place = readings.tracefs {
            findings.append(.init("tracefs", readings.isTracefsReadable ? "\(place)" : "\(place), not readable", readings.isTracefsReadable ? nil : "run it as root"))
        } else {
            findings.append(.init("tracefs", "not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"))
        }
        return findings
    }

    private static func probes(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        let uprobes = InstrumentFinding("uprobes", readings.hasUprobes ? "the kernel has them" : "the kernel has none (CONFIG_UPROBE_EVENTS)")
        switch readings.probes {
        case .works: return [.init("profile --probes", "works (\(readings.bpftraceVersion ?? "bpftrace"))"), uprobes]
        case .missing: return [.init("profile --probes", "not available: bpftrace is not installed", install("bpftrace")), uprobes]
        case .fails(let reason): return [.init("profile --probes", "not available: \(reason)", readings.isRoot ? nil : "run it as root"), uprobes]
        }
    }

    private static func heap(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        let names = readings.programs["nm"] != nil
        switch readings.heapProfiling {
        case nil: return [.init("profile --heap", "not available: the allocator is not jemalloc")]
        case false?: return [.init("profile --heap", "not available: this jemalloc was built without profiling", install("libjemalloc2") + ", or jemalloc configured with --enable-prof")]
        case true?: return [names ? .init("profile --heap", "works (jemalloc)") : .init("profile --heap", "not available: nm is not installed", install("binutils"))]
        }
    }

    private static func syscalls(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        var findings: [InstrumentFinding] = []
        switch (readings.schedulerEvents, readings.strace) {
        case (.works, _): findings.append(.init("profile --syscalls", "works (tracepoints)"))
        case (_, .works): findings.append(.init("profile --syscalls", "works (strace, which costs a run much; with tracepoints it would cost little)"))
        case (_, .missing): findings.append(.init("profile --syscalls", "not available: no tracepoints, and strace is not installed", install("strace")))
        case (_, .fails(let reason)): findings.append(.init("profile --syscalls", "not available: no tracepoints, and \(reason)", "sysctl kernel.yama.ptrace_scope=1"))
        }
        if let scope = readings.ptraceScope {
            let texts = ["any own process", "children only; root any", "root only", "nobody"]
            let isOpen = scope == 0 || readings.isRoot && scope < 3
            findings.append(
                .init("ptrace (gdb, strace)", "yama scope \(scope): \(texts[min(max(scope, 0), 3)])", isOpen ? nil : scope < 3 ? "sysctl kernel.yama.ptrace_scope=0" : nil))
        }
        return findings
    }

    private static func others(_ readings: InstrumentReadings) -> [InstrumentFinding] {
        let programs: [(name: String, program: String)] = [("scripts/count (callgrind)", "valgrind"), ("gdb", "gdb")]
        return programs.map { name, program -> InstrumentFinding in
            guard readings.programs[program] == nil else { return InstrumentFinding(name, "works") }
            return InstrumentFinding(name, "not available: \(program) is not installed", install(program))
        }
    }
}
