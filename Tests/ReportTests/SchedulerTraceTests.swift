import Testing

@testable import Report

@Suite struct SchedulerTraceTests {
    private var trace = SchedulerTrace(window: 100..<200, processes: [7], isWanted: { $0.hasPrefix("client-") })

    private mutating func leave(_ time: UInt64, _ state: String, _ name: String = "client-0", thread: Int32 = 8, process: Int32 = 7) {
        trace.take(PerfSample(
            thread: name, processID: process, threadID: thread, time_ns: time, event: "sched:sched_switch",
            fields: "prev_comm=\(name) prev_pid=\(thread) prev_prio=120 prev_state=\(state) ==> next_comm=swapper/0 next_pid=0 next_prio=120",
            frames: [PerfFrame(symbol: "wait", object: "[kernel.kallsyms]")]))
    }

    private mutating func arrive(_ time: UInt64, _ name: String = "client-0", thread: Int32 = 8) {
        trace.take(PerfSample(
            thread: "swapper", processID: 0, threadID: 0, time_ns: time, event: "sched:sched_switch",
            fields: "prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=\(name) next_pid=\(thread) next_prio=120", frames: []))
    }

    private mutating func wake(_ time: UInt64, _ name: String = "client-0", thread: Int32 = 8) {
        trace.take(PerfSample(
            thread: "server-0", processID: 9, threadID: 9, time_ns: time, event: "sched:sched_waking", fields: "comm=\(name) pid=\(thread) prio=120 target_cpu=000", frames: []))
    }

    private mutating func only() throws -> ThreadStates {
        let threads = trace.finish()
        try #require(threads.count == 1)
        let states = threads[0].states
        #expect(states.running_ns + states.ready_ns + states.blocked_ns == 100, "shares add up to the window")
        #expect(threads[0].blocked.total == states.blocked_ns)
        return states
    }

    @Test mutating func wokenThenRunning() throws {
        leave(110, "S")
        wake(130)
        wake(131)
        arrive(137)
        leave(150, "S")
        wake(151)
        arrive(152)
        let states = try only()
        #expect(states.blocked_ns == 20 + 1)
        #expect(states.ready_ns == 7 + 1)
        #expect(states.running_ns == 10 + 13 + 48)
        #expect(states.waits == 2 && states.preemptions == 0)
    }

    /// A core that was idle: the tracepoint is silent, perf's record is not. The text is perf's.
    @Test mutating func recordsOfSwitchesTellToo() throws {
        leave(110, "S")
        wake(130)
        var reader = PerfScriptReader()
        let text = """
            client-0     7/8     [001]     0.000000137: PERF_RECORD_SWITCH_CPU_WIDE IN           prev pid/tid:     0/0
            client-0     7/8     [001]     0.000000150: PERF_RECORD_SWITCH_CPU_WIDE OUT          next pid/tid:     0/0

            """
        reader.read(text.utf8) { trace.take($0) }
        reader.finish { trace.take($0) }
        let states = try only()
        #expect((states.running_ns, states.ready_ns, states.blocked_ns) == (10 + 63, 7, 20))
        #expect(reader.unreadableLines == 0 && trace.unreadableEvents == 0)
    }

    @Test mutating func preemptedIsReady() throws {
        leave(120, "R+")
        arrive(150)
        let states = try only()
        #expect((states.running_ns, states.ready_ns, states.blocked_ns) == (70, 30, 0))
        #expect(states.preemptions == 1)
    }

    /// The waking came just before it was off its core.
    @Test mutating func wokenOnTheWayOutIsReady() throws {
        leave(50, "S")
        wake(60)
        arrive(70)
        wake(119)
        leave(120, "S")
        arrive(125)
        #expect(try only().ready_ns == 5)
    }

    @Test mutating func whatTheWindowCutsIsCut() throws {
        leave(50, "S")
        wake(110)
        arrive(120)
        leave(190, "D")
        let states = try only()
        #expect((states.running_ns, states.ready_ns, states.blocked_ns) == (70, 10, 20))
        #expect(states.waits == 1)
    }

    @Test mutating func aWaitBeyondTheWindowIsBlocked() throws {
        leave(150, "S")
        wake(250)
        arrive(260)
        #expect(try only().blocked_ns == 50)
    }

    @Test mutating func firstMetOnTheWayIn() throws {
        arrive(140)
        leave(180, "S")
        #expect(try only().running_ns == 40)
    }

    @Test mutating func othersAreLeftOut() throws {
        leave(150, "S", "client-0", thread: 20, process: 21)
        leave(150, "S", "main", thread: 22)
        trace.take(PerfSample(thread: "x", processID: 7, threadID: 8, time_ns: 1, event: "sched:sched_switch", fields: "prev_comm=", frames: []))
        #expect(trace.finish().isEmpty)
        #expect(trace.unreadableEvents == 1)
    }
}
