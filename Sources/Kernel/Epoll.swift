import CKernel
import Glibc

/// An epoll instance and the storage for one batch of its events.
///
/// Call order: ``add(_:token:interest:counts:)`` descriptors, then any number of ``wait(timeoutNanoseconds:counts:)`` followed by ``event(_:)`` for
/// each index below the returned count. Closing a descriptor removes it.
@safe public struct Epoll: ~Copyable {
    /// What a descriptor is watched for.
    public enum Interest: Sendable {
        /// Both directions and the far end's half-close, edge-triggered: registered once, no call per stall.
        case stream
        /// Readability, edge-triggered.
        case readable
    }

    /// One event, with the token its descriptor was added with.
    public struct Event: BitwiseCopyable, Sendable {
        public let token: UInt64
        let flags: UInt32

        public var isReadable: Bool { flags & EPOLLIN.rawValue != 0 }
        public var isWritable: Bool { flags & EPOLLOUT.rawValue != 0 }
        /// The far end finished sending, or the connection is gone.
        public var isHangUp: Bool { flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue) != 0 }
        public var isError: Bool { flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 }
    }

    /// Events of one batch.
    public static let eventsPerWaitMax = 512

    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    /// epoll_pwait2 came with Linux 5.11; before it, time-outs are whole milliseconds.
    private var hasNanosecondTimeout = true

    public init() throws(Errno) {
        descriptor = try syscall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
        unsafe events = .allocate(capacity: Self.eventsPerWaitMax)
    }

    deinit {
        unsafe events.deallocate()
        _ = close(descriptor)
    }

    public func add(_ watched: Int32, token: UInt64, interest: Interest, counts: inout SyscallCounts) throws(Errno) {
        var event = unsafe epoll_event()
        unsafe event.data.u64 = token
        switch interest {
        case .stream:
            unsafe event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        case .readable:
            unsafe event.events = EPOLLIN.rawValue | EPOLLET.rawValue
        }
        counts.epollControl &+= 1
        _ = try syscall("epoll_ctl") { unsafe epoll_ctl(descriptor, EPOLL_CTL_ADD, watched, &event) }
    }

    /// Waits for events and returns how many there are.
    ///
    /// - Parameters:
    ///   - timeoutNanoseconds: the longest wait; 0 only looks, nil waits without end.
    ///   - counts: where the system call is counted.
    public mutating func wait(timeoutNanoseconds: UInt64?, counts: inout SyscallCounts) throws(Errno) -> Int {
        counts.epollWait &+= 1
        if hasNanosecondTimeout {
            do throws(Errno) {
                return try waitNanoseconds(timeoutNanoseconds)
            } catch {
                guard error.code == ENOSYS else { throw error }
                hasNanosecondTimeout = false
            }
        }
        // Rounded up: waking before the deadline would spin until it.
        let milliseconds = timeoutNanoseconds.map { Int32(clamping: ($0 &+ 999_999) / 1_000_000) } ?? -1
        return Int(try interruptible("epoll_wait") { unsafe epoll_wait(descriptor, events, Int32(Self.eventsPerWaitMax), milliseconds) })
    }

    private func waitNanoseconds(_ timeout: UInt64?) throws(Errno) -> Int {
        guard let timeout else {
            return Int(try interruptible("epoll_pwait2") { unsafe epoll_pwait2(descriptor, events, Int32(Self.eventsPerWaitMax), nil, nil) })
        }
        var time = timespec(tv_sec: Int(timeout / 1_000_000_000), tv_nsec: Int(timeout % 1_000_000_000))
        return Int(try interruptible("epoll_pwait2") { unsafe epoll_pwait2(descriptor, events, Int32(Self.eventsPerWaitMax), &time, nil) })
    }

    /// A wait that a signal interrupted found nothing: the loop must look at its time and its stop flag before it waits again.
    private func interruptible(_ name: String, _ body: () -> Int32) throws(Errno) -> Int32 {
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code == EINTR { return 0 }
        throw Errno(code, name)
    }

    /// The event at `index` of the last batch.
    public func event(_ index: Int) -> Event {
        precondition(index >= 0 && index < Self.eventsPerWaitMax)
        return unsafe Event(token: events[index].data.u64, flags: events[index].events)
    }
}

/// A counter in the kernel by which one thread wakes another that waits on its descriptor.
///
/// It is never read: waiters watch for edges, and each signal makes one.
@safe public struct EventFD: ~Copyable, Sendable {
    public let descriptor: Int32

    public init() throws(Errno) {
        descriptor = try syscall("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }
    }

    deinit { _ = close(descriptor) }

    /// Wakes the waiter. Any thread.
    public func signal() {
        // The only failure is a counter at its maximum, which is as awake as can be.
        _ = eventfd_write(descriptor, 1)
    }
}
