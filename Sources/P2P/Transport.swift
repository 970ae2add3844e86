public import Multiformats
public import Reactor

/// Makes channels: bytes between this host and another, not secured yet.
///
/// A host asks its transports in order which one knows an address; what stands at an address's end to say who is there (`/p2p/`) has been taken off before.
public protocol Transport: Sendable {
    /// Whether `address` is one of this transport's kind. Whether somebody is there is another question.
    func knows(_ address: Multiaddr) -> Bool

    /// Listens on `address`, on as many of `loops` as the transport can use.
    ///
    /// - Parameters:
    ///   - address: one that the transport knows.
    ///   - loops: the host's, started.
    ///   - accepted: gets each connection, not started yet, on the loop it belongs to.
    func listen(
        on address: Multiaddr, loops: [EventLoop], accepted: @escaping @Sendable (any Channel, EventLoop) -> Void
    ) async throws(HostError) -> any TransportListener

    /// The loop that a connection to `address` must be on, or nil for any. Any thread.
    func loop(for address: Multiaddr) -> EventLoop?

    /// Dials. `completion` is called once, on the loop, never from within this call. On the loop.
    ///
    /// - Returns: what gives the dial up, on the loop: `completion` is not called then. Harmless when the dial is over.
    func dial(
        _ address: Multiaddr, on loop: EventLoop, timeoutNanoseconds: UInt64,
        completion: @escaping (Result<any Channel, HostError>) -> Void
    ) -> () -> Void
}

extension Transport {
    public func loop(for address: Multiaddr) -> EventLoop? { nil }
}

/// An address that is listened on.
public protocol TransportListener: Sendable {
    /// What was bound, with its port.
    var address: Multiaddr { get }
    /// Stops listening; accepted connections go on. Idempotent.
    func close() async
}
