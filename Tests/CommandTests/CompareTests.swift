import Foundation
import Gauge
import Report
import Testing
import TestSupport

/// Comparisons as a person makes them.
@Suite(.serialized, .timeLimit(.minutes(5))) struct CompareTests {
    private func record(_ text: String) throws -> ComparisonRecord { try JSONDecoder().decode(ComparisonRecord.self, from: Data(text.utf8)) }

    @Test func everyRoundRunsEverybodyAndTheBaselineTwice() async throws {
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "compare", "tcp+yamux", "tcp+mplex", "tcp", "-w", "request", "-m", "5", "--rounds", "3", "-t", "50ms", "-O", "10ms", "--seed", "7", "--json",
            scratch.path + "/c.json", "--runs", scratch.path + "/r.json", "--format", "json")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        let printed = try record(outcome.output)
        #expect(try JSONDecoder().decode(ComparisonRecord.self, from: Data(try scratch.read("c.json"))) == printed)
        #expect(printed.rounds == 3 && printed.order.allSatisfy { $0.sorted() == ["tcp", "tcp+mplex", "tcp+yamux", "tcp+yamux"] })
        #expect(printed.seed == 7 && printed.subjects.baseline == "tcp+yamux" && printed.subjects.candidates == ["tcp+mplex", "tcp"])
        let requests = try #require(printed.workloads.first?.metrics.first)
        #expect(requests.metric.name == "messages_per_second" && requests.role == .headline)
        #expect(requests.values.count == 4)
        for values in requests.values { #expect(values.byRound.count == 3 && values.byRound.allSatisfy { ($0.value ?? 0) > 0 }, "\(values)") }
        // Three rounds are too few for a verdict at 99 %, and it says so.
        #expect(requests.ratios.allSatisfy { $0.judgement.words.contains("3 rounds cannot give an interval at 99 %") }, "\(requests.ratios)")
        let runs = try JSONDecoder().decode([RunRecord].self, from: Data(try scratch.read("r.json")))
        #expect(runs.map(\.setup.subject) == ["tcp+yamux", "tcp+mplex", "tcp"] && runs.map(\.repeats.count) == [6, 3, 3])
        #expect(runs.allSatisfy { $0.valid && $0.figures.ledger.absence != nil && $0.figures.latency.value != nil })
    }

    @Test func theSameSeedGivesTheSameOrder() async throws {
        var orders: [[[String]]] = []
        for seed in ["3", "3", "4"] {
            let outcome = try await Command.run(
                "compare", "tcp+yamux", "tcp+mplex", "--rounds", "4", "-t", "20ms", "-O", "0s", "-s", "64", "--seed", seed, "--format", "json")
            orders.append(try record(outcome.output).order)
        }
        #expect(orders[0] == orders[1] && orders[0] != orders[2])
    }

    @Test func theTaxNamesEachLayer() async throws {
        let outcome = try await Command.run("compare", "--tax", "--rounds", "1", "-t", "50ms", "-O", "10ms")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        for text in ["What each layer costs", "yamux over tcp", "noise under yamux", "goodput", "latency p50", "CPU per GiB"] {
            #expect(outcome.output.contains(text), "\(text) in \(outcome.output)")
        }
    }

    /// A driver that breaks the contract: the others' figures stand, what was wrong is told, and the exit code says that something is missing.
    @Test func aDriverThatFailsIsTold() async throws {
        let scratch = try Scratch()
        let bad = scratch.path + "/bad"
        let about = #"{"contract":1,"name":"bad","version":"0","stacks":["tcp+yamux"],"workloads":["bulk"],"directions":["up"]}"#
        try Data("#!/bin/sh\nif [ \"$1\" = about ]; then echo '\(about)'; exit 0; fi\nexit 3\n".utf8).write(to: URL(fileURLWithPath: bad))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bad)
        let outcome = try await Command.run(
            "compare", "tcp+yamux", "bad:tcp+yamux", "--driver", "bad=\(bad)", "--rounds", "1", "-t", "20ms", "-O", "0s", "--format", "json")
        #expect(outcome.code == 2, "\(outcome)")
        #expect(outcome.errors.contains("bad:tcp+yamux: INVALID: the driver bad server ended with status 3"), "\(outcome.errors)")
        let values = try #require(try record(outcome.output).workloads.first?.metrics.first?.values)
        #expect(values.first { $0.run.subject == "tcp+yamux" }?.byRound.first?.value != nil)
        #expect(values.first { $0.run.subject == "bad:tcp+yamux" }?.byRound.first?.reason?.contains("status 3") == true)
    }

    @Test func whatADriverCannotDoIsLeftOut() async throws {
        let outcome = try await Command.run("compare", "tcp+yamux", "iperf3:tcp", "-w", "request", "--rounds", "1", "-t", "20ms", "-O", "0s")
        #expect(outcome.code == 2)
        #expect(outcome.errors.contains("request, iperf3:tcp: left out: "), "\(outcome.errors)")
    }

    @Test(arguments: [
        ("compare", "name a baseline and what to compare with it"), ("compare tcp+yamux", "name a baseline and what to compare with it"),
        ("compare tcp tcp", "named twice"), ("compare tcp goo:tcp", "no driver 'goo'"), ("compare tcp a:b:c", "'a:b:c' is no subject"),
        ("compare tcp tcp+yamux -w connect", "drivers have no workload connect"), ("compare tcp tcp+yamux -w bulc", "did you mean 'bulk'?"),
        ("compare tcp tcp+yamux --matrix -m 3", "bring their own workloads"), ("compare tcp tcp+yamux --cells bulk-2", "did you mean 'bulk-1'?"),
        ("compare tcp tcp+yamux --precision 2", "it is a percentage such as 2%"), ("compare tcp tcp+yamux --level 100%", "--level is '100%'"),
        ("compare tcp tcp+yamux --rounds 0", "--rounds is 0"), ("compare tcp tcp+yamux -t 1ms", "--duration is 1ms"),
        ("compare tcp tcp+yamux --driver mine", "'mine' names no driver"), ("compare tcp tcp+yamux --json /nowhere/c.json", "the directory /nowhere does not exist"),
        ("driver server", "--stack"), ("driver client --stack tcp", "Missing expected argument"),
    ])
    func usage(line: String, said: String) async throws {
        expectUsage(try await Command(line.split(separator: " ").map(String.init)).outcome(), [said])
    }
}
