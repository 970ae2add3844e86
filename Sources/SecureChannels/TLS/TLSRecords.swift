import Bytes
import Ciphers

/// The channel after the handshake: seals and opens records, renews keys, says and hears farewell.
///
/// A record that lies whole in what was read is decrypted where it lies. Of one that was cut, each piece is decrypted into the carry block as it comes: the bytes
/// are moved by the cipher itself, and nothing is handed on before the tag has been seen.
///
/// Invariant: between two calls, `pending` is nil or says what has arrived of a record, and `carry` then holds what of it is decrypted.
final class TLSRecords {
    /// After this many records a sender takes a new key: with AES-GCM, RFC 8446 allows some 24 million (section 5.5).
    static let recordsPerKeyMax: UInt64 = 1 << 24
    /// Records in a row that carry nothing for the application. Renewing keys and tickets need a few; more would be work for nothing.
    static let idleRecordsMax = 32
    /// The carry block begins with this much and grows as records need it: a connection that sees small records only stays small.
    static let carryBytesMin = 4096

    /// A record of which a part has arrived.
    private struct Pending {
        /// Bytes of the header that have come.
        var headerCount: Int
        /// The length from the header: what is encrypted, and the tag.
        var length = 0
        /// Of those, how many have come.
        var count = 0

        var encryptedCount: Int { length - AEADKey.tagByteCount }
    }

    private struct Hot: ~Copyable {
        var sending: TLSTrafficKey
        var receiving: TLSTrafficKey
        var postHandshake: PostHandshake
        var pending: Pending?
        var carry = Block(capacity: 0)
        let header = Block(capacity: TLSTrafficKey.headerByteCount)
        let tag = Block(capacity: AEADKey.tagByteCount)
        var idleRecords = 0
        var hasSaidFarewell = false
        var hasHeardFarewell = false
        /// The far end has asked for a new key: one answers any number of requests.
        var isRenewalRequested = false
        var recordsPerKeyMax = TLSRecords.recordsPerKeyMax
        var sent = SecureChannelCounters.Direction()
        var received = SecureChannelCounters.Direction()
    }

    private let hot: Owned<Hot>
    private let contentBytesMax: Int

    init(_ result: TLSSession.Result, _ role: SecureChannelRole) throws(CipherError) {
        let isClient = role == .initiator
        contentBytesMax = result.recordContentBytesMax
        hot = Owned(
            Hot(
                sending: try TLSTrafficKey(result.suite, secret: isClient ? result.clientSecret : result.serverSecret),
                receiving: try TLSTrafficKey(result.suite, secret: isClient ? result.serverSecret : result.clientSecret),
                postHandshake: PostHandshake(takesTickets: isClient)))
    }

    var isWithinRecord: Bool { hot.value.pending != nil }
    var hasHeardFarewell: Bool { hot.value.hasHeardFarewell }

    /// Adds what was sent and received here.
    func add(to counters: inout SecureChannelCounters) {
        Self.add(hot.value.sent, to: &counters.sent)
        Self.add(hot.value.received, to: &counters.received)
        counters.received.unfinishedBytes += hot.value.pending.map { UInt64($0.headerCount + $0.count) } ?? 0
    }

    private static func add(_ own: SecureChannelCounters.Direction, to direction: inout SecureChannelCounters.Direction) {
        direction.handshakeBytes += own.handshakeBytes
        direction.recordOverheadBytes += own.recordOverheadBytes
        direction.payloadBytes += own.payloadBytes
        direction.records += own.records
    }

    /// For the test of how keys are renewed.
    func setRecordsPerKeyMax(_ count: UInt64) { hot.value.recordsPerKeyMax = count }

    // MARK: Sealing

    func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(CipherError) -> Int {
        precondition(!hot.value.hasSaidFarewell, "sealing after the farewell")
        var position = offset
        let last = cursor.byteCount + min(byteLimit, gather.byteCount - cursor.byteCount)
        while cursor.byteCount < last {
            let isRenewalDue = hot.value.isRenewalRequested || hot.value.sending.recordNumber >= hot.value.recordsPerKeyMax
            let renewalBytes = isRenewalDue ? Self.renewalByteCount : 0
            let room = block.capacity - position - TLSTrafficKey.overheadByteCount - renewalBytes
            guard room > 0 else { break }
            let waiting = last - cursor.byteCount
            let count = min(waiting, contentBytesMax, room)
            // What does not fit goes into the next block rather than into a crumb of a record at the end of this one.
            if count < waiting, count == room, count < SecureChannelLimits.recordPayloadBytesMin, position > offset { break }
            if isRenewalDue {
                let renewal = try makeRenewal()
                block.copy(renewal.rawSpan, at: position)
                position += renewal.count
            }
            try hot.value.sending.seal(&gather, from: &cursor, byteCount: count, into: block, at: position)
            hot.value.sent.payloadBytes += UInt64(count)
            hot.value.sent.recordOverheadBytes += UInt64(TLSTrafficKey.overheadByteCount)
            hot.value.sent.records += 1
            position += TLSTrafficKey.overheadByteCount + count
        }
        return position - offset
    }

    private static let renewalByteCount = PostHandshake.keyUpdateMessage.count + TLSTrafficKey.overheadByteCount

    /// The record that announces the next key, sealed with the last use of this one (RFC 8446, section 4.6.3).
    private func makeRenewal() throws(CipherError) -> [UInt8] {
        let record = try hot.value.sending.seal(PostHandshake.keyUpdateMessage, .handshake)
        hot.value.sending = try hot.value.sending.next()
        hot.value.isRenewalRequested = false
        hot.value.sent.handshakeBytes += UInt64(record.count)
        return record
    }

    /// An alert as a record. The farewell ends the sending side, and so does any other.
    func makeAlert(_ alert: TLSAlert) throws(CipherError) -> [UInt8] {
        guard !hot.value.hasSaidFarewell else { return [] }
        let record = try hot.value.sending.seal([alert.isFatal ? 2 : 1, alert.rawValue], .alert)
        hot.value.hasSaidFarewell = true
        hot.value.sent.handshakeBytes += UInt64(record.count)
        return record
    }

    // MARK: Opening

    func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            if hot.value.hasHeardFarewell {
                // What follows is passed over (section 6.1).
                hot.value.received.handshakeBytes += UInt64(range.upperBound - offset)
                return
            }
            if hot.value.pending != nil {
                try receivePiece(block, &offset, upTo: range.upperBound, into: &opened)
                continue
            }
            let available = range.upperBound - offset
            let headerEnd = offset + TLSTrafficKey.headerByteCount
            guard headerEnd <= range.upperBound else {
                hot.value.header.copy(block.bytes(offset..<range.upperBound), at: 0)
                hot.value.pending = Pending(headerCount: available)
                return
            }
            let length = try Self.length(block.bytes(offset..<headerEnd))
            let record = offset..<headerEnd + length
            if record.upperBound > range.upperBound {
                hot.value.header.copy(block.bytes(offset..<headerEnd), at: 0)
                try begin(Pending(headerCount: TLSTrafficKey.headerByteCount, length: length))
                offset = headerEnd
                continue
            }
            guard let inner = hot.value.receiving.open(block, record) else { throw notAuthentic }
            try take(block, inner, wireByteCount: record.count, into: &opened)
            offset = record.upperBound
        }
    }

    private var notAuthentic: SecureChannelError { .recordNotAuthentic(number: hot.value.receiving.recordNumber - 1) }

    /// The length in a header, after it was checked. The version in it has no meaning (section 5.1), but is authentic like the rest.
    private static func length(_ header: RawSpan) throws(SecureChannelError) -> Int {
        guard header.byte(at: 0) == TLSContentType.applicationData.rawValue else { throw .tls(.unexpectedRecord(type: header.byte(at: 0))) }
        let length = Int(header.bigEndian16(at: 3))
        guard length <= TLSTrafficKey.encryptedBytesMax else {
            throw .tls(.recordTooLarge(byteCount: length, limitBytes: TLSTrafficKey.encryptedBytesMax))
        }
        guard length >= TLSTrafficKey.encryptedBytesMin else { throw .recordTooShort(byteCount: length) }
        return length
    }

    private func begin(_ pending: Pending) throws(SecureChannelError) {
        let needed = pending.encryptedCount
        // Whoever kept a slice of the last cut record keeps that block; the next needs one of its own.
        if !isKnownUniquelyReferenced(&hot.value.carry) || hot.value.carry.capacity < needed {
            var capacity = Self.carryBytesMin
            while capacity < needed { capacity *= 2 }
            hot.value.carry = Block(capacity: capacity)
        }
        let header = hot.value.header
        let headerBytes = header.bytes(0..<TLSTrafficKey.headerByteCount)
        do { try hot.value.receiving.beginOpening(header: headerBytes) } catch { throw .library(error) }
        hot.value.pending = pending
    }

    /// Takes what `block` holds of the record that was cut.
    private func receivePiece(_ block: Block, _ offset: inout Int, upTo end: Int, into opened: inout [Slice]) throws(SecureChannelError) {
        guard var pending = hot.value.pending else { return }
        if pending.headerCount < TLSTrafficKey.headerByteCount {
            let count = min(TLSTrafficKey.headerByteCount - pending.headerCount, end - offset)
            hot.value.header.copy(block.bytes(offset..<offset + count), at: pending.headerCount)
            pending.headerCount += count
            offset += count
            hot.value.pending = pending
            guard pending.headerCount == TLSTrafficKey.headerByteCount else { return }
            let header = hot.value.header
            pending.length = try Self.length(header.bytes(0..<TLSTrafficKey.headerByteCount))
            return try begin(pending)
        }
        let encryptedCount = pending.encryptedCount
        if pending.count < encryptedCount {
            let count = min(encryptedCount - pending.count, end - offset)
            let piece = block.bytes(offset..<offset + count)
            do { try hot.value.receiving.openPiece(piece, into: hot.value.carry, at: pending.count) } catch { throw .library(error) }
            pending.count += count
            offset += count
        }
        let tagCount = min(pending.length - pending.count, end - offset)
        if tagCount > 0 {
            hot.value.tag.copy(block.bytes(offset..<offset + tagCount), at: pending.count - encryptedCount)
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
        try take(hot.value.carry, 0..<encryptedCount, wireByteCount: pending.headerCount + pending.length, into: &opened)
    }

    /// An authentic record: its content, type and zeros.
    private func take(_ block: Block, _ inner: Range<Int>, wireByteCount: Int, into opened: inout [Slice]) throws(SecureChannelError) {
        guard let content = TLSTrafficKey.content(of: block, inner) else { throw .tls(.recordWithoutType) }
        let byteCount = content.range.count
        guard byteCount <= TLSSession.recordContentBytesMax else {
            throw .tls(.recordTooLarge(byteCount: byteCount, limitBytes: TLSSession.recordContentBytesMax))
        }
        let type = TLSContentType(rawValue: content.type)
        guard let type, type == .handshake || !hot.value.postHandshake.isWithinMessage else { throw .tls(.unexpectedRecord(type: content.type)) }
        if type == .applicationData {
            hot.value.received.payloadBytes += UInt64(byteCount)
            hot.value.received.recordOverheadBytes += UInt64(wireByteCount - byteCount)
            hot.value.received.records += 1
        } else {
            hot.value.received.handshakeBytes += UInt64(wireByteCount)
        }
        if type == .applicationData && byteCount > 0 {
            hot.value.idleRecords = 0
            opened.append(Slice(block, content.range))
            return
        }
        hot.value.idleRecords += 1
        guard hot.value.idleRecords <= Self.idleRecordsMax else { throw .tls(.idleRecords(limit: Self.idleRecordsMax)) }
        switch type {
        case .applicationData: break
        case .handshake: try receiveHandshake(block.bytes(content.range))
        case .alert: try receiveAlert(block.bytes(content.range))
        case .changeCipherSpec: throw .tls(.unexpectedRecord(type: content.type))
        }
    }

    private func receiveHandshake(_ content: RawSpan) throws(SecureChannelError) {
        guard !content.isEmpty else { throw .tls(.unexpectedRecord(type: TLSContentType.handshake.rawValue)) }
        let renewal = try hot.value.postHandshake.receive(content)
        guard renewal != .none else { return }
        do { hot.value.receiving = try hot.value.receiving.next() } catch { throw .library(error) }
        // The answer is due before the next data of this side (section 4.6.3), and not sooner: a far end that asks and never reads would otherwise make
        // answers pile up here.
        if renewal == .requested { hot.value.isRenewalRequested = true }
    }

    private func receiveAlert(_ content: RawSpan) throws(SecureChannelError) {
        guard content.byteCount == 2 else { throw .tls(.malformedAlert) }
        let alert = TLSAlert(rawValue: content.byte(at: 1))
        if alert == .closeNotify { hot.value.hasHeardFarewell = true }
        guard !alert.isFatal else { throw .tls(.alert(alert)) }
    }
}
