import Bytes
import CProbes
import Ciphers

/// The channel after the handshake: seals and opens records, renews keys, says and hears farewell.
///
/// A record that lies whole in what was read is decrypted where it lies; one that was cut is gathered by ``CutRecord``.
///
/// Invariant: nothing is handed on before its tag has been found right.
final class TLSRecords {
    /// After this many records a sender takes a new key: with AES-GCM, RFC 8446 allows some 24 million (section 5.5).
    static let recordsPerKeyMax: UInt64 = 1 << 24
    /// Records in a row that carry nothing for the application. Renewing keys and tickets need a few; more would be work for nothing.
    static let idleRecordsMax = 32

    private struct Hot: ~Copyable {
        var sending: TLSTrafficKey
        var receiving: TLSTrafficKey
        var postHandshake: PostHandshake
        var cut = CutRecord(headerByteCount: TLSTrafficKey.headerByteCount)
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

    /// What probes call this channel.
    private var probed: UInt { UInt(bitPattern: ObjectIdentifier(self)) }

    var isWithinRecord: Bool { !hot.value.cut.isEmpty }
    var hasHeardFarewell: Bool { hot.value.hasHeardFarewell }

    /// Adds what was sent and received here.
    func add(to counters: inout SecureChannelCounters) {
        counters.sent += hot.value.sent
        counters.received += hot.value.received
        counters.received.unfinishedBytes += UInt64(hot.value.cut.byteCount)
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
            let count = SecureChannelLimits.recordPayloadBytes(
                waiting: last - cursor.byteCount, room: room, limit: contentBytesMax, isFirst: position == offset)
            guard count > 0 else { break }
            if isRenewalDue {
                let renewal = try makeRenewal()
                block.copy(renewal.rawSpan, at: position)
                position += renewal.count
            }
            try hot.value.sending.seal(&gather, from: &cursor, byteCount: count, into: block, at: position)
            hot.value.sent.payloadBytes += UInt64(count)
            hot.value.sent.recordOverheadBytes += UInt64(TLSTrafficKey.overheadByteCount)
            hot.value.sent.records += 1
            cp_record_sealed(probed, count)
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
            let headerEnd = offset + TLSTrafficKey.headerByteCount
            if hot.value.cut.isEmpty, headerEnd <= range.upperBound {
                let record = offset..<headerEnd + (try Self.length(block.bytes(offset..<headerEnd)))
                if record.upperBound <= range.upperBound {
                    guard let inner = hot.value.receiving.open(block, record) else { throw notAuthentic }
                    try take(block, inner, wireByteCount: record.count, into: &opened)
                    offset = record.upperBound
                    continue
                }
            }
            try receivePiece(block, &offset, upTo: range.upperBound, into: &opened)
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

    /// Takes what `block` holds of the record that was cut.
    private func receivePiece(_ block: Block, _ offset: inout Int, upTo end: Int, into opened: inout [Slice]) throws(SecureChannelError) {
        if !hot.value.cut.isBegun {
            guard hot.value.cut.takeHeader(block, &offset, upTo: end) else { return }
            let header = hot.value.cut.header
            let bytes = header.bytes(0..<TLSTrafficKey.headerByteCount)
            hot.value.cut.begin(length: try Self.length(bytes))
            do { return try hot.value.receiving.beginOpening(header: bytes) } catch { throw .library(error) }
        }
        if let piece = hot.value.cut.takeEncrypted(&offset, upTo: end) {
            let bytes = block.bytes(piece.range)
            do { try hot.value.receiving.openPiece(bytes, into: hot.value.cut.carry, at: piece.position) } catch { throw .library(error) }
        }
        guard hot.value.cut.takeTag(block, &offset, upTo: end) else { return }
        let (encryptedCount, wireByteCount) = (hot.value.cut.encryptedCount, hot.value.cut.byteCount)
        let tag = hot.value.cut.tag
        hot.value.cut.end()
        guard hot.value.receiving.finishOpening(tag: tag.bytes(0..<AEADKey.tagByteCount)) else { throw notAuthentic }
        try take(hot.value.cut.carry, 0..<encryptedCount, wireByteCount: wireByteCount, into: &opened)
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
            cp_record_opened(probed, byteCount)
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
