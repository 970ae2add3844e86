import Bytes
import HTTP2
import Muxers
import TestSupport

/// A muxer to be fuzzed: how to make it, how to write a frame that is nearly right, and what must never be exceeded.
protocol Subject {
    static func make(_ role: MuxerRole, _ input: inout Input) -> any Muxer
    /// A frame such as a far end might send, and the bytes of its body.
    static func frame(_ input: inout Input) -> (header: [UInt8], bodyByteCount: Int)
    /// What a far end begins with, without which nothing else is looked at.
    static func greeting(to role: MuxerRole) -> [UInt8]
    /// Most that one stream may have received and not given back.
    static var unconsumedBytesMax: Int { get }
}

extension Subject {
    static func greeting(to role: MuxerRole) -> [UInt8] { [] }
}

/// One machine, a far end that sends anything at all, and an application that calls everything at any time. ``End`` checks the contract
/// of ``Muxer`` and the counters after every step.
enum MachineDriver {
    static let streamsMax = 6

    static func commonLimits(_ input: inout Input) -> MuxerLimits {
        var limits = MuxerLimits()
        limits.streamsMax = streamsMax
        limits.sendQueueBytesMax = 100_000
        limits.sendLowWaterBytes = 300
        limits.framePayloadBytesMax = input.pick([100, 65_536, 1, 2_000_000])
        limits.quantumBytes = input.pick([64, 65_536])
        limits.sparseBytesMax = input.pick([32, 16_384, 0])
        return limits
    }

    static func run(_ bytes: [UInt8], _ subject: any Subject.Type) {
        var input = Input(bytes)
        let role: MuxerRole = input.byte() & 1 == 0 ? .initiator : .responder
        let lone = Lone(role, subject.make(role, &input))
        lone.end.consumption = .byHand
        let greeting = subject.greeting(to: role)
        // Garbage from the first byte on is what a few inputs are for.
        if !greeting.isEmpty, input.byte() % 16 != 0 { lone.feed(greeting) }
        while !input.isEmpty {
            step(lone, subject, &input)
            check(lone, subject)
        }
        lone.completeWrite(taking: .max)
        _ = lone.take()
        check(lone, subject)
        require(!lone.end.muxer.hasOutput, "the machine never comes to an end of what it has to say")
        require(lone.end.muxer.counters.sent.totalBytes == lone.end.bytesWritten, "the counters are not the bytes written")
    }

    private static func step(_ lone: Lone, _ subject: any Subject.Type, _ input: inout Input) {
        let end = lone.end
        switch input.byte() % 16 {
        case 0, 1: lone.feed(input.bytes(Int(input.byte() % 64)), chunk: max(1, Int(input.byte())))
        case 2, 3, 4:
            let frame = subject.frame(&input)
            lone.feed(frame.header + [UInt8](repeating: 0x55, count: frame.bodyByteCount), chunk: input.pick([.max, 1000, 11]))
        case 5: _ = try? end.open()
        case 6: if let stream = pick(end, &input) { _ = try? end.send([UInt8](repeating: 1, count: size(&input)), on: stream) }
        case 7: if let stream = pick(end, &input) { try? end.finish(stream) }
        case 8: if let stream = pick(end, &input) { end.reset(stream, code: UInt32(input.byte())) }
        case 9: if let stream = pick(end, &input) { consume(end, stream, &input) }
        case 10: lone.write(byteLimit: size(&input), taking: size(&input))
        case 11: lone.beginWrite(byteLimit: size(&input))
        case 12: lone.completeWrite(taking: size(&input))
        case 13: lone.advance(by: input.pick([1, 1_000_000, 500_000_000, 31_000_000_000]))
        case 14: if input.byte() % 8 == 0 { end.muxer.close(code: .normal) }
        default: if input.byte() % 8 == 0 { lone.receiveEnd() }
        }
    }

    private static func size(_ input: inout Input) -> Int { input.pick([0, 1, 13, 64, 300, 5_000, 70_000, 200_000]) }

    private static func pick(_ end: End, _ input: inout Input) -> StreamHandle? {
        let recent = end.handles.suffix(12)
        return recent.isEmpty ? nil : recent[recent.startIndex + Int(input.byte()) % recent.count]
    }

    private static func consume(_ end: End, _ stream: StreamHandle, _ input: inout Input) {
        guard end.log(stream).isLive else { return end.muxer.consume(stream, byteCount: 1) }
        end.consume(stream, byteCount: end.log(stream).unconsumed / (1 + Int(input.byte() % 3)))
    }

    private static func check(_ lone: Lone, _ subject: any Subject.Type) {
        let end = lone.end
        require(end.violations.isEmpty, end.violations.joined(separator: "; "))
        require(end.muxer.streamCount <= streamsMax, "\(end.muxer.streamCount) streams")
        if let failure = end.failure { require(failure.origin == .remote, "\(failure) is blamed on nobody") }
        for stream in end.handles.suffix(2 * streamsMax) where end.log(stream).isLive {
            let unconsumed = end.log(stream).unconsumed
            require(unconsumed <= subject.unconsumedBytesMax, "\(unconsumed) bytes of one stream wait to be read")
        }
    }
}

enum YamuxSubject: Subject {
    static let unconsumedBytesMax = 1 << 20

    static func make(_ role: MuxerRole, _ input: inout Input) -> any Muxer {
        var limits = YamuxLimits()
        limits.common = MachineDriver.commonLimits(&input)
        limits.windowBytesMax = 1 << 20
        limits.windowBudgetBytesMax = 1 << 20
        limits.unacknowledgedStreamsMax = 3
        limits.controlFramesMax = input.pick([50, 65_536])
        if input.byte() & 1 == 1 {
            var markers = YamuxMarkers()
            markers.spacingBytes = 100
            markers.unconfirmedBytesMin = 200
            markers.unconfirmedBytesMax = 1000
            limits.markers = markers
        }
        return Yamux(role: role, limits: limits)
    }

    static func frame(_ input: inout Input) -> (header: [UInt8], bodyByteCount: Int) {
        let kind = input.byte() % 8
        let flags = input.byte() & 15
        let streamID = UInt32(input.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 101]))
        let length: UInt32
        switch kind {
        case 0...3: length = input.pick([0, 0, 1, 10, 300, 5_000, 70_000, 262_144, 262_145])
        case 4, 5: length = input.pick([0, 1, 1000, 300_000, 0x7FFF_FFFF, 0xFFFF_FFFF])
        default: length = UInt32(input.byte()) | (input.byte() & 1 == 1 ? 0x8000_0000 : 0)
        }
        let type = kind <= 3 ? 0 : kind <= 5 ? 1 : kind - 4
        let header = [0, type, 0, flags] + bigEndian(streamID) + bigEndian(length)
        return (header, type == 0 ? Int(min(length, 300_000)) : 0)
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}

enum MplexSubject: Subject {
    static let unconsumedBytesMax = 20_000

    static func make(_ role: MuxerRole, _ input: inout Input) -> any Muxer {
        var limits = MplexLimits()
        limits.common = MachineDriver.commonLimits(&input)
        limits.receiveBufferBytesMax = unconsumedBytesMax
        limits.controlFramesMax = input.pick([50, 65_536])
        limits.nameBytesMax = 400
        return Mplex(role: role, limits: limits)
    }

    static func frame(_ input: inout Input) -> (header: [UInt8], bodyByteCount: Int) {
        let flag = UInt64(input.byte() & 7)
        let streamID: UInt64 = input.pick([0, 1, 2, 3, 4, 5, 6, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 60) - 1])
        let length: Int = input.pick([0, 0, 1, 10, 300, 5_000, 19_999, 20_001, 70_000, 1 << 20, 1 << 20 + 1])
        var header: [UInt8] = []
        Varint.append(streamID << 3 | flag, to: &header)
        Varint.append(UInt64(length), to: &header)
        return (header, min(length, 100_000))
    }
}

enum HTTP2Subject: Subject {
    static let unconsumedBytesMax = 100_000

    static func make(_ role: MuxerRole, _ input: inout Input) -> any Muxer {
        var limits = HTTP2Limits()
        limits.common = MachineDriver.commonLimits(&input)
        limits.windowBytes = unconsumedBytesMax
        limits.connectionWindowBytes = input.pick([1 << 30, 70_000])
        limits.frameBytesMax = input.pick([16_384, 65_536, 1])
        limits.controlFramesMax = input.pick([50, 65_536])
        return HTTP2(role: role, limits: limits)
    }

    static func greeting(to role: MuxerRole) -> [UInt8] {
        (role == .responder ? Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) : []) + frame(4, 0, 0, 0)
    }

    static func frame(_ input: inout Input) -> (header: [UInt8], bodyByteCount: Int) {
        let type = input.pick([0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10])
        let flags = UInt8(input.pick([0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x25, 0xFF]))
        let streamID = UInt32(input.pick([1, 3, 5, 7, 9, 0, 2, 4, 11, 101, 0x7FFF_FFFF]))
        let number = UInt32(input.pick([0, 1, 7, 1000, 300_000, 0x7FFF_FFFF, 0xFFFF_FFFF]))
        switch type {
        case 0:
            let length = input.pick([0, 0, 1, 10, 300, 5_000, 16_384, 16_385, 65_536])
            return (frame(0, flags, streamID, length), length)
        case 1, 9:
            let block: [UInt8] = input.pick([[0x83, 0x86, 0x84, 0x41, 1, 0x68], [0x88], [0x83, 0x86, 0x84, 0xBE], [], [0x3F, 0xE1, 0x1F], [0xFF, 0xFF, 0xFF, 0xFF, 0x7F]])
            return (frame(UInt8(type), flags, streamID, block.count) + block, 0)
        case 3, 8: return (frame(UInt8(type), 0, streamID, 4) + bigEndian(number), 0)
        case 4: return (frame(4, flags & 1, 0, 6) + [0, input.byte() % 10] + bigEndian(number), 0)
        case 6: return (frame(6, flags & 1, 0, 8) + bigEndian(number) + bigEndian(number), 0)
        case 7: return (frame(7, 0, 0, 8) + bigEndian(streamID) + bigEndian(number), 0)
        default:
            let length = Int(input.byte() % 12)
            return (frame(UInt8(type), flags, streamID, length), length)
        }
    }

    private static func frame(_ type: UInt8, _ flags: UInt8, _ streamID: UInt32, _ length: Int) -> [UInt8] {
        Array(bigEndian(UInt32(length)).dropFirst()) + [type, flags] + bigEndian(streamID)
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}
