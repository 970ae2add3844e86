import ArgumentParser
import Foundation
import Gauge
import Load
import Multiformats
import Report

/// `streamgauge run`: one subject, one workload.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Measures one subject with one workload.",
        discussion: """
            A SUBJECT is layers joined by +: a transport (tcp, unix, memory), perhaps security (noise, tls, plaintext), and a multiplexer
            (yamux, mplex, h2). With security a connection is negotiated as libp2p does it; without, it is bare, as HTTP/2 (h2) always is here.
            Without a multiplexer every stream is a connection of its own.

            Workloads:
            \(Workload.allCases.map { "  " + $0.rawValue.padding(toLength: 9, withPad: " ", startingAt: 0) + $0.summary }.joined(separator: "\n"))

            Examples:
              streamgauge run tcp+yamux -m 1000 -s 1KiB             1 KiB messages over a thousand streams
              streamgauge run tcp+yamux -c 10 -m 1000 --direction both
              streamgauge run tcp -w request -s 64                  a raw TCP round trip
              streamgauge run tcp+noise+yamux -w connect -c 10      connections with handshake and first answer
              streamgauge run tcp+yamux -w request -m 100 -R 50000  open loop: 50,000 requests a second
              streamgauge run tcp+yamux -w request -m 100 --find-rate 'p99<5ms'   the highest rate at which that holds
              streamgauge run tcp+mplex -w mixed -m 101             a request beside a hundred bulk streams
              streamgauge run tcp+yamux -w mixed -m 101 --read-rate 200MiB   beside readers that are slow
              streamgauge run tcp+yamux -w mixed -m 11 --beside stopped --stages   beside a reader that has stopped: where the time goes
              streamgauge run tcp+yamux -w idle -m 100000           memory of silent streams
              streamgauge run 'link(rtt=60ms,rate=1Gbit)+tcp+yamux' -t 10s   over an emulated link: how full it is, how windows grew, what held it up
              streamgauge run tcp+yamux -m 1000 --print-scenario > s.json
              streamgauge run --scenario s.json                     the same again
              streamgauge run tcp+noise+yamux -w request -m 100 --target /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...   pings to any libp2p node
            """)

    @OptionGroup var options: RunOptions

    @Option(help: """
        Find the highest rate of requests in open loop that meets a goal for the response time, such as 'p99<5ms' (p50, p90, p99, p99.9, max; < or <=). \
        --duration is then the shortest window of a step (default: 1s) and --omit its warm-up (default: 250ms).
        """)
    var findRate: String?

    /// Finds what is wrong with the options while the parser can still show this command's usage. A scenario file is read once, by ``run()``.
    func validate() throws {
        if let findRate {
            _ = try RateSearchRun(goal: findRate, options)
        } else if options.scenario == nil {
            _ = try options.makeScenario()
        }
    }

    func run() async throws {
        if let findRate {
            try await RateSearchRun(goal: findRate, options).run()
        } else {
            try await options.run()
        }
    }
}

/// What says which run is to be made, and where its results go: the options of `run`, and of what makes many runs that differ in little.
struct RunOptions: ParsableArguments {
    @Argument(help: "What to measure, such as tcp, tcp+yamux, tcp+noise+yamux, unix+mplex.")
    var subject: String?

    @Option(name: .shortAndLong, help: "bulk, request, churn, connect, idle or mixed. (default: bulk)")
    var workload: String?

    @Option(name: .shortAndLong, help: "Connections. (default: 1)")
    var connections: String?

    @Option(name: [.customShort("m"), .long], help: "Streams on each connection. (default: 1)")
    var streams: String?

    @Option(name: [.customShort("s"), .long], help: "Message size: 64, 1KiB, 64KiB, ... (default: 64KiB; 64 for request, churn, connect)")
    var messageSize: String?

    @Option(name: [.customShort("t"), .long], help: "Length of the measured window: 10s, 1m30s, 500ms. (default: 5s)")
    var duration: String?

    @Option(name: [.customShort("n"), .long], help: "Stop after so many messages, requests, streams or connections in all, instead of a duration.")
    var count: String?

    @Option(name: [.customShort("R"), .long], help: "Requests a second in all: open loop, latency counted from when each was due.")
    var rate: String?

    @Option(name: [.customShort("O"), .long], help: "Warm-up before the window. (default: 500ms)")
    var omit: String?

    @Option(help: "Where bulk goes: up (client to server), down or both. (default: up)")
    var direction: String?

    @Option(help: "Requests under way on a stream at once. (default: 1)")
    var depth: String?

    @Option(help: "What the receivers of bulk together read a second on each connection, such as 200MiB: slow readers. (default: all at once)")
    var readRate: String?

    @Option(help: "What goes on beside the requests of mixed: bulk, stopped (one reader has stopped), stalled (readers rest) or churn. (default: bulk)")
    var beside: String?

    @Flag(help: "The requests of mixed have a connection to themselves; what goes on beside them is on the others (-c 2).")
    var apart = false

    @Option(help: "Event loops on each side. (default: 1)")
    var threads: String?

    @Option(help: "I/O interface: auto, epoll or uring. (default: auto)")
    var io: String?

    @Option(help: "Which messages are compared byte by byte: sampled (one in 64, and every first and last) or full. (default: sampled)")
    var verify: String?

    @Option(help: "What the payload is made from. (default: 1)")
    var seed: String?

    @Option(help: "Poll for this long before sleeping, such as 50us: lower latency for processor time. (default: 0)")
    var spin: String?

    @Flag(help: "Note the times of sampled messages on their way: where the latency comes from (queue, transit, deliver).")
    var stages = false

    @Option(help: "Read the scenario from a file; only --repeat, --target and the output options go with it.")
    var scenario: String?

    @Flag(help: "Print the scenario file that repeats this run, and stop.")
    var printScenario = false

    @Option(name: .customLong("repeat"), help: "Repeat so many times; the record holds each, and the median one's figures on top.")
    var repeats = 1

    @Option(help: """
        A server that runs already (streamgauge serve), such as /ip4/127.0.0.1/tcp/4001; or, with /p2p/PEER at its end, any libp2p node, which serves \
        request (by ping), bulk and churn (by perf) and connect. Default: a process of its own.
        """)
    var target: String?

    @Option(help: "How long to wait for the other side to connect, to answer or to get any further. (default: 30s)")
    var timeout: String?

    @Option(help: "Write the record to this file: streamgauge.run/1, of --find-rate streamgauge.rate-search/1, of a sweep streamgauge.sweep/1.")
    var json: String?

    @Option(help: "What to print: text, json or csv.")
    var format = OutputFormat.text

    @Flag(name: .shortAndLong, help: "A line a second on standard error.")
    var interval = false

    // What `streamgauge profile` gives to the runs that it makes.

    @Option(help: .hidden)
    var marks: String?

    /// Makes the run, with its repeats.
    func run() async throws {
        let scenario = try makeScenario()
        let address = try targetAddress
        let timeoutSeconds = try phaseTimeoutSeconds
        try Runner.check(scenario, target: address)
        try checkRepeats()
        if printScenario {
            try StandardOutput.print(try scenario.encoded() + Data("\n".utf8))
            return
        }
        let output = try parsed("--json", ifGiven: json) { try OutputFile.prepare($0) }
        let runner = Runner(view: ProgressView(showsIntervals: interval), timeoutSeconds: timeoutSeconds)
        var done: [RunFigures] = []
        var ioName = scenario.io
        while done.count < repeats && !runner.isInterrupted {
            do {
                let label = repeats > 1 ? "\(scenario.subject) \(done.count + 1)/\(repeats)" : scenario.subject
                let (figures, name) = try await runner.once(scenario, target: address, label: label)
                done.append(figures)
                ioName = name
            } catch {
                Exit.tell(error)
                if done.isEmpty { throw Exit.failed }
                break
            }
        }
        guard !done.isEmpty else { throw Exit.failed }
        if let marks, let times = runner.marks { try parsed("--marks", marks) { try OutputFile.prepare($0).write(try times.encodedJSON()) } }
        let record = Runner.record(scenario, done, target: address, ioName: ioName)
        try deliver([record], format, to: output) { try record.encodedJSON() }
        // A repeat that failed was told above; the others' figures stand, and are not all that was asked for.
        if !record.valid || done.count < repeats && !runner.isInterrupted { throw Exit.failed }
    }

    // MARK: The scenario

    var targetAddress: Multiaddr? { get throws { try parsed("--target", ifGiven: target) { try Multiaddr($0) } } }

    /// How long to wait for the other side; nil for as long as is usual.
    var phaseTimeoutSeconds: Double? {
        get throws {
            let timeoutSeconds = try parsed("--timeout", ifGiven: timeout, by: seconds)
            guard (timeoutSeconds ?? 1) > 0 else { throw ValidationError("--timeout is \(timeout ?? ""); allowed is anything above 0 s") }
            return timeoutSeconds
        }
    }

    func checkRepeats() throws {
        guard (1...1000).contains(repeats) else { throw ValidationError("--repeat is \(repeats); allowed is 1 to 1000") }
    }

    func makeScenario() throws -> Scenario {
        do {
            if let scenario { return try readScenario(scenario) }
            guard let subject else { throw ValidationError("name a subject, such as tcp+yamux") }
            return try scenarioFromOptions(subject)
        } catch let error as ValidationError {
            throw error
        } catch {
            throw Exit.usage(error)
        }
    }

    private func readScenario(_ path: String) throws -> Scenario {
        let others: [String?] = [
            subject, workload, connections, streams, messageSize, duration, count, rate, omit, direction, depth, readRate, beside, threads, io, verify,
            seed, spin,
        ]
        guard others.allSatisfy({ $0 == nil }), !stages, !apart else {
            throw ValidationError("--scenario brings its own subject and options; only --repeat, --target and the output options go with it")
        }
        guard FileManager.default.fileExists(atPath: path) else { throw ValidationError("--scenario: there is no file \(path)") }
        let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        guard type != .typeDirectory else { throw ValidationError("--scenario: \(path) is a directory") }
        let data: Data
        do {
            // A pipe is as good as a file, so what it is does not say how long it is.
            data = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).read(upToCount: Self.scenarioBytesMax + 1) ?? Data()
        } catch {
            throw ValidationError("--scenario: \(path) cannot be read: \(error.localizedDescription)")
        }
        guard data.count <= Self.scenarioBytesMax else {
            throw ValidationError("--scenario: \(path) is not a scenario: it has more than \(Self.scenarioBytesMax) bytes")
        }
        return try Scenario.decode(data, file: path)
    }

    /// Many times what any scenario needs.
    private static let scenarioBytesMax = 1 << 20

    private func scenarioFromOptions(_ subject: String) throws -> Scenario {
        let kind = try Workload(parsing: workload ?? "bulk")
        let address = try targetAddress
        try refuseContradictions(kind)
        let size = try parsed("--message-size", ifGiven: messageSize) { try Units.bytes($0) } ?? kind.messageSizeDefault(for: address)
        func number(_ option: String, _ text: String?, _ standard: Int) throws -> Int {
            try parsed(option, ifGiven: text) { try Units.count($0) } ?? standard
        }
        return Scenario(
            subject: subject, workload: kind.rawValue, connections: try number("--connections", connections, 1),
            streams: try number("--streams", streams, 1),
            flows: try kind.flows(
                messageSizeBytes: size, direction: direction ?? "up", depth: try number("--depth", depth, 1),
                readRateBytesPerSecond: try parsed("--read-rate", ifGiven: readRate) {
                    Double(try Units.bytes($0.hasSuffix("/s") ? String($0.dropLast(2)) : $0))
                }, beside: try Aggressor(parsing: beside ?? "bulk")),
            durationSeconds: count == nil ? try parsed("--duration", duration ?? "5s", by: seconds) : nil,
            count: try parsed("--count", ifGiven: count) { try Units.count($0) },
            omitSeconds: count == nil ? try parsed("--omit", omit ?? "500ms", by: seconds) : 0,
            ratePerSecond: try parsed("--rate", ifGiven: rate) { try Units.rate($0) }, threads: try number("--threads", threads, 1),
            verify: try parsed("--verify", verify ?? "sampled") { try SampleRule(parsing: $0).description },
            seed: UInt64(try number("--seed", seed, 1)), io: io ?? "auto", spinSeconds: try parsed("--spin", spin ?? "0s", by: seconds),
            measuresStages: stages ? true : nil, separatesFirstFlow: apart ? true : nil)
    }

    /// Options that would be ignored: somebody who gives them expects something else than would be measured.
    private func refuseContradictions(_ kind: Workload) throws {
        if count != nil && duration != nil {
            throw ValidationError("--count and --duration both say when to stop: give one")
        }
        if count != nil && omit != nil {
            throw ValidationError("--omit is a warm-up before a window of time: a run with --count measures from its first operation")
        }
        if direction != nil && kind != .bulk && kind != .mixed {
            throw ValidationError("--direction is for the workloads bulk and mixed: \(kind.rawValue) has no bulk to direct")
        }
        if readRate != nil && kind != .bulk && kind != .mixed {
            throw ValidationError("--read-rate is for the workloads bulk and mixed: \(kind.rawValue) has no bulk to read slowly")
        }
        if beside != nil || apart, kind != .mixed {
            throw ValidationError("--beside and --apart are for the workload mixed: \(kind.rawValue) has nothing beside it")
        }
        if beside != nil && readRate != nil && beside != "bulk" {
            throw ValidationError("--read-rate is for bulk: --beside \(beside ?? "") says by itself how it is read")
        }
        if depth != nil && kind != .request && kind != .mixed {
            throw ValidationError("--depth is for the workloads request and mixed: \(kind.rawValue) has one operation under way on a stream or none")
        }
        if messageSize != nil && kind == .idle {
            throw ValidationError("--message-size does not go with the workload idle: silent streams carry no messages")
        }
    }
}

/// How results are written to standard output.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, csv

    func data(_ records: [RunRecord]) throws -> Data {
        switch self {
        case .text:
            let text = records.count == 1
                ? RunSummary.text(records[0], width: Terminal.reportWidth) : CanonicalReport.text(records, width: Terminal.reportWidth)
            return Data(text.utf8)
        case .json: return Data(try records.count == 1 ? records[0].encodedJSON() : RecordEncoder.encode(records))
        case .csv: return Data(CSVOutput.text(records).utf8)
        }
    }
}
