import Foundation
import Gauge
import Report
import Testing
import TestSupport

/// A request beside aggressors, as a person measures it.
@Suite(.serialized, .timeLimit(.minutes(5))) struct InterferenceTests {
    @Test func aMatrixHasACellForEachRowAndPlace() async throws {
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "interference", "tcp+yamux", "memory+yamux", "--rows", "bulk-1,churn", "--rounds", "2", "-t", "50ms", "-O", "10ms", "--json", scratch.path + "/i.json",
            "--format", "json")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        let record = try JSONDecoder().decode(InterferenceRecord.self, from: Data(outcome.output.utf8))
        #expect(try JSONDecoder().decode(InterferenceRecord.self, from: Data(try scratch.read("i.json"))) == record)
        #expect(record.subjects == ["tcp+yamux", "memory+yamux"] && record.aggressors.map(\.name) == ["bulk-1", "churn"])
        #expect(record.cells.count == 8 && Set(record.cells.map { "\($0.subject) \($0.aggressor) \($0.placement)" }).count == 8)
        for cell in record.cells {
            let result = try #require(cell.outcome.value, "\(cell.subject) \(cell.aggressor): \(cell.outcome.reason ?? "")")
            #expect(result.rounds == 2 && result.invalidReasons == [] && result.idle.count > 0 && result.loaded.count > 0)
            #expect((result.goodputKeptRatio.value != nil) == (cell.aggressor == "bulk-1"))
            #expect(result.stages.value?.map(\.direction) == ["up", "down"])
        }
    }

    @Test func theTextSaysWhatWasMeasured() async throws {
        let outcome = try await Command.run("interference", "tcp+yamux", "--rows", "stopped", "--connection", "same", "--rounds", "1", "-t", "50ms", "-O", "10ms")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        for text in ["tcp+yamux", "stopped", "p99", "Where the request's mean time goes", "the receiver of one has stopped reading"] {
            #expect(outcome.output.contains(text), "\(text) in \(outcome.output)")
        }
    }

    /// Bare TCP has no streams to come and go: the cell is left out with the reason, and the others stand.
    @Test func whatASubjectCannotDoIsLeftOut() async throws {
        let outcome = try await Command.run(
            "interference", "tcp", "--rows", "bulk-1,churn", "--connection", "same", "--rounds", "1", "-t", "50ms", "-O", "10ms", "--format", "json")
        #expect(outcome.code == 0 && outcome.errors.contains("beside churn: left out: "), "\(outcome)")
        let cells = try JSONDecoder().decode(InterferenceRecord.self, from: Data(outcome.output.utf8)).cells
        #expect(cells.map { $0.outcome.value != nil } == [true, false])
    }

    @Test(arguments: [
        ("interference", "name a subject"), ("interference tcp+yamx", "yamux"), ("interference tcp tcp", "named twice"),
        ("interference tcp+yamux --rows bulk-5", "did you mean 'bulk-1'?"), ("interference tcp+yamux --connection other", "allowed is same, own or both"),
        ("interference tcp+yamux --rounds 0", "--rounds is 0"), ("interference tcp+yamux -t 1ms", "--duration is 1ms"),
        ("interference goo:tcp+yamux", "no driver 'goo'"), ("interference tcp+yamux --json /nowhere/i.json", "the directory /nowhere does not exist"),
        ("run tcp+yamux -w mixed -m 3 --beside stoped", "did you mean 'stopped'?"), ("run tcp+yamux -w bulk --beside churn", "for the workload mixed"),
        ("run tcp+yamux -w mixed -m 3 --apart", "a second connection"), ("run tcp+yamux -w idle --stages", "--stages is for workloads"),
        ("run tcp+yamux -w mixed -m 2 --beside churn --read-rate 1MiB", "says by itself how it is read"),
    ]) func whatIsWrongIsSaid(line: String, words: String) async throws {
        let outcome = try await Command(line.split(separator: " ").map(String.init)).outcome()
        #expect(outcome.code == 64 || outcome.code == 2, "\(outcome)")
        #expect(outcome.errors.contains(words), "\(outcome.errors)")
    }
}
