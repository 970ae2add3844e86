import CKernel
import Glibc

/// What another process has used so far, read from outside: it need not cooperate.
public struct OtherProcess: Sendable {
    public let processID: Int32

    /// - Parameter processID: of a process on this machine, with all its threads.
    public init(processID: Int32) { self.processID = processID }

    /// User and system time of all its threads, those that have ended included; to the nanosecond.
    public func processorNanoseconds() -> Measured<UInt64> {
        do throws(Errno) {
            var nanoseconds: UInt64 = 0
            _ = try syscall("clock_getcpuclockid \(processID)") { unsafe ck_process_clock(processID, &nanoseconds) }
            return .value(nanoseconds)
        } catch {
            return .unavailable(reason: "\(error)")
        }
    }

    /// User and system time by the clock's ticks (10 ms as a rule): to tell how the two share ``processorNanoseconds()``.
    public func processorTicks() -> Measured<(user: UInt64, system: UInt64)> {
        do throws(Errno) {
            let text = try readSmallFile("/proc/\(processID)/stat")
            // The name in parentheses may hold blanks and parentheses of its own.
            let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
            guard fields.count > 13, let user = UInt64(fields[12]), let system = UInt64(fields[13]) else {
                return .unavailable(reason: "/proc/\(processID)/stat has an unknown form")
            }
            return .value((user, system))
        } catch {
            return .unavailable(reason: "\(error)")
        }
    }

    /// Memory that it has in use, in bytes; pages that it shares with others are counted whole.
    public func residentBytes() -> Measured<UInt64> {
        do throws(Errno) { return ProcessUsage.residentBytes(in: try readSmallFile("/proc/\(processID)/statm")) } catch {
            return .unavailable(reason: "\(error)")
        }
    }

    /// The most that it had in use so far, in bytes.
    public func residentPeakBytes() -> Measured<UInt64> {
        do throws(Errno) { return ProcessUsage.residentPeakBytes(in: try readSmallFile("/proc/\(processID)/status")) } catch {
            return .unavailable(reason: "\(error)")
        }
    }

    /// System calls of the read(2) and write(2) family so far; recv(2), send(2) and their like are not among them.
    public func readAndWriteCalls() -> Measured<(reads: UInt64, writes: UInt64)> {
        do throws(Errno) {
            let lines = try readSmallFile("/proc/\(processID)/io").split(separator: "\n")
            func count(_ name: String) -> UInt64? { lines.lazy.filter { $0.hasPrefix(name) }.compactMap { UInt64($0.dropFirst(name.count)) }.first }
            guard let reads = count("syscr: "), let writes = count("syscw: ") else {
                return .unavailable(reason: "/proc/\(processID)/io has no count of calls")
            }
            return .value((reads, writes))
        } catch {
            return .unavailable(reason: "\(error)")
        }
    }
}
