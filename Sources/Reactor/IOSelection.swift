import Bytes
public import Kernel

/// Which I/O interface a loop uses, and why.
public struct IOSelection: Sendable, Equatable {
    /// `epoll` or `io_uring`.
    public let name: String
    /// Why this one, in words for a person.
    public let reason: String

    /// For a backend of the caller's.
    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    /// Chooses by what was asked for and what works here.
    ///
    /// - Throws: what io_uring said, when it was asked for by name and does not work.
    public init(_ choice: IOChoice) throws(Errno) {
        switch choice {
        case .epoll:
            self.init(name: Self.epoll, reason: "asked for")
        case .uring:
            self.init(name: Self.uring, reason: "asked for; completions: \(try UringBackend.probe().rawValue)")
        case .auto:
            // Within a connection the two are equal, and epoll needs no luck with kernels and containers.
            self.init(name: Self.epoll, reason: "the default; io_uring \(Self.uringState)")
        }
    }

    /// Whether io_uring would work, in words; tried once.
    private static let uringState: String = {
        do throws(Errno) {
            _ = try UringBackend.probe()
            return "works here as well"
        } catch {
            return "does not work here: \(error)"
        }
    }()

    static let epoll = "epoll"
    static let uring = "io_uring"

    func makeBackend(pool: BlockPool) throws(Errno) -> any Backend {
        name == Self.uring ? try UringBackend(pool: pool) : try EpollBackend(pool: pool)
    }
}

extension UringBackend {
    /// Tries what the backend needs, on a ring and a pair of sockets of its own: a receive that completes again and again, with provided buffers. A version number would
    /// not tell: containers forbid io_uring, and distributions change kernels.
    ///
    /// - Returns: how the kernel runs completions.
    /// - Throws: the call that failed and why.
    public static func probe() throws(Errno) -> Ring.Mode {
        var counts = SyscallCounts()
        var ring = try Ring(entries: 8)
        try ring.registerBuffers(count: 2)
        try ring.enable(counts: &counts)
        let (left, right) = try Socket.pair(counts: &counts)
        defer {
            left.close(counts: &counts)
            right.close(counts: &counts)
        }
        ring.provide(Block(capacity: 64), id: 0)
        ring.receive(left, tag: 1, counts: &counts)
        var gather = Gather(arenaByteCount: 4096)
        gather.endFrame(tag: 0, payload: Slice(copying: [1]))
        _ = try right.send(&gather, counts: &counts)
        try ring.enter(timeoutNanoseconds: probeTimeoutNanoseconds, counts: &counts)
        guard let completion = ring.next() else { throw .init(Errno.timedOut, "io_uring_enter") }
        if let error = completion.error("recv (multishot)") { throw error }
        guard completion.value == 1, completion.hasMore, ring.filled(completion)?.range == 0..<1 else {
            throw Errno(Errno.notSupported, "recv (multishot)")
        }
        return ring.mode
    }

    /// A second: the byte is there already.
    private static let probeTimeoutNanoseconds: UInt64 = 1_000_000_000
}
