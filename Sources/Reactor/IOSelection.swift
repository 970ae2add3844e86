import Bytes
public import Kernel

/// Which I/O interface a loop uses, and why.
public struct IOSelection: Sendable, Equatable {
    /// `epoll` or `io_uring`.
    public let name: String
    /// Why this one, in words for a person.
    public let reason: String

    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    /// Chooses by what was asked for and what works here.
    ///
    /// - Throws: what io_uring's set-up said, when it was asked for by name and does not work.
    public init(_ choice: IOChoice) throws(Errno) {
        switch choice {
        case .epoll: self.init(name: "epoll", reason: "asked for")
        case .auto: self.init(name: "epoll", reason: "the default")
        case .uring: throw Errno(38, "io_uring_setup")
        }
    }

    func makeBackend(pool: BlockPool) throws(Errno) -> any Backend {
        try EpollBackend(pool: pool)
    }
}
