import Gauge

/// How figures grow with what was swept.
enum SweepFigures {
    static func figure(_ reported: Reported) -> Figure? {
        Figure(
            id: "scale", title: "Scale",
            lead: "The same run for each value of an option. Axes are logarithmic where values span more than a decade. "
                + "A level line is a cost that does not grow.",
            panels: reported.sweeps.enumerated().flatMap { number, sweep in panels(sweep.record, number: number + 1) })
    }

    /// One figure of a run as a line.
    private struct Series: Sendable {
        let title: String
        let key: String
        let read: @Sendable (RunFigures) -> Measured<Double>
    }

    /// What is drawn into one picture: figures of the same kind.
    private struct Theme: Sendable {
        let title: String
        let quantity: Quantity
        let series: [Series]
    }

    private static func themes(_ metric: HeadlineMetric) -> [Theme] {
        let goodput = Theme(
            title: "goodput", quantity: .bytesPerSecond, series: [Series(title: "goodput", key: "goodput_bytes_per_second") { $0.goodputBytesPerSecond }])
        let completed = Theme(
            title: "completed", quantity: .perSecond, series: [Series(title: "completed", key: "messages_per_second") { $0.messagesPerSecond }])
        return [metric == .goodput ? goodput : completed] + [
            Theme(
                title: "response time", quantity: .nanoseconds,
                series: [
                    Series(title: "p50", key: "latency_ns.p50") { $0.latency.map { Double($0.p50) } },
                    Series(title: "p99", key: "latency_ns.p99") { $0.latency.map { Double($0.p99) } },
                ]),
            Theme(
                title: "memory per stream", quantity: .bytes,
                series: [
                    Series(title: "client", key: "memory.bytes_per_stream_client") { $0.memory.bytesPerStreamClient },
                    Series(title: "server", key: "memory.bytes_per_stream_server") { $0.memory.bytesPerStreamServer },
                ]),
            Theme(
                title: "memory resident", quantity: .bytes,
                series: [
                    Series(title: "client", key: "memory.rss_bytes_client") { $0.memory.rssBytesClient.map { Double($0) } },
                    Series(title: "server", key: "memory.rss_bytes_server") { $0.memory.rssBytesServer.map { Double($0) } },
                ]),
            Theme(
                title: "CPU per message", quantity: .nanoseconds,
                series: [
                    Series(title: "client", key: "cpu_nanoseconds_per_message.client") { $0.cpuNanosecondsPerMessage.client },
                    Series(title: "server", key: "cpu_nanoseconds_per_message.server") { $0.cpuNanosecondsPerMessage.server },
                ]),
        ]
    }

    private static func panels(_ sweep: SweepRecord, number: Int) -> [Figure.Panel] {
        guard let last = sweep.axes.last else { return [] }
        let setup = sweep.points.lazy.compactMap(\.run.value).first?.setup
        let swept = SweptValues(last)
        let subject = setup.map { "\($0.subject), \(Shape.workload($0))" } ?? "sweep \(number)"
        let shown = themes(setup?.headlineMetric ?? .goodput).flatMap { theme -> [(theme: Theme, lines: [(label: String, series: Series, group: String?)])] in
            // With two axes a line is a value of the first, and each figure has a picture of its own.
            guard sweep.axes.count > 1 else { return [(theme, theme.series.map { ($0.title, $0, nil) })] }
            return theme.series.map { series in
                let title = theme.series.count > 1 ? "\(theme.title), \(series.title)" : theme.title
                let lines = sweep.axes[0].values.map { (label: "\(sweep.axes[0].option) \($0)", series: series, group: Optional($0)) }
                return (Theme(title: title, quantity: theme.quantity, series: [series]), lines)
            }
        }
        var panels: [Figure.Panel] = []
        for (theme, lines) in shown {
            let panel = panel(sweep, swept, theme, lines, heading: "\(subject): \(theme.title)", id: "scale-\(number)-\(panels.count + 1)")
            if let panel { panels.append(panel) }
        }
        return panels
    }

    private static func panel(
        _ sweep: SweepRecord, _ swept: SweptValues, _ theme: Theme, _ lines: [(label: String, series: Series, group: String?)], heading: String, id: String
    ) -> Figure.Panel? {
        let drawn = lines.enumerated().compactMap { index, line -> LineChart.Line? in
            let points = sweep.points.compactMap { point -> (x: Double, y: Double)? in
                guard line.group == nil || point.values.first == line.group, let run = point.run.value, run.valid,
                    let x = point.values.last.flatMap(swept.position),
                    let y = line.series.read(run.figures).value else { return nil }
                return (x, y)
            }
            return points.isEmpty ? nil : LineChart.Line(label: line.label, points: points.sorted { $0.x < $1.x }, slot: index)
        }
        guard !drawn.isEmpty else { return nil }
        let values = drawn.flatMap { $0.points.map(\.y) }
        let isLogarithmic = (values.min() ?? 0) > 0 && (values.max() ?? 0) / (values.min() ?? 1) > 10
        let y = isLogarithmic
            ? Axis.logarithmic(theme.title, theme.quantity, values) : .linear(theme.title, theme.quantity, to: values.max() ?? 0)
        let chart = LineChart(id: id, title: heading, x: swept.axis, y: y, lines: drawn, quantity: theme.quantity)
        return Figure.Panel(title: heading, picture: chart.picture, table: table(sweep, theme))
    }

    private static func table(_ sweep: SweepRecord, _ theme: Theme) -> DataTable {
        var table = DataTable(
            sweep.axes.map { .text($0.option, key: $0.option) } + [.text("verdict")] + theme.series.map { .number($0.title, $0.key) })
        for point in sweep.points {
            let cells: [DataTable.Cell] = theme.series.map { series in
                switch point.run {
                case .value(let run): .of(series.read(run.figures), theme.quantity)
                case .unavailable(let reason): .absent(reason)
                }
            }
            table.add(point.values.map { .text($0) } + [.text(point.run.value.map { $0.valid ? "VALID" : "INVALID" } ?? "not run")] + cells)
        }
        return table
    }
}

/// The values of a swept option as numbers, where they are numbers.
struct SweptValues {
    let axis: Axis
    private let positions: [String: Double]

    init(_ swept: SweepRecord.Axis) {
        let readers: [(quantity: Quantity, read: (String) -> Double?)] = [
            (.number, { text in (try? Units.count(text)).map { Double($0) } }), (.bytes, { text in (try? Units.bytes(text)).map { Double($0) } }),
            (.nanoseconds, { text in (try? Units.duration(text)).map { Double($0) } }), (.perSecond, { text in try? Units.rate(text) }),
        ]
        let title = swept.option.split(separator: "-").joined(separator: " ")
        for reader in readers {
            let numbers = swept.values.compactMap(reader.read)
            guard numbers.count == swept.values.count, let least = numbers.min(), let most = numbers.max() else { continue }
            positions = Dictionary(zip(swept.values, numbers)) { first, _ in first }
            let isSize = swept.option.contains("size") || reader.quantity == .bytes
            let quantity: Quantity = isSize && reader.quantity == .number ? .bytes : reader.quantity
            if least > 0, most / least > 10 {
                axis = Self.logarithmic(title, quantity, least, most, numbers)
            } else {
                axis = .linear(title, quantity, to: most, ticksMax: 5, unit: "number")
            }
            return
        }
        // Words stand beside each other in the order in which they were given.
        let ticks = swept.values.enumerated().map { Axis.Tick(value: Double($0), label: $1) }
        positions = Dictionary(zip(swept.values, ticks.map(\.value))) { first, _ in first }
        axis = Axis(title: title, low: 0, high: Double(max(swept.values.count - 1, 1)), isLogarithmic: false, ticks: ticks)
    }

    func position(_ value: String) -> Double? { positions[value] }

    /// The marks are the values that were measured, where there is room for them.
    private static func logarithmic(_ title: String, _ quantity: Quantity, _ least: Double, _ most: Double, _ numbers: [Double]) -> Axis {
        let ticks = numbers.sorted().map { Axis.Tick(value: $0, label: quantity.short($0)) }
        return Axis(title: "\(title), log scale", low: least, high: most, isLogarithmic: true, ticks: ticks)
    }
}
