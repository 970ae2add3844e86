import Foundation
import Gauge

/// The records of a report, from all its files, put beside each other as they belong.
struct Reported: Sendable {
    /// A run with the name that it has in pictures.
    struct Run: Sendable {
        let record: RunRecord
        let name: String
        let file: String
        /// It is held against: the bare transport.
        var isReference = false

        var figures: RunFigures { record.figures }
    }

    /// Runs of which only the subject differs.
    struct Group: Sendable {
        let title: String
        let runs: [Run]

        var metric: HeadlineMetric { runs.first?.record.setup.headlineMetric ?? .goodput }
    }

    /// A record with the file it is from.
    struct Sourced<Record: Sendable>: Sendable {
        let record: Record
        let file: String
    }

    /// What was given, by name.
    let names: [String]
    let runs: [Sourced<RunRecord>]
    let comparisons: [Sourced<ComparisonRecord>]
    let sweeps: [Sourced<SweepRecord>]
    let searches: [Sourced<RateSearchRecord>]
    let interferences: [Sourced<InterferenceRecord>]
    let groups: [Group]
    private let slots: [String: Int]

    init(_ files: [RecordFile]) {
        func all<Record: Sendable>(_ path: KeyPath<RecordFile, [Record]>) -> [Sourced<Record>] {
            files.flatMap { file in file[keyPath: path].map { Sourced(record: $0, file: file.path) } }
        }
        names = files.map(\.path)
        runs = all(\.runs)
        comparisons = all(\.comparisons)
        sweeps = all(\.sweeps)
        searches = all(\.rateSearches)
        interferences = all(\.interferences)
        groups = Self.groups(runs)
        var slots: [String: Int] = [:]
        for name in groups.flatMap(\.runs).map(\.name) where slots[name] == nil { slots[name] = slots.count }
        self.slots = slots
    }

    var isEmpty: Bool { runs.isEmpty && comparisons.isEmpty && sweeps.isEmpty && searches.isEmpty && interferences.isEmpty }

    /// Panels of those that have one, with IDs numbered without gaps: `latency-1`, `latency-2`.
    static func panels<Element>(_ elements: [Element], id: String, _ panel: (Element, String) -> Figure.Panel?) -> [Figure.Panel] {
        elements.reduce(into: []) { panels, element in
            if let panel = panel(element, "\(id)-\(panels.count + 1)") { panels.append(panel) }
        }
    }

    /// A series keeps its colour in all pictures.
    func slot(_ name: String) -> Int { slots[name] ?? 0 }

    /// Environments and commands of everything, each once, in order.
    var environments: [Environment] {
        let all = runs.map(\.record.environment) + comparisons.map(\.record.environment) + sweeps.map(\.record.environment)
            + searches.map(\.record.environment) + interferences.map(\.record.environment)
        return all.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    var commands: [String] {
        let all = runs.map(\.record.command) + comparisons.map(\.record.command) + sweeps.map(\.record.command) + searches.map(\.record.command)
            + interferences.map(\.record.command)
        return all.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    // MARK: Groups

    private static func groups(_ runs: [Sourced<RunRecord>]) -> [Group] {
        let severalFiles = Set(runs.map(\.file)).count > 1
        var order: [String] = []
        var byTitle: [String: [Sourced<RunRecord>]] = [:]
        for run in runs {
            let title = Shape.conditions(run.record.setup)
            if byTitle[title] == nil { order.append(title) }
            byTitle[title, default: []].append(run)
        }
        let all = runs.map(\.record)
        var lent: Set<String> = []
        let groups = order.map { title -> Group in
            let members = byTitle[title] ?? []
            let named = named(members, severalFiles)
            // The bare transport that the others are held against has connections where they have streams, so its own title is another.
            let references = members.compactMap { CanonicalReport.raw(for: $0.record, among: all) }
                .filter { raw in !members.contains { $0.record == raw } }
                .reduce(into: [RunRecord]()) { if !$0.contains($1) { $0.append($1) } }
            lent.formUnion(references.map { Shape.conditions($0.setup) })
            let bare = references.map { raw in
                Run(record: raw, name: "\(raw.setup.subject), \(raw.setup.connections) x \(raw.setup.streams)",
                    file: runs.first { $0.record == raw }?.file ?? "", isReference: true)
            }
            return Group(title: title, runs: bare + named)
        }
        // Where everything is shown beside others already, nothing is left to show.
        return groups.filter { group in !(lent.contains(group.title) && group.runs.allSatisfy { !$0.record.setup.subject.contains("+") }) }
    }

    private static func named(_ members: [Sourced<RunRecord>], _ severalFiles: Bool) -> [Run] {
        var taken: [String: Int] = [:]
        return members.map { member in
            let subject = member.record.setup.subject
            let isShared = members.count { $0.record.setup.subject == subject } > 1
            var name = subject
            if isShared, severalFiles { name += " (\(stem(member.file)))" }
            taken[name, default: 0] += 1
            if let count = taken[name], count > 1 { name += " #\(count)" }
            return Run(record: member.record, name: name, file: member.file, isReference: !subject.contains("+"))
        }
    }

    private static func stem(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.hasSuffix(".json") ? String(name.dropLast(5)) : name
    }
}

extension HeadlineMetric {
    var title: String {
        switch self {
        case .goodput: "goodput"
        case .messagesPerSecond: "completed"
        case .bytesPerStream: "memory per silent stream, client"
        }
    }

    var quantity: Quantity {
        switch self {
        case .goodput: .bytesPerSecond
        case .messagesPerSecond: .perSecond
        case .bytesPerStream: .bytes
        }
    }

    /// The figure of one repeat.
    func figure(in figures: RunFigures) -> Measured<Double> {
        switch self {
        case .goodput: figures.goodputBytesPerSecond
        case .messagesPerSecond: figures.messagesPerSecond
        case .bytesPerStream: figures.memory.bytesPerStreamClient
        }
    }

    /// Over the repeats, as the record has it; memory has no spread there.
    func spread(_ record: RunRecord) -> Measured<Spread> {
        switch self {
        case .goodput: record.goodputSpread
        case .messagesPerSecond: record.messagesSpread
        case .bytesPerStream: .unavailable("the record keeps no spread of memory")
        }
    }

    var spreadKey: String {
        switch self {
        case .goodput: "goodput_spread_bytes_per_second"
        case .messagesPerSecond: "messages_spread_per_second"
        case .bytesPerStream: ""
        }
    }
}
