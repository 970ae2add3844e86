import ArgumentParser

@main
struct StreamGauge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streamgauge",
        abstract: "Measures stream multiplexers: throughput, latency, memory, and every byte they put on the wire.",
        subcommands: [RunCommand.self, ServeCommand.self])
}
