/// How an end of a TLS connection says that it stops, and why (RFC 8446, section 6).
public struct TLSAlert: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    private init(_ rawValue: UInt8) { self.rawValue = rawValue }

    /// The farewell: no more data will come.
    public static let closeNotify = TLSAlert(0)
    public static let unexpectedMessage = TLSAlert(10)
    public static let badRecordMAC = TLSAlert(20)
    public static let recordOverflow = TLSAlert(22)
    public static let handshakeFailure = TLSAlert(40)
    public static let badCertificate = TLSAlert(42)
    public static let unsupportedCertificate = TLSAlert(43)
    public static let certificateExpired = TLSAlert(45)
    public static let illegalParameter = TLSAlert(47)
    public static let decodeError = TLSAlert(50)
    public static let decryptError = TLSAlert(51)
    public static let protocolVersion = TLSAlert(70)
    public static let internalError = TLSAlert(80)
    /// No fault; the farewell follows.
    public static let userCanceled = TLSAlert(90)
    public static let certificateRequired = TLSAlert(116)
    public static let noApplicationProtocol = TLSAlert(120)

    /// All but these two end the connection at once, whatever level they claim (section 6).
    public var isFatal: Bool { self != .closeNotify && self != .userCanceled }

    public var description: String {
        switch rawValue {
        case 0: "close_notify"
        case 10: "unexpected_message"
        case 20: "bad_record_mac"
        case 22: "record_overflow"
        case 40: "handshake_failure"
        case 42: "bad_certificate"
        case 43: "unsupported_certificate"
        case 44: "certificate_revoked"
        case 45: "certificate_expired"
        case 46: "certificate_unknown"
        case 47: "illegal_parameter"
        case 48: "unknown_ca"
        case 49: "access_denied"
        case 50: "decode_error"
        case 51: "decrypt_error"
        case 70: "protocol_version"
        case 71: "insufficient_security"
        case 80: "internal_error"
        case 86: "inappropriate_fallback"
        case 90: "user_canceled"
        case 109: "missing_extension"
        case 110: "unsupported_extension"
        case 112: "unrecognized_name"
        case 113: "bad_certificate_status_response"
        case 115: "unknown_psk_identity"
        case 116: "certificate_required"
        case 120: "no_application_protocol"
        default: "alert \(rawValue)"
        }
    }
}

/// What a record carries (RFC 8446, section 5.1).
public enum TLSContentType: UInt8, Sendable {
    case changeCipherSpec = 20
    case alert = 21
    case handshake = 22
    case applicationData = 23
}

/// A message of a handshake that was sent or received whole.
public struct TLSHandshakeMessage: Equatable, Sendable {
    /// Its number (RFC 8446, section 4).
    public let type: UInt8
    public let isSent: Bool
    /// What it took on the wire, with its records' headers and tags. Where one record holds several messages, the first has those of the record.
    public var byteCount: Int

    /// As the RFC calls it.
    public var name: String {
        switch type {
        case 1: "ClientHello"
        case 2: "ServerHello"
        case 4: "NewSessionTicket"
        case 5: "EndOfEarlyData"
        case 8: "EncryptedExtensions"
        case 11: "Certificate"
        case 13: "CertificateRequest"
        case 15: "CertificateVerify"
        case 20: "Finished"
        case 24: "KeyUpdate"
        default: "handshake message \(type)"
        }
    }
}

/// Why a handshake failed.
public enum TLSHandshakeError: Error, Equatable, Sendable {
    /// The far end gave up and said why.
    case alert(TLSAlert)
    /// The far end's certificate breaks a rule.
    case certificate(TLSCertificateFault)
    /// The caller refused the far end's identity.
    case identityRefused
    /// What the far end sent is no TLS 1.3, or agrees with nothing that is accepted here: libssl's reason, and the alert that was sent for it.
    case protocolViolation(reason: String, alert: TLSAlert?)
    /// libssl failed by itself.
    case library(CipherError)
}
