import ArgumentParser
import Foundation
import Gauge
import Report

@main
struct StreamGauge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streamgauge",
        abstract: "Measures stream multiplexers: throughput, latency, memory, and every byte they put on the wire.",
        discussion: """
            Without a subcommand it makes the canonical run over loopback, about 25 seconds: raw TCP, yamux and mplex, and yamux behind noise and TLS.

              streamgauge                                    the canonical run
              streamgauge run tcp+yamux -m 1000              one subject, one workload
              streamgauge run tcp+yamux -w request -m 1000 -s 64 -t 5s --json r.json
              streamgauge run tcp+mplex -w churn -m 100 -n 100000
              streamgauge run tcp+yamux -w request -m 100 --find-rate 'p99<5ms'   the highest rate that holds it
              streamgauge sweep tcp+yamux -m 1,10,100,1000   the same run for each value: how cost grows
              streamgauge compare tcp+yamux go:tcp+yamux     side by side: ratios, and a verdict
              streamgauge diff old.json new.json             two stored records likewise
              streamgauge interference tcp+yamux tcp+mplex   a small request beside bulk, stopped readers, churn
              streamgauge report r.json --html out.html      pictures of stored records
              streamgauge profile -- run tcp+yamux -m 1000 -s 64   where its processor time goes: layers, functions, flame graphs
              streamgauge serve --listen /ip4/127.0.0.1/tcp/4001
              streamgauge ping /ip4/127.0.0.1/tcp/4002       libp2p's ping to any node; identify and perf likewise

            Every figure is reconciled before it is printed: receipts of both ends, a ledger in which every byte on the socket has
            its account, and the kernel's own counters. A run that does not reconcile is INVALID, says why, and exits with 2.

            Exit codes: 0 ok, 1 regression, 2 measurement INVALID or subject failed, 64 usage.
            """,
        subcommands: [
            CanonicalCommand.self, RunCommand.self, SweepCommand.self, CompareCommand.self, DiffCommand.self, InterferenceCommand.self, ReportCommand.self,
            ProfileCommand.self, ServeCommand.self, RelayCommand.self, ScenariosCommand.self, DoctorCommand.self, PingCommand.self, IdentifyCommand.self, PerfCommand.self,
            PerfAppCommand.self, DriverCommand.self,
        ],
        defaultSubcommand: CanonicalCommand.self)
}

/// The exit codes of DESIGN: what a script can rely on.
enum Exit {
    /// What was measured is worse than it was.
    static let regression = ExitCode(1)

    /// The measurement is INVALID or the subject failed.
    static let failed = ExitCode(2)

    /// What a person can put right on the command line: told with the usage, exit code 64.
    static func usage(_ error: any Error) -> ValidationError { ValidationError("\(error)") }

    /// Tells on standard error why something could not be done.
    static func tell(_ error: any Error) { StandardError.write("streamgauge: \(error)\n") }
}

/// The text of an option as a value; what is wrong with it is told with the option's name.
func parsed<Value>(_ option: String, _ text: String, by read: (String) throws -> Value) throws -> Value {
    do {
        return try read(text)
    } catch {
        throw ValidationError("\(option): \(error)")
    }
}

/// The same for an option that need not be given.
func parsed<Value>(_ option: String, ifGiven text: String?, by read: (String) throws -> Value) throws -> Value? {
    try text.map { try parsed(option, $0, by: read) }
}

/// The measured window of each run of a round, and the warm-up before it, in seconds.
func roundWindow(duration: String, omit: String) throws -> (seconds: Double, omit: Double) {
    let length = try parsed("--duration", duration, by: seconds)
    let warmUp = try parsed("--omit", omit, by: seconds)
    guard (0.01...3600).contains(length) else { throw ValidationError("--duration is \(duration); allowed is 10ms to 1h") }
    guard (0...3600).contains(warmUp) else { throw ValidationError("--omit is \(omit); allowed is 0 s to 1h") }
    return (length, warmUp)
}

/// A duration, in seconds.
func seconds(_ text: String) throws(UnitsError) -> Double { Double(try Units.duration(text)) / 1e9 }

/// Prints records, and writes them to a file if there is one. The file comes first: who reads what is printed may have gone, and the process with it. What was
/// measured is not lost with one of the two: the other is tried as well.
func deliver(_ records: [RunRecord], _ format: OutputFormat, to file: OutputFile?, _ bytes: @escaping () throws -> [UInt8]) throws {
    try deliver(to: file, bytes) { try format.data(records) }
}

/// The same for a record of any kind: `bytes` go to the file, `printed` to standard output.
func deliver(to file: OutputFile?, _ bytes: @escaping () throws -> [UInt8], _ printed: @escaping () throws -> Data) throws {
    guard Deliveries.attempt([{ try file?.write(try bytes()) }, { try StandardOutput.write(try printed()) }]) else { throw Exit.failed }
}

/// Several places that results go to: what was measured is not lost with one of them.
enum Deliveries {
    /// Tries all, in order, and tells what went wrong. Returns whether nothing did.
    static func attempt(_ deliveries: [() throws -> Void]) -> Bool {
        var failures: [any Error] = []
        for deliver in deliveries { do { try deliver() } catch { failures.append(error) } }
        for failure in failures { Exit.tell(failure) }
        return failures.isEmpty
    }
}

/// Where results go, and what other programs read.
enum StandardOutput {
    struct Failure: Error, CustomStringConvertible {
        let cause: any Error
        var description: String { "standard output cannot be written: \(cause.localizedDescription)" }
    }

    static func write(_ data: Data) throws(Failure) {
        do {
            try FileHandle.standardOutput.write(contentsOf: data)
        } catch {
            throw Failure(cause: error)
        }
    }

    /// The same for a command that does nothing else: a failure is told, and ends it with status 2.
    static func print(_ data: Data) throws {
        do throws(Failure) {
            try write(data)
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }
}

/// Where people are told things.
enum StandardError {
    static func write(_ text: String) {
        // Nobody is left to tell that nobody can be told.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
