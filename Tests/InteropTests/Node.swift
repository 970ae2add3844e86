import Foundation
import Multiformats
import P2P
import Reactor
import SecureChannels
import Synchronization
import Testing

/// An implementation that others wrote, as a driver in `Tests/Interop/peers` runs it; the README there has what drivers take and print.
enum Implementation: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case pyLibp2p = "pylibp2p_node.py"
    case goLibp2p = "p2pd_node.py"

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let python = root.appending(path: ".peers/venv/bin/python")

    var driver: URL { Self.root.appending(path: "Tests/Interop/peers/\(rawValue)") }

    var isInstalled: Bool {
        switch self {
        case .pyLibp2p: FileManager.default.isExecutableFile(atPath: Self.python.path)
        case .goLibp2p: Self.pyLibp2p.isInstalled && FileManager.default.isExecutableFile(atPath: Self.root.appending(path: ".peers/p2pd/p2pd").path)
        }
    }

    static let installed = allCases.filter { $0.isInstalled }

    var testDescription: String {
        switch self {
        case .pyLibp2p: "py-libp2p"
        case .goLibp2p: "go-libp2p (p2pd)"
        }
    }

    var securities: [SecurityKind] { self == .pyLibp2p ? [.noise, .tls, .plaintext] : [.noise, .tls] }
    var muxers: [MuxerKind] { self == .pyLibp2p ? [.yamux, .mplex] : [.yamux] }
    /// Kinds of keys that it has and that it can read.
    var keys: [KeyType] { self == .pyLibp2p ? [.ed25519, .rsa, .secp256k1] : [.ed25519, .rsa, .ecdsa, .secp256k1] }
    /// The daemon's socket has no half-close, see the README.
    var halfCloses: Bool { self == .pyLibp2p }
    /// The version as installed; what `scripts/install-peers` installs is one version of each.
    var version: String {
        get throws {
            guard self == .pyLibp2p else { return "go-libp2p 0.32.1 with go-yamux 4.0.1 and Go 1.20.11, as p2pd of hivemind 1.1.12" }
            return "py-libp2p \(try Self.line("requirements.txt", "libp2p==")) on Python \(try Self.line("pyvenv.cfg", "version = "))"
        }
    }

    /// What follows `head` at the start of a line of a file in `.peers/venv`.
    private static func line(_ file: String, _ head: String) throws -> Substring {
        let text = try String(contentsOf: root.appending(path: ".peers/venv/\(file)"), encoding: .utf8)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(head) }) else { throw CocoaError(.fileReadCorruptFile) }
        return line.dropFirst(head.count)
    }

    var agent: String { self == .pyLibp2p ? "py-libp2p/" : "p2pd/" }
}

/// What a test runs with.
struct Stack: Sendable, CustomTestStringConvertible {
    let other: Implementation
    let security: SecurityKind
    let muxer: MuxerKind

    var testDescription: String { "\(other.testDescription) \(security.rawValue) \(muxer.rawValue)" }
    var options: [String] { ["--security", security.rawValue, "--muxer", muxer.rawValue] }

    /// Whether a connection that was closed on purpose ends like this, whoever closed it. A reset and a missing farewell of TLS are in order when no stream is open; but a
    /// reset takes the last frames with it, and a stream whose end was in them is open still. `Tests/Interop/README.md` says who ends connections so.
    func isUsual(_ end: ConnectionEnd) -> Bool {
        switch end {
        case .orderly: true
        case .remoteClosed: other == .goLibp2p || security == .tls
        default: false
        }
    }

    static let all = Implementation.installed.flatMap { other in
        other.securities.flatMap { security in other.muxers.map { Stack(other: other, security: security, muxer: $0) } }
    }
    static let secure = all.filter { $0.security != .plaintext && $0.muxer == .yamux }

    /// A host that speaks this and nothing else, for as long as the body runs.
    func withHost<Result>(key: KeyType = .ed25519, _ body: (P2P.Host) async throws -> Result) async throws -> Result {
        var configuration = HostConfiguration(identity: try LocalIdentity(generating: key))
        configuration.security = [security]
        configuration.muxers = [muxer]
        configuration.perf = .on
        let host = try P2P.Host(configuration)
        host.handle(Echo.protocolID, Echo.service)
        do {
            let result = try await body(host)
            await host.close()
            return result
        } catch {
            await host.close()
            throw error
        }
    }
}

/// A driver as a child process.
///
/// It is over, with the daemon that it may have started, when it has run for ``secondsMax`` or nobody refers to it any more. Then connections to it end and
/// whoever waits for it goes on, so that a test fails instead of hanging. Waits end as well when their task is cancelled, as it is when a test's time is over.
final class Node: Sendable {
    /// Shorter than a test's time limit, and longer than a test waits for a thread while all tests run at once: two minutes on a busy machine of two cores.
    static let secondsMax = 240.0

    private let processID: Int32
    private let input: Pipe
    private let isOver = Atomic(false)
    private let hadNoTimeLeft = Atomic(false)
    private let finish: @Sendable () -> Void
    /// Its status, once.
    private let statuses: AsyncStream<Int32>
    /// What it prints, line by line.
    let lines: AsyncStream<String>

    init(_ stack: Stack, _ options: [String] = [], secondsMax: Double = Node.secondsMax) throws {
        let (process, input, output) = (Process(), Pipe(), Pipe())
        process.executableURL = Implementation.python
        process.arguments = [stack.other.driver.path] + stack.options + options
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        let (statuses, ended) = AsyncStream.makeStream(of: Int32.self)
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        (self.statuses, self.lines, self.input) = (statuses, lines, input)
        finish = {
            ended.finish()
            continuation.finish()
        }
        process.terminationHandler = { process in
            ended.yield(process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
            ended.finish()
        }
        try process.run()
        processID = process.processIdentifier
        DispatchQueue.global().asyncAfter(deadline: .now() + secondsMax) { [weak self] in
            guard let self, !isOver.load(ordering: .relaxed) else { return }
            hadNoTimeLeft.store(true, ordering: .relaxed)
            cut()
        }
        let reading = output.fileHandleForReading
        Thread.detachNewThread {
            var rest = Data()
            while case let data = reading.availableData, !data.isEmpty {
                rest += data
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    continuation.yield(String(decoding: rest[..<end], as: UTF8.self))
                    rest = Data(rest[(end + 1)...])
                }
            }
            try? reading.close()
            continuation.finish()
        }
    }

    deinit { cut() }

    /// Kills the driver and its daemon, which are in the group that a child of Foundation leads; nothing for a driver that has ended by itself.
    func cut() {
        if !isOver.exchange(true, ordering: .relaxed) { kill(-processID, SIGKILL) }
        finish()
    }

    /// Whether it was cut off because it ran for as long as it may.
    var isOutOfTime: Bool { hadNoTimeLeft.load(ordering: .relaxed) }

    /// A listener's address, once it accepts connections.
    func address() async throws -> Multiaddr {
        let line = await firstLine()
        return try Multiaddr(try #require(line, "the node ended without an address"))
    }

    private func firstLine() async -> String? {
        for await line in lines { return line }
        return nil
    }

    /// The next event of this name, of a listener.
    func event(_ name: String) async throws -> Event {
        for await line in lines {
            let event = try JSONDecoder().decode(Event.self, from: Data(line.utf8))
            if event.event == name { return event }
        }
        throw CocoaError(.fileReadUnknown)
    }

    /// What a dialer saw, when it has ended with the status that goes with it.
    func seen(location: SourceLocation = #_sourceLocation) async throws -> Seen {
        let (seen, status) = try await report()
        #expect(status == (seen.ok ? 0 : 1), "\(seen)", sourceLocation: location)
        return seen
    }

    /// What a dialer saw, and its status.
    func report() async throws -> (Seen, Int32?) {
        var last = ""
        for await line in lines { last = line }
        let status = await status()
        return (try JSONDecoder().decode(Seen.self, from: Data(last.utf8)), status)
    }

    /// Asks a listener to end; its status.
    func end() async -> Int32? {
        try? input.fileHandleForWriting.close()
        for await _ in lines {}
        return await status()
    }

    /// The exit status; for one that a signal ended, the signal's number below zero.
    private func status() async -> Int32? {
        for await status in statuses {
            // A driver that exits has ended its daemon.
            if status >= 0 { isOver.store(true, ordering: .relaxed) }
            return status
        }
        return nil
    }
}

struct Event: Decodable {
    let event: String
    let peer: String?
    let bytes: Int?
    let end: String?
}

struct Seen: Decodable {
    struct Failed: Decodable {
        let stage: String
        let error: String
    }
    struct Description: Decodable {
        let agentVersion: String?
        let publicKeyPeer: String?
        let listenAddrs: [String]
        let protocols: [String]
        let observedAddr: String?
    }
    struct Echo: Decodable {
        let received: Int
        let same: Bool
        let sentSHA256: String
        let receivedSHA256: String
        let end: String
    }
    struct Held: Decodable {
        let open: Int
        let same: Int
        let finished: Int
    }
    struct Transfer: Decodable {
        let sent: Int
        let received: Int
    }

    let ok: Bool
    let failed: Failed?
    let local: String?
    let peer: String?
    let security: String?
    let muxer: String?
    let pings: [Int]?
    let identify: Description?
    let echo: [Echo]?
    let streams: Held?
    let halfClose: Echo?
    let reset: String?
    let perf: Transfer?
}
