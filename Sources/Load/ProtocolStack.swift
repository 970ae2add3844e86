/// The layers of a subject, from the transport up: `tcp+yamux`.
public struct ProtocolStack: Hashable, Sendable, CustomStringConvertible {
    public enum Transport: String, CaseIterable, Sendable {
        case tcp, unix, memory
    }

    public enum MuxerKind: String, CaseIterable, Sendable {
        case none, yamux, mplex
    }

    public let transport: Transport
    public let muxer: MuxerKind

    public init(transport: Transport, muxer: MuxerKind) {
        self.transport = transport
        self.muxer = muxer
    }

    /// Every stack there is, in the order in which they are listed for people.
    public static var all: [ProtocolStack] {
        Transport.allCases.flatMap { transport in MuxerKind.allCases.map { ProtocolStack(transport: transport, muxer: $0) } }
    }

    /// Parses `tcp`, `tcp+yamux`, `unix+mplex`, ...
    public init(_ text: String) throws(SubjectError) {
        let layers = text.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
        let known = ProtocolStack.all.map(\.description)
        guard let first = layers.first, let transport = Transport(rawValue: first), layers.count <= 2 else {
            throw SubjectError(subject: text, nearest: Nearest.to(text, among: known), known: known)
        }
        var muxer = MuxerKind.none
        if layers.count == 2 {
            guard let kind = MuxerKind(rawValue: layers[1]), kind != .none else {
                throw SubjectError(subject: text, nearest: Nearest.to(text, among: known), known: known)
            }
            muxer = kind
        }
        self.init(transport: transport, muxer: muxer)
    }

    public var description: String {
        muxer == .none ? transport.rawValue : "\(transport.rawValue)+\(muxer.rawValue)"
    }

    /// Without a muxer every stream is a connection of its own.
    public var hasMuxer: Bool { muxer != .none }
}

/// A subject that does not exist.
public struct SubjectError: Error, Equatable, Sendable, CustomStringConvertible {
    public let subject: String
    public let nearest: String?
    public let known: [String]

    public var description: String {
        let hint = nearest.map { "; did you mean '\($0)'?" } ?? ""
        return "there is no stack '\(subject)'\(hint) Known stacks: \(known.joined(separator: ", "))"
    }
}

/// Finds what somebody probably meant.
public enum Nearest {
    /// The candidate with the smallest edit distance to `text`, if it is close enough to be a slip.
    public static func to(_ text: String, among candidates: [String]) -> String? {
        let scored = candidates.map { (candidate: $0, distance: distance(Array(text), Array($0))) }
        guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, best.candidate.count / 3) ? best.candidate : nil
    }

    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (i, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in right.enumerated() {
                let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (character == other ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[right.count]
    }
}
