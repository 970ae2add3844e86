import Foundation
public import Gauge

/// A distribution as HdrHistogram's tools write one (`.hgrm`), with values in milliseconds: what its plotters read.
public struct PercentileFile: Sendable, Equatable {
    /// Such as `1-tcp-yamux-request-latency.hgrm`: letters, digits, `+`, `-` and `_` only, so that it is a name everywhere.
    public let name: String
    public let text: String

    /// - Parameters:
    ///   - name: without an ending; anything but letters and digits becomes a hyphen.
    ///   - histogram: not empty.
    ///   - ticksPerHalfDistance: lines for each halving of what is left to 100 %.
    public init(name: String, _ histogram: LatencyHistogram, ticksPerHalfDistance: Int = 5) {
        self.name = Self.fileName(name) + ".hgrm"
        var lines = ["       Value     Percentile TotalCount 1/(1-Percentile)", ""]
        for step in PercentileLadder(histogram, ticksPerHalfDistance: ticksPerHalfDistance).steps {
            let value = Self.padded(Self.milliseconds(Double(step.nanoseconds)), 12)
            let count = Self.padded("\(step.count)", 10)
            let inverse = step.percentile < 1 ? " " + Self.padded(Self.decimal(1 / (1 - step.percentile), places: 2), 14) : "            inf"
            lines.append("\(value) \(Self.padded(Self.decimal(step.percentile, places: 12), 14)) \(count)\(inverse)")
        }
        let (mean, deviation) = Self.moments(histogram)
        let most = Double(histogram.classes().last?.nanoseconds ?? 0)
        lines.append("#[Mean    = \(Self.padded(Self.milliseconds(mean), 12)), StdDeviation   = \(Self.padded(Self.milliseconds(deviation), 12))]")
        lines.append("#[Max     = \(Self.padded(Self.milliseconds(most), 12)), Total count    = \(Self.padded("\(histogram.count)", 12))]")
        // Of a histogram from 1 ns to 1 h with three digits, which these are.
        lines.append("#[Buckets = \(Self.padded("32", 12)), SubBuckets     = \(Self.padded("2048", 12))]")
        text = lines.map { $0 + "\n" }.joined()
    }

    /// In nanoseconds. A class counts with its largest value, which is within a thousandth.
    private static func moments(_ histogram: LatencyHistogram) -> (mean: Double, deviation: Double) {
        let mean = Double(histogram.summary()?.mean ?? 0)
        let squares = histogram.classes().reduce(0) { sum, entry in
            let distance = Double(entry.nanoseconds) - mean
            return sum + distance * distance * Double(entry.count)
        }
        return (mean, histogram.isEmpty ? 0 : (squares / Double(histogram.count)).squareRoot())
    }

    /// Six places, so that no nanosecond is lost.
    private static func milliseconds(_ nanoseconds: Double) -> String { decimal(nanoseconds / 1e6, places: 6) }

    private static func decimal(_ value: Double, places: Int) -> String { String(format: "%.\(places)f", value) }

    private static func padded(_ text: String, _ width: Int) -> String { text.paddedLeft(to: width) }

    private static func fileName(_ name: String) -> String {
        var result = ""
        for character in name {
            let isPlain = character.isASCII && (character.isLetter || character.isNumber || character == "+" || character == "_" || character == ".")
            if isPlain { result.append(character) } else if !result.isEmpty, result.last != "-" { result.append("-") }
        }
        while result.hasSuffix("-") || result.hasSuffix(".") { result.removeLast() }
        while result.hasPrefix(".") { result.removeFirst() }
        return result.isEmpty ? "distribution" : String(result.prefix(120))
    }
}

extension RecordReport {
    /// A file for each distribution in the records. Names begin with a number, so that they are different and in order.
    public var percentileFiles: [PercentileFile] {
        var files: [PercentileFile] = []
        func add(_ name: String, _ histogram: LatencyHistogram?) {
            guard let histogram, !histogram.isEmpty else { return }
            files.append(PercentileFile(name: "\(files.count + 1)-\(name)", histogram))
        }
        func add(_ name: String, _ run: RunRecord) {
            let subject = name + run.setup.subject + "-" + Shape.short(run.setup)
            add(subject + "-latency", run.figures.histograms.latency.value)
            add(subject + "-service", run.figures.histograms.service.value)
            add(subject + "-pacer_lateness", run.figures.histograms.pacerLateness.value)
            for flow in run.figures.latencyStages.value ?? [] { add("\(subject)-\(flow.verb)-\(flow.direction)", flow) }
        }
        func add(_ name: String, _ flow: LatencyStages) {
            for stage in LatencyStages.Stage.allCases { add("\(name)-\(stage.rawValue)", flow.histograms[stage]) }
        }
        for run in reported.runs { add("", run.record) }
        for sweep in reported.sweeps {
            for point in sweep.record.points { if let run = point.run.value { add(point.values.joined(separator: "-") + "-", run) } }
        }
        for search in reported.searches {
            for step in search.record.steps { add("\(Int(step.ratePerSecond.rounded()))-", step.run) }
        }
        for cell in reported.interferences.flatMap(\.record.cells) {
            for flow in cell.outcome.value?.stages.value ?? [] {
                add("\(cell.subject)-\(cell.aggressor)-\(cell.placement.rawValue)-\(flow.verb)-\(flow.direction)", flow)
            }
        }
        return files
    }
}
