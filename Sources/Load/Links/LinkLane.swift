import Bytes
import Links
import Reactor

/// One direction of the link on the relay's loop: takes pieces from the ports that feed it and hands them to the ports they are for when they have arrived.
///
/// As long as the buffer has room for a read, all ports read. When it has not, they read in turns, one read each, as room comes: otherwise the port whose socket
/// is asked first would have all of it.
///
/// ```
///            no room for a read                      every port has had its turn
///   open ─────────────────────────▶ in turns ────────────────────────────────────▶ open
/// ```
///
/// Invariants: while something is inside, or ports wait for their turn, the timer is armed; in turns every port is in `waiting` or has its turn.
final class LinkLane {
    private let loop: EventLoop
    private let direction: Owned<LinkDirection>
    private let readBytes: Int
    /// Pieces are handed on in parts of this much, so that bulk does not wake the loop for every packet: the last byte of a part is on time, its first is late by the
    /// time that the part takes to pass.
    private let quantumBytes: Int
    private var timer: LoopTimer?
    var receiver: (UInt32) -> LinkPort? = { _ in nil }
    var feeder: (UInt32) -> LinkPort? = { _ in nil }
    /// Of all connections over the link.
    private var tags: Set<UInt32> = []
    private var isInTurns = false
    private let waiting = Owned(RingQueue<UInt32>())
    /// Those that may read now, in turns.
    private var reading: [UInt32] = []
    /// When those that wait are looked at again although others have turns that they do not use: they may have nothing to read.
    private var lookAgainAt: UInt64 = 0

    /// A turn that is not used is not waited for longer than this.
    private static let turnNanosecondsMax: UInt64 = 100_000

    /// A part passes in a two-hundredth of the round trip, at least 50 us, at most 250 us.
    static func quantumBytes(_ shape: LinkShape) -> Int {
        let time = min(max(shape.roundTripNanoseconds / 200, 50_000), 250_000)
        return max(1500, Int(clamping: UInt128(time) * UInt128(shape.bitsPerSecond) / 8_000_000_000))
    }

    init(_ shape: LinkShape, stream: UInt64, loop: EventLoop) {
        self.loop = loop
        direction = Owned(LinkDirection(shape, stream: stream))
        readBytes = LinkRelay.readBytes(shape)
        quantumBytes = Self.quantumBytes(shape)
    }

    func joined(_ tag: UInt32) {
        tags.insert(tag)
        guard isInTurns else { return }
        waiting.value.push(tag)
        arm()
    }

    func left(_ tag: UInt32) {
        tags.remove(tag)
        reading.removeAll { $0 == tag }
    }

    /// Whether the port of this connection may read.
    func mayRead(_ tag: UInt32) -> Bool { !isInTurns || reading.contains(tag) }

    // MARK: In

    func put(_ block: Block, _ range: Range<Int>, tag: UInt32) {
        direction.value.put(QueuedSlice(block, range), tag: tag, now: loop.now)
        let hasRoom = direction.value.room(at: loop.now) >= readBytes
        if isInTurns {
            endTurn(of: tag, hasRead: true)
            // Those that have not read yet are the first when there is room again.
            if !hasRoom { for other in reading.reversed() { endTurn(of: other, hasRead: false) } }
            giveTurns(butFor: reading.count)
        } else if !hasRoom {
            isInTurns = true
            for other in tags where other != tag { waiting.value.push(other) }
            waiting.value.push(tag)
            for other in tags { feeder(other)?.updateReceiving() }
        }
        arm()
    }

    func end(tag: UInt32) {
        direction.value.end(tag: tag, now: loop.now)
        arm()
    }

    private func endTurn(of tag: UInt32, hasRead: Bool) {
        guard let index = reading.firstIndex(of: tag) else { return }
        reading.remove(at: index)
        if hasRead { waiting.value.push(tag) } else { waiting.value.pushFront(tag) }
        feeder(tag)?.updateReceiving()
    }

    /// Lets as many more ports read as there is room for reads, less `given`.
    private func giveTurns(butFor given: Int) {
        guard isInTurns else { return }
        var turns = direction.value.room(at: loop.now) / readBytes - given
        guard turns > 0 else { return }
        lookAgainAt = loop.now &+ Self.turnNanosecondsMax
        while turns > 0, let tag = waiting.value.pop() {
            guard let port = feeder(tag) else { continue }
            turns -= 1
            reading.append(tag)
            port.updateReceiving()
        }
        guard waiting.value.isEmpty else { return }
        isInTurns = false
        reading.removeAll(keepingCapacity: true)
    }

    // MARK: Out

    private func arm() {
        var due = direction.value.deadline(quantumBytes: quantumBytes)
        if isInTurns {
            // Room for two reads, so that one does not end it at once.
            let room = direction.value.roomDeadline(for: 2 * readBytes) ?? direction.value.roomDeadline(for: readBytes) ?? loop.now
            let turn = max(room, lookAgainAt)
            due = min(due ?? turn, turn)
        }
        guard let due else { return }
        let timer = self.timer ?? loop.makeTimer { [unowned self] in run() }
        self.timer = timer
        timer.arm(at: due)
    }

    private func run() {
        let now = loop.refreshNow()
        while let delivery = direction.value.take(at: now, quantumBytes: quantumBytes) {
            switch consume delivery {
            case .bytes(let slice, let tag): receiver(tag)?.deliver(slice)
            case .end(let tag): receiver(tag)?.deliverEnd()
            }
        }
        if isInTurns, now >= lookAgainAt, direction.value.room(at: now) >= min(2 * readBytes, direction.value.shape.bufferBytes) { giveTurns(butFor: 0) }
        arm()
    }

    func close() {
        timer?.cancel()
        timer = nil
    }
}
