import ArgumentParser
import Foundation
import Gauge
import Load
import Multiformats
import Reactor

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Measures one subject with one workload.")

    @Argument var subject = "tcp+yamux"
    @Option(name: .shortAndLong) var workload = "bulk"
    @Option(name: .shortAndLong) var connections = 1
    @Option(name: [.customShort("m"), .long]) var streams = 1
    @Option(name: [.customShort("s"), .long]) var messageSize: String?
    @Option(name: [.customShort("t"), .long]) var duration = "2s"
    @Option(name: [.customShort("n"), .long]) var count: Int?
    @Option(name: [.customShort("R"), .long]) var rate: Double?
    @Option var direction = "up"
    @Option var depth = 1
    @Option var io = "auto"
    @Option var verify = "sampled"

    func run() async throws {
        let kind = try Workload(parsing: workload)
        let size = try messageSize.map { try Units.bytes($0) } ?? kind.messageSizeDefault
        let scenario = Scenario(
            subject: subject, workload: workload, connections: connections, streams: streams,
            flows: try kind.flows(messageSizeBytes: size, direction: direction, depth: depth),
            durationSeconds: count == nil ? Double(try Units.duration(duration)) / 1e9 : nil, count: count, ratePerSecond: rate, verify: verify)
        let program = CommandLine.arguments[0]
        let unix = subject.hasPrefix("unix")
        let server = try ServerProcess(
            program: program, listen: try Multiaddr(unix ? "/unix/tmp/sg-\(getpid()).sock" : "/ip4/127.0.0.1/tcp/0"), threads: 1, io: io, core: 1)
        defer { server.stop() }
        let loops = try Loops.start(count: 1, io: io, name: "client", core: 0)
        let generator = try Generator(scenario: scenario, loops: loops, server: .address(server.address))
        let figures = try await generator.run()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        var slim = figures
        slim.histograms = .init()
        slim.intervals = []
        print(String(decoding: try encoder.encode(slim), as: UTF8.self))
        print(figures.goodputBytesPerSecond, figures.messagesPerSecond, figures.latency, figures.valid)
        Loops.stop(loops)
        if !figures.valid { throw ExitCode(2) }
    }
}
