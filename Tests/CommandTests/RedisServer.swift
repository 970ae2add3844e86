import Foundation
import Testing
import TestSupport

/// Debian's redis-server, for one test: on a socket in a folder of its own, nothing written to disk.
final class RedisServer {
    private static let executable = "/usr/bin/redis-server"
    private static let client = "/usr/bin/redis-cli"
    static var isInstalled: Bool { [executable, client].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) } }

    private let scratch: Scratch
    private let server: Command
    private var started: [Command] = []

    /// As REDIS_ADDR takes it.
    var address: String { "unix:\(socket)" }
    private var socket: String { scratch.path + "/redis.sock" }

    private init() throws {
        scratch = try Scratch()
        let settings = ["--port", "0", "--unixsocket", scratch.path + "/redis.sock", "--dir", scratch.path, "--save", "", "--appendonly", "no"]
        server = try Command(settings, executable: Self.executable)
    }

    /// Runs `body` with a server that is ready; afterwards the server is gone, and everything that was started with it, whatever happened.
    static func with(_ body: (RedisServer) async throws -> Void) async throws {
        let redis = try RedisServer()
        do {
            try #require(await redis.server.output.has("to accept connections"), "\(redis.server.output.text) \(redis.server.errors.text)")
            try await body(redis)
        } catch {
            await redis.stop()
            throw error
        }
        await redis.stop()
    }

    private func stop() async {
        for command in started + [server] {
            command.send(SIGKILL)
            _ = await command.outcome()
        }
    }

    /// Starts `scripts/perf-app`.
    func start(_ variables: [String: String], _ arguments: String...) throws -> Command {
        let command = try Self.perfApp(variables, arguments)
        started.append(command)
        return command
    }

    static func perfApp(_ variables: [String: String], _ arguments: [String] = []) throws -> Command {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try Command(
            arguments, executable: root.appending(path: "scripts/perf-app").path, environment: variables.merging(["STREAMGAUGE": Executable.path]) { $1 })
    }

    /// What Redis's own client is answered.
    func command(_ words: String...) async throws -> String {
        let outcome = await (try Command(["-s", socket] + words, executable: Self.client)).outcome()
        try #require(outcome.code == 0, "\(outcome)")
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    func value(of key: String) async throws -> String { try await command("GET", key) }
}
