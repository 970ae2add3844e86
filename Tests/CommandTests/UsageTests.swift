import Foundation
import Testing

/// What a person can type wrongly: each is refused before anything is started, with what was wrong, where, and what to do.
@Suite(.serialized, .timeLimit(.minutes(5))) struct UsageTests {
    struct Mistake: CustomTestStringConvertible, Sendable {
        let line: String
        let said: [String]
        var testDescription: String { line }

        init(_ line: String, _ said: String...) {
            self.line = line
            self.said = said
        }
    }

    private func expect(_ mistake: Mistake) async throws {
        expectUsage(try await Command(mistake.line.split(separator: " ").map(String.init)).outcome(), mistake.said)
    }

    // MARK: Names

    @Test(arguments: [
        Mistake("run tcp+yamx -n 1", "no stack 'tcp+yamx'", "did you mean 'tcp+yamux'?", "memory+mplex"),
        Mistake("run link(rtt=60ms)+tcp+yamux -n 1", "rate is missing", "link(rtt=60ms,rate=1Gbit)"),
        Mistake("run link(rt=60ms,rate=1Gbit)+tcp -n 1", "no option 'rt'", "did you mean 'rtt'?"),
        Mistake("run link(rtt=60ms,rate=1Gbit)+unix+yamux -n 1", "transport is unix: use tcp"),
        Mistake("run tcp+yamux(window=1KiB) -n 1", "window is 1KiB", "256KiB"),
        Mistake("run link(rtt=60ms,rate=1Gbit)+tcp+noise+yamux -w request -n 1 --target /ip4/127.0.0.1/tcp/1/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X", "without a link", "streamgauge relay"),
        Mistake("relay rtt=60ms --to /ip4/127.0.0.1/tcp/1", "rate is missing"),
        Mistake("relay rtt=1ms,rate=1Mbit", "--to"),
        Mistake("relay rtt=1ms,rate=1Mbit --to localhost", "--to", "'localhost' is not a multiaddr"),
        Mistake("run quic -n 1", "no stack 'quic'", "Known stacks: tcp, tcp+yamux, tcp+mplex"),
        Mistake("run tcp+ -n 1", "no stack 'tcp+'"),
        Mistake("run tcp+yamux+mplex -n 1", "no stack 'tcp+yamux+mplex'"),
        Mistake("run tcp -w bulc -n 1", "no workload 'bulc'", "did you mean 'bulk'?", "request, churn, connect, idle, mixed"),
        Mistake("run tcp -w transmogrify -n 1", "no workload 'transmogrify'", "Known workloads: bulk"),
        Mistake("run", "name a subject, such as tcp+yamux"),
        Mistake("run tcp -n 1 --direction sideways", "direction is sideways", "up, down or both"),
        Mistake("run tcp -n 1 --io iocp", "io is iocp", "auto, epoll or uring"),
        Mistake("run tcp -n 1 --format xml", "'xml'", "'text', 'json' or 'csv'"),
        Mistake("run tcp -n 1 --verify most", "--verify", "\"most\"", "\"full\" checks every byte"),
        Mistake("run tcp --bogus", "Unknown option '--bogus'"),
        Mistake("rum tcp", "'rum'"),
        Mistake("scenarios --show yamux-bulk", "no scenario 'yamux-bulk'", "did you mean 'yamux-bulk-1'?", "mplex-mixed-101"),
    ])
    func unknownNames(mistake: Mistake) async throws { try await expect(mistake) }

    // MARK: Values

    @Test(arguments: [
        Mistake("run tcp -s 64KB", "--message-size", "\"64KB\" is ambiguous", "write 64KiB"),
        Mistake("run tcp -s big", "--message-size", "\"big\" is not a size"),
        Mistake("run tcp -s 2GiB", "message size is 2147483648", "1 B to 1 GiB"),
        Mistake("run tcp -s 0", "message size is 0", "1 B to 1 GiB"),
        Mistake("run tcp -t 5", "--duration", "\"5\" has no unit", "5s"),
        Mistake("run tcp -t 5min", "--duration", "unknown unit \"min\""),
        Mistake("run tcp -t 0s", "duration is 0", "above 0 s"),
        Mistake("run tcp -t 25h", "duration", "at most 24 h"),
        Mistake("run tcp -O soon", "--omit", "\"soon\" is not a duration"),
        Mistake("run tcp --spin 1s", "spin is 1.0", "0 to 10 ms"),
        Mistake("run tcp --timeout never", "--timeout", "\"never\" is not a duration"),
        Mistake("run tcp --timeout 0s", "--timeout is 0s", "above 0 s"),
        Mistake("run tcp -n 10k", "--count", "\"10k\" is not a count", "write 10000"),
        Mistake("run tcp -n 0", "count is 0", "at least 1"),
        Mistake("run tcp -n 1.5", "--count", "\"1.5\""),
        Mistake("run tcp -c 0 -n 1", "connections is 0", "1 to 100000"),
        Mistake("run tcp -c many -n 1", "--connections", "\"many\""),
        Mistake("run tcp+yamux -m 1000001 -n 1", "streams is 1000001", "1 to 1000000"),
        Mistake("run tcp -w request -R fast", "--rate", "\"fast\" is not a rate"),
        Mistake("run tcp -w request -R 0", "--rate", "\"0\""),
        Mistake("run tcp -w request --depth 2000 -n 1", "depth is 2000", "1 to 1024"),
        Mistake("run tcp --threads 65 -n 1", "threads is 65", "1 to 64"),
        Mistake("run tcp --seed x -n 1", "--seed", "\"x\""),
        Mistake("run tcp -n 1 --repeat 0", "--repeat is 0", "1 to 1000"),
        Mistake("run tcp -n 1 --repeat x", "'x'", "--repeat"),
        Mistake("run tcp -n 1 --target nowhere", "--target", "'nowhere' is not a multiaddr", "/ip4/127.0.0.1/tcp/4001"),
        Mistake("run tcp -n 1 --target /ip4/127.0.0.1", "'/ip4/127.0.0.1' is not an address to listen on or dial"),
        Mistake("run tcp -n 1 --target /onion/localhost/tcp/1", "'onion' is not a component known here"),
        Mistake("serve --listen localhost:80", "--listen", "'localhost:80' is not a multiaddr"),
        Mistake("serve --threads 0", "--threads is 0", "1 to 64"),
        Mistake("serve --io iocp", "no I/O interface 'iocp'", "epoll"),
        Mistake("serve --spin x", "--spin", "\"x\" is not a duration"),
        Mistake("serve --core 100000", "--core is 100000", "may use"),
        Mistake("canonical -t 5", "--duration", "\"5\" has no unit"),
        Mistake("canonical -t 1s -O x", "--omit", "\"x\" is not a duration"),
        Mistake("canonical --repeat 0", "--repeat is 0", "1 to 1000"),
        Mistake("canonical --io iocp", "io is iocp"),
    ])
    func valuesThatAreNone(mistake: Mistake) async throws { try await expect(mistake) }

    // MARK: Contradictions

    @Test(arguments: [
        Mistake("run tcp -n 1 -t 1s", "--count and --duration", "give one"),
        Mistake("run tcp -n 1 -O 1s", "--omit", "--count"),
        Mistake("run tcp -R 100", "--rate is for the workloads request and mixed"),
        Mistake("run tcp -w request --read-rate 1MiB", "--read-rate is for the workloads bulk and mixed"),
        Mistake("run tcp --read-rate fast", "--read-rate", "fast"),
        Mistake("run tcp -w request --direction both", "--direction is for the workloads bulk and mixed"),
        Mistake("run tcp --depth 4", "--depth is for the workloads request and mixed"),
        Mistake("run tcp+yamux -w idle -s 64", "--message-size does not go with the workload idle"),
        Mistake("run tcp+yamux -w idle -n 5", "idle has no operations to count", "duration"),
        Mistake("run tcp+yamux -w mixed -m 1", "mixed needs at least 2 streams", "-m 101"),
        Mistake("run tcp -w churn", "'tcp' has one a connection", "use the workload connect, or a muxer"),
        Mistake("run unix --threads 2", "one listener", "--threads 1"),
        Mistake("run memory --target /ip4/127.0.0.1/tcp/1", "memory connects within one process", "--target"),
        Mistake("run unix --target /ip4/127.0.0.1/tcp/1", "no Unix socket", "transport is unix"),
        Mistake("run tcp --target /unix/tmp/x", "a Unix socket", "transport is tcp"),
        Mistake("run tcp --scenario x.json", "--scenario brings its own subject and options"),
    ])
    func contradictions(mistake: Mistake) async throws { try await expect(mistake) }

    // MARK: The machine

    /// More sockets than the process may have: the limit is named, and how to raise it.
    @Test func moreStreamsThanDescriptors() async throws {
        let outcome = try await Command.run("run", "tcp", "-m", "1000", "-n", "1000", descriptors: 128)
        expectUsage(outcome, ["1064 descriptors", "the limit is 128", "ulimit -n 1064", "a stack with a muxer"])
        let muxed = try await Command.run("run", "tcp+yamux", "-m", "1000", "-n", "1000", "--print-scenario", descriptors: 128)
        #expect(muxed.code == 0, "a muxer needs one connection: \(muxed.errors)")
    }

    /// Found before the run, not behind it.
    @Test func recordThatCannotBeWritten() async throws {
        let scratch = try Scratch()
        for command in [["run", "tcp", "-t", "60s"], ["canonical", "-t", "60s"]] {
            let nowhere = try await Command(command + ["--json", scratch.path + "/none/r.json"]).outcome()
            expectUsage(nowhere, ["--json", "\(scratch.path)/none/r.json cannot be written", "the directory \(scratch.path)/none does not exist"])
            let directory = try await Command(command + ["--json", scratch.path]).outcome()
            expectUsage(directory, ["--json", "it is a directory"])
        }
        let file = try scratch.write("x", as: "file")
        expectUsage(try await Command.run("run", "tcp", "-t", "60s", "--json", file + "/r.json"), ["\(file) is not a directory"])
    }

    // MARK: Scenario files

    @Test func scenarioFilesThatAreNone() async throws {
        let scratch = try Scratch()
        let good = try await Command.run("run", "tcp+yamux", "-n", "5", "--print-scenario").output
        func changed(_ from: String, _ to: String) -> String { good.replacingOccurrences(of: from, with: to) }
        let cases: [(text: String, said: [String])] = [
            ("", ["s.json is not a scenario"]),
            ("not JSON", ["s.json is not a scenario"]),
            ("{}", ["s.json is not a scenario", "'schema' is missing"]),
            (changed("scenario/1", "scenario/9"), ["'streamgauge.scenario/9', not 'streamgauge.scenario/1'"]),
            (changed("\"threads\"", "\"treads\""), ["the key 'threads' is missing"]),
            (changed("\"streams\" : 1", "\"streams\" : \"one\""), ["'streams'", "s.json is not a scenario"]),
            (changed("\"streams\" : 1", "\"streams\" : 0"), ["streams is 0", "1 to 1000000"]),
            (changed("tcp+yamux", "tcp+yamx"), ["no stack 'tcp+yamx'"]),
            (changed("\"send\"", "\"sing\""), ["s.json is not a scenario", "verb"]),
        ]
        for (text, said) in cases {
            #expect(text != good, "nothing was changed: \(said)")
            let file = try scratch.write(text, as: "s.json")
            expectUsage(try await Command.run("run", "--scenario", file), said)
        }
        expectUsage(try await Command.run("run", "--scenario", scratch.path + "/none.json"), ["--scenario", "there is no file \(scratch.path)/none.json"])
        expectUsage(try await Command.run("run", "--scenario", scratch.path), ["--scenario", "is a directory"])
        let endless = "/dev/zero"
        expectUsage(try await Command.run("run", "--scenario", endless), ["--scenario", "\(endless) is not a scenario", "more than 1048576 bytes"])
    }
}
