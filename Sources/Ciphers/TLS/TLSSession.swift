import Bytes
import COpenSSL

/// One handshake of TLS 1.3, done by libssl, up to the two secrets that everything after it is protected with. The records after it are not libssl's: version
/// 3.0 copies what it sends and receives twice and allocates for every record, three times when sending; ``TLSTrafficKey`` does neither.
///
/// Call order:
///
/// 1. ``advance(_:)`` with nothing, which makes the client speak; write what ``takeOutput()`` gives after this and every later call.
/// 2. ``advance(_:)`` with one whole record that came in, and so on, until ``result`` is there. The record behind that is the first for ``TLSTrafficKey``, as
///    handshake messages may not share a record with what other keys protect (RFC 8446, section 5.1).
/// 3. Let the session go: libssl's buffers for a connection are tens of kilobytes.
///
/// A thrown error is final; ``takeOutput()`` then has the alert for the far end, if it is to get one.
///
/// Invariant: `result` is there only after the far end's certificate kept the rules and `judge` accepted its owner.
@safe public final class TLSSession {
    public struct Result {
        /// Cipher and hash of everything that follows.
        public let suite: TLSCipherSuite
        /// Protects what the client sends, see ``TLSTrafficKey``.
        public let clientSecret: Secret
        /// Protects what the server sends.
        public let serverSecret: Secret
        /// What ALPN chose; nil when one of the two had nothing to say.
        public let applicationProtocol: [UInt8]?
        /// The most bytes of content that the far end wants in a record (RFC 6066, section 4).
        public let recordContentBytesMax: Int
    }

    /// Looks at the identity in a certificate that keeps the rules, and says with which alert to refuse it; nil accepts.
    public typealias Judge = (TLSPeerCertificate) -> TLSAlert?

    /// Content of a record (RFC 8446, section 5.1).
    public static let recordContentBytesMax = 1 << 14

    /// Nil until the handshake is done.
    public private(set) var result: Result?
    /// The handshake's messages, both ways, in order.
    public private(set) var messages: [TLSHandshakeMessage] = []

    private let context: TLSContext
    private let ssl: OpaquePointer
    private let protocols: [UInt8]
    private let judge: Judge
    private var clientSecret: Secret?
    private var serverSecret: Secret?

    private var fault: TLSCertificateFault?
    private var isIdentityRefused = false
    private var alertReceived: TLSAlert?
    private var alertSent: TLSAlert?

    // Bytes of records since the last whole message, by direction, and which message has those of the record being read.
    private var recordBytesSent = 0
    private var recordBytesReceived = 0
    private var recordHolder = 0

    /// - Parameters:
    ///   - context: this side's certificate and settings; shared by all sessions.
    ///   - isClient: whether this side speaks first.
    ///   - protocols: names for ALPN, the preferred first; each of 1 to 255 bytes. A server takes the client's first that it has as well.
    ///   - judge: accepts or refuses who the far end is, see ``Judge``.
    public init(_ context: TLSContext, isClient: Bool, protocols: [[UInt8]], judge: @escaping Judge) throws(CipherError) {
        var list: [UInt8] = []
        for name in protocols {
            precondition((1...255).contains(name.count), "ALPN has names of 1 to 255 bytes")
            list.append(UInt8(name.count))
            list += name
        }
        self.context = context
        self.protocols = list
        self.judge = judge
        guard let ssl = unsafe co_tls_connection(context.pointer, isClient ? 1 : 0) else { throw Library.failure("begin TLS") }
        unsafe self.ssl = unsafe ssl
        // Unretained: libssl calls back only from within this object's methods.
        let isReady = unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque()) == 1
            && list.withUnsafeBufferPointer { unsafe !isClient || SSL_set_alpn_protos(ssl, $0.baseAddress, UInt32($0.count)) == 0 }
        guard isReady else { throw Library.failure("begin TLS") }
    }

    deinit { unsafe SSL_free(ssl) }

    /// Takes one whole record, or nothing, and goes on as far as that leads.
    public func advance(_ record: RawSpan) throws(TLSHandshakeError) {
        precondition(result == nil, "the handshake is over")
        Library.forgetErrors()
        if !record.isEmpty {
            let isTaken = unsafe record.withUnsafeBytes { unsafe BIO_write(SSL_get_rbio(ssl), $0.baseAddress, Int32($0.count)) == Int32($0.count) }
            guard isTaken else { throw .library(Library.failure("go on with TLS")) }
        }
        let outcome = unsafe SSL_do_handshake(ssl)
        if outcome == 1 {
            result = try makeResult()
        } else if unsafe SSL_get_error(ssl, outcome) != SSL_ERROR_WANT_READ {
            throw failure()
        }
    }

    /// Records for the far end, which are no longer here afterwards.
    public func takeOutput() -> [UInt8] {
        let bio = unsafe SSL_get_wbio(ssl)
        let count = unsafe BIO_ctrl_pending(bio)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            initializedCount = unsafe max(0, Int(BIO_read(bio, buffer.baseAddress, Int32(count))))
        }
    }

    private func makeResult() throws(TLSHandshakeError) -> Result {
        let cipher = unsafe SSL_get_current_cipher(ssl)
        guard let suite = unsafe TLSCipherSuite(rawValue: SSL_CIPHER_get_protocol_id(cipher)), let clientSecret, let serverSecret,
            clientSecret.byteCount == suite.hashByteCount, serverSecret.byteCount == suite.hashByteCount
        else { throw .library(.library(operation: "finish TLS", reason: "no secrets")) }
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &length)
        let chosen = unsafe length > 0 ? Array(UnsafeBufferPointer(start: name, count: Int(length))) : nil
        // 0 means that none was agreed on, 1 stands for 512 and each further number for twice as much.
        let limit = unsafe Int(SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl)))
        return Result(
            suite: suite, clientSecret: clientSecret, serverSecret: serverSecret, applicationProtocol: chosen,
            recordContentBytesMax: (1...4).contains(limit) ? 256 << limit : Self.recordContentBytesMax)
    }

    private func failure() -> TLSHandshakeError {
        if let fault {
            Library.forgetErrors()
            return .certificate(fault)
        }
        let error = Library.failure("go on with TLS")
        if isIdentityRefused { return .identityRefused }
        if let alertReceived { return .alert(alertReceived) }
        if alertSent == .internalError { return .library(error) }
        guard case .library(_, let reason) = error else { return .library(error) }
        return .protocolViolation(reason: reason, alert: alertSent)
    }

    // MARK: What libssl tells

    static func installCallbacks(_ context: TLSContext) {
        let context = unsafe context.pointer
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        unsafe SSL_CTX_set_cert_verify_callback(
            context, { store, _ in unsafe TLSSession.of(co_tls_of_store(store))?.judgeCertificate(store) == true ? 1 : 0 }, nil)
        unsafe SSL_CTX_set_alpn_select_cb(
            context,
            { ssl, out, outLength, offered, offeredLength, _ in
                unsafe TLSSession.of(ssl)?.select(out, outLength, offered, offeredLength) == true ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL
            }, nil)
        unsafe SSL_CTX_set_keylog_callback(context) { ssl, line in unsafe TLSSession.of(ssl)?.keep(line) }
        unsafe SSL_CTX_set_msg_callback(context) { isSent, _, type, bytes, count, ssl, _ in
            unsafe TLSSession.of(ssl)?.note(isSent: isSent != 0, type, UnsafeRawBufferPointer(start: bytes, count: count))
        }
    }

    private static func of(_ ssl: OpaquePointer?) -> TLSSession? {
        guard let owner = unsafe co_tls_owner(ssl) else { return nil }
        return unsafe Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue()
    }

    /// In place of the search for a chain of trust.
    private func judgeCertificate(_ store: OpaquePointer?) -> Bool {
        // What was tried on the way to a verdict is no failure of libssl's: with such a note left, SSL_get_error would take waiting for one.
        defer { Library.forgetErrors() }
        let alert: TLSAlert?
        do throws(TLSCertificateFault) {
            let count = unsafe Int(co_certificates_count(X509_STORE_CTX_get0_untrusted(store)))
            guard count == 1, let certificate = unsafe X509_STORE_CTX_get0_cert(store) else { throw .chainLength(count) }
            alert = judge(unsafe try TLSPeerCertificate(certificate, time: secondsSince1970()))
            isIdentityRefused = alert != nil
        } catch {
            fault = error
            alert = error.alert
        }
        unsafe X509_STORE_CTX_set_error(store, alert.map(Self.verificationError) ?? X509_V_OK)
        return alert == nil
    }

    /// libssl takes no alert for an answer, but one of its reasons, which it translates into an alert.
    private static func verificationError(_ alert: TLSAlert) -> Int32 {
        switch alert {
        case .certificateExpired: X509_V_ERR_CERT_HAS_EXPIRED
        case .unsupportedCertificate: X509_V_ERR_INVALID_PURPOSE
        case .decryptError: X509_V_ERR_CERT_SIGNATURE_FAILURE
        default: X509_V_ERR_CERT_REJECTED
        }
    }

    /// The client's first that the server has (libp2p specification "Stream multiplexer negotiation in security handshake", section "Multiplexer Negotiation
    /// over TLS").
    private func select(
        _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ outLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
        _ offeredLength: UInt32
    ) -> Bool {
        var chosen: UnsafeMutablePointer<UInt8>?
        // The function prefers what its first list prefers, and calls that the server's.
        let outcome = unsafe protocols.withUnsafeBufferPointer {
            unsafe SSL_select_next_proto(&chosen, outLength, offered, offeredLength, $0.baseAddress, UInt32($0.count))
        }
        guard outcome == OPENSSL_NPN_NEGOTIATED else { return false }
        unsafe out?.pointee = unsafe UnsafePointer(chosen)
        return true
    }

    /// The secrets of application data, from the lines that libssl writes for tools that look into traffic: it has no other way to hand them out.
    private func keep(_ line: UnsafePointer<CChar>?) {
        guard let line = unsafe line else { return }
        if let secret = unsafe Self.secret(line, "CLIENT_TRAFFIC_SECRET_0") { clientSecret = secret }
        if let secret = unsafe Self.secret(line, "SERVER_TRAFFIC_SECRET_0") { serverSecret = secret }
    }

    private static func secret(_ line: UnsafePointer<CChar>, _ label: String) -> Secret? {
        let bytesMax = 64
        var length = 0
        let whole = unsafe Secret(byteCount: bytesMax) {
            length = unsafe co_secret_of_line(line, label, $0, bytesMax)
            return length > 0
        }
        guard let whole else { return nil }
        return Secret(copying: whole.bytes.extracting(0..<length))
    }

    /// Every record's header, then the message or alert that it ended.
    private func note(isSent: Bool, _ type: Int32, _ bytes: UnsafeRawBufferPointer) {
        switch type {
        case SSL3_RT_HEADER where bytes.count >= 5:
            let byteCount = unsafe 5 + Int(bytes[3]) << 8 + Int(bytes[4])
            if isSent {
                recordBytesSent += byteCount
            } else {
                recordBytesReceived += byteCount
            }
        case SSL3_RT_ALERT where bytes.count == 2:
            let alert = unsafe TLSAlert(rawValue: bytes[1])
            if isSent {
                alertSent = alert
            } else {
                alertReceived = alert
            }
        case SSL3_RT_HANDSHAKE where bytes.count > 0: unsafe note(isSent: isSent, message: bytes[0], byteCount: bytes.count)
        default: break
        }
    }

    private func note(isSent: Bool, message type: UInt8, byteCount: Int) {
        if isSent {
            messages.append(TLSHandshakeMessage(type: type, isSent: true, byteCount: recordBytesSent))
            recordBytesSent = 0
        } else if recordBytesReceived > 0 {
            recordHolder = messages.count
            messages.append(TLSHandshakeMessage(type: type, isSent: false, byteCount: recordBytesReceived))
            recordBytesReceived = 0
        } else {
            messages[recordHolder].byteCount -= byteCount
            messages.append(TLSHandshakeMessage(type: type, isSent: false, byteCount: byteCount))
        }
    }
}
