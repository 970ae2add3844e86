import Bytes
import Multiformats
import Negotiation

/// What a node that accepts streams speaks: the protocol that is asked for stands in the middle.
private let spoken: [ProtocolID] = [
    "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/libp2p/circuit/relay/0.2.0/hop", "/libp2p/circuit/relay/0.2.0/stop", "/libp2p/dcutr", "/ipfs/kad/1.0.0",
    "/ipfs/ping/1.0.0", "/perf/1.0.0", "/meshsub/1.1.0", "/floodsub/1.0.0",
]

/// Streams arrive whose dialer sent header, proposal and 64 bytes of data in one flight, as in one read each. The operation is one stream, agreed on.
final class ListenWorkload: Workload {
    private let table: ProtocolTable
    private let flight: Slice
    private let streams: Int

    init(streams: Int) {
        table = ProtocolTable(spoken.map { .exact($0) })
        var dialer = NegotiationDialer(ProtocolProposals(["/ipfs/ping/1.0.0"]), settling: .atOnce)
        flight = Slice(copying: dialer.start().bytes.array() + [UInt8](repeating: 1, count: 64))
        self.streams = streams
    }

    func runBatch() -> UInt64 {
        let flight = flight
        var sum: UInt64 = 0
        for _ in 0..<streams {
            var listener = NegotiationListener(table)
            guard let step = try? listener.receive(flight.bytes), case .agreed(let index, _) = step.event, let reply = step.reply else {
                preconditionFailure("the protocol is spoken")
            }
            sum &+= UInt64(step.consumedBytes + index + reply.count)
        }
        return sum
    }
}

/// Streams are opened for a protocol that the far end speaks. The operation is one stream: the first flight, and the answer in one read.
final class DialWorkload: Workload {
    private let proposals = ProtocolProposals(["/ipfs/ping/1.0.0"])
    private let answer: Slice
    private let streams: Int

    init(streams: Int) {
        var dialer = NegotiationDialer(proposals)
        // The answer is what was proposed.
        answer = dialer.start()
        self.streams = streams
    }

    func runBatch() -> UInt64 {
        let answer = answer
        var sum: UInt64 = 0
        for _ in 0..<streams {
            var dialer = NegotiationDialer(proposals)
            let flight = dialer.start()
            guard let step = try? dialer.receive(answer.bytes), case .agreed(let index, _) = step.event else {
                preconditionFailure("the protocol is spoken")
            }
            sum &+= UInt64(step.consumedBytes + index + flight.count)
        }
        return sum
    }
}
