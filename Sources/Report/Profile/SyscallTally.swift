/// One system call that a tool saw.
public struct SyscallCall: Equatable, Sendable {
    public var name: String
    /// Who made it: a process where the tool tells of processes, else a thread.
    public var taskID: Int32
    /// When it began, by the tool's clock.
    public var began_ns: UInt64
    /// Nil where the tool did not see its end.
    public var duration_ns: UInt64?
    /// What it returned; below zero for an error. Nil where the tool did not see it.
    public var result: Int64?

    public init(name: String, taskID: Int32, began_ns: UInt64, duration_ns: UInt64?, result: Int64?) {
        self.name = name
        self.taskID = taskID
        self.began_ns = began_ns
        self.duration_ns = duration_ns
        self.result = result
    }
}

/// Calls added up by who made them and by name.
public struct SyscallTally: Equatable, Sendable {
    /// The calls of one name.
    public struct Row: Equatable, Sendable {
        public var calls: UInt64 = 0
        /// How many of them ended while the tool looked.
        public var timed: UInt64 = 0
        public var total_ns: UInt64 = 0
        /// How many moved bytes, and how many bytes.
        public var transfers: UInt64 = 0
        public var bytes: UInt64 = 0

        mutating func add(_ other: Row) {
            calls += other.calls
            timed += other.timed
            total_ns += other.total_ns
            transfers += other.transfers
            bytes += other.bytes
        }
    }

    /// Calls that return how many bytes they moved.
    private static let transfers: Set<String> = [
        "read", "write", "readv", "writev", "pread64", "pwrite64", "recvfrom", "recvmsg", "sendto", "sendmsg", "sendfile", "splice",
    ]

    private var rows: [Int32: [String: Row]] = [:]

    public init() {}

    public mutating func add(_ call: SyscallCall) {
        var row = Row(calls: 1)
        if let duration = call.duration_ns { (row.timed, row.total_ns) = (1, duration) }
        if let result = call.result, result > 0, Self.transfers.contains(call.name) { (row.transfers, row.bytes) = (1, UInt64(result)) }
        rows[call.taskID, default: [:]][call.name, default: Row()].add(row)
    }

    /// The calls of the tasks that `isWanted` says yes to, by name.
    public func byName(where isWanted: (Int32) -> Bool) -> [String: Row] {
        var sums: [String: Row] = [:]
        for (task, names) in rows where isWanted(task) {
            for (name, row) in names { sums[name, default: Row()].add(row) }
        }
        return sums
    }
}
