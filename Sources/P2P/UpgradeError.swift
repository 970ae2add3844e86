import Multiformats
public import Negotiation
public import Reactor
public import SecureChannels

/// Why no connection came of a channel. ``origin`` says who caused it.
public enum UpgradeError: Error, Equatable, Sendable {
    /// Who caused it.
    public enum Origin: Sendable {
        /// This side.
        case local
        /// The far end.
        case remote
        /// The kernel, or the network below it.
        case kernel
    }

    /// The two ends have no kind of security in common, or the far end negotiates otherwise.
    case securityNegotiation(NegotiationError)
    /// The secure channel gave the connection up.
    case handshake(SecurityKind, SecureChannelError)
    /// The two ends have no multiplexer in common, or the far end negotiates otherwise.
    case muxerNegotiation(NegotiationError)
    /// The far end stopped sending.
    case ended(during: UpgradeStep)
    /// What lies below failed.
    case channel(ChannelError, during: UpgradeStep)
    /// The whole upgrade took longer than it may.
    case timedOut(during: UpgradeStep, afterNanoseconds: UInt64)
    /// ``Upgrade/cancel()`` was called.
    case cancelled

    /// Who caused it.
    public var origin: Origin {
        switch self {
        case .securityNegotiation, .muxerNegotiation: .remote
        case .handshake(_, let error): error.origin == .local ? .local : .remote
        case .ended, .timedOut: .remote
        case .channel(let error, _):
            switch error.origin {
            case .local: .local
            case .remote: .remote
            case .kernel: .kernel
            }
        case .cancelled: .local
        }
    }
}

extension UpgradeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .securityNegotiation(let error): "no secure channel was agreed on: \(error)"
        case .handshake(let kind, let error): "the handshake of \(kind.protocolID) failed: \(error)"
        case .muxerNegotiation(let error): "no multiplexer was agreed on: \(error)"
        case .ended(let step): "the far end closed the connection during the \(step.rawValue)"
        case .channel(let error, let step): "during the \(step.rawValue): \(error)"
        case .timedOut(let step, let nanoseconds):
            "the far end did not finish the \(step.rawValue) within \(Double(nanoseconds / 1_000_000) / 1000) s"
        case .cancelled: "given up by this side"
        }
    }
}
