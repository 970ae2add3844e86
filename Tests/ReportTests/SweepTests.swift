import Foundation
import Gauge
@testable import Report
import Testing

enum SweepSamples {
    /// CPU per message and heap that grow with the number of streams, as they are told to.
    static func figures(streams: Int, cpu: Double = 1000, valid: Bool = true) -> RunFigures {
        var figures = Samples.request(rate: 100_000)
        figures.cpuUserSeconds = BothSides(client: .value(cpu * Double(figures.messages) / 1e9), server: .value(500 * Double(figures.messages) / 1e9))
        figures.cpuSystemSeconds = BothSides(both: 0)
        figures.memory.allocatedBytesClient = .value(1_000_000 + 300 * streams)
        figures.memory.allocatedBytesServer = .value(1_000_000 + 200 * streams)
        if !valid { figures.invalidate("a byte is missing") }
        return figures
    }

    static func point(_ streams: Int, cpu: Double = 1000, valid: Bool = true) -> SweepRecord.Point {
        let run = Samples.record(workload: "request", connections: 1, streams: streams, messageBytes: 64, [figures(streams: streams, cpu: cpu, valid: valid)])
        return .init(values: ["\(streams)"], run: .value(run))
    }

    static func record(_ points: [SweepRecord.Point]) -> SweepRecord {
        SweepRecord(
            command: "streamgauge sweep tcp+yamux", axes: [.init(option: "streams", values: points.map { $0.values[0] })], points: points,
            environment: Samples.environment)
    }

    static func step(_ rate: Double, _ outcome: RateSearchRecord.Outcome, latency: UInt64 = 1_000_000) -> RateSearchRecord.Step {
        var recording = Recording(intervals: [Recording.Interval()], intervalNanoseconds: 1)
        recording.latency.record(latency, count: 1000)
        recording.pacerLateness.record(2000, count: 1000)
        var figures = Samples.request(rate: rate)
        figures.apply(recording)
        let run = Samples.record(workload: "request", connections: 1, streams: 100, messageBytes: 64, [figures, figures, figures])
        return .init(ratePerSecond: rate, outcome: outcome, reason: "why \(Int(rate))", run: run)
    }

    static func search(found: Measured<Double>, missed: Measured<Double>, _ steps: [RateSearchRecord.Step]) -> RateSearchRecord {
        RateSearchRecord(
            command: "streamgauge run", goal: .init(percentile: "p99", boundNanoseconds: 5_000_000), foundRatePerSecond: found, missedRatePerSecond: missed,
            steps: steps, environment: Samples.environment)
    }
}

@Suite struct SweepTests {
    @Test func growthIsTheSlopeOfTheLogarithms() throws {
        let root = try #require(SweepGrowth([(1, 10), (100, 100), (10_000, 1000)]))
        #expect(abs(root.exponent - 0.5) < 1e-9 && root.ratio == 100)
        let none = try #require(SweepGrowth([(10, 7), (1, 7)]))
        #expect(none.exponent == 0 && none.ratio == 1 && none.steepest == nil)
        let knee = try #require(SweepGrowth([(1, 10), (10, 11), (100, 22), (1000, 23)]))
        #expect(knee.steepest?.from == 10 && knee.steepest?.to == 100 && knee.steepest?.ratio == 2)
        #expect(SweepGrowth([(1, 1)]) == nil && SweepGrowth([(1, 1), (1, 2)]) == nil && SweepGrowth([(0, 1), (2, 0)]) == nil)
    }

    @Test func theAnswerStandsFirst() {
        let text = SweepText.text(SweepSamples.record([SweepSamples.point(1), SweepSamples.point(1000, cpu: 1100), SweepSamples.point(100_000, cpu: 1300)]), width: 140)
        #expect(text.hasPrefix("VALID: sweep of streams 1, 1000, 100000\n"), "\(text)")
        #expect(text.contains("CPU per message of the client grows 1.30 x from 1 to 100,000 streams (1.05 x for each tenfold), most from 1,000 to 100,000: 1.18 x"), "\(text)")
        #expect(text.contains("CPU per message of the server stays within 5 % from 1 to 100,000 streams"), "\(text)")
        // 99,000 streams more took 300 B each; a thousand that are not there cannot be told from what is in use.
        let row = text.split(separator: "\n").first { $0.trimmingCharacters(in: .whitespaces).hasPrefix("100000") }
        #expect(row?.contains("300 B") == true && row?.contains("200 B") == true, "\(text)")
        #expect(text.contains("Memory a stream is derived"), "\(text)")
    }

    @Test func pointsThatFailedAreTold() {
        let failed = SweepRecord.Point(values: ["10"], run: .unavailable("the server went away"))
        let text = SweepText.text(SweepSamples.record([SweepSamples.point(1), failed, SweepSamples.point(100, valid: false)]))
        #expect(text.hasPrefix("INVALID: sweep of streams 1, 10, 100: 1 of 3 points are valid\n"), "\(text)")
        #expect(text.contains("streams 10 FAILED: the server went away") && text.contains("streams 100 INVALID: a byte is missing"), "\(text)")
    }

    @Test func rowsOfCommaSeparatedValues() {
        let failed = SweepRecord.Point(values: ["10"], run: .unavailable("gone, or not"))
        let lines = SweepText.csv(SweepSamples.record([failed, SweepSamples.point(1)])).split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("swept.streams,failure,subject,") && lines[1].hasPrefix("10,\"gone, or not\",,") && lines[2].hasPrefix("1,,tcp+yamux,"))
        func commas(_ line: Substring) -> Int { line.replacing("gone, or", with: "gone or").count { $0 == "," } }
        #expect(Set(lines.map(commas)).count == 1)
    }

    @Test func twoAxesHaveALineForEachValue() {
        let points = [1, 10].flatMap { streams in
            ["tcp+yamux", "tcp+mplex"].map { subject in
                SweepRecord.Point(values: [subject, "\(streams)"], run: .value(Samples.record(
                    subject, workload: "request", connections: 1, streams: streams, messageBytes: 64,
                    [SweepSamples.figures(streams: streams, cpu: subject == "tcp+mplex" ? 1000 : 1000 * Double(streams))])))
            }
        }
        let record = SweepRecord(
            command: "", axes: [.init(option: "subject", values: ["tcp+yamux", "tcp+mplex"]), .init(option: "streams", values: ["1", "10"])],
            points: points, environment: Samples.environment)
        let sentences = SweepText.growth(record)
        #expect(sentences.contains("subject tcp+yamux: CPU per message of the client grows 10.0 x from 1 to 10 streams (10.0 x for each tenfold)"), "\(sentences)")
        #expect(sentences.contains { $0.hasPrefix("subject tcp+mplex: CPU per message of the client stays within 5 %") }, "\(sentences)")
    }

    // MARK: Rates

    @Test func theRateStandsFirst() {
        let steps = [SweepSamples.step(1000, .met), SweepSamples.step(4000, .missed, latency: 9_000_000), SweepSamples.step(2000, .met), SweepSamples.step(2000, .met)]
        let text = RateSearchText.text(SweepSamples.search(found: 2000, missed: 4000, steps), width: 120)
        #expect(text.hasPrefix("2,000 requests a second meet p99 < 5ms: tcp+yamux, request, 1 connection x 100 streams, 64 B messages\n"), "\(text)")
        #expect(text.contains("why 2000") && text.contains("4,000 requests a second miss it") && !text.contains("not confirmed"), "\(text)")
        let rows = text.split(separator: "\n").filter { $0.hasSuffix("met") || $0.hasSuffix("missed") }.compactMap { $0.split(separator: " ").first }
        #expect(rows == ["1,000", "2,000", "2,000", "4,000"], "\(text)")
        #expect(rows.count == 4 && text.contains("9.00 ms") && text.contains("2.00 us"), "\(text)")
    }

    @Test func whatWasNotFoundIsSaid() {
        let text = RateSearchText.text(SweepSamples.search(found: .unavailable("it is slow"), missed: .unavailable("so it is"), [SweepSamples.step(10, .unclear)]))
        #expect(text.hasPrefix("NOT FOUND: no rate is known to meet p99 < 5ms") && text.contains("it is slow") && text.contains("10/s is unclear: why 10"), "\(text)")
        let changed = SweepSamples.search(found: 20, missed: .unavailable("x"), [SweepSamples.step(20, .missed), SweepSamples.step(20, .met)])
        let told = RateSearchText.text(changed, width: 120)
        #expect(told.contains("20/s was missed, then met") && told.contains("not confirmed"), "\(told)")
    }

    @Test func windowsAreRowsOfCommaSeparatedValues() {
        let lines = RateSearchText.csv(SweepSamples.search(found: 1000, missed: .unavailable("x"), [SweepSamples.step(1000, .met), SweepSamples.step(2000, .notOffered)])).split(separator: "\n")
        #expect(lines.count == 7 && lines[0].hasPrefix("step,outcome,reason,subject,") && lines[1].hasPrefix("1,met,why 1000,tcp+yamux,") && lines[6].hasPrefix("2,not_offered,"))
    }
}
