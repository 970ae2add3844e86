import Gauge

enum Samples {
    static var environment: Environment {
        var environment = Environment.current(allocator: "jemalloc 5.3.0", ioBackend: "epoll", commit: "0123abc", root: "/nowhere")
        environment.cpuModel = .value("AMD EPYC 9004")
        environment.cores = 2
        environment.kernel = .value("6.18.1")
        environment.memoryBytes = .value(4 << 30)
        environment.buildConfiguration = "release"
        return environment
    }

    static func ledger(payload: UInt64, headers: UInt64, updates: UInt64 = 0) -> ByteLedger {
        var ledger = ByteLedger()
        ledger.payload = payload
        ledger.muxDataHeader = headers
        ledger.muxWindowUpdate = updates
        ledger.socketBytes = payload + headers + updates
        ledger.kernelBytes = .value(ledger.socketBytes)
        return ledger
    }

    static func bulk(
        _ subject: String = "tcp+yamux", connections: Int = 10, streams: Int = 1000, goodput: Double = 3.2e9, repeatIndex: Int = 1
    ) -> RunFigures {
        var figures = RunFigures()
        figures.repeatIndex = repeatIndex
        figures.durationSeconds = 5
        figures.payloadBytes = UInt64(goodput * 5)
        figures.messages = figures.payloadBytes / 65_536
        figures.goodputBytesPerSecond = .value(goodput)
        figures.goodputUpBytesPerSecond = .value(goodput)
        figures.goodputDownBytesPerSecond = .unavailable("payload goes up only")
        figures.messagesPerSecond = .value(goodput / 65_536)
        figures.latency = .unavailable("bulk measures no latency")
        figures.apply(Measured(Fairness(bytesPerStream: [90, 100, 110], longestSilenceNanoseconds: 20_000_000), else: ""))
        let up = ledger(payload: figures.payloadBytes, headers: subject == "tcp" ? 0 : 12 * figures.messages)
        let down = ledger(payload: 0, headers: 0, updates: subject == "tcp" ? 0 : figures.messages * 3 / 2 * 12)
        figures.ledger = RunLedger(client: SideLedger(sent: up, received: down), server: .value(SideLedger(sent: down, received: up)))
        figures.framesSent = BothSides(client: .value(figures.messages), server: 0)
        figures.writes = BothSides(client: .value(figures.messages / 8), server: 0)
        figures.cpuUserSeconds = BothSides(client: 1.5, server: 1.25)
        figures.cpuSystemSeconds = BothSides(client: 2.5, server: 3.25)
        figures.syscalls = BothSides(client: .value(["sendmsg": 30_000, "epoll_pwait2": 100]), server: .value(["recv": 60_000]))
        figures.wakeups = BothSides(client: 100, server: 50_000)
        figures.bytesCopied = BothSides(client: 0, server: 100_000_000)
        figures.allocations = BothSides(client: 10, server: 12)
        figures.memory.rssBytesClient = 12_345_678
        figures.memory.rssBytesServer = 22_345_678
        figures.memory.bytesPerStreamClient = .unavailable("only the idle workload measures it")
        figures.memory.bytesPerStreamServer = .unavailable("only the idle workload measures it")
        return figures
    }

    static func request(rate: Double = 1_612_345) -> RunFigures {
        var figures = bulk(goodput: rate * 64)
        figures.messages = UInt64(rate * 5)
        figures.messagesPerSecond = .value(rate)
        figures.latency = .value(
            LatencySummary(p50: 600_123, p90: 812_000, p99: 1_401_000, p999: 3_200_000, max: 9_912_345, min: 20_100, mean: 601_000, count: 8_000_000))
        figures.service = figures.latency
        figures.pacerLateness = .value(
            LatencySummary(p50: 120, p90: 900, p99: 2_401, p999: 13_200, max: 99_345, min: 1, mean: 130, count: 8_000_000))
        return figures
    }

    static func record(
        _ subject: String = "tcp+yamux", workload: String = "bulk", connections: Int = 10, streams: Int = 1000, messageBytes: Int = 65_536,
        _ repeats: [RunFigures]
    ) -> RunRecord {
        let setup = RunSetup(
            subject: subject, workload: workload, connections: connections, streams: streams, messageSizeBytes: messageBytes,
            durationRequestedSeconds: 5, seed: 42)
        return RunRecord(setup: setup, repeats: repeats, environment: environment, command: "streamgauge run \(subject)")
    }

    static var canonical: [RunRecord] {
        [
            record("tcp", connections: 10, streams: 1, [bulk("tcp", connections: 10, streams: 1, goodput: 3.6e9)]),
            record("tcp+yamux", [bulk()]), record("tcp+mplex", [bulk("tcp+mplex", goodput: 2.95e9)]),
            record("tcp", workload: "request", connections: 1, streams: 1, messageBytes: 64, [request(rate: 15_100)]),
            record("tcp+yamux", workload: "request", connections: 1, streams: 1000, messageBytes: 64, [request()]),
        ]
    }
}
