/// Every byte that a side's sockets carried in one flow, by what it was for.
///
/// Invariant of an honest run: ``residual`` is 0, that is, the accounts add up to what was counted at the system call; and
/// ``kernelResidual`` is 0 where the kernel keeps a count of its own (TCP_INFO), the independent witness.
public struct ByteLedger: Codable, Sendable, Equatable {
    /// Application bytes.
    public var payload: UInt64 = 0
    /// Headers of frames that carry payload.
    public var muxDataHeader: UInt64 = 0
    /// Frames that grant credit.
    public var muxWindowUpdate: UInt64 = 0
    /// Frames that only open, acknowledge, finish or reset a stream, and the end of the session.
    public var muxOpenClose: UInt64 = 0
    /// Round-trip probes and their answers.
    public var muxPing: UInt64 = 0
    /// What a secure channel adds to each record: length prefixes and authentication tags.
    public var securityRecord: UInt64 = 0
    /// The handshake of the secure channel, with alerts and farewells.
    public var handshake: UInt64 = 0
    /// multistream-select.
    public var negotiation: UInt64 = 0
    /// Counted at the system call (or at the queue, in memory).
    public var socketBytes: UInt64 = 0
    /// Counted by the kernel, without SYN and FIN.
    public var kernelBytes: Measured<UInt64> = .value(0)

    /// Nothing, to add to.
    public static let zero = ByteLedger()

    public init() {}

    /// The accounts in the order in which they are printed, by the names they have in a record.
    public var accounts: [(name: String, bytes: UInt64)] {
        [
            ("payload", payload), ("mux_data_header", muxDataHeader), ("mux_window_update", muxWindowUpdate),
            ("mux_open_close", muxOpenClose), ("mux_ping", muxPing), ("security_record", securityRecord),
            ("handshake", handshake), ("negotiation", negotiation),
        ]
    }

    /// Sum of all accounts.
    public var accounted: UInt64 {
        payload &+ muxDataHeader &+ muxWindowUpdate &+ muxOpenClose &+ muxPing &+ securityRecord &+ handshake &+ negotiation
    }

    /// What the socket carried and no account explains; negative when the accounts claim more than was carried.
    public var residual: Int64 { Int64(bitPattern: socketBytes &- accounted) }

    /// What the kernel counted beyond what the system calls reported.
    public var kernelResidual: Measured<Int64> { kernelBytes.map { Int64(bitPattern: $0 &- socketBytes) } }

    /// Whether everything adds up, as far as there are witnesses.
    public var balanced: Bool { residual == 0 && (kernelResidual.value ?? 0) == 0 }

    /// What the layers added: (wire - payload) / payload.
    public var frameOverheadRatio: Measured<Double> {
        guard payload > 0 else { return .unavailable("no payload was carried") }
        return .value((Double(socketBytes) - Double(payload)) / Double(payload))
    }

    public static func + (left: ByteLedger, right: ByteLedger) -> ByteLedger {
        var sum = ByteLedger()
        sum.payload = left.payload &+ right.payload
        sum.muxDataHeader = left.muxDataHeader &+ right.muxDataHeader
        sum.muxWindowUpdate = left.muxWindowUpdate &+ right.muxWindowUpdate
        sum.muxOpenClose = left.muxOpenClose &+ right.muxOpenClose
        sum.muxPing = left.muxPing &+ right.muxPing
        sum.securityRecord = left.securityRecord &+ right.securityRecord
        sum.handshake = left.handshake &+ right.handshake
        sum.negotiation = left.negotiation &+ right.negotiation
        sum.socketBytes = left.socketBytes &+ right.socketBytes
        sum.kernelBytes = left.kernelBytes.combined(with: right.kernelBytes) { $0 &+ $1 }
        return sum
    }

    public static func += (left: inout ByteLedger, right: ByteLedger) { left = left + right }

    /// What does not add up, as a sentence, or nil.
    public func imbalance(_ side: Side, _ flow: Flow) -> String? {
        let carried = flow == .sent ? "sent" : "received"
        if residual > 0 {
            return "the \(side) \(carried) \(counted(socketBytes, "byte")) on its sockets and can account for only "
                + "\(grouped(accounted)): \(counted(residual, "byte")) \(residual == 1 ? "belongs" : "belong") to no account"
        }
        if residual < 0 {
            return "the \(side)'s accounts claim \(counted(accounted, "byte")) \(carried), \(grouped(-residual)) more than "
                + "the \(grouped(socketBytes)) that its sockets carried"
        }
        guard case .value(let difference) = kernelResidual, difference != 0, case .value(let kernel) = kernelBytes else { return nil }
        return "the \(side) \(carried) \(counted(socketBytes, "byte")) by its own count and \(grouped(kernel)) by the kernel's: "
            + "\(counted(abs(difference), "byte")) \(difference > 0 ? "more" : "fewer")"
    }

    enum CodingKeys: String, CodingKey {
        case payload
        case muxDataHeader = "mux_data_header"
        case muxWindowUpdate = "mux_window_update"
        case muxOpenClose = "mux_open_close"
        case muxPing = "mux_ping"
        case securityRecord = "security_record"
        case handshake
        case negotiation
        case socketBytes = "socket_bytes"
        case kernelBytes = "kernel_bytes"
    }

    enum DerivedKeys: String, CodingKey {
        case residual
        case kernelResidual = "kernel_residual"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(payload, forKey: .payload)
        try container.encode(muxDataHeader, forKey: .muxDataHeader)
        try container.encode(muxWindowUpdate, forKey: .muxWindowUpdate)
        try container.encode(muxOpenClose, forKey: .muxOpenClose)
        try container.encode(muxPing, forKey: .muxPing)
        try container.encode(securityRecord, forKey: .securityRecord)
        try container.encode(handshake, forKey: .handshake)
        try container.encode(negotiation, forKey: .negotiation)
        try container.encode(socketBytes, forKey: .socketBytes)
        try container.encode(kernelBytes, forKey: .kernelBytes)
        var derived = encoder.container(keyedBy: DerivedKeys.self)
        try derived.encode(residual, forKey: .residual)
        try derived.encode(kernelResidual, forKey: .kernelResidual)
    }
}
