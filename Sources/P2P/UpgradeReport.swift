public import SecureChannels

/// Bytes in both directions.
public struct Traffic: Equatable, Sendable {
    /// Bytes that this side wrote.
    public var sent: UInt64 = 0
    /// Bytes that the far end wrote.
    public var received: UInt64 = 0

    public init(sent: UInt64 = 0, received: UInt64 = 0) {
        self.sent = sent
        self.received = received
    }
}

/// The parts of an upgrade, in order.
public enum UpgradeStep: String, CaseIterable, Sendable {
    /// multistream-select, in the clear.
    case securityNegotiation = "negotiation of security"
    /// The secure channel's.
    case handshake
    /// multistream-select within the secure channel; left out where the handshake agreed.
    case muxerNegotiation = "negotiation of the multiplexer"
}

/// What an upgrade cost: bytes by what they were for, and when each step was done. Complete when the upgrade is; of one that failed, what there was.
public struct UpgradeReport: Equatable, Sendable {
    /// What was done, for a waterfall.
    public enum Milestone: Equatable, Sendable {
        /// The upgrade began.
        case started
        /// Both ends have agreed on a secure channel.
        case securityAgreed
        /// A message of the handshake was written or had wholly arrived.
        case handshakeMessage(HandshakeMessage)
        /// The handshake is done, and the far end is who it claims to be.
        case established
        /// Both ends have agreed on a multiplexer.
        case muxerAgreed

        /// In words, for tables.
        public var name: String {
            switch self {
            case .started: "begun"
            case .securityAgreed: "security agreed on"
            case .handshakeMessage(let message):
                "handshake message '\(message.name)' \(message.direction == .sent ? "sent" : "received")"
            case .established: "far end authenticated"
            case .muxerAgreed: "multiplexer agreed on"
            }
        }
    }

    /// When something was done.
    public struct Mark: Equatable, Sendable {
        public let milestone: Milestone
        /// In the loop's time.
        public let nanoseconds: UInt64
        /// ``UpgradeReport/roundTrips`` until then.
        public let roundTrips: Int
    }

    /// What the channel had carried before the upgrade began.
    public internal(set) var before = Traffic()
    /// Bytes of the negotiation of security.
    public internal(set) var securityNegotiation = Traffic()
    /// The handshake itself. What a channel says later that is no payload (alerts, new keys, farewells) is not in it, but in the channel's counters.
    public internal(set) var handshake = Traffic()
    /// Bytes of the classic negotiation, without the records around them; none after an early one.
    public internal(set) var muxerNegotiation = Traffic()
    /// How the multiplexer was in fact agreed on.
    public internal(set) var negotiated = MuxerNegotiation.classic
    /// In order; the first is ``Milestone/started``.
    public internal(set) var marks: [Mark] = []
    /// How often this side wrote and then had to wait for the far end before it could go on. For a dialler these are the round trips until it may send.
    public internal(set) var roundTrips = 0

    /// From the start to the last milestone.
    public var durationNanoseconds: UInt64 {
        guard let first = marks.first, let last = marks.last else { return 0 }
        return last.nanoseconds - first.nanoseconds
    }
}
