import Gauge
import Report
import Testing

@Suite struct RunSummaryTests {
    private func summary(_ figures: RunFigures, width: Int = 80) -> String {
        RunSummary.text(Samples.record("tcp+yamux", [figures]), width: width)
    }

    @Test func theVerdictStandsFirst() {
        let text = summary(Samples.bulk())
        #expect(text.hasPrefix("VALID: tcp+yamux, bulk up, 10 connections x 1,000 streams, 64 KiB messages,\n"))
        #expect(text.contains("goodput     3.20 GB/s (25.6 Gbit/s)"))
        #expect(!text.contains("must not be believed"))
    }

    @Test func anInvalidRunSaysWhy() {
        var figures = Samples.bulk()
        figures.invalidate(
            "connection 3, stream 17, up: the client sent 655,360 bytes in 10 messages, the server received 655,296 bytes in 9 messages")
        let text = summary(figures)
        #expect(text.hasPrefix("INVALID: tcp+yamux"))
        #expect(text.contains("  - connection 3, stream 17, up: the client sent 655,360 bytes in 10 messages,\n    the server received"))
        #expect(text.contains("The figures below must not be believed."))
    }

    @Test func anInterruptedRunSaysSo() {
        var figures = Samples.bulk()
        figures.partial = true
        #expect(summary(figures).hasPrefix("VALID, PARTIAL: "))
        #expect(summary(figures).contains("The run did not reach its end"))
    }

    private var overALink: RunFigures {
        var figures = Samples.bulk()
        figures.link = .value(LinkFigures(
            roundTripNanoseconds: 60_000_000, bitsPerSecond: 1_000_000_000, bufferBytes: 7_500_000, jitterNanoseconds: 0, bandwidthDelayBytes: 7_500_000,
            utilisationUp: 0.9912, utilisationDown: 0))
        let points = [(0.0, 0), (0.1, 500_000), (0.2, 12_000_000), (0.3, 24_500_000)].map { seconds, received in
            WindowTrajectory.Point(
                seconds: seconds, windowBytes: .value(seconds < 0.2 ? 256 << 10 : 16 << 20), inFlightBytes: 1 << 20, receivedBytes: UInt64(received))
        }
        figures.windowTrajectory = .value([WindowTrajectory(direction: "up", points: points, bytesPerSecond: 125e6, spanSeconds: 0.06)])
        figures.stalls = BothSides(
            client: .value(StallShares(window: 0.25, socket: 0.5, crypto: .unavailable("connections are bare"), nothingQueued: 0, notReading: 0)),
            server: .value(StallShares(window: 0, socket: 0, crypto: .unavailable("connections are bare"), nothingQueued: 1, notReading: 0)))
        return figures
    }

    @Test func aLinkIsToldWithItsWindowsAndStalls() {
        let text = summary(overALink, width: 200)
        #expect(text.contains("60.0 ms round trip, 1.00 Gbit/s, buffer 7.15 MiB, bandwidth-delay product 7.15 MiB"))
        #expect(text.contains("used up       0.991 of the rate") && !text.contains("used down"))
        #expect(text.contains("256 KiB at 0 ns, 16.0 MiB at 200 ms; at most 1.00 MiB under way; 0.9 of the rate after 200 ms"))
        #expect(text.contains("the window: data queued, no credit   25.0 %    0.0 %"))
        #expect(!text.contains("sealing and opening"))
        #expect(!summary(Samples.bulk()).contains("The link"))
    }

    @Test(arguments: [60, 80, 120])
    func everyLineFits(_ width: Int) {
        let records = [
            Samples.record("tcp+yamux", [Samples.bulk()]), Samples.record("tcp+yamux", [overALink]),
            Samples.record("tcp+yamux", workload: "request", messageBytes: 64, [Samples.request()]),
        ]
        for record in records {
            for line in RunSummary.text(record, width: width).split(separator: "\n") {
                #expect(String(line).displayWidth <= width, "\(line)")
            }
        }
    }

    @Test func theLedgerAddsUp() {
        let text = summary(Samples.bulk())
        #expect(text.contains("accounted for       16,002,929,680  16,002,929,680  4,394,520  4,394,520"))
        #expect(text.contains("residual                         0               0          0          0"))
        #expect(!text.contains("mux ping"))
    }

    @Test func absentFiguresHaveAReasonOrAreLeftOut() {
        let empty = summary(RunFigures())
        #expect(!empty.contains("goodput") && !empty.contains("Bytes on the wire") && !empty.contains("Costs"))
        var figures = Samples.bulk()
        figures.ledger.server = .unavailable("the far end is not ours")
        figures.cpuUserSeconds.server = .unavailable("the far end is not ours")
        figures.ledger.client.sent.kernelBytes = .unavailable("unix transport")
        let text = summary(figures)
        #expect(text.contains("the server's ledger is not available: the far end is not ours"))
        #expect(text.contains("the kernel's count is not available: unix transport"))
        // What is absent for the same reason is named in one line.
        #expect(text.contains("CPU, CPU per GiB, CPU per message, server: not available: the far end is not"))
        #expect(text.contains("latency     not available: bulk measures no latency"))
    }

    @Test func repeatsAreTold() {
        let record = Samples.record("tcp+yamux", (1...3).map { Samples.bulk(goodput: Double($0) * 1e9, repeatIndex: $0) })
        let line = "repeats     3; the figures are those of repeat 2, the median; goodput 1.00 GB/s to 3.00 GB/s"
        #expect(RunSummary.text(record, width: 100).contains(line))
    }

    @Test func aDebugBuildIsNamed() {
        var environment = Samples.environment
        environment.buildConfiguration = "debug"
        let record = RunRecord(setup: Samples.canonical[1].setup, repeats: [Samples.bulk()], environment: environment, command: "")
        #expect(RunSummary.text(record).contains("This is a debug build: its speed means nothing."))
        #expect(CanonicalReport.text([record]).contains("This is a debug build: its speed means nothing."))
    }
}

@Suite struct CanonicalReportTests {
    @Test func headlinesAndRatios() {
        let text = CanonicalReport.text(Samples.canonical)
        #expect(text.contains("1. yamux over 10 x 1,000 streams carries 0.89 of raw TCP: 3.20 GB/s of 3.60 GB/s\n"))
        #expect(text.contains("2. 1,612,345 requests/s of 64 B on 1,000 streams of one connection\n"))
        #expect(text.contains("tcp+mplex  bulk up 10 x 1,000 x 64 KiB  2.95 GB/s  45.0 k/s        -    0.82\n"))
        // A thousand streams are not held against one bare connection.
        #expect(text.contains("tcp+yamux  request 1 x 1,000 x 64 B      103 MB/s  1.61 M/s  1.40 ms       -\n"))
    }

    @Test func wideTerminalsShowMore() {
        let text = CanonicalReport.text(Samples.canonical, width: 120)
        #expect(text.contains("calls/MiB   Jain  of raw"))
        for width in [80, 120] {
            for line in CanonicalReport.text(Samples.canonical, width: width).split(separator: "\n") {
                #expect(String(line).displayWidth <= width, "\(line)")
            }
        }
    }

    @Test func anInvalidRunHasNoFigures() {
        var broken = Samples.bulk()
        broken.invalidate("64 bytes belong to no account")
        var records = Samples.canonical
        records[1] = Samples.record("tcp+yamux", [broken])
        let text = CanonicalReport.text(records)
        #expect(text.contains("1. Throughput of yamux over 10 x 1,000 streams: INVALID\n"))
        #expect(text.contains("INVALID: tcp+yamux, bulk up, 10 connections x 1,000 streams, 64 KiB messages\n  - 64 bytes belong to no account\n"))
        #expect(!text.contains("3.20 GB/s"))
    }

    @Test func anInvalidBaselineIsNoBaseline() {
        var broken = Samples.bulk("tcp", goodput: 3.6e9)
        broken.invalidate("x")
        var records = Samples.canonical
        records[0] = Samples.record("tcp", streams: 1, [broken])
        let text = CanonicalReport.text(records, width: 120)
        #expect(text.contains("not available: no valid run of raw tcp to compare with"))
        #expect(!text.contains("0.82"))
    }

    @Test func missingRunsAreSaid() {
        let text = CanonicalReport.text([])
        #expect(text.contains("1. Throughput: not available") && text.contains("2. Requests: not available"))
    }

    @Test func oneStreamIsHeldAgainstOneConnection() {
        let records = [
            Samples.record("tcp", workload: "request", connections: 1, streams: 1, messageBytes: 64, [Samples.request(rate: 15_000)]),
            Samples.record("tcp+yamux", workload: "request", connections: 1, streams: 1, messageBytes: 64, [Samples.request(rate: 14_250)]),
        ]
        #expect(CanonicalReport.text(records).contains("  0.95\n"))
    }
}
