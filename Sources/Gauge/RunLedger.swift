/// The ledgers of one side, over all its connections.
public struct SideLedger: Codable, Sendable, Equatable {
    /// What the side wrote.
    public var sent = ByteLedger.zero
    /// What the side read.
    public var received = ByteLedger.zero

    public init(sent: ByteLedger = .zero, received: ByteLedger = .zero) {
        self.sent = sent
        self.received = received
    }

    public static func + (left: SideLedger, right: SideLedger) -> SideLedger {
        SideLedger(sent: left.sent + right.sent, received: left.received + right.received)
    }
}

/// The ledgers of both sides, from the first connection's opening to the last one's end.
///
/// In JSON the total (the client's two flows, so that each byte counts once) stands first, and the sides below it.
public struct RunLedger: Codable, Sendable, Equatable {
    public var client: SideLedger
    /// Absent when the far end is not ours and cannot tell.
    public var server: Measured<SideLedger>
    /// Why there is no ledger at all; nil where there is one.
    public private(set) var absence: String?

    /// No ledger was kept, for `reason`. In JSON it is the string `not available: reason`.
    public static func unavailable(_ reason: String) -> RunLedger {
        var ledger = RunLedger(server: .unavailable(reason))
        ledger.absence = reason
        return ledger
    }

    public init(client: SideLedger = SideLedger(), server: Measured<SideLedger> = .unmeasured) {
        self.client = client
        self.server = server
    }

    /// What the client's sockets carried, both ways.
    public var total: ByteLedger { client.sent + client.received }

    /// Whether every ledger there is adds up and the two sides agree.
    public var balanced: Bool { imbalances().isEmpty }

    /// What does not add up, as sentences; they are reasons for a run to be INVALID.
    public func imbalances() -> [String] {
        var sentences = [client.sent.imbalance(.client, .sent), client.received.imbalance(.client, .received)]
        if case .value(let server) = server {
            sentences.append(server.sent.imbalance(.server, .sent))
            sentences.append(server.received.imbalance(.server, .received))
            sentences.append(Self.difference(from: .client, client.sent, to: server.received))
            sentences.append(Self.difference(from: .server, server.sent, to: client.received))
        }
        return sentences.compactMap { $0 }
    }

    private static func difference(from sender: Side, _ sent: ByteLedger, to received: ByteLedger) -> String? {
        if sent.socketBytes != received.socketBytes {
            return "the \(sender) sent \(counted(sent.socketBytes, "byte")) and the \(sender.other) received \(grouped(received.socketBytes))"
        }
        for (left, right) in zip(sent.accounts, received.accounts) where left.bytes != right.bytes {
            return "the \(sender) sent \(counted(left.bytes, "byte")) as \(left.name) and the \(sender.other) counted \(grouped(right.bytes))"
        }
        return nil
    }

    enum CodingKeys: String, CodingKey { case client, server }
    enum DerivedKeys: String, CodingKey { case balanced }

    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self), text.hasPrefix(absencePrefix) {
            self = .unavailable(String(text.dropFirst(absencePrefix.count)))
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(client: try container.decode(SideLedger.self, forKey: .client), server: try container.decode(Measured<SideLedger>.self, forKey: .server))
    }

    public func encode(to encoder: any Encoder) throws {
        if let absence {
            var container = encoder.singleValueContainer()
            return try container.encode(absencePrefix + absence)
        }
        try total.encode(to: encoder)
        var derived = encoder.container(keyedBy: DerivedKeys.self)
        try derived.encode(balanced, forKey: .balanced)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(client, forKey: .client)
        try container.encode(server, forKey: .server)
    }
}
