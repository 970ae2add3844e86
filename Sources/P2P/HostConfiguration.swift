public import Muxers
public import Negotiation
public import Reactor
public import SecureChannels

/// What a host may hold and how long it waits. Every limit has a default and a reason.
public struct HostLimits: Sendable {
    /// Connections of the host, both directions together. Each costs a descriptor and some 300 KiB of buffers while it is busy.
    public var connectionsMax = 4096
    /// Accepted connections whose upgrade is under way: strangers may not make this host compute signatures without bound. Dials do not count.
    public var handshakesMax = 256
    /// Streams of one connection, both directions together; more are reset, or refused to this side.
    public var streamsPerConnectionMax = 8192
    /// Streams of one connection that the far end opened and that have not agreed on a protocol: each holds a machine and may hold a cut message, a kilobyte at most.
    /// mplex has nothing that holds a burst back, and py-libp2p opens a thousand streams at once before it says anything on the first.
    public var negotiationsPerConnectionMax = 1024
    /// Opens of one connection that wait for the far end to acknowledge earlier ones.
    public var waitingOpensMax = 4096
    /// What may wait to be sent on a stream before a task that writes to it is held back. Four times the low-water mark at which it goes on, so that
    /// the connection does not run dry meanwhile.
    public var sendHighWaterBytes = 256 << 10
    /// How long a stream may take to agree on a protocol, and before that an open may wait for the far end to acknowledge earlier ones. go-libp2p gives 10 seconds too.
    public var negotiationNanoseconds: UInt64 = 10_000_000_000
    /// How long securing and multiplexing a connection may take. go-libp2p gives it 15 seconds too.
    public var upgradeNanoseconds: UInt64 = 15_000_000_000
    /// How long a dial may take, without the upgrade.
    public var dialNanoseconds: UInt64 = EventLoop.connectTimeoutDefaultNanoseconds
    /// How long the exchange of identify may take.
    public var identifyNanoseconds: UInt64 = 10_000_000_000
    /// How long ``Host/close()`` lets streams end in order before they are reset.
    public var closeNanoseconds: UInt64 = 2_000_000_000
    /// What negotiations of streams may ask.
    public var negotiation = NegotiationLimits()
    /// What multiplexers may hold.
    public var muxer = MuxerLimits()
    /// What connections may hold.
    public var connection = ConnectionLimits()

    public init() {}
}

/// Where a host's connections run.
public enum HostLoops: Sendable {
    /// Loops of the host's own, stopped when it closes.
    case own(count: Int, EventLoopConfiguration)
    /// Started loops that somebody else stops, after the host has closed.
    case shared([EventLoop])
}

/// What libp2p's perf protocol may do on a host: whoever can connect can make a server of it send without end.
public enum PerfService: Sendable {
    /// Streams for it are refused.
    case off
    /// Whoever asks is answered.
    case on
}

/// How a host is set up.
public struct HostConfiguration: Sendable {
    /// Whose host it is: the private key that proves its peer ID.
    public var identity: LocalIdentity
    /// One loop of the host's own, unless said otherwise.
    public var loops = HostLoops.own(count: 1, EventLoopConfiguration())
    /// What this side speaks, the preferred first.
    public var security: [SecurityKind] = [.noise, .tls]
    /// What this side speaks, the preferred first.
    public var muxers: [MuxerKind] = [.yamux]
    /// Where the multiplexer is agreed on.
    public var muxerNegotiation = MuxerNegotiation.early
    /// Tried in order; the first that knows an address takes it.
    public var transports: [any Transport] = [SocketTransport(), NameTransport(), MemoryTransport()]
    /// What the host may hold and how long it waits.
    public var limits = HostLimits()
    /// Whether perf is answered. Off: whoever can connect could have this side send without end.
    public var perf = PerfService.off
    /// What identify tells about this program.
    public var agentVersion = "streamgauge"
    /// What identify tells about the network that this host is part of.
    public var protocolVersion = "ipfs/0.1.0"

    /// With the identity given, and everything else as it is usual.
    public init(identity: LocalIdentity) { self.identity = identity }

    /// With a new random identity.
    public init() throws(HostError) {
        do {
            self.init(identity: try LocalIdentity())
        } catch {
            throw .key(error)
        }
    }
}
