import FoundationEssentials
import Gauge
import Testing

@Suite struct RecorderTests {
    @Test func onlyTheWindowCounts() {
        let recorder = Recorder()
        func recordOne(at now: UInt64) {
            recorder.recordLatency(10)
            recorder.recordService(20)
            recorder.recordPacerLateness(30)
            recorder.sent(bytes: 100, messages: 1)
            recorder.received(bytes: 50, messages: 2, at: now)
            recorder.completed(1, at: now)
            recorder.failed(1)
        }
        recordOne(at: 0)
        #expect(!recorder.isMeasuring)
        recorder.begin(at: 1_000)
        recordOne(at: 1_500)
        recorder.end(at: 2_000)
        recordOne(at: 2_500)

        let recording = recorder.recording()
        #expect(recording.latency.count == 1 && recording.service.count == 1 && recording.pacerLateness.count == 1)
        #expect(recording.latency.summary()?.max == 10 && recording.pacerLateness.summary()?.max == 30)
        #expect(recording.totals.payloadBytesSent == 100 && recording.totals.messagesSent == 1)
        #expect(recording.totals.payloadBytesReceived == 50 && recording.totals.messagesReceived == 2)
        #expect(recording.totals.operationsCompleted == 1 && recording.totals.operationsFailed == 1)
        #expect(recording.beganAt == 1_000 && recording.endedAt == 2_000)
        #expect(recording.durationSeconds == 1e-6)
    }

    @Test func beginningAgainForgets() {
        let recorder = Recorder(intervalNanoseconds: 10, intervalsMax: 4)
        recorder.begin(at: 0)
        recorder.recordLatency(5)
        recorder.received(bytes: 1, messages: 1, at: 35)
        recorder.begin(at: 100)
        recorder.received(bytes: 2, messages: 1, at: 105)
        recorder.end(at: 110)
        let recording = recorder.recording()
        #expect(recording.latency.isEmpty)
        #expect(recording.totals.payloadBytesReceived == 2)
        #expect(recording.intervals.map(\.payloadBytesReceived) == [2, 0])
    }

    @Test func intervalsIncludeTheSilentOnes() {
        let recorder = Recorder(intervalNanoseconds: 10, intervalsMax: 100)
        recorder.begin(at: 1_000)
        recorder.received(bytes: 1, messages: 1, at: 1_009)
        recorder.received(bytes: 2, messages: 1, at: 1_010)
        recorder.completed(7, at: 1_041)
        recorder.end(at: 1_045)
        let intervals = recorder.recording().intervals
        #expect(intervals.map(\.payloadBytesReceived) == [1, 2, 0, 0, 0])
        #expect(intervals.map(\.operationsCompleted) == [0, 0, 0, 0, 7])
    }

    @Test func beyondTheLastIntervalNothingIsLost() {
        let recorder = Recorder(intervalNanoseconds: 10, intervalsMax: 2)
        recorder.begin(at: 0)
        for now: UInt64 in stride(from: 5, to: 100, by: 10) { recorder.received(bytes: 1, messages: 1, at: now) }
        recorder.end(at: 100)
        #expect(recorder.recording().intervals.map(\.payloadBytesReceived) == [1, 9])
    }

    @Test func aRecorderThatNeverBeganIsEmpty() {
        #expect(Recorder().recording().intervals.isEmpty)
        #expect(Recorder().recording().durationSeconds == 0)
    }

    @Test func mergedThreadsAddUp() throws {
        func recording(bytes: Int, span: UInt64, from begin: UInt64, to end: UInt64) -> Recording {
            let recorder = Recorder(intervalNanoseconds: 10)
            recorder.begin(at: begin)
            recorder.recordLatency(span)
            recorder.received(bytes: bytes, messages: 1, at: end - 1)
            recorder.end(at: end)
            return recorder.recording()
        }
        var merged = Recording()
        merged.merge(recording(bytes: 5, span: 100, from: 7, to: 17))
        merged.merge(recording(bytes: 6, span: 300, from: 5, to: 30))
        #expect(merged.totals.payloadBytesReceived == 11)
        #expect(merged.latency.summary()?.min == 100 && merged.latency.summary()?.max == 300)
        #expect(merged.beganAt == 5 && merged.endedAt == 30)
        #expect(merged.intervals.map(\.payloadBytesReceived).reduce(0, +) == 11)
        let empty = merged
        merged.merge(Recording())
        #expect(merged == empty)

        let json = try RecordEncoder.encode(merged)
        #expect(try JSONDecoder().decode(Recording.self, from: Data(json)) == merged)
    }
}
