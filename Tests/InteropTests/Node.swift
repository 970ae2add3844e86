import Foundation
import Multiformats
import P2P
import Reactor
import SecureChannels
import Testing

/// An implementation that others wrote, as a driver in `Tests/Interop/peers` runs it; the README there has what drivers take and print.
enum Implementation: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case pyLibp2p = "pylibp2p_node.py"
    case goLibp2p = "p2pd_node.py"

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let python = root.appending(path: ".peers/venv/bin/python")

    var driver: URL { Self.root.appending(path: "Tests/Interop/peers/\(rawValue)") }

    var isInstalled: Bool {
        switch self {
        case .pyLibp2p: FileManager.default.isExecutableFile(atPath: Self.python.path)
        case .goLibp2p: Self.pyLibp2p.isInstalled && FileManager.default.isExecutableFile(atPath: Self.root.appending(path: ".peers/p2pd/p2pd").path)
        }
    }

    /// Those that are there; says which are not.
    static let installed: [Implementation] = allCases.filter { implementation in
        if !implementation.isInstalled { print("skipped: \(implementation.testDescription) is not installed; scripts/install-peers installs it") }
        return implementation.isInstalled
    }

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
    var agent: String { self == .pyLibp2p ? "py-libp2p/" : "p2pd/" }
}

/// What a test runs with.
struct Stack: Sendable, CustomTestStringConvertible {
    let other: Implementation
    let security: SecurityKind
    let muxer: MuxerKind

    var testDescription: String { "\(other.testDescription) \(security.rawValue) \(muxer.rawValue)" }
    var options: [String] { ["--security", security.rawValue, "--muxer", muxer.rawValue] }

    /// Whether a connection that was closed on purpose, with no stream open, ends like this; the README in `Tests/Interop` says why not always in order.
    func isUsual(_ end: ConnectionEnd) -> Bool {
        switch end {
        case .orderly: true
        // go-libp2p ends TCP connections by a reset; py-libp2p leaves TLS's farewell unread.
        case .channel(.reset): other == .goLibp2p || security == .tls
        // py-libp2p sends no farewell of TLS.
        case .security(.tls(.endedWithoutFarewell)): other == .pyLibp2p && security == .tls
        default: false
        }
    }

    static let all = Implementation.installed.flatMap { other in
        other.securities.flatMap { security in other.muxers.map { Stack(other: other, security: security, muxer: $0) } }
    }
    static let secure = all.filter { $0.security != .plaintext && $0.muxer == .yamux }
}

/// A driver as a child process.
final class Node: Sendable {
    private let process: Process
    private let input: Pipe
    /// What it prints, line by line.
    let lines: AsyncStream<String>

    init(_ stack: Stack, _ options: [String] = []) throws {
        let (process, input, output) = (Process(), Pipe(), Pipe())
        process.executableURL = Implementation.python
        process.arguments = [stack.other.driver.path] + stack.options + options
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        (self.process, self.input) = (process, input)
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        self.lines = lines
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
            continuation.finish()
        }
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

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

    /// What a dialer saw.
    func seen() async throws -> Seen {
        var last = ""
        for await line in lines { last = line }
        return try JSONDecoder().decode(Seen.self, from: Data(last.utf8))
    }

    /// Asks a listener to end; its status.
    func end() async -> Int32 {
        try? input.fileHandleForWriting.close()
        for await _ in lines {}
        process.waitUntilExit()
        return process.terminationStatus
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
        let end: String
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
    let perf: Transfer?
}
