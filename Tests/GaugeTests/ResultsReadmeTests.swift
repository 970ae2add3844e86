import FoundationEssentials
import Gauge
import Testing

/// `results/README.md` and the record must name the same keys. What it says of comparison records is for the tests of `Report`.
@Suite struct ResultsReadmeTests {
    private static let readme: String = {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = (try? String(contentsOfFile: "/" + path + "/results/README.md", encoding: .utf8)) ?? ""
        return text.firstRange(of: "\n# Comparison records").map { String(text[..<$0.lowerBound]) } ?? ""
    }()

    /// The keys in the first column of the tables, with `{a,b}` expanded.
    private var described: Set<String> {
        var keys: Set<String> = []
        for line in Self.readme.split(separator: "\n") where line.hasPrefix("| `") {
            let cell = line.dropFirst(2).prefix { $0 != "|" }
            for (index, part) in cell.split(separator: "`", omittingEmptySubsequences: false).enumerated() where index % 2 == 1 {
                keys.formUnion(expanded(String(part)))
            }
        }
        return keys
    }

    private func expanded(_ pattern: String) -> [String] {
        guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else { return [pattern] }
        let (head, tail) = (pattern[..<open], pattern[pattern.index(after: close)...])
        return pattern[pattern.index(after: open)..<close].split(separator: ",").flatMap { expanded("\(head)\($0)\(tail)") }
    }

    private enum Value: Decodable {
        case object([String: Value])
        case list([Value])
        case scalar

        init(from decoder: any Decoder) throws {
            if let object = try? [String: Value](from: decoder) {
                self = .object(object)
            } else if let list = try? [Value](from: decoder) {
                self = .list(list)
            } else {
                self = .scalar
            }
        }

        /// The path of every value that is not an object; the members of dictionaries are called `<name>`.
        func paths(_ path: String) -> [String] {
            switch self {
            case .scalar: return [path]
            case .list(let list):
                if path == "repeats" || list.isEmpty { return [path + "[]"] }
                return list.flatMap { $0.paths(path + "[]") }
            case .object(let object):
                let isDictionary = path == "environment.sysctls" || path.hasPrefix("syscalls.") || path.hasPrefix("options.")
                return object.flatMap { key, value in
                    value.paths((path.isEmpty ? "" : path + ".") + (isDictionary ? "<name>" : key))
                }
            }
        }
    }

    private func keys(of record: RunRecord) throws -> Set<String> {
        Set(try JSONDecoder().decode(Value.self, from: Data(record.encodedJSON())).paths(""))
    }

    /// A record in which nothing is absent that could be there.
    private var fullRecord: RunRecord {
        var setup = Samples.setup
        setup.ratePerSecond = 1000
        setup.readRateBytesPerSecond = 1000
        setup.countRequested = 1
        var figures = Samples.figures()
        figures.invalidate("an example")
        var recording = Recording(intervals: [Recording.Interval()], intervalNanoseconds: 1)
        recording.latency.record(1)
        recording.service.record(1)
        recording.pacerLateness.record(1)
        figures.apply(recording)
        var steps = ConnectSteps()
        steps.record("tcp connected", nanoseconds: 1, roundTrips: 1)
        figures.connectSteps = .value(steps.steps)
        figures.latencyStages = .value([Samples.latencyStages])
        figures.link = .value(
            LinkFigures(
                roundTripNanoseconds: 1, bitsPerSecond: 1, bufferBytes: 1, jitterNanoseconds: 1, bandwidthDelayBytes: 1, utilisationUp: 1, utilisationDown: 1))
        let point = WindowTrajectory.Point(seconds: 1, windowBytes: 1, inFlightBytes: 1, receivedBytes: 1)
        figures.windowTrajectory = .value([WindowTrajectory(direction: "up", points: [point], bytesPerSecond: 1, spanSeconds: 1)])
        figures.stalls = BothSides(both: .value(StallShares(window: 1, socket: 1, crypto: 1, nothingQueued: 1, notReading: 1)))
        figures.wire = .value(WireBytes(bytesUp: 1, bytesDown: 1, payloadBytes: 1))
        return RunRecord(setup: setup, repeats: [figures], environment: Samples.environment, command: "streamgauge run tcp+yamux")
    }

    @Test func everyKeyIsDescribed() throws {
        let undescribed = try keys(of: fullRecord).subtracting(described)
        #expect(undescribed.isEmpty, "not described in results/README.md: \(undescribed.sorted())")
    }

    @Test func everyDescribedKeyExists() throws {
        let gone = described.subtracting(try keys(of: fullRecord))
        #expect(gone.isEmpty, "described in results/README.md, but in no record: \(gone.sorted())")
    }

    @Test func absentFiguresKeepTheirKeys() throws {
        let full = Set(try keys(of: fullRecord).map { String($0.prefix { $0 != "." && $0 != "[" }) })
        let empty = Set(try keys(of: Samples.record(repeats: [RunFigures()])).map { String($0.prefix { $0 != "." && $0 != "[" }) })
        #expect(full == empty)
    }

    @Test func repeatsHoldTheKeysTheReadmeSays() throws {
        let text = String(decoding: try Samples.record().encodedJSON(), as: UTF8.self)
        func keys(from indent: String, after start: String) -> [Substring] {
            let lines = text.split(separator: "\n").drop { !$0.hasPrefix(start) }
            return lines.compactMap { line in
                guard line.hasPrefix(indent + "\""), let end = line.dropFirst(indent.count + 1).firstIndex(of: "\"") else { return nil }
                return line[line.index(line.startIndex, offsetBy: indent.count + 1)..<end]
            }
        }
        let top = keys(from: "  ", after: "  \"repeat\"").prefix { $0 != "environment" }
        #expect(Array(top) == keys(from: "      ", after: "  \"repeats\""))
        #expect(top.first == "repeat" && top.last == "histograms")
    }
}
