import CKernel
import Glibc

/// Which cores a thread or process may run on.
public enum Affinity {
    /// The cores the calling thread may use, ascending.
    public static func allowedCores() throws(Errno) -> [Int] {
        var set = ck_cores()
        _ = try syscall("sched_getaffinity") { unsafe ck_get_cores(&set) }
        return (0..<Int(CK_CORES_MAX)).filter { unsafe ck_cores_has(&set, Int32($0)) != 0 }
    }

    /// Keeps the calling thread on `core`; EINVAL when there is no such core.
    public static func pinThread(to core: Int) throws(Errno) {
        try set([core], process: 0)
    }

    /// Keeps the process's main thread, and threads started from now on by it, on `cores`.
    public static func pinProcess(to cores: [Int]) throws(Errno) {
        try set(cores, process: 1)
    }

    private static func set(_ cores: [Int], process: Int32) throws(Errno) {
        var set = ck_cores()
        for core in cores {
            guard core >= 0, core < Int(CK_CORES_MAX) else { throw Errno(EINVAL, "sched_setaffinity") }
            unsafe ck_cores_add(&set, Int32(core))
        }
        _ = try syscall("sched_setaffinity") { unsafe ck_set_cores(process, &set) }
    }
}
