import Glibc

/// Addresses of hosts that are named, by the system's resolver (getaddrinfo(3): the file of hosts, DNS, whatever the machine is set up for).
public enum NameResolution {
    public enum Family: Sendable {
        case any, ip4, ip6

        fileprivate var number: Int32 {
            switch self {
            case .any: AF_UNSPEC
            case .ip4: AF_INET
            case .ip6: AF_INET6
            }
        }
    }

    /// The name has no address, or nobody could be asked: the resolver's words.
    public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        public let name: String
        public let reason: String

        public init(name: String, reason: String) {
            self.name = name
            self.reason = reason
        }

        public var description: String { "the name '\(name)' cannot be resolved: \(reason)" }
    }

    /// The addresses of `name` with `port`, in the resolver's order of preference; at least one. Blocks, for seconds where nobody answers.
    public static func addresses(of name: String, _ family: Family, port: UInt16) throws(Failure) -> [SocketAddress] {
        guard !name.utf8.contains(0) else { throw Failure(name: name, reason: "it holds a zero byte") }
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = family.number
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else { throw Failure(name: name, reason: unsafe String(cString: gai_strerror(code))) }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ai_next
            guard let form = unsafe entry.pointee.ai_addr else { continue }
            let length = Int(unsafe entry.pointee.ai_addrlen)
            guard let address = unsafe SocketAddress(kernelForm: UnsafeRawBufferPointer(start: form, count: length), length: length) else { continue }
            let found = address.with(port: port)
            if !addresses.contains(found) { addresses.append(found) }
        }
        guard !addresses.isEmpty else { throw Failure(name: name, reason: "it has no address that sockets take") }
        return addresses
    }

    /// The same on a thread of its own; `completion` is called there, once.
    ///
    /// - Throws: when there is no thread to be had.
    public static func resolve(
        _ name: String, _ family: Family, port: UInt16, _ completion: @escaping @Sendable (Result<[SocketAddress], Failure>) -> Void
    ) throws(Errno) {
        try LoopThread(name: "resolver") {
            completion(Result { () throws(Failure) in try addresses(of: name, family, port: port) })
        }.detach()
    }
}

extension SocketAddress {
    /// The address with another port; a Unix socket's as it is.
    func with(port: UInt16) -> SocketAddress {
        switch self {
        case .ip4(let host, _): .ip4(host, port: port)
        case .ip6(let high, let low, let scope, _): .ip6(high: high, low: low, scope: scope, port: port)
        case .unix: self
        }
    }
}
