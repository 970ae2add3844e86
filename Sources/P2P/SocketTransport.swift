import Kernel
public import Multiformats
public import Reactor

/// Connections by TCP and by Unix sockets: `/ip4/HOST/tcp/PORT`, `/ip6/HOST/tcp/PORT`, `/unix/PATH`.
///
/// Every loop has a listener that shares the TCP port, and the kernel spreads connections over them; a Unix socket has one listener, on the first loop.
public struct SocketTransport: Transport {
    public init() {}

    /// A path that is too long is of this kind too: what is done with the address says what is wrong with it.
    public func knows(_ address: Multiaddr) -> Bool {
        do throws(HostError) {
            _ = try SocketAddress(address)
            return true
        } catch {
            if case .pathTooLong = error { return true }
            return false
        }
    }

    public func listen(
        on address: Multiaddr, loops: [EventLoop], accepted: @escaping @Sendable (any Channel, EventLoop) -> Void
    ) async throws(HostError) -> any TransportListener {
        var target = try SocketAddress(address)
        var path: String?
        if case .unix(let own) = target { path = own }
        let used = path == nil ? loops : Array(loops.prefix(1))
        var listeners: [LoopBound<Listener>] = []
        for loop in used {
            let wanted = target
            let result: Result<(LoopBound<Listener>, SocketAddress), ChannelError> = await loop.perform {
                Result { () throws(ChannelError) in
                    var options = SocketOptions()
                    options.reusePort = used.count > 1
                    let listener = try loop.listen(on: wanted, options: options) { accepted($0, loop) }
                    return (LoopBound(listener, on: loop), listener.address)
                }
            }
            switch result {
            case .success(let (listener, bound)):
                target = bound
                listeners.append(listener)
            case .failure(let error):
                for listener in listeners { await listener.loop.perform { listener.value.close() } }
                throw .channel(error)
            }
        }
        return SocketListener(address: Multiaddr(target), listeners: listeners)
    }

    public func dial(
        _ address: Multiaddr, on loop: EventLoop, timeoutNanoseconds: UInt64,
        completion: @escaping (Result<any Channel, HostError>) -> Void
    ) -> () -> Void {
        do throws(HostError) {
            let target = try SocketAddress(address)
            return loop.connect(to: target, timeoutNanoseconds: timeoutNanoseconds) { completion($0.mapError { .channel($0) }) }.cancel
        } catch {
            return loop.schedule(at: loop.now) { completion(.failure(error)) }.cancel
        }
    }
}

private struct SocketListener: TransportListener {
    let address: Multiaddr
    let listeners: [LoopBound<Listener>]

    func close() async {
        for listener in listeners { await listener.loop.perform { listener.value.close() } }
    }
}
