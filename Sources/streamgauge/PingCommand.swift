import ArgumentParser
import Gauge
import P2P

/// `streamgauge ping`: libp2p's ping to any node.
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Round trips to any libp2p node, by its own ping protocol.",
        discussion: """
            The address may end in /p2p/PEER: the node must then be that peer.

              streamgauge ping /ip4/127.0.0.1/tcp/4001
              streamgauge ping /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW... -n 1000 --security tls
            """)

    @Argument(help: "The node's address, such as /ip4/127.0.0.1/tcp/4001.")
    var address: String

    @Option(name: [.customShort("n"), .long], help: "How many pings.")
    var count = 5

    @OptionGroup var options: NodeOptions

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--count is \(count); allowed is 1 to 1,000,000") }
    }

    func run() async throws {
        try await Node.with(options, address) { _, connection in
            print("ping \(Node.describe(connection))")
            let ping = try await Ping.open(on: connection)
            // The first one carries the negotiation of the stream.
            print("  first, with the stream's opening: \(Units.format(nanoseconds: Double(try await ping.roundTrip())))")
            var histogram = LatencyHistogram()
            for number in 1...count {
                let time = try await ping.roundTrip()
                histogram.record(time)
                if count <= 10 { print("  \(number): \(Units.format(nanoseconds: Double(time)))") }
            }
            await ping.close()
            guard let summary = histogram.summary() else { return }
            func text(_ value: Int) -> String { Units.format(nanoseconds: Double(value)) }
            print("  \(count) pings: p50 \(text(summary.p50)), p90 \(text(summary.p90)), p99 \(text(summary.p99)), max \(text(summary.max))")
        }
    }
}
