import Foundation
import Testing

@testable import Report

@Suite struct PerfScriptTests {
    /// Cut from what perf 6.1 has written, with other paths.
    static let sample = """
        # ========
        # perf version : 6.1.192
        # ========
        #
        oot.default qos 28349/28351 53856.490910123:    1001001 cpu-clock:u: 
        \tffffffff821ef666 do_syscall_64+0x66 ([kernel.kallsyms])
        \t          1019b3 __mmap (/usr/lib/libc.so.6)

        client-0 28349/28355 53857.100000001:    1001001 cpu-clock: 
        \t          2e88dd $s6Muxers12YamuxMachineV8transmit4into9byteLimit3now6eventsy5Bytes6GatherVz_Sis6UInt64VAI5StackVyAA10MuxerEventOGztF (/opt/a b/streamgauge)
        \t          71e60 swift::runJob(int, (anonymous namespace)::A*) (/usr/lib/libswift_Concurrency.so)
        \tb1b1b1b1b1b1b1b1 [unknown] ([unknown])

        server-0  3642/3646  [001] 54378.645337739: sched:sched_switch: prev_comm=server-0 prev_pid=3646 prev_prio=120 prev_state=S ==> next_comm=a b=c next_pid=3656 next_prio=120
        \tffffffff821facd8 __schedule ([kernel.kallsyms])

        """

    private func samples(_ text: String, by step: Int) -> (samples: [PerfSample], unreadable: Int) {
        var reader = PerfScriptReader()
        var found: [PerfSample] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: step) { reader.read(bytes[start..<min(start + step, bytes.count)]) { found.append($0) } }
        reader.finish { found.append($0) }
        return (found, reader.unreadableLines)
    }

    @Test func samplesAreReadHoweverTheTextComes() throws {
        for step in [1, 7, 1 << 16] {
            let (found, unreadable) = samples(Self.sample, by: step)
            #expect(unreadable == 0)
            try #require(found.count == 3)
            #expect(found.map(\.thread) == ["oot.default qos", "client-0", "server-0"])
            #expect(found.map(\.processID) == [28349, 28349, 3642])
            #expect(found.map(\.threadID) == [28351, 28355, 3646])
            #expect(found.map(\.time_ns) == [53_856_490_910_123, 53_857_100_000_001, 54_378_645_337_739])
            #expect(found.map(\.event) == ["cpu-clock:u", "cpu-clock", "sched:sched_switch"])
            #expect(found[0].frames == [PerfFrame(symbol: "do_syscall_64", object: "[kernel.kallsyms]"), PerfFrame(symbol: "__mmap", object: "/usr/lib/libc.so.6")])
            #expect(found[1].frames[1].symbol == "swift::runJob(int, (anonymous namespace)::A*)")
            #expect(found[1].frames[0].object == "/opt/a b/streamgauge")
            #expect(found[1].stack.count == 2, "the address in nothing is left out")
            #expect(SwitchFields(found[2].fields)?.next == "a b=c")
            #expect(SwitchFields(found[2].fields)?.nextID == 3656)
        }
    }

    /// What is written for other viewers reads back.
    @Test func samplesAreWrittenAsPerfWritesThem() {
        let found = samples(Self.sample, by: 100).samples
        let text = found.map { PerfScriptText.sample($0, process: "client") { $0.symbol } }.joined()
        let again = samples(text, by: 100)
        #expect(again.unreadable == 0)
        #expect(again.samples.map(\.time_ns) == found.map(\.time_ns))
        #expect(again.samples.map(\.stack.count) == found.map(\.stack.count))
        #expect(again.samples.map(\.thread) == ["client oot.default qos", "client-0", "client server-0"])
    }

    @Test func garbageIsCountedAndNothingBreaks() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            var bytes = Array(Self.sample.utf8)
            for _ in 0..<Int(random.next() % 40) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                default: bytes.insert(contentsOf: Array("\n 9/9 9.9:\t([x".utf8), at: place)
                }
            }
            var reader = PerfScriptReader()
            var trace = SchedulerTrace(window: 0..<UInt64.max, processes: [3642], isWanted: { _ in true })
            var frames = 0
            reader.read(bytes) {
                frames += $0.frames.count
                trace.take($0)
            }
            reader.finish { trace.take($0) }
            _ = trace.finish()
            #expect(frames < 20, "seed \(seed)")
        }
        var reader = PerfScriptReader()
        reader.read(repeatElement(UInt8(ascii: "x"), count: 1 << 20)) { _ in Issue.record("no sample, seed \(seed)") }
        reader.finish { _ in Issue.record("no sample") }
        #expect(reader.unreadableLines == 1)
    }

    @Test func stacksFoldAndReadBack() throws {
        var stacks = FoldedStacks()
        stacks.add(["a", "b c", "d_[k]"], 2)
        stacks.add(["a", "b c", "d_[k]"])
        stacks.add(["a"], 5)
        #expect(stacks.text == "a 5\na;b c;d_[k] 3\n")
        #expect(FoldedStacks(folded: stacks.text) == stacks)
        #expect(FoldedStacks(folded: "a;b x\n") == nil)
        #expect(FoldedStacks(folded: "a 18446744073709551615\nb 1\n") == nil)
        #expect(stacks.mapped { $0 == "a" ? "z" : $0 }.text == "z 5\nz;b c;d_[k] 3\n")
    }

    @Test func namesSayTheModuleAndNothingOfSpecialisation() {
        func name(_ symbol: String, _ demangled: String?, _ object: String = "/opt/streamgauge") -> String {
            FrameNames.name(PerfFrame(symbol: symbol, object: object), demangled: demangled)
        }
        #expect(name("$s6Muxers12YamuxMachineV7receive", "YamuxMachine.receive(_:at:now:events:)") == "Muxers`YamuxMachine.receive(_:at:now:events:)")
        #expect(name("$s5Bytes6GatherV11withVectors", "specialized Gather.withVectors<A, B>(_:)") == "Bytes`Gather.withVectors(_:)")
        #expect(name("$s6Muxers5YamuxCAA5MuxerA2aDP4send", "protocol witness for Muxer.send(_:on:) in conformance Yamux") == "Muxers`Yamux: Muxer.send(_:on:)")
        #expect(name("$s6Kernel6SocketVTA", "partial apply for closure #1 in Socket.send(_:counts:)") == "Kernel`closure #1 in Socket.send(_:counts:)")
        #expect(name("$sIetH_yts5Error_p", "reabstraction thunk helper from @escaping () -> ()") == "streamgauge`reabstraction thunk")
        #expect(name("$sSa15replace", "static Array.< infix(_:_:)") == "Swift`static Array.< infix(_:_:)")
        #expect(name("tcp_sendmsg", nil, "[kernel.kallsyms]") == "tcp_sendmsg_[k]")
        #expect(name("a;b", nil, "/usr/lib/libc.so.6") == "libc.so.6`a,b")
        #expect(FrameNames.kind("tcp_sendmsg_[k]") == .kernel)
        #expect(FrameNames.kind("libcrypto.so.3`[unknown]") == .c)
        #expect(FrameNames.kind("libswiftCore.so`swift_retain") == .swift)
        #expect(FrameNames.kind("Muxers`x") == .swift)
        #expect(FrameNames.kind("[unknown]`[unknown]") == .other)
    }
}
