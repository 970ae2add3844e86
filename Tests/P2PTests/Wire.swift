import Bytes
import Kernel
import Muxers
import P2P
import Reactor
import Testing
import TestSupport

/// What lies under a connection.
enum Link: String, CaseIterable, CustomTestStringConvertible {
    case memory, tcp, unix
    /// Virtual time, odd segments, sends that are taken in part at once, or completed later.
    case simulated, simulatedPending

    var testDescription: String { rawValue }
}

/// The muxers that exist, as connections make them.
enum Framing: String, CaseIterable, CustomTestStringConvertible {
    case none, yamux, mplex

    var testDescription: String { rawValue }
    var hasManyStreams: Bool { self != .none }
    static let multiplexers: [Framing] = [.yamux, .mplex]

    func make(_ role: MuxerRole, _ limits: MuxerLimits = MuxerLimits()) -> any Muxer {
        switch self {
        case .none: return Passthrough(role: role, limits: limits)
        case .yamux:
            var own = YamuxLimits()
            own.common = limits
            return Yamux(role: role, limits: own)
        case .mplex:
            var own = MplexLimits()
            own.common = limits
            return Mplex(role: role, limits: own)
        }
    }
}

/// How long a test waits for something that must happen.
let patienceNanoseconds: UInt64 = 60_000_000_000

/// A loop with two connected channels on it, run by the test's thread, and what is put on them.
final class Wire {
    let loop: EventLoop
    private(set) var near: any Channel
    private(set) var far: any Channel
    private var socketPath: String?

    init(
        _ link: Link, seed: UInt64 = 1, options: SocketOptions = SocketOptions(),
        configure: (inout EventLoopConfiguration) -> Void = { _ in }, plan change: (inout NetworkPlan) -> Void = { _ in },
        backend made: (SimulatedBackend) -> Void = { _ in }
    ) throws {
        var configuration = EventLoopConfiguration()
        configure(&configuration)
        switch link {
        case .memory:
            loop = try EventLoop(configuration)
            let loop = loop
            (near, far) = loop.become { MemoryChannel.pair(on: loop) }
        case .tcp:
            loop = try EventLoop(configuration)
            (near, far) = try Self.connect(loop, .loopback4(port: 0), options)
        case .unix:
            loop = try EventLoop(configuration)
            let path = "/tmp/streamgauge-test-\(UInt64.random(in: 0 ... .max)).sock"
            (near, far) = try Self.connect(loop, .unix(path), options)
        case .simulated, .simulatedPending:
            var plan = NetworkPlan(seed: seed)
            plan.sendsArePending = link == .simulatedPending
            change(&plan)
            let settled = plan
            loop = try EventLoop(configuration, io: IOSelection(name: link.rawValue, reason: "a test")) {
                let backend = SimulatedBackend(pool: $0, plan: settled)
                made(backend)
                return backend
            }
            (near, far) = try Self.connect(loop, .loopback4(port: 0), options)
        }
    }

    deinit { loop.finish() }

    private static func connect(_ loop: EventLoop, _ address: SocketAddress, _ options: SocketOptions) throws -> (any Channel, any Channel) {
        var accepted: (any Channel)?
        var dialled: Result<any Channel, ChannelError>?
        let listener = try loop.become { try loop.listen(on: address, options: options) { accepted = $0 } }
        loop.become { loop.connect(to: listener.address, options: options) { dialled = $0 } }
        _ = loop.run(until: { accepted != nil && dialled != nil }, limitNanoseconds: patienceNanoseconds)
        loop.become { listener.close() }
        return (try #require(dialled).get(), try #require(accepted))
    }

    /// Puts connections on both ends and starts them.
    func connect(
        _ client: Peer, _ server: Peer, _ framing: Framing, limits: MuxerLimits = MuxerLimits(),
        connectionLimits: ConnectionLimits = ConnectionLimits()
    ) {
        connect(client, server, connectionLimits: connectionLimits) { framing.make($0, limits) }
    }

    func connect(
        _ client: Peer, _ server: Peer, connectionLimits: ConnectionLimits = ConnectionLimits(), muxer: (MuxerRole) -> any Muxer
    ) {
        loop.become {
            client.connection = Connection(
                channel: near, muxer: muxer(.initiator), handler: client, loop: loop, limits: connectionLimits)
            server.connection = Connection(
                channel: far, muxer: muxer(.responder), handler: server, loop: loop, limits: connectionLimits)
            client.connection?.start()
            server.connection?.start()
        }
    }

    /// Runs `body` on the loop.
    func act<Value>(_ body: () throws -> Value) rethrows -> Value { try loop.become(body) }

    /// Runs turns until `condition` holds, and records a failure when it does not.
    func wait(_ what: String, location: SourceLocation = #_sourceLocation, until condition: () -> Bool) {
        let holds = loop.run(until: condition, limitNanoseconds: patienceNanoseconds)
        #expect(holds, "waited in vain: \(what)", sourceLocation: location)
    }

    /// Runs turns until nothing has happened for a while: `turns` of them that do not wait.
    func settle(turns: Int = 200) {
        var left = turns
        wait("\(turns) turns") {
            loop.scheduleFlush(Nudge())
            left -= 1
            return left <= 0
        }
    }

    /// Keeps the loop from sleeping.
    private final class Nudge: TurnEndHandler {
        func turnEnded() {}
    }
}

/// `count` messages of random sizes.
func messages(_ count: Int, upTo limit: Int, seed: UInt64) -> [[UInt8]] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in random.bytes(max(1, random.size(upTo: limit))) }
}

/// The end of a connection without its details.
extension ConnectionEnd {
    var isOrderly: Bool { if case .orderly = self { true } else { false } }
}
