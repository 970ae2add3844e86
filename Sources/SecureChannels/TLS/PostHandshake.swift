import Bytes
import Ciphers

/// Reads the handshake messages that may come after the handshake (RFC 8446, section 4.6), which records may cut anywhere and put together.
///
/// Invariant: of a message only its first five bytes are looked at and none is kept, so a far end cannot make this side hold anything.
struct PostHandshake: BitwiseCopyable {
    /// A new key for the direction it came from, and whether one for the other direction is asked for.
    enum Renewal {
        case none, received, requested
    }

    private static let newSessionTicket: UInt8 = 4
    private static let keyUpdate: UInt8 = 24
    static let headerByteCount = 4

    /// This message, as it is sent (section 4.6.3), not asking for another.
    static let keyUpdateMessage: [UInt8] = [keyUpdate, 0, 0, 1, 0]

    /// Only a client is sent tickets.
    let takesTickets: Bool
    private var headerCount = 0
    private var header: UInt32 = 0
    private var missing = 0

    init(takesTickets: Bool) { self.takesTickets = takesTickets }

    var isWithinMessage: Bool { headerCount > 0 }

    private var type: UInt8 { UInt8(truncatingIfNeeded: header >> 24) }

    /// Takes the content of a record. A message that renews the keys must be the last in its record (section 5.1).
    mutating func receive(_ bytes: RawSpan) throws(SecureChannelError) -> Renewal {
        var offset = 0
        while offset < bytes.byteCount {
            if headerCount < Self.headerByteCount {
                header = header << 8 | UInt32(bytes.byte(at: offset))
                headerCount += 1
                offset += 1
                if headerCount == Self.headerByteCount { try begin() }
            } else if type == Self.keyUpdate {
                let value = bytes.byte(at: offset)
                guard value <= 1 else { throw .tls(.malformedMessage(type: type)) }
                guard offset + 1 == bytes.byteCount else { throw .tls(.unexpectedMessage(type: type)) }
                headerCount = 0
                return value == 1 ? .requested : .received
            } else {
                let count = min(missing, bytes.byteCount - offset)
                missing -= count
                offset += count
            }
            if headerCount == Self.headerByteCount && missing == 0 { headerCount = 0 }
        }
        return .none
    }

    private mutating func begin() throws(SecureChannelError) {
        missing = Int(header & 0xff_ffff)
        switch type {
        case Self.newSessionTicket where takesTickets:
            // Fixed fields, a nonce, a ticket and extensions have at most this together.
            guard (13...(9 + 255 + 2 + 65_535 + 2 + 65_534)).contains(missing) else { throw .tls(.malformedMessage(type: type)) }
        case Self.keyUpdate: guard missing == 1 else { throw .tls(.malformedMessage(type: type)) }
        default: throw .tls(.unexpectedMessage(type: type))
        }
    }
}
