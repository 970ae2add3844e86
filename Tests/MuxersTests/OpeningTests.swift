import Muxers
import Testing
import TestSupport

/// Streams that are opened one after another before a far end to which that is much work, and a small message beside them.
@Suite struct OpeningTests {
    /// A far end that takes one frame after the other, in virtual time.
    private final class SlowEnd {
        let lone: Lone
        /// Whether it answers on the streams that are opened.
        let answers: Bool
        private var work: [(frame: (byteCount: Int, length: UInt32, isPing: Bool, streamID: UInt32, opens: Bool), endsAt: Int)] = []
        private var freeAt = 0
        private(set) var now = 0
        /// Openings that it has been sent and has not dealt with.
        private(set) var openings = 0
        private(set) var openingsDone = 0

        init(_ lone: Lone, answers: Bool) {
            self.lone = lone
            self.answers = answers
        }

        /// Takes what there is to be sent, lets 10 us pass and answers what is done by then.
        func step() {
            for frame in YamuxFrame.frames(in: lone.take()) {
                freeAt = max(freeAt, now) + (frame.opens ? 100_000 : 10_000)
                openings += frame.opens ? 1 : 0
                work.append((frame, freeAt))
            }
            now += 10_000
            lone.clock.advance(by: 10_000)
            let done = work.prefix { $0.endsAt <= now }.map(\.frame)
            work.removeFirst(done.count)
            for frame in done { answer(frame) }
        }

        private func answer(_ frame: (byteCount: Int, length: UInt32, isPing: Bool, streamID: UInt32, opens: Bool)) {
            if frame.isPing { lone.feed(YamuxFrame.pong(frame.length)) }
            guard frame.opens || frame.byteCount > 12 else { return }
            if frame.opens {
                openings -= 1
                openingsDone += 1
                lone.feed(YamuxFrame.windowUpdate(.ack, frame.streamID, 0))
            }
            if answers || frame.streamID == 1 { lone.feed(YamuxFrame.data(.none, frame.streamID, [1])) }
            if frame.opens, answers, frame.streamID != 1 { lone.feed(YamuxFrame.data(.fin, frame.streamID, [])) }
        }
    }

    /// At first all 100 openings are under way, as nothing is known; then the marks tell that the far end is slow, and few are. Streams on which nothing is ever answered are
    /// opened too: they wait only for marks.
    @Test(arguments: [true, false]) func fewOpeningsAreUnderWayBesideASmallMessage(answers: Bool) throws {
        let lone = Lone(.initiator, Yamux(role: .initiator))
        let far = SlowEnd(lone, answers: answers)
        let victim = try lone.end.open()
        try lone.end.send([1], on: victim)
        var underWay: [StreamHandle] = []
        var (sentAt, requests, opened) = (0, 0, 0)
        var latencies: [Int] = []
        var openingsMost = 0
        let openingsInAll = 1500
        var steps = 0
        while far.openingsDone <= openingsInAll, steps < 100_000 {
            steps += 1
            for stream in underWay where !lone.end.log(stream).received.isEmpty { try lone.end.finish(stream) }
            underWay.removeAll { !lone.end.log($0).received.isEmpty }
            // The victim's is one of those done.
            while opened < openingsInAll, answers ? underWay.count < 100 : opened - far.openingsDone < 99 {
                let stream = try lone.end.open()
                try lone.end.send([2], on: stream)
                underWay.append(stream)
                opened += 1
            }
            if lone.end.log(victim).received.count > requests {
                requests += 1
                latencies.append(far.now - sentAt)
                sentAt = far.now
                try lone.end.send([1], on: victim)
            }
            far.step()
            if far.openingsDone > 600 { openingsMost = max(openingsMost, far.openings) }
        }
        #expect(far.openingsDone == openingsInAll + 1, "every stream is opened in the end")
        #expect(openingsMost <= 8, "\(openingsMost) openings were under way")
        let late = latencies.suffix(latencies.count / 2).max() ?? 0
        #expect(late <= 1_000_000, "a request took \(late) ns, and 100 openings take 10 ms")
        #expect(lone.end.violations.isEmpty, "\(lone.end.violations)")
    }
}
