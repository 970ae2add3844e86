import HTTP2
import Muxers
import Testing
import TestSupport

/// A muxer as the conformance suite sees it: how to make one, and what its protocol can do.
struct Kind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Credit is granted by the receiver: a sender stops when it is used up.
    var hasWindows = false
    /// There is a frame that asks for an orderly end.
    var hasGoAway = false
    /// A reset carries a code.
    var hasResetCodes = false
    /// Either end opens streams. In HTTP/2 only the client does (RFC 9113, section 8.1: a server's own streams are pushes, which nobody accepts here).
    var bothOpen = true
    /// Frames that were not written can be taken back, and others can overtake them. What libnghttp2 has framed stays framed.
    var takesBack = true
    /// A stream that was idle sends ahead of all bulk. libnghttp2 queues fairly, so it waits for one turn of each of the others.
    var sendsSparseFirst: Bool { takesBack }
    /// What a stream may send at once, where there are windows.
    var windowBytes = Int(YamuxLimits.windowBytesInitial)
    let make: @Sendable (MuxerRole, MuxerLimits) -> any Muxer

    static let yamux = Kind(testDescription: "yamux", hasWindows: true, hasGoAway: true, hasResetCodes: true) { role, common in
        var limits = YamuxLimits()
        limits.common = common
        return Yamux(role: role, limits: limits)
    }

    /// With marks in the outgoing data, which hold it back until the far end has answered them.
    static let yamuxWithMarkers = marked(.always, "yamux with markers")
    /// The same, where they begin and end as the traffic changes.
    static let yamuxWithMarkersAtTimes = marked(.whenContended, "yamux with markers at times")
    static let allMarked = [yamuxWithMarkers, yamuxWithMarkersAtTimes]

    private static func marked(_ use: YamuxMarkers.Use, _ description: String) -> Kind {
        Kind(testDescription: description, hasWindows: true, hasGoAway: true, hasResetCodes: true) { role, common in
            var limits = YamuxLimits()
            limits.common = common
            var markers = YamuxMarkers()
            markers.use = use
            markers.spacingBytes = 4 << 10
            markers.unconfirmedBytesMin = 16 << 10
            markers.unconfirmedBytesMax = 64 << 10
            limits.markers = markers
            return Yamux(role: role, limits: limits)
        }
    }

    static let mplex = Kind(testDescription: "mplex") { role, common in
        var limits = MplexLimits()
        limits.common = common
        return Mplex(role: role, limits: limits)
    }

    static let http2 = Kind(
        testDescription: "http2", hasWindows: true, hasGoAway: true, hasResetCodes: true, bothOpen: false, takesBack: false,
        windowBytes: HTTP2Limits().windowBytes
    ) { role, common in
        var limits = HTTP2Limits()
        limits.common = common
        limits.frameBytesMax = common.framePayloadBytesMax
        return HTTP2(role: role, limits: limits)
    }

    static let passthrough = Kind(testDescription: "none") { role, common in Passthrough(role: role, limits: common) }

    /// Those that carry many streams.
    static let multiplexers = [yamux, mplex, http2]
    static let all = [yamux, mplex, http2, passthrough]

    /// Who may open a stream.
    var openers: [MuxerRole] { bothOpen ? [.initiator, .responder] : [.initiator] }

    func pair(_ plan: FaultPlan = .calm(), limits: MuxerLimits = MuxerLimits()) -> Pair {
        Pair(plan) { make($0, limits) }
    }
}

/// The ways in which bytes may travel, short of losing any.
let plans: [FaultPlan] = [.calm(), .everyByte()] + SeededGenerator.seeds(8).map { .rough($0) }

extension FaultPlan {
    /// Bytes cross in such small pieces that a test had better send little.
    var isTedious: Bool {
        guard case .random(let limit) = chunking else { return chunking == .everyByte || pipeBytesMax < 4096 || writeBytesMax < 4096 }
        return limit < 1000 || pipeBytesMax < 4096 || writeBytesMax < 4096
    }
}

extension Pair {
    /// Opens a stream, and lets the far end see it: `message` goes first, as a protocol's first message does.
    func open(from role: MuxerRole = .initiator, message: [UInt8] = [1]) throws -> (near: StreamHandle, far: StreamHandle) {
        let (near, far) = (end(role), end(role == .initiator ? .responder : .initiator))
        let before = far.accepted.count
        let stream = try near.open()
        try near.send(message, on: stream)
        try settle()
        let accepted = try #require(far.accepted.dropFirst(before).first)
        return (stream, accepted)
    }
}

extension Pair {
    /// Opens a stream, after waiting for acknowledgements where the protocol wants that.
    func openWhenAllowed(from role: MuxerRole) throws -> StreamHandle {
        let opener = end(role)
        do {
            return try opener.open()
        } catch {
            guard case .tooManyUnacknowledgedStreams = error else { throw error }
        }
        let told = opener.canOpenCount
        try run { opener.canOpenCount > told }
        return try opener.open()
    }
}
