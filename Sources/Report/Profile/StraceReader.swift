/// Reads what `strace -f -ttt -T` writes, a line at a time.
///
/// It tells of threads only; which process a thread belongs to is known from the calls that made threads, ``processID(of:)``, when all has been read.
public struct StraceReader: Sendable {
    private struct Open {
        var name: String
        var time_ns: UInt64
        var text: String
    }

    private var open: [Int32: Open] = [:]
    private var makers: [Int32: Int32] = [:]
    /// Lines that are none of the expected.
    public private(set) var unreadableLines = 0

    public init() {}

    /// - Returns: the call that ends with this line, with its thread; nil when none does.
    public mutating func read(_ line: some StringProtocol) -> SyscallCall? {
        let words = line.split(separator: " ", maxSplits: 2)
        guard !words.isEmpty else { return nil }
        guard words.count == 3, let thread = Int32(words[0]), let time = Self.nanoseconds(words[1]) else {
            unreadableLines += 1
            return nil
        }
        let rest = String(words[2].drop { $0 == " " })
        // Signals, and ends of threads.
        if rest.hasPrefix("---") || rest.hasPrefix("+++") { return nil }
        if rest.hasPrefix("<... ") {
            guard let begun = open.removeValue(forKey: thread) else { return nil }
            return call(begun.name, thread, begun.time_ns, begun.text + rest)
        }
        guard let bracket = rest.firstIndex(of: "(") else {
            unreadableLines += 1
            return nil
        }
        let name = String(rest[..<bracket])
        if rest.hasSuffix("<unfinished ...>") {
            open[thread] = Open(name: name, time_ns: time, text: rest)
            return nil
        }
        return call(name, thread, time, rest)
    }

    /// The calls that have not ended.
    public mutating func finish() -> [SyscallCall] {
        defer { open = [:] }
        return open.map { SyscallCall(name: $1.name, taskID: $0, began_ns: $1.time_ns, duration_ns: nil, result: nil) }
    }

    /// The process that a thread belongs to, by the threads that made it and its makers.
    public func processID(of thread: Int32) -> Int32 {
        var (task, steps) = (thread, 0)
        while let maker = makers[task], steps < 64 { (task, steps) = (maker, steps + 1) }
        return task
    }

    private mutating func call(_ name: String, _ thread: Int32, _ time: UInt64, _ text: String) -> SyscallCall {
        var rest = Substring(text)
        var duration: UInt64?
        if rest.hasSuffix(">"), let open = rest.lastIndex(of: "<") {
            duration = Self.nanoseconds(rest[rest.index(after: open)...].dropLast())
            rest = rest[..<open]
        }
        // The last equals sign between blanks comes before the result.
        let words = rest.split(separator: " ")
        let result = words.lastIndex(of: "=").flatMap { $0 + 1 < words.count ? Int64(words[$0 + 1]) : nil }
        if name.hasPrefix("clone"), text.contains("CLONE_THREAD"), let made = result.flatMap({ Int32(exactly: $0) }), made > 0 { makers[made] = thread }
        return SyscallCall(name: name, taskID: thread, began_ns: time, duration_ns: duration, result: result)
    }

    /// Seconds with six or nine digits behind the point.
    private static func nanoseconds(_ text: some StringProtocol) -> UInt64? {
        let parts = text.split(separator: ".")
        guard parts.count == 2, (1...9).contains(parts[1].utf8.count), let seconds = UInt64(parts[0]), var fraction = UInt64(parts[1]) else { return nil }
        for _ in parts[1].utf8.count..<9 { fraction *= 10 }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : whole &+ fraction
    }
}
