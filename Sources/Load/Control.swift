import FoundationEssentials
import Bytes
import Gauge

/// What the two sides of a run tell each other, on a connection of its own. Each message is a 4-byte big-endian length, a byte that says how to read
/// it, and the body.
///
/// ```
///   client                         server
///     │ setup(scenario, token)       │
///     │ ───────────────────────────▶ │ prepares
///     │ ◀─────────────────────────── │ done
///     │ start, begin, end, stop,     │ one answer each: done, or usage, or problem
///     │ checkAll, finish, progress   │
///     │ ───────────────────────────▶ │
///     │ collect                      │ waits until every connection has ended
///     │ ───────────────────────────▶ │
///     │ ◀─────────── receipts, outcome
/// ```
enum ControlRequest: Codable, Equatable {
    case setup(Scenario, token: UInt64)
    case start
    case begin
    case end
    case stop
    case checkAll
    case finish
    case progress
    case collect(timeoutSeconds: Double)

    /// For messages.
    var name: String {
        switch self {
        case .setup: "setup"
        case .start: "start"
        case .begin: "begin"
        case .end: "end"
        case .stop: "stop"
        case .checkAll: "checkAll"
        case .finish: "finish"
        case .progress: "progress"
        case .collect: "collect"
        }
    }
}

enum ControlReply: Codable, Equatable {
    case done
    case progress(SideState)
    case outcome(SideOutcome)
    /// What the server could not do, for a person.
    case problem(String)
}

/// Where a side stands, in the middle of a run.
struct SideState: Codable, Equatable, Sendable {
    var totals: Recording.Totals
    /// Streams that are open.
    var streams: Int
    /// All operations that this side may start have been started.
    var isSpent: Bool
    var usage: Usage
    /// Why the server could not take a connection since the run was set up.
    var acceptFailure: String?
}

/// Why talking to the other side of a run failed.
public enum ControlError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A message between the two sides is longer than is read.
    case frameTooLarge(byteCount: Int, limit: Int)
    /// A message between the two sides cannot be read.
    case malformed(String)
    /// The first bytes are of another protocol; printable, the beginning only. `server` is its address, where it is known.
    case foreign(String, server: String? = nil)
    /// The connection between the two sides is over.
    case closed(server: String, reason: String)
    /// The server did not answer `what` in time.
    case timeout(server: String, what: String, seconds: Double)
    /// The server will not do it, for the reason it gives.
    case refused(String)
    /// No connection to the server could be made.
    case unreachable(server: String, reason: String)

    public var description: String {
        switch self {
        case .frameTooLarge(let byteCount, let limit): "a control message of \(byteCount) bytes exceeds the limit of \(limit)"
        case .malformed(let reason): "a control message cannot be read: \(reason)"
        case .foreign(let beginning, let server):
            "the peer\(server.map { " at \($0)" } ?? "") does not speak StreamGauge's protocol: it began with '\(beginning)'; give the address that 'streamgauge serve' printed"
        case .closed(let server, let reason):
            "the control connection to \(server) is over: \(reason)"
        case .timeout(let server, let what, let seconds):
            "the server at \(server) did not answer '\(what)' within \(seconds) s: it is stuck, or no 'streamgauge serve'; a slow one gets longer with --timeout"
        case .refused(let reason): "the server refused: \(reason)"
        case .unreachable(let server, let reason): "no server at \(server): \(reason)"
        }
    }
}

/// Cuts a byte stream into control messages, and makes them. A machine: bytes in, messages out.
///
/// Invariant: `buffer` never holds more than one message and what followed it in one read: an announced length reserves nothing.
struct ControlCodec {
    enum Kind: UInt8 {
        case json = 1
        /// ``ReceiptList``: too many and too regular for JSON. Stands before the outcome it belongs to.
        case receipts = 2
    }

    /// What a server may send: 4 million receipts are well below this.
    static let replyBytesMax = 256 << 20
    /// What a client may send: a scenario takes a few hundred bytes.
    static let requestBytesMax = 1 << 20

    private let byteCountMax: Int
    private var buffer: [UInt8] = []
    private var consumed = 0
    /// Something that can be a message has come: the peer is no stranger.
    private var isKnown = false

    init(byteCountMax: Int = ControlCodec.replyBytesMax) {
        self.byteCountMax = byteCountMax
    }

    /// Bytes given and not yet handed out.
    var byteCountHeld: Int { buffer.count - consumed }

    static func frame(_ kind: Kind, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(body.count + 1)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) }
        return header + [kind.rawValue] + body
    }

    static func frame(_ message: some Encodable) throws -> [UInt8] {
        frame(.json, Array(try JSONEncoder().encode(message)))
    }

    mutating func append(_ bytes: RawSpan) {
        buffer += bytes.array()
    }

    /// The next whole message, or nil when more bytes are needed.
    mutating func next() throws(ControlError) -> (Kind, [UInt8])? {
        guard buffer.count - consumed >= 5 else { return dropConsumed() }
        let length = buffer[consumed..<consumed + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length >= 1, length <= byteCountMax else {
            throw stranger ?? .frameTooLarge(byteCount: length, limit: byteCountMax)
        }
        guard let kind = Kind(rawValue: buffer[consumed + 4]) else {
            throw stranger ?? .malformed("unknown kind \(buffer[consumed + 4])")
        }
        isKnown = true
        guard buffer.count - consumed >= 4 + length else { return dropConsumed() }
        let body = Array(buffer[consumed + 5..<consumed + 4 + length])
        consumed += 4 + length
        return (kind, body)
    }

    /// What to say of a peer whose very first bytes make no sense.
    private var stranger: ControlError? {
        guard !isKnown else { return nil }
        let beginning = buffer.prefix(24).map { (0x20..<0x7f).contains($0) ? Character(UnicodeScalar($0)) : "." }
        return .foreign(String(beginning))
    }

    /// Makes room behind the last whole message.
    private mutating func dropConsumed() -> (Kind, [UInt8])? {
        buffer.removeFirst(consumed)
        consumed = 0
        return nil
    }

    static func decode<Message: Decodable>(_ type: Message.Type, _ body: [UInt8]) throws(ControlError) -> Message {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw .malformed("\(error)")
        }
    }
}
