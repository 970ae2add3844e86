public import Bytes
import Ciphers
public import Multiformats

/// `/tls/1.0.0`: TLS 1.3 with each end's libp2p identity in its certificate, then encrypted records (libp2p specification "libp2p TLS Handshake").
///
/// ```
///                  initiator (client)                           responder (server)
///
///             ┌───────────────┐                             ┌───────────────┐
///             │     idle      │                             │     idle      │
///             └───────┬───────┘                             └───────┬───────┘
///              start()│ sends ClientHello                    start()│
///             ┌───────▼───────┐                             ┌───────▼───────┐
///             │ handshaking   │                             │ handshaking   │ ClientHello comes: sends ServerHello ...
///             └───────┬───────┘                             └───────┬───────┘  Certificate, CertificateVerify, Finished
///  all of these come, │ the certificate verified: sends     Finished│
///  Finished the last  │ its own, CertificateVerify, Finished   comes│ the client's certificate verified
///             ┌───────▼───────┐                             ┌───────▼───────┐
///             │  established  │◀───────── records ─────────▶│  established  │
///             └───────────────┘                             └───────────────┘
///
///                   anything else, at any time: failed
/// ```
///
/// A client is established before the server has looked at its certificate: should the server refuse it, the first thing that comes is an alert (section
/// "Peer Authentication").
///
/// libssl shakes hands, and no more: `TLSRecords` seals and opens, with the secrets that libssl agreed on.
///
/// TLS has a farewell, ``close()``: when the connection ends without one, ``receiveEnd()`` throws, as somebody between the two may have cut it.
///
/// Invariant: `records` and `established` exist only once the far end's identity was verified, and the session is then gone; nothing is opened or sealed
/// before.
public final class TLSChannel: SecureChannel {
    public static let protocolID: ProtocolID = "/tls/1.0.0"

    /// What the far end may send in its handshake. With RSA keys of 8,192 bits everywhere it is some 8 KiB; the rest is for unknown extensions.
    static let handshakeBytesMax = 32 * 1024
    /// The application protocol when no multiplexer is agreed on, always the last in the list.
    static let applicationProtocol = Array("libp2p".utf8)
    /// The longest name that ALPN can carry (RFC 7301, section 3.1).
    static let applicationProtocolBytesMax = 255

    private enum State {
        case idle, handshaking, established
        case failed(SecureChannelError)
    }

    private let configuration: SecureChannelConfiguration
    private let certificate: TLSCertificate
    private let judge: IdentityJudge
    /// Until it is done.
    private var session: TLSSession?
    private var records: TLSRecords?
    private var state = State.idle
    private var output: [UInt8] = []
    /// What has arrived of a handshake record.
    private var incoming: [UInt8] = []
    private var handshakeCounters = SecureChannelCounters()
    private var established: RemoteIdentity?
    public private(set) var handshakeMessages: [HandshakeMessage] = []

    /// - Parameters:
    ///   - configuration: who this side is, and whom it expects.
    ///   - certificate: made for ``SecureChannelConfiguration/identity``; nil makes one for this connection alone.
    public init(_ configuration: SecureChannelConfiguration, certificate: TLSCertificate? = nil) throws(SecureChannelError) {
        let certificate = if let certificate { certificate } else { try TLSCertificate(signedBy: configuration.identity) }
        precondition(certificate.identity.peerID == configuration.identity.peerID, "a certificate of another identity")
        self.configuration = configuration
        self.certificate = certificate
        let judge = IdentityJudge(configuration)
        self.judge = judge
        let names = configuration.muxers.map(\.utf8).filter { $0.count <= Self.applicationProtocolBytesMax } + [Self.applicationProtocol]
        do {
            session = try TLSSession(
                certificate.context, isClient: configuration.role == .initiator, protocols: names, judge: judge.judge)
        } catch {
            throw .library(error)
        }
    }

    public var isEstablished: Bool { established != nil }

    public var remote: RemoteIdentity? { established }

    /// Whether the far end has said that it will send nothing more.
    public var hasHeardFarewell: Bool { records?.hasHeardFarewell ?? false }

    public var counters: SecureChannelCounters {
        var counters = handshakeCounters
        records?.add(to: &counters)
        return counters
    }

    public func start() throws(SecureChannelError) {
        guard case .idle = state else { preconditionFailure("a channel starts once") }
        state = .handshaking
        guard configuration.role == .initiator, let session else { return }
        do { try advance(session, RawSpan()) } catch { throw fail(error) }
    }

    public func takeOutput() -> [UInt8] {
        let taken = output
        output = []
        return taken
    }

    public func open(_ block: Block, _ range: Range<Int>, into opened: inout [Slice]) throws(SecureChannelError) {
        if case .failed(let error) = state { throw error }
        do {
            var offset = range.lowerBound
            while offset < range.upperBound, records == nil { try receiveHandshake(block, &offset, upTo: range.upperBound) }
            guard offset < range.upperBound, let records else { return }
            try records.open(block, offset..<range.upperBound, into: &opened)
        } catch {
            throw fail(error)
        }
    }

    public func receiveEnd() throws(SecureChannelError) {
        if case .failed(let error) = state { throw error }
        guard let records else { throw fail(.endedInHandshake) }
        guard !records.isWithinRecord else { throw fail(.endedInRecord) }
        guard records.hasHeardFarewell else { throw fail(.tls(.endedWithoutFarewell)) }
    }

    public func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteLimit: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) -> Int {
        if case .failed(let error) = state { throw error }
        guard let records else { preconditionFailure("sealing before the handshake is done") }
        do { return try records.seal(&gather, from: &cursor, byteLimit: byteLimit, into: block, at: offset) } catch { throw fail(.library(error)) }
    }

    /// The record with `close_notify`; empty before the handshake is done, after a failure and the second time.
    public func close() -> [UInt8] {
        guard case .established = state, let records else { return [] }
        return (try? records.makeAlert(.closeNotify)) ?? []
    }

    private func fail(_ error: SecureChannelError) -> SecureChannelError {
        state = .failed(error)
        session = nil
        if let records, let alert = Self.alert(for: error) { output += (try? records.makeAlert(alert)) ?? [] }
        return error
    }

    /// What the far end is told of a failure after the handshake (during it, libssl does that).
    private static func alert(for error: SecureChannelError) -> TLSAlert? {
        switch error {
        case .tls(let failure): failure.alert
        case .recordNotAuthentic: .badRecordMAC
        case .recordTooShort: .decodeError
        case .library: .internalError
        default: nil
        }
    }

    /// For the test of how keys are renewed.
    func setRecordsPerKeyMax(_ count: UInt64) { records?.setRecordsPerKeyMax(count) }

    // MARK: The handshake

    /// Gathers a record and hands it to libssl whole: the one behind the last of the handshake must not get there.
    private func receiveHandshake(_ block: Block, _ offset: inout Int, upTo end: Int) throws(SecureChannelError) {
        guard case .handshaking = state, let session else { preconditionFailure("a channel starts before it receives") }
        let header = TLSTrafficKey.headerByteCount
        let wanted = incoming.count < header ? header : header + lengthOfIncoming
        let count = min(wanted - incoming.count, end - offset)
        incoming += block.bytes(offset..<offset + count).array()
        offset += count
        handshakeCounters.received.handshakeBytes += UInt64(count)
        if wanted == header && incoming.count == header { try checkHeader() }
        guard incoming.count >= header, incoming.count == header + lengthOfIncoming else { return }
        let record = incoming
        incoming = []
        try advance(session, record.rawSpan)
    }

    private var lengthOfIncoming: Int { Int(incoming[3]) << 8 | Int(incoming[4]) }

    private func checkHeader() throws(SecureChannelError) {
        guard TLSContentType(rawValue: incoming[0]) != nil, incoming[1] == 3 else { throw .tls(.notTLS) }
        guard lengthOfIncoming <= TLSTrafficKey.encryptedBytesMax else {
            throw .handshakeTooLarge(byteCount: lengthOfIncoming, limitBytes: TLSTrafficKey.encryptedBytesMax)
        }
        let byteCount = Int(handshakeCounters.received.handshakeBytes) + lengthOfIncoming
        guard byteCount <= Self.handshakeBytesMax else { throw .handshakeTooLarge(byteCount: byteCount, limitBytes: Self.handshakeBytesMax) }
    }

    private func advance(_ session: TLSSession, _ record: RawSpan) throws(SecureChannelError) {
        defer {
            let produced = session.takeOutput()
            output += produced
            handshakeCounters.sent.handshakeBytes += UInt64(produced.count)
            handshakeMessages = session.messages.map {
                HandshakeMessage(name: $0.name, direction: $0.isSent ? .sent : .received, byteCount: $0.byteCount)
            }
        }
        do {
            try session.advance(record)
        } catch {
            throw failure(error)
        }
        if let result = session.result { try establish(result) }
    }

    private func failure(_ error: TLSHandshakeError) -> SecureChannelError {
        switch error {
        case .alert(let alert): .tls(.alert(alert))
        case .certificate(let fault): .tls(.certificate(fault))
        case .identityRefused: judge.error ?? .tls(.malformedSignedKey)
        case .protocolViolation(let reason, let alert): .tls(.refused(reason: reason, alert: alert))
        case .library(let error): .library(error)
        }
    }

    private func establish(_ result: TLSSession.Result) throws(SecureChannelError) {
        // libssl does not get here without a certificate; should it ever, the far end is still nobody.
        guard let remote = judge.remote else { throw .missingField(.identityKey) }
        do { records = try TLSRecords(result, configuration.role) } catch { throw .library(error) }
        session = nil
        let muxer = try muxer(result.applicationProtocol)
        established = RemoteIdentity(peerID: remote.peerID, publicKey: remote.publicKey, muxer: muxer)
        state = .established
    }

    /// The multiplexer that ALPN chose. An end without ALPN is taken for one that knows of no early negotiation, as other implementations do.
    private func muxer(_ chosen: [UInt8]?) throws(SecureChannelError) -> ProtocolID? {
        guard let chosen, chosen != Self.applicationProtocol else { return nil }
        guard let muxer = configuration.muxers.first(where: { $0.utf8 == chosen }) else { throw .tls(.unknownApplicationProtocol) }
        return muxer
    }
}

/// Looks at the identity in the far end's certificate, while libssl waits, and keeps what came of it.
private final class IdentityJudge {
    private let configuration: SecureChannelConfiguration
    private(set) var remote: RemoteIdentity?
    private(set) var error: SecureChannelError?

    init(_ configuration: SecureChannelConfiguration) { self.configuration = configuration }

    func judge(_ certificate: TLSPeerCertificate) -> TLSAlert? {
        do throws(SecureChannelError) {
            let signed = try SignedKey(der: certificate.signedKey.rawSpan)
            remote = try signed.verified(certificateKey: certificate.subjectPublicKeyInfo, configuration)
            return nil
        } catch {
            self.error = error
            return .badCertificate
        }
    }
}
