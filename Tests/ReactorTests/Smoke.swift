import Bytes
import Kernel
import Reactor
import Testing

final class Echo: ChannelHandler {
    let channel: any Channel
    var gather = Gather()
    var ended = false
    init(_ channel: any Channel) { self.channel = channel }
    func channelReceived(_ block: Block, _ range: Range<Int>) {
        gather.endFrame(tag: 0, payload: Slice(block, range))
        flush()
    }
    func flush() {
        while !gather.isEmpty {
            switch channel.send(&gather) {
            case .complete(let n), .partial(let n): gather.advance(by: n)
            default: return
            }
        }
        if ended { channel.finishSending() }
    }
    func channelWritable() { flush() }
    func channelSent(_ byteCount: Int) { gather.advance(by: byteCount); flush() }
    func channelEnded() { ended = true; flush() }
    func channelFailed(_ error: ChannelError) {}
}

final class Collect: ChannelHandler {
    var bytes: [UInt8] = []
    var ended = false
    func channelReceived(_ block: Block, _ range: Range<Int>) { bytes += block.bytes(range).array() }
    func channelWritable() {}
    func channelSent(_ byteCount: Int) {}
    func channelEnded() { ended = true }
    func channelFailed(_ error: ChannelError) {}
}

@Test func smoke() throws {
    let loop = try EventLoop()
    var handlers: [Echo] = []
    let collect = Collect()
    var client: (any Channel)?
    try loop.become {
        let listener = try loop.listen(on: .loopback4(port: 0)) { channel in
            let echo = Echo(channel)
            handlers.append(echo)
            channel.start(echo)
        }
        loop.connect(to: listener.address) { result in
            guard case .success(let channel) = result else { return }
            client = channel
            channel.start(collect)
            var gather = Gather()
            gather.endFrame(tag: 0, payload: Slice(copying: Array("hello".utf8)))
            #expect(channel.send(&gather) == .complete(5))
            channel.finishSending()
        }
    }
    #expect(loop.run(until: { collect.ended }, limitNanoseconds: 5_000_000_000))
    #expect(collect.bytes == Array("hello".utf8))
    loop.become { print(loop.counts.byName, loop.turnCounts, loop.settings(of: client!) as Any, client!.tcpInfo() as Any) }
    loop.finish()
    print(HeapUsage.now(), ProcessUsage.now(), ThreadHeap.allocatedBytes())
    let perf = PerfEvents(); perf.start(); perf.stop(); print(perf.read())
}
