import Gauge

/// A sweep, for a terminal: how cost grows in words, then a row for each point.
public enum SweepText {
    /// - Parameter width: columns of the terminal.
    public static func text(_ record: SweepRecord, width: Int = 100) -> String {
        var lines = title(record).wrapped(to: width, indent: 2)
        let growth = growth(record)
        if !growth.isEmpty { lines += [""] + growth.flatMap { $0.wrapped(to: width, indent: 2) } }
        lines += [""] + table(record).lines(width: width)
        lines += notes(record).flatMap { $0.wrapped(to: width, indent: 2) }
        lines.append("")
        lines += record.environment.machineLine.wrappedList(to: width)
        if record.environment.buildConfiguration != "release" {
            lines.append("This is a \(record.environment.buildConfiguration) build: its speed means nothing.")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// As comma-separated values: a line for each repeat of each point, with the swept values before what a run has.
    public static func csv(_ record: SweepRecord) -> String {
        CSVOutput.text(
            record.axes.map { "swept.\($0.option)" } + ["failure"], record.points.map { point in (point.values + [point.run.reason ?? ""], point.run.value) })
    }

    private static func title(_ record: SweepRecord) -> String {
        let axes = record.axes.map { "\($0.option) \($0.values.joined(separator: ", "))" }.joined(separator: " by ")
        let good = record.points.count { $0.run.value?.valid == true }
        let planned = record.axes.reduce(1) { $0 * $1.values.count }
        var text = good == planned ? "VALID" : record.points.count < planned ? "PARTIAL" : "INVALID"
        if record.points.contains(where: { $0.run.value?.figures.partial == true }), text == "VALID" { text += ", PARTIAL" }
        text += ": sweep of \(axes)"
        if good < planned { text += ": \(good) of \(planned) points are valid" }
        let repeats = record.points.compactMap { $0.run.value?.repeats.count }.max() ?? 0
        return repeats > 1 ? text + "; each the median of \(repeats) repeats" : text
    }

    // MARK: Growth

    /// Sentences about what grows.
    static func growth(_ record: SweepRecord) -> [String] {
        record.lines.flatMap { line -> [String] in
            let option = record.axes[line.axis].option
            let metrics = record.axes.count == 1 ? SweepMetric.told : SweepMetric.toldBriefly
            return metrics.compactMap { metric in
                guard let growth = SweepGrowth(record.values(line) { $0.run.value.flatMap { metric.value($0.figures) } }) else { return nil }
                let held = line.held.map { held in "\(record.axes[1 - line.axis].option) \(held): " } ?? ""
                return "\(held)\(metric.name) \(growth.words({ number(option, $0) }, noun(option)))"
            }
        }
    }

    private static func number(_ option: String, _ value: Double) -> String {
        switch option {
        case "message-size": Units.exact(bytes: Int(value))
        case "rate": Units.format(perSecond: value)
        case "read-rate": Units.format(bytesPerSecond: value)
        default: Units.format(count: Int(value))
        }
    }

    private static func noun(_ option: String) -> String {
        switch option {
        case "message-size": "messages"
        case "depth": "requests at once"
        case "rate", "read-rate": ""
        default: option
        }
    }

    // MARK: The table

    /// Whether memory per stream was measured (idle), or is derived from the heap of neighbouring points.
    private static func isMemoryMeasured(_ record: SweepRecord) -> Bool {
        record.points.contains { $0.run.value?.figures.memory.bytesPerStreamClient.value != nil }
    }

    private static func table(_ record: SweepRecord) -> TextTable {
        var table = TextTable(
            record.axes.map { TextTable.Column($0.option, ["subject", "workload", "beside", "io", "direction"].contains($0.option) ? .left : .right) } + [
                TextTable.Column("goodput"), TextTable.Column("messages"), TextTable.Column("p50", importance: 2), TextTable.Column("p99", importance: 3),
                TextTable.Column("memory\na stream\nclient", importance: 1), TextTable.Column("server", importance: 1),
                TextTable.Column("CPU per\nmessage\nclient"), TextTable.Column("server"), TextTable.Column("", .left),
            ])
        for point in record.points {
            guard let run = point.run.value, run.valid else {
                table.add(point.values + [point.run.value == nil ? "FAILED" : "INVALID"])
                continue
            }
            func cell(_ metric: SweepMetric) -> String { metric.value(run.figures).map(metric.format) ?? "-" }
            func memory(_ metric: SweepMetric, _ allocated: KeyPath<MemoryFigures, Measured<Int>>) -> String {
                (metric.value(run.figures) ?? record.heapGrowthPerStream(point, allocated)).map(metric.format) ?? "-"
            }
            table.add(
                point.values + [
                    cell(.goodput), cell(.messages), cell(.p50), cell(.p99), memory(.memoryClient, \.allocatedBytesClient),
                    memory(.memoryServer, \.allocatedBytesServer), cell(.cpuClient), cell(.cpuServer), run.figures.partial ? "partial" : "",
                ])
        }
        return table
    }

    private static func notes(_ record: SweepRecord) -> [String] {
        var notes: [String] = []
        for point in record.points {
            let name = zip(record.axes, point.values).map { "\($0.option) \($1)" }.joined(separator: ", ")
            switch point.run {
            case .unavailable(let reason): notes.append("\(name) FAILED: \(reason)")
            case .value(let run): notes += run.figures.invalidReasons.map { "\(name) INVALID: \($0)" }
            }
        }
        if !isMemoryMeasured(record) {
            notes.append(record.axes.contains { ["streams", "connections"].contains($0.option) }
                ? "Memory a stream is derived: what the heap grew by since the point before, by each stream added (at least \(Units.format(count: SweepRecord.streamsAddedMin))), "
                    + "with the buffers that were in use. The workload idle measures it."
                : "Memory a stream is not available: the workload idle measures it, or a sweep of streams.")
        }
        if record.points.contains(where: { $0.run.value?.repeats.count == 1 }) {
            notes.append("A point is one run: with --repeat 3 each is the median of three, made at different times.")
        }
        return notes.isEmpty ? [] : [""] + notes
    }
}
