import Bytes
import Muxers

/// The protocols whose frames are counted.
enum MuxerKind: String, CaseIterable, CustomStringConvertible {
    case yamux, mplex

    var description: String { rawValue }

    func make(_ role: MuxerRole) -> any Muxer {
        switch self {
        case .yamux: Yamux(role: role)
        case .mplex: Mplex(role: role)
        }
    }
}

/// Time stands still: nothing is due, and windows do not grow.
let now: Nanoseconds = 1_000_000_000

/// One end of a connection in memory, with what its owner has beside it.
///
/// Nothing here is wrong input, so an error of a muxer is a mistake of the workload and ends the process.
final class Side {
    let muxer: any Muxer
    /// Bytes on their way to the other side.
    private let wire: Block
    private var gather = Gather()
    private var events = EventList(capacity: 2 * eventsPerTransmitMax)
    /// What the application does when the far end has finished a stream.
    var finishesInTurn = false

    init(_ kind: MuxerKind, _ role: MuxerRole, wireBytesMax: Int = 1 << 20) {
        muxer = kind.make(role)
        wire = Block(capacity: wireBytesMax)
    }

    /// Frames all that is queued and forgets it. Returns how many bytes that was.
    @discardableResult
    func drain() -> Int {
        var total = 0
        while muxer.hasOutput {
            muxer.transmit(into: &gather, byteLimit: 512 << 10, now: now, events: &events)
            muxer.settle(events: &events)
            total += gather.byteCount
            gather.advance(by: gather.byteCount)
            handle()
        }
        return total
    }

    /// Frames all that is queued into `block`. Returns how many bytes that was; all must fit.
    func frame(into block: Block) -> Int {
        var total = 0
        while muxer.hasOutput {
            muxer.transmit(into: &gather, byteLimit: block.capacity, now: now, events: &events)
            muxer.settle(events: &events)
            let byteCount = gather.byteCount
            precondition(total == 0 || byteCount == 0, "what one batch sends has to fit into one write")
            total += gather.copyBytes(into: block)
            gather.advance(by: byteCount)
            handle()
        }
        return total
    }

    /// Parses `byteCount` bytes of `block` and gives back all credit at once.
    func receive(_ block: Block, byteCount: Int) {
        var position = 0
        while position < byteCount {
            do {
                position += try muxer.receive(block.bytes(position..<byteCount), at: position, now: now, events: &events)
            } catch {
                preconditionFailure("the workload's bytes are refused: \(error)")
            }
            handle()
        }
    }

    /// Everything that this side has to say goes to `other`.
    func deliver(to other: Side) {
        other.receive(wire, byteCount: frame(into: wire))
    }

    private func handle() {
        for index in 0..<events.count {
            switch events[index] {
            case .data(let stream, _, let count): muxer.consume(stream, byteCount: Int(count))
            case .finished(let stream): if finishesInTurn { finish(stream) }
            default: break
            }
        }
        events.removeAll()
    }

    func open() -> StreamHandle {
        do { return try muxer.openStream(now: now) } catch { preconditionFailure("no stream: \(error)") }
    }

    func send(_ payload: Slice, on stream: StreamHandle) {
        do { try muxer.send(payload, on: stream) } catch { preconditionFailure("cannot send: \(error)") }
    }

    func finish(_ stream: StreamHandle) {
        do { try muxer.finish(stream) } catch { preconditionFailure("cannot finish: \(error)") }
    }
}

/// Two sides and streams between them that both know.
struct Link {
    let initiator: Side
    let responder: Side
    let streams: [StreamHandle]

    init(_ kind: MuxerKind, streams count: Int) {
        initiator = Side(kind, .initiator)
        responder = Side(kind, .responder)
        var streams: [StreamHandle] = []
        for _ in 0..<count {
            streams.append(initiator.open())
            initiator.deliver(to: responder)
            responder.deliver(to: initiator)
        }
        self.streams = streams
    }
}

/// Bytes of any content.
func someBytes(_ count: Int) -> Slice {
    Slice(copying: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
}
