import Bytes
import Muxers
import Reactor

/// Reads the greeting of an accepted channel and hands the channel to whom it is for.
///
/// It keeps itself alive as the channel's handler, until it has handed over or given up.
final class Greeter: ChannelHandler {
    private let channel: any Channel
    private var bytes: [UInt8] = []
    private var timer: LoopTimer?
    private let take: (any Channel, Greeting) -> (any ChannelHandler)?
    private let refuse: (String) -> Void

    /// - Parameters:
    ///   - timeoutSeconds: see ``RunLimits/greetingSeconds``.
    ///   - take: gives the handler that goes on, or nil when the greeting is for nobody here.
    ///   - refuse: hears why a channel was closed.
    init(
        channel: any Channel, loop: EventLoop, timeoutSeconds: Double, take: @escaping (any Channel, Greeting) -> (any ChannelHandler)?,
        refuse: @escaping (String) -> Void
    ) {
        self.channel = channel
        self.take = take
        self.refuse = refuse
        timer = loop.schedule(at: loop.now &+ Nanoseconds(timeoutSeconds * 1e9)) { [weak self] in
            self?.end("it did not greet within \(timeoutSeconds) s")
        }
    }

    func channelReceived(_ block: Block, _ range: Range<Int>) {
        let count = min(Greeting.byteCount - bytes.count, range.count)
        bytes += block.bytes(range.lowerBound..<range.lowerBound + count).array()
        // A foreign peer is known by its first bytes; waiting for the rest would keep it waiting too.
        guard bytes.count == Greeting.byteCount else { return bytes.count >= 8 ? checkMagic() : () }
        let greeting: Greeting
        do {
            greeting = try Greeting(decoding: Slice(copying: bytes).bytes)
        } catch {
            return end("\(error)")
        }
        timer?.cancel()
        guard let handler = take(channel, greeting) else { return end("it belongs to no run that is known here") }
        channel.handOver(to: handler)
        if range.lowerBound + count < range.upperBound { handler.channelReceived(block, range.lowerBound + count..<range.upperBound) }
    }

    private func checkMagic() {
        if Slice(copying: bytes).bytes.bigEndian64(at: 0) != Greeting.magic { end("\(GreetingError.foreign)") }
    }

    func channelWritable() {}
    func channelSent(_ byteCount: Int) {}
    func channelEnded() { end("\(GreetingError.short(byteCount: bytes.count))") }
    func channelFailed(_ error: ChannelError) { end("\(error)") }

    private func end(_ reason: String) {
        timer?.cancel()
        refuse("\(channel.remoteDescription): \(reason)")
        channel.close()
    }
}
