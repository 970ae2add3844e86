public import Bytes
import CKernel
import CProbes
import CUring
import Glibc

/// A non-blocking, close-on-exec stream socket (TCP or Unix): a descriptor and the calls on it.
///
/// A plain value. Whoever made the socket closes it, exactly once; the table that owns it (a backend) sees to that. Every call is counted in
/// the `counts` it is given, also when it fails.
public struct Socket: BitwiseCopyable, Equatable, Sendable {
    /// Of this process; the socket does not close it by itself.
    public let descriptor: Int32

    public init(descriptor: Int32) { self.descriptor = descriptor }

    // MARK: Making

    /// A socket for connecting to `address`, with `options` applied.
    public static func connecting(
        to address: SocketAddress, _ options: SocketOptions, counts: inout SyscallCounts
    ) throws(Errno) -> Socket {
        let socket = try make(address, counts: &counts)
        do throws(Errno) {
            try socket.apply(options, for: address, counts: &counts)
        } catch {
            socket.close(counts: &counts)
            throw error
        }
        return socket
    }

    /// A socket that listens on `address`, and the address that was bound: port 0 lets the kernel choose.
    public static func listening(
        on address: SocketAddress, _ options: SocketOptions, counts: inout SyscallCounts
    ) throws(Errno) -> (socket: Socket, bound: SocketAddress) {
        let socket = try make(address, counts: &counts)
        do throws(Errno) {
            if case .unix = address {} else {
                if options.reuseAddress { try socket.set(SOL_SOCKET, SO_REUSEADDR, 1, counts: &counts) }
                if options.reusePort { try socket.set(SOL_SOCKET, SO_REUSEPORT, 1, counts: &counts) }
            }
            try socket.apply(options, for: address, counts: &counts)
            try socket.bind(to: address, counts: &counts)
            counts.listen &+= 1
            _ = try syscall("listen") { Glibc.listen(socket.descriptor, Int32(clamping: options.backlog)) }
            return (socket, try socket.localAddress())
        } catch {
            socket.close(counts: &counts)
            throw error
        }
    }

    private func bind(to address: SocketAddress, counts: inout SyscallCounts) throws(Errno) {
        counts.bind &+= 1
        do throws(Errno) {
            _ = try syscall("bind") { unsafe address.withKernelForm { unsafe Glibc.bind(descriptor, $0, $1) } }
        } catch {
            guard case .unix(let path) = address, error.code == EADDRINUSE, Self.isAbandoned(address, counts: &counts) else { throw error }
            Self.removePath(path)
            counts.bind &+= 1
            _ = try syscall("bind") { unsafe address.withKernelForm { unsafe Glibc.bind(descriptor, $0, $1) } }
        }
    }

    /// Whether a Unix socket's path is left over from a listener that is gone: connecting to it is refused.
    private static func isAbandoned(_ address: SocketAddress, counts: inout SyscallCounts) -> Bool {
        do throws(Errno) {
            let probe = try make(address, counts: &counts)
            defer { probe.close(counts: &counts) }
            _ = try probe.connect(to: address, counts: &counts)
            return false
        } catch {
            return error.code == ECONNREFUSED
        }
    }

    /// Removes the path of a Unix listener that is closing. It may be gone already, which is as good.
    public static func removePath(_ path: String) {
        _ = unsafe unlink(path)
    }

    /// Two connected Unix sockets.
    public static func pair(counts: inout SyscallCounts) throws(Errno) -> (Socket, Socket) {
        var ends: (Int32, Int32) = (-1, -1)
        counts.socket &+= 1
        _ = try syscall("socketpair") {
            unsafe withUnsafeMutableBytes(of: &ends) { bytes in
                unsafe Glibc.socketpair(AF_UNIX, streamType, 0, bytes.baseAddress?.assumingMemoryBound(to: Int32.self))
            }
        }
        return (Socket(descriptor: ends.0), Socket(descriptor: ends.1))
    }

    private static var streamType: Int32 {
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    }

    private static func make(_ address: SocketAddress, counts: inout SyscallCounts) throws(Errno) -> Socket {
        // Cut short, the path would be another one.
        guard address.fitsKernelForm else { throw Errno(ENAMETOOLONG, "socket") }
        counts.socket &+= 1
        return Socket(descriptor: try syscall("socket") { Glibc.socket(address.family, streamType, 0) })
    }

    // MARK: Options

    private func apply(_ options: SocketOptions, for address: SocketAddress, counts: inout SyscallCounts) throws(Errno) {
        var isTCP = true
        if case .unix = address { isTCP = false }
        if let bytes = options.sendBufferBytes { try set(SOL_SOCKET, SO_SNDBUF, bytes / 2, counts: &counts) }
        if let seconds = options.lingerSeconds { try setLinger(seconds: seconds, counts: &counts) }
        guard isTCP else { return }
        if let bytes = options.receiveBufferBytes, options.receiveBufferScope == .allAddresses || address.isLocal {
            try set(SOL_SOCKET, SO_RCVBUF, bytes / 2, counts: &counts)
        }
        if let name = options.congestionControl, options.congestionControlScope == .allAddresses || address.isLocal {
            try setCongestionControl(name, counts: &counts)
        }
        if options.noDelay { try set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, counts: &counts) }
        if let bytes = options.notSentLowWaterBytes {
            try set(Int32(IPPROTO_TCP), CK_TCP_NOTSENT_LOWAT, bytes, counts: &counts)
        }
    }

    private func set(_ level: Int32, _ option: Int32, _ value: Int, counts: inout SyscallCounts) throws(Errno) {
        var number = Int32(clamping: value)
        counts.setOption &+= 1
        _ = try syscall("setsockopt") {
            unsafe setsockopt(descriptor, level, option, &number, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private func setCongestionControl(_ name: String, counts: inout SyscallCounts) throws(Errno) {
        counts.setOption &+= 1
        _ = try syscall("setsockopt") {
            unsafe name.withCString { unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, $0, socklen_t(name.utf8.count)) }
        }
    }

    /// Changes SO_RCVLOWAT on a connected socket.
    public func setReceiveLowWater(bytes: Int, counts: inout SyscallCounts) throws(Errno) {
        try set(SOL_SOCKET, SO_RCVLOWAT, bytes, counts: &counts)
    }

    /// SO_LINGER: with 0 seconds the next close sends a reset.
    public func setLinger(seconds: Int, counts: inout SyscallCounts) throws(Errno) {
        var value = linger(l_onoff: 1, l_linger: Int32(clamping: seconds))
        counts.setOption &+= 1
        _ = try syscall("setsockopt") {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        }
    }

    private func get(_ level: Int32, _ option: Int32) throws(Errno) -> Int {
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        _ = try syscall("getsockopt") { unsafe getsockopt(descriptor, level, option, &number, &length) }
        return Int(number)
    }

    /// What the kernel made of the options.
    public func settings() throws(Errno) -> SocketSettings {
        var settings = SocketSettings(
            receiveBufferBytes: try get(SOL_SOCKET, SO_RCVBUF),
            sendBufferBytes: try get(SOL_SOCKET, SO_SNDBUF),
            receiveLowWaterBytes: try get(SOL_SOCKET, SO_RCVLOWAT))
        if try get(SOL_SOCKET, SO_PROTOCOL) == Int(IPPROTO_TCP) {
            settings.noDelay = try get(Int32(IPPROTO_TCP), TCP_NODELAY) != 0
            settings.notSentLowWaterBytes = try get(Int32(IPPROTO_TCP), CK_TCP_NOTSENT_LOWAT)
            settings.congestionControl = try congestionControl()
        }
        return settings
    }

    private func congestionControl() throws(Errno) -> String {
        // TCP_CA_NAME_MAX, with the zero behind the name.
        var name = [UInt8](repeating: 0, count: 16)
        var length = socklen_t(name.count)
        _ = try syscall("getsockopt") { unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &length) }
        return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }

    // MARK: Addresses

    /// The address this end is bound to.
    public func localAddress() throws(Errno) -> SocketAddress {
        try unsafe SocketAddress.read("getsockname") { unsafe getsockname(descriptor, $0, $1) }
    }

    /// The far end's address.
    public func remoteAddress() throws(Errno) -> SocketAddress {
        try unsafe SocketAddress.read("getpeername") { unsafe getpeername(descriptor, $0, $1) }
    }

    // MARK: Connecting and accepting

    /// Begins to connect. `done` means connected at once; otherwise the socket becomes writable when the outcome is
    /// known, and ``takeError(_:counts:)`` tells it.
    public func connect(to address: SocketAddress, counts: inout SyscallCounts) throws(Errno) -> Attempt<Int32> {
        counts.connect &+= 1
        do throws(Errno) {
            return .done(try syscall("connect") { unsafe address.withKernelForm { unsafe Glibc.connect(descriptor, $0, $1) } })
        } catch {
            if error.code == EINPROGRESS { return .wouldBlock }
            throw error
        }
    }

    /// The pending error of the socket (SO_ERROR), or nil when all is well. Reading it clears it.
    public func takeError(_ call: String, counts: inout SyscallCounts) -> Errno? {
        counts.getOption &+= 1
        do throws(Errno) {
            let code = try get(SOL_SOCKET, SO_ERROR)
            return code == 0 ? nil : Errno(Int32(truncatingIfNeeded: code), call)
        } catch {
            return error
        }
    }

    /// Sets what an accepted socket has not inherited from its listener: what is for local connections when the listener's address did not
    /// show that connections would be local, and the options of Unix sockets, which inherit none.
    public func tuneAccepted(
        _ options: SocketOptions, from remote: SocketAddress, listeningOn address: SocketAddress, counts: inout SyscallCounts
    ) throws(Errno) {
        if case .unix = address {
            try apply(options, for: address, counts: &counts)
        } else if !address.isLocal, remote.isLocal {
            if let bytes = options.receiveBufferBytes, options.receiveBufferScope == .localAddresses {
                try set(SOL_SOCKET, SO_RCVBUF, bytes / 2, counts: &counts)
            }
            if let name = options.congestionControl, options.congestionControlScope == .localAddresses {
                try setCongestionControl(name, counts: &counts)
            }
        }
    }

    /// Takes one waiting connection and its address.
    public func accept(counts: inout SyscallCounts) throws(Errno) -> Attempt<(Socket, SocketAddress)> {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        counts.accept &+= 1
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let outcome = try attempt("accept4") {
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe ck_accept(descriptor, $0, &length, flags)
                }
            }
        }
        guard case .done(let accepted) = outcome else { return .wouldBlock }
        let address = unsafe withUnsafeBytes(of: storage) { unsafe SocketAddress(kernelForm: $0, length: Int(length)) }
        return .done((Socket(descriptor: accepted), address ?? .unix("")))
    }

    // MARK: Bytes

    /// Receives into `range` of `block`. Zero bytes mean that the far end has finished.
    public func receive(into block: Block, _ range: Range<Int>, counts: inout SyscallCounts) throws(Errno) -> Attempt<Int> {
        counts.receive &+= 1
        let outcome = try attempt("recv") {
            unsafe block.withUnsafeMutableBytes(range) { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        }
        guard case .done(let count) = outcome else {
            cp_read(Int(descriptor), -1)
            return outcome
        }
        counts.bytesReceived &+= UInt64(count)
        cp_read(Int(descriptor), count)
        return outcome
    }

    /// Sends the unwritten bytes of `gather`, as many as the kernel takes. The gather is not advanced.
    public func send(_ gather: inout Gather, counts: inout SyscallCounts) throws(Errno) -> Attempt<Int> {
        counts.send &+= 1
        let outcome: Attempt<Int> = try unsafe gather.withVectors { vectors throws(Errno) in
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = min(vectors.count, Self.vectorsPerCallMax)
            let outcome = try attempt("sendmsg") { unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) }
            let vectorCount = unsafe Int(message.msg_iovlen)
            if case .done(let count) = outcome { cp_write(Int(descriptor), count, vectorCount) } else { cp_write(Int(descriptor), -1, vectorCount) }
            return outcome
        }
        if case .done(let count) = outcome { counts.bytesSent &+= UInt64(count) }
        return outcome
    }

    /// IOV_MAX on Linux.
    static let vectorsPerCallMax = 1024

    // MARK: Ending

    /// Ends this side's sending (half-close). A socket that is no longer connected has nothing to end.
    public func finishSending(counts: inout SyscallCounts) throws(Errno) {
        counts.shutdown &+= 1
        do throws(Errno) {
            _ = try syscall("shutdown") { Glibc.shutdown(descriptor, Int32(SHUT_WR)) }
        } catch {
            if error.code != ENOTCONN { throw error }
        }
    }

    /// Ends both directions at once, so that whatever waits on the socket ends.
    public func shutdownBoth(counts: inout SyscallCounts) {
        counts.shutdown &+= 1
        _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Gives the descriptor back. Linux frees it whatever close returns, so there is nothing to repeat or report.
    public func close(counts: inout SyscallCounts) {
        counts.close &+= 1
        _ = Glibc.close(descriptor)
    }
}
