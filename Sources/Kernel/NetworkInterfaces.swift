import Glibc

/// The machine's network interfaces.
public enum NetworkInterfaces {
    /// The addresses of the interfaces that are up, with port 0; those that other machines can reach first. IPv6 addresses that hold on one link only
    /// are left out: without the name of the interface at the other end they lead nowhere.
    ///
    /// - Throws: the call that failed.
    public static func addresses() throws(Errno) -> [SocketAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        _ = try syscall("getifaddrs") { unsafe getifaddrs(&list) }
        defer { unsafe freeifaddrs(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            guard unsafe entry.pointee.ifa_flags & UInt32(IFF_UP) != 0, let form = unsafe entry.pointee.ifa_addr else { continue }
            let length: Int
            switch Int32(unsafe form.pointee.sa_family) {
            case AF_INET: length = MemoryLayout<sockaddr_in>.size
            case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
            default: continue
            }
            let bytes = unsafe UnsafeRawBufferPointer(start: form, count: length)
            guard let address = unsafe SocketAddress(kernelForm: bytes, length: length), !address.isLinkLocal else { continue }
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses.filter { !$0.isLocal } + addresses.filter(\.isLocal)
    }
}

extension SocketAddress {
    /// fe80::/10.
    fileprivate var isLinkLocal: Bool { if case .ip6(let high, _, _, _) = self { high >> 54 == 0xfe80 >> 6 } else { false } }
}
