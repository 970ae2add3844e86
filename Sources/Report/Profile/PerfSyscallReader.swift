/// Reads what `perf script -F comm,pid,tid,time,event,trace` makes of `raw_syscalls:sys_enter` and `raw_syscalls:sys_exit`, a line at a time.
///
/// Call order: ``read(_:)`` for each line, ``finish()`` at the end.
public struct PerfSyscallReader: Sendable {
    private struct Open {
        var processID: Int32
        var number: Int
        var time_ns: UInt64
    }

    /// By thread.
    private var open: [Int32: Open] = [:]
    /// Events that the kernel had no room for.
    public private(set) var lostEvents: UInt64 = 0
    /// Lines that are none of the expected.
    public private(set) var unreadableLines = 0

    public init() {}

    /// - Returns: the call that ends with this line; nil when none does.
    public mutating func read(_ line: some StringProtocol) -> SyscallCall? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(where: { $0.hasPrefix("raw_syscalls:sys_") }) else {
            if let lost = words.firstIndex(where: { $0.hasPrefix("PERF_RECORD_LOST") }) {
                lostEvents += words[lost...].lazy.compactMap { UInt64($0) }.first ?? 1
            } else if !words.isEmpty {
                unreadableLines += 1
            }
            return nil
        }
        let isEnter = words[place].hasPrefix("raw_syscalls:sys_enter")
        guard place >= 2, words.count > place + (isEnter ? 2 : 4), let number = Int(words[place + 2]), let time = Self.nanoseconds(words[place - 1]),
            let tasks = Self.tasks(words[place - 2])
        else {
            unreadableLines += 1
            return nil
        }
        if isEnter {
            open[tasks.thread] = Open(processID: tasks.process, number: number, time_ns: time)
            return nil
        }
        // One that was under way when recording began has no beginning.
        guard let begun = open.removeValue(forKey: tasks.thread), begun.number == number else { return nil }
        return SyscallCall(
            name: SyscallNames.name(number), taskID: begun.processID, began_ns: begun.time_ns, duration_ns: time &- begun.time_ns, result: Int64(words[place + 4]))
    }

    /// The calls that have not ended.
    public mutating func finish() -> [SyscallCall] {
        defer { open = [:] }
        return open.values.map {
            SyscallCall(name: SyscallNames.name($0.number), taskID: $0.processID, began_ns: $0.time_ns, duration_ns: nil, result: nil)
        }
    }

    /// `1234/1235`: process and thread.
    private static func tasks(_ word: some StringProtocol) -> (process: Int32, thread: Int32)? {
        let parts = word.split(separator: "/")
        guard parts.count == 2, let process = Int32(parts[0]), let thread = Int32(parts[1]) else { return nil }
        return (process, thread)
    }

    /// `56346.303537418:`, with nine digits.
    private static func nanoseconds(_ word: some StringProtocol) -> UInt64? {
        let parts = word.dropLast().split(separator: ".")
        guard word.hasSuffix(":"), parts.count == 2, parts[1].utf8.count == 9, let seconds = UInt64(parts[0]), let fraction = UInt64(parts[1]) else { return nil }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : whole &+ fraction
    }
}
