public import Kernel
public import Multiformats
public import Reactor

/// Connections by TCP to hosts that are named: `/dns/NAME/tcp/PORT` and, for one family only, `/dns4/…` and `/dns6/…`. Dials only.
///
/// The addresses of a name are tried one after the other in the resolver's order; those that are left share the time that the dial may still take.
public struct NameTransport: Transport {
    /// Finds addresses and calls back once, on any thread.
    public typealias Resolver = @Sendable (
        _ name: String, NameResolution.Family, _ port: UInt16, @escaping @Sendable (Result<[SocketAddress], NameResolution.Failure>) -> Void
    ) throws(Errno) -> Void

    private let resolve: Resolver

    /// - Parameter resolve: who knows the addresses; the system unless told otherwise.
    public init(resolve: @escaping Resolver = { name, family, port, completion throws(Errno) in try NameResolution.resolve(name, family, port: port, completion) }) {
        self.resolve = resolve
    }

    private static func target(_ address: Multiaddr) -> (name: String, family: NameResolution.Family, port: UInt16)? {
        let components = address.withoutPeerID.components
        guard components.count == 2, case .tcp(let port) = components[1] else { return nil }
        switch components[0] {
        case .dns(let name): return (name, .any, port)
        case .dns4(let name): return (name, .ip4, port)
        case .dns6(let name): return (name, .ip6, port)
        default: return nil
        }
    }

    public func knows(_ address: Multiaddr) -> Bool { Self.target(address) != nil }

    public func listen(
        on address: Multiaddr, loops: [EventLoop], accepted: @escaping @Sendable (any Channel, EventLoop) -> Void
    ) async throws(HostError) -> any TransportListener {
        throw .unsupportedAddress(address)
    }

    public func dial(
        _ address: Multiaddr, on loop: EventLoop, timeoutNanoseconds: UInt64,
        completion: @escaping (Result<any Channel, HostError>) -> Void
    ) -> () -> Void {
        guard let target = Self.target(address) else {
            return loop.schedule(at: loop.now) { completion(.failure(.unsupportedAddress(address))) }.cancel
        }
        let dial = NameDial(loop, timeoutNanoseconds: timeoutNanoseconds, completion)
        let bound = LoopBound(dial, on: loop)
        do throws(Errno) {
            try resolve(target.name, target.family, target.port) { result in loop.submit { bound.value.resolved(result) } }
        } catch {
            loop.submit { bound.value.end(.failure(.channel(.kernel(error)))) }
        }
        return dial.cancel
    }
}

/// One dial to a name. On the loop.
private final class NameDial {
    private let loop: EventLoop
    private let deadline: UInt64
    private var completion: ((Result<any Channel, HostError>) -> Void)?
    private var timer: LoopTimer?
    private var attempt: ConnectAttempt?
    private var left: ArraySlice<SocketAddress> = []

    init(_ loop: EventLoop, timeoutNanoseconds: UInt64, _ completion: @escaping (Result<any Channel, HostError>) -> Void) {
        self.loop = loop
        self.completion = completion
        deadline = loop.refreshNow() &+ timeoutNanoseconds
        timer = loop.schedule(at: deadline) { [self] in end(.failure(.channel(.timedOut(afterNanoseconds: timeoutNanoseconds)))) }
    }

    func resolved(_ result: Result<[SocketAddress], NameResolution.Failure>) {
        switch result {
        case .failure(let failure): end(.failure(.nameNotResolved(failure)))
        case .success(let addresses):
            left = addresses[...]
            next()
        }
    }

    private func next() {
        guard completion != nil, let address = left.popFirst() else { return }
        let now = loop.refreshNow()
        attempt = loop.connect(to: address, timeoutNanoseconds: deadline > now ? (deadline - now) / UInt64(left.count + 1) : 1) { [self] result in
            attempt = nil
            if case .failure = result, !left.isEmpty { return next() }
            end(result.mapError { .channel($0) })
        }
    }

    func end(_ result: Result<any Channel, HostError>) {
        guard let completion else { return }
        cancel()
        completion(result)
    }

    func cancel() {
        completion = nil
        timer?.cancel()
        timer = nil
        attempt?.cancel()
        attempt = nil
    }
}
