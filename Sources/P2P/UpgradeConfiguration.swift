public import Multiformats
public import Muxers
public import SecureChannels

/// The secure channels that an ``Upgrader`` can make.
public enum SecurityKind: String, CaseIterable, Sendable {
    /// `/noise`.
    case noise
    /// `/tls/1.0.0`: TLS 1.3 with libp2p's certificates.
    case tls
    /// `/plaintext/2.0.0`: protects nothing, and takes the far end's word for who it is.
    case plaintext

    /// By what multistream-select names it.
    public var protocolID: ProtocolID {
        switch self {
        case .noise: NoiseChannel.protocolID
        case .tls: TLSChannel.protocolID
        case .plaintext: PlaintextChannel.protocolID
        }
    }
}

/// The multiplexers that an ``Upgrader`` can agree on.
public enum MuxerKind: String, CaseIterable, Sendable {
    /// Holds senders back by windows, each stream for itself.
    case yamux
    /// Has no windows: a stream whose reader is slow is reset.
    case mplex

    /// By what multistream-select and the handshakes name it.
    public var protocolID: ProtocolID {
        switch self {
        case .yamux: "/yamux/1.0.0"
        case .mplex: "/mplex/6.7.0"
        }
    }

    /// A multiplexer with the limits that all have in common; its own stay as they are.
    public func make(_ role: MuxerRole, limits: MuxerLimits = MuxerLimits()) -> any Muxer {
        switch self {
        case .yamux:
            var own = YamuxLimits()
            own.common = limits
            return Yamux(role: role, limits: own)
        case .mplex:
            var own = MplexLimits()
            own.common = limits
            return Mplex(role: role, limits: own)
        }
    }
}

/// Where the multiplexer is agreed on.
public enum MuxerNegotiation: String, CaseIterable, Sendable {
    /// Within the handshake where the secure channel can do it (libp2p specification "Stream multiplexer negotiation in security handshake"), which saves a
    /// round trip; otherwise as ``classic``.
    case early
    /// By multistream-select over the secure channel.
    case classic
}

/// How connections are secured and multiplexed. Made once for a host and shared by all its loops: making keys and certificates costs
/// milliseconds.
///
/// Invariant: `security` and `muxers` name something and nothing twice; there is a key for every kind of security in `security` that needs one.
public struct UpgradeConfiguration: Sendable {
    /// Whose connections these are.
    public let identity: LocalIdentity
    /// What this side speaks, the preferred first.
    public let security: [SecurityKind]
    /// What this side speaks, the preferred first.
    public let muxers: [MuxerKind]
    /// Where the multiplexer is agreed on.
    public var muxerNegotiation: MuxerNegotiation
    /// How long the whole of an upgrade may take. go-libp2p gives a connection 15 seconds too: long enough for a slow path and three round trips, short
    /// enough that a silent peer does not hold a descriptor for long.
    public var timeoutNanoseconds: UInt64 = 15_000_000_000
    /// How much is sealed for one write; the same as for the connections on top.
    public var connection = ConnectionLimits()
    let noiseKey: NoiseStaticKey?
    let certificate: TLSCertificate?

    /// - Throws: when the keys cannot be made.
    public init(
        identity: LocalIdentity, security: [SecurityKind] = [.noise], muxers: [MuxerKind] = [.yamux],
        muxerNegotiation: MuxerNegotiation = .early
    ) throws(SecureChannelError) {
        precondition(!security.isEmpty && Set(security).count == security.count, "each kind of security once, and at least one")
        precondition(!muxers.isEmpty && Set(muxers).count == muxers.count, "each multiplexer once, and at least one")
        self.identity = identity
        self.security = security
        self.muxers = muxers
        self.muxerNegotiation = muxerNegotiation
        noiseKey = security.contains(.noise) ? try NoiseStaticKey(signedBy: identity) : nil
        certificate = security.contains(.tls) ? try TLSCertificate(signedBy: identity) : nil
    }

    /// A secure channel of this host.
    func channel(
        _ kind: SecurityKind, _ role: MuxerRole, expectedRemote: PeerID?
    ) throws(SecureChannelError) -> any SecureChannel {
        let own = SecureChannelConfiguration(
            identity: identity, role: role == .initiator ? .initiator : .responder, expectedRemote: expectedRemote,
            muxers: muxerNegotiation == .early ? muxers.map(\.protocolID) : [])
        switch kind {
        case .noise: return try NoiseChannel(own, staticKey: noiseKey)
        case .tls: return try TLSChannel(own, certificate: certificate)
        case .plaintext: return PlaintextChannel(own)
        }
    }
}
