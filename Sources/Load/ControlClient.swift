import Bytes
import Gauge
import Kernel
import Reactor
import Synchronization

/// The client's end of a control connection: one request at a time, each with a time limit. Any thread.
final class ControlClient: Sendable {
    private struct State {
        var waiting: CheckedContinuation<Result<(ControlReply, [UInt8]), ControlError>, Never>?
        /// Why the connection is over.
        var ended: ControlError?
    }

    private let state = Mutex(State())
    private let loop: EventLoop
    private let channel: LoopBound<ControlBox>
    private let server: String
    private let answerSeconds: Double

    /// Holds the channel, the receipts that stand before an outcome, and the time limit of the request under way. On the loop only.
    final class ControlBox {
        var control: ControlChannel?
        var receipts: [UInt8] = []
        var timer: LoopTimer?
    }

    /// Connects and greets.
    static func connect(to address: SocketAddress, on loop: EventLoop, answerSeconds: Double) async throws -> ControlClient {
        let box = await loop.perform { LoopBound(ControlBox(), on: loop) }
        let client = ControlClient(loop: loop, channel: box, server: address.description, answerSeconds: answerSeconds)
        let result: Result<Void, ChannelError> = await withCheckedContinuation { continuation in
            loop.submit {
                loop.connect(to: address, timeoutNanoseconds: UInt64(answerSeconds * 1e9)) { result in
                    continuation.resume(returning: result.map { client.adopt($0) })
                }
            }
        }
        do {
            try result.get()
        } catch {
            throw ControlError.unreachable(server: address.description, reason: "\(error)")
        }
        return client
    }

    private init(loop: EventLoop, channel: LoopBound<ControlBox>, server: String, answerSeconds: Double) {
        self.server = server
        self.answerSeconds = answerSeconds
        self.loop = loop
        self.channel = channel
    }

    private func adopt(_ raw: any Channel) {
        let control = ControlChannel(
            channel: raw, messageBytesMax: ControlCodec.replyBytesMax, onMessage: { [weak self] in self?.received($0, $1) },
            onEnd: { [weak self] in self?.ended($0) })
        channel.value.control = control
        raw.start(control)
        control.send(Greeting(role: .control, token: 0).encoded)
    }

    private func received(_ kind: ControlCodec.Kind, _ body: [UInt8]) {
        guard kind == .json else {
            channel.value.receipts = body
            return
        }
        do {
            let reply = try ControlCodec.decode(ControlReply.self, body)
            resume(.success((reply, channel.value.receipts)))
            channel.value.receipts = []
        } catch {
            resume(.failure(error))
        }
    }

    private func ended(_ error: ControlError) {
        state.withLock { $0.ended = error }
        resume(.failure(error))
    }

    private func resume(_ result: Result<(ControlReply, [UInt8]), ControlError>) {
        channel.value.timer?.cancel()
        channel.value.timer = nil
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: result)
    }

    var isOver: Bool { state.withLock { $0.ended != nil } }

    /// Sends a request and waits for its answer.
    ///
    /// - Parameter seconds: how long to wait; nil for as long as most requests may take.
    /// - Returns: the answer, and the receipts that came with it.
    /// - Throws: ``ControlError``, also when the server reports a problem.
    @discardableResult
    func call(_ request: ControlRequest, seconds limit: Double? = nil) async throws -> (reply: ControlReply, receipts: [UInt8]) {
        let frame = try ControlCodec.frame(request)
        let name = request.name
        let seconds = limit ?? answerSeconds
        let result = await withCheckedContinuation { continuation in
            let ended = state.withLock { state in
                precondition(state.waiting == nil, "one request at a time")
                if state.ended == nil { state.waiting = continuation }
                return state.ended
            }
            if let ended { return continuation.resume(returning: .failure(ended)) }
            loop.submit { [self] in
                // The connection may have ended since, and the answer with it.
                guard !isOver else { return }
                channel.value.timer = loop.schedule(at: Clock.now &+ UInt64(seconds * 1e9)) { [weak self] in
                    guard let self else { return }
                    // An answer that comes now would be taken for that to another request.
                    channel.value.control?.close()
                    self.ended(.timeout(server: server, what: name, seconds: seconds))
                }
                channel.value.control?.send(frame)
            }
        }
        let (reply, receipts) = try result.get()
        if case .problem(let text) = reply { throw ControlError.refused(text) }
        return (reply, receipts)
    }

    func close() async {
        await loop.perform { [self] in
            channel.value.control?.close()
            channel.value.control = nil
            ended(.closed(server: server, reason: "it was closed at this end"))
        }
    }
}
