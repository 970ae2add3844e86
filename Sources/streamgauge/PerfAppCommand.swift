import ArgumentParser
import Foundation
import Gauge
import Kernel
import Multiformats
import P2P
import Reactor

/// `streamgauge perf-app`: one end of a test of libp2p's own performance harness (github.com/libp2p/unified-testing, folder `perf`).
///
/// ```
///   listener ──listens──▶ SET <TEST_KEY>_listener_multiaddr ──▶ Redis ◀── GET, until it is there ── dialer
///            ◀── /perf/1.0.0: uploads, downloads, round trips ───────────────────────────────────── dialer ──▶ YAML
/// ```
struct PerfAppCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perf-app", abstract: "One end of a test of libp2p's own performance harness.",
        discussion: """
            Everything comes from the environment, as libp2p/unified-testing sets it:

              both ends     IS_DIALER, REDIS_ADDR, TEST_KEY, TRANSPORT (tcp), SECURE_CHANNEL (noise, tls), MUXER (yamux, mplex), DEBUG
              the listener  LISTENER_IP (default 0.0.0.0)
              the dialer    UPLOAD_BYTES, DOWNLOAD_BYTES (default 1 GiB), UPLOAD_ITERATIONS, DOWNLOAD_ITERATIONS (default 10),
                            LATENCY_ITERATIONS (default 100)

            The listener runs until it is told to end (SIGTERM). The dialer prints the results as YAML; everything else goes to standard error.
            """)

    @Option(help: "How long the dialer waits until the listener's address is in Redis.")
    var wait = "60s"

    func run() async throws {
        let waitSeconds = try parsed("--wait", wait, by: seconds)
        do {
            let settings = try PerfAppSettings(ProcessInfo.processInfo.environment)
            let loops = try Loops.start(count: 1, io: "auto", name: "perf", core: nil)
            defer { Loops.stop(loops) }
            let redis = try RedisClient(settings.redisAddress, loop: loops[0])
            var configuration = try HostConfiguration()
            configuration.loops = .shared(loops)
            configuration.security = [settings.security]
            configuration.muxers = [settings.muxer]
            switch settings.role {
            case .listener(let ip):
                configuration.perf = .on
                try await Node.with(configuration) { try await Self.listen(on: ip, $0, redis, settings) }
            case .dialer(let plan):
                try await Node.with(configuration) { try await Self.dial($0, redis, settings, plan, waitSeconds) }
            }
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }

    // MARK: The listener

    private static func listen(on ip: IPv4Address, _ host: P2P.Host, _ redis: RedisClient, _ settings: PerfAppSettings) async throws {
        let termination = Signals.watchTermination()
        let bound = try await host.listen(on: Multiaddr([.ip4(ip), .tcp(0)]))
        // Behind an address that stands for all interfaces, the first of those that others can dial.
        let address = host.addresses.first ?? bound
        try await redis.set(settings.addressKey, address.description)
        log("listening on \(address), as \(settings.addressKey) in Redis")
        for await _ in termination {}
    }

    // MARK: The dialer

    private static func dial(
        _ host: P2P.Host, _ redis: RedisClient, _ settings: PerfAppSettings, _ plan: PerfAppSettings.Plan, _ waitSeconds: Double
    ) async throws {
        let address = try await listenerAddress(redis, settings.addressKey, waitSeconds)
        log("connecting to \(address)")
        let connection = try await host.connect(to: address)
        log("connected to \(Node.describe(connection))")
        let upload = try await measure(connection, "upload", up: plan.uploadBytes, down: 0, plan.uploadIterations, settings) {
            gigabits(plan.uploadBytes, $0)
        }
        let download = try await measure(connection, "download", up: 0, down: plan.downloadBytes, plan.downloadIterations, settings) {
            gigabits(plan.downloadBytes, $0)
        }
        let latency = try await measure(connection, "latency", up: 1, down: 1, plan.latencyIterations, settings) { Double($0) / 1e6 }
        print(yaml("upload", upload, "Gbps", decimals: 2), terminator: "")
        print(yaml("download", download, "Gbps", decimals: 2), terminator: "")
        print(yaml("latency", latency, "ms", decimals: 3), terminator: "")
    }

    private static func listenerAddress(_ redis: RedisClient, _ key: String, _ waitSeconds: Double) async throws -> Multiaddr {
        log("waiting for \(key) in Redis")
        let deadline = Clock.now &+ UInt64(waitSeconds * 1e9)
        while true {
            if let text = try await redis.get(key) { return try Multiaddr(text) }
            guard Clock.now < deadline else { throw PerfAppError.noListener(key: key, seconds: waitSeconds) }
            // Listeners of other implementations set the key and tell nobody, so asking again is the only way.
            try await Task.sleep(nanoseconds: 100_000_000)
        }
    }

    /// Each iteration is a stream of its own; its time runs from before the stream is asked for until the far end has finished.
    private static func measure(
        _ connection: PeerConnection, _ name: String, up: UInt64, down: UInt64, _ iterations: Int, _ settings: PerfAppSettings,
        _ value: (UInt64) -> Double
    ) async throws -> [Double] {
        log("measuring \(name), \(iterations) iterations")
        var values: [Double] = []
        for number in 1...iterations {
            let start = Clock.now
            _ = try await Perf.measure(connection, uploadBytes: up, downloadBytes: down)
            let nanoseconds = Clock.now - start
            values.append(value(max(nanoseconds, 1)))
            if settings.isVerbose { log("\(name) \(number): \(Units.format(nanoseconds: Double(nanoseconds)))") }
        }
        return values
    }

    private static func gigabits(_ byteCount: UInt64, _ nanoseconds: UInt64) -> Double { Double(byteCount) * 8 / Double(nanoseconds) }

    /// A section of the results, spelled as the harness looks for it.
    private static func yaml(_ name: String, _ values: [Double], _ unit: String, decimals: Int) -> String {
        guard let box = Statistics.boxPlot(values) else { return "" }
        func text(_ value: Double) -> String { String(format: "%.\(decimals)f", value) }
        func list(_ values: [Double]) -> String { "[\(values.map(text).joined(separator: ", "))]" }
        return """
            \(name):
              iterations: \(values.count)
              min: \(text(box.min))
              q1: \(text(box.q1))
              median: \(text(box.median))
              q3: \(text(box.q3))
              max: \(text(box.max))
              outliers: \(list(box.outliers))
              samples: \(list(values.sorted()))
              unit: \(unit)

            """
    }

    private static func log(_ text: String) { StandardError.write("\(text)\n") }
}
