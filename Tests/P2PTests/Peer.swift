import Bytes
import Muxers
import P2P
import Testing

/// One end of a connection as an application: writes down what it is told, and does with each stream what the test wants.
///
/// It checks the contract of ``StreamHandler`` as it goes: nothing follows the connection's end, and nothing a stream's end.
final class Peer: StreamHandler {
    /// What becomes of received bytes.
    enum Behaviour {
        case collect
        /// Sent back on the same stream; the stream is finished when the far end has finished.
        case echo
        /// Not given back as credit until ``release()``.
        case hold
    }

    let name: String
    var behaviour = Behaviour.collect
    var connection: Connection?

    /// Streams that this end or the other opened, in the order in which this end learnt of them.
    var opened: [StreamHandle] = []
    private var ordinals: [StreamHandle: UInt64] = [:]
    var received: [StreamHandle: [UInt8]] = [:]
    var finished: [StreamHandle] = []
    var closed: [StreamHandle] = []
    var resets: [(stream: StreamHandle, code: UInt32)] = []
    var writable = 0
    var canOpen = 0
    var batches = 0
    var ends: [ConnectionEnd] = []
    var violations: [String] = []
    /// Called before anything else is done.
    var onReceived: ((StreamHandle, Block, Range<Int>) -> Void)?
    var onOpened: ((StreamHandle) -> Void)?
    var onFinished: ((StreamHandle) -> Void)?
    var onWritable: ((StreamHandle) -> Void)?
    var onClosed: ((StreamHandle) -> Void)?
    private var held: [StreamHandle: Int] = [:]

    init(_ name: String) { self.name = name }

    var end: ConnectionEnd? { ends.first }
    /// ``opened``, in the order in which the opener opened them.
    var openedInOrder: [StreamHandle] { opened.sorted { ordinals[$0, default: .max] < ordinals[$1, default: .max] } }
    var receivedByteCount: Int { received.values.reduce(0) { $0 + $1.count } }

    /// Gives back everything that was held.
    func release() {
        let streams = held
        held = [:]
        behaviour = .collect
        for (stream, count) in streams { connection?.consume(stream, byteCount: count) }
    }

    /// Opens a stream and sends `messages` on it.
    func open(sending messages: [[UInt8]], finishing: Bool = true) throws -> StreamHandle {
        let connection = try #require(connection)
        let stream = try connection.openStream()
        opened.append(stream)
        for message in messages { try connection.send(Slice(copying: message), on: stream) }
        if finishing { try connection.finish(stream) }
        return stream
    }

    private func note(_ what: String, _ stream: StreamHandle? = nil) {
        if !ends.isEmpty { violations.append("\(name): \(what) after the connection's end") }
        guard let stream else { return }
        if closed.contains(stream) { violations.append("\(name): \(what) after the stream was closed") }
        if resets.contains(where: { $0.stream == stream }) { violations.append("\(name): \(what) after the stream was reset") }
    }

    private func attempt(_ what: String, _ body: () throws -> Void) {
        do { try body() } catch { violations.append("\(name): \(what): \(error)") }
    }

    // MARK: StreamHandler

    func streamOpened(_ stream: StreamHandle, on connection: Connection) {
        note("opened", stream)
        opened.append(stream)
        ordinals[stream] = connection.muxer.ordinal(of: stream)
        onOpened?(stream)
    }

    func streamReceived(_ stream: StreamHandle, _ block: Block, _ range: Range<Int>, on connection: Connection) -> Int {
        note("received", stream)
        onReceived?(stream, block, range)
        received[stream, default: []] += block.bytes(range).array()
        switch behaviour {
        case .collect: return range.count
        case .echo:
            attempt("echoing") { try connection.send(connection.keep(block, range), on: stream) }
            return range.count
        case .hold:
            held[stream, default: 0] += range.count
            return 0
        }
    }

    func streamFinished(_ stream: StreamHandle, on connection: Connection) {
        note("finished", stream)
        finished.append(stream)
        if case .echo = behaviour { attempt("finishing") { try connection.finish(stream) } }
        onFinished?(stream)
    }

    func streamReset(_ stream: StreamHandle, _ reset: StreamReset, on connection: Connection) {
        note("reset", stream)
        resets.append((stream, reset.code))
    }

    func streamClosed(_ stream: StreamHandle, on connection: Connection) {
        note("closed", stream)
        closed.append(stream)
        onClosed?(stream)
    }

    func streamWritable(_ stream: StreamHandle, on connection: Connection) {
        note("writable", stream)
        writable += 1
        onWritable?(stream)
    }

    func connectionCanOpen(_ connection: Connection) {
        note("can open")
        canOpen += 1
    }

    func connectionBatchEnded(_ connection: Connection) {
        note("batch ended")
        batches += 1
    }

    func connectionEnded(_ connection: Connection, _ reason: ConnectionEnd) {
        if !ends.isEmpty { violations.append("\(name): ended twice") }
        ends.append(reason)
    }
}
