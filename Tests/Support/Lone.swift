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
        while !rest.isEmpty && end.failure == nil && !end.hasReceivedEnd {
            end.receive(Array(rest.prefix(chunk)), margin: 3)
            rest = rest.dropFirst(chunk)
        }
        return end.failure
    }

    /// All that the machine has to say.
    ///
    /// A machine that never comes to an end of it is stopped after a while.
    public func take() -> [UInt8] {
        completeWrite(taking: .max)
        var result: [UInt8] = []
        var rounds = 0
        while end.muxer.hasOutput || !end.gather.isEmpty, rounds < 10_000 {
            rounds += 1
            end.transmit(byteLimit: 1 << 20)
            let block = Block(capacity: end.gather.byteCount)
            let count = end.gather.copyBytes(into: block)
            result += block.bytes(0..<count).array()
            end.wrote(count)
        }
        return result
    }

    /// One write that takes no more than `count` bytes; what was not begun goes back to the machine.
    public func write(byteLimit: Int, taking count: Int) {
        guard end.inFlight == nil else { return }
        beginWrite(byteLimit: byteLimit)
        completeWrite(taking: count)
    }

    /// Hands frames to a write whose result comes with ``completeWrite(taking:)``.
    public func beginWrite(byteLimit: Int) {
        guard end.inFlight == nil else { return }
        end.transmit(byteLimit: byteLimit)
        end.inFlight = end.gather.byteCount
    }

    public func completeWrite(taking count: Int) {
        guard let offered = end.inFlight else { return }
        end.inFlight = nil
        end.wrote(min(offered, count))
    }

    /// The far end will send nothing more; what is fed later is ignored.
    public func receiveEnd() {
        if !end.hasReceivedEnd { end.receiveEnd() }
    }

    /// Lets time pass, and runs what is due then.
    public func advance(by duration: Nanoseconds) {
        clock.advance(by: duration)
        end.advanceTime()
    }
}
