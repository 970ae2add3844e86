import Gauge

/// What comes first: whether the figures may be believed, and what they say in a word.
struct Verdicts {
    enum Standing { case good, bad, open }

    struct Entry {
        let word: String
        let standing: Standing
        let sentence: String
        var reasons: [String] = []
    }

    let reported: Reported

    /// One sentence over everything.
    var headline: Entry {
        let invalid = entries.count { $0.standing == .bad }
        let all = entries.count
        if all == 0 { return Entry(word: "EMPTY", standing: .open, sentence: "There is no record here.") }
        if invalid == 0 {
            return Entry(
                word: "VALID", standing: .good, sentence: all == 1 ? "The record reconciles." : "All \(Units.format(count: all)) records reconcile.")
        }
        return Entry(
            word: "INVALID", standing: .bad,
            sentence: all == 1
                ? "The record must not be believed." : "\(Units.format(count: invalid)) of \(Units.format(count: all)) records must not be believed in full.")
    }

    var entries: [Entry] { runs + comparisons + sweeps + searches + interferences }

    /// Those that somebody has to know about one by one.
    var remarkable: [Entry] {
        runs.filter { $0.standing == .bad || !$0.reasons.isEmpty } + comparisons + sweeps + searches + interferences
    }

    private var runs: [Entry] {
        reported.runs.map { run in
            let record = run.record
            let partial = record.figures.partial ? ["The run did not reach its end: the figures are of what was measured until then."] : []
            let build = record.environment.buildConfiguration == "release"
                ? [] : ["This is a \(record.environment.buildConfiguration) build: its speed means nothing."]
            return Entry(
                word: record.valid ? record.figures.partial ? "VALID, PARTIAL" : "VALID" : "INVALID", standing: record.valid ? .good : .bad,
                sentence: Shape.describe(record.setup), reasons: record.figures.invalidReasons + partial + build)
        }
    }

    private var comparisons: [Entry] {
        reported.comparisons.map { comparison in
            let record = comparison.record
            let verdicts = record.verdicts.filter { $0.role == .headline }.map(\.ratio.judgement.verdict)
            let counts = Verdict.allCases.compactMap { verdict in
                let count = verdicts.count { $0 == verdict }
                return count == 0 ? nil : "\(count) \(verdict.rawValue)"
            }
            let rounds = record.rounds == 1 ? "1 round" : "\(Units.format(count: record.rounds)) rounds"
            let others = record.subjects.candidates.count == 1 ? record.subjects.candidates[0] : "\(record.subjects.candidates.count) subjects"
            let isMeasured = record.verdicts.contains { $0.ratio.estimate.value != nil }
            return Entry(
                word: isMeasured ? "COMPARED" : "INVALID", standing: isMeasured ? .good : .bad,
                sentence: "\(others) beside \(record.subjects.baseline), \(rounds): \(counts.isEmpty ? "no verdict" : counts.joined(separator: ", "))")
        }
    }

    private var sweeps: [Entry] {
        reported.sweeps.map { sweep in
            let record = sweep.record
            let subject = record.points.lazy.compactMap(\.run.value).first?.setup.subject ?? "nothing"
            let bad = record.points.filter { $0.run.value?.valid != true }
            let expected = record.axes.map(\.values.count).reduce(1, *)
            let reasons = bad.map { point in
                let place = zip(record.axes, point.values).map { "\($0.option) \($1)" }.joined(separator: ", ")
                let reason = point.run.value.map { $0.figures.invalidReasons.first ?? "INVALID" } ?? point.run.reason ?? ""
                return "\(place): \(reason)"
            }
            let missing = expected > record.points.count ? ["It was ended after \(record.points.count) of \(expected) points."] : []
            return Entry(
                word: bad.isEmpty ? "VALID" : "INVALID IN PART", standing: bad.isEmpty ? .good : .bad,
                sentence: "Sweep of \(record.axes.map(\.option).joined(separator: " and ")) for \(subject): "
                    + "\(record.points.count - bad.count) of \(expected) points are valid",
                reasons: reasons + missing)
        }
    }

    private var searches: [Entry] {
        reported.searches.map { search in
            let record = search.record
            let goal = "\(record.goal.percentile) below \(Units.format(nanoseconds: record.goal.boundNanoseconds))"
            let subject = record.steps.first?.run.setup.subject ?? "nothing"
            return switch record.foundRatePerSecond {
            case .value(let rate): Entry(word: "FOUND", standing: .good, sentence: "\(subject) keeps \(goal) up to \(Units.format(perSecond: rate))")
            case .unavailable(let reason): Entry(word: "NOT FOUND", standing: .open, sentence: "\(subject), \(goal)", reasons: [reason])
            }
        }
    }

    private var interferences: [Entry] {
        reported.interferences.map { interference in
            let record = interference.record
            let measured = record.cells.filter { $0.outcome.value != nil }
            let doubtful = measured.filter { $0.outcome.value?.invalidReasons.isEmpty == false }
            let worst = measured.max { ($0.outcome.value?.p99Ratio.median ?? 0) < ($1.outcome.value?.p99Ratio.median ?? 0) }
            let worstWords = worst.flatMap { cell in
                cell.outcome.value.map {
                    "; the worst is \(cell.subject) beside \(cell.aggressor) \(cell.placement.words), "
                        + "p99 \(Units.significant($0.p99Ratio.median)) x that of the victim alone"
                }
            }
            return Entry(
                word: doubtful.isEmpty ? "VALID" : "INVALID IN PART", standing: doubtful.isEmpty ? .good : .bad,
                sentence: "Interference, \(measured.count) of \(record.cells.count) cells measured\(worstWords ?? "")",
                reasons: doubtful.map { "\($0.subject) beside \($0.aggressor) \($0.placement.words): \($0.outcome.value?.invalidReasons.first ?? "")" })
        }
    }

    // MARK: Tables

    /// Every run in a line.
    var runTable: DataTable {
        var table = DataTable([
            .text("verdict", key: "valid"), .text("subject", key: "subject"), .text("workload"), .number("goodput", "goodput_bytes_per_second"),
            .number("completed", "messages_per_second"), .number("p50", "latency_ns.p50"), .number("p99", "latency_ns.p99"), .number("Jain", "jain_fairness"),
            .number("overhead", "frame_overhead_ratio"),
        ])
        for run in reported.runs {
            let figures = run.record.figures
            table.add([
                .text(run.record.valid ? figures.partial ? "VALID, PARTIAL" : "VALID" : "INVALID"), .text(run.record.setup.subject),
                .text(Shape.conditions(run.record.setup)),
                .of(figures.goodputBytesPerSecond, .bytesPerSecond), .of(figures.messagesPerSecond, .perSecond),
                .of(figures.latency.map { Double($0.p50) }, .nanoseconds), .of(figures.latency.map { Double($0.p99) }, .nanoseconds),
                .of(figures.jainFairness) { Units.fixed($0, places: 3) }, .of(figures.frameOverheadRatio) { "\(Units.significant($0 * 100)) %" },
            ])
        }
        return table.withoutEmptyColumns
    }

    /// Of a comparison: a line for each subject, a column for what each workload is made for.
    static func matrix(_ record: ComparisonRecord) -> DataTable {
        let headlines = record.workloads.flatMap { workload in workload.metrics.filter { $0.role == .headline }.map { (workload, $0) } }
        let isShort = Set(headlines.map(\.0.label)).count == headlines.count
        var table = DataTable(
            [.text("subject", key: "subject")] + headlines.map { workload, metric in
                .number(isShort ? workload.label : "\(workload.label): \(metric.metric.title)", metric.metric.name)
            })
        for (index, candidate) in record.subjects.candidates.enumerated() {
            table.add([.text(candidate)] + headlines.map { _, metric -> DataTable.Cell in
                guard metric.ratios.indices.contains(index) else { return .absent("there is no ratio") }
                let ratio = metric.ratios[index]
                let estimate = Measured(ratio.estimate.value, else: short(ratio.estimate.reason ?? ""))
                return .of(estimate.map(\.ratio)) { "\(RatioChart.sign(ratio.judgement.verdict)) \(ComparisonView.ratio($0))" }
            })
        }
        return table
    }

    /// The cause alone of a reason that begins with what it led to.
    private static func short(_ reason: String) -> String { reason.split(separator: ": ").last.map(String.init) ?? reason }
}
