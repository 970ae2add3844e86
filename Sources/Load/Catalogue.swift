/// The scenarios that have names.
public struct Catalogue: Sendable {
    /// A scenario and what it is good for.
    public struct Entry: Sendable {
        public let name: String
        /// What a person learns from it.
        public let question: String
        public var scenario: Scenario
    }

    public let entries: [Entry]

    /// The scenario of this name.
    public func entry(named name: String) throws(CatalogueError) -> Entry {
        if let entry = entries.first(where: { $0.name == name }) { return entry }
        throw CatalogueError(name: name, nearest: Nearest.to(name, among: entries.map(\.name)), known: entries.map(\.name))
    }

    /// What the bare command and `scripts/bench` run: the same questions to raw TCP, yamux and mplex, and what security leaves of yamux.
    public static let canonical = Catalogue(entries: raw + muxed("yamux") + muxed("mplex") + secured("noise") + secured("tls"))

    private static let raw: [Entry] = [
        Entry(
            name: "tcp-bulk-1", question: "how fast is one connection without a multiplexer",
            scenario: bulk("tcp", connections: 1, streams: 1, messageSizeBytes: 64 << 10)),
        Entry(
            name: "tcp-bulk-10", question: "how fast are ten connections without a multiplexer",
            scenario: bulk("tcp", connections: 10, streams: 1, messageSizeBytes: 64 << 10)),
        Entry(
            name: "tcp-request-1", question: "how long does a round trip take without a multiplexer",
            scenario: request("tcp", streams: 1)),
    ]

    private static func muxed(_ muxer: String) -> [Entry] {
        let subject = "tcp+\(muxer)"
        return [
            Entry(
                name: "\(muxer)-bulk-1", question: "what does \(muxer) leave of one connection",
                scenario: bulk(subject, connections: 1, streams: 1, messageSizeBytes: 64 << 10)),
            Entry(
                name: "\(muxer)-bulk-10x1000", question: "what do ten connections with a thousand streams each carry",
                scenario: bulk(subject, connections: 10, streams: 1000, messageSizeBytes: 64 << 10)),
            Entry(
                name: "\(muxer)-1KiB-1000", question: "how many 1 KiB messages a second go over a thousand streams",
                scenario: bulk(subject, connections: 1, streams: 1000, messageSizeBytes: 1 << 10)),
            Entry(
                name: "\(muxer)-64B-1000", question: "how many 64-byte messages a second go over a thousand streams",
                scenario: bulk(subject, connections: 1, streams: 1000, messageSizeBytes: 64)),
            Entry(
                name: "\(muxer)-request-1", question: "how long does a round trip take on a stream",
                scenario: request(subject, streams: 1)),
            Entry(
                name: "\(muxer)-request-1000", question: "how many requests a second do a thousand streams of one connection make",
                scenario: request(subject, streams: 1000)),
            Entry(
                name: "\(muxer)-churn-100", question: "how many streams a second are opened, used and closed",
                scenario: Scenario(
                    subject: subject, workload: "churn", streams: 100, flows: [.init(verb: .churn, messageSizeBytes: 64)])),
            Entry(
                name: "\(muxer)-mixed-101", question: "how long does a request wait beside a hundred bulk streams",
                scenario: Scenario(
                    subject: subject, workload: "mixed", streams: 101,
                    flows: [.init(verb: .request, streams: 1, messageSizeBytes: 64), .init(verb: .send, messageSizeBytes: 64 << 10)])),
        ]
    }

    private static func secured(_ security: String) -> [Entry] {
        let subject = "tcp+\(security)+yamux"
        return [
            Entry(
                name: "\(security)-bulk-1", question: "what do \(security) and yamux leave of one connection",
                scenario: bulk(subject, connections: 1, streams: 1, messageSizeBytes: 64 << 10)),
            Entry(
                name: "\(security)-request-1000", question: "how many requests a second do a thousand streams make through \(security)",
                scenario: request(subject, streams: 1000)),
            Entry(
                name: "\(security)-connect-10", question: "how many connections a second does \(security) let up, ten at a time",
                scenario: Scenario(
                    subject: subject, workload: "connect", connections: 10, flows: [.init(verb: .connect, messageSizeBytes: 64)])),
        ]
    }

    private static func bulk(_ subject: String, connections: Int, streams: Int, messageSizeBytes: Int) -> Scenario {
        Scenario(
            subject: subject, workload: "bulk", connections: connections, streams: streams,
            flows: [.init(verb: .send, messageSizeBytes: messageSizeBytes)])
    }

    private static func request(_ subject: String, streams: Int) -> Scenario {
        Scenario(subject: subject, workload: "request", streams: streams, flows: [.init(verb: .request, messageSizeBytes: 64)])
    }
}

/// A scenario that is not in the catalogue.
public struct CatalogueError: Error, Equatable, Sendable, CustomStringConvertible {
    public let name: String
    /// One that is spelled alike.
    public let nearest: String?
    /// All there are.
    public let known: [String]

    public var description: String {
        "there is no scenario '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "") Known scenarios: \(known.joined(separator: ", "))"
    }
}
