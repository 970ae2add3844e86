import Gauge
import Report
import Testing

/// From the rounds of a cell to what is said of it.
@Suite struct InterferenceTests {
    private func round(_ nanoseconds: [UInt64], goodput: Double? = nil, invalid: String? = nil) -> RunFigures {
        var figures = RunFigures()
        var recording = Recording()
        for value in nanoseconds { recording.latency.record(value) }
        figures.apply(recording)
        figures.goodputBytesPerSecond = Measured(goodput, else: "none")
        if let invalid { figures.invalidate(invalid) }
        return figures
    }

    @Test func ratiosAreOfTheSameRounds() throws {
        let outcome = try #require(
            InterferenceRecord.Outcome.of(
                idle: [round([100]), round([200]), round([100])], loaded: [round([300], goodput: 9), round([200], goodput: 8), round([500], goodput: 5)],
                alone: [round([], goodput: 10), round([], goodput: 10), round([], goodput: 10)]
            ).value)
        #expect(outcome.p99Ratio == Spread(min: 1, median: 3, max: 5))
        #expect(outcome.goodputKeptRatio.value == 0.8)
        #expect(outcome.idle.count == 3 && outcome.loaded.max == 500 && outcome.rounds == 3)
        #expect(outcome.invalidReasons == [])
    }

    @Test func aVictimThatWasNeverAnsweredIsSaidWithTheReason() {
        let outcome = InterferenceRecord.Outcome.of(idle: [round([100])], loaded: [round([], invalid: "it broke")], alone: [])
        #expect(outcome.reason == "it broke")
        #expect(InterferenceRecord.Outcome.of(idle: [], loaded: [], alone: []).reason?.contains("not measured") == true)
        #expect(InterferenceRecord.Outcome.of(idle: [round([100])], loaded: [round([])], alone: []).reason?.contains("no request") == true)
    }

    @Test func invalidRoundsAreMarked() throws {
        let outcome = InterferenceRecord.Outcome.of(idle: [round([100])], loaded: [round([200], invalid: "a byte is missing")], alone: [])
        #expect(outcome.value?.invalidReasons == ["a byte is missing"])
        let aloneInvalid = InterferenceRecord.Outcome.of(idle: [round([100])], loaded: [round([200])], alone: [round([], invalid: "the peer was killed")])
        #expect(aloneInvalid.value?.invalidReasons == ["the peer was killed"], "what is kept rests on the aggressor alone")
        let record = InterferenceRecord(
            command: "streamgauge interference tcp+yamux", subjects: ["tcp+yamux"], aggressors: [.init(name: "bulk-1", summary: "one bulk stream")],
            cells: [
                .init(subject: "tcp+yamux", aggressor: "bulk-1", placement: .sameConnection, outcome: outcome),
                .init(subject: "tcp+yamux", aggressor: "bulk-1", placement: .ownConnection, outcome: .unavailable("the driver has none")),
            ], environment: Samples.environment)
        for width in [40, 80, 200] {
            let text = InterferenceText.text(record, width: width)
            #expect(text.contains("INVALID: a byte is missing") || text.split(separator: "\n").joined(separator: " ").contains("INVALID"))
            #expect(text.contains("the driver has none"))
        }
    }
}
