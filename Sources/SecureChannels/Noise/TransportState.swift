import Bytes
import CProbes
import Ciphers

/// The channel after the handshake: seals and opens transport messages, which noise-libp2p frames as
///
/// ```
///  ┌──────────────────────┬────────────────────────┬──────────────┐
///  │ length (2, big-end.) │ ciphertext (0...65519) │ tag (16)     │
///  └──────────────────────┴────────────────────────┴──────────────┘
///                         └───────────── length ────────────────┘
/// ```
///
/// A record that lies whole in what was read is decrypted where it lies; one that was cut is gathered by ``CutRecord``.
///
/// Invariant: nothing is handed on before its tag has been found right.
final class TransportState {
    static let headerByteCount = 2
    static let overheadByteCount = headerByteCount + AEADKey.tagByteCount
    /// The specification's maximum for a message is 65,535 bytes, with the tag.
    static let payloadByteCountMax = 65_535 - AEADKey.tagByteCount

    private struct Hot: ~Copyable {
        var sending: CipherState
        var receiving: CipherState
        var cut = CutRecord(headerByteCount: TransportState.headerByteCount)
        var sent = SecureChannelCounters.Direction()
        var received = SecureChannelCounters.Direction()
    }

    private let hot: Owned<Hot>

    init(sending: Secret, receiving: Secret) throws(SecureChannelError) {
        hot = Owned(Hot(sending: try CipherState(key: sending), receiving: try CipherState(key: receiving)))
    }

    /// What probes call this channel.
    private var probed: UInt { UInt(bitPattern: ObjectIdentifier(self)) }

    var isWithinRecord: Bool { !hot.value.cut.isEmpty }

    /// Adds what was sent and received here.
    func add(to counters: inout SecureChannelCounters) {
        counters.sent += hot.value.sent
        counters.received += hot.value.received
        counters.received.unfinishedBytes += UInt64(hot.value.cut.byteCount)
    }

    /// For the test of what happens at the end of the numbers.
    func setNonces(_ nonce: UInt64) {
        hot.value.sending.setNonce(nonce)
        hot.value.receiving.setNonce(nonce)
    }

    // MARK: Sealing

    func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) -> Int {
        var position = offset
        let last = cursor.byteCount + min(byteLimit, gather.byteCount - cursor.byteCount)
        while cursor.byteCount < last {
            let room = block.capacity - position - Self.overheadByteCount
            let count = SecureChannelLimits.recordPayloadBytes(
                waiting: last - cursor.byteCount, room: room, limit: Self.payloadByteCountMax, isFirst: position == offset)
            guard count > 0 else { break }
            let length = count + AEADKey.tagByteCount
            block.setByte(UInt8(truncatingIfNeeded: length >> 8), at: position)
            block.setByte(UInt8(truncatingIfNeeded: length), at: position + 1)
            try hot.value.sending.seal(&gather, from: &cursor, byteCount: count, into: block, at: position + Self.headerByteCount)
            hot.value.sent.payloadBytes += UInt64(count)
            hot.value.sent.recordOverheadBytes += UInt64(Self.overheadByteCount)
            hot.value.sent.records += 1
            cp_record_sealed(probed, count)
            position += Self.overheadByteCount + count
        }
        return position - offset
    }

    // MARK: Opening

    func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let body = offset + Self.headerByteCount
            if hot.value.cut.isEmpty, body <= range.upperBound {
                let length = try Self.length(block.bytes(offset..<body))
                if body + length <= range.upperBound {
                    guard try hot.value.receiving.open(block, body..<body + length) else { throw notAuthentic }
                    record(block, body..<body + length - AEADKey.tagByteCount, into: &opened)
                    offset = body + length
                    continue
                }
            }
            try receivePiece(block, &offset, upTo: range.upperBound, into: &opened)
        }
    }

    /// The length in a header, after it was checked.
    private static func length(_ header: RawSpan) throws(SecureChannelError) -> Int {
        let length = Int(header.bigEndian16(at: 0))
        guard length >= AEADKey.tagByteCount else { throw .recordTooShort(byteCount: length) }
        return length
    }

    private var notAuthentic: SecureChannelError { .recordNotAuthentic(number: hot.value.receiving.nonce - 1) }

    /// An authentic record. An empty one is allowed, and is nothing to hand on.
    private func record(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) {
        hot.value.received.payloadBytes += UInt64(range.count)
        hot.value.received.recordOverheadBytes += UInt64(Self.overheadByteCount)
        hot.value.received.records += 1
        cp_record_opened(probed, range.count)
        if !range.isEmpty { opened.append(Slice(block, range)) }
    }

    /// Takes what `block` holds of the record that was cut.
    private func receivePiece(_ block: Block, _ offset: inout Int, upTo end: Int, into opened: inout [Slice]) throws(SecureChannelError) {
        if !hot.value.cut.isBegun {
            guard hot.value.cut.takeHeader(block, &offset, upTo: end) else { return }
            let header = hot.value.cut.header
            hot.value.cut.begin(length: try Self.length(header.bytes(0..<Self.headerByteCount)))
            return try hot.value.receiving.beginOpening()
        }
        if let piece = hot.value.cut.takeEncrypted(&offset, upTo: end) {
            try hot.value.receiving.openPiece(block.bytes(piece.range), into: hot.value.cut.carry, at: piece.position)
        }
        guard hot.value.cut.takeTag(block, &offset, upTo: end) else { return }
        let ciphertextCount = hot.value.cut.encryptedCount
        let tag = hot.value.cut.tag
        hot.value.cut.end()
        guard hot.value.receiving.finishOpening(tag: tag.bytes(0..<AEADKey.tagByteCount)) else { throw notAuthentic }
        record(hot.value.cut.carry, 0..<ciphertextCount, into: &opened)
    }
}
