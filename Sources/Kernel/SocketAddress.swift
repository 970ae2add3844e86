import CKernel
import Glibc

/// Where a stream socket is or goes. The text form is the same in both directions: `127.0.0.1:80`, `[::1]:80`,
/// `[fe80::1%2]:80` (the scope is an interface index), `unix:/path`.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// IPv4, the address in host byte order.
    case ip4(UInt32, port: UInt16)
    /// IPv6, the address in two halves in host byte order; `scope` is the interface index of a link-local address, or 0.
    case ip6(high: UInt64, low: UInt64, scope: UInt32, port: UInt16)
    /// A path in the file system, at most 107 bytes; empty for the unnamed end of a connection.
    case unix(String)

    /// Bytes of path that fit into the kernel's structure, less the terminator.
    public static let unixPathByteCountMax = 107

    public static func loopback4(port: UInt16) -> SocketAddress { .ip4(0x7f00_0001, port: port) }
    public static func loopback6(port: UInt16) -> SocketAddress { .ip6(high: 0, low: 1, scope: 0, port: port) }

    /// The port, or nil for a Unix socket.
    public var port: UInt16? {
        switch self {
        case .ip4(_, let port), .ip6(_, _, _, let port): port
        case .unix: nil
        }
    }

    /// Whether both ends are on this machine: there is no round-trip time to fill, only a queue to keep short.
    public var isLocal: Bool {
        switch self {
        case .ip4(let address, _): address >> 24 == 127
        case .ip6(let high, let low, _, _): high == 0 && (low == 1 || low >> 24 == 0xffff_7f)
        case .unix: true
        }
    }

    /// False for a Unix socket's path that is too long, or holds a zero byte: the kernel would see another path.
    var fitsKernelForm: Bool {
        guard case .unix(let path) = self else { return true }
        return path.utf8.count <= Self.unixPathByteCountMax && !path.utf8.contains(0)
    }

    var family: Int32 {
        switch self {
        case .ip4: AF_INET
        case .ip6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Parses the text form; nil when it is none. Names are not resolved.
    public init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count <= Self.unixPathByteCountMax, !path.utf8.contains(0) else { return nil }
            self = .unix(path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let port = UInt16(digits) else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            let inside = host.dropFirst().dropLast().split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
            guard let scope = inside.count == 2 ? UInt32(inside[1]) : 0, let halves = Self.parse6(String(inside[0])) else { return nil }
            self = .ip6(high: halves.high, low: halves.low, scope: scope, port: port)
        } else {
            var address = in_addr()
            guard unsafe inet_pton(AF_INET, String(host), &address) == 1 else { return nil }
            self = .ip4(UInt32(bigEndian: address.s_addr), port: port)
        }
    }

    private static func parse6(_ text: String) -> (high: UInt64, low: UInt64)? {
        var address = in6_addr()
        guard unsafe inet_pton(AF_INET6, text, &address) == 1 else { return nil }
        return halves(of: address)
    }

    private static func halves(of address: in6_addr) -> (high: UInt64, low: UInt64) {
        unsafe withUnsafeBytes(of: address) { bytes in
            unsafe (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    private static func address6(high: UInt64, low: UInt64) -> in6_addr {
        var address = in6_addr()
        unsafe withUnsafeMutableBytes(of: &address) { bytes in
            unsafe bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
            unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return address
    }

    public var description: String {
        switch self {
        case .ip4(let address, let port):
            return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255):\(port)"
        case .ip6(let high, let low, let scope, let port):
            var address = Self.address6(high: high, low: low)
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            unsafe inet_ntop(AF_INET6, &address, &text, socklen_t(INET6_ADDRSTRLEN))
            let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return scope == 0 ? "[\(host)]:\(port)" : "[\(host)%\(scope)]:\(port)"
        case .unix(let path):
            return "unix:\(path)"
        }
    }

    // MARK: The kernel's form

    /// Passes the address in the kernel's form to `body`.
    func withKernelForm<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var storage = sockaddr_storage()
        let length = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe fill(UnsafeMutableRawPointer(pointer))
        }
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe body(UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self), length)
        }
    }

    private func fill(_ target: UnsafeMutableRawPointer) -> socklen_t {
        switch self {
        case .ip4(let address, let port):
            var form = sockaddr_in()
            form.sin_family = sa_family_t(AF_INET)
            form.sin_port = port.bigEndian
            form.sin_addr.s_addr = address.bigEndian
            unsafe target.storeBytes(of: form, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        case .ip6(let high, let low, let scope, let port):
            var form = sockaddr_in6()
            form.sin6_family = sa_family_t(AF_INET6)
            form.sin6_port = port.bigEndian
            form.sin6_addr = Self.address6(high: high, low: low)
            form.sin6_scope_id = scope
            unsafe target.storeBytes(of: form, as: sockaddr_in6.self)
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        case .unix(let path):
            unsafe target.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
            let offset = MemoryLayout<sa_family_t>.size
            let bytes = Array(path.utf8.prefix(Self.unixPathByteCountMax)) + [0]
            unsafe bytes.withUnsafeBytes { from in
                if let start = from.baseAddress {
                    unsafe (target + offset).copyMemory(from: start, byteCount: from.count)
                }
            }
            return socklen_t(offset + bytes.count)
        }
    }

    /// Asks `call` (getsockname, getpeername) for an address.
    static func read(
        _ name: String, _ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws(Errno) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = try syscall(name) {
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, &length) }
            }
        }
        guard let address = unsafe withUnsafeBytes(of: storage, { unsafe SocketAddress(kernelForm: $0, length: Int(length)) }) else {
            throw Errno(EAFNOSUPPORT, name)
        }
        return address
    }

    init?(kernelForm bytes: UnsafeRawBufferPointer, length: Int) {
        guard length >= MemoryLayout<sa_family_t>.size else { return nil }
        switch Int32(unsafe bytes.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            let form = unsafe bytes.loadUnaligned(as: sockaddr_in.self)
            self = .ip4(UInt32(bigEndian: form.sin_addr.s_addr), port: UInt16(bigEndian: form.sin_port))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            let form = unsafe bytes.loadUnaligned(as: sockaddr_in6.self)
            let halves = Self.halves(of: form.sin6_addr)
            self = .ip6(high: halves.high, low: halves.low, scope: form.sin6_scope_id, port: UInt16(bigEndian: form.sin6_port))
        case AF_UNIX:
            let path = unsafe bytes[MemoryLayout<sa_family_t>.size..<min(length, bytes.count)].prefix { $0 != 0 }
            self = unsafe .unix(String(decoding: path, as: UTF8.self))
        default:
            return nil
        }
    }
}
