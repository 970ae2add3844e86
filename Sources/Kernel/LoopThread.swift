import CKernel
import Glibc

/// A thread of the operating system that runs one closure.
@safe public struct LoopThread: Sendable {
    private let handle: pthread_t

    /// Starts a thread named `name` (15 bytes are kept) that runs `body` and ends.
    public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        let box = ThreadBody(name: name, run: body)
        let argument = unsafe Unmanaged.passRetained(box)
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, { argument in
            guard let argument = unsafe argument else { return nil }
            let box = unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
            unsafe ck_name_thread(box.name)
            box.run()
            return nil
        }, argument.toOpaque())
        guard code == 0 else {
            unsafe argument.release()
            throw Errno(code, "pthread_create")
        }
        handle = thread
    }

    /// Waits for the thread to end. From another thread; this or ``detach()``, and once.
    public func join() {
        _ = pthread_join(handle, nil)
    }

    /// Instead of ``join()``: nobody waits for the thread.
    public func detach() {
        _ = pthread_detach(handle)
    }

    /// How late the kernel may end the calling thread's timed waits so as to end several at once; 50 us if nothing is said. At least 1.
    public static func setTimerSlack(nanoseconds: UInt64) { ck_set_timer_slack(UInt(max(nanoseconds, 1))) }

    /// Identifies the calling thread among those that run; never 0.
    @inlinable public static var currentID: UInt { currentThreadID() }
}

@usableFromInline func currentThreadID() -> UInt { UInt(pthread_self()) }

private final class ThreadBody: Sendable {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = String(decoding: name.utf8.prefix(15), as: UTF8.self)
        self.run = run
    }
}

/// Runs one job of Swift's concurrency runtime on the calling thread, which must be `executor`'s.
public func runJob(_ job: UnownedJob, on executor: some SerialExecutor & TaskExecutor) {
    unsafe job.runSynchronously(
        isolatedTo: executor.asUnownedSerialExecutor(), taskExecutor: executor.asUnownedTaskExecutor())
}

/// What an actor returns as its `unownedExecutor` to live on `executor`. The actor must keep the executor: this reference does not.
@safe public func executorReference(to executor: some SerialExecutor) -> UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
}
