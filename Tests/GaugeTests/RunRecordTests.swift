import FoundationEssentials
import Gauge
import Testing

@Suite struct RunRecordTests {
    @Test func roundTrip() throws {
        let record = Samples.record(repeats: (1...3).map { Samples.figures(repeatIndex: $0, goodput: Double($0) * 1e9) })
        let json = try record.encodedJSON()
        let back = try RunRecord.decode(json, file: "r.json")
        #expect(back == record)
        #expect(try back.encodedJSON() == json)
    }

    @Test func whatNobodyMeasuredRoundTripsToo() throws {
        let record = Samples.record(repeats: [RunFigures()])
        #expect(try RunRecord.decode(record.encodedJSON(), file: "r.json") == record)
        let text = String(decoding: try record.encodedJSON(), as: UTF8.self)
        #expect(text.contains("\"goodput_bytes_per_second\": \"not available: not measured\""))
        #expect(text.contains("\"bytes_per_frame\": \"not available: not measured\""))
    }

    @Test func theTextReadsFromTheTop() throws {
        let text = String(decoding: try Samples.record().encodedJSON(), as: UTF8.self)
        #expect(text.hasPrefix("{\n  \"schema\": \"streamgauge.run/1\",\n  \"subject\": \"tcp+yamux\",\n  \"workload\": \"bulk\",\n"))
        #expect(text.contains("  \"syscalls\": {\n    \"client\": {\"epoll_pwait2\": 100, \"sendmsg\": 30000},\n"))
        #expect(text.contains("\"syscalls_per_mib\": {\"client\": 1.972"))
        #expect(text.contains("\"cpu_seconds\": {\"client\": 4, \"server\": 4.5}"))
        #expect(text.hasSuffix("}\n"))
    }

    @Test func theMedianRepeatStandsForTheRun() {
        let goodputs = [3e9, 1e9, 2e9, 9e9, 4e9]
        let record = Samples.record(repeats: goodputs.enumerated().map { Samples.figures(repeatIndex: $0.offset + 1, goodput: $0.element) })
        #expect(record.headlineRepeat == 1 && record.figures.goodputBytesPerSecond == 3e9)
        #expect(record.goodputSpread == .value(Spread(min: 1e9, median: 3e9, max: 9e9)))
        #expect(record.repeats.count == 5 && record.valid)
    }

    @Test func theWorkloadDecidesWhichFigureOrders() {
        var setup = Samples.setup
        #expect(setup.headlineMetric == .goodput)
        let expected: [(String, HeadlineMetric)] = [
            ("request", .messagesPerSecond), ("churn", .messagesPerSecond), ("connect", .messagesPerSecond), ("idle", .bytesPerStream),
            ("mixed", .goodput),
        ]
        for (workload, metric) in expected {
            setup.workload = workload
            #expect(setup.headlineMetric == metric)
        }
    }

    @Test func oneInvalidRepeatMakesTheRunInvalid() {
        var broken = Samples.figures(repeatIndex: 2, goodput: 9e9)
        broken.invalidate("a byte is missing")
        broken.partial = true
        let record = Samples.record(repeats: [Samples.figures(), broken, Samples.figures(repeatIndex: 3)])
        #expect(!record.valid && record.figures.partial)
        #expect(record.figures.invalidReasons == ["repeat 2: a byte is missing"])
        #expect(record.repeats[0].valid && record.repeats[0].invalidReasons.isEmpty)
        #expect(Samples.record(repeats: [broken]).figures.invalidReasons == ["a byte is missing"])
    }

    @Test func aMissingFigureLeavesNoSpread() {
        var missing = Samples.figures(repeatIndex: 2)
        missing.goodputBytesPerSecond = .unavailable("interrupted")
        let record = Samples.record(repeats: [Samples.figures(), missing])
        #expect(record.goodputSpread.reason == "interrupted")
    }

    @Test func otherFilesAreNamed() throws {
        func decode(_ text: String) throws(RunRecordError) -> RunRecord { try RunRecord.decode(Array(text.utf8), file: "old.json") }
        #expect(throws: RunRecordError.wrongSchema(file: "old.json", found: "streamgauge.run/2")) {
            try decode("{\"schema\": \"streamgauge.run/2\"}")
        }
        #expect(
            RunRecordError.wrongSchema(file: "old.json", found: "x/1").description
                == "old.json has schema \"x/1\"; this program reads streamgauge.run/1")
        #expect(throws: RunRecordError.schemaMissing(file: "old.json")) { try decode("{}") }
        #expect(throws: RunRecordError.keyMissing(file: "old.json", key: "subject")) { try decode("{\"schema\": \"streamgauge.run/1\"}") }
        for text in ["", "not json", "{\"schema\":"] {
            guard case .notJSON? = #expect(throws: RunRecordError.self, performing: { try decode(text) }) else {
                Issue.record("\"\(text)\" is not reported as no JSON")
                continue
            }
        }
        #expect(throws: RunRecordError.self) { try decode("[1, 2]") }
    }

    @Test func keysOfTheWrongTypeAreNamed() throws {
        let text = String(decoding: try Samples.record().encodedJSON(), as: UTF8.self)
        let broken = text.replacing("\"starved_streams\": 1,", with: "\"starved_streams\": true,")
        let error = #expect(throws: RunRecordError.self) { try RunRecord.decode(Array(broken.utf8), file: "r.json") }
        guard case .malformed(_, let key, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(key == "starved_streams")
    }

    @Test func unknownKeysAreLeftAlone() throws {
        let record = Samples.record()
        let text = String(decoding: try record.encodedJSON(), as: UTF8.self)
        let newer = text.replacing("\"subject\":", with: "\"from_the_future\": {\"a\": [1]},\n  \"subject\":")
        #expect(try RunRecord.decode(Array(newer.utf8), file: "r.json") == record)
    }

    @Test func figuresThatAnOlderRecordLacksAreAbsent() throws {
        let text = String(decoding: try Samples.record().encodedJSON(), as: UTF8.self)
        let older = text.split(separator: "\n").filter { !$0.contains("\"jain_fairness\"") && !$0.contains("\"wakeups\"") }
        let record = try RunRecord.decode(Array(older.joined(separator: "\n").utf8), file: "r.json")
        #expect(record.figures.jainFairness.reason == "the record has no such key")
        #expect(record.figures.wakeups.client.reason == "the record has no such key")
        #expect(record.figures.starvedStreams == 1)
    }

    @Test func whatIsNotANumberIsRefused() {
        var figures = Samples.figures()
        figures.goodputBytesPerSecond = .value(.nan)
        #expect(throws: EncodingError.self) { try Samples.record(repeats: [figures]).encodedJSON() }
    }

    @Test func derivedFigures() {
        var figures = RunFigures()
        #expect(figures.cpuSecondsPerGiB.client.reason == "no payload was carried")
        figures.payloadBytes = 1 << 31
        figures.messages = 1000
        figures.cpuUserSeconds = BothSides(client: 1, server: .unavailable("the far end is not ours"))
        figures.cpuSystemSeconds = BothSides(both: 3)
        figures.syscalls = BothSides(client: .value(["a": 1024, "b": 1024]), server: .unmeasured)
        figures.bytesCopied = BothSides(client: .value(1 << 30), server: 0)
        figures.allocations = BothSides(client: 500, server: 0)
        figures.framesSent = BothSides(client: .value(1 << 20), server: .value(1 << 20))
        figures.writes = BothSides(client: .value(1 << 18), server: 0)
        #expect(figures.cpuSeconds.client == 4 && figures.cpuSeconds.server.reason == "the far end is not ours")
        #expect(figures.cpuSecondsPerGiB.client == 2 && figures.cpuNanosecondsPerMessage.client == 4_000_000)
        #expect(figures.syscallsTotal.client == 2048 && figures.syscallsPerMiB.client == 1 && figures.syscallsPerMessage.client == 2.048)
        #expect(figures.copiesPerPayloadByte == 0.5 && figures.allocationsPerMessage.client == 0.5)
        #expect(figures.framesPerWrite.client == 4 && figures.framesPerWrite.server.reason == "nothing was written")
        #expect(figures.bytesPerFrame == 1024)
    }
}

@Suite struct RecordEncoderTests {
    private struct Nested: Codable, Equatable {
        var text = "a \"quote\", a \\, a\ttab\u{1}, ü and 🌊"
        var numbers: [Double] = [1, 0.1, -2.5e-9, 1e300, 9_007_199_254_740_992]
        var large = UInt64.max
        var small = Int64.min
        var empty: [String: Int] = [:]
        var none: [Int] = []
        var matrix = [[1, 2], [], [3]]
        var flag = true
        var missing: Int?
        var deep = ["b": ["y": 1, "x": 2], "a": [:]]
    }

    @Test func readsBackWithTheStandardDecoder() throws {
        let value = [Nested()]
        #expect(try JSONDecoder().decode([Nested].self, from: Data(RecordEncoder.encode(value))) == value)
    }

    @Test func layout() throws {
        let text = String(decoding: try RecordEncoder.encode(Nested()), as: UTF8.self)
        #expect(text.contains("\n  \"empty\": {},\n  \"none\": [],\n  \"matrix\": [\n    [1, 2],\n    [],\n    [3]\n  ],\n  \"flag\": true,\n"))
        #expect(text.contains("\"deep\": {\n    \"a\": {},\n    \"b\": {\"x\": 2, \"y\": 1}\n  }"))
    }

    @Test func scalarsAtTheTop() throws {
        #expect(try RecordEncoder.encode(7) == Array("7\n".utf8))
        #expect(try RecordEncoder.encode("x") == Array("\"x\"\n".utf8))
    }
}

@Suite struct MeasuredTests {
    @Test func valuesAndReasons() {
        let value: Measured<Int> = 5
        let absent = Measured<Int>(nil, else: "no counters in a virtual machine")
        #expect(value.value == 5 && value.reason == nil)
        #expect(absent.value == nil && absent.reason == "no counters in a virtual machine")
        #expect(value.map { $0 * 2 } == 10 && absent.map { $0 * 2 } == absent)
        #expect(value.combined(with: value, +) == 10)
        #expect(value.combined(with: absent, +) == absent && absent.combined(with: value, +) == absent)
    }

    @Test func sides() {
        var sides = BothSides(client: 1, server: 2)
        sides[.server] = 3
        #expect(sides[.client] == 1 && sides.server == 3 && sides.map { $0 * 2 } == BothSides(client: 2, server: 6))
        #expect(Direction.up.sender == .client && Direction.up.receiver == .server && Direction.down.sender == .server)
    }
}
