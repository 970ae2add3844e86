import Foundation
import Gauge
import Testing
import TestSupport

/// Runs as a person makes them: results on standard output, logs on standard error, a record that can be read again.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RunTests {
    private func record(_ outcome: Command.Outcome) throws -> RunRecord { try RunRecord.decode(Array(outcome.output.utf8), file: "standard output") }

    @Test func recordOfARun() async throws {
        let scratch = try Scratch()
        let outcome = try await Command.run(
            "run", "tcp+yamux", "-w", "request", "-m", "5", "-s", "100", "-n", "500", "--verify", "full", "--json", scratch.path + "/r.json")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        #expect(outcome.output.hasPrefix("VALID: tcp+yamux, request, 1 connection x 5 streams, 100 B messages"), "\(outcome.output)")
        let record = try RunRecord.decode(try scratch.read("r.json"), file: "r.json")
        #expect(record.valid && !record.figures.partial && record.figures.invalidReasons == [])
        #expect(record.figures.messages == 500 && record.figures.latency.value?.count == 500)
        #expect(record.figures.ledger.balanced && record.figures.ledger.total.residual == 0)
        #expect(record.setup.subject == "tcp+yamux" && record.setup.verify == "full" && record.setup.processes == 2)
        #expect(record.command.contains("run tcp+yamux -w request"))
    }

    @Test(arguments: ["tcp", "tcp+yamux", "tcp+mplex", "unix", "unix+yamux", "memory+yamux"], ["bulk", "request", "mixed"])
    func everyFormatIsTheSameRun(subject: String, workload: String) async throws {
        let arguments = ["run", subject, "-w", workload, "-m", "3", "-n", "60"]
        let json = try await Command(arguments + ["--format", "json"]).outcome()
        #expect(json.code == 0 && json.errors == "", "\(json)")
        let record = try record(json)
        #expect(record.valid && record.figures.messages == 60)
        let csv = try await Command(arguments + ["--format", "csv"]).outcome()
        #expect(csv.code == 0 && csv.errors == "", "\(csv)")
        let lines = csv.output.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("subject,workload,direction,") && lines[1].hasPrefix("\(subject),\(workload),up,"))
        #expect(lines[0].split(separator: ",", omittingEmptySubsequences: false).count == lines[1].split(separator: ",", omittingEmptySubsequences: false).count)
    }

    /// Over a link there is a relay's process between the two.
    @Test func runsGoOverALink() async throws {
        let outcome = try await Command.run("run", "link(rtt=2ms,rate=100Mbit)+tcp+yamux", "-w", "request", "-n", "50", "-m", "2")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        #expect(outcome.output.hasPrefix("VALID: link(rtt=2ms,rate=100Mbit)+tcp+yamux, request"), "\(outcome)")
        for word in ["2.00 ms round trip, 100 Mbit/s", "held up by", "nothing queued"] { #expect(outcome.output.contains(word), "no '\(word)' in \(outcome.output)") }
        let record = try record(try await Command.run("run", "link(rtt=2ms,rate=100Mbit)+tcp+yamux", "-n", "300", "--format", "json"))
        #expect(record.valid && record.figures.link.value?.bandwidthDelayBytes == 25_000)
        #expect(record.figures.windowTrajectory.value?.first?.points.isEmpty == false)
    }

    @Test func driversAreNotComparedOverALink() async throws {
        let outcome = try await Command.run("compare", "tcp+yamux", "link(rtt=2ms,rate=100Mbit)+tcp+yamux", "--rounds", "1")
        #expect(outcome.code != 0 && (outcome.errors + outcome.output).contains("streamgauge run 'link(rtt=2ms,rate=100Mbit)+tcp+yamux'"), "\(outcome)")
    }

    @Test func repeatsAreKept() async throws {
        let outcome = try await Command.run("run", "memory+mplex", "-n", "50", "--repeat", "3", "--format", "json")
        let record = try record(outcome)
        #expect(outcome.code == 0 && record.repeats.count == 3 && record.repeats.map(\.repeatIndex) == [1, 2, 3])
        #expect(record.repeats.allSatisfy { $0.valid && $0.messages == 50 })
    }

    /// A file of a scenario does the same again, to the byte.
    @Test(arguments: [
        "tcp+yamux -m 7 -s 3000 -n 200 --seed 9 --verify full", "tcp+mplex -w churn -m 4 -n 100", "unix -w request -c 2 -m 3 --depth 1 -n 90",
        "tcp+yamux -m 3 -n 60 --direction both", "memory+yamux -w mixed -m 5 -s 2KiB -n 40 --depth 2",
    ])
    func scenarioGoesThereAndBack(line: String) async throws {
        let scratch = try Scratch()
        let arguments = ["run"] + line.split(separator: " ").map(String.init)
        let printed = try await Command(arguments + ["--print-scenario"]).outcome()
        #expect(printed.code == 0 && printed.errors == "", "\(printed)")
        let file = try scratch.write(printed.output, as: "s.json")
        let again = try await Command.run("run", "--scenario", file, "--print-scenario")
        #expect(again.output == printed.output)
        let first = try record(try await Command(arguments + ["--format", "json"]).outcome())
        let second = try record(try await Command.run("run", "--scenario", file, "--format", "json"))
        #expect(first.valid && second.valid)
        #expect(first.setup == second.setup)
        #expect(first.figures.messages == second.figures.messages)
        guard !line.contains("mixed") else { return }
        // Bulk beside requests goes on until they are done; everything else is counted.
        #expect(first.figures.ledger.total.payload == second.figures.ledger.total.payload)
    }

    /// What was measured is written, and the exit code tells that it could not be printed.
    @Test(arguments: ["text", "json", "csv"])
    func recordThatCannotBePrinted(format: String) async throws {
        let scratch = try Scratch()
        let file = "\(scratch.path)/r.json"
        let line = "exec \(Executable.path) run memory+yamux -n 50 --format \(format) --json \(file) > /dev/full"
        let outcome = try await Command(["-c", line], executable: "/bin/sh").outcome()
        expectFailure(outcome, "standard output cannot be written")
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)).count > 1000)
    }

    /// What was measured is printed, and the exit code tells that the file is missing.
    @Test func recordThatCannotBeWrittenAfterAll() async throws {
        let outcome = try await Command.run("run", "memory+yamux", "-n", "50", "--json", "/dev/full")
        expectFailure(outcome, "writing /dev/full failed: the disk is full")
        #expect(outcome.output.hasPrefix("VALID: memory+yamux"), "\(outcome.output)")
    }

    // MARK: Ctrl-C

    /// What was measured until then is printed, marked partial, and the server is gone. The lines of each second are progress: they stand on
    /// standard error, not among the results.
    @Test(arguments: [SIGINT, SIGTERM])
    func interruption(signal: Int32) async throws {
        let run = try Command(
            ["run", "tcp+yamux", "-w", "request", "-m", "10", "-t", "600s", "-O", "1ms", "--interval", "--format", "json", "--repeat", "5"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        let children = run.children
        #expect(children.count == 1, "the server is a process of its own")
        run.send(signal)
        let outcome = await run.outcome()
        let record = try record(outcome)
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(record.valid && record.figures.partial, "\(record.figures.invalidReasons)")
        #expect(record.repeats.count == 1 && record.figures.messages > 0 && record.figures.durationSeconds < 300)
        for child in children { #expect(kill(child, 0) == -1, "the server is still there") }
    }

    @Test func interruptionInWords() async throws {
        let run = try Command(["run", "memory+yamux", "-t", "600s", "-O", "1ms", "--interval"])
        #expect(await run.errors.has("/s"), "no interval was printed: \(run.errors.text)")
        run.send(SIGINT)
        let outcome = await run.outcome()
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.hasPrefix("VALID, PARTIAL: memory+yamux, bulk up"), "\(outcome.output)")
        #expect(outcome.output.contains("did not reach its end"), "\(outcome.output)")
    }

    // MARK: Texts

    @Test func helpIsForPeople() async throws {
        let cases: [(arguments: [String], words: [String])] = [
            (["--help"], ["Exit codes: 0 ok, 1 regression, 2 measurement INVALID", "streamgauge run tcp+yamux -m 1000", "serve", "scenarios", "doctor"]),
            (["run", "--help"], ["--message-size", "--target", "--timeout", "--print-scenario", "mixed", "Examples:", "open loop"]),
            (["serve", "--help"], ["--listen", "/ip4/127.0.0.1/tcp/4001", "--target"]),
            (["canonical", "--help"], ["--repeat", "--json", "take turns"]),
            (["scenarios", "--help"], ["--show"]),
            (["relay", "--help"], ["--to", "rtt=60ms,rate=1Gbit", "jitter"]),
            (["doctor", "--help"], ["measure"]),
        ]
        for (arguments, words) in cases {
            let outcome = try await Command(arguments).outcome()
            #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
            for word in words { #expect(outcome.output.contains(word), "no '\(word)' in \(arguments)") }
        }
    }

    @Test func scenariosAreListedAndShown() async throws {
        let list = try await Command.run("scenarios")
        #expect(list.code == 0 && list.errors == "")
        let names = list.output.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(names.count > 10 && names.contains("yamux-mixed-101"))
        let scratch = try Scratch()
        for name in [names[0], "yamux-mixed-101", "link-go-yamux-136"] {
            let shown = try await Command.run("scenarios", "--show", name)
            let file = try scratch.write(shown.output, as: "\(name).json")
            let again = try await Command.run("run", "--scenario", file, "--print-scenario")
            #expect(again.code == 0 && again.output == shown.output, "\(again)")
        }
    }

    @Test func doctorTellsWhatCanBeMeasured() async throws {
        let outcome = try await Command.run("doctor")
        #expect(outcome.code == 0 && outcome.errors == "", "\(outcome)")
        for word in ["kernel", "cores allowed", "I/O epoll", "I/O uring", "descriptors", "allocator counts", "profile --cpu", "profile --off-cpu", "profile --probes", "profile --heap", "profile --syscalls", "callgrind", "ulimit -n"] {
            #expect(outcome.output.contains(word), "no '\(word)' in \(outcome.output)")
        }
    }
}
