public import Bytes
import Ciphers
public import Multiformats

/// `/noise`: the handshake Noise_XX_25519_ChaChaPoly_SHA256 with each end's libp2p identity in it, then encrypted records (libp2p specification
/// "noise-libp2p").
///
/// ```
///                  initiator                          responder
///
///             ┌───────────────┐                   ┌───────────────┐
///             │     idle      │                   │     idle      │
///             └───────┬───────┘                   └───────┬───────┘
///              start()│ sends e                    start()│
///             ┌───────▼───────┐                   ┌───────▼───────┐
///             │ handshaking   │                   │ handshaking   │
///             └───────┬───────┘                   └───────┬───────┘
///   e, ee, s, es comes│ its payload verified       e comes│ sends e, ee, s, es
///                     │ sends s, se         s, se comes   │ its payload verified
///             ┌───────▼───────┐                   ┌───────▼───────┐
///             │  established  │◀──── records ────▶│  established  │
///             └───────────────┘                   └───────────────┘
///
///                   anything else, at any time: failed
/// ```
///
/// Invariant: either `handshake` exists or `transport`, and the latter only when the far end's identity was verified; nothing is opened or sealed
/// before.
///
/// Noise has no farewell: an attacker can end a connection between two records unnoticed, so what is above must know its own end (a multiplexer does).
public final class NoiseChannel: SecureChannel {
    public static let protocolID: ProtocolID = "/noise"

    /// The longest handshake message. With an RSA identity of 8,192 bits it has 2.3 KiB; the rest is for the names of multiplexers. The
    /// specification's limit of 65,535 would let strangers make this side keep that much for each connection.
    static let handshakeBytesMax = 8192

    private enum State {
        case idle, handshaking, established
        case failed(SecureChannelError)
    }

    private let configuration: SecureChannelConfiguration
    private let staticKey: NoiseStaticKey
    /// Until it is done.
    private var handshake: HandshakeState?
    private var transport: TransportState?
    private var state = State.idle
    private var output: [UInt8] = []
    /// What has arrived of a handshake message, with its length.
    private var incoming: [UInt8] = []
    private var handshakeCounters = SecureChannelCounters()
    private var verified: RemoteIdentity?
    public private(set) var handshakeMessages: [HandshakeMessage] = []

    /// - Parameters:
    ///   - configuration: who this side is, and whom it expects.
    ///   - staticKey: made for ``SecureChannelConfiguration/identity``; nil makes one for this connection alone.
    public convenience init(_ configuration: SecureChannelConfiguration, staticKey: NoiseStaticKey? = nil) throws(SecureChannelError) {
        try self.init(configuration, staticKey: staticKey, ephemeralKey: nil)
    }

    /// With an ephemeral key that is given, for test vectors.
    init(_ configuration: SecureChannelConfiguration, staticKey: NoiseStaticKey?, ephemeralKey: X25519Key?) throws(SecureChannelError) {
        let staticKey = if let staticKey { staticKey } else { try NoiseStaticKey(signedBy: configuration.identity) }
        precondition(staticKey.identity.peerID == configuration.identity.peerID, "a Noise key of another identity")
        self.configuration = configuration
        self.staticKey = staticKey
        handshake = try HandshakeState(configuration.role, staticKey: staticKey.key, ephemeralKey: ephemeralKey)
    }

    public var isEstablished: Bool { transport != nil }

    public var remote: RemoteIdentity? { isEstablished ? verified : nil }

    public var counters: SecureChannelCounters {
        var counters = handshakeCounters
        transport?.add(to: &counters)
        return counters
    }

    public func start() throws(SecureChannelError) {
        guard case .idle = state else { preconditionFailure("a channel starts once") }
        state = .handshaking
        guard configuration.role == .initiator, let handshake else { return }
        do {
            // The first message is not secret, so there is nothing of libp2p's in it (section "The libp2p Handshake Payload").
            try write(payload: [], handshake)
        } catch {
            throw fail(error)
        }
    }

    public func takeOutput() -> [UInt8] {
        let taken = output
        output = []
        return taken
    }

    public func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        if case .failed(let error) = state { throw error }
        do {
            var offset = range.lowerBound
            while offset < range.upperBound, transport == nil { try receiveHandshake(block, &offset, upTo: range.upperBound) }
            guard offset < range.upperBound, let transport else { return }
            try transport.open(block, offset..<range.upperBound, into: &opened)
        } catch {
            throw fail(error)
        }
    }

    public func receiveEnd() throws(SecureChannelError) {
        if case .failed(let error) = state { throw error }
        guard let transport else { throw fail(.endedInHandshake) }
        guard !transport.isWithinRecord else { throw fail(.endedInRecord) }
    }

    public func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) -> Int {
        if case .failed(let error) = state { throw error }
        guard let transport else { preconditionFailure("sealing before the handshake is done") }
        do {
            return try transport.seal(&gather, from: &cursor, byteLimit: byteLimit, into: block, at: offset)
        } catch {
            throw fail(error)
        }
    }

    private func fail(_ error: SecureChannelError) -> SecureChannelError {
        state = .failed(error)
        // With its ephemeral key: the owner may hold a failed channel for as long as it likes.
        handshake = nil
        return error
    }

    /// For the test of what happens at the end of the numbers.
    func setNonces(_ nonce: UInt64) { transport?.setNonces(nonce) }

    // MARK: The handshake

    private func receiveHandshake(_ block: Block, _ offset: inout Int, upTo end: Int) throws(SecureChannelError) {
        guard case .handshaking = state, let handshake else { preconditionFailure("a channel starts before it receives") }
        let header = TransportState.headerByteCount
        let wanted = incoming.count < header ? header : header + lengthOfIncoming
        let count = min(wanted - incoming.count, end - offset)
        incoming += block.bytes(offset..<offset + count).array()
        offset += count
        handshakeCounters.received.handshakeBytes += UInt64(count)
        if incoming.count == header {
            let length = lengthOfIncoming
            guard length <= Self.handshakeBytesMax else { throw .handshakeTooLarge(byteCount: length, limitBytes: Self.handshakeBytesMax) }
            guard length > 0 else { throw .handshakeTooShort(message: handshake.nextName, byteCount: 0) }
        } else if incoming.count == wanted {
            let message = incoming
            incoming = []
            try receive(message, handshake)
        }
    }

    private var lengthOfIncoming: Int { Int(incoming[0]) << 8 | Int(incoming[1]) }

    private func receive(_ message: [UInt8], _ handshake: HandshakeState) throws(SecureChannelError) {
        let name = handshake.nextName
        let body = message.rawSpan.extracting(TransportState.headerByteCount..<message.count)
        let payload = try handshake.readMessage(body)
        handshakeMessages.append(HandshakeMessage(name: name, direction: .received, byteCount: message.count))
        // Only the far end's second key tells who it is; the responder hears of it in the last message.
        let remoteStatic = handshake.remoteStatic
        if !remoteStatic.isEmpty { verified = try Payload(payload.rawSpan).verified(noiseKey: remoteStatic, configuration) }
        if handshake.isToWrite {
            let own = Payload(
                identityKey: configuration.identity.publicKey.encoded, identitySignature: staticKey.signature, muxers: configuration.muxers)
            try write(payload: own.encoded, handshake)
        }
        if handshake.isFinished { try establish(handshake) }
    }

    private func write(payload: [UInt8], _ handshake: HandshakeState) throws(SecureChannelError) {
        let name = handshake.nextName
        let message = try handshake.writeMessage(payload: payload.rawSpan)
        precondition(message.count <= Self.handshakeBytesMax, "more multiplexers are offered than a handshake can hold")
        let framed = [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
        output += framed
        handshakeCounters.sent.handshakeBytes += UInt64(framed.count)
        handshakeMessages.append(HandshakeMessage(name: name, direction: .sent, byteCount: framed.count))
    }

    private func establish(_ done: HandshakeState) throws(SecureChannelError) {
        let (fromInitiator, fromResponder) = try done.split()
        transport =
            configuration.role == .initiator
            ? try TransportState(sending: fromInitiator, receiving: fromResponder)
            : try TransportState(sending: fromResponder, receiving: fromInitiator)
        handshake = nil
        state = .established
    }
}
