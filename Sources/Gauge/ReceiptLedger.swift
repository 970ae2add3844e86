/// Lays the senders' receipts beside the receivers' and says where they differ.
public enum ReceiptLedger {
    /// - Parameters:
    ///   - sent: what senders say: the client's receipts upwards and the server's downwards.
    ///   - received: what receivers say: the server's upwards and the client's downwards.
    ///   - listedMax: how many discrepancies are listed; all are counted.
    public static func compare(sent: [Receipt], received: [Receipt], listedMax: Int = 20) -> ReceiptComparison {
        var listed: [Discrepancy] = []
        var total = 0
        func found(_ discrepancy: Discrepancy) {
            total += 1
            if listed.count < listedMax { listed.append(discrepancy) }
        }
        let left = sent.sorted { $0.key < $1.key }
        let right = received.sorted { $0.key < $1.key }
        var (i, j) = (0, 0)
        while i < left.count || j < right.count {
            if i > 0, i < left.count, left[i].key == left[i - 1].key {
                found(.duplicate(left[i], left[i].direction.sender))
                i += 1
            } else if j > 0, j < right.count, right[j].key == right[j - 1].key {
                found(.duplicate(right[j], right[j].direction.receiver))
                j += 1
            } else if j == right.count || (i < left.count && left[i].key < right[j].key) {
                found(.missingAtReceiver(sent: left[i]))
                i += 1
            } else if i == left.count || right[j].key < left[i].key {
                found(.missingAtSender(received: right[j]))
                j += 1
            } else {
                if let discrepancy = difference(sent: left[i], received: right[j]) { found(discrepancy) }
                i += 1
                j += 1
            }
        }
        return ReceiptComparison(discrepancies: listed, total: total)
    }

    /// One discrepancy a pair at most: when the amounts differ, checksums differ as a matter of course.
    private static func difference(sent: Receipt, received: Receipt) -> Discrepancy? {
        if sent.bytes != received.bytes || sent.messages != received.messages { return .amount(sent: sent, received: received) }
        if sent.checksum != received.checksum { return .checksum(sent: sent, received: received) }
        if sent.lastMessageChecksum != received.lastMessageChecksum { return .lastMessage(sent: sent, received: received) }
        return nil
    }
}

/// One thing on which the two ends disagree.
public enum Discrepancy: Equatable, Sendable, CustomStringConvertible {
    /// The sender has a receipt and the receiver has none.
    case missingAtReceiver(sent: Receipt)
    /// The receiver has a receipt and the sender has none.
    case missingAtSender(received: Receipt)
    /// Bytes or messages differ.
    case amount(sent: Receipt, received: Receipt)
    /// The amounts agree, the contents do not.
    case checksum(sent: Receipt, received: Receipt)
    /// Only the last message's contents do not.
    case lastMessage(sent: Receipt, received: Receipt)
    /// One end gave two receipts for the same stream and direction.
    case duplicate(Receipt, Side)

    public var description: String {
        switch self {
        case .missingAtReceiver(let sent):
            "\(place(sent)): the \(sent.direction.sender) sent \(amount(sent)), the \(sent.direction.receiver) gave no receipt"
        case .missingAtSender(let received):
            "\(place(received)): the \(received.direction.receiver) received \(amount(received)), "
                + "the \(received.direction.sender) gave no receipt"
        case .amount(let sent, let received):
            "\(place(sent)): the \(sent.direction.sender) sent \(amount(sent)), the \(sent.direction.receiver) received \(amount(received))"
        case .checksum(let sent, let received):
            "\(place(sent)): \(amount(sent)) went through, but their contents changed on the way "
                + "(checksum \(hex(sent.checksum)) sent, \(hex(received.checksum)) received)"
        case .lastMessage(let sent, let received):
            "\(place(sent)): the contents of the last of \(grouped(sent.messages)) messages changed on the way "
                + "(checksum \(hex(sent.lastMessageChecksum)) sent, \(hex(received.lastMessageChecksum)) received)"
        case .duplicate(let receipt, let side):
            "\(place(receipt)): the \(side) gave two receipts"
        }
    }

    private func place(_ receipt: Receipt) -> String {
        "connection \(receipt.connection), stream \(receipt.stream), \(receipt.direction.rawValue)"
    }

    private func amount(_ receipt: Receipt) -> String {
        "\(counted(receipt.bytes, "byte")) in \(counted(receipt.messages, "message"))"
    }

    private func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The outcome of laying receipts side by side.
public struct ReceiptComparison: Equatable, Sendable {
    /// The first discrepancies, by connection, stream and direction.
    public let discrepancies: [Discrepancy]
    /// How many there are in all.
    public let total: Int

    public var agrees: Bool { total == 0 }

    /// One sentence for each listed discrepancy, and one for those that are not listed.
    public var sentences: [String] {
        let rest = total - discrepancies.count
        return discrepancies.map(\.description) + (rest > 0 ? ["and \(grouped(rest)) more streams whose receipts differ"] : [])
    }
}
