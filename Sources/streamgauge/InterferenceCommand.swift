import ArgumentParser
import Foundation
import Gauge
import Load
import Report

/// `streamgauge interference`: what does everything else on a connection do to a small request?
struct InterferenceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interference", abstract: "Measures a small request beside aggressors: head-of-line blocking, and what a connection of its own saves.",
        discussion: """
            A SUBJECT is [DRIVER:]STACK, as in streamgauge compare. The victim is one stream with one 64-byte request under way. Each aggressor goes on beside it once on
            the same connection and once on a connection of its own.

            Aggressors:
            \(InterferenceRow.all.map { "  " + $0.name.padding(toLength: 11, withPad: " ", startingAt: 0) + $0.summary }.joined(separator: "\n"))

              streamgauge interference tcp+yamux tcp+mplex                our own two
              streamgauge interference tcp+yamux go:tcp+yamux 'swift>go:tcp+yamux'
              streamgauge interference tcp+yamux --rows bulk-100,stopped --rounds 10

            Exit codes: 0 ok, 2 a run was INVALID or nothing could be measured, 64 usage.
            """)

    @Argument(help: "What to measure: tcp+yamux tcp+mplex go:tcp+yamux ...")
    var subjects: [String] = []

    @Option(help: "Only these aggressors, separated by commas. (default: all)")
    var rows: String?

    @Option(help: "Where the aggressor goes on: same, own or both.")
    var connection = "both"

    @Option(help: "Rounds: how often everything is measured.")
    var rounds = 5

    @Option(name: [.customShort("t"), .long], help: "Length of each measured window.")
    var duration = "500ms"

    @Option(name: [.customShort("O"), .long], help: "Warm-up before each window.")
    var omit = "150ms"

    @Option(help: "Payload and order are made from it.")
    var seed: UInt64 = 1

    @Option(name: .customLong("driver"), help: "Another driver: NAME=COMMAND. Can be given more than once.")
    var named: [String] = []

    @Option(help: "Write the record (streamgauge.interference/1) to this file.")
    var json: String?

    @Option(help: "What to print: text or json.")
    var format = InterferenceFormat.text

    func validate() throws {
        _ = try makeSubjects()
        _ = try makeRows()
        _ = try placements
        _ = try window
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds is \(rounds); allowed is 1 to 1,000") }
    }

    func run() async throws {
        let output = try parsed("--json", ifGiven: json) { try OutputFile.prepare($0) }
        let (subjects, rows, window) = (try makeSubjects(), try makeRows(), try window)
        let interference: Interference
        do {
            interference = try await Interference(
                subjects, rows: rows, placements: try placements, try DriverCatalogue.standard(named: named), rounds: rounds, windowSeconds: window.seconds,
                omitSeconds: window.omit, seed: seed)
        } catch DriverError.unknown(let name, let nearest, let known) {
            throw Exit.usage(DriverError.unknown(name, nearest: nearest, known: known))
        } catch let error as ScenarioError {
            throw Exit.usage(error)
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
        await interference.play()
        let environment = Environment.current(
            allocator: "jemalloc", ioBackend: try Loops.chosenIOName, commit: ProcessInfo.processInfo.environment["STREAMGAUGE_COMMIT"])
        let record = InterferenceRecord(
            command: Runner.commandLine, subjects: subjects.map(\.description), aggressors: rows.map { .init(name: $0.name, summary: $0.summary) },
            cells: interference.cells, environment: environment)
        let isWritten = Deliveries.attempt([{ try output?.write(try record.encodedJSON()) }, { try StandardOutput.write(try format.data(record)) }])
        let outcomes = record.cells.compactMap(\.outcome.value)
        if !isWritten || outcomes.isEmpty || outcomes.contains(where: { !$0.invalidReasons.isEmpty }) { throw Exit.failed }
    }

    private func makeSubjects() throws -> [Subject] {
        guard !subjects.isEmpty else { throw ValidationError("name a subject, such as tcp+yamux") }
        do {
            let made = try subjects.map { try Subject(parsing: $0) }
            guard Set(made).count == made.count else { throw ValidationError("a subject is named twice") }
            for subject in made where subject.client == DriverCatalogue.ownName && subject.server == DriverCatalogue.ownName { _ = try ProtocolStack(subject.stack) }
            return made
        } catch let error as ValidationError {
            throw error
        } catch {
            throw Exit.usage(error)
        }
    }

    private func makeRows() throws -> [InterferenceRow] {
        guard let rows else { return InterferenceRow.all }
        return try parsed("--rows", rows) { try $0.split(separator: ",").map { try InterferenceRow.named(String($0)) } }
    }

    private var placements: [InterferenceRecord.Placement] {
        get throws {
            switch connection {
            case "same": [.sameConnection]
            case "own": [.ownConnection]
            case "both": InterferenceRecord.Placement.allCases
            default: throw ValidationError("--connection is '\(connection)'; allowed is same, own or both")
            }
        }
    }

    private var window: (seconds: Double, omit: Double) { get throws { try roundWindow(duration: duration, omit: omit) } }
}

/// How an interference matrix is printed.
enum InterferenceFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json

    func data(_ record: InterferenceRecord) throws -> Data {
        switch self {
        case .text: Data(InterferenceText.text(record, width: Terminal.reportWidth).utf8)
        case .json: Data(try record.encodedJSON())
        }
    }
}
