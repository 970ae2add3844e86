import ArgumentParser
import Gauge
import P2P

/// `streamgauge perf`: libp2p's perf protocol against any node that serves it.
struct PerfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perf", abstract: "Throughput to and from any libp2p node that serves the perf protocol.",
        discussion: """
            One stream uploads, is half-closed, and downloads (/perf/1.0.0). Few nodes serve it unless told to: streamgauge serve --perf does.

              streamgauge perf /ip4/127.0.0.1/tcp/4001 --upload 1GiB --download 1GiB
            """)

    @Argument(help: "The node's address, such as /ip4/127.0.0.1/tcp/4001.")
    var address: String

    @Option(help: "How much to send.")
    var upload = "100MiB"

    @Option(help: "How much to ask for.")
    var download = "100MiB"

    @OptionGroup var options: NodeOptions

    func run() async throws {
        let (up, down) = (try parsed("--upload", upload) { try Units.bytes($0) }, try parsed("--download", download) { try Units.bytes($0) })
        try await Node.with(options, address) { _, connection in
            print("perf \(Node.describe(connection))")
            let outcome = try await Perf.measure(connection, uploadBytes: UInt64(up), downloadBytes: UInt64(down))
            Self.tell("upload", outcome.uploadedBytes, outcome.uploadNanoseconds)
            Self.tell("download", outcome.downloadedBytes, outcome.downloadNanoseconds)
        }
    }

    private static func tell(_ what: String, _ bytes: UInt64, _ nanoseconds: UInt64) {
        guard bytes > 0, nanoseconds > 0 else { return }
        let rate = Double(bytes) / Double(nanoseconds) * 1e9
        print("  \(what)  \(Units.format(bytes: Double(bytes))) in \(Units.format(nanoseconds: Double(nanoseconds))): \(Units.format(bytesPerSecond: rate))")
    }
}
