import Gauge

/// Stored records as a report: the verdicts, then each figure that the records have the data for, then the machine and the commands.
///
/// Everything is computed once; each of the outputs is made from the same figures, so that they say the same.
public struct RecordReport: Sendable {
    let reported: Reported
    let figures: [Figure]

    /// - Parameter files: in the order in which their records are shown.
    public init(_ files: [RecordFile]) {
        let reported = Reported(files)
        self.reported = reported
        figures = [
            ComparisonFigures.ratios(reported), ComparisonFigures.medians(reported), ThroughputFigures.figure(reported), LatencyFigures.figure(reported),
            StageFigures.figure(reported), InterferenceFigures.figure(reported), SweepFigures.figure(reported), RateFigures.figure(reported),
            TaxFigures.figure(reported), LedgerFigures.figure(reported), CostFigures.figure(reported), IntervalFigures.figure(reported),
        ].compactMap(\.self)
    }

    var title: String {
        let subjects = reported.runs.map(\.record.setup.subject)
            + reported.comparisons.flatMap { [$0.record.subjects.baseline] + $0.record.subjects.candidates }
            + reported.sweeps.compactMap { $0.record.points.lazy.compactMap(\.run.value).first?.setup.subject }
            + reported.searches.compactMap { $0.record.steps.first?.run.setup.subject } + reported.interferences.flatMap(\.record.subjects)
        let different = subjects.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        switch different.count {
        case 0: return "No records"
        case 1...4: return different.joined(separator: ", ")
        default: return "\(different.prefix(3).joined(separator: ", ")) and \(different.count - 3) more"
        }
    }

    /// When the first and the last run began.
    var dates: String {
        let starts = Self.starts(reported)
        guard let first = starts.min(), let last = starts.max() else { return "" }
        return first == last ? first : "\(first) to \(last)"
    }

    private static func starts(_ reported: Reported) -> [String] {
        let records = reported.runs.map(\.record) + reported.sweeps.flatMap { $0.record.points.compactMap(\.run.value) }
            + reported.searches.flatMap { $0.record.steps.map(\.run) }
        return records.flatMap { $0.repeats.compactMap(\.startedAt.value) }
    }

    // MARK: The machine

    /// What is known of every machine and build.
    var environmentTables: [(title: String, table: DataTable)] {
        reported.environments.map { environment in
            var table = DataTable([.text("what", key: "environment"), .text("value")])
            func add(_ name: String, _ value: Measured<String>) {
                table.add([.text(name), .text(value.value ?? "not available: \(value.reason ?? "")")])
            }
            add("processor", environment.cpuModel)
            add("architecture", .value(environment.architecture))
            add("cores", environment.cores.map { "\($0)" })
            add("cores allowed", environment.coresAllowed.map { "\($0)" })
            add("memory", environment.memoryBytes.map { Units.format(bytes: $0) })
            add("frequency governor", environment.governor)
            add("hypervisor", environment.hypervisor)
            add("kernel", environment.kernel)
            add("compiler", .value(environment.compiler))
            add("build", .value(environment.buildConfiguration))
            add("allocator", .value(environment.allocator))
            add("I/O interface", .value(environment.ioBackend))
            add("commit", environment.commit)
            for name in environment.sysctls.keys.sorted() { add(name, environment.sysctls[name] ?? .unmeasured) }
            return (environment.machineLine, table)
        }
    }
}
