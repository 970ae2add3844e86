import Bytes
import Muxers
import Testing
import TestSupport

/// mplex on the wire, byte for byte, and what it makes of a far end that keeps the rules, bends them or breaks them.
@Suite struct MplexTests {
    private func responder() -> Lone { Lone(.responder, Mplex(role: .responder)) }

    // MARK: What it writes

    @Test func openDataCloseReset() throws {
        let lone = Lone(.initiator, Mplex(role: .initiator))
        let first = try lone.end.open()
        try lone.end.send([7, 8, 9], on: first)
        // NewStream with its identifier as its name, and the first message, in one write.
        #expect(lone.take() == [0, 1, UInt8(ascii: "0")] + [2, 3, 7, 8, 9])
        try lone.end.finish(first)
        #expect(lone.take() == [4, 0])
        let second = try lone.end.open()
        #expect(lone.take() == [8, 1, UInt8(ascii: "1")])
        lone.end.reset(second)
        #expect(lone.take() == [14, 0])
    }

    @Test func theReceiverOfAStreamUsesOddFlags() throws {
        let lone = responder()
        lone.feed(MplexFrame.open(5, name: [65, 66]) + MplexFrame.open(6))
        try lone.end.send([1], on: lone.end.accepted[0])
        try lone.end.finish(lone.end.accepted[0])
        #expect(lone.take() == [5 << 3 | 1, 1, 1] + [5 << 3 | 3, 0])
        lone.end.reset(lone.end.accepted[1])
        #expect(lone.take() == [6 << 3 | 5, 0])
    }

    @Test(arguments: [0, 9, 10, 99, 100, 12345]) func aStreamIsNamedByItsNumber(count: Int) throws {
        let lone = Lone(.initiator, Mplex(role: .initiator))
        for _ in 0..<count { lone.end.reset(try lone.end.open()) }
        _ = try lone.end.open()
        #expect(lone.take() == MplexFrame.open(UInt64(count), name: Array("\(count)".utf8)))
    }

    // MARK: What it reads

    @Test func bothSpacesOfIdentifiersAreApart() throws {
        let lone = responder()
        let mine = try lone.end.open()
        _ = lone.take()
        lone.feed(MplexFrame.open(0) + MplexFrame.data(2, 0, [1]) + MplexFrame.data(1, 0, [2, 2]))
        let theirs = lone.end.accepted[0]
        #expect(lone.end.log(theirs).received == [1] && lone.end.log(mine).received == [2, 2])
        lone.feed(MplexFrame.header(3, 0, length: 0))
        #expect(lone.end.log(mine).remoteHasFinished && !lone.end.log(theirs).remoteHasFinished)
        lone.feed(MplexFrame.header(6, 0, length: 0))
        #expect(lone.end.log(theirs).resetCode == 0 && lone.end.log(mine).isLive)
        lone.feed(MplexFrame.header(5, 0, length: 0))
        #expect(lone.end.log(mine).resetCode == 0)
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }

    @Test(arguments: [1, 2, 3, 7, Int.max]) func wideIdentifiers(chunk: Int) throws {
        let lone = responder()
        let wide: [UInt64] = [(1 << 31) - 1, 1 << 31, 1 << 32, (1 << 32) + 1, (1 << 60) - 1]
        for id in wide { lone.feed(MplexFrame.open(id) + MplexFrame.data(2, id, [1, 2]), chunk: chunk) }
        #expect(lone.end.failure == nil && lone.end.accepted.count == wide.count)
        for (stream, id) in zip(lone.end.accepted, wide) {
            #expect(lone.end.log(stream).received == [1, 2] && lone.end.muxer.ordinal(of: stream) == id)
            try lone.end.send([3], on: stream)
        }
        let answer = Set(wide.map { MplexFrame.data(1, $0, [3]) })
        var output = lone.take()[...]
        while !output.isEmpty {
            let frame = answer.first { output.starts(with: $0) }
            output = output.dropFirst(try #require(frame).count)
        }
        for id in wide { lone.feed(MplexFrame.header(6, id, length: 0), chunk: chunk) }
        #expect(lone.end.muxer.streamCount == 0)
        // A number may be opened again after its end.
        for id in wide { lone.feed(MplexFrame.open(id), chunk: chunk) }
        #expect(lone.end.failure == nil && lone.end.muxer.streamCount == wide.count)
        #expect(lone.feed(MplexFrame.open(1 << 32)) == .duplicateStream(streamID: 1 << 32))
    }

    @Test func aNameIsSkippedHoweverItComes() {
        for chunk in [1, 3, Int.max] {
            let lone = responder()
            lone.feed(MplexFrame.open(3, name: Array("a name of its own".utf8)) + MplexFrame.data(2, 3, [5]), chunk: chunk)
            #expect(lone.end.log(lone.end.accepted[0]).received == [5])
            #expect(lone.end.muxer.counters.received.openCloseBytes == 19)
        }
    }

    @Test func aMessageIsHandedOnAsItArrives() {
        let lone = responder()
        lone.feed(MplexFrame.open(1) + MplexFrame.header(2, 1, length: 100))
        lone.feed([UInt8](repeating: 1, count: 40))
        #expect(lone.end.log(lone.end.accepted[0]).received.count == 40)
        lone.feed([UInt8](repeating: 1, count: 60) + MplexFrame.header(4, 1, length: 0))
        #expect(lone.end.log(lone.end.accepted[0]).received.count == 100)
        #expect(lone.end.log(lone.end.accepted[0]).remoteHasFinished)
    }

    // MARK: What it tolerates

    @Test func messagesForStreamsThatAreNotThere() {
        let lone = responder()
        // Never opened, by us or by them: data, close and reset.
        for flag in [1, 2, 3, 4, 5, 6] as [UInt8] { lone.feed(MplexFrame.data(flag, 77, [1, 2])) }
        #expect(lone.end.failure == nil && lone.end.muxer.streamCount == 0)
        #expect(lone.end.muxer.counters.lateBytes == 4)
        #expect(lone.end.muxer.counters.received.totalBytes == lone.end.bytesRead)
        #expect(lone.take().isEmpty, "nothing is answered")
    }

    @Test func emptyMessagesAndRepeatedCloses() {
        let lone = responder()
        lone.feed(MplexFrame.open(1) + MplexFrame.data(2, 1, []) + MplexFrame.header(4, 1, length: 0) + MplexFrame.header(4, 1, length: 0))
        #expect(lone.end.failure == nil && lone.end.violations.isEmpty)
        #expect(lone.end.log(lone.end.accepted[0]).remoteHasFinished)
    }

    @Test func dataBehindTheEndBreaksTheStreamOnly() {
        let lone = responder()
        lone.feed(MplexFrame.open(1) + MplexFrame.header(4, 1, length: 0) + MplexFrame.data(2, 1, [1, 2]))
        #expect(lone.end.failure == nil && lone.end.log(lone.end.accepted[0]).reset == .dataAfterEnd)
        #expect(lone.end.muxer.counters.lateBytes == 2)
        #expect(lone.take() == [1 << 3 | 5, 0])
    }

    // MARK: What it refuses

    static let broken: [(String, [UInt8], MuxerError)] = [
        ("an unknown flag", [7, 0], .unknownFrameType(7)),
        ("a second opening", [0, 0, 0, 0], .duplicateStream(streamID: 0)),
        ("a header of ten bytes", [UInt8](repeating: 0x80, count: 9) + [1], .malformedVarint("longer than 9 bytes")),
        ("a header in a longer form", [0x80, 0], .malformedVarint("not the shortest form")),
        ("a length of ten bytes", [2] + [UInt8](repeating: 0xFF, count: 10), .malformedVarint("longer than 9 bytes")),
        ("a long message", MplexFrame.header(2, 1, length: 1 << 40), .frameTooLarge(byteCount: 1 << 40, limitBytes: 1 << 20)),
        ("a long close", MplexFrame.header(4, 1, length: 1 << 21), .frameTooLarge(byteCount: 1 << 21, limitBytes: 1 << 20)),
    ]

    @Test(arguments: broken) func whatBreaksTheRules(what: String, bytes: [UInt8], error: MuxerError) {
        for chunk in [1, 2, Int.max] {
            let lone = responder()
            #expect(lone.feed(bytes, chunk: chunk) == error, "\(what)")
            #expect(error.origin == .remote)
            #expect(lone.take().isEmpty, "mplex has no farewell")
            #expect(throws: MuxerError.closing) { try lone.end.muxer.openStream(now: 0) }
        }
    }
}
