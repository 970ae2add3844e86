import CKernel
import Glibc

/// What the kernel has counted on all TCP connections of a port (sock_diag), whoever owns their sockets: an independent witness of what two other
/// processes sent each other.
public struct PortTraffic: Equatable, Sendable {
    /// Sockets whose bytes the kernel still knows, at the server's end and at the client's: fewer than there were connections when some have ended.
    public var serverSockets: UInt64
    public var clientSockets: UInt64
    /// Received at the server's end: what clients sent. A far end's FIN counts as one byte.
    public var bytesUp: UInt64
    /// Received at the clients' end.
    public var bytesDown: UInt64

    /// Reads the counts of all IPv4 sockets on this machine whose one end is `port`.
    ///
    /// - Throws: ``Errno`` when the kernel does not answer such questions.
    public static func ofPort(_ port: UInt16) throws(Errno) -> PortTraffic {
        let netlink = try syscall("socket NETLINK_SOCK_DIAG") { socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_SOCK_DIAG) }
        defer { _ = close(netlink) }
        _ = try syscall("send NETLINK_SOCK_DIAG") { ck_ask_for_tcp_sockets(netlink) }
        var sum = ck_port_bytes()
        var answer = [UInt8](repeating: 0, count: 64 << 10)
        var goesOn = true
        while goesOn {
            let count = try syscall("recv NETLINK_SOCK_DIAG") {
                unsafe answer.withUnsafeMutableBytes { unsafe recv(netlink, $0.baseAddress, $0.count, 0) }
            }
            let more = try syscall("sock_diag") {
                unsafe answer.withUnsafeBytes { unsafe ck_add_tcp_sockets($0.baseAddress, count, port, &sum) }
            }
            goesOn = more == 1
        }
        return PortTraffic(
            serverSockets: sum.local_sockets, clientSockets: sum.remote_sockets, bytesUp: sum.local_bytes_received, bytesDown: sum.remote_bytes_received)
    }
}
