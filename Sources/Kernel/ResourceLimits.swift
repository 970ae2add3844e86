import CKernel
import Glibc

/// How many descriptors this process may have.
public enum ResourceLimits {
    /// RLIMIT_NOFILE: what holds now, and how far it may be raised without privileges.
    public static func descriptors() throws(Errno) -> (soft: UInt64, hard: UInt64) {
        var limit = rlimit()
        _ = try syscall("getrlimit") { unsafe ck_get_descriptor_limit(&limit) }
        return (UInt64(limit.rlim_cur), UInt64(limit.rlim_max))
    }

    /// Raises the soft limit to `wanted` or the hard limit, whichever is less; never lowers it. Returns what holds now.
    @discardableResult
    public static func raiseDescriptors(to wanted: UInt64) throws(Errno) -> UInt64 {
        let (soft, hard) = try descriptors()
        guard wanted > soft, hard > soft else { return soft }
        var limit = rlimit(rlim_cur: rlim_t(min(wanted, hard)), rlim_max: rlim_t(hard))
        _ = try syscall("setrlimit") { unsafe ck_set_descriptor_limit(&limit) }
        return try descriptors().soft
    }

    /// Descriptors this process has open.
    public static func openDescriptorCount() throws(Errno) -> Int {
        guard let directory = unsafe opendir("/proc/self/fd") else { throw Errno(errno, "opendir") }
        defer { unsafe _ = closedir(directory) }
        var count = 0
        while unsafe readdir(directory) != nil { count += 1 }
        // "." and "..", and the directory's own descriptor.
        return count - 3
    }
}
