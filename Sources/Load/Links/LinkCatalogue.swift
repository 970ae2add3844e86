extension Catalogue {
    /// What can be replayed over emulated links: how our windows fill one, and known stalls of other implementations. Their files are in `Benchmarks/Scenarios`.
    public static let links = Catalogue(entries: [
        over("link-up-60ms", "rtt=60ms,rate=1Gbit", "tcp+yamux", .send, "how much of 1 Gbit/s over 60 ms does one stream fill"),
        over("link-down-60ms", "rtt=60ms,rate=1Gbit", "tcp+yamux", .receive, "the same from the server"),
        over("link-noise-60ms", "rtt=60ms,rate=1Gbit", "tcp+noise+yamux", .send, "the same behind noise"),
        over(
            "link-fixed-256KiB", "rtt=60ms,rate=1Gbit", "tcp+yamux(window=256KiB)", .send,
            "what does a window that stays at 256 KiB leave of it"),
        over(
            "link-go-yamux-136", "rtt=92700us,rate=3670kbit", "tcp+yamux", .send,
            "the path of libp2p/go-yamux issue 136: tuning stops early, and what that costs"),
        over(
            "link-rust-yamux-227", "rtt=20ms,rate=50Mbit,buffer=32KiB", "tcp+yamux", .duplex,
            "the load of libp2p/rust-yamux issue 227: both ends write, and neither may wait for the other", streams: 16),
    ])

    /// All of them.
    public static let all = Catalogue(entries: canonical.entries + links.entries)

    private static func over(
        _ name: String, _ link: String, _ stack: String, _ verb: Scenario.Flow.Verb, _ question: String, streams: Int = 1
    ) -> Entry {
        Entry(
            name: name, question: question,
            scenario: Scenario(
                subject: "link(\(link))+\(stack)", workload: Workload.bulk.rawValue, streams: streams,
                flows: [.init(verb: verb, messageSizeBytes: 64 << 10)], durationSeconds: 10, omitSeconds: 2))
    }
}
