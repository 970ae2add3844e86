import Foundation
import Gauge
import Load
import Report

/// Something that goes on beside a victim: a row of the interference matrix.
struct InterferenceRow: Sendable {
    let name: String
    let summary: String
    let beside: Aggressor
    /// Streams of the aggressor on its connection.
    let streams: Int
    let messageBytes: Int

    init(_ name: String, _ summary: String, _ beside: Aggressor, streams: Int, messageBytes: Int = 64 << 10) {
        self.name = name
        self.summary = summary
        self.beside = beside
        self.streams = streams
        self.messageBytes = messageBytes
    }

    /// What the aggressor carries alone can be measured: it is bulk and nothing else.
    var hasGoodput: Bool { beside == .bulk }

    static let all: [InterferenceRow] = [
        InterferenceRow("bulk-1", "one bulk stream, 64 KiB messages", .bulk, streams: 1),
        InterferenceRow("bulk-10", "10 bulk streams, 64 KiB messages", .bulk, streams: 10),
        InterferenceRow("bulk-100", "100 bulk streams, 64 KiB messages", .bulk, streams: 100),
        InterferenceRow("bulk-1000", "1,000 bulk streams, 64 KiB messages", .bulk, streams: 1000),
        InterferenceRow("large", "10 bulk streams, 16 MiB messages", .bulk, streams: 10, messageBytes: 16 << 20),
        InterferenceRow("stopped", "10 bulk streams, and the receiver of one has stopped reading", .stopped, streams: 10),
        InterferenceRow("stalled", "10 bulk streams whose receivers rest for 10 ms after each message", .stalled, streams: 10),
        InterferenceRow("churn", "100 streams under way that are opened, carry 64 bytes there and back, and are closed", .churn, streams: 100),
    ]

    static func named(_ name: String) throws(ScenarioError) -> InterferenceRow {
        if let row = all.first(where: { $0.name == name }) { return row }
        let names = all.map(\.name)
        throw .outOfRange(name: "rows", value: name, allowed: names.joined(separator: ", ") + (Nearest.to(name, among: names).map { "; did you mean '\($0)'?" } ?? ""))
    }

    func options(_ subject: Subject, _ placement: InterferenceRecord.Placement, seed: UInt64) -> DriverOptions {
        DriverOptions(
            stack: subject.stack, workload: .mixed, connections: placement == .ownConnection ? 2 : 1, streams: streams + 1, messageBytes: messageBytes,
            seed: seed, beside: beside, isApart: placement == .ownConnection)
    }

    /// The aggressor without the victim.
    func aloneOptions(_ subject: Subject, seed: UInt64) -> DriverOptions {
        DriverOptions(stack: subject.stack, workload: .bulk, streams: streams, messageBytes: messageBytes, seed: seed)
    }

    /// The victim without the aggressor.
    static func idleOptions(_ subject: Subject, seed: UInt64) -> DriverOptions {
        DriverOptions(stack: subject.stack, workload: .request, messageBytes: 64, seed: seed)
    }
}

/// Measures victims beside aggressors, round by round: each round measures for every subject and row the victim alone, the aggressor alone, and both on one connection and
/// on two, in an order drawn by chance.
///
/// Subjects whose ends are both this program are measured as `streamgauge run` does it, with every byte accounted for and the time of the victim's messages told stage by stage; others by their
/// drivers.
///
/// Call order: `init`; ``play()``; ``cells``.
final class Interference {
    private struct Place: Hashable {
        let subject: Int
        let row: Int
        /// Nil for the victim alone, or the aggressor.
        let placement: InterferenceRecord.Placement?
        let isAggressorAlone: Bool
    }

    private let subjects: [Subject]
    private let rows: [InterferenceRow]
    private let placements: [InterferenceRecord.Placement]
    private let drivers: [String: (driver: Driver, about: DriverContract.About)]
    private let rounds: Int
    private let windowSeconds: Double
    private let omitSeconds: Double
    private let seed: UInt64
    private let runner: Runner
    private let ticker = Ticker()
    private var figures: [Place: [RunFigures]] = [:]
    private var refusals: [Place: String] = [:]
    private(set) var roundsMade = 0

    /// - Throws: ``DriverError`` for a driver that is not there or does not obey.
    init(
        _ subjects: [Subject], rows: [InterferenceRow], placements: [InterferenceRecord.Placement], _ catalogue: DriverCatalogue, rounds: Int,
        windowSeconds: Double, omitSeconds: Double, seed: UInt64
    ) async throws {
        self.subjects = subjects
        self.rows = rows
        self.placements = placements
        self.rounds = rounds
        self.windowSeconds = windowSeconds
        self.omitSeconds = omitSeconds
        self.seed = seed
        runner = Runner(view: ProgressView.none)
        var drivers: [String: (driver: Driver, about: DriverContract.About)] = [:]
        for name in Set(subjects.filter { !$0.isOwn }.flatMap { [$0.client, $0.server] }) {
            let driver = try catalogue.driver(named: name)
            drivers[name] = (driver, try await driver.about())
        }
        self.drivers = drivers
    }

    var isInterrupted: Bool { runner.isInterrupted }

    func play() async {
        var random = SplitMix64(seed: seed)
        defer { ticker.finish() }
        let places = makePlaces()
        while roundsMade < rounds, !isInterrupted {
            for place in places.shuffled(using: &random) where refusals[place] == nil && !isInterrupted { await measure(place) }
            if !isInterrupted { roundsMade += 1 }
        }
    }

    private func makePlaces() -> [Place] {
        subjects.indices.flatMap { subject in
            rows.indices.flatMap { row in
                [Place(subject: subject, row: row, placement: nil, isAggressorAlone: false)]
                    + (rows[row].hasGoodput ? [Place(subject: subject, row: row, placement: nil, isAggressorAlone: true)] : [])
                    + placements.map { Place(subject: subject, row: row, placement: $0, isAggressorAlone: false) }
            }
        }
    }

    private func options(_ place: Place) -> DriverOptions {
        let (subject, row) = (subjects[place.subject], rows[place.row])
        if let placement = place.placement { return row.options(subject, placement, seed: seed) }
        return place.isAggressorAlone ? row.aloneOptions(subject, seed: seed) : InterferenceRow.idleOptions(subject, seed: seed)
    }

    private func measure(_ place: Place) async {
        let (subject, row) = (subjects[place.subject], rows[place.row])
        let what = place.placement.map { $0 == .sameConnection ? "beside \(row.name)" : "\(row.name) on a connection of its own" }
            ?? (place.isAggressorAlone ? "\(row.name) alone" : "alone")
        ticker.show("round \(roundsMade + 1) of \(rounds), \(subject): \(what)")
        do {
            let result = try await run(subject, options(place))
            guard !isInterrupted else { return }
            for reason in result.invalidReasons { ticker.tell("round \(roundsMade + 1), \(subject), \(what): INVALID: \(reason)") }
            figures[place, default: []].append(result)
        } catch {
            ticker.tell("\(subject), \(what): left out: \(error)")
            refusals[place] = "\(error)"
        }
    }

    private func run(_ subject: Subject, _ options: DriverOptions) async throws -> RunFigures {
        guard !subject.isOwn else {
            var scenario = try options.scenario()
            scenario.durationSeconds = windowSeconds
            scenario.omitSeconds = omitSeconds
            scenario.measuresStages = options.workload == .mixed ? true : nil
            try Runner.check(scenario)
            return try await runner.once(scenario, target: nil, label: subject.description).0
        }
        guard let client = drivers[subject.client], let server = drivers[subject.server] else {
            throw DriverError.notOffered(driver: subject.server, what: "contract", offered: ["drivers that were asked"])
        }
        let run = try DriverRun(subject, options, ends: BothSides(client: client, server: server), durationSeconds: windowSeconds, omitSeconds: omitSeconds)
        return await run.run { [runner] in runner.isInterrupted }
    }

    // MARK: Results

    /// Every subject with every row and placement.
    var cells: [InterferenceRecord.Cell] {
        subjects.indices.flatMap { subject in
            rows.indices.flatMap { row in
                placements.map { placement in
                    InterferenceRecord.Cell(
                        subject: subjects[subject].description, aggressor: rows[row].name, placement: placement, outcome: outcome(subject, row, placement))
                }
            }
        }
    }

    private func outcome(_ subject: Int, _ row: Int, _ placement: InterferenceRecord.Placement) -> Measured<InterferenceRecord.Outcome> {
        let idlePlace = Place(subject: subject, row: row, placement: nil, isAggressorAlone: false)
        let loadedPlace = Place(subject: subject, row: row, placement: placement, isAggressorAlone: false)
        for place in [loadedPlace, idlePlace] { if let refusal = refusals[place] { return .unavailable(refusal) } }
        let alone = figures[Place(subject: subject, row: row, placement: nil, isAggressorAlone: true)] ?? []
        return InterferenceRecord.Outcome.of(idle: figures[idlePlace] ?? [], loaded: figures[loadedPlace] ?? [], alone: alone)
    }
}

extension Subject {
    /// Both ends are this program.
    fileprivate var isOwn: Bool { client == DriverCatalogue.ownName && server == DriverCatalogue.ownName }
}
