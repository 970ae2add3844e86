import Foundation
import Gauge
import Load
import Report
import Synchronization

/// One workload that all subjects of a comparison are put to.
struct Cell: Sendable {
    let name: String
    /// The stack is the subject's.
    var options: DriverOptions
    /// Names of the metrics that it is made for.
    let headlines: [String]
    let details: [String]

    /// What a reader is told.
    var label: String {
        var parts = [options.workload == .bulk ? "bulk \(options.direction)" : options.workload.rawValue]
        parts.append("\(Units.format(count: options.connections)) x \(Units.format(count: options.streams)) streams")
        if options.workload != .idle { parts.append("\(Units.exact(bytes: options.messageBytes)) messages") }
        if options.depth > 1 { parts.append("depth \(options.depth)") }
        return parts.joined(separator: ", ")
    }

    init(_ name: String, _ options: DriverOptions) {
        self.name = name
        self.options = options
        let cost = ["cpu_ns_per_message_client", "cpu_ns_per_message_server"]
        let wire = ["wire_overhead_ratio", "syscalls_per_message"]
        switch options.workload {
        case .bulk:
            headlines = ["goodput_bytes_per_second"]
            details = ["messages_per_second", "cpu_seconds_per_gib_client", "cpu_seconds_per_gib_server"] + cost + wire
        case .request, .churn, .connect:
            headlines = ["messages_per_second"]
            details = ["latency_p50_ns", "latency_p99_ns"] + cost + wire
        case .mixed:
            headlines = ["latency_p99_ns", "goodput_bytes_per_second"]
            details = ["latency_p50_ns", "messages_per_second", "cpu_seconds_per_gib_client", "cpu_seconds_per_gib_server", "wire_overhead_ratio"]
        case .idle:
            headlines = ["rss_bytes_per_stream_client", "rss_bytes_per_stream_server"]
            details = ["bytes_per_stream_client", "bytes_per_stream_server"]
        }
    }

    var workload: ComparisonWorkload {
        ComparisonWorkload(
            label: label,
            parameters: [
                "workload": .text(options.workload.rawValue), "direction": .text(options.direction), "connections": .number(Double(options.connections)),
                "streams": .number(Double(options.streams)), "message_size_bytes": .number(Double(options.messageBytes)),
                "depth": .number(Double(options.depth)),
            ],
            metrics: (headlines + details).compactMap(ComparisonMetric.named), headlines: headlines)
    }

    /// The questions of the canonical comparison.
    static let matrix: [Cell] = [
        Cell("bulk-1", DriverOptions(stack: "", workload: .bulk, messageBytes: 64 << 10)),
        Cell("bulk-1000", DriverOptions(stack: "", workload: .bulk, connections: 10, streams: 100, messageBytes: 64 << 10)),
        Cell("64B-1000", DriverOptions(stack: "", workload: .bulk, streams: 1000, messageBytes: 64)),
        Cell("1KiB-1000", DriverOptions(stack: "", workload: .bulk, streams: 1000, messageBytes: 1 << 10)),
        Cell("request-1", DriverOptions(stack: "", workload: .request, messageBytes: 64)),
        Cell("request-1000", DriverOptions(stack: "", workload: .request, streams: 1000, messageBytes: 64)),
        Cell("churn-100", DriverOptions(stack: "", workload: .churn, streams: 100, messageBytes: 64)),
        Cell("idle-10000", DriverOptions(stack: "", workload: .idle, streams: 10_000, messageBytes: 64)),
        Cell("mixed-101", DriverOptions(stack: "", workload: .mixed, streams: 101, messageBytes: 64 << 10)),
    ]
}

/// Somebody wants it to end: what has been measured is kept.
final class Interruption: Sendable {
    private let flag = Mutex(false)

    init() { Signals.onTermination { [self] in flag.withLock { $0 = true } } }

    var isWanted: Bool { flag.withLock { $0 } }
}

/// Puts subjects to workloads, round by round: each round runs every subject once and the baseline twice, in an order drawn by chance, the same for all its
/// workloads.
///
/// Call order: `init` asks every driver what it can do; ``play()``; then the results are there, also when it was interrupted.
final class Contest {
    let subjects: [Subject]
    let cells: [Cell]
    let rule: StoppingRule
    let verdicts: VerdictRule
    let seed: UInt64
    let windowSeconds: Double
    let omitSeconds: Double
    private let interruption = Interruption()
    private let ticker = Ticker()
    private let drivers: [String: (driver: Driver, about: DriverContract.About)]
    /// What was at the ends, drivers and references, by name.
    let versions: [ComparisonRecord.DriverVersion]

    /// Names of subjects as they ran, for each round; the baseline is in it twice.
    private(set) var order: [[String]] = []
    private(set) var workloads: [ComparisonWorkload]
    /// Every repeat as it was, by cell and subject.
    private(set) var figures: [[Subject: [RunFigures]]]
    /// What a subject cannot be asked, by cell.
    private(set) var refusals: [[Subject: String]]

    var comparison: ComparisonSubjects {
        ComparisonSubjects(baseline: subjects[0].description, candidates: subjects.dropFirst().map(\.description))
    }

    var isInterrupted: Bool { interruption.isWanted }

    /// - Parameter subjects: the baseline first.
    /// - Throws: ``DriverError`` for a driver that is not there or does not obey.
    init(
        _ subjects: [Subject], _ cells: [Cell], _ catalogue: DriverCatalogue, rule: StoppingRule, verdicts: VerdictRule, seed: UInt64, windowSeconds: Double,
        omitSeconds: Double
    ) async throws {
        self.subjects = subjects
        self.cells = cells
        self.rule = rule
        self.verdicts = verdicts
        self.seed = seed
        self.windowSeconds = windowSeconds
        self.omitSeconds = omitSeconds
        var drivers: [String: (driver: Driver, about: DriverContract.About)] = [:]
        var versions: [ComparisonRecord.DriverVersion] = []
        for name in Set(subjects.flatMap { [$0.client, $0.server] }).sorted() {
            if let reference = Reference(rawValue: name) {
                guard reference.isInstalled else { continue }
                versions.append(.init(name: name, version: try await reference.version()))
            } else {
                let driver = try catalogue.driver(named: name)
                let about = try await driver.about()
                drivers[name] = (driver, about)
                versions.append(.init(name: name, version: about.version))
            }
        }
        self.drivers = drivers
        self.versions = versions
        workloads = cells.map(\.workload)
        figures = Array(repeating: [:], count: cells.count)
        refusals = Array(repeating: [:], count: cells.count)
        for (number, cell) in cells.enumerated() {
            for subject in subjects {
                do { _ = try makeRun(subject, cell) } catch { refusals[number][subject] = "\(error)" }
            }
        }
    }

    /// A run that is yet to be made; asked now and then whether it should end early.
    private typealias Run = (@escaping @Sendable () -> Bool) async -> RunFigures

    private func makeRun(_ subject: Subject, _ cell: Cell) throws -> Run {
        var options = cell.options
        options.stack = subject.stack
        options.seed = seed
        if let reference = Reference(rawValue: subject.client) {
            guard subject.server == subject.client else {
                throw DriverError.notOffered(driver: subject.client, what: "other end than its own", offered: ["\(reference.rawValue):\(reference.stack)"])
            }
            guard reference.isInstalled else {
                throw DriverError.notStarted(command: reference.rawValue, reason: "it is not installed: scripts/install \(reference.package)")
            }
            try reference.check(options)
            return { [windowSeconds] _ in await reference.run(options, durationSeconds: windowSeconds) }
        }
        guard let client = drivers[subject.client], let server = drivers[subject.server] else {
            throw DriverError.notOffered(driver: subject.server, what: "contract", offered: ["both ends by itself only"])
        }
        let run = try DriverRun(
            subject, options, ends: BothSides(client: client, server: server), durationSeconds: windowSeconds, omitSeconds: omitSeconds)
        return { await run.run(isInterrupted: $0) }
    }

    // MARK: Rounds

    /// Rounds until every headline is precise enough, the rounds are spent, or somebody interrupts.
    func play() async {
        var random = SplitMix64(seed: seed)
        let runs = [comparison.baseline, comparison.baseline] + comparison.candidates
        defer { ticker.finish() }
        while !interruption.isWanted {
            let order = runs.shuffled(using: &random)
            var round: [[RoundRun: [String: Measured<Double>]]] = []
            for number in cells.indices {
                round.append(await play(number, order))
                if interruption.isWanted { return }
            }
            self.order.append(order)
            for (number, values) in round.enumerated() { workloads[number].addRound(values) }
            if decide() != .goOn { return }
        }
    }

    private func decide() -> StoppingRule.Decision {
        // The interval is only looked at where it may end the rounds.
        guard order.count >= rule.roundsMin else { return rule.decide(after: order.count, []) }
        let bootstrap = Bootstrap(resamples: 2000, seed: seed)
        return rule.decide(after: order.count, workloads.flatMap { $0.headlineEstimates(comparison, level: verdicts.level, bootstrap: bootstrap) })
    }

    private func play(_ number: Int, _ order: [String]) async -> [RoundRun: [String: Measured<Double>]] {
        let cell = cells[number]
        var values: [RoundRun: [String: Measured<Double>]] = [:]
        for name in order where !interruption.isWanted {
            guard let subject = subjects.first(where: { $0.description == name }) else { continue }
            let run = RoundRun(name, run: values[RoundRun(name)] == nil ? 1 : 2)
            if let refusal = refusals[number][subject] {
                values[run] = Dictionary(uniqueKeysWithValues: ComparisonMetric.all.map { ($0.name, .unavailable(refusal)) })
                continue
            }
            ticker.show("round \(self.order.count + 1) of at most \(rule.roundsMax), \(cell.name): \(subject)")
            let result: RunFigures
            do {
                let interruption = interruption
                result = await (try makeRun(subject, cell)) { interruption.isWanted }
            } catch {
                preconditionFailure("what a driver cannot do was found at the start: \(error)")
            }
            if interruption.isWanted { break }
            for reason in result.invalidReasons { ticker.tell("round \(self.order.count + 1), \(cell.name), \(subject): INVALID: \(reason)") }
            figures[number][subject, default: []].append(result)
            values[run] = ComparisonMetric.values(in: result)
        }
        return values
    }
}

extension Contest {
    /// Every repeat as it was: a record for each cell and subject that was measured.
    func runRecords(_ environment: Environment) -> [RunRecord] {
        zip(cells, figures).flatMap { cell, bySubject in
            subjects.compactMap { subject -> RunRecord? in
                guard let repeats = bySubject[subject], !repeats.isEmpty else { return nil }
                var numbered = repeats
                for index in numbered.indices { numbered[index].repeatIndex = index + 1 }
                let options = cell.options
                let isMixed = options.workload == .mixed
                let setup = RunSetup(
                    subject: subject.description, workload: options.workload.rawValue, direction: options.direction, connections: options.connections,
                    streams: options.streams, messageSizeBytes: isMixed ? 64 : options.messageBytes, depth: options.depth,
                    beside: Measured(isMixed ? options.beside.rawValue : nil, else: "the workload is not mixed"),
                    besideConnection: Measured(isMixed ? options.isApart ? "own_connection" : "same_connection" : nil, else: "the workload is not mixed"),
                    durationRequestedSeconds: .value(windowSeconds), omitSeconds: omitSeconds, verify: "at least one in 64", seed: seed)
                return RunRecord(setup: setup, repeats: numbered, environment: environment, command: Runner.commandLine)
            }
        }
    }
}
