import Bytes
public import Kernel
import Reactor

/// A server that is none of ours.
public final class Stranger: @unchecked Sendable {
    public let address: SocketAddress
    private let loop: EventLoop

    /// - Parameter answer: what it says to the first bytes; empty closes, nil says nothing.
    public init(answer: String?) throws {
        let loop = try EventLoop()
        self.loop = loop
        let listener = try loop.become {
            var guests: [Endpoint] = []
            return try loop.listen(on: .loopback4(port: 0)) { channel in
                let guest = Endpoint(channel)
                guests.append(guest)
                guest.onReceived = { guest, _, _ in
                    guard let answer else { return }
                    if answer.isEmpty { guest.close() } else { guest.queue(Slice(copying: Array(answer.utf8))) }
                }
                channel.start(guest)
            }
        }
        address = listener.address
        try loop.start()
    }

    public func stop() {
        loop.stop()
        loop.join()
    }
}
