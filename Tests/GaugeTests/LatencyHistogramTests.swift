import Bytes
import FoundationEssentials
import Histogram
import Testing

@testable import Gauge

@Suite struct LatencyHistogramTests {
    /// Spans of all magnitudes: from single nanoseconds to beyond the longest.
    private func spans(_ count: Int, seed: UInt64) -> [UInt64] {
        var random = Seeded(seed)
        return (0..<count).map { _ in UInt64.random(in: 0...(1 << UInt64.random(in: 0...43, using: &random)), using: &random) }
    }

    private func recorded(_ spans: [UInt64]) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for span in spans { histogram.record(span) }
        return histogram
    }

    @Test func percentilesAreTheLibrarys() {
        let seed = UInt64.random(in: .min ... .max)
        let spans = spans(20_000, seed: seed)
        var library = Histogram<UInt64>(highestTrackableValue: LatencyHistogram.nanosecondsMax)
        for span in spans { library.record(min(span, LatencyHistogram.nanosecondsMax)) }
        let wanted = [0.0, 0.001, 10, 50, 90, 99, 99.9, 99.99, 100]
        #expect(recorded(spans).percentiles(wanted) == wanted.map { library.valueAtPercentile($0) }, "seed \(seed)")
    }

    @Test func percentilesAreWithinAThousandthOfTheSortedSpans() throws {
        let seed = UInt64.random(in: .min ... .max)
        let spans = spans(9_999, seed: seed).map { min($0, LatencyHistogram.nanosecondsMax) }
        let sorted = spans.sorted()
        let summary = try #require(recorded(spans).summary())
        for (value, percentage) in [(summary.p50, 50.0), (summary.p90, 90), (summary.p99, 99), (summary.p999, 99.9)] {
            let exact = sorted[Int((percentage / 100 * Double(sorted.count)).rounded(.up)) - 1]
            #expect(UInt64(value) >= exact && Double(value) <= Double(exact) * 1.001 + 1, "p\(percentage), seed \(seed)")
        }
        #expect(UInt64(summary.max) == sorted.last)
        #expect(UInt64(summary.min) == sorted.first)
        #expect(summary.count == sorted.count)
        let mean = spans.reduce(0.0) { $0 + Double($1) } / Double(spans.count)
        #expect(abs(Double(summary.mean) - mean) <= mean * 0.001 + 1, "seed \(seed)")
    }

    @Test func percentilesInAnyOrder() {
        let histogram = recorded(Array(1...1000))
        #expect(histogram.percentiles([99, 50, 100, 0]) == [990, 500, 1000, 1])
    }

    @Test func emptyHasNoSummary() {
        #expect(LatencyHistogram().summary() == nil)
        #expect(LatencyHistogram().percentiles([50]) == [0])
        #expect(LatencyHistogram().classes().isEmpty)
    }

    @Test func oneValueIsItsOwnSummary() throws {
        for value: UInt64 in [0, 1, 2047, 2048, 123_457, LatencyHistogram.nanosecondsMax] {
            let summary = try #require(recorded([value]).summary())
            let figures = [summary.p50, summary.p999, summary.min, summary.max, summary.mean]
            #expect(figures.allSatisfy { UInt64($0) == value }, "\(value) ns")
        }
    }

    @Test func moreThanAnHourCountsAsAnHour() throws {
        let summary = try #require(recorded([LatencyHistogram.nanosecondsMax + 1, .max]).summary())
        #expect(summary.max == 3_600_000_000_000 && summary.count == 2)
    }

    @Test func mergingIsRecordingEverything() {
        let seed = UInt64.random(in: .min ... .max)
        let (left, right) = (spans(3_000, seed: seed), spans(2_000, seed: seed ^ 1))
        var merged = recorded(left)
        merged.merge(recorded(right))
        #expect(merged == recorded(left + right), "seed \(seed)")
        #expect(merged.summary() == recorded(left + right).summary(), "seed \(seed)")
    }

    @Test func theCounterCountsAsTheHistogramDoes() {
        let seed = UInt64.random(in: .min ... .max)
        for count in [0, 1, 2, 5_000] {
            let spans = spans(count, seed: seed)
            var counter = LatencyCounter()
            // A counter that was used and reset must not remember.
            for span in spans { counter.record(span) }
            counter.reset()
            for span in spans { counter.record(span) }
            let histogram = LatencyCounter.histogram(range: counter.range) { counter[$0] }
            #expect(histogram == recorded(spans), "seed \(seed), \(count) spans")
            #expect(histogram.summary() == recorded(spans).summary(), "seed \(seed), \(count) spans")
        }
    }

    @Test func theCounterKnowsEveryClassBoundary() {
        for shift: UInt64 in 0..<42 {
            let power = UInt64(1) << shift
            for value in [power, power - 1, power + 1, 3 * power] where value <= LatencyHistogram.nanosecondsMax {
                var counter = LatencyCounter()
                counter.record(value)
                counter.record(value)
                #expect(LatencyCounter.histogram(range: counter.range) { counter[$0] } == recorded([value, value]), "\(value) ns")
            }
        }
    }
}

@Suite struct HistogramCodingTests {
    private func decoded(_ bytes: [UInt8]) throws(HistogramDecodingError) -> LatencyHistogram {
        let slice = Slice(copying: bytes)
        return try LatencyHistogram(decoding: slice.bytes)
    }

    private func histogram(_ spans: [UInt64]) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for span in spans { histogram.record(span) }
        return histogram
    }

    @Test(arguments: [[UInt64](), [0], [1], [0, 0, 1], [5, 5, 5], [2049, 2048], [7_000_001, 7_000_000, 7_000_003], [3_600_000_000_000, 0]])
    func roundTrip(_ spans: [UInt64]) throws {
        let original = histogram(spans)
        let back = try decoded(original.encoded())
        #expect(back == original)
        #expect(back.summary() == original.summary())
        #expect(back.encoded() == original.encoded())
    }

    @Test func randomRoundTrip() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        for _ in 0..<20 {
            let spans = (0..<500).map { _ in UInt64.random(in: 0...(1 << UInt64.random(in: 0...41, using: &random)), using: &random) }
            let original = histogram(spans)
            let back = try decoded(original.encoded())
            #expect(back == original && back.summary() == original.summary(), "seed \(seed)")
        }
    }

    @Test func throughJSON() throws {
        let original = histogram([1, 2_000_000, 3_000_000])
        let json = try RecordEncoder.encode([original])
        #expect(try JSONDecoder().decode([LatencyHistogram].self, from: Data(json)) == [original])
        #expect(throws: (any Error).self) { try JSONDecoder().decode([LatencyHistogram].self, from: Data(Array("[\"*\"]".utf8))) }
    }

    @Test func brokenEncodingsAreNamed() {
        #expect(throws: HistogramDecodingError.empty) { try decoded([]) }
        #expect(throws: HistogramDecodingError.unknownVersion(9)) { try decoded([9]) }
        #expect(throws: HistogramDecodingError.malformed(atByte: 1)) { try decoded([1]) }
        #expect(throws: HistogramDecodingError.malformed(atByte: 1)) { try decoded([1, 100]) }
        #expect(throws: HistogramDecodingError.trailingBytes(1)) { try decoded([1, 0, 0]) }
        // A class that does not begin where classes begin, a count of zero, a largest value outside the last class.
        #expect(throws: HistogramDecodingError.malformed(atByte: 2)) { try decoded([1, 1, 0x81, 0x10, 1, 0x81, 0x10, 0x81, 0x10]) }
        #expect(throws: HistogramDecodingError.malformed(atByte: 2)) { try decoded([1, 1, 5, 0, 5, 5]) }
        #expect(throws: HistogramDecodingError.malformed(atByte: 4)) { try decoded([1, 1, 5, 1, 5, 6]) }
    }

    @Test func everyTruncationIsAnError() {
        let bytes = histogram([1, 70, 5_000, 1_000_000]).encoded()
        for length in 0..<bytes.count {
            #expect(throws: HistogramDecodingError.self) { try decoded(Array(bytes.prefix(length))) }
        }
    }

    @Test func mutationsNeverTrapAndWhatDecodesIsConsistent() {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        let valid = histogram([1, 70, 70, 5_000, 1_000_000]).encoded()
        for _ in 0..<2_000 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.append(contentsOf: (0..<9).map { _ in UInt8.random(in: 0...255, using: &random) }) }
            guard let histogram = try? decoded(bytes) else { continue }
            #expect(histogram.encoded() == bytes, "seed \(seed)")
            _ = histogram.summary()
        }
    }

    @Test func hugeCountsDoNotTrap() throws {
        var histogram = LatencyHistogram()
        histogram.record(LatencyHistogram.nanosecondsMax, count: 1 << 62)
        let back = try decoded(histogram.encoded())
        #expect(back.summary()?.count == 1 << 62)
        #expect(back.summary()?.p99 == 3_600_000_000_000)
    }
}
