import Glibc

/// A TCP port of 127.0.0.1 that nobody listens on at this moment: for programs that can only be told a port, and not asked for theirs. Somebody else may
/// take it meanwhile, so a program that finds it taken is started again with another.
public func freeTCPPort() throws(Errno) -> UInt16 {
    let descriptor = try syscall("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    defer { _ = close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = try syscall("bind 127.0.0.1:0") {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
    }
    _ = try syscall("getsockname") {
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(descriptor, $0, &length) }
        }
    }
    return UInt16(bigEndian: address.sin_port)
}

/// Whether somebody listens on a TCP port of 127.0.0.1, or of all addresses; nobody is connected to. Sockets that listen stand first in these files.
public func isListenedOn(_ port: UInt16) -> Bool {
    // "  0: 0100007F:891B 00000000:0000 0A ...": the address as the processor has it in memory, the port, and 0A for LISTEN.
    let wanted = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - wanted.count) + wanted
    return ["/proc/net/tcp", "/proc/net/tcp6"].contains { path in
        // A machine without IPv6 has no tcp6.
        guard let text = try? readSmallFile(path) else { return false }
        return text.split(separator: "\n").dropFirst().contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 3 && fields[1].hasSuffix(suffix) && fields[3] == "0A"
        }
    }
}
