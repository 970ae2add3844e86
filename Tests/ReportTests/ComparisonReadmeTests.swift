import Foundation
import Gauge
@testable import Report
import Testing

/// `results/README.md` and the comparison record must name the same keys.
@Suite struct ComparisonReadmeTests {
    private static let section: String = {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = (try? String(contentsOfFile: "/" + path + "/results/README.md", encoding: .utf8)) ?? ""
        return text.firstRange(of: "\n# Comparison records").map { String(text[$0.upperBound...]) } ?? ""
    }()

    /// The keys in the first column of the table, with `{a,b}` expanded.
    private var described: Set<String> {
        var keys: Set<String> = []
        for line in Self.section.split(separator: "\n") where line.hasPrefix("| `") {
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

    private indirect enum Value: Decodable {
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

        /// The path of every value; the environment is described with the run record.
        func paths(_ path: String) -> [String] {
            switch self {
            case _ where path == "environment": return [path]
            case .scalar: return [path]
            case .list(let list): return list.isEmpty ? [path + "[]"] : list.flatMap { $0.paths(path + "[]") }
            case .object(let object):
                return object.flatMap { key, value in
                    value.paths((path.isEmpty ? "" : path + ".") + (path.hasSuffix(".parameters") ? "<name>" : key))
                }
            }
        }
    }

    /// A record in which nothing is absent that could be there, and rounds without a ratio too.
    private func keys() throws -> Set<String> {
        let metrics = ["goodput_bytes_per_second"].compactMap { ComparisonMetric.named($0) }
        var workload = ComparisonWorkload(label: "x", parameters: ["connections": 1], metrics: metrics, headlines: metrics.map(\.name))
        for round in 0..<10 {
            func values(_ factor: Double) -> [String: Measured<Double>] { [metrics[0].name: .value(Double(100 + round) * factor)] }
            var runs = [RoundRun("a"): values(1), RoundRun("a", run: 2): values(1.1)]
            if round > 0 { runs[RoundRun("b")] = values(2 + Double(round) / 10) }
            workload.addRound(runs)
        }
        let record = ComparisonRecord(
            command: "streamgauge compare a b", seed: 1, rule: VerdictRule(),
            stopping: .value(StoppingRule(roundsMin: 10, roundsMax: 20, precision: 0.02)), subjects: ComparisonSubjects(baseline: "a", candidates: ["b"]),
            order: Array(repeating: ["a", "b", "a"], count: 10), workloads: [workload], environment: Samples.environment, resamples: 100)
        return Set(try JSONDecoder().decode(Value.self, from: Data(record.encodedJSON())).paths(""))
    }

    @Test func everyKeyIsDescribed() throws {
        let undescribed = try keys().subtracting(described)
        #expect(undescribed.isEmpty, "not described in results/README.md: \(undescribed.sorted())")
    }

    @Test func everyDescribedKeyExists() throws {
        let gone = described.subtracting(try keys())
        #expect(gone.isEmpty, "described in results/README.md, but in no record: \(gone.sorted())")
    }
}
