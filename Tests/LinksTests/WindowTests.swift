import Bytes
import Links
import Muxers
import Testing
import TestSupport

/// What windows make of a link, in virtual time.
@Suite struct WindowTests {
    private static let gigabit60 = LinkShape(roundTripNanoseconds: 60_000_000, bitsPerSecond: 1_000_000_000)

    private func yamux(windowBytesMax: UInt32? = nil, pings: Bool = false) -> (MuxerRole) -> any Muxer {
        { role in
            var limits = YamuxLimits()
            // One behind every 64 KiB of data.
            if pings { limits.markers = YamuxMarkers() }
            if let windowBytesMax { limits.windowBytesMax = windowBytesMax }
            return Yamux(role: role, limits: limits)
        }
    }

    /// Payload a second that `end` received from now on, as a share of the link's rate.
    private func utilisation(_ pair: LinkedPair, _ shape: LinkShape, of end: LinkedEnd, overSeconds seconds: Double) throws -> Double {
        let before = end.receivedBytes
        try pair.run(for: UInt64(seconds * 1e9))
        return Double(end.receivedBytes - before) * 8 / seconds / Double(shape.bitsPerSecond)
    }

    /// One stream fills 1 Gbit/s over 60 ms within a second, either way.
    @Test(arguments: [false, true]) func autoTuningFillsALongLink(downwards: Bool) throws {
        let shape = Self.gigabit60
        let pair = LinkedPair(shape, yamux())
        let stream = try pair.open()
        let (sender, receiver) = downwards ? (pair.server, pair.client) : (pair.client, pair.server)
        if downwards {
            // The stream has to be known before the far end can send on it.
            try pair.run(for: 100_000_000)
            let accepted = try #require(sender.accepted.first)
            sender.send(on: accepted)
        } else {
            sender.send(on: stream)
        }
        try pair.run(for: 1_000_000_000)
        let share = try utilisation(pair, shape, of: receiver, overSeconds: 1)
        #expect(share > 0.98 && share <= 1)
        let flow = try #require(receiver.muxer.flow(at: pair.clock.now))
        #expect(flow.receiveWindowBytesMax >= 8 << 20 && flow.receiveWindowBytesMax <= YamuxLimits().windowBytesMax)
    }

    /// The same both ways at once, where credit waits behind data.
    @Test func autoTuningFillsALongLinkBothWays() throws {
        let shape = Self.gigabit60
        let pair = LinkedPair(shape, yamux())
        pair.client.send(on: try pair.open())
        try pair.run(for: 100_000_000)
        pair.server.send(on: try #require(pair.server.accepted.first))
        try pair.run(for: 1_500_000_000)
        let before = pair.client.receivedBytes
        #expect(try utilisation(pair, shape, of: pair.server, overSeconds: 1) > 0.95)
        #expect(Double(pair.client.receivedBytes - before) * 8 > 0.95e9)
    }

    /// A window of 256 KiB lets through at most one window a round trip, 35 Mbit/s of a gigabit, and the sender waits for credit nearly all the time. Credit comes in halves
    /// of the window, so a part of it may wait for the rest of a half: between half a window and a whole one is under way.
    @Test func aFixedWindowIsWindowByRoundTrip() throws {
        let shape = Self.gigabit60
        let pair = LinkedPair(shape, yamux(windowBytesMax: YamuxLimits.windowBytesInitial))
        pair.client.send(on: try pair.open())
        try pair.run(for: 500_000_000)
        let stalledBefore = try #require(pair.client.muxer.flow(at: pair.clock.now)).windowStalledNanoseconds
        let share = try utilisation(pair, shape, of: pair.server, overSeconds: 2)
        let windowByRoundTrip = Double(YamuxLimits.windowBytesInitial) * 8 / 0.06 / Double(shape.bitsPerSecond)
        #expect(share > 0.5 * windowByRoundTrip && share <= windowByRoundTrip, "\(share) of \(windowByRoundTrip)")
        let flow = try #require(pair.client.muxer.flow(at: pair.clock.now))
        #expect(flow.windowStalledNanoseconds - stalledBefore > 1_900_000_000, "of 2 s")
        #expect(flow.receiveWindowBytesMax == YamuxLimits.windowBytesInitial)
    }

    /// libp2p/go-yamux issue 136: 512 KiB and no more, as it says, over a path with the times that it tells: 81 ms, and 312 ms for the first half window. The path is
    /// slow, and 512 KiB fill it many times. The rule stops where half a window takes four round trips: at eight bandwidth-delay products.
    @Test func theWindowOfGoYamuxIssue136StopsWhereItSays() throws {
        let shape = LinkShape(roundTripNanoseconds: 92_700_000, bitsPerSecond: 3_670_000)
        let receiver = HalfWindowReceiver(shape, measureEveryNanoseconds: 30_000_000_000)
        receiver.run(for: 5_000_000_000)
        #expect(receiver.windowBytes == 512 << 10)
        let before = receiver.receivedBytes
        receiver.run(for: 10_000_000_000)
        #expect(receiver.windowBytes == 512 << 10, "for good")
        #expect(Double(receiver.receivedBytes - before) * 8 / 10 > 0.98 * 3_670_000, "it is not the window that holds it up")
        // Ours on the same path: its pings wait in the queue of the path, so that its windows become larger.
        let pair = LinkedPair(shape, quantumBytes: 1500, yamux())
        pair.client.send(on: try pair.open())
        try pair.run(for: 5_000_000_000)
        #expect(try utilisation(pair, shape, of: pair.server, overSeconds: 5) > 0.98)
    }

    /// Where the same rule does harm: the round trip was measured on a short path, and the path becomes longer. Windows stop at eight times the rate times the old round
    /// trip, and a receiver that measures again only after half a minute, as go-yamux does, gives no more until then. Ours measures every second.
    @Test func aStaleRoundTripStopsTuning() throws {
        let short: UInt64 = 2_000_000, long: UInt64 = 100_000_000
        let shape = LinkShape(roundTripNanoseconds: short, bitsPerSecond: 500_000_000, bufferBytes: 4 << 20)
        let stale = HalfWindowReceiver(shape, measureEveryNanoseconds: 30_000_000_000)
        stale.run(for: 50_000_000, paused: true)
        stale.reroute(roundTripNanoseconds: long)
        stale.run(for: 5_000_000_000)
        let before = stale.receivedBytes
        stale.run(for: 2_000_000_000)
        let staleShare = Double(stale.receivedBytes - before) * 8 / 2 / 500e6
        #expect(stale.windowBytes <= 2 << 20 && staleShare < 0.35, "\(stale.windowBytes), \(staleShare)")

        let fresh = HalfWindowReceiver(shape, measureEveryNanoseconds: 1_000_000_000)
        fresh.run(for: 50_000_000, paused: true)
        fresh.reroute(roundTripNanoseconds: long)
        fresh.run(for: 5_000_000_000)
        #expect(fresh.windowBytes > shapeBandwidthDelay(long, 500_000_000), "the rule itself is sound when the round trip is")

        let pair = LinkedPair(shape, yamux())
        let stream = try pair.open()
        try pair.run(for: 50_000_000)
        pair.reroute(roundTripNanoseconds: long)
        pair.client.send(on: stream)
        try pair.run(for: 5_000_000_000)
        let share = try utilisation(pair, shape, of: pair.server, overSeconds: 2)
        #expect(share > 0.95, "\(share), \(String(describing: pair.server.muxer.flow(at: pair.clock.now)))")
    }

    private func shapeBandwidthDelay(_ roundTrip: UInt64, _ rate: UInt64) -> Int {
        LinkShape(roundTripNanoseconds: roundTrip, bitsPerSecond: rate).bandwidthDelayBytes
    }

    /// libp2p/rust-yamux issue 227: both ends write as much as they can, each has an answer to a ping to write, and by its rule neither reads before that has gone. What
    /// neither reads fills the path, so the answers never go: everything stops for good.
    @Test func endsThatReadOnlyWhenTheyHaveAnsweredStop() throws {
        let pair = try pushing { $0.waitsForItsAnswers = true }
        let (up, down) = (pair.server.receivedBytes, pair.client.receivedBytes)
        #expect(try !pair.run(for: 5_000_000_000), "nothing moves any more")
        #expect(pair.server.receivedBytes == up && pair.client.receivedBytes == down)
    }

    /// Ours under the same load: it reads whatever waits to be written, and answers stand in a queue of their own.
    @Test func oursReadsWhateverWaitsToBeWritten() throws {
        let pair = try pushing { _ in }
        let (up, down, trips) = (pair.server.receivedBytes, pair.client.receivedBytes, pair.client.roundTrips)
        #expect(try pair.run(for: 5_000_000_000))
        let rate = 5.0 * 50e6 / 8
        #expect(Double(pair.server.receivedBytes - up) > 0.9 * rate && Double(pair.client.receivedBytes - down) > 0.9 * rate)
        #expect(pair.client.roundTrips > trips, "pings are answered meanwhile")
    }

    /// Sixteen streams, each full both ways, over 20 ms and 50 Mbit/s with little room on the way, and pings between the data, for two seconds.
    private func pushing(_ setUp: (LinkedEnd) -> Void) throws -> LinkedPair {
        let shape = LinkShape(roundTripNanoseconds: 20_000_000, bitsPerSecond: 50_000_000, bufferBytes: 32 << 10)
        let pair = LinkedPair(shape, quantumBytes: 4 << 10, yamux(pings: true))
        pair.unreadBytesMax = 32 << 10
        for _ in 0..<16 { pair.client.send(on: try pair.open()) }
        try pair.run(for: 1_000_000_000)
        for stream in pair.server.accepted { pair.server.send(on: stream) }
        try #require(pair.server.accepted.count == 16)
        for end in [pair.client, pair.server] { setUp(end) }
        try pair.run(for: 2_000_000_000)
        return pair
    }
}

/// The receiver's rule of go-yamux as a machine of its own, with a sender that is never short of data: credit is given when half the window is consumed, and the window
/// doubles when that took less than four round trips, as last measured.
private final class HalfWindowReceiver {
    private let data: Owned<LinkDirection>
    private var now: UInt64 = 1
    private let measureEveryNanoseconds: UInt64
    private var roundTripNow: UInt64
    private var measured: UInt64
    private var measureNext: UInt64
    private var epochStart: UInt64 = 1
    private var consumed = 0
    private var allowance = 256 << 10
    private(set) var windowBytes = 256 << 10
    private(set) var receivedBytes = 0
    private var grants: [(arrival: UInt64, bytes: Int)] = []
    private let piece = Block(capacity: 8 << 10)

    init(_ shape: LinkShape, measureEveryNanoseconds: UInt64) {
        data = Owned(LinkDirection(shape))
        self.measureEveryNanoseconds = measureEveryNanoseconds
        // The first ping goes over an idle path.
        (roundTripNow, measured, measureNext) = (shape.roundTripNanoseconds, shape.roundTripNanoseconds, measureEveryNanoseconds)
    }

    func reroute(roundTripNanoseconds: UInt64) {
        data.value.reroute(roundTripNanoseconds: roundTripNanoseconds)
        roundTripNow = roundTripNanoseconds
    }

    func run(for nanoseconds: UInt64, paused: Bool = false) {
        let end = now + nanoseconds
        while true {
            if now >= measureNext {
                // A mean of the last and the new one, as there.
                measured = measured / 2 + roundTripNow / 2
                measureNext += measureEveryNanoseconds
            }
            while let first = grants.first, first.arrival <= now {
                allowance += first.bytes
                grants.removeFirst()
            }
            while !paused, allowance >= piece.capacity, data.value.room(at: now) >= piece.capacity {
                data.value.put(QueuedSlice(piece, 0..<piece.capacity), tag: 0, now: now)
                allowance -= piece.capacity
            }
            while let delivery = data.value.take(at: now, quantumBytes: piece.capacity) {
                switch consume delivery {
                case .bytes(let slice, _): consume(slice.count)
                case .end: break
                }
            }
            guard now < end else { return }
            var next = min(end, measureNext, data.value.deadline(quantumBytes: piece.capacity) ?? .max, grants.first?.arrival ?? .max)
            if !paused, allowance >= piece.capacity { next = min(next, data.value.roomDeadline(for: piece.capacity) ?? .max) }
            now = max(now + 1, next)
        }
    }

    private func consume(_ count: Int) {
        receivedBytes += count
        consumed += count
        guard consumed >= windowBytes / 2 else { return }
        var grant = consumed
        if now - epochStart < 4 * measured {
            let larger = min(2 * windowBytes, 16 << 20)
            grant += larger - windowBytes
            windowBytes = larger
        }
        consumed = 0
        epochStart = now
        grants.append((now + roundTripNow / 2, grant))
    }
}
