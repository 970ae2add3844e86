public import Ciphers

/// What can go wrong with TLS and with no other channel. All of it is the far end's doing.
public enum TLSFailure: Equatable, Sendable {
    // The handshake.
    /// What came is no record of TLS.
    case notTLS
    /// libssl refused what the far end sent, for the reason it gives; the alert was sent.
    case refused(reason: String, alert: TLSAlert?)
    /// The far end's certificate breaks libp2p's rules.
    case certificate(TLSCertificateFault)
    /// The value of libp2p's extension is not a `SignedKey`.
    case malformedSignedKey
    /// The server chose an application protocol that was not offered.
    case unknownApplicationProtocol

    // Records.
    /// A record announces more than TLS allows.
    case recordTooLarge(byteCount: Int, limitBytes: Int)
    /// A record that has no place here, by the type it shows or, once decrypted, has.
    case unexpectedRecord(type: UInt8)
    /// A record of zeros only.
    case recordWithoutType
    /// A message that has no place after the handshake, or not in this direction.
    case unexpectedMessage(type: UInt8)
    /// A message after the handshake cannot be read.
    case malformedMessage(type: UInt8)
    /// An alert that is not of two bytes.
    case malformedAlert
    /// So many records in a row that carried no data.
    case idleRecords(limit: Int)

    // How the far end stopped.
    /// It gave up and said why.
    case alert(TLSAlert)
    /// The connection ended without a farewell: somebody may have cut it.
    case endedWithoutFarewell

    /// What the far end is to be told (RFC 8446, section 6); nil when that would be no use.
    var alert: TLSAlert? {
        switch self {
        case .unexpectedRecord, .recordWithoutType, .unexpectedMessage, .idleRecords: .unexpectedMessage
        case .recordTooLarge: .recordOverflow
        case .malformedMessage, .malformedAlert: .decodeError
        case .unknownApplicationProtocol: .illegalParameter
        case .notTLS, .refused, .certificate, .malformedSignedKey, .alert, .endedWithoutFarewell: nil
        }
    }
}

extension TLSFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notTLS: "the far end does not speak TLS"
        case .refused(let reason, let alert): "the TLS handshake failed: \(reason)" + (alert.map { " (\($0) was sent)" } ?? "")
        case .certificate(let fault): "the far end sent \(fault)"
        case .malformedSignedKey: "the far end's certificate has a malformed libp2p extension"
        case .unknownApplicationProtocol: "the far end chose an application protocol that was not offered"
        case .recordTooLarge(let byteCount, let limit): "the far end sent a record of \(byteCount) bytes; at most \(limit) are allowed"
        case .unexpectedRecord(let type): "the far end sent a record of type \(type) where none belongs"
        case .recordWithoutType: "the far end sent a record without a type"
        case .unexpectedMessage(let type): "the far end sent a handshake message of type \(type) where none belongs"
        case .malformedMessage(let type): "the far end sent a malformed handshake message of type \(type)"
        case .malformedAlert: "the far end sent a malformed alert"
        case .idleRecords(let limit): "the far end sent \(limit) records without data in a row"
        case .alert(let alert): "the far end gave up: \(alert)"
        case .endedWithoutFarewell: "the connection ended without TLS's farewell; somebody may have cut it"
        }
    }
}
