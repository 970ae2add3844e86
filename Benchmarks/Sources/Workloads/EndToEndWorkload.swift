import Bytes
import Kernel
import Muxers
import P2P
import Reactor
import SecureChannels

/// Both ends of a connection on one event loop in one thread, over TCP of the loopback: all that a message takes from one application to the other, its
/// system calls among it.
///
/// What the kernel does is repeatable as long as a batch fits into its buffers: bytes are there when the call that sent them returns. Time stands still, so
/// nothing depends on how long anything took: no timer is due, and windows do not grow.
final class EndToEndWorkload: Workload {
    /// What travels.
    enum Traffic {
        /// So many messages on each stream, from the client to the server.
        case messages(Int)
        /// So many requests for each stream, one under way at a time; each answer is as long as the request.
        case requests(Int)
        /// A stream for each request: opened, answered, finished from both sides.
        case streams
    }

    private let loop: EventLoop
    private let client: Application
    private let server: Application
    private let traffic: Traffic
    private let streamCount: Int
    private var streams: [StreamHandle] = []

    init(_ muxer: MuxerKind, over security: SecurityKind? = nil, streams count: Int, payloadBytes: Int, _ traffic: Traffic) {
        self.traffic = traffic
        streamCount = count
        client = Application(payloadBytes: payloadBytes)
        server = Application(payloadBytes: payloadBytes)
        if case .messages = traffic {} else { server.answers = true }
        if case .streams = traffic { server.finishesBehindAnswer = true }
        do {
            loop = try EventLoop(EventLoopConfiguration(), io: IOSelection(name: "epoll", reason: "what it does can be repeated")) {
                pool throws(Errno) in StillBackend(try EpollBackend(pool: pool))
            }
            let (near, far) = try TCPPair.connected(on: loop, security: security)
            loop.become {
                client.connection = Connection(channel: near, muxer: muxer.make(.initiator), handler: client, loop: loop)
                server.connection = Connection(channel: far, muxer: muxer.make(.responder), handler: server, loop: loop)
                client.connection.start()
                server.connection.start()
            }
        } catch {
            preconditionFailure("no connection: \(error)")
        }
        if case .streams = traffic {} else { streams = (0..<count).map { _ in loop.become { client.open() } } }
    }

    deinit { loop.finish() }

    func runBatch() -> UInt64 {
        let before = (client.receivedBytes, server.receivedBytes, client.closedStreams, server.closedStreams)
        var (messages, closed) = (0, 0)
        loop.become {
            switch traffic {
            case .messages(let each):
                for _ in 0..<each { for stream in streams { client.send(on: stream) } }
                messages = each * streams.count
            case .requests(let each):
                messages = each * streams.count
                client.requestsLeft = messages - streams.count
                for stream in streams { client.send(on: stream) }
            case .streams:
                messages = streamCount
                closed = messages
                for _ in 0..<messages {
                    let stream = client.open()
                    client.send(on: stream)
                    client.finish(stream)
                }
            }
        }
        let bytes = messages * client.payloadBytes
        let isWhole = loop.run(
            until: {
                server.receivedBytes - before.1 == bytes && client.receivedBytes - before.0 == (server.answers ? bytes : 0)
                    && client.closedStreams - before.2 == closed && server.closedStreams - before.3 == closed
            }, limitNanoseconds: 1)
        precondition(isWhole, "time stands still, so the limit is never reached")
        return UInt64(client.receivedBytes &+ server.receivedBytes)
    }
}

/// One end as an application.
private final class Application: StreamHandler {
    let payloadBytes: Int
    private let payload: Slice
    var connection: Connection!
    /// Each message received is answered by one as long.
    var answers = false
    var finishesBehindAnswer = false
    private(set) var receivedBytes = 0
    private(set) var closedStreams = 0
    /// Requests that are sent when one before is answered.
    var requestsLeft = 0
    /// Of the message that is being received on a stream, where a read has cut it.
    private var partBytes: [StreamHandle: Int] = [:]

    init(payloadBytes: Int) {
        self.payloadBytes = payloadBytes
        payload = someBytes(payloadBytes)
    }

    func open() -> StreamHandle {
        do { return try connection.openStream() } catch { preconditionFailure("no stream: \(error)") }
    }

    func send(on stream: StreamHandle) {
        do { try connection.send(payload, on: stream) } catch { preconditionFailure("cannot send: \(error)") }
    }

    func finish(_ stream: StreamHandle) {
        do { try connection.finish(stream) } catch { preconditionFailure("cannot finish: \(error)") }
    }

    // MARK: StreamHandler

    func streamOpened(_ stream: StreamHandle, on connection: Connection) {}

    func streamReceived(_ stream: StreamHandle, _ block: Block, _ range: Range<Int>, on connection: Connection) -> Int {
        receivedBytes += range.count
        if answers {
            if isWhole(stream, range.count) {
                send(on: stream)
                if finishesBehindAnswer { finish(stream) }
            }
        } else if requestsLeft > 0, isWhole(stream, range.count) {
            requestsLeft -= 1
            send(on: stream)
        }
        return range.count
    }

    /// Whether the bytes that have arrived are the end of a message.
    private func isWhole(_ stream: StreamHandle, _ byteCount: Int) -> Bool {
        guard byteCount < payloadBytes else { return true }
        let received = partBytes[stream, default: 0] + byteCount
        partBytes[stream] = received < payloadBytes ? received : nil
        return received >= payloadBytes
    }

    func streamFinished(_ stream: StreamHandle, on connection: Connection) {}
    func streamReset(_ stream: StreamHandle, _ reset: StreamReset, on connection: Connection) { preconditionFailure("a stream was reset: \(reset)") }
    func streamClosed(_ stream: StreamHandle, on connection: Connection) { closedStreams += 1 }
    func streamWritable(_ stream: StreamHandle, on connection: Connection) {}
    func connectionCanOpen(_ connection: Connection) {}
    func connectionBatchEnded(_ connection: Connection) {}

    func connectionEnded(_ connection: Connection, _ reason: ConnectionEnd) {
        if case .orderly = reason { return }
        // The loop ends with the workload, and the connections on it without a farewell.
        if case .channel(.loopStopped) = reason { return }
        preconditionFailure("the connection ended: \(reason)")
    }
}

/// Makes the two ends.
private enum TCPPair {
    static func connected(on loop: EventLoop, security: SecurityKind?) throws -> (any Channel, any Channel) {
        var accepted: (any Channel)?
        var dialled: Result<any Channel, ChannelError>?
        let listener = try loop.become { try loop.listen(on: .loopback4(port: 0)) { accepted = $0 } }
        _ = loop.become { loop.connect(to: listener.address) { dialled = $0 } }
        _ = loop.run(until: { accepted != nil && dialled != nil }, limitNanoseconds: 1)
        loop.become { listener.close() }
        guard let near = try dialled?.get(), let far = accepted else { preconditionFailure("time stands still, so the limit is never reached") }
        guard let security else { return (near, far) }
        var upgraded: [Result<UpgradedConnection, UpgradeError>?] = [nil, nil]
        var upgraders: [Upgrader] = []
        for (place, (channel, role)) in [(near, MuxerRole.initiator), (far, .responder)].enumerated() {
            let upgrader = Upgrader(try UpgradeConfiguration(identity: try LocalIdentity(), security: [security]), loop: loop)
            upgraders.append(upgrader)
            _ = loop.become { upgrader.upgrade(channel, role) { upgraded[place] = $0 } }
        }
        _ = loop.run(until: { upgraded.allSatisfy { $0 != nil } }, limitNanoseconds: 1)
        guard let first = try upgraded[0]?.get(), let second = try upgraded[1]?.get() else { preconditionFailure("both ends have been told") }
        return withExtendedLifetime(upgraders) { (first.channel, second.channel) }
    }
}

/// epoll in a time that stands still.
private final class StillBackend: Backend {
    private let real: EpollBackend

    init(_ real: EpollBackend) { self.real = real }

    var now: UInt64 { 1_000_000_000 }
    var name: String { real.name }
    var counts: SyscallCounts { real.counts }
    var waker: any Waker { real.waker }
    var hasWork: Bool { real.hasWork }

    func listen(on address: SocketAddress, options: SocketOptions) throws(ChannelError) -> (Token, SocketAddress) {
        try real.listen(on: address, options: options)
    }
    func resumeAccepting(_ token: Token) { real.resumeAccepting(token) }
    func connect(to address: SocketAddress, options: SocketOptions) throws(ChannelError) -> Token { try real.connect(to: address, options: options) }
    func adopt(_ socket: Socket) throws(ChannelError) -> Token { try real.adopt(socket) }
    func startReceiving(_ token: Token) { real.startReceiving(token) }
    func stopReceiving(_ token: Token) { real.stopReceiving(token) }
    func send(_ token: Token, _ gather: inout Gather, owner: AnyObject) -> SendOutcome { real.send(token, &gather, owner: owner) }
    func finishSending(_ token: Token) { real.finishSending(token) }
    func close(_ token: Token) { real.close(token) }
    func settings(_ token: Token) -> SocketSettings? { real.settings(token) }
    func tcpInfo(_ token: Token) -> TCPInfo? { real.tcpInfo(token) }
    func shutDown() { real.shutDown() }

    /// A wait ends by an event and nothing else: nobody could tell when a time that stands still is over.
    func reap(timeoutNanoseconds: UInt64?, client: any BackendClient) -> Int {
        real.reap(timeoutNanoseconds: timeoutNanoseconds == 0 ? 0 : nil, client: client)
    }
}
