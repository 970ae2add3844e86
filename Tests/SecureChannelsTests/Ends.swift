import Bytes
import Multiformats
import SecureChannels
import Testing
import TestSupport

/// The channels that pass the one suite.
enum ChannelKind: CaseIterable, CustomTestStringConvertible {
    case plaintext, noise, tls

    var testDescription: String { "\(self)" }

    /// Whether what was changed on the way is noticed.
    var isEncrypted: Bool { self != .plaintext }
    var negotiatesMuxer: Bool { self != .plaintext }
    /// Whether offers without a common multiplexer end the handshake; if not, it is negotiated afterwards.
    var needsCommonMuxer: Bool { self == .noise }
    /// Bytes of a handshake that have no meaning and no protection: the version in the header of TLS's first record each way (RFC 8446, section 5.1).
    var meaninglessBytes: Set<Int> { self == .tls ? [2] : [] }

    func make(_ configuration: SecureChannelConfiguration) throws -> any SecureChannel {
        switch self {
        case .plaintext: PlaintextChannel(configuration)
        case .noise: try NoiseChannel(configuration, staticKey: People.noiseKey(configuration.identity))
        case .tls: try TLSChannel(configuration, certificate: People.tlsCertificate(configuration.identity))
        }
    }

    /// The beginning of a handshake message that is longer than any may be.
    var oversizedHandshake: [UInt8] {
        switch self {
        case .plaintext: [0x81, 0x10]
        case .noise: [0x20, 0x01]
        case .tls: [22, 3, 1, 0x41, 0x01]
        }
    }
}

/// Identities that tests share: making keys takes longer than most tests.
enum People {
    static let alice = person(.ed25519)
    static let bob = person(.ed25519)
    static let mallory = person(.ed25519)
    private static let noiseKeys = [alice, bob, mallory].map { identity in
        guard let key = try? NoiseStaticKey(signedBy: identity) else { preconditionFailure("no Noise key") }
        return (identity.peerID, key)
    }
    private static let tlsCertificates = [alice, bob, mallory].map { identity in
        guard let certificate = try? TLSCertificate(signedBy: identity) else { preconditionFailure("no certificate") }
        return (identity.peerID, certificate)
    }

    static func person(_ type: KeyType) -> LocalIdentity {
        guard let identity = try? LocalIdentity(generating: type) else { preconditionFailure("no \(type) key") }
        return identity
    }

    static func noiseKey(_ identity: LocalIdentity) -> NoiseStaticKey? { noiseKeys.first { $0.0 == identity.peerID }?.1 }
    static func tlsCertificate(_ identity: LocalIdentity) -> TLSCertificate? { tlsCertificates.first { $0.0 == identity.peerID }?.1 }
}

/// One end of a connection: a channel, what it wrote and what it opened.
final class ChannelEnd {
    let channel: any SecureChannel
    /// On its way to the other end.
    private(set) var outgoing: [UInt8] = []
    private(set) var writtenCount = 0
    private(set) var readCount = 0
    private(set) var opened: [UInt8] = []
    /// The slices of the last read, kept, and the block that was read into.
    private(set) var slices: [Slice] = []
    private(set) var readBlock: Block?
    private(set) var failure: SecureChannelError?

    init(_ channel: any SecureChannel) { self.channel = channel }

    func start() throws {
        try channel.start()
        takeOutput()
    }

    func take() -> [UInt8] {
        let taken = outgoing
        outgoing = []
        return taken
    }

    private func put(_ bytes: [UInt8]) {
        outgoing += bytes
        writtenCount += bytes.count
    }

    private func takeOutput() { put(channel.takeOutput()) }

    /// One read: `bytes` in a block of their own, somewhere in it.
    func receive(_ bytes: [UInt8], at offset: Int = 64) {
        guard failure == nil else { return }
        let block = Block(capacity: offset + bytes.count)
        block.copy(bytes.rawSpan, at: offset)
        readBlock = block
        slices.removeAll(keepingCapacity: true)
        do {
            try channel.open(block, offset..<offset + bytes.count, into: &slices)
            readCount += bytes.count
        } catch {
            failure = error
        }
        for slice in slices { opened += slice.bytes.array() }
        takeOutput()
    }

    /// The same in several reads, which end before the offsets in `cuts`.
    func receive(_ bytes: [UInt8], cuts: [Int]) {
        var start = 0
        for end in cuts.filter({ $0 > 0 && $0 < bytes.count }).sorted() + [bytes.count] where end > start {
            receive(Array(bytes[start..<end]))
            start = end
        }
    }

    func receiveEnd() {
        do { try channel.receiveEnd() } catch { failure = failure ?? error }
        takeOutput()
    }

    /// Seals `pieces`, each a frame of one gather, into blocks of `blockBytes` with the first `offset` of them unused.
    func send(_ pieces: [[UInt8]], blockBytes: Int = 300_000, offset: Int = 0) throws {
        var gather = Gather()
        for piece in pieces { gather.endFrame(tag: 0, payload: Slice(copying: piece)) }
        while !gather.isEmpty {
            let before = gather.byteCount
            let block = Block(capacity: blockBytes)
            let count = try channel.seal(&gather, into: block, at: offset)
            precondition(count > 0 && gather.byteCount < before, "a block takes something")
            put(block.bytes(offset..<offset + count).array())
        }
    }

    func send(_ bytes: [UInt8]) throws { try send([bytes]) }

    /// Ends the sending side, with the farewell if there is one.
    func close() { put(channel.close()) }

    /// Every byte that went through is in one account.
    var ledgerBalances: Bool {
        let counters = channel.counters
        return counters.sent.totalBytes == UInt64(writtenCount) && counters.received.totalBytes == UInt64(readCount)
            && counters.received.payloadBytes == UInt64(opened.count)
    }
}

/// Two ends and nothing between.
struct ChannelPair {
    let initiator: ChannelEnd
    let responder: ChannelEnd

    init(
        _ kind: ChannelKind, alice: LocalIdentity = People.alice, bob: LocalIdentity = People.bob, initiatorMuxers: [ProtocolID] = [],
        responderMuxers: [ProtocolID] = [], initiatorExpects: PeerID? = nil, responderExpects: PeerID? = nil
    ) throws {
        try self.init(
            initiator: ChannelEnd(
                try kind.make(.init(identity: alice, role: .initiator, expectedRemote: initiatorExpects, muxers: initiatorMuxers))),
            responder: ChannelEnd(
                try kind.make(.init(identity: bob, role: .responder, expectedRemote: responderExpects, muxers: responderMuxers))))
    }

    /// Ends that exist, and are started.
    init(initiator: ChannelEnd, responder: ChannelEnd) throws {
        self.initiator = initiator
        self.responder = responder
        try initiator.start()
        try responder.start()
    }

    var isEstablished: Bool { initiator.channel.isEstablished && responder.channel.isEstablished }

    /// Carries what is on its way until nothing is. `cuts` are the ends of reads within each flight.
    func settle(cuts: [Int] = []) {
        while true {
            let (up, down) = (initiator.take(), responder.take())
            if up.isEmpty && down.isEmpty { return }
            responder.receive(up, cuts: cuts)
            initiator.receive(down, cuts: cuts)
        }
    }

    static func established(_ kind: ChannelKind) throws -> ChannelPair {
        let pair = try ChannelPair(kind)
        pair.settle()
        precondition(pair.isEstablished, "no handshake: \(String(describing: pair.initiator.failure)), \(String(describing: pair.responder.failure))")
        return pair
    }
}
