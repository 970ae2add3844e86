import Kernel
public import Multiformats
public import Reactor

/// Connections within this process, with no kernel between: `/memory/N`. Both ends are on the listener's loop. `/memory/0` gets a free number.
///
/// Invariant: a number in the directory is a listener's that was not closed.
public struct MemoryTransport: Transport {
    /// Who listens, in this process.
    private static let directory = Directory()

    fileprivate final class Directory: Sendable {
        struct Entry {
            let loop: EventLoop
            let accepted: @Sendable (any Channel, EventLoop) -> Void
        }

        let entries = Locked<[UInt64: Entry]>([:])
    }

    public init() {}

    private static func number(_ address: Multiaddr) -> UInt64? {
        guard case .memory(let number)? = address.components.first, address.withoutPeerID.components.count == 1 else { return nil }
        return number
    }

    public func knows(_ address: Multiaddr) -> Bool { Self.number(address) != nil }

    public func listen(
        on address: Multiaddr, loops: [EventLoop], accepted: @escaping @Sendable (any Channel, EventLoop) -> Void
    ) async throws(HostError) -> any TransportListener {
        guard let wanted = Self.number(address), let loop = loops.first else { throw .unsupportedAddress(address) }
        let number = Self.directory.entries.withLock { entries -> UInt64? in
            var number = wanted
            while number == 0 || (wanted == 0 && entries[number] != nil) { number = UInt64.random(in: 1 ... .max) }
            guard entries[number] == nil else { return nil }
            entries[number] = .init(loop: loop, accepted: accepted)
            return number
        }
        guard let number else { throw .memoryAddressInUse(address) }
        return MemoryListener(address: Multiaddr([.memory(number)]), number: number, directory: Self.directory)
    }

    public func loop(for address: Multiaddr) -> EventLoop? {
        Self.number(address).flatMap { number in Self.directory.entries.withLock { $0[number]?.loop } }
    }

    public func dial(
        _ address: Multiaddr, on loop: EventLoop, timeoutNanoseconds: UInt64,
        completion: @escaping (Result<any Channel, HostError>) -> Void
    ) -> () -> Void {
        let entry = Self.number(address).flatMap { number in Self.directory.entries.withLock { $0[number] } }
        return loop.schedule(at: loop.now) {
            guard let entry, entry.loop === loop else { return completion(.failure(.noMemoryListener(address))) }
            let (near, far) = MemoryChannel.pair(on: loop)
            entry.accepted(far, loop)
            completion(.success(near))
        }.cancel
    }
}

private struct MemoryListener: TransportListener {
    let address: Multiaddr
    let number: UInt64
    let directory: MemoryTransport.Directory

    func close() async { _ = directory.entries.withLock { $0.removeValue(forKey: number) } }
}
