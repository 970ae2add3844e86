import HTTP2
import Muxers
import Testing
import TestSupport

/// Frames of HTTP/2 written out by hand from RFC 9113, to be held against what the machine writes.
enum HTTP2Frame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let endStream: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let padded: UInt8 = 8

    static func frame(_ type: UInt8, _ flags: UInt8, _ id: UInt32, _ body: [UInt8]) -> [UInt8] {
        Array(bigEndian(UInt32(body.count)).dropFirst()) + [type, flags] + bigEndian(id) + body
    }

    static func data(_ flags: UInt8, _ id: UInt32, _ body: [UInt8]) -> [UInt8] { frame(0, flags, id, body) }
    static func headers(_ flags: UInt8, _ id: UInt32, _ block: [UInt8]) -> [UInt8] { frame(1, flags | endHeaders, id, block) }
    static func reset(_ id: UInt32, _ code: UInt32) -> [UInt8] { frame(3, 0, id, bigEndian(code)) }
    static func settings(_ entries: [(UInt8, UInt32)]) -> [UInt8] { frame(4, 0, 0, entries.flatMap { [0, $0.0] + bigEndian($0.1) }) }
    static let settingsAcknowledged = frame(4, 1, 0, [])
    static func ping(_ flags: UInt8) -> [UInt8] { frame(6, flags, 0, [1, 2, 3, 4, 5, 6, 7, 8]) }
    static func goAway(last: UInt32, _ code: UInt32) -> [UInt8] { frame(7, 0, 0, bigEndian(last) + bigEndian(code)) }
    static func windowUpdate(_ id: UInt32, _ delta: UInt32) -> [UInt8] { frame(8, 0, id, bigEndian(delta)) }

    /// The fields of a request: three of HPACK's static table, and the authority, which is in the dynamic one from the second request on.
    static let firstRequest: [UInt8] = [0x83, 0x86, 0x84, 0x41, 1, UInt8(ascii: "h")]
    static let laterRequest: [UInt8] = [0x83, 0x86, 0x84, 0xBE]
    static let response: [UInt8] = [0x88]

    private static func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
}

/// HTTP/2 on the wire, byte for byte, and what it makes of a far end that bends the rules or breaks them.
@Suite struct HTTP2Tests {
    private typealias Frame = HTTP2Frame
    private static let connectionCredit = UInt32(1 << 30 - 65_535)

    private static func client() -> Lone { Lone(.initiator, HTTP2(role: .initiator)) }

    /// A server that knows its client's settings, and has said its own.
    private static func server(_ limits: HTTP2Limits = HTTP2Limits()) -> Lone {
        let lone = Lone(.responder, HTTP2(role: .responder, limits: limits))
        lone.feed(Frame.preface + Frame.settings([]))
        _ = lone.take()
        lone.feed(Frame.settingsAcknowledged)
        return lone
    }

    // MARK: What it writes

    @Test func whatEachEndBeginsWith() {
        let window: (UInt8, UInt32) = (4, 1 << 20)
        #expect(
            Self.client().take() == Frame.preface + Frame.settings([window, (2, 0)]) + Frame.windowUpdate(0, Self.connectionCredit))
        #expect(
            Lone(.responder, HTTP2(role: .responder)).take()
                == Frame.settings([window, (3, 16_384)]) + Frame.windowUpdate(0, Self.connectionCredit))
    }

    @Test func openDataFinishReset() throws {
        let lone = Self.client()
        _ = lone.take()
        let first = try lone.end.open()
        try lone.end.send([7, 8, 9], on: first)
        #expect(lone.take() == Frame.headers(0, 1, Frame.firstRequest) + Frame.data(0, 1, [7, 8, 9]))
        try lone.end.finish(first)
        #expect(lone.take() == Frame.data(Frame.endStream, 1, []))
        let second = try lone.end.open()
        try lone.end.send([1], on: second)
        try lone.end.send([2], on: second)
        try lone.end.finish(second)
        // The end goes with the last data.
        #expect(lone.take() == Frame.headers(0, 3, Frame.laterRequest) + Frame.data(0, 3, [1]) + Frame.data(Frame.endStream, 3, [2]))
        lone.end.reset(second, code: 9)
        #expect(lone.take() == Frame.reset(3, 9))
        let counters = lone.end.muxer.counters.sent
        #expect(counters.dataHeaderBytes == 3 * 9 && counters.payloadBytes == 5 && counters.dataFrames == 3)
        #expect(counters.windowUpdateBytes == 13 && counters.windowUpdateFrames == 1)
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    @Test func aRequestIsAnsweredAtOnce() throws {
        let lone = Self.server()
        lone.feed(Frame.headers(0, 1, Frame.firstRequest))
        #expect(lone.take() == Frame.headers(0, 1, Frame.response))
        let stream = try #require(lone.end.accepted.first)
        try lone.end.send([5], on: stream)
        try lone.end.finish(stream)
        #expect(lone.take() == Frame.data(Frame.endStream, 1, [5]))
        lone.feed(Frame.data(Frame.endStream, 1, [6]))
        #expect(lone.end.log(stream).received == [6] && lone.end.log(stream).isClosed)
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    @Test func aPingIsAnswered() {
        let lone = Self.server()
        let before = lone.end.muxer.counters
        lone.feed(Frame.ping(0))
        #expect(lone.take() == Frame.ping(1))
        #expect(lone.end.muxer.counters.sent.pingBytes - before.sent.pingBytes == 17)
        #expect(lone.end.muxer.counters.received.pingBytes - before.received.pingBytes == 17)
    }

    /// libnghttp2 opens nothing behind a go-away, so the go-away waits for what was opened before it.
    @Test func closingLetsWhatWasOpenedGoFirst() throws {
        let lone = Self.client()
        let stream = try lone.end.open()
        try lone.end.send([1], on: stream)
        lone.end.muxer.close(code: .normal)
        _ = lone.take()
        #expect(lone.end.log(stream).isLive)
        #expect(lone.end.muxer.counters.sent.payloadBytes == 1)
        let given = Self.client()
        given.end.reset(try given.end.open())
        given.end.muxer.close(code: .internalError)
        #expect(given.take().suffix(17) == Frame.goAway(last: 0, 2)[...], "an opening that was given up is not waited for")
        #expect(!given.end.muxer.hasOutput)
    }

    // MARK: What it reads

    /// Padding is nobody's payload, wherever the bytes are cut.
    @Test(arguments: [1, 2, 7, 100]) func paddingHasNoPayload(chunk: Int) throws {
        let lone = Self.server()
        lone.feed(Frame.headers(0, 1, Frame.firstRequest))
        let before = lone.end.muxer.counters.received
        lone.feed(Frame.data(Frame.padded, 1, [4, 1, 2, 3, 0, 0, 0, 0]) + Frame.data(Frame.padded | Frame.endStream, 1, [2, 0, 0]), chunk: chunk)
        let stream = try #require(lone.end.accepted.first)
        #expect(lone.end.log(stream).received == [1, 2, 3] && lone.end.log(stream).remoteHasFinished)
        let after = lone.end.muxer.counters.received
        #expect(after.payloadBytes - before.payloadBytes == 3)
        #expect(after.dataHeaderBytes - before.dataHeaderBytes == 9 + 5 + 9 + 3)
        #expect(lone.end.muxer.counters.lateBytes == 0)
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    /// A go-away that disowns streams ends them all, more than one batch of events holds.
    @Test func aGoAwayEndsWhatItDisowns() throws {
        let lone = Self.client()
        let streams = try (0..<1000).map { _ in try lone.end.open() }
        _ = lone.take()
        lone.feed(Frame.settings([]) + Frame.goAway(last: 5, 0) + Frame.ping(0))
        _ = lone.take()
        lone.feed(Frame.ping(0))
        #expect(streams.filter { lone.end.log($0).reset == .farEnd(code: 7) }.count == 997)
        #expect(lone.end.failure == nil)
        #expect(lone.end.muxer.streamCount == 3 && lone.end.goAwayCode == 0)
        #expect(throws: MuxerError.goneAway(code: 0)) { try lone.end.open() }
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    @Test(arguments: [0, 8] as [UInt32]) func aResetIsReportedWithItsCode(code: UInt32) throws {
        let lone = Self.client()
        let stream = try lone.end.open()
        _ = lone.take()
        lone.feed(Frame.settings([]) + Frame.reset(1, code))
        #expect(lone.end.log(stream).reset == .farEnd(code: code))
        #expect(lone.end.muxer.streamCount == 0)
    }

    @Test(arguments: [
        ("a frame that is too large", HTTP2Frame.data(0, 1, [UInt8](repeating: 0, count: 16_385)), 6),
        ("data of a stream never opened", HTTP2Frame.data(0, 5, [1]), 1),
        ("data of the connection", HTTP2Frame.data(0, 0, [1]), 1),
        ("an opening with the server's parity", HTTP2Frame.headers(0, 2, HTTP2Frame.firstRequest), 1),
        ("fields that are no HPACK", HTTP2Frame.headers(0, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), 9),
        ("a continuation of nothing", HTTP2Frame.frame(9, 4, 1, [0x88]), 1),
        ("a window beyond 31 bits", HTTP2Frame.windowUpdate(0, 0x7FFF_FFFF), 3),
        ("a reset of a stream never opened", HTTP2Frame.reset(7, 0), 1),
        ("a ping of nine bytes", HTTP2Frame.frame(6, 0, 0, [UInt8](repeating: 0, count: 9)), 6),
        ("settings that are no settings", HTTP2Frame.frame(4, 0, 0, [1, 2, 3]), 6),
        ("a push", HTTP2Frame.frame(5, 4, 1, [0, 0, 0, 2]), 1),
    ])
    func whatBreaksTheRules(what: String, bytes: [UInt8], code: UInt32) throws {
        for chunk in [Int.max, 1] {
            let lone = Self.server()
            lone.feed(bytes, chunk: chunk)
            guard case .protocolViolation(let found, let reason)? = lone.end.failure else {
                Issue.record("\(what): \(lone.end.failure.map { "\($0)" } ?? "nothing was found")")
                continue
            }
            #expect(found == code && !reason.isEmpty, "\(what)")
            // The farewell says the same.
            let farewell = lone.take()
            let goAway = try #require(farewell.firstRange(of: [7, 0, 0, 0, 0, 0]), "\(what)")
            #expect(farewell[goAway.upperBound + 4..<goAway.upperBound + 8].last == UInt8(code), "\(what)")
            #expect(!lone.end.muxer.hasOutput, "\(what)")
            #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
        }
    }

    @Test func whoIsNoClientIsRefused() {
        let lone = Lone(.responder, HTTP2(role: .responder))
        #expect(lone.feed(Array("GET / HTTP/1.1\r\n\r\n".utf8))?.origin == .remote)
    }

    /// A block of fields in many pieces is cut off before it costs much.
    @Test func continuationsAreLimited() {
        let lone = Self.server()
        lone.feed(HTTP2Frame.frame(1, 0, 1, HTTP2Frame.firstRequest))
        var count = 0
        while lone.end.failure == nil, count < 1000 {
            lone.feed(HTTP2Frame.frame(9, 0, 1, []))
            count += 1
        }
        #expect(lone.end.failure?.origin == .remote)
        #expect(count < 20)
    }

    /// Streams that are opened and reset at once, for ever.
    @Test func resetsAreLimited() {
        var limits = HTTP2Limits()
        limits.common.streamsMax = 10
        let lone = Self.server(limits)
        var id: UInt32 = 1
        while lone.end.failure == nil, id < 10_000 {
            lone.feed(Frame.headers(0, id, id == 1 ? Frame.firstRequest : Frame.laterRequest) + Frame.reset(id, 8))
            _ = lone.take()
            id += 2
        }
        #expect(lone.end.failure?.origin == .remote)
        #expect(id > 2000, "as many as a client may have open are within reason")
    }

    /// A far end that provokes answers and never reads them.
    @Test(arguments: [HTTP2Frame.ping(0), HTTP2Frame.settings([])]) func controlFramesMax(attack: [UInt8]) {
        var limits = HTTP2Limits()
        limits.controlFramesMax = 2000
        limits.common.streamsMax = 10
        let lone = Self.server(limits)
        var rounds = 0
        while lone.end.failure == nil, rounds < 10_000 {
            lone.feed(attack)
            rounds += 1
        }
        #expect(lone.end.failure == .tooManyControlFrames(limit: 2000))
        #expect(rounds > 1900)
        #expect(lone.take().suffix(17) == Frame.goAway(last: 0, 11)[...])
    }

    @Test func moreThanTheWindowIsRefused() {
        var limits = HTTP2Limits()
        limits.windowBytes = 100_000
        let lone = Self.server(limits)
        lone.end.consumption = .byHand
        lone.feed(Frame.headers(0, 1, Frame.firstRequest))
        for _ in 0..<10 { lone.feed(Frame.data(0, 1, [UInt8](repeating: 1, count: 10_000))) }
        #expect(lone.end.failure == nil)
        lone.feed(Frame.data(0, 1, [1]))
        // Only the stream is broken (RFC 9113, section 5.2.2 leaves the choice).
        #expect(lone.end.failure == nil)
        #expect(lone.end.log(lone.end.accepted[0]).reset == .farEnd(code: 3))
        #expect(lone.take().suffix(13) == Frame.reset(1, 3)[...])
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }
}
