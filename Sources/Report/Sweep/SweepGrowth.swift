import Foundation
import Gauge

/// What is looked at along a sweep.
struct SweepMetric: Sendable {
    let name: String
    let value: @Sendable (RunFigures) -> Double?
    let format: @Sendable (Double) -> String

    static let goodput = SweepMetric(name: "goodput", value: { $0.goodputBytesPerSecond.value }, format: { Units.format(bytesPerSecond: $0) })
    static let messages = SweepMetric(name: "messages a second", value: { $0.messagesPerSecond.value }, format: { Units.format(perSecond: $0) })
    static let p50 = SweepMetric(name: "p50", value: { $0.latency.value.map { Double($0.p50) } }, format: { Units.format(nanoseconds: $0) })
    static let p99 = SweepMetric(name: "p99", value: { $0.latency.value.map { Double($0.p99) } }, format: { Units.format(nanoseconds: $0) })
    static let memoryClient = SweepMetric(
        name: "memory a stream of the client", value: { $0.memory.bytesPerStreamClient.value }, format: { Units.format(bytes: $0) })
    static let memoryServer = SweepMetric(
        name: "memory a stream of the server", value: { $0.memory.bytesPerStreamServer.value }, format: { Units.format(bytes: $0) })
    static let cpuClient = SweepMetric(
        name: "CPU per message of the client", value: { $0.cpuNanosecondsPerMessage.client.value }, format: { Units.format(nanoseconds: $0) })
    static let cpuServer = SweepMetric(
        name: "CPU per message of the server", value: { $0.cpuNanosecondsPerMessage.server.value }, format: { Units.format(nanoseconds: $0) })

    static let all = [goodput, messages, p50, p99, memoryClient, memoryServer, cpuClient, cpuServer]
    /// Those of which something is said in words.
    static let told = [goodput, p99, memoryClient, memoryServer, cpuClient, cpuServer]
    /// The same for two axes, where there is a sentence for each value of the other one.
    static let toldBriefly = [goodput, cpuClient, cpuServer]
}

/// How a figure grows along one axis, the other one (if there is one) held.
struct SweepGrowth {
    /// Points of one line: the swept number, and the figure. Ascending, above 0.
    let points: [(x: Double, y: Double)]

    init?(_ points: [(x: Double, y: Double)]) {
        let usable = points.filter { $0.x > 0 && $0.y > 0 }.sorted { $0.x < $1.x }
        guard let first = usable.first, let last = usable.last, last.x > first.x else { return nil }
        self.points = usable
    }

    /// Last by first.
    var ratio: Double { points[points.count - 1].y / points[0].y }

    /// The slope of the straight line through the logarithms of all points (least squares): 0 is no growth, 1 is in proportion.
    var exponent: Double {
        let (xs, ys) = (points.map { log($0.x) }, points.map { log($0.y) })
        let (meanX, meanY) = (xs.reduce(0, +) / Double(xs.count), ys.reduce(0, +) / Double(ys.count))
        let spread = xs.reduce(0) { $0 + ($1 - meanX) * ($1 - meanX) }
        return zip(xs, ys).reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) } / spread
    }

    /// Between which neighbours it changes most, in the direction in which it changes on the whole; nil when there are only two points.
    var steepest: (from: Double, to: Double, ratio: Double)? {
        guard points.count > 2 else { return nil }
        let steps = zip(points, points.dropFirst()).map { (from: $0.x, to: $1.x, ratio: $1.y / $0.y) }
        return ratio >= 1 ? steps.max { $0.ratio < $1.ratio } : steps.min { $0.ratio < $1.ratio }
    }

    /// `grows 1.3 x from 1 to 100,000 streams (1.05 x for each tenfold), most from 10,000 to 100,000: 1.2 x`.
    ///
    /// - Parameters:
    ///   - number: how a swept number is written.
    ///   - noun: what the numbers count.
    func words(_ number: (Double) -> String, _ noun: String) -> String {
        let range = "from \(number(points[0].x)) to \(number(points[points.count - 1].x))\(noun.isEmpty ? "" : " " + noun)"
        let tenfold = Units.significant(pow(10, exponent))
        guard abs(ratio - 1) > 0.05 else { return "stays within 5 % \(range) (\(tenfold) x for each tenfold)" }
        var text = "\(ratio > 1 ? "grows" : "falls to") \(Units.significant(ratio)) x \(range) (\(tenfold) x for each tenfold)"
        if let steepest { text += ", most from \(number(steepest.from)) to \(number(steepest.to)): \(Units.significant(steepest.ratio)) x" }
        return text
    }
}

extension SweepRecord {
    /// A line through the points: one axis runs, the other is held.
    struct Line {
        let axis: Int
        /// Of the other axis; nil where there is none.
        let held: String?
        let points: [Point]
    }

    var lines: [Line] {
        axes.indices.flatMap { axis -> [Line] in
            guard axes.count == 2 else { return [Line(axis: axis, held: nil, points: points)] }
            let other = 1 - axis
            return axes[other].values.map { held in Line(axis: axis, held: held, points: points.filter { $0.values[other] == held }) }
        }
    }

    /// What a swept option is as a number; nil for names.
    static func number(_ option: String, _ setup: RunSetup) -> Double? {
        switch option {
        case "streams": Double(setup.streams)
        case "connections": Double(setup.connections)
        case "message-size": Double(setup.messageSizeBytes)
        case "depth": Double(setup.depth)
        case "threads": Double(setup.threads.client)
        case "rate": setup.ratePerSecond.value
        case "read-rate": setup.readRateBytesPerSecond.value
        default: nil
        }
    }

    /// The figures of points that are valid, along a line, with the number that is swept.
    func values(_ line: Line, _ value: (Point) -> Double?) -> [(x: Double, y: Double)] {
        line.points.compactMap { point in
            guard let run = point.run.value, run.valid, let x = Self.number(axes[line.axis].option, run.setup), let y = value(point) else { return nil }
            return (x, y)
        }
    }

    /// Streams that a derived figure must be spread over: what is in use by chance, some megabytes of blocks, must not show.
    static let streamsAddedMin = 1000

    /// How much the heap of a side grew since the point before on the axis of streams or connections, by each stream that was added; nil where nothing of that kind can be said.
    func heapGrowthPerStream(_ point: Point, _ allocated: KeyPath<MemoryFigures, Measured<Int>>) -> Double? {
        guard let axis = axes.firstIndex(where: { ["streams", "connections"].contains($0.option) }), let run = point.run.value, run.valid else { return nil }
        func streams(_ run: RunRecord) -> Int { run.setup.connections * run.setup.streams }
        let others = points.filter { other in
            other.values.indices.allSatisfy { $0 == axis || other.values[$0] == point.values[$0] } && other.run.value?.valid == true
        }
        let before = others.compactMap(\.run.value).filter { streams($0) < streams(run) }.max { streams($0) < streams($1) }
        guard let before, streams(run) - streams(before) >= Self.streamsAddedMin,
            let now = run.figures.memory[keyPath: allocated].value, let then = before.figures.memory[keyPath: allocated].value, now > then
        else { return nil }
        return Double(now - then) / Double(streams(run) - streams(before))
    }
}
