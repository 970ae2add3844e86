public import Bytes
public import Multiformats

/// A secure channel: proves to each end who the other is, then carries bytes that nobody between can read or change. A state machine that knows
/// no socket and no clock; it can be the next thing above any stream of bytes.
///
/// Call order, by the owner of the connection:
///
/// 1. ``start()`` once. After it and after every other call: write what ``takeOutput()`` gives, before anything sealed later.
/// 2. Bytes came in: ``open(_:_:into:)``, which takes all of them, handshake and records alike; then handle what was opened, in order.
/// 3. Once ``isEstablished``: look at ``remote``, and ``seal(_:from:byteLimit:into:at:)`` whenever there is something to send. What was sealed must be written, whole and in
///    order: it cannot be taken back.
/// 4. The far end stopped sending: ``receiveEnd()`` says whether it was allowed to. This side stops: write what ``close()`` gives.
///
/// A thrown ``SecureChannelError`` is fatal: the owner writes ``takeOutput()`` once more (there may be an alert in it) and closes. Every later call throws
/// the same again.
///
/// All methods must be called from one thread. Nothing is allocated for a record once the channel has settled.
public protocol SecureChannel: AnyObject {
    /// The protocol ID by which multistream-select names it, such as `/noise`.
    static var protocolID: ProtocolID { get }

    /// Begins: the first words, if this role has any, are then in ``takeOutput()``.
    func start() throws(SecureChannelError)

    /// Handshake bytes and alerts to be written, which are no longer here afterwards; empty when there are none. Rare, hence an array.
    func takeOutput() -> [UInt8]

    /// Takes received bytes: `range` of `block`, all of it.
    ///
    /// A record that lies whole in the range is decrypted in place, so what was received is overwritten: nobody else may be using these bytes. A
    /// record that was cut by the end of a read comes out of a block of the channel's own when its rest has arrived.
    ///
    /// - Parameters:
    ///   - block: where the bytes lie.
    ///   - range: all that arrived, in order.
    ///   - opened: where decrypted bytes are appended, in order. Hand the same array in again, emptied, to save its memory. When an error
    ///     is thrown, what was appended before is authentic.
    func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError)

    /// The far end will send nothing more.
    ///
    /// - Throws: when that cuts the handshake or a record, or when the protocol has a farewell and none came.
    func receiveEnd() throws(SecureChannelError)

    /// Seals up to `byteLimit` of the unwritten bytes of `gather` behind `cursor`, as many as fit into `block` from `offset` on, and moves the cursor behind
    /// them. The gather itself stays as it is: its owner advances it when it hears how much was taken.
    ///
    /// Must not be called before ``isEstablished``. Returns how many bytes of the block are now to be written: 0 when nothing is left or not
    /// one byte fits. A block with room for ``SecureChannelLimits/blockBytesMin`` always takes something.
    func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) -> Int

    /// Ends the sending side: gives the protocol's farewell, to be written last; empty where there is none.
    func close() -> [UInt8]

    /// Whether the handshake is done and the far end is who it claims to be.
    var isEstablished: Bool { get }

    /// Whether bytes pass unchanged from now on: an owner may then leave ``open(_:_:into:)`` and ``seal(_:from:byteLimit:into:at:)`` out and save a copy. What goes around the
    /// channel is not in its ``counters``.
    var isTransparent: Bool { get }

    /// Who the far end is, once ``isEstablished``.
    var remote: RemoteIdentity? { get }

    /// Every byte that was put on and taken from the connection so far, by what it was for.
    var counters: SecureChannelCounters { get }

    /// The handshake's messages so far, both ways, in order: an owner with a clock sees after each call which ones are new. Stays as it is after the handshake.
    var handshakeMessages: [HandshakeMessage] { get }
}

extension SecureChannel {
    public var isTransparent: Bool { false }
    public func close() -> [UInt8] { [] }

    /// Seals as much of `gather` as fits into `block` from `offset` on, and advances the gather by it: for one who owns both.
    public func seal(_ gather: inout Gather, into block: Block, at offset: Int) throws(SecureChannelError) -> Int {
        var cursor = Gather.Cursor()
        let byteCount = try seal(&gather, from: &cursor, byteLimit: .max, into: block, at: offset)
        gather.advance(by: cursor.byteCount)
        return byteCount
    }
}

/// Which end of a connection a channel is: the one that dialled speaks first.
public enum SecureChannelRole: Sendable {
    /// The end that dialled.
    case initiator
    /// The end that was dialled.
    case responder
}

/// What a channel needs to know before it begins.
public struct SecureChannelConfiguration: Sendable {
    /// Whose channel it is.
    public var identity: LocalIdentity
    /// Who speaks first.
    public var role: SecureChannelRole
    /// Who the far end must be, or nil for anybody. A dialler knows; a listener does not.
    public var expectedRemote: PeerID?
    /// Multiplexers offered within the handshake, the preferred first, which saves a round trip (libp2p specification "Stream multiplexer negotiation in
    /// security handshake"). Empty: none are offered, and none chosen.
    public var muxers: [ProtocolID]

    public init(identity: LocalIdentity, role: SecureChannelRole, expectedRemote: PeerID? = nil, muxers: [ProtocolID] = []) {
        self.identity = identity
        self.role = role
        self.expectedRemote = expectedRemote
        self.muxers = muxers
    }
}

/// What the handshake found out about the far end.
public struct RemoteIdentity: Equatable, Sendable {
    /// The ID that follows from ``publicKey``.
    public let peerID: PeerID
    /// The far end has proved that it has the private key, but for plaintext, where it only says so.
    public let publicKey: PublicKey
    /// The multiplexer that both ends now use, or nil when it is still to be negotiated.
    public let muxer: ProtocolID?

    public init(peerID: PeerID, publicKey: PublicKey, muxer: ProtocolID?) {
        self.peerID = peerID
        self.publicKey = publicKey
        self.muxer = muxer
    }
}

/// The limits that every channel has.
public enum SecureChannelLimits {
    /// Multiplexers that a far end may name; go-libp2p has the same limit. No more than a handful exist.
    public static let muxersMax = 100
    /// A block with this much room behind the offset always takes something: a record's frame and at least one byte, in every protocol.
    public static let blockBytesMin = 64
    /// Where more is to be sealed than fits, the end of the block stays empty rather than hold a record with less than this: a record costs about as
    /// much as encrypting 1 KiB.
    public static let recordPayloadBytesMin = 1024

    /// How many of the `waiting` bytes go into the next record, which may hold `limit` of them, where a block has room for `room`; 0 for none.
    static func recordPayloadBytes(waiting: Int, room: Int, limit: Int, isFirst: Bool) -> Int {
        let count = min(waiting, room, limit)
        return count > 0 && (isFirst || count == waiting || count < room || count >= recordPayloadBytesMin) ? count : 0
    }
}
