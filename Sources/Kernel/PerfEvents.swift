import CKernel
import Glibc

/// The value of one counter, or why there is none.
public struct PerfReading: Equatable, Sendable {
    public let name: String
    public let value: Measured<UInt64>
    /// What must be known to read the value right, such as that kernel work is not in it; nil when there is nothing.
    public let note: String?
}

/// The processor's and the kernel's counters for this process (perf_event_open): cycles, instructions and cache misses where the machine
/// shows them, and the kernel's own software events.
///
/// Call order: make it early (threads that start later are counted, threads that already run are not), ``start()``, ``stop()``, ``read()``.
@safe public final class PerfEvents {
    private struct Counter {
        let name: String
        let descriptor: Int32
        let failure: String?
        let note: String?
    }

    private let counters: [Counter]

    public init() {
        let hardware: [(String, perf_hw_id)] = [
            ("cycles", PERF_COUNT_HW_CPU_CYCLES), ("instructions", PERF_COUNT_HW_INSTRUCTIONS),
            ("cache-misses", PERF_COUNT_HW_CACHE_MISSES),
        ]
        let software: [(String, perf_sw_ids)] = [
            ("task-clock", PERF_COUNT_SW_TASK_CLOCK), ("context-switches", PERF_COUNT_SW_CONTEXT_SWITCHES),
            ("page-faults", PERF_COUNT_SW_PAGE_FAULTS), ("cpu-migrations", PERF_COUNT_SW_CPU_MIGRATIONS),
        ]
        counters =
            hardware.map { Self.open($0.0, type: PERF_TYPE_HARDWARE.rawValue, event: UInt64($0.1.rawValue)) }
            + software.map { Self.open($0.0, type: PERF_TYPE_SOFTWARE.rawValue, event: UInt64($0.1.rawValue)) }
    }

    deinit {
        for counter in counters where counter.descriptor >= 0 { _ = close(counter.descriptor) }
    }

    private static func open(_ name: String, type: UInt32, event: UInt64) -> Counter {
        do throws(Errno) {
            return Counter(name: name, descriptor: try open(type, event, withoutKernel: 0), failure: nil, note: nil)
        } catch {
            guard error.code == EACCES || error.code == EPERM else {
                return Counter(name: name, descriptor: -1, failure: reason(for: error, type: type), note: nil)
            }
        }
        // Unprivileged processes may often count their own user-side work only.
        do throws(Errno) {
            let descriptor = try open(type, event, withoutKernel: 1)
            return Counter(name: name, descriptor: descriptor, failure: nil, note: "user side only: perf_event_paranoid forbids the kernel side")
        } catch {
            return Counter(name: name, descriptor: -1, failure: reason(for: error, type: type), note: nil)
        }
    }

    private static func open(_ type: UInt32, _ event: UInt64, withoutKernel: Int32) throws(Errno) -> Int32 {
        try syscall("perf_event_open") { ck_perf_event_open(type, event, withoutKernel) }
    }

    private static func reason(for error: Errno, type: UInt32) -> String {
        switch error.code {
        case ENOENT, ENODEV, EOPNOTSUPP:
            type == PERF_TYPE_HARDWARE.rawValue
                ? "this machine shows no hardware counters (common in virtual machines)" : "the kernel does not have this event"
        case EACCES, EPERM: "forbidden: see /proc/sys/kernel/perf_event_paranoid, or the container's seccomp filter"
        case ENOSYS: "the kernel was built without perf events"
        default: error.description
        }
    }

    /// Sets the counters to zero and lets them run.
    public func start() {
        for counter in counters where counter.descriptor >= 0 {
            _ = ck_perf_event_reset(counter.descriptor)
            _ = ck_perf_event_enable(counter.descriptor)
        }
    }

    public func stop() {
        for counter in counters where counter.descriptor >= 0 { _ = ck_perf_event_disable(counter.descriptor) }
    }

    /// All counters, those that could not be opened included.
    public func read() -> [PerfReading] {
        counters.map { counter in
            if let failure = counter.failure {
                return PerfReading(name: counter.name, value: .unavailable(reason: failure), note: nil)
            }
            return PerfReading(name: counter.name, value: Self.value(of: counter.descriptor), note: counter.note)
        }
    }

    /// The count, scaled up when the kernel had to share the hardware between more events than it has counters.
    private static func value(of descriptor: Int32) -> Measured<UInt64> {
        var fields: (count: UInt64, enabled: UInt64, running: UInt64) = (0, 0, 0)
        do throws(Errno) {
            _ = try syscall("read") { unsafe withUnsafeMutableBytes(of: &fields) { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) } }
        } catch {
            return .unavailable(reason: error.description)
        }
        if fields.running == fields.enabled { return .value(fields.count) }
        guard fields.running > 0 else { return .unavailable(reason: "the counter never got its turn on the hardware") }
        return .value(UInt64(Double(fields.count) * Double(fields.enabled) / Double(fields.running)))
    }
}
