import Bytes
public import Muxers

/// One machine without a far end: a test feeds it bytes and looks at the bytes it answers with.
public final class Lone {
    public let end: End
    public let clock = VirtualClock()

    public init(_ role: MuxerRole, _ muxer: any Muxer) {
        end = End(role: role, muxer: muxer, clock: clock, checksContent: false)
    }

    /// Hands `bytes` to the machine in reads of `chunk` bytes, until it throws. Returns what it threw.
    @discardableResult
    public func feed(_ bytes: [UInt8], chunk: Int = .max) -> MuxerError? {
        var rest = bytes[...]
        while !rest.isEmpty && end.failure == nil {
            end.receive(Array(rest.prefix(chunk)), margin: 3)
            rest = rest.dropFirst(chunk)
        }
        return end.failure
    }

    /// All that the machine has to say.
    public func take() -> [UInt8] {
        var result: [UInt8] = []
        while end.muxer.hasOutput {
            end.transmit(byteLimit: 1 << 20)
            let block = Block(capacity: end.gather.byteCount)
            let count = end.gather.copyBytes(into: block)
            result += block.bytes(0..<count).array()
            end.wrote(count)
            if count == 0 { break }
        }
        return result
    }

    public func receiveEnd() { end.receiveEnd() }

    /// Lets time pass, and runs what is due then.
    public func advance(by duration: Nanoseconds) {
        clock.advance(by: duration)
        end.advanceTime()
    }
}
