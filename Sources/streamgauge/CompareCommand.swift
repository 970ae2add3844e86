import ArgumentParser
import Foundation
import Gauge
import Load
import Reactor
import Report

/// `streamgauge compare`: which is better for this work on this machine, by how much, and is that certain?
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compares subjects side by side: ratios with intervals, and a verdict in words.",
        discussion: """
            A SUBJECT is [DRIVER:]STACK; without a driver both ends are this program. The first subject is the baseline, the others are compared with it.
            scripts/install-drivers installs drivers for other implementations (go, python); Benchmarks/Peers/README.md tells how to write one.

              streamgauge compare tcp+yamux go:tcp+yamux                    our yamux beside hashicorp's, bulk over one stream
              streamgauge compare tcp+yamux go:tcp+yamux go:tcp+smux -w request -m 1000
              streamgauge compare go:tcp+yamux 'swift>go:tcp+yamux'         who dials whom: Swift dials Go
              streamgauge compare tcp+yamux old:tcp+yamux --driver old='/path/to/older/streamgauge driver'
              streamgauge compare tcp+yamux go:tcp+yamux --matrix           nine workloads
              streamgauge compare --tax                                     what yamux and noise cost over raw TCP

            Each round runs every subject once and the baseline twice, in an order drawn by chance, with processes of its own for each run. What the baseline's two
            runs differ by is the machine's noise. Rounds go on until the intervals are narrow enough (--precision) or the rounds are spent (--rounds).

            Exit codes: 0 ok (whatever the verdict), 2 a run was INVALID or a subject cannot be measured, 64 usage.
            """)

    @Argument(help: "What to compare, the baseline first: tcp+yamux go:tcp+yamux ...")
    var subjects: [String] = []

    @Option(name: .shortAndLong, help: "bulk, request, churn, idle or mixed. (default: bulk)")
    var workload: String?

    @Option(name: .shortAndLong, help: "Connections. (default: 1)")
    var connections: String?

    @Option(name: [.customShort("m"), .long], help: "Streams on each connection. (default: 1)")
    var streams: String?

    @Option(name: [.customShort("s"), .long], help: "Message size. (default: 64KiB; 64 for request, churn)")
    var messageSize: String?

    @Option(help: "Where bulk goes: up, down or both. (default: up)")
    var direction: String?

    @Option(help: "Requests under way on a stream at once. (default: 1)")
    var depth: String?

    @Flag(help: "The canonical matrix: bulk, small messages, requests, churn, idle streams, mixed.")
    var matrix = false

    @Option(help: "Only these cells of the matrix, by name, separated by commas.")
    var cells: String?

    @Flag(help: "The tax of multiplexing: raw tcp, tcp+yamux and tcp+noise+yamux in throughput, latency and processor time.")
    var tax = false

    @Option(name: [.customShort("t"), .long], help: "Length of each measured window.")
    var duration = "500ms"

    @Option(name: [.customShort("O"), .long], help: "Warm-up before each window.")
    var omit = "150ms"

    @Option(help: "Rounds at most.")
    var rounds = 30

    @Option(help: "Rounds at least.")
    var roundsMin = 10

    @Option(help: "Enough rounds are made when every headline's interval is within plus or minus this.")
    var precision = "2%"

    @Option(help: "Confidence of intervals and verdicts.")
    var level = "99%"

    @Option(help: "Differences up to this do not matter.")
    var margin = "1%"

    @Option(help: "Payload, order and resampling are made from it.")
    var seed: UInt64 = 1

    @Option(name: .customLong("driver"), help: "Another driver: NAME=COMMAND. Can be given more than once.")
    var named: [String] = []

    @Option(help: "Write the comparison record (streamgauge.comparison/1) to this file.")
    var json: String?

    @Option(help: "Write the run records of all rounds (an array of streamgauge.run/1) to this file.")
    var runs: String?

    @Option(help: "What to print: text, json or markdown.")
    var format = ComparisonFormat.text

    func validate() throws {
        _ = try makeSubjects()
        _ = try makeCells()
        _ = try makeRules()
        _ = try window
    }

    func run() async throws {
        let (window, warmUp) = try window
        let outputs = (
            record: try parsed("--json", ifGiven: json) { try OutputFile.prepare($0) }, runs: try parsed("--runs", ifGiven: runs) { try OutputFile.prepare($0) }
        )
        let contest: Contest
        do {
            let catalogue = try DriverCatalogue.standard(named: named)
            let (stopping, verdicts) = try makeRules()
            contest = try await Contest(
                try makeSubjects(), try makeCells(), catalogue, rule: stopping, verdicts: verdicts, seed: seed, windowSeconds: window, omitSeconds: warmUp)
        } catch let error as ScenarioError {
            throw Exit.usage(error)
        } catch DriverError.unknown(let name, let nearest, let known) {
            throw Exit.usage(DriverError.unknown(name, nearest: nearest, known: known))
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
        for (cell, refusals) in zip(contest.cells, contest.refusals) {
            for (subject, reason) in refusals.sorted(by: { $0.key.description < $1.key.description }) {
                StandardError.write("streamgauge: \(cell.name), \(subject): left out: \(reason)\n")
            }
        }
        await contest.play()
        guard !contest.order.isEmpty else {
            StandardError.write("streamgauge: interrupted before a round was complete\n")
            throw Exit.failed
        }
        try deliver(contest, outputs.record, outputs.runs)
    }

    private func deliver(_ contest: Contest, _ recordFile: OutputFile?, _ runsFile: OutputFile?) throws {
        let environment = Environment.current(
            allocator: "jemalloc", ioBackend: try Loops.chosenIOName, commit: ProcessInfo.processInfo.environment["STREAMGAUGE_COMMIT"])
        let record = ComparisonRecord(
            command: Runner.commandLine, seed: seed, rule: contest.verdicts, stopping: .value(contest.rule), subjects: contest.comparison,
            drivers: contest.versions, order: contest.order, workloads: contest.workloads, environment: environment)
        let runRecords = contest.runRecords(environment)
        let isWritten = Deliveries.attempt([
            { try recordFile?.write(try record.encodedJSON()) }, { try runsFile?.write(try RecordEncoder.encode(runRecords)) },
            { try StandardOutput.write(try format.data(record, withLayers: tax)) },
        ])
        let isMissing = contest.refusals.contains { !$0.isEmpty } && !matrix
        if !isWritten || isMissing || runRecords.contains(where: { !$0.valid }) { throw Exit.failed }
    }

    // MARK: What was asked for

    private var window: (seconds: Double, omit: Double) { get throws { try roundWindow(duration: duration, omit: omit) } }

    private func makeSubjects() throws -> [Subject] {
        do {
            let texts = tax && subjects.isEmpty ? ["tcp", "tcp+yamux", "tcp+noise+yamux"] : subjects
            let made = try texts.map { try Subject(parsing: $0) }
            guard made.count >= 2 else { throw ValidationError("name a baseline and what to compare with it, such as tcp+yamux go:tcp+yamux") }
            guard Set(made).count == made.count else { throw ValidationError("a subject is named twice; the baseline is measured twice by itself") }
            return made
        } catch let error as ScenarioError {
            throw Exit.usage(error)
        }
    }

    private func makeRules() throws -> (StoppingRule, VerdictRule) {
        guard (1...10_000).contains(rounds) else { throw ValidationError("--rounds is \(rounds); allowed is 1 to 10,000") }
        guard roundsMin >= 1 else { throw ValidationError("--rounds-min is \(roundsMin); allowed is 1 and above") }
        let precision = try fraction("--precision", precision, allowed: 0.0001...1)
        let level = try fraction("--level", level, allowed: 0.5...0.9999)
        let margin = try fraction("--margin", margin, allowed: 0.0001...0.5)
        return (
            StoppingRule(roundsMin: min(roundsMin, rounds), roundsMax: rounds, precision: precision), VerdictRule(level: level, margin: margin)
        )
    }

    private func fraction(_ option: String, _ text: String, allowed: ClosedRange<Double>) throws -> Double {
        guard text.hasSuffix("%"), let number = Double(text.dropLast()), allowed.contains(number / 100) else {
            throw ValidationError("\(option) is '\(text)'; it is a percentage such as 2%, from \(allowed.lowerBound * 100)% to \(allowed.upperBound * 100)%")
        }
        return number / 100
    }

    private func makeCells() throws -> [Cell] {
        let own: [String?] = [workload, connections, streams, messageSize, direction, depth]
        if tax, matrix || cells != nil { throw ValidationError("--tax has workloads of its own: --matrix and --cells do not go with it") }
        if matrix || tax || cells != nil {
            guard own.allSatisfy({ $0 == nil }) else {
                throw ValidationError(
                    "--matrix, --cells and --tax bring their own workloads: -w, -c, -m, -s, --direction and --depth do not go with them")
            }
            if let cells { return try named(cells.split(separator: ",").map(String.init)) }
            return matrix ? Cell.matrix : try named(["bulk-1", "request-1"])
        }
        do {
            let workload = try Workload(parsing: workload ?? "bulk")
            func number(_ option: String, _ text: String?) throws -> Int { try parsed(option, ifGiven: text) { Int(try Units.count($0)) } ?? 1 }
            let options = DriverOptions(
                stack: "tcp", workload: workload, direction: direction ?? "up", connections: try number("--connections", connections),
                streams: try number("--streams", streams),
                messageBytes: try parsed("--message-size", ifGiven: messageSize) { Int(try Units.bytes($0)) } ?? workload.messageSizeDefault,
                depth: try number("--depth", depth))
            _ = try options.scenario()
            return [Cell(workload.rawValue, options)]
        } catch let error as ScenarioError {
            throw Exit.usage(error)
        }
    }

    private func named(_ names: [String]) throws -> [Cell] {
        try names.map { name in
            guard let cell = Cell.matrix.first(where: { $0.name == name }) else {
                let known = Cell.matrix.map(\.name)
                let nearest = Nearest.to(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
                throw ValidationError("the matrix has no cell '\(name)'\(nearest) Cells: \(known.joined(separator: ", "))")
            }
            return cell
        }
    }
}

/// How a comparison is printed.
enum ComparisonFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, markdown

    /// - Parameter layers: whether the subjects are stacks that grow by a layer each, and what each costs is told.
    func data(_ record: ComparisonRecord, withLayers layers: Bool) throws -> Data {
        switch self {
        case .text:
            let width = Terminal.reportWidth
            return Data((ComparisonText.text(record, width: width) + (layers ? LayerCosts.text(record, width: width) : "")).utf8)
        case .json: return Data(try record.encodedJSON())
        case .markdown: return Data((ComparisonMarkdown.text(record) + (layers ? LayerCosts.markdown(record) : "")).utf8)
        }
    }
}
