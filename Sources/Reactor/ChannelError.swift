import Glibc
public import Kernel

/// Why a connection could not be made or is over.
public enum ChannelError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Who caused it.
    public enum Origin: Sendable {
        /// This side, or this machine's settings.
        case local
        /// The far end.
        case remote
        /// The kernel, or the network below it.
        case kernel
    }

    /// Nobody listens at the address.
    case refused
    /// No answer in time.
    case timedOut(afterNanoseconds: UInt64)
    /// The far end ended the connection at once, or is gone.
    case reset
    /// No route to the address.
    case unreachable
    /// Another program listens on the address.
    case addressInUse
    /// The address is none of this machine's.
    case addressNotAvailable
    /// This process may not use the address or the path.
    case permissionDenied
    /// A Unix socket's path, or a directory on the way to it, does not exist.
    case noSuchPath
    /// The process or the machine has no descriptor left (RLIMIT_NOFILE).
    case descriptorLimit
    /// The channel was closed at this end.
    case closed
    /// The event loop was stopped.
    case loopStopped
    /// A layer above, that makes the channel secure, gave it up; the layer knows why.
    case notSecure(by: Origin)
    /// Anything else the kernel said.
    case kernel(Errno)

    /// What a failed system call means for a connection.
    public init(_ error: Errno) {
        self =
            switch error.code {
            case ECONNREFUSED: .refused
            case ECONNRESET, EPIPE, ECONNABORTED: .reset
            case ENETUNREACH, EHOSTUNREACH: .unreachable
            case EADDRINUSE: .addressInUse
            case EADDRNOTAVAIL: .addressNotAvailable
            case EACCES, EPERM: .permissionDenied
            case ENOENT, ENOTDIR: .noSuchPath
            case EMFILE, ENFILE: .descriptorLimit
            default: .kernel(error)
            }
    }

    /// A Unix listener's queue is full.
    var isFullBacklog: Bool {
        if case .kernel(let error) = self { error.code == EAGAIN } else { false }
    }

    /// Who caused it.
    public var origin: Origin {
        switch self {
        case .refused, .timedOut, .reset: .remote
        case .addressInUse, .addressNotAvailable, .permissionDenied, .noSuchPath, .descriptorLimit, .closed, .loopStopped: .local
        case .unreachable, .kernel: .kernel
        case .notSecure(let origin): origin
        }
    }

    public var description: String {
        switch self {
        case .refused: "connection refused: nobody listens at this address"
        case .timedOut(let nanoseconds): "no answer within \(Double(nanoseconds / 1_000_000) / 1000) s"
        case .reset: "the far end ended the connection"
        case .unreachable: "no route to this address"
        case .addressInUse: "the address is in use by another listener"
        case .addressNotAvailable: "the address is not one of this machine's"
        case .permissionDenied: "permission denied"
        case .noSuchPath: "no such path"
        case .descriptorLimit: "no descriptor left: raise the limit with ulimit -n"
        case .closed: "the channel is closed"
        case .loopStopped: "the event loop was stopped"
        case .notSecure: "the secure channel was given up"
        case .kernel(let error): error.description
        }
    }
}
