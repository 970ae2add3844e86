import Bytes
import Kernel
import Reactor
import Synchronization
import Testing
import TestSupport

/// The backends that must all behave alike.
enum BackendKind: String, CaseIterable, CustomTestStringConvertible {
    case epoll, uring, simulated, simulatedPending

    var testDescription: String { rawValue }
    var isSimulated: Bool { self == .simulated || self == .simulatedPending }

    /// Those that work on this machine: a container may forbid io_uring.
    static let available = allCases.filter { kind in
        guard kind == .uring else { return true }
        do throws(Errno) {
            _ = try IOSelection(.uring)
            return true
        } catch {
            print("io_uring is not tested here: \(error)")
            return false
        }
    }
    static let real = available.filter { !$0.isSimulated }

    func makeLoop(
        seed: UInt64 = 1, plan change: (inout NetworkPlan) -> Void = { _ in }, configure: (inout EventLoopConfiguration) -> Void = { _ in }
    ) throws -> EventLoop {
        var configuration = EventLoopConfiguration()
        configure(&configuration)
        switch self {
        case .epoll:
            configuration.io = .epoll
            return try EventLoop(configuration)
        case .uring:
            configuration.io = .uring
            return try EventLoop(configuration)
        case .simulated, .simulatedPending:
            var plan = NetworkPlan(seed: seed)
            plan.sendsArePending = self == .simulatedPending
            change(&plan)
            let selection = IOSelection(name: rawValue, reason: "a test")
            return try EventLoop(configuration, io: selection) { SimulatedBackend(pool: $0, plan: plan) }
        }
    }
}

/// Two connected ends in one loop.
struct Pair {
    let client: Endpoint
    let server: Endpoint
}

/// How long a test waits for something that must happen.
let patienceNanoseconds: UInt64 = 60_000_000_000

extension EventLoop {
    /// Runs turns until `condition` holds, and records a failure when it does not.
    func wait(_ what: String, location: SourceLocation = #_sourceLocation, until condition: () -> Bool) {
        let holds = run(until: condition, limitNanoseconds: patienceNanoseconds)
        #expect(holds, "waited in vain: \(what)", sourceLocation: location)
    }

    /// Two connected ends; neither has been started.
    func makePair(
        _ options: SocketOptions = SocketOptions(), address: SocketAddress = .loopback4(port: 0)
    ) throws -> Pair {
        var server: Endpoint?
        var client: Endpoint?
        var failure: ChannelError?
        let listener = try become { try listen(on: address, options: options) { server = Endpoint($0) } }
        become {
            connect(to: listener.address, options: options) { result in
                switch result {
                case .success(let channel): client = Endpoint(channel)
                case .failure(let error): failure = error
                }
            }
        }
        wait("connection") { (server != nil && client != nil) || failure != nil }
        become { listener.close() }
        if let failure { throw failure }
        return Pair(client: try #require(client), server: try #require(server))
    }
}

/// A path in the temporary directory that nothing else uses.
func uniqueSocketPath() -> String {
    "/tmp/streamgauge-test-\(UInt64.random(in: 0 ... .max)).sock"
}
