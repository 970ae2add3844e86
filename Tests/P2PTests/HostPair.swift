import Kernel
import Multiformats
import P2P
import Reactor
import Testing

/// How two hosts reach each other.
enum HostLink: String, CaseIterable, CustomTestStringConvertible {
    case memory, tcp, unix

    var testDescription: String { rawValue }

    var address: Multiaddr {
        get throws {
            switch self {
            case .memory: try Multiaddr("/memory/0")
            case .tcp: try Multiaddr("/ip4/127.0.0.1/tcp/0")
            case .unix: try Multiaddr("/unix/tmp/streamgauge-host-\(UInt64.random(in: 0 ... .max)).sock")
            }
        }
    }
}

/// A transport, a secure channel and a muxer.
struct HostStack: CustomTestStringConvertible {
    var link = HostLink.tcp
    var security = SecurityKind.noise
    var muxer = MuxerKind.yamux

    var testDescription: String { "\(link.rawValue) \(security.rawValue) \(muxer.rawValue)" }

    static let all = [HostLink.memory, .tcp].flatMap { link in
        SecurityKind.allCases.flatMap { security in MuxerKind.allCases.map { HostStack(link: link, security: security, muxer: $0) } }
    }
}

/// Two hosts on loops of their own, the second one listening, and what is left of them when both have closed: nothing.
func withHosts(
    _ stack: HostStack = HostStack(), client configureClient: (inout HostConfiguration) -> Void = { _ in },
    server configureServer: (inout HostConfiguration) -> Void = { _ in }, location: SourceLocation = #_sourceLocation,
    _ body: (_ client: Host, _ server: Host, _ address: Multiaddr) async throws -> Void
) async throws {
    let loops = [try EventLoop(), try EventLoop()]
    for loop in loops { try loop.start() }
    func configuration(_ loop: EventLoop) throws -> HostConfiguration {
        var configuration = try HostConfiguration()
        configuration.loops = .shared([loop])
        configuration.security = [stack.security]
        configuration.muxers = [stack.muxer]
        configuration.limits.closeNanoseconds = 500_000_000
        // A test may wait long for a thread while others run: none whose subject is another may fail for that.
        for limit in [\HostLimits.upgradeNanoseconds, \.negotiationNanoseconds, \.identifyNanoseconds, \.dialNanoseconds] {
            configuration.limits[keyPath: limit] = 240_000_000_000
        }
        return configuration
    }
    var (ours, theirs) = (try configuration(loops[0]), try configuration(loops[1]))
    configureClient(&ours)
    configureServer(&theirs)
    let (client, server) = (try Host(ours), try Host(theirs))
    let address = try await server.listen(on: stack.link.address)
    do {
        try await body(client, server, address)
    } catch {
        Issue.record("\(error)", sourceLocation: location)
    }
    await client.close()
    await server.close()
    for loop in loops {
        #expect(await loop.perform { loop.channelCount } == 0, "channels left", sourceLocation: location)
        loop.stop()
        loop.join()
    }
}

extension Host {
    /// Connects, also where the address cannot say to whom.
    @discardableResult
    func connect(to address: Multiaddr, _ server: Host) async throws -> PeerConnection {
        try await connect(to: address, expecting: server.peerID)
    }
}

extension P2P.Stream {
    /// Everything until the far end finishes.
    func readAll() async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await next in self { bytes += next }
        return bytes
    }
}

/// The first event that `pick` takes, of those that come within the test's time.
func next<Value>(_ events: AsyncStream<HostEvent>, _ pick: (HostEvent) -> Value?) async -> Value? {
    for await event in events {
        if let value = pick(event) { return value }
    }
    return nil
}

/// The error of `body`, which must throw a ``HostError``.
func hostError<Value>(_ body: () async throws -> Value) async -> HostError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? HostError
    }
}

/// A flag that one task raises and another waits for, until it is cancelled.
struct Gate: Sendable {
    private let opened = AsyncStream.makeStream(of: Void.self)

    func open() { opened.continuation.finish() }

    func wait() async throws {
        for await _ in opened.stream {}
        try Task.checkCancellation()
    }
}
