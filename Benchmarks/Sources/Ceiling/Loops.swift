import Bytes
import Ciphers
import SecureChannels

/// Work that is timed turn by turn: what `prepare` does is not counted.
protocol TimedLoop {
    func prepare()
    /// Returns how many payload bytes it was.
    func run() -> Int
}

/// Both ends of a channel, a turn's worth of payload, and blocks for what is sealed.
///
/// Nothing here is wrong input, so an error is a mistake of the program and ends it.
final class Ends {
    /// Payload of a turn: about as much as one write carries, several times.
    private static let turnBytes = 2 << 20
    private static let writeBytes = 512 << 10

    private let initiator: any SecureChannel
    private let responder: any SecureChannel
    private let payload: Slice
    private let blocks: [Block]
    private var counts: [Int]
    private var gather = Gather()
    private var opened: [Slice] = []
    /// Records are as large as a block has room for.
    private let payloadBytes: Int

    static func noise(payloadBytes: Int) -> Ends { Ends(payloadBytes: payloadBytes) { try NoiseChannel($0) } }

    /// With the cipher that this processor is best at.
    static func tls(payloadBytes: Int) -> Ends { Ends(payloadBytes: payloadBytes) { try TLSChannel($0) } }

    private init(payloadBytes: Int, _ make: (SecureChannelConfiguration) throws -> any SecureChannel) {
        self.payloadBytes = payloadBytes
        payload = Slice(copying: [UInt8](repeating: 0x5a, count: payloadBytes))
        blocks = (0..<Self.turnBytes / Self.writeBytes).map { _ in Block(capacity: Self.writeBytes + (64 << 10)) }
        counts = blocks.map { _ in 0 }
        do {
            initiator = try make(.init(identity: LocalIdentity(), role: .initiator))
            responder = try make(.init(identity: LocalIdentity(), role: .responder))
            try Self.shakeHands(initiator, responder)
        } catch {
            fatalError("no handshake: \(error)")
        }
    }

    static func shakeHands(_ initiator: any SecureChannel, _ responder: any SecureChannel) throws {
        try initiator.start()
        try responder.start()
        var none: [Slice] = []
        while !responder.isEstablished {
            for (from, to) in [(initiator, responder), (responder, initiator)] {
                let flight = Slice(copying: from.takeOutput())
                try to.open(flight.block, flight.range, into: &none)
            }
        }
    }

    func seal() -> Int {
        var total = 0
        do {
            for (index, block) in blocks.enumerated() {
                var offset = 0
                while offset + payloadBytes <= Self.writeBytes {
                    gather.endFrame(tag: 0, payload: payload)
                    offset += try initiator.seal(&gather, into: block, at: offset)
                    total += payloadBytes
                }
                counts[index] = offset
            }
        } catch { fatalError("\(error)") }
        return total
    }

    func open() -> Int {
        var total = 0
        do {
            for (index, block) in blocks.enumerated() {
                try responder.open(block, 0..<counts[index], into: &opened)
                for slice in opened { total += slice.count }
                opened.removeAll(keepingCapacity: true)
            }
        } catch { fatalError("\(error)") }
        return total
    }
}

struct SealingLoop: TimedLoop {
    private let ends: Ends

    init(_ ends: Ends) { self.ends = ends }

    func prepare() {}
    func run() -> Int { ends.seal() }
}

struct OpeningLoop: TimedLoop {
    private let ends: Ends

    init(_ ends: Ends) { self.ends = ends }

    func prepare() { _ = ends.seal() }
    func run() -> Int { ends.open() }
}

/// Whole handshakes, both ends of them on one core; counted in handshakes instead of bytes.
final class HandshakeLoop: TimedLoop {
    private let identities: [LocalIdentity]
    private let make: (SecureChannelConfiguration) throws -> any SecureChannel

    private init(_ prepare: ([LocalIdentity]) throws -> (SecureChannelConfiguration) throws -> any SecureChannel) {
        do {
            identities = [try LocalIdentity(), try LocalIdentity()]
            make = try prepare(identities)
        } catch { fatalError("\(error)") }
    }

    /// - Parameter sharesKeys: whether each end has one Noise key for all connections, or makes one for each.
    static func noise(sharesKeys: Bool) -> HandshakeLoop {
        HandshakeLoop { identities in
            let keys = try identities.map { sharesKeys ? try NoiseStaticKey(signedBy: $0) : nil }
            return { try NoiseChannel($0, staticKey: keys[$0.role == .initiator ? 0 : 1]) }
        }
    }

    /// - Parameter sharesCertificates: whether each end has one certificate for all connections, or makes one for each.
    static func tls(sharesCertificates: Bool) -> HandshakeLoop {
        HandshakeLoop { identities in
            let certificates = try identities.map { sharesCertificates ? try TLSCertificate(signedBy: $0) : nil }
            return { try TLSChannel($0, certificate: certificates[$0.role == .initiator ? 0 : 1]) }
        }
    }

    func prepare() {}

    func run() -> Int {
        do {
            let initiator = try make(.init(identity: identities[0], role: .initiator))
            let responder = try make(.init(identity: identities[1], role: .responder))
            try Ends.shakeHands(initiator, responder)
        } catch { fatalError("no handshake: \(error)") }
        return 1
    }
}

/// A cipher without a channel around it. What is opened is not authentic, which takes as long to find out.
final class CipherLoop: TimedLoop {
    private static let byteCount = 65_519

    private let key: AEADKey
    private let seals: Bool
    private let source = Slice(copying: [UInt8](repeating: 0x5a, count: CipherLoop.byteCount))
    private let block = Block(capacity: CipherLoop.byteCount + AEADKey.tagByteCount)
    private var counter: UInt64 = 0

    init(_ algorithm: AEADKey.Algorithm, seals: Bool) {
        let bytes = [UInt8](repeating: 7, count: algorithm.keyByteCount)
        do { key = try AEADKey(algorithm, key: bytes.rawSpan) } catch { fatalError("\(error)") }
        self.seals = seals
    }

    func prepare() {}

    func run() -> Int {
        let rounds = 16
        for _ in 0..<rounds {
            let nonce = AEADNonce(littleEndianCounter: counter)
            counter += 1
            if seals {
                do {
                    let source = source
                    try key.seal(source.bytes, nonce: nonce, authenticating: RawSpan(), into: block, at: 0)
                } catch { fatalError("\(error)") }
            } else {
                _ = key.open(block, 0..<block.capacity, nonce: nonce, authenticating: RawSpan())
            }
        }
        return rounds * Self.byteCount
    }
}
