import Gauge

/// What each layer of a stack costs: a staircase.
enum TaxFigures {
    static func figure(_ reported: Reported) -> Figure? {
        let ofRuns = reported.groups.compactMap { group in chain(group).map { (group, $0) } }
        let panels = ofRuns.enumerated().compactMap { panel($1.0, $1.1, id: "tax-\($0 + 1)") }
        return Figure(
            id: "tax", title: "What each layer costs",
            lead: "The same workload over stacks that grow by a layer each. The broken line is where the stack below ends; the step to it is the layer's price.",
            panels: panels + comparisonPanels(reported))
    }

    // MARK: Runs

    /// The longest chain in which each run's stack is the one before it and a layer more.
    private static func chain(_ group: Reported.Group) -> [Reported.Run]? {
        var seen: Set<String> = []
        let valid = group.runs.filter { $0.record.valid && group.metric.figure(in: $0.figures).value != nil && seen.insert($0.record.setup.subject).inserted }
            .sorted { $0.record.setup.subject.split(separator: "+").count < $1.record.setup.subject.split(separator: "+").count }
        var best: [Reported.Run] = []
        func extend(_ chain: [Reported.Run]) {
            if chain.count > best.count { best = chain }
            guard let last = chain.last else { return }
            for next in valid where LayerCosts.layer(of: next.record.setup.subject, on: last.record.setup.subject) != nil { extend(chain + [next]) }
        }
        for start in valid { extend([start]) }
        return best.count > 1 ? best : nil
    }

    private static func panel(_ group: Reported.Group, _ chain: [Reported.Run], id: String) -> Figure.Panel? {
        let metric = group.metric
        let values = chain.compactMap { metric.figure(in: $0.figures).value }
        guard values.count == chain.count else { return nil }
        let subjects = chain.map(\.record.setup.subject)
        return panel(
            id: id, heading: "\(group.title): \(metric.title)", metric: metric.title, key: metric.rawValue, quantity: metric.quantity, subjects: subjects,
            values: values,
            ratios: zip(values, values.dropFirst()).map { before, after in before > 0 ? (after / before, nil) : nil },
            note: "Each bar is the median of the run's repeats; runs were made one after the other, so small steps may be the machine's. "
                + "compare --tax interleaves them.")
    }

    // MARK: Comparisons

    private static func comparisonPanels(_ reported: Reported) -> [Figure.Panel] {
        reported.comparisons.enumerated().filter { LayerCosts.isStaircase($1.record) }.flatMap { number, comparison in
            let record = comparison.record
            let shown = record.workloads.flatMap { workload in
                workload.metrics.filter { $0.role == .headline || $0.metric.name.hasPrefix("cpu_") }.map { (workload, $0) }
            }
            return shown.enumerated().compactMap { index, entry -> Figure.Panel? in
                let (workload, metric) = entry
                let steps = LayerCosts.steps(metric, record)
                guard let first = steps.first, steps.count == record.subjects.candidates.count else { return nil }
                return panel(
                    id: "tax-of-\(number + 1)-\(index + 1)", heading: "\(workload.label): \(metric.metric.title)", metric: metric.metric.title,
                    key: metric.metric.name,
                    quantity: Quantity(metric.metric.unit), subjects: [first.below] + steps.map(\.above), values: [first.without] + steps.map(\.with),
                    ratios: steps.map { step in step.estimate.map { ($0.ratio, $0.interval.value) } },
                    note: "Bars are medians over the rounds; ratios are taken within each round, and so need not be those of the bars.")
            }
        }
    }

    private static func panel(
        id: String, heading: String, metric: String, key: String, quantity: Quantity, subjects: [String], values: [Double],
        ratios: [(ratio: Double, interval: RatioInterval?)?], note: String
    ) -> Figure.Panel {
        var table = DataTable([
            .text("stack", key: "subject"), .text("layer"), .number(metric, key), .number("ratio to the stack below", "ratio"), .number("from", "interval.low"),
            .number("to", "interval.high"),
        ])
        var steps: [Staircase.Step] = []
        for (index, (subject, value)) in zip(subjects, values).enumerated() {
            let ratio = index > 0 ? ratios[index - 1] : nil
            let layer = index > 0 ? LayerCosts.layer(of: subject, on: subjects[index - 1]) : nil
            let interval = ratio?.interval
            table.add([
                .text(subject), .text(layer?.words ?? ""), .number(value, quantity.format(value)),
                ratio.map { .number($0.ratio, ComparisonView.ratio($0.ratio)) } ?? .absent(""),
                interval.map { .number($0.low, ComparisonView.ratio($0.low)) } ?? .absent(""),
                interval.map { .number($0.high, ComparisonView.ratio($0.high)) } ?? .absent(""),
            ])
            let change = ratio.map { ratio in
                let percent = (ratio.ratio - 1) * 100
                return "\(percent < 0 ? "-" : "+")\(Units.significant(abs(percent))) %"
            }
            steps.append(Staircase.Step(label: subject, value: value, change: change.map { "\(layer?.name ?? ""): \($0)" } ?? ""))
        }
        let chart = Staircase(id: id, title: heading, axisTitle: metric, quantity: quantity, steps: steps)
        return Figure.Panel(title: heading, picture: chart.picture, table: table.withoutEmptyColumns, notes: [note])
    }
}
