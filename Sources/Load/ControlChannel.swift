import Bytes
import Gauge
import Reactor

/// Carries control messages over a channel: the codec, and a queue for what the channel does not take at once. All on the loop.
final class ControlChannel: ChannelHandler {
    private let channel: any Channel
    private var codec: ControlCodec
    private var gather = Gather(arenaByteCount: 64 << 10)
    private var waiting: [Slice] = []
    private var isBusy = false
    private var isOver = false
    private let onMessage: (ControlCodec.Kind, [UInt8]) -> Void
    private let onEnd: (ControlError) -> Void
    /// The far end's address, for messages.
    private let remote: String

    /// - Parameters:
    ///   - messageBytesMax: the longest message that is taken.
    ///   - onMessage: a whole message arrived.
    ///   - onEnd: the connection is over, and why; called once.
    init(
        channel: any Channel, messageBytesMax: Int, onMessage: @escaping (ControlCodec.Kind, [UInt8]) -> Void,
        onEnd: @escaping (ControlError) -> Void
    ) {
        self.channel = channel
        remote = channel.remoteDescription
        codec = ControlCodec(byteCountMax: messageBytesMax)
        self.onMessage = onMessage
        self.onEnd = onEnd
    }

    /// Sends a whole message, or the greeting.
    func send(_ bytes: [UInt8]) {
        waiting.append(Slice(copying: bytes))
        flush()
    }

    func close() {
        isOver = true
        channel.close()
    }

    private func flush() {
        guard !isBusy, !isOver else { return }
        while gather.hasRoom, !waiting.isEmpty { gather.endFrame(tag: 0, payload: waiting.removeFirst()) }
        guard !gather.isEmpty else { return }
        switch channel.send(&gather) {
        case .complete(let byteCount):
            gather.advance(by: byteCount)
            flush()
        case .partial(let byteCount):
            gather.advance(by: byteCount)
            isBusy = true
        case .blocked, .pending: isBusy = true
        case .failed(let error): channelFailed(error)
        }
    }

    func channelReceived(_ block: Block, _ range: Range<Int>) {
        codec.append(block.bytes(range))
        do {
            while !isOver, let (kind, body) = try codec.next() { onMessage(kind, body) }
        } catch .foreign(let beginning, _) {
            end(.foreign(beginning, server: remote))
        } catch {
            end(error)
        }
    }

    func channelWritable() {
        isBusy = false
        flush()
    }

    func channelSent(_ byteCount: Int) {
        isBusy = false
        gather.advance(by: byteCount)
        flush()
    }

    func channelEnded() { end(.closed(server: remote, reason: "the server closed it, or its process ended")) }
    func channelFailed(_ error: ChannelError) {
        // Who closes before it has read what was sent to it ends the connection by a reset.
        if case .reset = error { return channelEnded() }
        end(.closed(server: remote, reason: "\(error)"))
    }

    private func end(_ error: ControlError) {
        guard !isOver else { return }
        close()
        onEnd(error)
    }
}
