/// System calls by name, and the bytes that went through them. A plain struct: whoever owns the descriptors owns one and
/// passes it `inout` to the wrappers, so counting costs an increment and needs no atomics.
///
/// Failed and would-block calls count as well: they cost the same.
public struct SyscallCounts: Equatable, Sendable {
    public var epollWait: UInt64 = 0
    public var epollControl: UInt64 = 0
    public var receive: UInt64 = 0
    public var send: UInt64 = 0
    public var accept: UInt64 = 0
    public var connect: UInt64 = 0
    public var socket: UInt64 = 0
    public var bind: UInt64 = 0
    public var listen: UInt64 = 0
    public var setOption: UInt64 = 0
    public var getOption: UInt64 = 0
    public var shutdown: UInt64 = 0
    public var close: UInt64 = 0
    public var eventWrite: UInt64 = 0
    public var ringEnter: UInt64 = 0
    /// Bytes that receive calls returned, counted at the call.
    public var bytesReceived: UInt64 = 0
    /// Bytes that send calls accepted, counted at the call.
    public var bytesSent: UInt64 = 0

    public init() {}

    /// The counts under the system calls' own names, those that happened only.
    public var byName: [(name: String, count: UInt64)] {
        Self.fields.compactMap { field in
            let count = self[keyPath: field.path]
            return count == 0 ? nil : (field.name, count)
        }
    }

    /// All calls together.
    public var total: UInt64 { Self.fields.reduce(0) { $0 &+ self[keyPath: $1.path] } }

    public static func + (left: Self, right: Self) -> Self { combine(left, right, &+) }
    /// What happened between two readings of one counter.
    public static func - (left: Self, right: Self) -> Self { combine(left, right, &-) }

    private struct Field: @unchecked Sendable {
        let name: String
        let path: WritableKeyPath<SyscallCounts, UInt64>
    }

    private static let fields: [Field] = [
        Field(name: "epoll_pwait2", path: \.epollWait),
        Field(name: "epoll_ctl", path: \.epollControl),
        Field(name: "recv", path: \.receive),
        Field(name: "sendmsg", path: \.send),
        Field(name: "accept4", path: \.accept),
        Field(name: "connect", path: \.connect),
        Field(name: "socket", path: \.socket),
        Field(name: "bind", path: \.bind),
        Field(name: "listen", path: \.listen),
        Field(name: "setsockopt", path: \.setOption),
        Field(name: "getsockopt", path: \.getOption),
        Field(name: "shutdown", path: \.shutdown),
        Field(name: "close", path: \.close),
        Field(name: "write (eventfd)", path: \.eventWrite),
        Field(name: "io_uring_enter", path: \.ringEnter),
    ]

    private static func combine(_ left: Self, _ right: Self, _ operation: (UInt64, UInt64) -> UInt64) -> Self {
        var result = Self()
        for field in fields {
            result[keyPath: field.path] = operation(left[keyPath: field.path], right[keyPath: field.path])
        }
        result.bytesReceived = operation(left.bytesReceived, right.bytesReceived)
        result.bytesSent = operation(left.bytesSent, right.bytesSent)
        return result
    }
}
