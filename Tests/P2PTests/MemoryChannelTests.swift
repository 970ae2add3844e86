import Bytes
import P2P
import Reactor
import Testing
import TestSupport

/// A channel without a kernel keeps the contract that a socket's keeps: both are put to the same questions.
@Suite(.timeLimit(.minutes(5))) struct MemoryChannelTests {
    static let links: [Link] = [.memory, .tcp]

    private func ends(_ wire: Wire, start: Bool = true) -> (near: Endpoint, far: Endpoint) {
        let ends = (Endpoint(wire.near), Endpoint(wire.far))
        if start {
            wire.act {
                wire.near.start(ends.0)
                wire.far.start(ends.1)
            }
        }
        return ends
    }

    @Test(arguments: links)
    func bytesArriveInOrderAndAreCounted(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        let pattern = PatternBytes(seed: 5)
        var position = 0, total = 20 << 20, matches = true
        near.source = {
            guard position < total else { return nil }
            let slice = pattern.slice(at: position, count: min(50_000, total - position))
            position += slice.count
            return slice
        }
        far.onReceived = { end, block, range in matches = matches && pattern.matches(block.bytes(range), at: end.bytesReceived) }
        wire.act {
            near.pump()
            near.finishWhenEmpty()
        }
        wire.wait("the end") { far.hasEnded }
        #expect(matches && far.bytesReceived == total)
        #expect(wire.act { wire.near.bytesSent } == UInt64(total) && wire.act { wire.far.bytesReceived } == UInt64(total))
        #expect(near.partialSends + near.blockedSends > 0, "the sender met back-pressure")
        #expect(near.callbacksAfterEnd == 0 && far.callbacksAfterEnd == 0)
        total = 0
    }

    @Test(arguments: links)
    func bothDirectionsAtOnce(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        let message = [UInt8](repeating: 7, count: 100_000)
        wire.act {
            for end in [near, far] {
                for _ in 0..<50 { end.queue(Slice(copying: message)) }
                end.finishWhenEmpty()
            }
        }
        wire.wait("both ends") { near.hasEnded && far.hasEnded }
        #expect(near.bytesReceived == 5_000_000 && far.bytesReceived == 5_000_000)
    }

    @Test(arguments: links)
    func halfClose(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        wire.act {
            near.queue(Slice(copying: [1, 2]))
            near.finishWhenEmpty()
        }
        wire.wait("the first half's end") { far.hasEnded }
        #expect(far.bytesReceived == 2 && !near.hasEnded)
        wire.act { far.queue(Slice(copying: [UInt8](repeating: 1, count: 100_000))) }
        wire.wait("the answer") { near.bytesReceived == 100_000 }
        wire.act { far.finishWhenEmpty() }
        wire.wait("the second half's end") { near.hasEnded }
        wire.settle(turns: 20)
        #expect(near.failure == nil && far.failure == nil)
    }

    @Test(arguments: links)
    func nothingArrivesWhilePaused(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        wire.act {
            wire.far.pauseReceiving()
            for _ in 0..<100 { near.queue(Slice(copying: [UInt8](repeating: 1, count: 100_000))) }
            near.finishWhenEmpty()
        }
        wire.settle()
        #expect(far.bytesReceived == 0 && !far.hasEnded)
        #expect(!near.isIdle, "what is not received is not sent for ever")
        wire.act { wire.far.resumeReceiving() }
        wire.wait("everything") { far.hasEnded }
        #expect(far.bytesReceived == 10_000_000)
    }

    /// A pause is heeded at once, also from inside a callback.
    @Test(arguments: links)
    func pauseFromInside(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        far.onReceived = { _, _, _ in wire.far.pauseReceiving() }
        wire.act { for _ in 0..<20 { near.queue(Slice(copying: [UInt8](repeating: 1, count: 100_000))) } }
        wire.wait("the first read") { far.bytesReceived > 0 }
        let first = far.bytesReceived
        wire.settle()
        #expect(far.bytesReceived == first)
        far.onReceived = nil
        wire.act { wire.far.resumeReceiving() }
        wire.wait("the rest") { far.bytesReceived == 2_000_000 }
    }

    @Test(arguments: links)
    func closedChannelRefuses(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        wire.act {
            near.close()
            near.close()
            var gather = Gather()
            gather.endFrame(tag: 0, payload: Slice(copying: [1]))
            #expect(wire.near.send(&gather) == .failed(.closed))
            wire.near.finishSending()
            wire.near.pauseReceiving()
            wire.near.resumeReceiving()
            #expect(wire.near.tcpInfo() == nil)
        }
        wire.wait("the far end hears") { far.hasEnded || far.failure != nil }
        wire.settle(turns: 20)
        #expect(near.callbacksAfterEnd == 0 && !near.hasEnded && near.failure == nil)
    }

    /// What was taken before the close still arrives, and its end after it.
    @Test(arguments: links)
    func closingSendsWhatWasTaken(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        wire.act {
            near.queue(Slice(copying: [UInt8](repeating: 9, count: 100_000)))
            near.close()
        }
        let taken = near.bytesSent
        wire.wait("the end") { far.hasEnded || far.failure != nil }
        #expect(far.failure == nil && far.bytesReceived == taken && taken > 0)
    }

    @Test(arguments: links)
    func sendingToAClosedEndFails(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire)
        wire.act { far.close() }
        wire.wait("the failure") {
            near.queue(Slice(copying: [1]))
            return near.sendFailure != nil || near.failure != nil
        }
    }

    /// Another handler takes over between two reads, and misses nothing.
    @Test(arguments: links)
    func handOver(link: Link) throws {
        let wire = try Wire(link)
        let (near, first) = ends(wire)
        let second = Endpoint(wire.far)
        first.onReceived = { _, _, _ in wire.far.handOver(to: second) }
        wire.act { near.queue(Slice(copying: [1])) }
        wire.wait("the first byte") { first.bytesReceived == 1 }
        wire.act {
            near.queue(Slice(copying: [2, 3]))
            near.finishWhenEmpty()
        }
        wire.wait("the rest") { second.hasEnded }
        #expect(first.bytesReceived == 1 && second.bytesReceived == 2 && !first.hasEnded)
    }

    /// Bytes sent before the other end has started wait for it.
    @Test(arguments: links)
    func earlyBytesWait(link: Link) throws {
        let wire = try Wire(link)
        let (near, far) = ends(wire, start: false)
        wire.act {
            wire.near.start(near)
            near.queue(Slice(copying: [5, 6]))
            near.finishWhenEmpty()
        }
        wire.settle(turns: 20)
        #expect(far.bytesReceived == 0)
        wire.act { wire.far.start(far) }
        wire.wait("the bytes") { far.hasEnded }
        #expect(far.bytesReceived == 2)
    }

    /// No block is left to carry the bytes: the sender waits, and goes on when one comes back.
    @Test(arguments: links)
    func exhaustedPoolOnlyDelays(link: Link) throws {
        let wire = try Wire(link, configure: { $0.blocksMax = 4 })
        let (near, far) = ends(wire)
        var hostages = wire.act {
            var hostages: [Block] = []
            while let block = wire.loop.pool.take() { hostages.append(block) }
            return hostages
        }
        wire.act { near.queue(Slice(copying: [1, 2, 3])) }
        wire.settle()
        #expect(far.bytesReceived == 0)
        wire.act { hostages.removeAll() }
        wire.wait("the bytes") { far.bytesReceived == 3 }
    }

    /// A write larger than a block is taken in part; room that is left then is told of.
    /// An end that waits for room hears when the other is gone, and then that nothing can be sent.
    @Test func endWithoutAFarEndIsNotBlocked() throws {
        let loop = try EventLoop()
        let handler = Told()
        let near = loop.become {
            var (near, far): (MemoryChannel, MemoryChannel?) = MemoryChannel.pair(on: loop)
            near.start(handler)
            var outcome = SendOutcome.pending
            repeat {
                var gather = Gather(arenaByteCount: 64, copyThreshold: 0)
                gather.endFrame(tag: 0, payload: Slice(Block(capacity: MemoryChannel.bufferBytesMax), 0..<MemoryChannel.bufferBytesMax))
                outcome = near.send(&gather)
            } while outcome != .blocked
            far?.close()
            far = nil
            return near
        }
        #expect(loop.run(until: { handler.writable == 1 && handler.ended == 1 }, limitNanoseconds: patienceNanoseconds))
        loop.become {
            var gather = Gather(arenaByteCount: 64, copyThreshold: 0)
            gather.endFrame(tag: 0, payload: Slice(copying: [1]))
            #expect(near.send(&gather) == .failed(.closed))
            near.close()
        }
        loop.finish()
    }

    private final class Told: ChannelHandler {
        var (writable, ended) = (0, 0)
        func channelReceived(_ block: Block, _ range: Range<Int>) {}
        func channelWritable() { writable += 1 }
        func channelSent(_ byteCount: Int) {}
        func channelEnded() { ended += 1 }
        func channelFailed(_ error: ChannelError) {}
    }

    @Test(arguments: links)
    func roomIsToldOf(link: Link) throws {
        let wire = try Wire(link, configure: { $0.blockByteCount = 4096 })
        let (near, far) = ends(wire)
        wire.act {
            wire.far.pauseReceiving()
            for _ in 0..<10 { near.queue(Slice(copying: [UInt8](repeating: 1, count: 10_000))) }
        }
        wire.wait("100 KB in the channel's buffer") { near.isIdle }
        #expect(far.bytesReceived == 0)
        wire.act { wire.far.resumeReceiving() }
        wire.wait("the bytes") { far.bytesReceived == 100_000 }
    }
}
