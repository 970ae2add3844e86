import HTTP2
import Muxers
import TestSupport

/// Two honest machines and a program of calls: whatever is called when, and however the bytes travel, neither end may fail, and what
/// arrives is what was sent.
enum PairDriver {
    static func run(_ bytes: [UInt8]) {
        var input = Input(bytes)
        let kind = input.byte() % 4
        var plan = FaultPlan.rough(UInt64(input.byte()))
        plan.pipeBytesMax = max(plan.pipeBytesMax, 8000)
        plan.writeBytesMax = max(plan.writeBytesMax, 2000)
        let pair = Pair(plan) { role in
            var limits = MuxerLimits()
            limits.streamsMax = 10
            limits.framePayloadBytesMax = 4000
            limits.quantumBytes = 4000
            limits.sparseBytesMax = 1000
            guard kind != 1 else {
                var mplex = MplexLimits()
                mplex.common = limits
                return Mplex(role: role, limits: mplex)
            }
            guard kind != 3 else {
                var http2 = HTTP2Limits()
                http2.common = limits
                return HTTP2(role: role, limits: http2)
            }
            var yamux = YamuxLimits()
            yamux.common = limits
            if kind == 2 {
                var markers = plan.seed % 2 == 0 ? YamuxMarkers() : .whenContended
                markers.spacingBytes = 1000
                markers.unconfirmedBytesMin = 3000
                markers.unconfirmedBytesMax = 9000
                yamux.markers = markers
            }
            return Yamux(role: role, limits: yamux)
        }
        pair.initiator.consumption = .byHand
        pair.responder.consumption = .byHand
        do {
            while !input.isEmpty { try step(pair, &input) }
            try finish(pair)
        } catch {
            fatalError("\(error)")
        }
    }

    private static func step(_ pair: Pair, _ input: inout Input) throws {
        let end = input.byte() & 1 == 0 ? pair.initiator : pair.responder
        let choice = input.byte() % 8
        guard choice > 1, let stream = pick(end, &input) else {
            if choice == 0 { _ = try? end.open() } else { try pair.turn() }
            return
        }
        switch choice {
        case 2, 3: _ = try? end.send([UInt8](repeating: input.byte(), count: input.pick([1, 10, 900, 5_000, 20_000])), on: stream)
        case 4: try? end.finish(stream)
        case 5: if input.byte() % 4 == 0 { end.reset(stream) }
        case 6: end.consume(stream, byteCount: end.log(stream).isLive ? end.log(stream).unconsumed / (1 + Int(input.byte() % 2)) : 0)
        default: try pair.turn()
        }
    }

    private static func pick(_ end: End, _ input: inout Input) -> StreamHandle? {
        let recent = end.handles.suffix(12)
        return recent.isEmpty ? nil : recent[recent.startIndex + Int(input.byte()) % recent.count]
    }

    private static func finish(_ pair: Pair) throws {
        for end in [pair.initiator, pair.responder] {
            end.consumption = .atOnce
            end.consumeAll()
        }
        try pair.settle()
        for end in [pair.initiator, pair.responder] {
            for stream in end.handles where end.log(stream).isLive { try end.finish(stream) }
        }
        try pair.settle()
        try pair.checkLedger()
        for end in [pair.initiator, pair.responder] {
            require(end.failure == nil, "\(end.role) gave up: \(end.failure.map { "\($0)" } ?? "")")
            require(end.muxer.streamCount == 0, "\(end.muxer.streamCount) streams never end")
        }
        for (key, log) in pair.initiator.logs {
            guard let other = pair.responder.logs[key], log.isClosed && other.isClosed else { continue }
            require(other.received == log.sent && other.sent == log.received, "\(key) lost bytes")
        }
    }
}
