public import Bytes
import Ciphers
public import Multiformats

/// `/plaintext/2.0.0`: both ends say who they are, prove nothing, and hide nothing. For tests, and to measure what security costs.
///
/// ```
///   start()              open()
///  ┌───────┐ Exchange ┌─────────────┐ Exchange received, consistent ┌─────────────┐
///  │ idle  ├─────────▶│ exchanging  ├──────────────────────────────▶│ established │ bytes pass unchanged
///  └───────┘   sent   └──────┬──────┘                               └─────────────┘
///                            │ anything else
///                            ▼
///                         failed
/// ```
///
/// Invariant: nothing is opened before the far end's message has been checked.
public final class PlaintextChannel: SecureChannel {
    public static let protocolID: ProtocolID = "/plaintext/2.0.0"

    /// The longest handshake message: one with an RSA key of 8,192 bits has 1,110 bytes.
    static let handshakeBytesMax = 2048

    private enum State {
        case idle, exchanging, established
        case failed(SecureChannelError)
    }

    private let configuration: SecureChannelConfiguration
    private var state = State.idle
    private var output: [UInt8] = []
    private var length = Varint.Assembler()
    /// Bytes of the message still to come, once its length is known.
    private var missing: Int?
    private var message: [UInt8] = []
    private var lengthByteCount = 0
    public private(set) var remote: RemoteIdentity?
    public private(set) var counters = SecureChannelCounters()
    public private(set) var handshakeMessages: [HandshakeMessage] = []

    /// Nothing is signed, and so nothing can fail.
    public init(_ configuration: SecureChannelConfiguration) {
        self.configuration = configuration
    }

    public var isEstablished: Bool {
        if case .established = state { true } else { false }
    }

    public var isTransparent: Bool { isEstablished }

    public func start() throws(SecureChannelError) {
        guard case .idle = state else { preconditionFailure("a channel starts once") }
        state = .exchanging
        output = Exchange(configuration.identity).framed
        counters.sent.handshakeBytes += UInt64(output.count)
        handshakeMessages.append(HandshakeMessage(name: "Exchange", direction: .sent, byteCount: output.count))
    }

    public func takeOutput() -> [UInt8] {
        let taken = output
        output = []
        return taken
    }

    public func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        if case .failed(let error) = state { throw error }
        var offset = range.lowerBound
        do {
            while offset < range.upperBound, !isEstablished { try receiveHandshake(block, &offset, upTo: range.upperBound) }
        } catch {
            throw fail(error)
        }
        guard offset < range.upperBound else { return }
        counters.received.payloadBytes += UInt64(range.upperBound - offset)
        counters.received.records += 1
        opened.append(Slice(block, offset..<range.upperBound))
    }

    public func receiveEnd() throws(SecureChannelError) {
        switch state {
        case .failed(let error): throw error
        case .idle, .exchanging: throw fail(.endedInHandshake)
        case .established: break
        }
    }

    public func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) -> Int {
        if case .failed(let error) = state { throw error }
        precondition(isEstablished, "sealing before the handshake is done")
        let byteCount = gather.copyBytes(from: &cursor, byteLimit: byteLimit, into: block, at: offset)
        counters.sent.payloadBytes += UInt64(byteCount)
        if byteCount > 0 { counters.sent.records += 1 }
        counters.bytesCopied += UInt64(byteCount)
        return byteCount
    }

    private func fail(_ error: SecureChannelError) -> SecureChannelError {
        state = .failed(error)
        return error
    }

    // MARK: The handshake

    private func receiveHandshake(_ block: Block, _ offset: inout Int, upTo end: Int) throws(SecureChannelError) {
        guard case .exchanging = state else { preconditionFailure("a channel starts before it receives") }
        guard let missing else { return try receiveLength(block, &offset) }
        let count = min(missing, end - offset)
        message += block.bytes(offset..<offset + count).array()
        offset += count
        counters.received.handshakeBytes += UInt64(count)
        self.missing = missing - count
        if missing == count { try finish() }
    }

    private func receiveLength(_ block: Block, _ offset: inout Int) throws(SecureChannelError) {
        let byte = block.bytes(offset..<offset + 1).byte(at: 0)
        offset += 1
        counters.received.handshakeBytes += 1
        switch length.append(byte) {
        case .incomplete: break
        case .tooLong, .notMinimal: throw .malformedLength
        case .value(let value, let byteCount):
            guard value <= UInt64(Self.handshakeBytesMax) else {
                throw .handshakeTooLarge(byteCount: Int(clamping: value), limitBytes: Self.handshakeBytesMax)
            }
            guard value > 0 else { throw .missingField(.peerID) }
            lengthByteCount = byteCount
            missing = Int(value)
        }
    }

    private func finish() throws(SecureChannelError) {
        let exchange = try Exchange(message.rawSpan)
        handshakeMessages.append(HandshakeMessage(name: "Exchange", direction: .received, byteCount: lengthByteCount + message.count))
        message = []
        do {
            _ = try exchange.publicKey.verifier()
        } catch {
            throw .keyRefused(error)
        }
        let actual = PeerID(of: exchange.publicKey)
        guard exchange.peerID == actual else { throw .peerIDNotOfKey(claimed: exchange.peerID, actual: actual) }
        let peerID = try configuration.check(exchange.publicKey)
        remote = RemoteIdentity(peerID: peerID, publicKey: exchange.publicKey, muxer: nil)
        state = .established
    }
}
