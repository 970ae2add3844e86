import Bytes
import Gauge
import Kernel
import Muxers
import P2P
import Reactor
import SecureChannels

/// What remains of a shard's connections and streams when they have ended: ledgers, receipts and everything that was wrong.
struct Harvest {
    /// Sentences kept of what went wrong; the rest are counted.
    static let problemsMax = 20

    var ledger = SideLedger()
    private var receipts: [Receipt] = []
    private(set) var problems: [String] = []
    private(set) var problemsDropped = 0
    /// Bytes that each stream received in the window; streams that received none in any direction of theirs are left out by role.
    var windowBytes: [UInt64] = []
    private(set) var longestSilence: Nanoseconds = 0
    /// Of connections whose answer came in the window.
    var connectSteps = ConnectSteps()
    // Of connections that have ended.
    var writes: UInt64 = 0
    var partialWrites: UInt64 = 0
    var framesSent: UInt64 = 0
    var bytesCopied: UInt64 = 0
    var lateBytes: UInt64 = 0
    var stalls = StallTimes()

    mutating func note(_ problem: String) {
        if problems.count < Self.problemsMax { problems.append(problem) } else { problemsDropped += 1 }
    }

    /// All that went wrong, bounded.
    var problemSentences: [String] {
        problemsDropped == 0 ? problems : problems + ["and \(problemsDropped) more problems like these"]
    }

    mutating func beginWindow() { longestSilence = 0 }

    @inline(__always)
    mutating func noteSilence(_ time: Nanoseconds) {
        if time > longestSilence { longestSilence = time }
    }

    // MARK: Connections

    mutating func add(_ traffic: TrafficConnection, _ connection: Connection, _ reason: ConnectionEnd, stack: ProtocolStack) {
        let counters = connection.muxer.counters
        let info = connection.channel.tcpInfo()
        let secured = traffic.secured.map { $0.channel.accounts($0.report) }
        ledger.sent += Self.account(
            counters.sent, negotiation: connection.negotiationBytes.sent, secured: secured?.sent, socket: connection.channel.bytesSent,
            // TCP_INFO's bytes_sent was seen up to two segments short of what the far end's kernel had received and acknowledged, so what was sent
            // is witnessed there.
            kernel: .unavailable("the far end's count of what it received is the witness"))
        ledger.received += Self.account(
            counters.received, negotiation: connection.negotiationBytes.received, secured: secured?.received, socket: connection.channel.bytesReceived,
            // The kernel counts the far end's FIN as one byte received.
            kernel: Self.witness(stack, info.map { $0.bytesReceived.map { $0 &- (connection.hasReceivedEnd ? 1 : 0) } }))
        writes += connection.writes
        partialWrites += connection.partialWrites
        framesSent += counters.sent.dataFrames
        bytesCopied += connection.bytesCopied + (traffic.secured?.channel.secureCounters.bytesCopied ?? 0)
        lateBytes += counters.lateBytes
        if !traffic.pooled.isEmpty { pooled[traffic.index, default: PooledReceipts()].add(traffic.pooled) }
    }

    /// What the kernel counted, or why there is no such count.
    private static func witness(_ stack: ProtocolStack, _ bytes: UInt64??) -> Gauge.Measured<UInt64> {
        guard stack.transport == .tcp else { return .unavailable("the transport is \(stack.transport.rawValue): no TCP_INFO") }
        guard let bytes else { return .unavailable("the socket was gone before TCP_INFO could be read") }
        return Gauge.Measured(bytes, else: "this kernel's TCP_INFO has no byte counts")
    }

    private static func account(
        _ counters: MuxerCounters.Direction, negotiation: UInt64, secured: SocketAccounts.Direction?, socket: UInt64, kernel: Gauge.Measured<UInt64>
    ) -> ByteLedger {
        var ledger = ByteLedger(counters)
        ledger.negotiation = negotiation
        if let secured { ledger.add(secured) }
        ledger.socketBytes = socket
        ledger.kernelBytes = kernel
        return ledger
    }

    // MARK: Streams

    /// One receipt a direction and connection where streams, or connections, live for one operation only.
    private var pooled: [UInt32: PooledReceipts] = [:]

    /// Every receipt there is.
    var allReceipts: [Receipt] {
        receipts + pooled.flatMap { index, pool in pool.receipts(connection: index) }
    }

    /// Receipts of a stream that has ended: one for each direction in which it carries payload.
    mutating func addReceipts(_ traffic: TrafficConnection, _ lane: Lane, side: Side, pools: Bool, shapes: [MessageShape]) {
        let size = UInt64(shapes[Int(lane.flow)].messageBytes)
        let outgoing: Direction = side == .client ? .up : .down
        let sent = Self.receipt(traffic, lane, lane.sent, lane.sentSums, outgoing, bytes: lane.sent.messages * size)
        let received = Self.receipt(
            traffic, lane, lane.received, lane.receivedSums, outgoing == .up ? .down : .up,
            bytes: lane.received.messages * size + UInt64(lane.offset))
        if pools {
            traffic.pooled.add(sent, lane.sent.key)
            traffic.pooled.add(received, lane.received.key)
            return
        }
        switch lane.role {
        case .source: receipts.append(sent)
        case .sink: receipts.append(received)
        case .duplex, .requester, .responder: receipts += [sent, received]
        case .vacant: break
        }
    }

    private static func receipt(
        _ traffic: TrafficConnection, _ lane: Lane, _ progress: Lane.Progress, _ sums: Lane.Sums, _ direction: Direction, bytes: UInt64
    ) -> Receipt {
        Receipt(
            connection: traffic.index, stream: lane.ordinal, direction: direction, bytes: bytes, messages: progress.messages,
            checksum: sums.checksum, lastMessageChecksum: sums.lastChecksum)
    }
}

/// Receipts of streams that live for one operation, added up for their connection: there are too many to list. A stream's key takes part in the
/// sum, so that what one stream lost and another gained does not cancel.
struct PooledReceipts {
    private var up = Receipt(connection: 0, stream: 0, direction: .up)
    private var down = Receipt(connection: 0, stream: 0, direction: .down)

    mutating func add(_ receipt: Receipt, _ key: UInt64) {
        func merge(_ sum: inout Receipt) {
            sum.bytes &+= receipt.bytes
            sum.messages &+= receipt.messages
            sum.checksum &+= (receipt.checksum ^ receipt.bytes) &* (key | 1)
        }
        receipt.direction == .up ? merge(&up) : merge(&down)
    }

    var isEmpty: Bool { up.messages == 0 && up.bytes == 0 && down.messages == 0 && down.bytes == 0 }

    /// Adds what another connection with the same index left.
    mutating func add(_ other: PooledReceipts) {
        func merge(_ sum: inout Receipt, _ part: Receipt) {
            sum.bytes &+= part.bytes
            sum.messages &+= part.messages
            sum.checksum &+= part.checksum
        }
        merge(&up, other.up)
        merge(&down, other.down)
    }

    /// Adds up the pools that several loops kept of one connection: each life of a connection that is made again and again may be
    /// accepted by another loop.
    static func merged(_ receipts: [Receipt]) -> [Receipt] {
        var sums: [UInt32: PooledReceipts] = [:]
        for receipt in receipts {
            var part = PooledReceipts()
            if receipt.direction == .up { part.up = receipt } else { part.down = receipt }
            sums[receipt.connection, default: PooledReceipts()].add(part)
        }
        return sums.flatMap { $0.value.receipts(connection: $0.key) }
    }

    func receipts(connection: UInt32) -> [Receipt] {
        [up, down].map { sum in
            var receipt = sum
            receipt.connection = connection
            return receipt
        }
    }
}
