import Bytes
import SecureChannels

/// The channels whose records are counted.
enum ChannelKind: String, CaseIterable, CustomStringConvertible {
    case noise, tls

    var description: String { rawValue }

    func make(_ role: SecureChannelRole) throws -> any SecureChannel {
        let configuration = SecureChannelConfiguration(identity: try LocalIdentity(), role: role)
        return switch self {
        case .noise: try NoiseChannel(configuration)
        case .tls: try TLSChannel(configuration)
        }
    }
}

/// Records of a channel are sealed out of a gather, and opened at the other end. The operation is one message, sealed by itself: a record of 256 B, or for
/// 64 KiB a full record and a short one behind it (noise), or four full ones (TLS).
final class ChannelWorkload: Workload {
    /// How what was sealed is read.
    enum Opening {
        case nothing
        /// A read ends where a record does.
        case wholeRecords
        /// Every read ends in the middle of one.
        case cutRecords
    }

    private let initiator: any SecureChannel
    private let responder: any SecureChannel
    private let payload: Slice
    private let records: Int
    private let opens: Opening
    private let wire = Block(capacity: 1 << 18)
    private var gather = Gather()
    private var opened: [Slice] = []

    init(_ kind: ChannelKind, payloadBytes: Int, records: Int, opens: Opening) {
        payload = someBytes(payloadBytes)
        self.records = records
        self.opens = opens
        do {
            (initiator, responder) = try Self.established(kind)
        } catch {
            preconditionFailure("no handshake: \(error)")
        }
        opened.reserveCapacity(8)
    }

    private static func established(_ kind: ChannelKind) throws -> (any SecureChannel, any SecureChannel) {
        let initiator = try kind.make(.initiator)
        let responder = try kind.make(.responder)
        try initiator.start()
        try responder.start()
        var none: [Slice] = []
        while !responder.isEstablished {
            for (from, to) in [(initiator, responder), (responder, initiator)] {
                let flight = Slice(copying: from.takeOutput())
                try to.open(flight.block, flight.range, into: &none)
            }
        }
        return (initiator, responder)
    }

    func runBatch() -> UInt64 {
        var sum: UInt64 = 0
        for _ in 0..<records {
            do { sum &+= try runOperation() } catch { preconditionFailure("\(error)") }
        }
        return sum
    }

    private func runOperation() throws(SecureChannelError) -> UInt64 {
        gather.endFrame(tag: 0, payload: payload)
        let count = try initiator.seal(&gather, into: wire, at: 0)
        precondition(gather.isEmpty, "the block has room for all")
        switch opens {
        case .nothing: return UInt64(count)
        case .wholeRecords: try responder.open(wire, 0..<count, into: &opened)
        case .cutRecords:
            try responder.open(wire, 0..<count / 2, into: &opened)
            try responder.open(wire, count / 2..<count, into: &opened)
        }
        var total = 0
        for slice in opened { total += slice.count }
        opened.removeAll(keepingCapacity: true)
        precondition(total == payload.count, "all is opened")
        return UInt64(total)
    }
}
