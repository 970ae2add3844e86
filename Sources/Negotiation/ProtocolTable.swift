import Bytes
public import Multiformats

/// What a listener speaks, in order: the first that matches a proposal answers it. Made once and used for every stream of an event loop.
///
/// Every reply there can be is written beforehand, with and without the header, so that an answer is a range of memory that exists already.
///
/// Invariant: `entries`, `byteCounts` and `replies` are of one length; a reply's range is the header and right behind it the message.
public final class ProtocolTable {
    /// Which proposals a handler takes.
    public enum Entry {
        /// This protocol and no other.
        case exact(ProtocolID)
        /// All that the predicate is true for. The answer to `ls` lists the ID beside it.
        case matching(listed: ProtocolID, (ProtocolID) -> Bool)

        var listed: ProtocolID {
            switch self {
            case .exact(let id), .matching(let id, _): id
            }
        }
    }

    /// In the order they are asked.
    public let entries: [Entry]
    /// What the far end may send.
    public let limits: NegotiationLimits
    private let block: Block
    private let notAvailable: Range<Int>
    private let list: Range<Int>
    private let replies: [Range<Int>]
    /// How long a proposal must be for the entry to take it, or ``anyByteCount``: most entries are passed over by one comparison.
    private let byteCounts: [Int]
    private static let anyByteCount = -1

    /// Protocols whose list is longer than ``NegotiationLimits/listBytesMax`` are spoken like any, but not listed: `ls` is then refused, as by those who do not know it.
    public init(_ entries: [Entry], limits: NegotiationLimits = NegotiationLimits()) {
        var bytes: [UInt8] = []
        func reply(_ text: [UInt8]) -> Range<Int> {
            let start = bytes.count
            bytes += Message.headerBytes
            bytes += Message.encode(text)
            return start..<bytes.count
        }
        notAvailable = reply(Message.notAvailable)
        let listText = Message.encodeList(entries.map(\.listed))
        list = listText.count < limits.listBytesMax ? reply(listText) : notAvailable
        replies = entries.map { reply($0.listed.utf8) }
        byteCounts = entries.map { if case .exact(let id) = $0 { id.utf8.count } else { Self.anyByteCount } }
        self.entries = entries
        self.limits = limits
        block = Block(copying: bytes.rawSpan)
    }

    /// Whether the header goes ahead of a reply.
    enum Header {
        case withHeader, alreadySent
    }

    /// The entry that takes the proposal `text`, and the proposal as an ID; nil when none does.
    func match(_ text: RawSpan) -> (index: Int, id: ProtocolID)? {
        for index in byteCounts.indices where byteCounts[index] == text.byteCount || byteCounts[index] == Self.anyByteCount {
            switch entries[index] {
            case .exact(let id):
                if text.equals(id.utf8.rawSpan) { return (index, id) }
            case .matching(_, let predicate):
                // What is no ID is nobody's.
                guard let id = try? ProtocolID(bytes: text) else { return nil }
                if predicate(id) { return (index, id) }
            }
        }
        return nil
    }

    func headerAlone() -> Slice { Slice(block, 0..<Message.headerByteCount) }

    func notAvailable(_ header: Header) -> Slice { slice(notAvailable, header) }

    func list(_ header: Header) -> Slice { slice(list, header) }

    /// The confirmation of `id`, which entry `index` takes.
    func confirmation(of id: ProtocolID, by index: Int, _ header: Header) -> Slice {
        guard case .matching = entries[index] else { return slice(replies[index], header) }
        let message = Message.encode(id.utf8)
        return Slice(copying: header == .withHeader ? Message.headerBytes + message : message)
    }

    private func slice(_ range: Range<Int>, _ header: Header) -> Slice {
        Slice(block, header == .withHeader ? range : range.lowerBound + Message.headerByteCount..<range.upperBound)
    }
}
