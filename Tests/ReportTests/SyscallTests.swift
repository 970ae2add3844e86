import Gauge
import Testing

@testable import Report

/// What tools write of system calls, and the table that is made of it.
@Suite struct SyscallTests {
    /// As perf 6.1 writes it.
    private let perf = """
             server-0 18096/18100 56346.759022854: raw_syscalls:sys_enter: NR 45 (9, 7fa253e86000, 40000, 0, 0, 0)
             server-0 18096/18100 56346.759030255:  raw_syscalls:sys_exit: NR 45 = 32
          my thread 1 18087/18095 56346.760000000: raw_syscalls:sys_enter: NR 46 (9, 7fa253e86000, 40000, 0, 0, 0)
             server-0 18096/18100 56346.760000001: raw_syscalls:sys_enter: NR 45 (9, 7fa253e86000, 40000, 0, 0, 0)
             server-0 18096/18100 56346.760000101:  raw_syscalls:sys_exit: NR 45 = -11
          my thread 1 18087/18095 56346.760002000:  raw_syscalls:sys_exit: NR 46 = 1088
             client-0 18087/18089 56346.761000000:  raw_syscalls:sys_exit: NR 441 = 1
             client-0 18087/18089 56346.762000000: raw_syscalls:sys_enter: NR 441 (5, 0, 0, 0, 0, 0)
             client-0 18087/18089 56346.763000000: PERF_RECORD_LOST lost 7
        what is this
        """

    #if arch(x86_64)
    @Test func perfIsRead() {
        var (reader, calls) = (PerfSyscallReader(), [SyscallCall]())
        for line in perf.split(separator: "\n") { if let call = reader.read(line) { calls.append(call) } }
        calls += reader.finish()
        #expect(calls == [
            SyscallCall(name: "recvfrom", taskID: 18096, began_ns: 56_346_759_022_854, duration_ns: 7401, result: 32),
            SyscallCall(name: "recvfrom", taskID: 18096, began_ns: 56_346_760_000_001, duration_ns: 100, result: -11),
            SyscallCall(name: "sendmsg", taskID: 18087, began_ns: 56_346_760_000_000, duration_ns: 2000, result: 1088),
            SyscallCall(name: "epoll_pwait2", taskID: 18087, began_ns: 56_346_762_000_000, duration_ns: nil, result: nil),
        ])
        #expect(reader.lostEvents == 7 && reader.unreadableLines == 1)
        #expect(SyscallNames.name(9999) == "number 9999")
    }
    #endif

    /// As strace 6.1 writes it.
    private let strace = """
        18177 1795683222.180748 clone3({flags=CLONE_VM|CLONE_THREAD, child_tid=0x7f327e1ff990} => {parent_tid=[18178]}, 88) = 18178 <0.000146>
        18178 1795683222.182489 clone3({flags=CLONE_VM|CLONE_THREAD, child_tid=0x7f327d9fe990, parent_tid=0x7f327d9fe990 <unfinished ...>
        18190 1795683222.443271 read(11,  <unfinished ...>
        18178 1795683222.443302 <... clone3 resumed> => {parent_tid=[18190]}, 88) = 18190 <0.000059>
        18190 1795683222.443474 <... read resumed>""..., 1) = 1 <0.000121>
        18177 1795683222.443510 recvfrom(9, 0x7f, 262144, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable) <0.000058>
        18177 1795683222.443600 --- SIGCHLD {si_signo=SIGCHLD} ---
        18178 1795683222.443700 exit_group(0) = ?
        18190 1795683222.443800 futex(0x7f, FUTEX_WAIT <unfinished ...>
        18178 1795683222.443900 +++ exited with 0 +++
        what is this
        """

    @Test func straceIsRead() {
        var (reader, calls) = (StraceReader(), [SyscallCall]())
        for line in strace.split(separator: "\n") { if let call = reader.read(line) { calls.append(call) } }
        calls += reader.finish()
        #expect(calls.map(\.name) == ["clone3", "clone3", "read", "recvfrom", "exit_group", "futex"])
        #expect(calls.map(\.taskID) == [18177, 18178, 18190, 18177, 18178, 18190])
        #expect(calls.map(\.result) == [18178, 18190, 1, -1, nil, nil])
        #expect(calls.map(\.duration_ns) == [146_000, 59_000, 121_000, 58_000, nil, nil])
        #expect(calls[2].began_ns == 1_795_683_222_443_271_000)
        #expect(reader.processID(of: 18190) == 18177 && reader.processID(of: 18178) == 18177 && reader.processID(of: 4) == 4)
        #expect(reader.unreadableLines == 1)
    }

    private func tally(_ calls: Int, _ name: String, result: Int64 = 100, each_ns: UInt64 = 2000) -> SyscallTally {
        var tally = SyscallTally()
        for number in 0..<calls { tally.add(SyscallCall(name: name, taskID: 1, began_ns: UInt64(number), duration_ns: each_ns, result: result)) }
        return tally
    }

    @Test func callsAreAddedUp() {
        var tally = tally(3, "recvfrom")
        tally.add(SyscallCall(name: "recvfrom", taskID: 1, began_ns: 9, duration_ns: nil, result: nil))
        tally.add(SyscallCall(name: "recvfrom", taskID: 1, began_ns: 9, duration_ns: 1000, result: -11))
        tally.add(SyscallCall(name: "recvfrom", taskID: 2, began_ns: 9, duration_ns: 1000, result: 7))
        let row = tally.byName { $0 == 1 }["recvfrom"]
        #expect(row == SyscallTally.Row(calls: 5, timed: 4, total_ns: 7000, transfers: 3, bytes: 300))
        #expect(tally.byName { _ in true }["recvfrom"]?.calls == 6 && tally.byName { $0 == 3 }.isEmpty)
    }

    @Test func tableTellsWhatDiffers() throws {
        let seen = tally(1000, "recvfrom").byName { _ in true }.merging(tally(10, "futex", each_ns: 5_000_000).byName { _ in true }) { $1 }
        let table = SyscallTable(seen: seen, counted: ["recv": 990, "write (eventfd)": 3], messages: 4000)
        #expect(table.lines.map(\.name) == ["futex", "recvfrom", "write"] && table.agrees)
        #expect(table.markdown.contains("| futex | 10 | 0.0025 | 50.0 ms | 5.00 ms | - | - | - |"), "\(table.markdown)")
        #expect(table.markdown.contains("| recvfrom | 1000 | 0.2500 | 2.00 ms | 2.00 us | 100 | 990 | +10 |"), "\(table.markdown)")
        #expect(table.markdown.contains("| write | 0 | 0.0000 | - | - | - | 3 | -3 |"), "\(table.markdown)")
        let other = SyscallTable(seen: seen, counted: ["recv": 1100], messages: 0)
        #expect(!other.agrees && other.lines.filter { !$0.agrees }.map(\.name) == ["recvfrom"])
        #expect(other.markdown.contains("| recvfrom | 1000 | - | 2.00 ms | 2.00 us | 100 | 1100 | -100 (differs) |"), "\(other.markdown)")
    }
}
