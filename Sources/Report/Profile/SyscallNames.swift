/// Names of the system calls that StreamGauge and its libraries make, by their numbers.
public enum SyscallNames {
    /// `number N` for a call that is not among them.
    public static func name(_ number: Int) -> String { known[number] ?? "number \(number)" }

    #if arch(arm64)
    private static let known: [Int: String] = [
        20: "epoll_create1", 21: "epoll_ctl", 22: "epoll_pwait", 25: "fcntl", 29: "ioctl", 56: "openat", 57: "close", 59: "pipe2", 61: "getdents64", 62: "lseek",
        63: "read", 64: "write", 65: "readv", 66: "writev", 67: "pread64", 72: "pselect6", 73: "ppoll", 78: "readlinkat", 79: "newfstatat", 80: "fstat", 85: "timerfd_create", 86: "timerfd_settime",
        93: "exit", 94: "exit_group", 98: "futex", 99: "set_robust_list", 101: "nanosleep", 113: "clock_gettime", 115: "clock_nanosleep", 122: "sched_setaffinity",
        123: "sched_getaffinity", 124: "sched_yield", 129: "kill", 131: "tgkill", 132: "sigaltstack", 134: "rt_sigaction", 135: "rt_sigprocmask", 165: "getrusage",
        167: "prctl", 172: "getpid", 178: "gettid", 198: "socket", 200: "bind", 201: "listen", 203: "connect", 204: "getsockname", 205: "getpeername", 206: "sendto",
        207: "recvfrom", 208: "setsockopt", 209: "getsockopt", 210: "shutdown", 211: "sendmsg", 212: "recvmsg", 214: "brk", 215: "munmap", 220: "clone",
        222: "mmap", 226: "mprotect", 233: "madvise", 242: "accept4", 243: "recvmmsg", 260: "wait4", 261: "prlimit64", 269: "sendmmsg", 278: "getrandom",
        283: "membarrier", 291: "statx", 293: "rseq", 19: "eventfd2", 425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register", 435: "clone3",
        436: "close_range", 441: "epoll_pwait2",
    ]
    #else
    private static let known: [Int: String] = [
        0: "read", 1: "write", 3: "close", 5: "fstat", 7: "poll", 8: "lseek", 9: "mmap", 10: "mprotect", 11: "munmap", 12: "brk", 13: "rt_sigaction",
        14: "rt_sigprocmask", 16: "ioctl", 17: "pread64", 19: "readv", 20: "writev", 24: "sched_yield", 28: "madvise", 35: "nanosleep", 39: "getpid", 41: "socket",
        42: "connect", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 48: "shutdown", 49: "bind", 50: "listen", 51: "getsockname", 52: "getpeername",
        54: "setsockopt", 55: "getsockopt", 56: "clone", 60: "exit", 61: "wait4", 62: "kill", 72: "fcntl", 89: "readlink", 98: "getrusage", 131: "sigaltstack",
        157: "prctl", 186: "gettid", 202: "futex", 203: "sched_setaffinity", 204: "sched_getaffinity", 217: "getdents64", 228: "clock_gettime",
        230: "clock_nanosleep", 231: "exit_group", 232: "epoll_wait", 233: "epoll_ctl", 234: "tgkill", 257: "openat", 262: "newfstatat", 270: "pselect6", 271: "ppoll",
        273: "set_robust_list", 281: "epoll_pwait", 283: "timerfd_create", 286: "timerfd_settime", 288: "accept4", 290: "eventfd2", 291: "epoll_create1", 293: "pipe2", 299: "recvmmsg", 302: "prlimit64",
        307: "sendmmsg", 318: "getrandom", 324: "membarrier", 332: "statx", 334: "rseq", 425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register",
        435: "clone3", 436: "close_range", 441: "epoll_pwait2",
    ]
    #endif
}
