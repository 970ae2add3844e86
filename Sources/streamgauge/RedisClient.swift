import Bytes
import Foundation
import Kernel
import Reactor

/// Sets and gets keys of a Redis server: two commands of its protocol, RESP2 (redis.io, "Redis serialization protocol specification").
///
/// It is here because a client library would be the only dependency with a network stack of its own, for two commands. Each command has a connection of its
/// own, so that there is no state between them.
struct RedisClient: Sendable {
    /// How long a server may take to answer; it answers from memory.
    static let answerNanosecondsMax: UInt64 = 5_000_000_000
    private static let portDefault: UInt16 = 6379

    private let name: String
    private let address: SocketAddress
    private let loop: EventLoop

    /// - Parameter name: `HOST`, `HOST:PORT` or `unix:PATH`, where the host may be a name.
    /// - Parameter loop: a started one.
    init(_ name: String, loop: EventLoop) throws(RedisError) {
        self.name = name
        self.loop = loop
        address = try Self.resolve(name)
    }

    private static func resolve(_ name: String) throws(RedisError) -> SocketAddress {
        if let address = SocketAddress(name) { return address }
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2, let port = parts.count == 2 ? UInt16(parts[1]) : portDefault else {
            throw .addressMalformed(name)
        }
        let found = Foundation.Host(name: String(host)).addresses.lazy.compactMap { SocketAddress("\($0):\(port)") ?? SocketAddress("[\($0)]:\(port)") }
        guard let address = found.first else { throw .nameUnknown(String(host)) }
        return address
    }

    func set(_ key: String, _ value: String) async throws(RedisError) {
        guard case .status = try await ask(["SET", key, value]) else { throw .answerUnexpected(server: name) }
    }

    /// The value of `key`, or nil when there is none.
    func get(_ key: String) async throws(RedisError) -> String? {
        guard case .text(let value) = try await ask(["GET", key]) else { throw .answerUnexpected(server: name) }
        return value
    }

    private func ask(_ words: [String]) async throws(RedisError) -> RedisReply {
        let result: Result<RedisReply, RedisError> = await withCheckedContinuation { continuation in
            loop.submit {
                loop.connect(to: address, timeoutNanoseconds: Self.answerNanosecondsMax) { result in
                    switch result {
                    case .success(let channel):
                        RedisExchange(channel, name, loop, RedisReply.command(words)) { continuation.resume(returning: $0) }.start()
                    case .failure(let error): continuation.resume(returning: .failure(.unreachable(server: name, error)))
                    }
                }
            }
        }
        let reply = try result.get()
        if case .problem(let text) = reply { throw .refused(server: name, text) }
        return reply
    }
}

/// What a Redis server answers.
enum RedisReply: Equatable {
    case status(String)
    case problem(String)
    case text(String?)

    /// Enough for an address; a server that sends more is none.
    static let byteCountMax = 64 << 10

    /// A command as an array of bulk strings.
    static func command(_ words: [String]) -> [UInt8] {
        Array(("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    /// The reply that `bytes` are, or nil when it is not complete.
    static func read(_ bytes: [UInt8]) -> Result<RedisReply, NotRedis>? {
        guard let lineEnd = bytes.firstIndex(of: UInt8(ascii: "\r")), lineEnd + 1 < bytes.count else {
            return bytes.count > byteCountMax ? .failure(NotRedis()) : nil
        }
        guard let kind = bytes.first, bytes[lineEnd + 1] == UInt8(ascii: "\n") else { return .failure(NotRedis()) }
        let line = String(decoding: bytes[1..<max(lineEnd, 1)], as: UTF8.self)
        switch kind {
        case UInt8(ascii: "+"): return .success(.status(line))
        case UInt8(ascii: "-"): return .success(.problem(line))
        case UInt8(ascii: "$"):
            guard let count = Int(line), (-1...byteCountMax).contains(count) else { return .failure(NotRedis()) }
            if count < 0 { return .success(.text(nil)) }
            let start = lineEnd + 2
            guard bytes.count >= start + count + 2 else { return nil }
            return .success(.text(String(decoding: bytes[start..<start + count], as: UTF8.self)))
        default: return .failure(NotRedis())
        }
    }

    struct NotRedis: Error {}
}

/// One command and its reply on a connection of their own; `completion` is called once. On the loop.
private final class RedisExchange: ChannelHandler {
    private let channel: any Channel
    private let server: String
    private var gather: Gather
    private var received: [UInt8] = []
    private var timer: LoopTimer?
    private var completion: ((Result<RedisReply, RedisError>) -> Void)?

    init(
        _ channel: any Channel, _ server: String, _ loop: EventLoop, _ command: [UInt8], _ completion: @escaping (Result<RedisReply, RedisError>) -> Void
    ) {
        self.channel = channel
        self.server = server
        self.completion = completion
        gather = Gather(arenaByteCount: 64, copyThreshold: 0)
        gather.endFrame(tag: 0, payload: Slice(copying: command))
        timer = loop.schedule(at: Clock.now &+ RedisClient.answerNanosecondsMax) { [weak self] in
            self?.end(.failure(.unreachable(server: server, .timedOut(afterNanoseconds: RedisClient.answerNanosecondsMax))))
        }
    }

    func start() {
        channel.start(self)
        flush()
    }

    private func flush() {
        guard completion != nil, !gather.isEmpty else { return }
        switch channel.send(&gather) {
        case .complete(let byteCount), .partial(let byteCount): gather.advance(by: byteCount)
        case .blocked, .pending: break
        case .failed(let error): end(.failure(.unreachable(server: server, error)))
        }
    }

    private func end(_ result: Result<RedisReply, RedisError>) {
        timer?.cancel()
        channel.close()
        completion?(result)
        completion = nil
    }

    func channelReceived(_ block: Block, _ range: Range<Int>) {
        received += block.bytes(range).array()
        if let reply = RedisReply.read(received) { end(reply.mapError { _ in .answerUnexpected(server: server) }) }
    }

    func channelWritable() { flush() }

    func channelSent(_ byteCount: Int) {
        gather.advance(by: byteCount)
        flush()
    }

    func channelEnded() { end(.failure(.answerUnexpected(server: server))) }
    func channelFailed(_ error: ChannelError) { end(.failure(.unreachable(server: server, error))) }
}

/// Why Redis could not be asked.
enum RedisError: Error, CustomStringConvertible {
    case addressMalformed(String)
    case nameUnknown(String)
    case unreachable(server: String, ChannelError)
    case refused(server: String, String)
    case answerUnexpected(server: String)

    var description: String {
        switch self {
        case .addressMalformed(let text): "REDIS_ADDR is \(text), which is not HOST:PORT"
        case .nameUnknown(let host): "REDIS_ADDR names the host \(host), which is not known here"
        case .unreachable(let server, let error): "no Redis server at \(server): \(error)"
        case .refused(let server, let text): "the Redis server at \(server) refused: \(text)"
        case .answerUnexpected(let server): "what is at \(server) does not answer as a Redis server does"
        }
    }
}
