import HTTP2
public import Links
import Multiformats
import Muxers
public import P2P
import SecureChannels

/// The layers of a subject, from the transport up: `tcp+yamux`, `tcp+noise+yamux`. With a security layer a connection is negotiated as libp2p does it; without
/// one it is bare, and begins with the multiplexer's first frame.
///
/// Below TCP there may be an emulated link, `link(rtt=60ms,rate=1Gbit)+tcp+yamux`, and yamux may be told the largest window it may give a stream,
/// `tcp+yamux(window=256KiB)`.
public struct ProtocolStack: Hashable, Sendable, CustomStringConvertible {
    /// What carries bytes.
    public enum Transport: String, CaseIterable, Sendable {
        case tcp, unix, memory
    }

    /// What frames streams onto a connection.
    public enum Multiplexer: String, CaseIterable, Sendable {
        case yamux, mplex
        /// HTTP/2 on libnghttp2. libp2p has no protocol ID for it, so there are bare connections only.
        case h2

        public init(_ kind: MuxerKind) {
            self = switch kind {
            case .yamux: .yamux
            case .mplex: .mplex
            }
        }

        /// As what the ends of a libp2p connection can agree on it; nil when they cannot.
        public var negotiable: MuxerKind? {
            switch self {
            case .yamux: .yamux
            case .mplex: .mplex
            case .h2: nil
            }
        }

        func make(_ role: MuxerRole, limits: MuxerLimits, windowBytesMax: Int? = nil) -> any Muxer {
            if let windowBytesMax, self == .yamux {
                var own = YamuxLimits()
                own.common = limits
                own.windowBytesMax = UInt32(windowBytesMax)
                return Yamux(role: role, limits: own)
            }
            if let negotiable { return negotiable.make(role, limits: limits) }
            var own = HTTP2Limits()
            own.common = limits
            return HTTP2(role: role, limits: own)
        }
    }

    /// What bytes go over, on the way from one end's socket to the other's; nil for nothing but the kernel.
    public var link: LinkShape?

    /// The lowest layer.
    public let transport: Transport
    /// Nil where connections are bare.
    public let security: SecurityKind?
    /// Nil where every stream is a connection of its own.
    public let muxer: Multiplexer?
    /// The largest receive window that yamux gives a stream; nil for what is usual. With the initial size of 256 KiB windows are not tuned at all.
    public var yamuxWindowBytesMax: Int?

    public init(transport: Transport, security: SecurityKind? = nil, muxer: Multiplexer?) {
        self.transport = transport
        self.security = security
        self.muxer = muxer
    }

    /// Every stack there is, in the order in which they are listed for people.
    public static var all: [ProtocolStack] {
        let bare = Transport.allCases.flatMap { transport in
            ([nil] + Multiplexer.allCases).map { ProtocolStack(transport: transport, muxer: $0) }
        }
        let secured = Transport.allCases.flatMap { transport in
            SecurityKind.allCases.flatMap { security in
                MuxerKind.allCases.map { ProtocolStack(transport: transport, security: security, muxer: Multiplexer($0)) }
            }
        }
        return bare + secured
    }

    /// Parses `tcp`, `tcp+yamux`, `unix+noise+mplex`, `link(rtt=60ms,rate=1Gbit)+tcp+yamux`, ...
    public init(_ text: String) throws(SubjectError) {
        let layers: (names: String, link: LinkShape?, window: Int?)
        do {
            layers = try LayerOptions.split(text)
        } catch {
            throw SubjectError(subject: text, nearest: nil, known: [], reason: "\(error)")
        }
        guard var stack = Self.all.first(where: { $0.names == layers.names }) else {
            let known = Self.all.map(\.description)
            throw SubjectError(subject: text, nearest: Nearest.to(layers.names, among: known), known: known)
        }
        if layers.link != nil, stack.transport != .tcp {
            throw SubjectError(subject: text, nearest: nil, known: [], reason: "\(LayerOptionError.linkNeedsTCP(transport: stack.transport.rawValue))")
        }
        stack.link = layers.link
        stack.yamuxWindowBytesMax = layers.window
        self = stack
    }

    /// The layers without what is said about them.
    var names: String { [transport.rawValue, security?.rawValue, muxer?.rawValue].compactMap { $0 }.joined(separator: "+") }

    public var description: String {
        let link = link.map { $0.spelled + "+" } ?? ""
        return link + names + (yamuxWindowBytesMax.map { LayerOptions.spelled(windowBytes: $0) } ?? "")
    }

    /// How connections of this stack are upgraded; nil when they are bare. Makes the keys, which takes milliseconds.
    func makeUpgradeConfiguration() throws -> UpgradeConfiguration? {
        guard let security, let muxer = muxer?.negotiable else { return nil }
        return try UpgradeConfiguration(identity: LocalIdentity(generating: .ed25519), security: [security], muxers: [muxer])
    }

    /// Without a muxer every stream is a connection of its own.
    public var hasMuxer: Bool { muxer != nil }
}

/// A subject that does not exist.
public struct SubjectError: Error, Equatable, Sendable, CustomStringConvertible {
    public let subject: String
    /// One that is spelled alike.
    public let nearest: String?
    /// All there are.
    public let known: [String]
    /// What is wrong with a layer's options; nil when there is no such stack.
    public var reason: String?

    public var description: String {
        if let reason { return "'\(subject)': \(reason)" }
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
