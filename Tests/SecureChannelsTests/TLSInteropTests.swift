import Bytes
import Ciphers
import Foundation
import Kernel
import Multiformats
@testable import SecureChannels
import Testing

/// The command of OpenSSL at the other end of a socket: an implementation of records, tickets and renewed keys that is not this one.
///
/// It is killed when it has run for ``secondsMax``, and nobody waits for it any longer than that: a test fails instead of hanging.
private final class OpenSSLPeer {
    static let secondsMax = 120.0
    static let nanosecondsMax = UInt64(secondsMax * 1e9)
    static let isThere = (try? run(["version"])) != nil

    enum Failure: Error {
        case failed([String], status: Int32)
        case late([String])
        case silent(expected: String, said: String)
        case nobodyCame
    }

    let folder: URL
    var socketPath: String { folder.appending(path: "socket").path }
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var text = Data()

    static func run(_ arguments: [String]) throws {
        let process = Process()
        let hasEnded = DispatchSemaphore(value: 0)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        process.terminationHandler = { _ in hasEnded.signal() }
        try launch(process)
        // Process.waitUntilExit has no limit.
        guard hasEnded.wait(timeout: .now() + secondsMax) == .success else { throw Failure.late(arguments) }
        guard process.terminationStatus == 0 else { throw Failure.failed(arguments, status: process.terminationStatus) }
    }

    private static func launch(_ process: Process) throws {
        try process.run()
        DispatchQueue.global().asyncAfter(deadline: .now() + secondsMax) {
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        }
    }

    /// - Parameter identity: proven by a certificate that the command makes, from a key that it makes.
    init(_ identity: LocalIdentity) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "streamgauge-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Self.run(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path("key")])
        try Self.run(["pkey", "-in", path("key"), "-pubout", "-outform", "DER", "-out", path("public")])
        let info = Array(try Data(contentsOf: folder.appending(path: "public")))
        let value = try SignedKey(identity, certificateKey: info).der.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: ":")
        let configuration = """
            [req]
            distinguished_name = name
            prompt = no
            x509_extensions = extensions
            [name]
            O = peer
            [extensions]
            1.3.6.1.4.1.53594.1.1 = DER:\(value)
            """
        try Data(configuration.utf8).write(to: folder.appending(path: "configuration"))
        try Self.run(["req", "-new", "-x509", "-key", path("key"), "-config", path("configuration"), "-days", "2", "-out", path("certificate")])
    }

    deinit {
        // The command heeds no gentler signal.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(at: folder)
    }

    private func path(_ name: String) -> String { folder.appending(path: name).path }

    /// What the command needs to prove the identity.
    var certificate: [String] { ["-cert", path("certificate"), "-key", path("key")] }

    func start(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments + ["-alpn", "/mplex/6.7.0,libp2p"]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try Self.launch(process)
    }

    func write(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

    /// Reads what the command prints, up to and with `part`; gives what stood before it.
    @discardableResult
    func expect(_ part: String) throws -> String {
        while true {
            if let found = text.range(of: Data(part.utf8)) {
                let before = String(decoding: text[..<found.lowerBound], as: UTF8.self)
                text = Data(text[found.upperBound...])
                return before
            }
            guard try isReadable() else { throw Failure.silent(expected: part, said: String(decoding: text, as: UTF8.self)) }
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "the command ended without '\(part)': \(String(decoding: text, as: UTF8.self))")
            text += data
        }
    }

    /// Waits until the command prints something or ends.
    private func isReadable() throws -> Bool {
        var counts = SyscallCounts()
        var epoll = try Epoll()
        try epoll.add(output.fileHandleForReading.fileDescriptor, token: 0, interest: .readable, counts: &counts)
        return try epoll.wait(timeoutNanoseconds: Self.nanosecondsMax, counts: &counts) > 0
    }
}

/// A channel on a socket.
private final class SocketEnd {
    let end: ChannelEnd
    private let socket: Socket
    private var epoll: Epoll
    private var counts = SyscallCounts()
    private let block = Block(capacity: 65_536)

    init(_ end: ChannelEnd, _ socket: Socket) throws {
        self.end = end
        self.socket = socket
        epoll = try Epoll()
        try epoll.add(socket.descriptor, token: 0, interest: .readable, counts: &counts)
    }

    deinit { socket.close(counts: &counts) }

    func flush() throws {
        let bytes = end.take()
        guard !bytes.isEmpty else { return }
        var gather = Gather()
        gather.endFrame(tag: 0, payload: Slice(copying: bytes))
        #expect(try socket.send(&gather, counts: &counts) == .done(bytes.count))
        gather.advance(by: gather.byteCount)
    }

    private func received(_ count: Int) -> [UInt8] {
        let slice = Slice(block, 0..<count)
        return slice.bytes.array()
    }

    /// Writes and reads until `isDone`; throws when the channel fails or the far end finishes before.
    func run(until isDone: () -> Bool) throws {
        try flush()
        while !isDone() {
            try #require(end.failure == nil)
            // An answer to a connect that is still under way is no data either.
            guard case .done(let count) = try socket.receive(into: block, 0..<block.capacity, counts: &counts) else {
                let count = try epoll.wait(timeoutNanoseconds: OpenSSLPeer.nanosecondsMax, counts: &counts)
                try #require(count > 0, "the command is silent")
                continue
            }
            guard count > 0 else {
                end.receiveEnd()
                try #require(isDone(), "the far end finished too early: \(end.failure as Any)")
                return
            }
            end.receive(received(count))
            try flush()
        }
    }
}

@Suite(.enabled(if: OpenSSLPeer.isThere, "there is no command openssl"), .timeLimit(.minutes(5))) struct TLSInteropTests {
    private static let muxers: [ProtocolID] = ["/yamux/1.0.0", "/mplex/6.7.0"]

    private func connect(_ address: SocketAddress) throws -> Socket {
        var counts = SyscallCounts()
        let socket = try Socket.connecting(to: address, SocketOptions(), counts: &counts)
        _ = try socket.connect(to: address, counts: &counts)
        return socket
    }

    /// Data both ways, keys renewed from both ends, more data, farewells.
    private func converse(_ peer: OpenSSLPeer, _ line: SocketEnd) throws {
        let end = line.end
        try line.run { end.channel.isEstablished }
        #expect(end.failure == nil && end.channel.remote?.peerID == People.mallory.peerID && end.channel.remote?.muxer == "/mplex/6.7.0")
        try end.send(Array("from the channel\n".utf8))
        try line.flush()
        try peer.expect("from the channel")
        func said() -> String { String(decoding: end.opened, as: UTF8.self) }
        try peer.write("from the command")
        try line.run { said().hasSuffix("from the command\n") }
        let before = end.channel.counters
        // K renews the command's key and asks for another of ours.
        try peer.write("K")
        try line.run { end.channel.counters.received.handshakeBytes == before.received.handshakeBytes + 27 }
        try peer.write("with the next key")
        try line.run { said().hasSuffix("with the next key\n") }
        // The answer goes before the next data.
        #expect(end.channel.counters.sent.handshakeBytes == before.sent.handshakeBytes)
        try end.send(Array("answered with the next key\n".utf8))
        #expect(end.channel.counters.sent.handshakeBytes == before.sent.handshakeBytes + 27)
        try line.flush()
        try peer.expect("answered with the next key")
        // So do we, record after record.
        (end.channel as? TLSChannel)?.setRecordsPerKeyMax(1)
        for number in 1...3 {
            try end.send([UInt8](repeating: 0x61, count: 20_000) + Array("key \(number)\n".utf8))
            try line.flush()
            try peer.expect("key \(number)")
        }
        // The command answers a farewell with its own.
        end.close()
        try line.run { (end.channel as? TLSChannel)?.hasHeardFarewell == true }
        end.receiveEnd()
        #expect(end.failure == nil && end.ledgerBalances)
    }

    @Test func server() throws {
        let peer = try OpenSSLPeer(People.mallory)
        // Not on a Unix socket: this version of the command fails over an end without a name.
        try peer.start(["s_server", "-Verify", "1", "-accept", "127.0.0.1:0", "-naccept", "1"] + peer.certificate)
        try peer.expect("ACCEPT 127.0.0.1:")
        let port = try #require(UInt16(try peer.expect("\n")))
        let socket = try connect(.ip4(0x7f00_0001, port: port))
        let end = ChannelEnd(
            try TLSChannel(.init(identity: People.alice, role: .initiator, expectedRemote: People.mallory.peerID, muxers: [Self.muxers[1]])))
        try end.start()
        try converse(peer, try SocketEnd(end, socket))
    }

    /// What the command sends as a client, to a responder.
    private func accepted(_ peer: OpenSSLPeer, _ arguments: [String]) throws -> SocketEnd {
        var counts = SyscallCounts()
        let listener = try Socket.listening(on: .unix(peer.socketPath), SocketOptions(), counts: &counts).socket
        defer { listener.close(counts: &counts) }
        try peer.start(["s_client", "-unix", peer.socketPath] + arguments)
        var epoll = try Epoll()
        try epoll.add(listener.descriptor, token: 0, interest: .readable, counts: &counts)
        _ = try epoll.wait(timeoutNanoseconds: OpenSSLPeer.nanosecondsMax, counts: &counts)
        guard case .done((let socket, _)) = try listener.accept(counts: &counts) else { throw OpenSSLPeer.Failure.nobodyCame }
        let end = ChannelEnd(try TLSChannel(.init(identity: People.alice, role: .responder, muxers: Self.muxers)))
        try end.start()
        return try SocketEnd(end, socket)
    }

    @Test func client() throws {
        let peer = try OpenSSLPeer(People.mallory)
        try converse(peer, try accepted(peer, peer.certificate))
    }

    /// A client must say who it is (section "Handshake Protocol").
    @Test func clientWithoutCertificate() throws {
        let peer = try OpenSSLPeer(People.mallory)
        let line = try accepted(peer, [])
        try line.run { line.end.failure != nil || line.end.channel.isEstablished }
        guard case .tls(.refused(_, .certificateRequired)) = line.end.failure else {
            Issue.record("\(line.end.failure as Any)")
            return
        }
        #expect(line.end.channel.remote == nil)
    }

    @Test func olderVersion() throws {
        let peer = try OpenSSLPeer(People.mallory)
        let line = try accepted(peer, peer.certificate + ["-tls1_2"])
        try line.run { line.end.failure != nil || line.end.channel.isEstablished }
        guard case .tls(.refused(_, .protocolVersion)) = line.end.failure else {
            Issue.record("\(line.end.failure as Any)")
            return
        }
    }
}
