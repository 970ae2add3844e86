import CKernel
import Glibc

/// What the process, or one thread, has used so far.
public struct ProcessUsage: Equatable, Sendable {
    public var userNanoseconds: UInt64
    public var systemNanoseconds: UInt64
    /// The thread gave up the processor to wait.
    public var voluntarySwitches: UInt64
    /// The scheduler took the processor away.
    public var involuntarySwitches: UInt64
    /// Page faults that needed no disk.
    public var minorFaults: UInt64
    /// Page faults that needed a disk.
    public var majorFaults: UInt64
    /// Memory in use now and at most; of the process in both readings.
    public var residentBytes: Measured<UInt64>
    /// The most so far.
    public var residentPeakBytes: Measured<UInt64>

    /// User and system time together.
    public var processorNanoseconds: UInt64 { userNanoseconds &+ systemNanoseconds }

    /// The whole process.
    public static func now() -> ProcessUsage {
        var usage = rusage()
        unsafe _ = ck_process_usage(&usage)
        return ProcessUsage(usage)
    }

    /// The calling thread.
    public static func currentThread() -> ProcessUsage {
        var usage = rusage()
        unsafe _ = ck_thread_usage(&usage)
        return ProcessUsage(usage)
    }

    private init(_ usage: rusage) {
        func nanoseconds(_ time: timeval) -> UInt64 {
            UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_usec) &* 1000
        }
        userNanoseconds = nanoseconds(usage.ru_utime)
        systemNanoseconds = nanoseconds(usage.ru_stime)
        voluntarySwitches = UInt64(usage.ru_nvcsw)
        involuntarySwitches = UInt64(usage.ru_nivcsw)
        minorFaults = UInt64(usage.ru_minflt)
        majorFaults = UInt64(usage.ru_majflt)
        residentBytes = Self.readResidentBytes()
        residentPeakBytes = Self.readResidentPeakBytes()
    }

    /// VmHWM: getrusage's maximum would include the program that started this one.
    private static func readResidentPeakBytes() -> Measured<UInt64> {
        do throws(Errno) { return residentPeakBytes(in: try readSmallFile("/proc/self/status")) } catch {
            return .unavailable(reason: "/proc/self/status: \(error)")
        }
    }

    private static func readResidentBytes() -> Measured<UInt64> {
        do throws(Errno) { return residentBytes(in: try readSmallFile("/proc/self/statm")) } catch {
            return .unavailable(reason: "/proc/self/statm: \(error)")
        }
    }

    /// - Parameter status: of a process, as proc(5) has it.
    static func residentPeakBytes(in status: String) -> Measured<UInt64> {
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            if let kibibytes = UInt64(line.dropFirst(6).filter { $0.isWholeNumber }) { return .value(kibibytes &* 1024) }
        }
        return .unavailable(reason: "the process's status has no VmHWM")
    }

    /// - Parameter statm: of a process; its second number is what is resident, in pages.
    static func residentBytes(in statm: String) -> Measured<UInt64> {
        let fields = statm.split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return .unavailable(reason: "the process's statm has an unknown form") }
        return .value(pages &* UInt64(sysconf(Int32(_SC_PAGESIZE))))
    }
}

/// The content of a file of at most 64 KiB, such as those under /proc and /sys.
public func readSmallFile(_ path: String) throws(Errno) -> String {
    let descriptor = try syscall("open \(path)") { unsafe open(path, O_RDONLY | O_CLOEXEC) }
    defer { _ = close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 65536)
    var used = 0
    while used < bytes.count {
        let count = try syscall("read \(path)") {
            unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress?.advanced(by: used), $0.count - used) }
        }
        if count == 0 { break }
        used += count
    }
    return String(decoding: bytes[..<used], as: UTF8.self)
}
