public import Ciphers
public import Kernel
public import Multiformats
public import Muxers
public import Negotiation
public import Reactor
public import SecureChannels

/// Why something that a ``Host``, one of its connections or one of its streams was asked to do does not happen. ``origin`` says who caused it.
public enum HostError: Error, Sendable {
    /// Who caused it.
    public enum Origin: Sendable {
        /// This side: what was asked cannot be, or a limit of its own says no.
        case local
        /// The far end.
        case remote
        /// The kernel, or the network below it.
        case kernel
    }

    // What was asked.
    /// No transport of the host's knows such an address.
    case unsupportedAddress(Multiaddr)
    /// The path of a Unix socket is longer than the kernel takes.
    case pathTooLong(Multiaddr, byteCount: Int, limitBytes: Int)
    /// There is a listener in this process at the address already.
    case memoryAddressInUse(Multiaddr)
    /// Nobody in this process listens at the address.
    case noMemoryListener(Multiaddr)
    /// A name in an address leads nowhere.
    case nameNotResolved(NameResolution.Failure)
    /// No connection to the peer, and no address to make one.
    case notConnected(PeerID)
    /// The address names this host.
    case cannotDialSelf
    /// ``Host/close()`` was called.
    case hostClosed
    /// ``HostLimits/connectionsMax`` is reached.
    case tooManyConnections(limit: Int)
    /// ``HostLimits/handshakesMax`` is reached: an accepted connection was turned away.
    case tooManyHandshakes(limit: Int)
    /// ``HostLimits/streamsPerConnectionMax`` is reached.
    case tooManyStreams(limit: Int)
    /// ``HostLimits/waitingOpensMax`` is reached.
    case tooManyWaitingOpens(limit: Int)
    /// A stream was to be opened for more protocols than a negotiation may propose.
    case tooManyProposals(Int, limit: Int)
    /// The task that used the stream was cancelled, and the stream reset.
    case cancelled
    /// This side has finished or reset the stream, and cannot write to it or read from it.
    case streamClosed

    // Keys in files.
    /// The file cannot be read or made.
    case keyFile(path: String, Errno)
    /// The file holds no private key of libp2p's.
    case malformedKey(path: String, MultiformatError)
    /// Others than the owner may read the file.
    case keyFileNotPrivate(path: String, mode: UInt32)
    /// A key cannot be made, or is of no use.
    case key(CipherError)
    /// The keys of secure channels could not be made.
    case security(SecureChannelError)

    // Connections.
    /// A loop, a listener or a connection below could not be made.
    case channel(ChannelError)
    /// The connection was made, but not secured and multiplexed.
    case upgrade(UpgradeError)
    /// The far end of a dialled address is somebody else.
    case wrongPeer(expected: PeerID, actual: PeerID)
    /// The connection is over, or was before this was asked of it.
    case connectionEnded(ConnectionEnd)
    /// ``PeerConnection/close()`` was called, or the far end takes no new streams any more: those that are open go on, and none begins.
    case connectionClosing

    // Streams.
    /// The multiplexer refused the call.
    case muxer(MuxerError)
    /// No protocol was agreed on.
    case negotiation(NegotiationError)
    /// No protocol was agreed on within ``HostLimits/negotiationNanoseconds``.
    case negotiationTimedOut(afterNanoseconds: UInt64)
    /// The far end reset the stream.
    case streamReset(code: UInt32)
    /// The multiplexer ended the stream at this end, for a reason that is not the far end's wish.
    case streamGivenUp(StreamReset)
    /// The far end finished in the middle of something.
    case streamEndedEarly(byteCount: Int, expected: Int)
    /// The far end sent more than it was asked for.
    case streamTooLong(expected: Int)

    // Protocols of libp2p's own.
    /// The far end's description of itself is longer than is read.
    case identifyTooLarge(limitBytes: Int)
    /// The far end's description of itself cannot be read.
    case malformedIdentify(MultiformatError)
    /// The public key in the far end's description of itself is not that of the connection.
    case identifyOfAnotherPeer(claimed: PeerID, actual: PeerID)
    /// A ping was answered with other bytes.
    case wrongPong
    /// A stream's deadline passed (``Stream/setDeadline(afterNanoseconds:)``), or an open waited too long for the far end to acknowledge others.
    case timedOut(afterNanoseconds: UInt64)

    /// Who caused it.
    public var origin: Origin {
        switch self {
        case .unsupportedAddress, .pathTooLong, .memoryAddressInUse, .noMemoryListener, .notConnected, .cannotDialSelf, .hostClosed, .connectionClosing,
            .tooManyConnections, .tooManyHandshakes, .tooManyStreams, .tooManyWaitingOpens, .tooManyProposals, .cancelled, .streamClosed, .malformedKey,
            .keyFileNotPrivate, .key, .security:
            .local
        case .keyFile, .nameNotResolved: .kernel
        case .streamGivenUp(let reset): reset == .readerTooSlow ? .local : .remote
        case .channel(let error): Origin(error.origin)
        case .upgrade(let error): Origin(error.origin)
        case .muxer(let error): error.origin == .local ? .local : .remote
        case .connectionEnded(let end): Origin(end)
        case .wrongPeer, .negotiation, .negotiationTimedOut, .streamReset, .streamEndedEarly, .streamTooLong, .identifyTooLarge, .malformedIdentify,
            .identifyOfAnotherPeer, .wrongPong, .timedOut:
            .remote
        }
    }
}

extension HostError {
    init(_ reset: StreamReset) {
        if case .farEnd(let code) = reset { self = .streamReset(code: code) } else { self = .streamGivenUp(reset) }
    }
}

extension HostError.Origin {
    init(_ origin: ChannelError.Origin) {
        self =
            switch origin {
            case .local: .local
            case .remote: .remote
            case .kernel: .kernel
            }
    }

    init(_ origin: UpgradeError.Origin) {
        self =
            switch origin {
            case .local: .local
            case .remote: .remote
            case .kernel: .kernel
            }
    }

    init(_ end: ConnectionEnd) {
        self =
            switch end {
            case .orderly, .remoteClosed: .remote
            case .aborted: .local
            case .muxer(let error): error.origin == .local ? .local : .remote
            case .channel(let error): .init(error.origin)
            case .security(let error): error.origin == .local ? .local : .remote
            }
    }
}

extension HostError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedAddress(let address): Self.unsupported(address)
        case .pathTooLong(let address, let byteCount, let limit):
            "'\(address)' cannot be a Unix socket: its path has \(byteCount) bytes and the kernel takes \(limit); use a shorter one"
        case .memoryAddressInUse(let address): "somebody in this process listens on \(address) already"
        case .noMemoryListener(let address): "nobody in this process listens on \(address)"
        case .nameNotResolved(let failure): "\(failure)"
        case .notConnected(let peer): "there is no connection to \(peer); connect to an address of it first"
        case .cannotDialSelf: "the address is this host's own"
        case .hostClosed: "the host is closed"
        case .connectionClosing: "the connection is being closed and opens no more streams; connect again"
        case .tooManyConnections(let limit): "the host has \(limit) connections already, as many as it may"
        case .tooManyHandshakes(let limit): "the host has \(limit) handshakes under way, as many as it may"
        case .tooManyStreams(let limit): "the connection has \(limit) streams already, as many as it may"
        case .tooManyWaitingOpens(let limit): "\(limit) streams wait already for the far end to acknowledge others"
        case .tooManyProposals(let count, let limit): "\(count) protocols for one stream are too many: at most \(limit) can be proposed"
        case .cancelled: "the task was cancelled, and the stream reset"
        case .streamClosed: "this side has ended the stream"
        case .keyFile(let path, let error): "the key file '\(path)' cannot be used: \(error)"
        case .malformedKey(let path, let error): "the file '\(path)' holds no private key of libp2p's: \(error)"
        case .keyFileNotPrivate(let path, let mode):
            "others may read the key file '\(path)' (its mode is \(String(mode, radix: 8))): run chmod 600 on it"
        case .key(let error): "\(error)"
        case .security(let error): "\(error)"
        case .channel(let error): "\(error)"
        case .upgrade(let error): "\(error)"
        case .wrongPeer(let expected, let actual): "the far end is \(actual), not \(expected)"
        case .connectionEnded(let end): "the connection is over: \(end)"
        case .muxer(let error): "\(error)"
        case .negotiation(let error): "\(error)"
        case .negotiationTimedOut(let nanoseconds): "no protocol was agreed on within \(Self.seconds(nanoseconds))"
        case .streamReset(let code): "\(StreamReset.farEnd(code: code))"
        case .streamGivenUp(let reset): "\(reset)"
        case .streamEndedEarly(let byteCount, let expected): "the far end finished the stream after \(byteCount) bytes of \(expected)"
        case .streamTooLong(let expected): "the far end sends more than the \(expected) bytes it was asked for"
        case .identifyTooLarge(let limit): "the far end describes itself in more than \(limit) bytes"
        case .malformedIdentify(let error): "the far end's description of itself is malformed: \(error)"
        case .identifyOfAnotherPeer(let claimed, let actual): "the far end is \(actual) and describes itself as \(claimed)"
        case .wrongPong: "the far end answered a ping with other bytes"
        case .timedOut(let nanoseconds): "no answer within \(Self.seconds(nanoseconds))"
        }
    }

    private static func unsupported(_ address: Multiaddr) -> String {
        let usable = "use /ip4/HOST/tcp/PORT, /ip6/HOST/tcp/PORT or /unix/PATH (to dial also /dns/NAME/tcp/PORT)"
        let layers = address.withoutPeerID.components.drop { if case .tcp = $0 { false } else { true } }.dropFirst()
        guard let layer = layers.first else { return "'\(address)' is not an address to listen on or dial; \(usable)" }
        return "'\(address)' is not an address to listen on or dial: \(layer) over TCP is not spoken here; \(usable)"
    }

    private static func seconds(_ nanoseconds: UInt64) -> String { "\(Double(nanoseconds / 1_000_000) / 1000) s" }
}
