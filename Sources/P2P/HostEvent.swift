import Kernel
public import Multiformats
import Synchronization

/// What happens to a host and its connections. Events of one connection come in order: connected, everything about its streams, disconnected.
public enum HostEvent: Sendable {
    case listening(Multiaddr)
    case connected(PeerConnection)
    /// The far end described itself, once behind ``connected(_:)`` and again whenever it says that something has changed.
    case identified(PeerConnection, Identification)
    case disconnected(PeerConnection, ConnectionEnd)
    /// The protocol is nil only for streams that ended before it was known.
    case streamOpened(PeerConnection, ProtocolID?, ConnectionDirection)
    case streamClosed(PeerConnection, ProtocolID?, ConnectionDirection)
    /// An accepted connection did not come about.
    case upgradeFailed(UpgradeError)
    /// A connection was turned away for a limit's sake.
    case refused(HostError)
}

/// Tells whoever listens. Not on the data path: streams of events are made of what the standard library has.
///
/// Invariant: `listenerCount` is the number of `listeners`; without any, telling costs one load.
final class HostEvents: Sendable {
    /// Events that a listener has not taken yet; when there are more, the oldest go.
    static let bufferedMax = 4096

    private let listeners = Locked<[UInt64: AsyncStream<HostEvent>.Continuation]>([:])
    private let listenerCount = Atomic<Int>(0)
    private let nextID = Atomic<UInt64>(0)

    func subscribe() -> AsyncStream<HostEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: HostEvent.self, bufferingPolicy: .bufferingNewest(Self.bufferedMax))
        let id = nextID.wrappingAdd(1, ordering: .relaxed).newValue
        listeners.withLock { $0[id] = continuation }
        listenerCount.wrappingAdd(1, ordering: .releasing)
        continuation.onTermination = { [weak self] _ in self?.unsubscribe(id) }
        return stream
    }

    private func unsubscribe(_ id: UInt64) {
        if listeners.withLock({ $0.removeValue(forKey: id) }) != nil { listenerCount.wrappingSubtract(1, ordering: .releasing) }
    }

    func tell(_ event: @autoclosure () -> HostEvent) {
        guard listenerCount.load(ordering: .acquiring) > 0 else { return }
        let event = event()
        let continuations = listeners.withLock { Array($0.values) }
        for continuation in continuations { continuation.yield(event) }
    }

    func finish() {
        let continuations = listeners.withLock { Array($0.values) }
        for continuation in continuations { continuation.finish() }
    }
}
