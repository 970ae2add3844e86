import Foundation
import Kernel
import Testing
import TestSupport

/// `scripts/perf-app` as libp2p's performance harness drives it, with a real Redis server between the two ends.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "redis-server is not installed: scripts/install redis-server"), .timeLimit(.minutes(5)))
struct PerfAppTests {
    private static let common = ["TEST_KEY": "a5b50d5e", "TRANSPORT": "tcp", "SECURE_CHANNEL": "noise", "MUXER": "yamux"]

    /// Variables of both ends, and of the dialer: few and small transfers.
    private static func variables(_ redis: RedisServer, _ more: [String: String] = [:]) -> [String: String] {
        let sizes = [
            "UPLOAD_BYTES": "1000000", "DOWNLOAD_BYTES": "2000000", "UPLOAD_ITERATIONS": "5", "DOWNLOAD_ITERATIONS": "6", "LATENCY_ITERATIONS": "20",
        ]
        return common.merging(sizes) { $1 }.merging(["REDIS_ADDR": redis.address]) { $1 }.merging(more) { $1 }
    }

    // MARK: Both roles

    struct Stack: Sendable, CustomTestStringConvertible {
        let security: String
        let muxer: String
        var testDescription: String { "\(security) \(muxer)" }
    }

    @Test(arguments: [
        Stack(security: "noise", muxer: "yamux"), Stack(security: "tls", muxer: "yamux"), Stack(security: "noise", muxer: "mplex"),
        Stack(security: "tls", muxer: "mplex"),
    ])
    func listenerAndDialer(stack: Stack) async throws {
        try await RedisServer.with { redis in
            let variables = Self.variables(redis, ["SECURE_CHANNEL": stack.security, "MUXER": stack.muxer, "LISTENER_IP": "127.0.0.1"])
            // The dialer comes first and has to wait.
            let dialer = try redis.start(variables.merging(["IS_DIALER": "true"]) { $1 })
            #expect(await dialer.errors.has("waiting for a5b50d5e_listener_multiaddr"), "\(dialer.errors.text)")
            let listener = try redis.start(variables.merging(["IS_DIALER": "false"]) { $1 })
            let outcome = await dialer.outcome()
            try #require(outcome.code == 0, "\(outcome) \(listener.errors.text)")
            #expect(outcome.errors.contains("over \(stack.security) and \(stack.muxer)"), "\(outcome.errors)")
            let results = try Results(outcome.output)
            try results.check("upload", iterations: 5, unit: "Gbps")
            try results.check("download", iterations: 6, unit: "Gbps")
            try results.check("latency", iterations: 20, unit: "ms")
            let address = try await redis.value(of: "a5b50d5e_listener_multiaddr")
            #expect(address.hasPrefix("/ip4/127.0.0.1/tcp/") && address.contains("/p2p/12D3"), "\(address)")
            listener.send(SIGTERM)
            let end = await listener.outcome()
            #expect(end.code == 0 && end.output == "", "\(end)")
        }
    }

    /// What the harness's own settings leave out arrives as `null`, and stands for the default.
    @Test func defaults() async throws {
        try await RedisServer.with { redis in
            let variables = Self.variables(
                redis, ["LISTENER_IP": "127.0.0.1", "UPLOAD_ITERATIONS": "null", "DOWNLOAD_ITERATIONS": "null", "LATENCY_ITERATIONS": "", "DEBUG": "true"])
            let listener = try redis.start(variables.merging(["IS_DIALER": "false"]) { $1 })
            let outcome = await (try redis.start(variables.merging(["IS_DIALER": "true"]) { $1 })).outcome()
            try #require(outcome.code == 0, "\(outcome) \(listener.errors.text)")
            let results = try Results(outcome.output)
            try results.check("upload", iterations: 10, unit: "Gbps")
            try results.check("download", iterations: 10, unit: "Gbps")
            try results.check("latency", iterations: 100, unit: "ms")
            #expect(outcome.errors.contains("latency 100: "), "\(outcome.errors)")
        }
    }

    // MARK: What cannot be done

    @Test(arguments: [
        (["TRANSPORT": "quic-v1"], "TRANSPORT is quic-v1, which is not supported; it can be tcp"),
        (["SECURE_CHANNEL": "plaintext"], "SECURE_CHANNEL is plaintext, which is not supported; it can be noise or tls"),
        (["MUXER": "quic"], "MUXER is quic, which is not supported; it can be yamux or mplex"),
        (["MUXER": ""], "the environment variable MUXER is not set"),
        (["IS_DIALER": "yes"], "IS_DIALER is yes"),
        (["TEST_KEY": ""], "TEST_KEY is not set"),
        (["UPLOAD_BYTES": "1GiB"], "UPLOAD_BYTES is 1GiB, which is not supported; it can be a whole number from 1"),
        (["LATENCY_ITERATIONS": "0"], "LATENCY_ITERATIONS is 0"),
        (["IS_DIALER": "false", "LISTENER_IP": "everywhere"], "LISTENER_IP is everywhere"),
        (["REDIS_ADDR": "host.invalid:6379"], "names the host host.invalid, which is not known here"),
        (["REDIS_ADDR": "a:b:c"], "REDIS_ADDR is a:b:c, which is not HOST:PORT"),
        (["REDIS_ADDR": "localhost:1"], "no Redis server at localhost:1: connection refused"),
    ])
    func refusals(changes: [String: String], said: String) async throws {
        let variables = Self.common.merging(["IS_DIALER": "true", "REDIS_ADDR": "127.0.0.1:1"]) { $1 }.merging(changes) { $1 }
        let outcome = try await RedisServer.perfApp(variables).outcome()
        expectFailure(outcome, "streamgauge: ", said)
        #expect(outcome.output == "")
    }

    @Test func noListener() async throws {
        try await RedisServer.with { redis in
            let outcome = await (try redis.start(Self.variables(redis, ["IS_DIALER": "true"]), "--wait", "200ms")).outcome()
            expectFailure(outcome, "no listener came within 0.2 s: Redis has no a5b50d5e_listener_multiaddr")
        }
    }

    @Test func listenerThatIsGone() async throws {
        try await RedisServer.with { redis in
            #expect(try await redis.command("SET", "a5b50d5e_listener_multiaddr", "/ip4/127.0.0.1/tcp/1") == "OK")
            expectFailure(await (try redis.start(Self.variables(redis, ["IS_DIALER": "true"]))).outcome(), "connecting to /ip4/127.0.0.1/tcp/1", "connection refused")
            #expect(try await redis.command("SET", "a5b50d5e_listener_multiaddr", "tcp://somewhere") == "OK")
            expectFailure(await (try redis.start(Self.variables(redis, ["IS_DIALER": "true"]))).outcome(), "tcp://somewhere")
            // A list has no value to get.
            #expect(try await redis.command("LPUSH", "other_listener_multiaddr", "x") == "1")
            let outcome = await (try redis.start(Self.variables(redis, ["IS_DIALER": "true", "TEST_KEY": "other"]))).outcome()
            expectFailure(outcome, "the Redis server at \(redis.address) refused: WRONGTYPE")
        }
    }

    /// The last two are Redis's protocol, but no answers to what was asked.
    @Test(arguments: ["SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "$x\r\n", "$99999999\r\n", "\r\n", "+OK\r\n", ":1\r\n"])
    func notARedisServer(answer: String) async throws {
        let stranger = try Stranger(answer: answer)
        defer { stranger.stop() }
        let address = "127.0.0.1:\(stranger.address.port ?? 0)"
        let outcome = try await RedisServer.perfApp(Self.common.merging(["IS_DIALER": "true", "REDIS_ADDR": address]) { $1 }).outcome()
        expectFailure(outcome, "what is at \(address) does not answer as a Redis server does")
    }
}

/// Results as the harness picks them from what a dialer prints: sections, and their fields line by line.
private struct Results {
    private static let fields = ["iterations", "min", "q1", "median", "q3", "max", "outliers", "samples", "unit"]
    private var sections: [String: [String: String]] = [:]

    init(_ text: String) throws {
        var section = ""
        var order: [String] = []
        for line in text.split(separator: "\n") {
            if line.hasSuffix(":") {
                section = String(line.dropLast())
                sections[section] = [:]
                order.append(section)
            } else {
                let parts = try #require(line.wholeMatch(of: /\ \ ([a-z0-9]+): (.+)/), "'\(line)' is no field")
                #expect(Self.fields.contains(String(parts.1)), "\(line)")
                sections[section]?[String(parts.1)] = String(parts.2)
            }
        }
        #expect(order == ["upload", "download", "latency"], "\(text)")
    }

    func check(_ name: String, iterations: Int, unit: String) throws {
        let section = try #require(sections[name])
        #expect(section["iterations"] == "\(iterations)" && section["unit"] == unit, "\(section)")
        let samples = try list(section["samples"])
        #expect(samples.count == iterations && samples == samples.sorted(), "\(section)")
        let box = try ["min", "q1", "median", "q3", "max"].map { try #require(section[$0].flatMap(Double.init), "no \($0) in \(section)") }
        let quartiles = Array(box[1...3])
        #expect(quartiles == quartiles.sorted() && box[0] <= box[4], "\(section)")
        #expect(samples.allSatisfy { $0 >= 0 } && box[2] > 0, "\(section)")
        // An outlier is a sample, and beyond what min and max say about the rest.
        for outlier in try list(section["outliers"]) { #expect(samples.contains(outlier) && (outlier <= box[0] || outlier >= box[4]), "\(section)") }
    }

    private func list(_ text: String?) throws -> [Double] {
        let text = try #require(text)
        #expect(text.hasPrefix("[") && text.hasSuffix("]"))
        return try text.dropFirst().dropLast().split(separator: ", ").map { try #require(Double($0)) }
    }
}
