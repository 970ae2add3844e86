import Foundation
import Gauge
import Report
import Testing

/// What bpftrace writes, as counts, tables and comparisons.
struct ProbeCountsTests {
    private let answers = """
        {"type": "attached_probes", "data": {"probes": 45}}

        {"type": "map", "data": {"@n_write": {"10,1": 7, "11,2": 9, "99,1": 1000}}}
        {"type": "map", "data": {"@sum_write": {"10,1": 700, "11,2": -1}}}
        {"type": "map", "data": {"@n_data_frame_sent": {"10,1": 60}}}
        {"type": "map", "data": {"@n_data_frame_taken_back": {"10,1": 4}}}
        {"type": "hist", "data": {"@frames_per_write": {"10,1": [{"min": 0, "max": 0, "count": 1}, {"min": 4, "max": 7, "count": 6}]}}}
        {"type": "map", "data": {"@stalls_by_stream": {"11,2,140000,3": 2, "11,2,140000,5": 1}}}
        {"type": "map", "data": {"@stalled_ns_by_stream": {"11,2,140000,3": 1500000, "11,2,140000,5": 2500000}}}
        """

    @Test func sidesAreToldApartAndOthersLeftOut() throws {
        let counts = try ProbeCounts(answers, processes: [10, 11])
        #expect(counts.count("write", .client) == 7 && counts.count("write", .server) == 9)
        #expect(counts.sum("write", .client) == 700 && counts.sum("read", .client) == nil && counts.count("read", .client) == 0)
        #expect(counts.histogram("frames_per_write", .client).map(\.count) == [1, 6])
        #expect(counts.stalledStreams.map(\.stream) == [5, 3] && counts.stalledStreams.first?.nanoseconds == 2_500_000)
        #expect(try ProbeCounts("", processes: [10]).isEmpty)
    }

    @Test func aLineThatIsNoObjectIsNamed() throws {
        let error = #expect(throws: ProbeCountsError.self) { try ProbeCounts("\n{\"type\": \"map\", ", processes: []) }
        #expect(error.map { "\($0)".contains("{\"type\": \"map\"") } == true)
    }

    @Test func theRecordsCountersStandBeside() throws {
        var figures = RunFigures()
        figures.messages = 100
        figures.framesSent.client = .value(56)
        figures.syscalls = BothSides(client: .value(["sendmsg": 7]), server: .value(["sendmsg": 8]))
        let tables = ProbeTables(try ProbeCounts(answers, processes: [10, 11]), figures)
        #expect(tables.comparisons.map { $0.record == $0.probes } == [true, true, false], "\(tables.comparisons)")
        #expect(tables.markdown.contains("DIFFERENT") && tables.markdown.contains("| sendmsg | client | 7 | 7 | the same |"), "\(tables.markdown)")
    }
}

/// Readings of a machine, as findings and what would help.
struct InstrumentFindingTests {
    private func finding(_ name: String, _ change: (inout InstrumentReadings) -> Void) -> InstrumentFinding? {
        var readings = InstrumentReadings()
        change(&readings)
        return InstrumentFinding.all(readings).first { $0.name == name }
    }

    @Test func whatIsMissingHasARemedy() {
        for name in ["profile --cpu", "profile --off-cpu", "profile --probes", "scripts/count (callgrind)", "gdb"] {
            #expect(finding(name) { _ in }?.remedy?.hasPrefix("apt-get install ") == true, "\(name)")
        }
        #expect(finding("tracefs") { _ in }?.remedy == "mount -t tracefs tracefs /sys/kernel/tracing")
        #expect(finding("profile --heap") { $0.heapProfiling = true }?.remedy == "apt-get install binutils")
        #expect(finding("profile --syscalls") { _ in }?.remedy == "apt-get install strace")
    }

    @Test func whatWorksHasNone() {
        #expect(finding("profile --cpu") { ($0.perfClock, $0.perfVersion) = (.works, "perf version 6.1") } == InstrumentFinding("profile --cpu", "works (perf version 6.1)"))
        #expect(finding("profile --probes") { ($0.probes, $0.bpftraceVersion) = (.works, "bpftrace v1") } == InstrumentFinding("profile --probes", "works (bpftrace v1)"))
        #expect(finding("profile --syscalls") { $0.schedulerEvents = .works } == InstrumentFinding("profile --syscalls", "works (tracepoints)"))
        #expect(finding("profile --syscalls") { $0.strace = .works }?.finding.contains("works (strace") == true)
        #expect(finding("perf_event_paranoid") { ($0.perfEventParanoid, $0.isRoot) = (2, true) }?.remedy == nil)
        #expect(finding("kernel symbols") { $0.kptrRestrict = 0 }?.remedy == nil)
    }

    @Test func settingsSayWhatTheyMean() {
        let paranoid = finding("perf_event_paranoid") { $0.perfEventParanoid = 2 }
        #expect(paranoid?.finding.contains("no kernel stacks") == true && paranoid?.remedy == "sysctl kernel.perf_event_paranoid=1")
        #expect(finding("ptrace (gdb, strace)") { $0.ptraceScope = 1 }?.remedy == "sysctl kernel.yama.ptrace_scope=0")
        #expect(finding("hardware cycles") { ($0.perfClock, $0.perfCycles) = (.works, .fails("not supported")) }?.finding.contains("not supported") == true)
    }

    @Test func filesOfAMachineAreRead() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("instruments-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        func plant(_ path: String, _ text: String) throws {
            let url = URL(fileURLWithPath: root + path)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        #expect(InstrumentReadings(root: root) == InstrumentReadings())
        try plant("/proc/sys/kernel/perf_event_paranoid", "3\n")
        try plant("/proc/sys/kernel/yama/ptrace_scope", "2\n")
        try plant("/proc/mounts", "proc /proc proc rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n")
        try plant("/sys/bus/event_source/devices/uprobe/type", "9\n")
        let bare = InstrumentReadings(root: root)
        #expect(bare.perfEventParanoid == 3 && bare.ptraceScope == 2 && bare.kptrRestrict == nil && bare.hasUprobes)
        #expect(bare.tracefs == "/sys/kernel/tracing" && !bare.isTracefsReadable)
        try plant("/sys/kernel/tracing/events/sched/enable", "0\n")
        #expect(InstrumentReadings(root: root).isTracefsReadable)
    }
}
