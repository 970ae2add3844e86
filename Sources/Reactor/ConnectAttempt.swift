/// A connection that is being made, for one who may come not to want it. Made by ``EventLoop/connect(to:options:timeoutNanoseconds:completion:)``; all on the loop.
///
/// Invariant: `completion` is there until it was called or the attempt cancelled; `channel` and `retryTimer` are nil afterwards.
public final class ConnectAttempt {
    private var completion: ((Result<any Channel, ChannelError>) -> Void)?
    /// The channel that connects, which the loop's table keeps.
    weak var channel: LoopChannel?
    var retryTimer: LoopTimer?

    init(_ completion: @escaping (Result<any Channel, ChannelError>) -> Void) { self.completion = completion }

    func complete(_ result: Result<any Channel, ChannelError>) {
        let completion = self.completion
        self.completion = nil
        channel = nil
        completion?(result)
    }

    /// Gives the attempt up: the socket is closed and nobody hears of it. Harmless when it is over.
    public func cancel() {
        guard completion != nil else { return }
        completion = nil
        retryTimer?.cancel()
        retryTimer = nil
        channel?.close()
        channel = nil
    }
}
