import Gauge

/// A small generator with a known sequence, so that a failing randomised test can be repeated from its seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

enum Samples {
    static let setup = RunSetup(
        subject: "tcp+yamux", workload: "bulk", connections: 10, streams: 1000, messageSizeBytes: 65_536,
        durationRequestedSeconds: 5, omitSeconds: 0.5, seed: 42)

    /// A thousand messages, of which each spent 1 part in the queue, 3 in transit and 2 in delivery.
    static var latencyStages: LatencyStages {
        var histograms = Dictionary(uniqueKeysWithValues: LatencyStages.Stage.allCases.map { ($0, LatencyHistogram()) })
        for number in 1...1000 as ClosedRange<UInt64> {
            for (stage, parts) in [(LatencyStages.Stage.queue, 1), (.transit, 3), (.deliver, 2), (.total, 6)] as [(LatencyStages.Stage, UInt64)] {
                histograms[stage]?.record(number * parts * 10)
            }
        }
        return LatencyStages(flow: 0, verb: "request", direction: "up", histograms: histograms)!
    }

    static func balanced(payload: UInt64, headers: UInt64) -> ByteLedger {
        var ledger = ByteLedger()
        ledger.payload = payload
        ledger.muxDataHeader = headers
        ledger.socketBytes = payload + headers
        ledger.kernelBytes = .value(payload + headers)
        return ledger
    }

    static func figures(repeatIndex: Int = 1, goodput: Double = 3.2e9) -> RunFigures {
        var figures = RunFigures()
        figures.repeatIndex = repeatIndex
        figures.startedAt = .value("2026-01-02T03:04:05Z")
        figures.durationSeconds = 5
        figures.payloadBytes = UInt64(goodput * 5)
        figures.messages = figures.payloadBytes / 65_536
        figures.goodputBytesPerSecond = .value(goodput)
        figures.goodputUpBytesPerSecond = .value(goodput)
        figures.goodputDownBytesPerSecond = .unavailable("payload goes up only")
        figures.messagesPerSecond = .value(goodput / 65_536)
        var recorded = Recording()
        for value in 1...1000 { recorded.latency.record(UInt64(value) * 1000) }
        recorded.intervalNanoseconds = 1_000_000_000
        recorded.intervals = [Recording.Interval(payloadBytesReceived: 1, messagesReceived: 2, operationsCompleted: 3)]
        figures.apply(recorded, emptyBecause: "closed loop")
        figures.apply(Measured(Fairness(bytesPerStream: [90, 100, 110, 1], longestSilenceNanoseconds: 20_000_000), else: "no streams"))
        let up = balanced(payload: figures.payloadBytes, headers: 12 * figures.messages)
        figures.ledger = RunLedger(client: SideLedger(sent: up), server: .value(SideLedger(received: up)))
        figures.framesSent = BothSides(client: .value(figures.messages), server: 0)
        figures.writes = BothSides(client: .value(figures.messages / 8), server: 0)
        figures.cpuUserSeconds = BothSides(client: 1.5, server: 1.25)
        figures.cpuSystemSeconds = BothSides(client: 2.5, server: 3.25)
        figures.syscalls = BothSides(client: .value(["sendmsg": 30_000, "epoll_pwait2": 100]), server: .value(["recv": 60_000]))
        figures.wakeups = BothSides(client: 100, server: 50_000)
        figures.bytesCopied = BothSides(client: 0, server: 1_000_000)
        figures.allocations = BothSides(client: 10, server: 12)
        figures.memory.rssBytesClient = 12_345_678
        figures.memory.rssBytesServer = 22_345_678
        figures.memory.bytesPerStreamClient = .unavailable("only the idle workload measures it")
        figures.memory.bytesPerStreamServer = .unavailable("only the idle workload measures it")
        figures.options = BothSides(both: .value(["so_rcvbuf_bytes": 524_288, "tcp_nodelay": 1, "tcp_congestion": "reno"]))
        return figures
    }

    static let environment = Environment.current(allocator: "jemalloc 5.3.0", ioBackend: "epoll", commit: "0123abc", root: "/nowhere")

    static func record(repeats: [RunFigures] = [figures()]) -> RunRecord {
        RunRecord(
            setup: setup, repeats: repeats, environment: environment, command: "streamgauge run tcp+yamux -w bulk -c 10 -m 1000 -s 64KiB -t 5s")
    }
}
