import Foundation
import Gauge

/// What each layer costs on one side, by samples, and by processor time where the run's record has what it takes.
public struct LayerTable: Sendable {
    public struct Row: Sendable, Equatable {
        public let layer: String
        public let samples: UInt64
        /// Of the side's samples, 0 to 1.
        public let share: Double
    }

    public struct Function: Sendable, Equatable {
        public let name: String
        /// Samples in which it was running.
        public let own: UInt64
        /// Samples in which it was anywhere on the stack.
        public let total: UInt64
    }

    public let rows: [Row]
    /// Of all rows.
    public let total: UInt64
    /// What is in ``LayerRules/other``, by the function that was running; most first.
    public let others: [(name: String, samples: UInt64)]

    public init(_ stacks: FoldedStacks, _ rules: LayerRules) {
        var sorter = LayerSorter(rules)
        var samples: [String: UInt64] = [:]
        var others: [String: UInt64] = [:]
        stacks.forEach { stack, weight in
            let layer = sorter.layer(of: stack)
            samples[layer, default: 0] += weight
            if layer == LayerRules.other { others[stack.last ?? "", default: 0] += weight }
        }
        let total = stacks.total
        self.total = total
        rows = rules.layers.map { Row(layer: $0, samples: samples[$0] ?? 0, share: total > 0 ? Double(samples[$0] ?? 0) / Double(total) : 0) }
        self.others = others.map { (name: $0, samples: $1) }.sorted { ($1.samples, $0.name) < ($0.samples, $1.name) }
    }

    /// Functions that run most themselves, most first.
    public static func functions(_ stacks: FoldedStacks) -> [Function] {
        var own: [String: UInt64] = [:]
        var totals: [String: UInt64] = [:]
        stacks.forEach { stack, weight in
            if let leaf = stack.last { own[leaf, default: 0] += weight }
            // A function that calls itself counts once.
            for name in Set(stack) { totals[name, default: 0] += weight }
        }
        return totals.map { Function(name: $0, own: own[$0] ?? 0, total: $1) }.sorted { ($1.own, $1.total, $0.name) < ($0.own, $0.total, $1.name) }
    }
}

/// One side's part of a run, as far as a profile's tables need it.
public struct SideCosts: Sendable, Equatable {
    /// User and system time of the window.
    public let cpuSeconds: Measured<Double>
    public let messages: UInt64
    /// Frames with payload, of both directions: each side makes one half of them and takes the other apart.
    public let frames: Measured<UInt64>
    public let payloadBytes: UInt64

    public init(_ figures: RunFigures, isClient: Bool) {
        let (user, system) = isClient
            ? (figures.cpuUserSeconds.client, figures.cpuSystemSeconds.client) : (figures.cpuUserSeconds.server, figures.cpuSystemSeconds.server)
        cpuSeconds = user.combined(with: system) { $0 + $1 }
        messages = figures.messages
        frames = figures.framesSent.client.combined(with: figures.framesSent.server) { $0 &+ $1 }
        payloadBytes = figures.payloadBytes
    }

    /// Nanoseconds of processor time for each of `count`; nil where there is nothing to divide by or no time.
    func nanoseconds(perEachOf count: UInt64?) -> Double? {
        guard let count, count > 0, let seconds = cpuSeconds.value else { return nil }
        return seconds * 1e9 / Double(count)
    }

    public var nanosecondsPerMessage: Double? { nanoseconds(perEachOf: messages) }
}

/// The tables of a profile as Markdown.
public enum LayerReport {
    /// The cost by layer of one side.
    public static func table(_ table: LayerTable, _ costs: SideCosts) -> String {
        var columns: [(title: String, each: Double)] = []
        if let each = costs.nanosecondsPerMessage { columns.append(("ns a message", each)) }
        if let each = costs.nanoseconds(perEachOf: costs.frames.value) { columns.append(("ns a frame", each)) }
        if let each = costs.nanoseconds(perEachOf: costs.payloadBytes) { columns.append(("ns a KiB", each * 1024)) }
        let rows = table.rows.map { row in
            [row.layer, "\(row.samples)", percent(row.share)] + columns.map { number($0.each * row.share) }
        }
        let sum = ["all", "\(table.total)", table.total > 0 ? percent(1) : "-"] + columns.map { number($0.each) }
        return markdown(["layer", "samples", "%"] + columns.map(\.title), rows + [sum])
    }

    /// The same layers of two profiles.
    ///
    /// - Parameters:
    ///   - before: nil where there were no samples.
    public static func change(_ before: LayerTable, _ beforeCosts: SideCosts?, _ after: LayerTable, _ afterCosts: SideCosts) -> String {
        let perMessage = beforeCosts?.nanosecondsPerMessage.flatMap { before in afterCosts.nanosecondsPerMessage.map { (before, $0) } }
        let (old, new) = perMessage ?? (100, 100)
        let unit = perMessage == nil ? "% of all" : "ns a message"
        let layers = after.rows.map(\.layer) + before.rows.map(\.layer).filter { layer in !after.rows.contains { $0.layer == layer } }
        func line(_ layer: String, _ was: Double, _ now: Double) -> [String] {
            [layer, number(was), number(now), (now >= was ? "+" : "-") + number(abs(now - was)), was > 0 ? number(now / was) : "-"]
        }
        let rows = layers.map { layer in
            line(layer, old * (before.rows.first { $0.layer == layer }?.share ?? 0), new * (after.rows.first { $0.layer == layer }?.share ?? 0))
        }
        return markdown(["layer", "before, \(unit)", "after, \(unit)", "change", "ratio"], rows + [line("all", old, new)])
    }

    /// What is in the layer that no rule has, the five largest; empty where there is nothing.
    public static func others(_ table: LayerTable) -> String {
        guard let samples = table.rows.last?.samples, samples > 0, table.total > 0 else { return "" }
        let names = table.others.prefix(5).map { "`\(code($0.name))` \(percent(Double($0.samples) / Double(table.total)))" }
        return "In *\(LayerRules.other)*: \(names.joined(separator: ", "))\(table.others.count > 5 ? ", and \(table.others.count - 5) more" : "")."
    }

    /// Functions that run most.
    public static func functions(_ stacks: FoldedStacks, count: Int) -> String {
        guard stacks.total > 0 else { return "" }
        let all = Double(stacks.total)
        let rows = LayerTable.functions(stacks).prefix(count).map { function in
            ["`\(code(function.name))`", percent(Double(function.own) / all), percent(Double(function.total) / all)]
        }
        return markdown(["function", "self, %", "with what it called, %"], Array(rows))
    }

    static func markdown(_ heads: [String], _ rows: [[String]]) -> String {
        let lines = ["| " + heads.joined(separator: " | ") + " |", "|---|" + heads.dropFirst().map { _ in "---:|" }.joined()]
        return (lines + rows.map { "| " + $0.joined(separator: " | ") + " |" }).map { $0 + "\n" }.joined()
    }

    /// A name within code of a table's cell.
    static func code(_ name: String) -> String { name.map { $0 == "`" ? "'" : $0 == "|" ? "/" : String($0) }.joined() }

    static func percent(_ share: Double) -> String { String(format: "%.1f", share * 100) }

    /// Three digits that matter.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        return value == 0 ? "0" : String(format: abs(value) >= 100 ? "%.0f" : abs(value) >= 10 ? "%.1f" : abs(value) >= 1 ? "%.2f" : "%.3f", value)
    }
}
