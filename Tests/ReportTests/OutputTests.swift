import FoundationEssentials
import Gauge
import Report
import Testing

final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/report-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

    func read(_ file: String) throws -> String { try String(contentsOfFile: path + "/" + file, encoding: .utf8) }
}

@Suite struct OutputFileTests {
    @Test func writesWholeFiles() throws {
        let directory = try TemporaryDirectory()
        let file = try OutputFile.prepare(directory.path + "/r.json")
        #expect(try directory.files.isEmpty)
        try file.write(Array("first".utf8))
        try file.write(Array("2nd".utf8))
        #expect(try directory.read("r.json") == "2nd")
        #expect(try directory.files == ["r.json"])
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/r.json")[.posixPermissions] as? Int
        #expect(mode.map { $0 & 0o600 } == 0o600)
    }

    @Test func preparingLeavesAnOldFileAlone() throws {
        let directory = try TemporaryDirectory()
        try Data("old".utf8).write(to: URL(fileURLWithPath: directory.path + "/r.json"))
        _ = try OutputFile.prepare(directory.path + "/r.json")
        #expect(try directory.read("r.json") == "old")
    }

    @Test func aLinkStaysALink() throws {
        let directory = try TemporaryDirectory()
        try Data("old".utf8).write(to: URL(fileURLWithPath: directory.path + "/target.json"))
        try FileManager.default.createSymbolicLink(atPath: directory.path + "/link.json", withDestinationPath: directory.path + "/target.json")
        try OutputFile.prepare(directory.path + "/link.json").write(Array("new".utf8))
        #expect(try directory.read("target.json") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: directory.path + "/link.json").hasSuffix("target.json"))
    }

    @Test func devicesAreWrittenAndNotReplaced() throws {
        try OutputFile.prepare("/dev/null").write(Array("x".utf8))
        let type = try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
        #expect(type == .typeCharacterSpecial)
    }

    @Test func pathsThatCannotBeWrittenAreFoundBefore() throws {
        let directory = try TemporaryDirectory()
        try Data("x".utf8).write(to: URL(fileURLWithPath: directory.path + "/file"))
        #expect(throws: OutputError.emptyPath) { try OutputFile.prepare("") }
        #expect(throws: OutputError.isADirectory(path: directory.path)) { try OutputFile.prepare(directory.path) }
        let missing = directory.path + "/no/r.json"
        #expect(throws: OutputError.directoryMissing(path: missing, directory: directory.path + "/no")) { try OutputFile.prepare(missing) }
        let below = directory.path + "/file/r.json"
        #expect(throws: OutputError.self) { try OutputFile.prepare(below) }
        #expect(throws: OutputError.self) { try OutputFile.prepare("/proc/r.json") }
        #expect(
            OutputError.directoryMissing(path: missing, directory: "d").description == "\(missing) cannot be written: the directory d does not exist")
    }

    @Test func failureAfterPreparationIsAnError() throws {
        let directory = try TemporaryDirectory()
        let file = try OutputFile.prepare(directory.path + "/r.json")
        try FileManager.default.removeItem(atPath: directory.path)
        #expect(throws: OutputError.self) { try file.write([1]) }
    }
}

@Suite struct LiveProgressTests {
    private final class Screen {
        var text = ""
    }

    private func moment(elapsed: Double, planned: Double? = 5) -> LiveProgress.Moment {
        LiveProgress.Moment(
            label: "tcp+yamux bulk", elapsedSeconds: elapsed, plannedSeconds: planned, bytesPerSecond: 3.2e9, messagesPerSecond: 48_828)
    }

    private let interval = LiveProgress.Interval(fromSeconds: 1, toSeconds: 2, bytes: 3_200_000_000, messages: 48_828)

    @Test func aTerminalHasOneLineThatIsRewritten() {
        let screen = Screen()
        let progress = LiveProgress(terminalWidth: 120, showsIntervals: false) { screen.text += $0 }
        progress.update(moment(elapsed: 1))
        progress.update(moment(elapsed: 2.5))
        progress.interval(interval)
        #expect(!screen.text.contains("\n"))
        #expect(screen.text.hasSuffix("\r\u{1b}[Ktcp+yamux bulk  [==========          ]  2.5 of 5.0 s  3.20 GB/s  48.8 k/s"))
        progress.finish()
        progress.finish()
        #expect(screen.text.hasSuffix("k/s\r\u{1b}[K"))
    }

    @Test func theLineNeverWraps() {
        for width in [10, 40] {
            let screen = Screen()
            let progress = LiveProgress(terminalWidth: width, showsIntervals: false) { screen.text += $0 }
            progress.update(moment(elapsed: 9, planned: nil))
            #expect(screen.text.dropFirst("\r\u{1b}[K".count).count < width)
        }
    }

    @Test func intervalsAreLinesOfTheirOwn() {
        let screen = Screen()
        let progress = LiveProgress(terminalWidth: 80, showsIntervals: true) { screen.text += $0 }
        progress.update(moment(elapsed: 2))
        progress.interval(interval)
        #expect(screen.text.hasSuffix("\r\u{1b}[K     1.00-2.00 s    2.98 GiB   3.20 GB/s    48.8 k/s\n"))
        progress.interval(LiveProgress.Interval(fromSeconds: 2, toSeconds: 2, bytes: 0, messages: 0))
        #expect(screen.text.hasSuffix("         -           -\n"))
    }

    @Test func withoutATerminalThereIsSilence() {
        let screen = Screen()
        let progress = LiveProgress(terminalWidth: nil, showsIntervals: false) { screen.text += $0 }
        progress.update(moment(elapsed: 1))
        progress.interval(interval)
        progress.finish()
        #expect(screen.text.isEmpty)
    }
}

@Suite struct CSVOutputTests {
    @Test func aLineForEachRepeat() throws {
        let record = Samples.record("tcp+yamux", (1...2).map { Samples.bulk(goodput: Double($0) * 1e9, repeatIndex: $0) })
        let lines = CSVOutput.text([record]).split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.count == lines[0].count })
        let goodput = try #require(lines[0].firstIndex(of: "goodput_bytes_per_second"))
        #expect(lines[1][goodput] == "1000000000.0" && lines[2][goodput] == "2000000000.0")
        let latency = try #require(lines[0].firstIndex(of: "latency_ns.p99"))
        #expect(lines[1][latency].isEmpty)
        #expect(Set(lines[0]).count == lines[0].count)
    }

    @Test func fieldsWithCommasAreQuoted() {
        let text = CSVOutput.text([Samples.record("a,\"b\"", [Samples.bulk()])])
        #expect(text.contains("\n\"a,\"\"b\"\"\",bulk,"))
    }

    @Test func nothingIsNothing() { #expect(CSVOutput.text([]).isEmpty) }
}
