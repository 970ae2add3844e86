import ArgumentParser
import Gauge
import P2P
import SecureChannels

/// `streamgauge identify`: what a node says of itself, and what connecting to it took.
struct IdentifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identify", abstract: "What any libp2p node says of itself, and what connecting to it took, step by step.",
        discussion: """
              streamgauge identify /ip4/127.0.0.1/tcp/4001
              streamgauge identify /ip4/127.0.0.1/tcp/4001 --security tls --muxer mplex
            """)

    @Argument(help: "The node's address, such as /ip4/127.0.0.1/tcp/4001.")
    var address: String

    @OptionGroup var options: NodeOptions

    func run() async throws {
        try await Node.with(options, address) { host, connection in
            let known = try await Identify.ask(connection, timeoutNanoseconds: host.configuration.limits.identifyNanoseconds)
            print("peer        \(connection.remotePeerID)")
            print("connection  \(connection.security.rawValue), \(connection.muxer.rawValue)")
            print("agent       \(known.agentVersion ?? "not told")")
            print("protocol    \(known.protocolVersion ?? "not told")")
            print("sees us at  \(known.observedAddress.map { "\($0)" } ?? "not told")")
            for address in known.listenAddresses { print("listens on  \(address)") }
            for id in known.protocols { print("speaks      \(id)") }
            print("\nconnecting, after TCP's own round trip:")
            Self.printSteps(connection.upgradeReport)
        }
    }

    private static func printSteps(_ report: UpgradeReport) {
        guard let start = report.marks.first?.nanoseconds else { return }
        for mark in report.marks {
            let what =
                switch mark.milestone {
                case .handshakeMessage(let message): "\(mark.milestone.name), \(message.byteCount) B"
                case .muxerAgreed: "\(mark.milestone.name) (\(report.negotiated.rawValue))"
                case .started, .securityAgreed, .established: mark.milestone.name
                }
            let time = Units.format(nanoseconds: Double(mark.nanoseconds - start))
            print("  " + String(repeating: " ", count: max(0, 9 - time.count)) + time + "  " + what)
        }
        print("  \(report.roundTrips) round trips")
    }
}
