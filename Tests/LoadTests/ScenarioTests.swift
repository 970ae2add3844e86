import Foundation
@testable import Load
import Testing

@Suite struct ScenarioTests {
    private var plain: Scenario { Scenario(subject: "tcp+yamux", workload: "bulk", flows: [.init(verb: .send, messageSizeBytes: 64)]) }

    private func refusal(_ change: (inout Scenario) -> Void) -> String? {
        var scenario = plain
        change(&scenario)
        do {
            try scenario.validate()
            return nil
        } catch {
            return error.description
        }
    }

    @Test func plainIsFine() { #expect(refusal { _ in } == nil) }

    /// What is out of range is named, with its value and what is allowed.
    @Test func refusalsNameTheThing() {
        let cases: [(String, String, (inout Scenario) -> Void)] = [
            ("connections is 0", "1 to 100000", { $0.connections = 0 }),
            ("connections is 100001", "1 to 100000", { $0.connections = 100_001 }),
            ("streams is -1", "1 to 1000000", { $0.streams = -1 }),
            ("streams is 1000001", "1 to 1000000", { $0.streams = 1_000_001 }),
            ("message size is 0", "1 B to 1 GiB", { $0.flows[0].messageSizeBytes = 0 }),
            ("message size is 1073741825", "1 B to 1 GiB", { $0.flows[0].messageSizeBytes = (1 << 30) + 1 }),
            ("depth is 0", "1 to 1024", { $0.flows[0].depth = 0 }),
            ("depth is 1025", "1 to 1024", { $0.flows[0].depth = 1025 }),
            ("depth is for request", "one request", { $0.flows = [.init(verb: .churn, messageSizeBytes: 1, depth: 2)] }),
            ("read rate is 0.0", "1 B to 1 TB", { $0.flows[0].readRateBytesPerSecond = 0 }),
            ("--read-rate is for bulk", "mixed", { $0.flows = [.init(verb: .request, messageSizeBytes: 1, readRateBytesPerSecond: 9)] }),
            ("streams of a flow is 0", "at least 1", { $0.flows[0].streams = 0 }),
            ("flows is empty", "at least one", { $0.flows = [] }),
            ("threads is 0", "1 to 64", { $0.threads = 0 }),
            ("threads is 65", "1 to 64", { $0.threads = 65 }),
            ("omit is -1.0", "0 s to 1 h", { $0.omitSeconds = -1 }),
            ("omit is nan", "0 s to 1 h", { $0.omitSeconds = .nan }),
            ("duration is 0.0", "above 0 s", { $0.durationSeconds = 0 }),
            ("duration is 86401.0", "24 h", { $0.durationSeconds = 86_401 }),
            ("duration is nan", "above 0 s", { $0.durationSeconds = .nan }),
            ("count is 0", "at least 1", { $0.count = 0 }),
            ("rate is 0.0", "above 0", {
                $0.flows[0].verb = .request
                $0.ratePerSecond = 0
            }),
            ("duration or a count", "needs", { $0.durationSeconds = nil }),
            ("--rate", "request and mixed", { $0.ratePerSecond = 100 }),
            ("mixed needs at least 2 streams", "-m 101", { $0.workload = "mixed" }),
            ("connect cannot be mixed", "other flows", { $0.flows = [.init(verb: .connect, messageSizeBytes: 1), .init(verb: .send, messageSizeBytes: 1)] }),
            ("churn beside other flows", "is the last", { $0.flows = [.init(verb: .churn, messageSizeBytes: 1), .init(verb: .send, messageSizeBytes: 1)] }),
            ("idle has no operations", "duration", {
                $0.flows = [.init(verb: .hold, messageSizeBytes: 1)]
                $0.workload = "idle"
                $0.durationSeconds = nil
                $0.count = 5
            }),
        ]
        for (name, allowed, change) in cases {
            let text = refusal(change) ?? "nothing was refused"
            #expect(text.contains(name) && text.contains(allowed), "expected '\(name)' and '\(allowed)' in '\(text)'")
        }
    }

    @Test func workloadsHaveTheirFlows() throws {
        for workload in Workload.allCases {
            let flows = try workload.flows(messageSizeBytes: 100, direction: "up", depth: 3)
            #expect(!flows.isEmpty && !workload.summary.isEmpty && workload.messageSizeDefault > 0)
            #expect(try Workload(parsing: workload.rawValue) == workload)
        }
        #expect(try Workload.bulk.flows(messageSizeBytes: 1, direction: "down", depth: 1)[0].verb == .receive)
        #expect(try Workload.bulk.flows(messageSizeBytes: 1, direction: "both", depth: 1)[0].verb == .duplex)
        let mixed = try Workload.mixed.flows(messageSizeBytes: 1000, direction: "down", depth: 1)
        #expect(mixed.map(\.verb) == [.request, .receive] && mixed[0].streams == 1 && mixed[0].messageSizeBytes == 64)
        #expect(throws: ScenarioError.self) { try Workload.bulk.flows(messageSizeBytes: 1, direction: "sideways", depth: 1) }
    }

    @Test(arguments: [("bulc", "bulk"), ("requests", "request"), ("idel", "idle")])
    func unknownWorkloadSuggestsTheNearest(text: String, nearest: String) {
        #expect(throws: ScenarioError.unknownWorkload(text, nearest: nearest)) { try Workload(parsing: text) }
        let sentence = ScenarioError.unknownWorkload(text, nearest: nearest).description
        #expect(sentence.contains("'\(text)'") && sentence.contains("did you mean '\(nearest)'") && sentence.contains("churn, connect"))
    }

    // MARK: Files

    @Test func fileGoesThereAndBack() throws {
        for entry in Catalogue.canonical.entries {
            let data = try entry.scenario.encoded()
            #expect(try Scenario.decode(data, file: "x") == entry.scenario)
            #expect(try Scenario.decode(data, file: "x").encoded() == data)
        }
        for workload in Workload.allCases {
            var scenario = try Scenario.counted("tcp+mplex", workload, count: 7, connections: 3, streams: 5, depth: 2, threads: 2, seed: .max)
            scenario.ratePerSecond = 12.5
            #expect(try Scenario.decode(scenario.encoded(), file: "x") == scenario)
        }
    }

    private func problem(_ text: String) -> String {
        do {
            return "\(try Scenario.decode(Data(text.utf8), file: "my.json"))"
        } catch {
            return error.description
        }
    }

    @Test func brokenFilesAreExplained() throws {
        let good = String(decoding: try plain.encoded(), as: UTF8.self)
        #expect(problem("").contains("my.json is not a scenario"))
        #expect(problem("{}").contains("'schema' is missing"))
        #expect(problem("[1]").contains("my.json is not a scenario"))
        #expect(problem(#"{"schema": "other/1"}"#).contains("'other/1', not 'streamgauge.scenario/1'"))
        #expect(problem(#"{"schema": "streamgauge.scenario/1"}"#).contains("is missing"))
        #expect(problem(good.replacingOccurrences(of: "\"connections\" : 1", with: "\"connections\" : \"many\"")).contains("'connections'"))
        #expect(problem(good.replacingOccurrences(of: "\"send\"", with: "\"sing\"")).contains("flows"))
        #expect(problem(String(good.dropLast(3))).contains("my.json is not a scenario"))
    }

    @Test func catalogueSuggestsTheNearest() throws {
        #expect(try Catalogue.canonical.entry(named: "tcp-bulk-1").name == "tcp-bulk-1")
        do {
            _ = try Catalogue.canonical.entry(named: "tcp-bulk-2")
            Issue.record("taken")
        } catch {
            #expect("\(error)".contains("tcp-bulk-1"))
        }
        let names = Catalogue.canonical.entries.map(\.name)
        #expect(Set(names).count == names.count)
        for entry in Catalogue.canonical.entries {
            try entry.scenario.validate()
            _ = try ProtocolStack(entry.scenario.subject)
        }
    }
}
