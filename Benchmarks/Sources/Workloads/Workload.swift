import P2P

/// A fixed piece of work that is done over and over: always the same operations on the same bytes, so that how many instructions it takes does not
/// depend on the day.
///
/// Call order: make it, run some batches until nothing grows any more, then run the batches that count.
///
/// Invariant: after a batch everything is as it was before it, apart from counters.
public protocol Workload: AnyObject {
    /// Does the same ``WorkloadEntry/operationsPerBatch`` operations once more. Returns something that depends on all of them.
    func runBatch() -> UInt64
}

/// A workload by name.
public struct WorkloadEntry: Sendable {
    /// What it is called in tables and files of thresholds.
    public let name: String
    /// How many operations one batch does: as many as a connection would do in one turn.
    public let operationsPerBatch: Int
    /// Payload of one operation in bytes; 0 where there is none.
    public let payloadBytes: Int
    /// Whether an allocation in steady state is an error, whatever was accepted before.
    public let mustNotAllocate: Bool
    /// How many operations a count is the difference between: whole batches, and no more than simulation does in some seconds.
    public let counted: (few: Int, many: Int)
    public let make: @Sendable () -> any Workload

    init(
        _ name: String, operationsPerBatch: Int, payloadBytes: Int = 0, mustNotAllocate: Bool = false, counted: (few: Int, many: Int) = (1000, 11_000),
        _ make: @escaping @Sendable () -> any Workload
    ) {
        self.name = name
        self.operationsPerBatch = operationsPerBatch
        self.payloadBytes = payloadBytes
        self.mustNotAllocate = mustNotAllocate
        self.counted = counted
        self.make = make
    }

    /// Pieces of the work without a network, in the order of tables.
    public static let innerLoops: [WorkloadEntry] = {
        var entries: [WorkloadEntry] = []
        for kind in MuxerKind.allCases {
            // One turn of a connection: as many small frames as are often there at once, as many large ones as one write takes.
            for (label, byteCount, frames, streams) in [("64B", 64, 100, 1), ("64KiB", 65_536, 2, 1), ("64B-1000-streams", 64, 1000, 1000)] {
                entries.append(
                    WorkloadEntry("\(kind)-encode-\(label)", operationsPerBatch: frames, payloadBytes: byteCount, mustNotAllocate: true) {
                        EncodeWorkload(kind, payloadBytes: byteCount, frames: frames, streams: streams)
                    })
                entries.append(
                    WorkloadEntry("\(kind)-decode-\(label)", operationsPerBatch: frames, payloadBytes: byteCount, mustNotAllocate: true) {
                        DecodeWorkload(kind, payloadBytes: byteCount, frames: frames, streams: streams)
                    })
            }
            entries.append(WorkloadEntry("\(kind)-open-close", operationsPerBatch: 10) { LifeWorkload(kind, streams: 10) })
        }
        for kind in ChannelKind.allCases {
            for (label, byteCount, records) in [("256B", 256, 100), ("64KiB", 65_536, 2)] {
                let ways: [(String, ChannelWorkload.Opening)] = [("seal", .nothing), ("seal-open", .wholeRecords), ("seal-open-cut", .cutRecords)]
                for (way, opens) in ways {
                    entries.append(
                        WorkloadEntry("\(kind)-\(way)-\(label)", operationsPerBatch: records, payloadBytes: byteCount, mustNotAllocate: true, counted: (100, 600)) {
                            ChannelWorkload(kind, payloadBytes: byteCount, records: records, opens: opens)
                        })
                }
            }
        }
        return entries + [
            WorkloadEntry("negotiation-listen", operationsPerBatch: 100, mustNotAllocate: true) { ListenWorkload(streams: 100) },
            WorkloadEntry("negotiation-dial", operationsPerBatch: 100, mustNotAllocate: true) { DialWorkload(streams: 100) },
            WorkloadEntry("pool-take-return", operationsPerBatch: 20) { PoolWorkload(blocks: 20) },
            WorkloadEntry("gather-append-take-back", operationsPerBatch: 100) { GatherWorkload(frames: 100) },
            WorkloadEntry("payload-matches-64KiB", operationsPerBatch: 10, payloadBytes: 65_536) { MatchWorkload(pieces: 10) },
            WorkloadEntry("payload-checksum-4KiB", operationsPerBatch: 10, payloadBytes: 4096) { ChecksumWorkload(messages: 10) },
            WorkloadEntry("recorder-record", operationsPerBatch: 100) { RecorderWorkload(operations: 100) },
            WorkloadEntry("histogram-record", operationsPerBatch: 100) { HistogramWorkload(operations: 100) },
        ]
    }()

    /// Whole messages, from one application to the other over the loopback.
    public static let endToEnd: [WorkloadEntry] = {
        func entry(
            _ name: String, _ muxer: MuxerKind, over security: SecurityKind? = nil, streams: Int, payloadBytes: Int, operationsPerBatch: Int,
            counted: (few: Int, many: Int) = (1000, 11_000), _ traffic: EndToEndWorkload.Traffic
        ) -> WorkloadEntry {
            WorkloadEntry(name, operationsPerBatch: operationsPerBatch, payloadBytes: payloadBytes, counted: counted) {
                EndToEndWorkload(muxer, over: security, streams: streams, payloadBytes: payloadBytes, traffic)
            }
        }
        return [
            entry("tcp-yamux-64B-100-streams", .yamux, streams: 100, payloadBytes: 64, operationsPerBatch: 1000, .messages(10)),
            entry("tcp-yamux-64KiB", .yamux, streams: 1, payloadBytes: 65_536, operationsPerBatch: 1, .messages(1)),
            entry("tcp-yamux-request-64B", .yamux, streams: 1, payloadBytes: 64, operationsPerBatch: 10, .requests(10)),
            entry("tcp-yamux-request-64B-100-streams", .yamux, streams: 100, payloadBytes: 64, operationsPerBatch: 1000, .requests(10)),
            entry("tcp-yamux-open-request-close", .yamux, streams: 10, payloadBytes: 64, operationsPerBatch: 10, .streams),
            entry("tcp-mplex-64B-100-streams", .mplex, streams: 100, payloadBytes: 64, operationsPerBatch: 1000, .messages(10)),
            entry(
                "tcp-noise-yamux-64B-100-streams", .yamux, over: .noise, streams: 100, payloadBytes: 64, operationsPerBatch: 1000, .messages(10)),
            entry(
                "tcp-noise-yamux-64KiB", .yamux, over: .noise, streams: 1, payloadBytes: 65_536, operationsPerBatch: 1, counted: (100, 600),
                .messages(1)),
        ]
    }()
}
