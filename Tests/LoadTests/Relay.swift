import Bytes
@testable import Load
import Kernel
import Multiformats
import P2P
import Reactor
import TestSupport

/// Stands between client and server, understands what they say, and changes it: an attacker, a broken network card, a liar.
///
/// On an event loop of its own. What an ``Attack`` leaves alone passes unchanged.
final class Relay: Sendable {
    /// Where clients connect instead.
    let address: Multiaddr
    private let loop: EventLoop
    private let state: LoopBound<State>

    final class State {
        var listener: Listener?
        var links: [RelayLink] = []
    }

    static func start(to target: Multiaddr, _ attack: Attack) async throws -> Relay {
        let loop = try Lab.makeLoops(1, "relay")[0]
        let destination = try SocketAddress(target)
        let (state, address) = try await loop.perform { () -> Result<(LoopBound<State>, SocketAddress), ChannelError> in
            Result { () throws(ChannelError) in
                let state = State()
                let listener = try loop.listen(on: .loopback4(port: 0)) { client in
                    loop.connect(to: destination) { result in
                        guard case .success(let server) = result else { return client.close() }
                        state.links.append(RelayLink(client: client, server: server, attack: attack))
                    }
                }
                state.listener = listener
                return (LoopBound(state, on: loop), listener.address)
            }
        }.get()
        return Relay(address: Multiaddr(address), loop: loop, state: state)
    }

    private init(address: Multiaddr, loop: EventLoop, state: LoopBound<State>) {
        self.address = address
        self.loop = loop
        self.state = state
    }

    func stop() async {
        await loop.perform { [state] in
            state.value.listener?.close()
            for link in state.value.links { link.close() }
            state.value.links = []
        }
        Lab.stop([loop])
    }
}

/// What is changed on the way. Called on the relay's loop only.
final class Attack: @unchecked Sendable {
    enum Flow: Sendable {
        case up, down
    }

    /// A yamux frame of a data connection.
    struct Frame {
        let connection: UInt32
        let flow: Flow
        var header: [UInt8]
        var body: [UInt8]

        var isData: Bool { header[1] == 0 }
        var carriesPayload: Bool { isData && !body.isEmpty }
        var isFinish: Bool { header[3] & 4 != 0 }
        var streamID: Int { header[4..<8].reduce(0) { $0 << 8 | Int($1) } }
        /// As receipts and sentences number streams.
        var ordinal: Int { (streamID - 1) / 2 }
    }

    /// Each yamux frame; gives what is passed on in its place. Nil where data connections are not yamux.
    var onFrame: ((Frame) -> [Frame])?
    /// Bytes of data connections behind the greeting, at their position; where there is no `onFrame`.
    var onBytes: ((_ connection: UInt32, Flow, _ position: Int, [UInt8]) -> [UInt8])?
    /// Each message of the control connection, without its length.
    var onControl: ((Flow, ControlCodec.Kind, [UInt8]) -> [UInt8])?
    /// A data connection has greeted.
    var onLink: ((RelayLink) -> Void)?
    /// How often something was changed: an attack that never happened proves nothing.
    var count: Int { strikes.withLock { $0 } }
    private let strikes = Counter()

    func struck() { strikes.withLock { $0 += 1 } }
}

/// One connection from a client and the one it became.
final class RelayLink {
    let client: Endpoint
    let server: Endpoint
    private let attack: Attack
    private(set) var greeting: Greeting?
    private var upCodec = ControlCodec()
    private var downCodec = ControlCodec()
    private var pendingUp: [UInt8] = []
    private var pendingDown: [UInt8] = []
    private var positionUp = 0
    private var positionDown = 0

    init(client: any Channel, server: any Channel, attack: Attack) {
        self.client = Endpoint(client)
        self.server = Endpoint(server)
        self.attack = attack
        self.client.onReceived = { [weak self] _, block, range in self?.up(block.bytes(range).array()) }
        self.server.onReceived = { [weak self] _, block, range in self?.pass(block.bytes(range).array(), .down) }
        self.client.onEnded = { [weak self] _ in self?.server.finishWhenEmpty() }
        self.server.onEnded = { [weak self] _ in self?.client.finishWhenEmpty() }
        self.client.onFailed = { [weak self] _, _ in self?.server.close() }
        self.server.onFailed = { [weak self] _, _ in self?.client.close() }
        client.start(self.client)
        server.start(self.server)
    }

    func close() {
        client.close()
        server.close()
    }

    private func up(_ bytes: [UInt8]) {
        guard greeting == nil else { return pass(bytes, .up) }
        pendingUp += bytes
        guard pendingUp.count >= Greeting.byteCount else { return }
        let first = pendingUp
        pendingUp = []
        greeting = try? Greeting(decoding: Slice(copying: first).bytes)
        server.queue(Slice(copying: Array(first.prefix(Greeting.byteCount))))
        if greeting?.role == .data { attack.onLink?(self) }
        let rest = Array(first.dropFirst(Greeting.byteCount))
        if !rest.isEmpty { pass(rest, .up) }
    }

    private func pass(_ bytes: [UInt8], _ flow: Attack.Flow) {
        let end = flow == .up ? server : client
        for piece in changed(bytes, flow) where !piece.isEmpty { end.queue(Slice(copying: piece)) }
    }

    private func changed(_ bytes: [UInt8], _ flow: Attack.Flow) -> [[UInt8]] {
        guard let greeting else { return [bytes] }
        switch greeting.role {
        case .control:
            guard let change = attack.onControl else { return [bytes] }
            return messages(bytes, flow).map { kind, body in ControlCodec.frame(kind, change(flow, kind, body)) }
        case .data:
            if let change = attack.onFrame {
                return frames(bytes, flow, greeting.connection).flatMap(change).map { $0.header + $0.body }
            }
            guard let change = attack.onBytes else { return [bytes] }
            let position = flow == .up ? positionUp : positionDown
            if flow == .up { positionUp += bytes.count } else { positionDown += bytes.count }
            return [change(greeting.connection, flow, position, bytes)]
        }
    }

    private func messages(_ bytes: [UInt8], _ flow: Attack.Flow) -> [(ControlCodec.Kind, [UInt8])] {
        var codec = flow == .up ? upCodec : downCodec
        codec.append(Slice(copying: bytes).bytes)
        var messages: [(ControlCodec.Kind, [UInt8])] = []
        while let message = try? codec.next() { messages.append(message) }
        if flow == .up { upCodec = codec } else { downCodec = codec }
        return messages
    }

    /// The whole yamux frames so far.
    private func frames(_ bytes: [UInt8], _ flow: Attack.Flow, _ connection: UInt32) -> [Attack.Frame] {
        var pending = (flow == .up ? pendingUp : pendingDown) + bytes
        var frames: [Attack.Frame] = []
        var start = 0
        while pending.count - start >= 12 {
            let header = Array(pending[start..<start + 12])
            let length = header[1] == 0 ? header[8..<12].reduce(0) { $0 << 8 | Int($1) } : 0
            guard pending.count - start >= 12 + length else { break }
            let body = Array(pending[start + 12..<start + 12 + length])
            frames.append(Attack.Frame(connection: connection, flow: flow, header: header, body: body))
            start += 12 + length
        }
        pending.removeFirst(start)
        if flow == .up { pendingUp = pending } else { pendingDown = pending }
        return frames
    }
}
