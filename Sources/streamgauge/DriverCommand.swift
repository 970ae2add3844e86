import ArgumentParser
import Foundation
import Gauge
import Kernel
import Load
import Reactor

/// `streamgauge driver`: one end of a comparison, told what to do by lines on standard input. `Benchmarks/Peers/README.md` is the contract.
struct DriverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "driver", abstract: "One end of a comparison, driven by lines on standard input (Benchmarks/Peers/README.md).",
        discussion: "streamgauge compare starts drivers by itself. Alone it is for those who write a driver: scripts/check-driver .build/release/streamgauge driver",
        subcommands: [AboutCommand.self, ServerCommand.self, ClientCommand.self])

    struct AboutCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "about", abstract: "What this driver can do, as a line of JSON.")

        func run() throws {
            let environment = Environment.current(allocator: "jemalloc", ioBackend: "auto", commit: ProcessInfo.processInfo.environment["STREAMGAUGE_COMMIT"])
            let version = "streamgauge \(environment.commit.value ?? "unknown"), \(environment.compiler) \(environment.buildConfiguration)"
            try StandardOutput.print(Data(try DriverSide.about(version: version)))
        }
    }

    struct ServerCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "server", abstract: "The end that listens.")
        @OptionGroup var options: DriverRunOptions

        func validate() throws { try options.check() }

        func run() async throws {
            try await options.drive(core: 1) { try await DriverSide.server($0, loops: $1) }
        }
    }

    struct ClientCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "client", abstract: "The end that connects.")
        @OptionGroup var options: DriverRunOptions

        @Option(help: "Where the server is: 127.0.0.1:PORT.")
        var connect: String

        func validate() throws {
            try options.check()
            _ = try port
        }

        private var port: UInt16 {
            get throws {
                let parts = connect.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count == 2, parts[0] == "127.0.0.1", let port = UInt16(parts[1]), port > 0 else {
                    throw ValidationError("--connect is '\(connect)'; it has the form 127.0.0.1:PORT")
                }
                return port
            }
        }

        func run() async throws {
            let port = try port
            try await options.drive(core: 0) { try await DriverSide.client($0, loops: $1, port: port) }
        }
    }
}

/// The options that both ends have: a driver is always given all of them.
struct DriverRunOptions: ParsableArguments {
    @Option(help: "Layers joined by +: tcp, tcp+yamux, tcp+noise+yamux, ...")
    var stack: String

    @Option(help: "bulk, request, churn, idle or mixed.")
    var workload: String

    @Option(help: "Where bulk goes: up, down or both.")
    var direction: String

    @Option(help: "Connections.")
    var connections: Int

    @Option(help: "Streams on each connection.")
    var streams: Int

    @Option(help: "Payload of a message.")
    var messageBytes: Int

    @Option(help: "Requests under way on a stream at once.")
    var depth: Int

    @Option(help: "Of the payload.")
    var seed: UInt64

    @Option(help: "What goes on beside the requests of mixed: bulk, stopped, stalled or churn.")
    var beside = Aggressor.bulk.rawValue

    @Option(help: "Whether those requests have the first connection to themselves: yes or no.")
    var apart = "no"

    private func make() throws -> DriverOptions {
        DriverOptions(
            stack: stack, workload: try parsed("--workload", workload) { try Workload(parsing: $0) }, direction: direction, connections: connections,
            streams: streams, messageBytes: messageBytes, depth: depth, seed: seed, beside: try parsed("--beside", beside) { try Aggressor(parsing: $0) },
            isApart: try isApart)
    }

    private var isApart: Bool {
        get throws {
            switch apart {
            case "yes": true
            case "no": false
            default: throw ValidationError("--apart is '\(apart)'; allowed is yes or no")
            }
        }
    }

    func check() throws {
        do { try Runner.check(try make().scenario()) } catch let error as ScenarioError { throw Exit.usage(error) }
    }

    /// Runs one end: lines in, lines out, until standard input ends or the report is given.
    ///
    /// - Parameter core: which of the allowed cores the loop stays on, where there are two.
    func drive(core: Int, _ makeSide: (DriverOptions, [EventLoop]) async throws -> DriverSide) async throws {
        let options = try make()
        // Ctrl-C reaches every program of the terminal; whoever holds our input decides what it means.
        signal(SIGINT, SIG_IGN)
        let lines = StandardInputLines()
        let cores = (try? Affinity.allowedCores()) ?? []
        do {
            let loops = try Loops.start(count: 1, io: "auto", name: "driver", core: cores.count >= 2 ? cores[core] : nil)
            let side = try await makeSide(options, loops)
            try StandardOutput.write(Data(side.ready))
            for await line in lines.stream {
                guard let command = DriverContract.Command(rawValue: line) else {
                    throw DriverError.malformed("'\(line)' is no command; known are \(DriverContract.Command.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                try StandardOutput.write(Data(try await side.answer(command)))
                if command == .report { return }
            }
        } catch {
            Exit.tell(error)
            // Whoever would read the line may have gone, and has been told above.
            try? StandardOutput.write(Data(DriverSide.failure(error)))
            throw ExitCode(1)
        }
    }
}

/// Standard input, line by line, read by a thread of its own. The process ends when the input does, whatever it is doing.
private struct StandardInputLines {
    let stream: AsyncStream<String>

    init() {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        self.stream = stream
        Thread.detachNewThread {
            while let line = readLine() { continuation.yield(line) }
            // At once: nothing is left to be done, and nobody to be told.
            _exit(0)
        }
    }
}

extension DriverCatalogue {
    /// This program's own driver, those that are installed (or in the folders that STREAMGAUGE_DRIVERS lists), and those of the command line.
    static func standard(named: [String]) throws(ScenarioError) -> DriverCatalogue {
        let folders = ProcessInfo.processInfo.environment["STREAMGAUGE_DRIVERS"].map { $0.split(separator: ":").map(String.init) }
        return try DriverCatalogue(program: Runner.program, folders: folders ?? [DriverCatalogue.folder], named: named)
    }
}
