// Which of these the compiler takes for the definer of `sigset_t` is the order in which it read them.
import CKernel
import CUring
import Glibc

/// Which signals a thread does not hear, which what it starts inherits.
public enum SignalMask {
    /// Calls `body` with no signal blocked on this thread: a program that is started from a thread that hears none would hear none either, not even that its
    /// children have ended.
    public static func withNoneBlocked<Result>(_ body: () throws -> Result) rethrows -> Result {
        var none = sigset_t()
        var before = sigset_t()
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        return try body()
    }
}
