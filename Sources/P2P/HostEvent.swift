import Kernel
public import Multiformats
import Synchronization

/// What happens to a host and its connections. Events of one connection come in order: connected, everything about its streams, disconnected.
public enum HostEvent: Sendable {
    /// The host listens on an address, see ``Host/listen(on:)``.
    case listening(Multiaddr)
    /// A connection is secured and multiplexed, whoever dialled.
    case connected(PeerConnection)
    /// The far end described itself, once behind ``connected(_:)`` and again whenever it says that something has changed.
    case identified(PeerConnection, Identification)
    /// The connection is over, and all its streams with it.
    case disconnected(PeerConnection, ConnectionEnd)
    /// A stream's protocol is spoken. Streams that end before it is known are not told of.
    case streamOpened(PeerConnection, ProtocolID, ConnectionDirection)
    /// The stream is over, however it ended.
    case streamClosed(PeerConnection, ProtocolID, ConnectionDirection)
    /// An accepted connection did not come about.
    case upgradeFailed(UpgradeError)
    /// An accepted connection was turned away, for a limit's sake or because the host closes.
    case refused(HostError)
}

/// Tells whoever listens. Not on the data path: streams of events are made of what the standard library has.
///
/// Invariant: `listenerCount` is the number of continuations; without any, telling costs one load.
final class HostEvents: Sendable {
    /// Events that a listener has not taken yet; when there are more, the oldest go.
    static let bufferedMax = 4096

    private struct Listeners {
        var continuations: [UInt64: AsyncStream<HostEvent>.Continuation] = [:]
        /// The host has closed: nothing happens any more.
        var isFinished = false
    }

    private let listeners = Locked(Listeners())
    private let listenerCount = Atomic<Int>(0)
    private let nextID = Atomic<UInt64>(0)

    func subscribe() -> AsyncStream<HostEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: HostEvent.self, bufferingPolicy: .bufferingNewest(Self.bufferedMax))
        let id = nextID.wrappingAdd(1, ordering: .relaxed).newValue
        let isOpen = listeners.withLock { listeners in
            guard !listeners.isFinished else { return false }
            listeners.continuations[id] = continuation
            listenerCount.wrappingAdd(1, ordering: .releasing)
            return true
        }
        guard isOpen else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.unsubscribe(id) }
        return stream
    }

    private func unsubscribe(_ id: UInt64) {
        if listeners.withLock({ $0.continuations.removeValue(forKey: id) }) != nil { listenerCount.wrappingSubtract(1, ordering: .releasing) }
    }

    func tell(_ event: @autoclosure () -> HostEvent) {
        guard listenerCount.load(ordering: .acquiring) > 0 else { return }
        let event = event()
        let continuations = listeners.withLock { Array($0.continuations.values) }
        for continuation in continuations { continuation.yield(event) }
    }

    func finish() {
        let continuations = listeners.withLock { listeners in
            listeners.isFinished = true
            return Array(listeners.continuations.values)
        }
        for continuation in continuations { continuation.finish() }
    }
}
