import Glibc

/// The monotonic clock: nanoseconds since an arbitrary moment, the same for every process on the machine.
/// A reading costs about 20 ns and no system call.
public enum Clock {
    public static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
