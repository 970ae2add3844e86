import Bytes
import Links
import Muxers
import TestSupport

/// One end of a ``LinkedPair``: a multiplexer whose application sends without end on the streams it is told to, and reads what comes.
final class LinkedEnd {
    let muxer: any Muxer
    fileprivate var gather = Gather()
    private let payload = Block(capacity: 64 << 10)
    private var sources: [StreamHandle] = []
    private(set) var receivedBytes: UInt64 = 0
    private(set) var roundTrips = 0
    /// Streams that the far end opened.
    private(set) var accepted: [StreamHandle] = []
    /// Nothing is consumed: the application does not read.
    var isReader = true
    /// Obeys the rule of rust-yamux issue 227: nothing is read while an answer of its own waits to be written.
    var waitsForItsAnswers = false
    /// Arrived, and not read from the socket.
    fileprivate var unread: [Slice] = []
    private var hasAnswerWaiting = false

    init(_ muxer: any Muxer) { self.muxer = muxer }

    func send(on stream: StreamHandle) { sources.append(stream) }

    /// Half a megabyte is queued on each stream at all times.
    fileprivate func refill() throws {
        for stream in sources {
            while muxer.queuedByteCount(on: stream) < 512 << 10 { try muxer.send(QueuedSlice(payload, 0..<payload.capacity), on: stream) }
        }
    }

    fileprivate func read(now: UInt64) throws {
        var events = EventList()
        while !unread.isEmpty {
            if waitsForItsAnswers && hasAnswerWaiting { return }
            let slice = unread.removeFirst()
            var offset = slice.range.lowerBound
            let pings = muxer.counters.received.pingBytes
            while offset < slice.range.upperBound {
                offset += try muxer.receive(slice.block.bytes(offset..<slice.range.upperBound), at: offset, now: now, events: &events)
                for index in 0..<events.count { handle(events[index]) }
                events.removeAll()
            }
            receivedBytes = muxer.counters.received.payloadBytes
            if muxer.counters.received.pingBytes > pings { hasAnswerWaiting = true }
        }
    }

    private func handle(_ event: MuxerEvent) {
        switch event {
        case .data(let stream, _, let count): if isReader { muxer.consume(stream, byteCount: Int(count)) }
        case .roundTrip: roundTrips += 1
        case .opened(let stream): accepted.append(stream)
        default: break
        }
    }

    /// Writes up to `room` bytes; returns them.
    fileprivate func write(_ room: Int, now: UInt64) throws -> Slice? {
        try refill()
        guard room > 0, !gather.isEmpty || muxer.hasOutput else { return nil }
        var events = EventList()
        let before = gather.byteCount
        muxer.transmit(into: &gather, byteLimit: 256 << 10, now: now, events: &events)
        let block = Block(capacity: max(1, min(room, gather.byteCount)))
        let count = gather.copyBytes(into: block, byteLimit: room)
        gather.advance(by: count)
        while let frame = gather.popUnbegun() { muxer.takeBack(frame) }
        gather.trim()
        muxer.settle(events: &events)
        // Answers stand in front of what else was transmitted, behind what is left of the frame before.
        if count >= before + 12 { hasAnswerWaiting = false }
        return count > 0 ? Slice(block, 0..<count) : nil
    }

    fileprivate var wantsToWrite: Bool { !gather.isEmpty || muxer.hasOutput }
}

/// Two multiplexers joined by an emulated link, in virtual time: the same in every run, and as fast as the machine computes it.
final class LinkedPair {
    let clock = VirtualClock()
    let client: LinkedEnd
    let server: LinkedEnd
    private let up: Owned<LinkDirection>
    private let down: Owned<LinkDirection>
    /// What is written or taken at once.
    private let quantumBytes: Int
    /// Bytes that may have arrived at an end and not been read from its socket: the kernel's receive buffer. More wait in the link, which then takes no more.
    var unreadBytesMax = 256 << 10

    init(_ shape: LinkShape, quantumBytes: Int = 16 << 10, _ make: (MuxerRole) -> any Muxer) {
        client = LinkedEnd(make(.initiator))
        server = LinkedEnd(make(.responder))
        up = Owned(LinkDirection(shape, stream: 0))
        down = Owned(LinkDirection(shape, stream: 1))
        self.quantumBytes = quantumBytes
    }

    /// A stream that the client opens.
    func open() throws -> StreamHandle { try client.muxer.openStream(now: clock.now) }

    func reroute(roundTripNanoseconds: UInt64) {
        up.value.reroute(roundTripNanoseconds: roundTripNanoseconds)
        down.value.reroute(roundTripNanoseconds: roundTripNanoseconds)
    }

    /// Lets `nanoseconds` pass. Returns whether anything moved in the last tenth of them.
    @discardableResult
    func run(for nanoseconds: UInt64) throws -> Bool {
        let end = clock.now + nanoseconds
        var lastMove = clock.now
        while true {
            while try step() { lastMove = clock.now }
            guard clock.now < end else { break }
            clock.advance(to: min(end, max(clock.now + 1, nextTime)))
            for side in [client, server] {
                guard let due = side.muxer.deadline, due <= clock.now else { continue }
                var events = EventList()
                try side.muxer.advanceTime(to: clock.now, events: &events)
            }
        }
        return end - lastMove < nanoseconds / 10
    }

    private var nextTime: UInt64 {
        var next = UInt64.max
        func consider(_ link: borrowing LinkDirection, from sender: LinkedEnd, to receiver: LinkedEnd) {
            if receiver.unread.reduce(0, { $0 + $1.count }) < unreadBytesMax, let due = link.deadline(quantumBytes: quantumBytes) { next = min(next, due) }
            if sender.wantsToWrite, !isHeldBack(link), let room = link.roomDeadline(for: min(quantumBytes, link.shape.bufferBytes)), room > clock.now { next = min(next, room) }
            if let due = sender.muxer.deadline { next = min(next, due) }
        }
        consider(up.value, from: client, to: server)
        consider(down.value, from: server, to: client)
        return next
    }

    /// What has arrived is not taken: no more goes in than the link holds.
    private func isHeldBack(_ link: borrowing LinkDirection) -> Bool {
        link.byteCount >= link.shape.bufferBytes + link.shape.bandwidthDelayBytes / 2 + quantumBytes
    }

    private func step() throws -> Bool {
        let moved = [try move(&up.value, from: client, to: server), try move(&down.value, from: server, to: client)]
        return moved.contains(true)
    }

    private func move(_ link: inout LinkDirection, from sender: LinkedEnd, to receiver: LinkedEnd) throws -> Bool {
        var moved = false
        while receiver.unread.reduce(0, { $0 + $1.count }) < unreadBytesMax, let delivery = link.take(at: clock.now, quantumBytes: quantumBytes) {
            moved = true
            switch consume delivery {
            case .bytes(let slice, _): receiver.unread.append(slice.shared())
            case .end: break
            }
        }
        try receiver.read(now: clock.now)
        // Little pieces would make many steps; the last room is not needed.
        while !isHeldBack(link), case let room = link.room(at: clock.now), room >= min(quantumBytes, link.shape.bufferBytes),
            let written = try sender.write(min(room, 64 << 10), now: clock.now)
        {
            link.put(QueuedSlice(written), tag: 0, now: clock.now)
            moved = true
        }
        return moved
    }
}
