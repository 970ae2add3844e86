import FoundationEssentials
import Testing

@testable import Gauge

/// A directory of its own that stands for `/` or for a checkout.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/gauge-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to file: String) throws {
        let target = path + "/" + file
        let directory = String(target[..<(target.lastIndex(of: "/") ?? target.endIndex)])
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: target))
    }
}

@Suite struct EnvironmentTests {
    @Test func readsTheMachine() throws {
        let root = try TemporaryDirectory()
        try root.write("6.18.1-test\n", to: "proc/sys/kernel/osrelease")
        try root.write("processor\t: 0\nmodel name\t: Some  CPU 9000\nflags\t\t: fpu sse hypervisor avx\n", to: "proc/cpuinfo")
        try root.write("MemTotal:        3999999 kB\nMemFree: 1 kB\n", to: "proc/meminfo")
        try root.write("Name:\tx\nCpus_allowed_list:\t0-1,3\n", to: "proc/self/status")
        try root.write("0-3\n", to: "sys/devices/system/cpu/online")
        try root.write("performance\n", to: "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        try root.write("QEMU\n", to: "sys/class/dmi/id/sys_vendor")
        try root.write("4096\t131072\t6291456\n", to: "proc/sys/net/ipv4/tcp_rmem")
        let machine = Environment.current(allocator: "jemalloc", ioBackend: "epoll", commit: "abc", root: root.path)
        #expect(machine.kernel == .value("6.18.1-test"))
        #expect(machine.cpuModel == .value("Some CPU 9000"))
        #expect(machine.memoryBytes == .value(3_999_999 * 1024))
        #expect(machine.cores == 4 && machine.coresAllowed == 3)
        #expect(machine.governor == .value("performance"))
        #expect(machine.hypervisor == .value("a hypervisor (QEMU)"))
        #expect(machine.sysctls["net.ipv4.tcp_rmem"] == .value("4096 131072 6291456"))
        #expect(machine.sysctls["net.core.rmem_max"] == .unavailable("/proc/sys/net/core/rmem_max does not exist"))
        #expect(machine.commit == .value("abc"))
        #expect(machine.machineLine.hasPrefix("Some CPU 9000, 4 cores, 3.81 GiB, Linux 6.18.1-test on a hypervisor (QEMU), Swift "))
    }

    @Test func whatIsMissingHasAReason() {
        let machine = Environment.current(allocator: "glibc", ioBackend: "epoll", commit: "abc", root: "/does/not/exist")
        #expect(machine.kernel.reason == "/proc/sys/kernel/osrelease does not exist")
        #expect(machine.cores.reason != nil && machine.memoryBytes.reason != nil && machine.cpuModel.reason != nil)
        #expect(machine.sysctls.count == Environment.sysctlNames.count)
    }

    @Test func malformedFilesHaveAReason() throws {
        let root = try TemporaryDirectory()
        try root.write("", to: "proc/sys/kernel/osrelease")
        try root.write("MemTotal: lots kB\n", to: "proc/meminfo")
        try root.write("3-1\n", to: "sys/devices/system/cpu/online")
        let machine = Environment.current(allocator: "glibc", ioBackend: "epoll", commit: "abc", root: root.path)
        #expect(machine.kernel.reason == "/proc/sys/kernel/osrelease is empty")
        #expect(machine.memoryBytes.reason == "/proc/meminfo holds no number")
        #expect(machine.cores.reason == "/sys/devices/system/cpu/online holds no number")
    }

    @Test func thisMachineIsRead() {
        let machine = Environment.current(allocator: "glibc", ioBackend: "epoll")
        #expect(machine.kernel.value != nil && (machine.coresAllowed.value ?? 0) > 0 && (machine.memoryBytes.value ?? 0) > 0)
    }

    @Test func processorLists() {
        #expect(MachineFiles.countOfList("0") == 1 && MachineFiles.countOfList("0-3,8,10-11") == 7)
        for text in ["", "a", "1-", "1-2-3", "3-1"] { #expect(MachineFiles.countOfList(text) == nil, "\(text)") }
    }

    @Test func commitFromACheckout() throws {
        let checkout = try TemporaryDirectory()
        #expect(GitCheckout(directory: checkout.path).commit.reason == "not run from a git checkout")
        try checkout.write("ref: refs/heads/main\n", to: ".git/HEAD")
        #expect(GitCheckout(directory: checkout.path).commit.reason == "refs/heads/main has no commit yet")
        try checkout.write("# pack-refs\n1111 refs/heads/other\n2222 refs/heads/main\n", to: ".git/packed-refs")
        #expect(GitCheckout(directory: checkout.path).commit == .value("2222"))
        try checkout.write("3333\n", to: ".git/refs/heads/main")
        try checkout.write("", to: "a/b/file")
        #expect(GitCheckout(directory: checkout.path + "/a/b").commit == .value("3333"))
        try checkout.write("4444\n", to: ".git/HEAD")
        #expect(GitCheckout(directory: checkout.path).commit == .value("4444"))
    }

    @Test func commitFromALinkedWorkTree() throws {
        let checkout = try TemporaryDirectory()
        try checkout.write("gitdir: ../main/.git/worktrees/w\n", to: "w/.git")
        try checkout.write("ref: refs/heads/topic\n", to: "main/.git/worktrees/w/HEAD")
        try checkout.write("../..\n", to: "main/.git/worktrees/w/commondir")
        try checkout.write("5555\n", to: "main/.git/refs/heads/topic")
        #expect(GitCheckout(directory: checkout.path + "/w").commit == .value("5555"))
    }
}
