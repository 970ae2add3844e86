import Gauge
public import Multiformats
import P2P
import SecureChannels

/// A workload made from what any libp2p node may serve, for a node that knows nothing of runs.
///
/// | workload | is |
/// | --- | --- |
/// | `request` | `/ipfs/ping/1.0.0`: 32 bytes there and back, again and again on each stream |
/// | `bulk` | `/perf/1.0.0` on each stream, one way |
/// | `churn` | `/perf/1.0.0`: a stream for each exchange of a message there and one of the same size back |
/// | `connect` | a connection, its upgrade, one ping, and its end |
struct NodeWorkload: Sendable {
    enum Kind: Sendable {
        case ping, upload, download, exchange, connect
    }

    /// What ping carries.
    static let pingBytes = 32
    /// The perf protocol has no messages: this is what is handed to the multiplexer at a time.
    static let messageBytesMax = 1 << 20

    let kind: Kind
    let messageBytes: Int
    let security: SecurityKind
    let muxer: MuxerKind

    /// - Throws: ``ScenarioError`` when a libp2p node cannot serve this, with what could be asked for instead.
    init(_ scenario: Scenario, on stack: ProtocolStack, target: Multiaddr) throws(ScenarioError) {
        guard let security = stack.security, let muxer = stack.muxer?.negotiable else {
            throw .contradiction(
                "\(target) is a libp2p node, which negotiates security first: name it in the subject, as in \(stack.transport.rawValue)+noise+yamux")
        }
        self.security = security
        self.muxer = muxer
        guard scenario.flows.count == 1, let flow = scenario.flows.first else {
            throw .contradiction("a libp2p node serves request, bulk, churn and connect: '\(scenario.workload)' needs a StreamGauge server")
        }
        kind = switch flow.verb {
        case .send: .upload
        case .receive: .download
        case .request: .ping
        case .churn: .exchange
        case .connect: .connect
        case .duplex: throw .contradiction("libp2p's perf protocol goes one way after the other: give --direction up or down")
        case .hold: throw .contradiction("a libp2p node serves request, bulk, churn and connect: 'idle' needs a StreamGauge server")
        }
        messageBytes = kind == .ping || kind == .connect ? Self.pingBytes : flow.messageSizeBytes
        if kind == .ping, flow.messageSizeBytes != Self.pingBytes {
            throw .contradiction("libp2p's ping carries 32 bytes: --message-size \(flow.messageSizeBytes) needs a StreamGauge server")
        }
        guard messageBytes <= Self.messageBytesMax else {
            throw .outOfRange(name: "message size", value: "\(messageBytes)", allowed: "up to 1 MiB against a libp2p node")
        }
        guard flow.depth == 1 else { throw .contradiction("libp2p's ping is one at a time: --depth needs a StreamGauge server") }
        guard scenario.ratePerSecond == nil else { throw .contradiction("--rate needs a StreamGauge server") }
        guard flow.readRateBytesPerSecond == nil else { throw .contradiction("--read-rate needs a StreamGauge server") }
        guard scenario.measuresStages != true else { throw .contradiction("--stages needs a StreamGauge server, which notes its side of a message's way") }
        if kind == .connect, scenario.streams > 1 { throw .contradiction("connect has one stream a connection: --streams does not go with it") }
    }

    /// The protocol that the node must serve.
    var protocolID: ProtocolID {
        switch kind {
        case .ping, .connect: Ping.protocolID
        case .upload, .download, .exchange: Perf.protocolID
        }
    }

    var isOperational: Bool { kind == .ping || kind == .exchange || kind == .connect }
}

extension Multiaddr {
    /// Whether this is a libp2p node's address, which ends in its peer ID, and not that of a StreamGauge server.
    public var isOfNode: Bool { peerID != nil }
}

extension Workload {
    /// Message size when none is given, for what the messages go to; nil for a server of the run's own.
    public func messageSizeDefault(for target: Multiaddr?) -> Int {
        self == .request && target?.isOfNode == true ? NodeWorkload.pingBytes : messageSizeDefault
    }
}

extension Scenario {
    /// What is verified in runs against a node: the bytes of every ping, and of perf, whose bytes mean nothing, the sizes.
    public var verifyOfNodes: String { [.request, .connect].contains(flows[0].verb) ? SampleRule.full.description : "sizes" }
}
