import Bytes
import Glibc
import Kernel
import Synchronization
import Testing

/// What the machine says about itself: plausible where it can be checked, and a reason where there is nothing.
@Suite(.timeLimit(.minutes(5))) struct MeasureTests {
    @Test func clockGoesForward() {
        var last = Clock.now
        for _ in 0..<10_000 {
            let now = Clock.now
            #expect(now >= last)
            last = now
        }
    }

    /// A block of known size is seen by the allocator, so it is jemalloc that serves it.
    @Test func allocatorSeesOurMemory() throws {
        let before = try #require(ThreadHeap.allocatedBytes().value)
        let freedBefore = try #require(ThreadHeap.deallocatedBytes().value)
        let size = 3 << 20
        do {
            let block = Block(capacity: size)
            block.setByte(1, at: 0)
            #expect(try #require(ThreadHeap.allocatedBytes().value) - before >= UInt64(size))
            let heap = HeapUsage.now()
            #expect(try #require(heap.allocatedBytes.value) >= UInt64(size))
            #expect(try #require(heap.activeBytes.value) >= UInt64(size))
            #expect(try #require(heap.residentBytes.value) > 0)
        }
        #expect(try #require(ThreadHeap.deallocatedBytes().value) - freedBefore >= UInt64(size))
    }

    @Test func allocationsAreCounted() throws {
        let before = try #require(HeapUsage.now().allocationCount.value)
        var blocks: [Block] = []
        for _ in 0..<1_000 { blocks.append(Block(capacity: 100)) }
        let after = try #require(HeapUsage.now().allocationCount.value)
        // An object and its memory each.
        #expect(after - before >= 2_000)
        blocks.removeAll()
        #expect(try #require(HeapUsage.now().deallocationCount.value) >= 2_000)
    }

    @Test func usageGrowsWithWork() throws {
        let thread = ProcessUsage.currentThread()
        let process = ProcessUsage.now()
        var sum: UInt64 = 0
        let end = Clock.now + 20_000_000
        while Clock.now < end { sum &+= 1 }
        #expect(sum > 0)
        #expect(ProcessUsage.currentThread().processorNanoseconds > thread.processorNanoseconds)
        #expect(ProcessUsage.now().processorNanoseconds > process.processorNanoseconds)
        let resident = try #require(process.residentBytes.value)
        #expect(resident > 1 << 20)
        #expect(try #require(ProcessUsage.now().residentPeakBytes.value) >= resident)
    }

    /// Each counter has a value or a reason, never neither; the software clock is there unless perf is forbidden.
    @Test func perfEventsSayWhy() {
        let events = PerfEvents()
        events.start()
        let end = Clock.now + 5_000_000
        while Clock.now < end {}
        events.stop()
        let readings = events.read()
        #expect(readings.map(\.name).starts(with: ["cycles", "instructions", "cache-misses", "task-clock"]))
        for reading in readings {
            switch reading.value {
            case .value(let value): if reading.name == "task-clock" { #expect(value > 0) }
            case .unavailable(let reason): #expect(!reason.isEmpty)
            }
        }
    }

    @Test func measuredIsNeverZeroForAbsent() {
        let absent = Measured<UInt64>.unavailable(reason: "no such counter")
        #expect(absent.value == nil && absent.reason == "no such counter")
        #expect(absent.map { $0 + 1 } == .unavailable(reason: "no such counter"))
        #expect(absent.description == "not available: no such counter")
        #expect(Measured.value(3).map { $0 + 1 } == .value(4))
    }

    @Test func coresAndLimits() throws {
        let cores = try Affinity.allowedCores()
        #expect(!cores.isEmpty && cores == cores.sorted())
        #expect(throws: Errno.self) { try Affinity.pinThread(to: -1) }
        #expect(throws: Errno.self) { try Affinity.pinThread(to: 5_000) }
        let (soft, hard) = try ResourceLimits.descriptors()
        #expect(soft > 0 && soft <= hard)
        #expect(try ResourceLimits.raiseDescriptors(to: 1) == soft, "the limit is never lowered")
        #expect(try ResourceLimits.raiseDescriptors(to: .max) <= hard)
        #expect(try ResourceLimits.openDescriptorCount() >= 3)
    }

    @Test func pinningHoldsForTheThread() throws {
        let core = try #require(try Affinity.allowedCores().last)
        let seen = Mutex<[Int]>([])
        let thread = try LoopThread(name: "a name longer than the kernel keeps") {
            do throws(Errno) {
                try Affinity.pinThread(to: core)
                let cores = try Affinity.allowedCores()
                seen.withLock { $0 = cores }
            } catch {
                seen.withLock { $0 = [-1] }
            }
        }
        thread.join()
        #expect(seen.withLock { $0 } == [core])
    }

    @Test func filesAndErrors() throws {
        #expect(try readSmallFile("/proc/self/status").contains("VmHWM"))
        do {
            _ = try readSmallFile("/nowhere")
            Issue.record("there is no such file")
        } catch {
            #expect(error.text == "No such file or directory")
            #expect(error.description == "open /nowhere: No such file or directory (errno 2)")
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct OtherProcessTests {
    /// This process as another one would see it.
    @Test func isReadFromOutside() throws {
        let process = OtherProcess(processID: getpid())
        let before = try #require(process.processorNanoseconds().value)
        var sum: UInt64 = 0
        for step: UInt64 in 0..<2_000_000 { sum = sum &* 31 &+ step }
        #expect(try #require(process.processorNanoseconds().value) > before, "\(sum)")
        #expect(try #require(process.residentBytes().value) > 1 << 20)
        #expect(try #require(process.residentPeakBytes().value) > 1 << 20)
        let calls = try #require(process.readAndWriteCalls().value)
        _ = try readSmallFile("/proc/self/statm")
        #expect(try #require(process.readAndWriteCalls().value).reads > calls.reads)
    }

    @Test func oneThatDoesNotExistIsAbsentWithAReason() {
        let process = OtherProcess(processID: 0x3fff_fffe)
        #expect(process.processorNanoseconds().value == nil)
        #expect(process.residentBytes().value == nil)
        #expect(process.readAndWriteCalls().value == nil)
    }
}
