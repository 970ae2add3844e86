import Bytes
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
/// A record that lies whole in what was read is decrypted where it lies. Of one that was cut, each piece is decrypted into the carry block as it comes:
/// the bytes are moved by the cipher itself, and nothing is handed on before the tag has been seen.
///
/// Invariant: between two calls, `pending` is nil or holds what has arrived of a record, and `carry` then holds the plaintext of it.
final class TransportState {
    static let headerByteCount = 2
    static let overheadByteCount = headerByteCount + AEADKey.tagByteCount
    /// The specification's maximum for a message is 65,535 bytes, with the tag.
    static let payloadByteCountMax = 65_535 - AEADKey.tagByteCount
    /// The carry block begins with this much and grows as records need it: a connection that sees small records only stays small.
    static let carryBytesMin = 4096

    /// A record of which a part has arrived.
    private struct Pending {
        /// The first byte of the length, while the second has not come.
        var firstByte: UInt8 = 0
        /// Bytes of the header that have come, 1 or 2.
        var headerCount = 1
        /// The length from the header: ciphertext and tag.
        var length = 0
        /// Of those, how many have come.
        var count = 0

        var ciphertextCount: Int { length - AEADKey.tagByteCount }
    }

    private struct Hot: ~Copyable {
        var sending: CipherState
        var receiving: CipherState
        var pending: Pending?
        var carry: Block
        let tag = Block(capacity: AEADKey.tagByteCount)
        var sent = SecureChannelCounters.Direction()
        var received = SecureChannelCounters.Direction()
    }

    private let hot: Owned<Hot>

    init(sending: Secret, receiving: Secret) throws(SecureChannelError) {
        hot = Owned(Hot(sending: try CipherState(key: sending), receiving: try CipherState(key: receiving), pending: nil, carry: Block(capacity: 0)))
    }

    var isWithinRecord: Bool { hot.value.pending != nil }

    /// Adds what was sent and received here.
    func add(to counters: inout SecureChannelCounters) {
        counters.sent.recordOverheadBytes = hot.value.sent.recordOverheadBytes
        counters.sent.payloadBytes = hot.value.sent.payloadBytes
        counters.sent.records = hot.value.sent.records
        counters.received.recordOverheadBytes = hot.value.received.recordOverheadBytes
        counters.received.payloadBytes = hot.value.received.payloadBytes
        counters.received.records = hot.value.received.records
        counters.received.unfinishedBytes = hot.value.pending.map { UInt64($0.headerCount + $0.count) } ?? 0
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
            guard room > 0 else { break }
            let waiting = last - cursor.byteCount
            let count = min(waiting, Self.payloadByteCountMax, room)
            // What does not fit goes into the next block rather than into a crumb of a record at the end of this one.
            if count < waiting, count == room, count < SecureChannelLimits.recordPayloadBytesMin, position > offset { break }
            let length = count + AEADKey.tagByteCount
            block.setByte(UInt8(truncatingIfNeeded: length >> 8), at: position)
            block.setByte(UInt8(truncatingIfNeeded: length), at: position + 1)
            try hot.value.sending.seal(&gather, from: &cursor, byteCount: count, into: block, at: position + Self.headerByteCount)
            hot.value.sent.payloadBytes += UInt64(count)
            hot.value.sent.recordOverheadBytes += UInt64(Self.overheadByteCount)
            hot.value.sent.records += 1
            position += Self.overheadByteCount + count
        }
        return position - offset
    }

    // MARK: Opening

    func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            if hot.value.pending != nil {
                try receivePiece(block, &offset, upTo: range.upperBound, into: &opened)
                continue
            }
            let available = range.upperBound - offset
            guard available >= Self.headerByteCount else {
                hot.value.pending = Pending(firstByte: block.bytes(offset..<offset + 1).byte(at: 0))
                return
            }
            let length = Int(block.bytes(offset..<offset + Self.headerByteCount).bigEndian16(at: 0))
            try Self.check(length)
            offset += Self.headerByteCount
            if available - Self.headerByteCount < length {
                try begin(Pending(headerCount: Self.headerByteCount, length: length))
                continue
            }
            guard try hot.value.receiving.open(block, offset..<offset + length) else { throw notAuthentic }
            record(block, offset..<offset + length - AEADKey.tagByteCount, into: &opened)
            offset += length
        }
    }

    private static func check(_ length: Int) throws(SecureChannelError) {
        guard length >= AEADKey.tagByteCount else { throw .recordTooShort(byteCount: length) }
    }

    private var notAuthentic: SecureChannelError { .recordNotAuthentic(number: hot.value.receiving.nonce - 1) }

    /// An authentic record. An empty one is allowed, and is nothing to hand on.
    private func record(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) {
        hot.value.received.payloadBytes += UInt64(range.count)
        hot.value.received.recordOverheadBytes += UInt64(Self.overheadByteCount)
        hot.value.received.records += 1
        if !range.isEmpty { opened.append(Slice(block, range)) }
    }

    private func begin(_ pending: Pending) throws(SecureChannelError) {
        let needed = pending.ciphertextCount
        // Whoever kept a slice of the last cut record keeps that block; the next needs one of its own.
        if !isKnownUniquelyReferenced(&hot.value.carry) || hot.value.carry.capacity < needed {
            var capacity = Self.carryBytesMin
            while capacity < needed { capacity *= 2 }
            hot.value.carry = Block(capacity: capacity)
        }
        try hot.value.receiving.beginOpening()
        hot.value.pending = pending
    }

    /// Takes what `block` holds of the record that was cut.
    private func receivePiece(_ block: Block, _ offset: inout Int, upTo end: Int, into opened: inout [Slice]) throws(SecureChannelError) {
        guard var pending = hot.value.pending else { return }
        if pending.headerCount < Self.headerByteCount {
            pending.length = Int(pending.firstByte) << 8 | Int(block.bytes(offset..<offset + 1).byte(at: 0))
            pending.headerCount += 1
            offset += 1
            try Self.check(pending.length)
            return try begin(pending)
        }
        let ciphertextCount = pending.ciphertextCount
        if pending.count < ciphertextCount {
            let count = min(ciphertextCount - pending.count, end - offset)
            try hot.value.receiving.openPiece(block.bytes(offset..<offset + count), into: hot.value.carry, at: pending.count)
            pending.count += count
            offset += count
        }
        let tagCount = min(pending.length - pending.count, end - offset)
        if tagCount > 0 {
            hot.value.tag.copy(block.bytes(offset..<offset + tagCount), at: pending.count - ciphertextCount)
            pending.count += tagCount
            offset += tagCount
        }
        guard pending.count == pending.length else {
            hot.value.pending = pending
            return
        }
        hot.value.pending = nil
        let tag = hot.value.tag
        guard hot.value.receiving.finishOpening(tag: tag.bytes(0..<AEADKey.tagByteCount)) else { throw notAuthentic }
        record(hot.value.carry, 0..<ciphertextCount, into: &opened)
    }
}
