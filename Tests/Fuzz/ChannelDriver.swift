import Bytes
import Multiformats
@testable import SecureChannels

/// Secure channels with somebody in between, and the messages of their handshakes.
enum ChannelDriver {
    private static let alice = identity()
    private static let bob = identity()
    private static let noiseKeys = [noiseKey(alice), noiseKey(bob)]
    private static let tlsCertificates = [tlsCertificate(alice), tlsCertificate(bob)]

    private static func identity() -> LocalIdentity {
        guard let identity = try? LocalIdentity(generating: .ed25519) else { fatalError("no key") }
        return identity
    }

    private static func noiseKey(_ identity: LocalIdentity) -> NoiseStaticKey {
        guard let key = try? NoiseStaticKey(signedBy: identity) else { fatalError("no Noise key") }
        return key
    }

    private static func tlsCertificate(_ identity: LocalIdentity) -> TLSCertificate {
        guard let certificate = try? TLSCertificate(signedBy: identity) else { fatalError("no certificate") }
        return certificate
    }

    private static func channel(_ kind: UInt8, _ role: SecureChannelRole, _ muxers: [ProtocolID]) -> any SecureChannel {
        let index = role == .initiator ? 0 : 1
        let configuration = SecureChannelConfiguration(identity: index == 0 ? alice : bob, role: role, muxers: muxers)
        let channel: (any SecureChannel)? =
            switch kind {
            case 0: try? NoiseChannel(configuration, staticKey: noiseKeys[index])
            case 1: PlaintextChannel(configuration)
            default: try? TLSChannel(configuration, certificate: tlsCertificates[index])
            }
        guard let channel else { fatalError("no channel") }
        return channel
    }

    /// The value of a certificate's extension must come back the same when it is written again: DER has one form for everything.
    static func signedKey(_ bytes: [UInt8]) {
        guard let key = try? SignedKey(der: bytes.rawSpan) else { return }
        require(key.der == bytes, "a signed key does not come back")
    }

    /// What the far end says of itself must come back the same when it is written again.
    static func exchange(_ bytes: [UInt8]) {
        guard let exchange = try? Exchange(bytes.rawSpan) else { return }
        let written = exchange.framed
        guard case .value(_, let byteCount) = Varint.read(written.rawSpan, at: 0) else { fatalError("no length") }
        let again = try? Exchange(written.rawSpan.extracting(byteCount..<written.count))
        require(again?.peerID == exchange.peerID && again?.publicKey == exchange.publicKey, "an exchange does not come back")
    }

    static func payload(_ bytes: [UInt8]) {
        guard let payload = try? Payload(bytes.rawSpan) else { return }
        require(payload.muxers.count <= SecureChannelLimits.muxersMax, "more multiplexers than allowed")
        let written = payload.encoded
        let again = try? Payload(written.rawSpan)
        require(
            again?.identityKey == payload.identityKey && again?.identitySignature == payload.identitySignature && again?.muxers == payload.muxers,
            "a payload does not come back")
        // A signature that nobody made is nobody's.
        let configuration = SecureChannelConfiguration(identity: alice, role: .initiator)
        require((try? payload.verified(noiseKey: [UInt8](repeating: 9, count: 32), configuration)) == nil, "a proof from nowhere")
    }

    /// Two honest ends; between them bytes are cut, changed, repeated, dropped and made up, as the input says. Over noise and TLS nothing but what the other end
    /// sent may come out, in order; over any, every byte is in one account.
    static func run(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let kind = input.byte() % 3
        let isEncrypted = kind != 1
        let ends = [SecureChannelRole.initiator, .responder].map { MeddledEnd(channel(kind, $0, input.pick([[], ["/a", "/b"], ["/b"]]))) }
        while !input.isEmpty {
            let choice = input.byte()
            let (end, other) = choice & 1 == 0 ? (ends[0], ends[1]) : (ends[1], ends[0])
            switch (choice >> 1) % 11 {
            case 0, 1, 2: end.receive(from: other, count: .max, isEncrypted: isEncrypted)
            case 3: end.receive(from: other, count: Int(input.byte()), isEncrypted: isEncrypted)
            case 4: end.send(Int(input.byte()) * (input.byte() == 0 ? 300 : 1), blockBytes: input.pick([100_000, 64, 200]))
            case 5: other.outgoing.flip(Int(input.byte()), input.byte())
            case 6: other.outgoing.insert(input.bytes(Int(input.byte() % 32)))
            case 7: other.outgoing.remove(Int(input.byte()))
            case 8: other.outgoing.double(Int(input.byte()))
            case 9: end.receiveEnd()
            default: end.close()
            }
        }
        for end in ends { end.check() }
    }
}

/// Bytes on their way, to be meddled with.
struct MeddledBytes {
    var bytes: [UInt8] = []

    mutating func flip(_ offset: Int, _ mask: UInt8) {
        if bytes.indices.contains(offset) { bytes[offset] ^= mask }
    }

    mutating func insert(_ more: [UInt8]) { bytes.insert(contentsOf: more, at: 0) }
    mutating func remove(_ count: Int) { bytes.removeFirst(min(count, bytes.count)) }
    mutating func double(_ count: Int) { bytes.insert(contentsOf: bytes.prefix(count), at: 0) }

    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(bytes.prefix(count))
        bytes.removeFirst(taken.count)
        return taken
    }
}

final class MeddledEnd {
    private let channel: any SecureChannel
    var outgoing = MeddledBytes()
    private var sentCount = 0
    private var openedCount = 0
    private var wireSent: UInt64 = 0
    private var wireReceived: UInt64 = 0
    private var failure: SecureChannelError?
    private var isClosed = false

    init(_ channel: any SecureChannel) {
        self.channel = channel
        require((try? channel.start()) != nil, "a channel does not start")
        takeOutput()
    }

    private func put(_ bytes: [UInt8]) {
        outgoing.bytes += bytes
        wireSent += UInt64(bytes.count)
    }

    private func takeOutput() { put(channel.takeOutput()) }

    /// What is sent says where it belongs: byte number n is n, cut to a byte.
    func send(_ count: Int, blockBytes: Int) {
        guard channel.isEstablished, failure == nil, !isClosed, count > 0 else { return }
        var gather = Gather()
        gather.endFrame(tag: 0, payload: Slice(copying: (0..<count).map { UInt8(truncatingIfNeeded: sentCount + $0) }))
        sentCount += count
        while !gather.isEmpty {
            let block = Block(capacity: blockBytes)
            guard let sealed = try? channel.seal(&gather, into: block, at: 0) else { fatalError("sealing fails") }
            require(sealed > 0, "nothing was sealed")
            put(block.bytes(0..<sealed).array())
        }
    }

    func receive(from other: MeddledEnd, count: Int, isEncrypted: Bool) {
        let bytes = other.outgoing.take(count)
        guard failure == nil else { return }
        let block = Block(copying: bytes.rawSpan)
        var opened: [Slice] = []
        do {
            try channel.open(block, 0..<bytes.count, into: &opened)
            wireReceived += UInt64(bytes.count)
        } catch {
            failure = error
            require(error.origin == .remote, "\(error) is nobody's fault here")
        }
        for slice in opened {
            for offset in 0..<slice.count {
                if isEncrypted { require(slice.bytes.byte(at: offset) == UInt8(truncatingIfNeeded: openedCount + offset), "bytes that nobody sent") }
            }
            openedCount += slice.count
        }
        if isEncrypted { require(openedCount <= other.sentCount, "more is opened than was sent") }
        takeOutput()
        check()
    }

    func receiveEnd() {
        do { try channel.receiveEnd() } catch { failure = failure ?? error }
    }

    /// A farewell is said once, by an end that was able to speak.
    func close() {
        let farewell = channel.close()
        require(farewell.isEmpty || (channel.isEstablished && failure == nil && !isClosed), "a farewell out of place")
        isClosed = isClosed || channel.isEstablished
        put(farewell)
        check()
    }

    func check() {
        let counters = channel.counters
        require(counters.sent.totalBytes == wireSent, "what was sent is not what is counted")
        guard failure == nil else { return }
        require(counters.received.totalBytes == wireReceived, "what was received is not what is counted")
        require(counters.received.payloadBytes == UInt64(openedCount), "what was opened is not what is counted")
        require(channel.isEstablished == (channel.remote != nil), "established with nobody")
    }
}
