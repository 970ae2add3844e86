import Bytes
import Foundation
import Kernel
import Reactor
import Synchronization
import Testing
import TestSupport

/// The loop itself: timers, submission, the executor, and its end.
@Suite(.timeLimit(.minutes(5))) struct LoopTests {
    @Test(arguments: BackendKind.available)
    func timersFireInOrder(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var random = SeededRandom(seed: 5)
        var fired: [(deadline: UInt64, order: Int, at: UInt64)] = []
        loop.become {
            let start = loop.refreshNow()
            for order in 0..<500 {
                let deadline = start + UInt64.random(in: 0...20, using: &random) * 1_000_000
                loop.schedule(at: deadline) { fired.append((deadline, order, loop.now)) }
            }
        }
        loop.wait("all timers") { fired.count == 500 }
        for index in 1..<500 {
            let (left, right) = (fired[index - 1], fired[index])
            #expect(left.deadline < right.deadline || (left.deadline == right.deadline && left.order < right.order))
        }
        #expect(fired.allSatisfy { $0.at >= $0.deadline })
        loop.finish()
    }

    @Test(arguments: BackendKind.available)
    func timersAreCancelledAndMoved(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var log: [String] = []
        let timers = loop.become {
            let start = loop.refreshNow()
            let cancelled = loop.schedule(at: start + 1_000_000) { log.append("cancelled") }
            let later = loop.schedule(at: start + 1_000_000) { log.append("later") }
            let sooner = loop.schedule(at: start + 500_000_000_000) { log.append("sooner") }
            let rival = loop.schedule(at: start + 3_000_000) { log.append("rival") }
            loop.schedule(at: start + 3_000_000) {
                log.append("canceller")
                rival.cancel()
            }
            // Due in the same turn as its canceller, which was armed before it.
            loop.schedule(at: start + 2_900_000) { rival.arm(at: start + 3_000_000) }
            later.arm(at: start + 6_000_000)
            sooner.arm(at: start + 2_000_000)
            cancelled.cancel()
            cancelled.cancel()
            return [cancelled, later, sooner, rival]
        }
        loop.wait("the last") { log.contains("later") }
        #expect(log.filter { $0 != "rival" } == ["sooner", "canceller", "later"])
        #expect(timers.allSatisfy { !$0.isArmed })
        loop.finish()
    }

    /// A timer armed in the past from its own action runs once a turn and does not hold up the loop.
    @Test(arguments: BackendKind.available)
    func timerThatReArmsItself(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        var count = 0
        loop.become {
            var timer: LoopTimer?
            timer = loop.makeTimer {
                count += 1
                if count < 100 { timer?.arm(at: 0) } else { timer = nil }
            }
            timer?.arm(at: 0)
        }
        loop.wait("a hundred") { count == 100 }
        #expect(loop.turnCounts.turns >= 100)
        loop.finish()
    }

    @Test func turnEndHandlersRunOnceATurn() throws {
        final class Flusher: TurnEndHandler {
            let loop: EventLoop
            var remaining = 3
            var turns: [UInt64] = []
            init(_ loop: EventLoop) { self.loop = loop }
            func turnEnded() {
                turns.append(loop.turnCounts.turns)
                remaining -= 1
                if remaining > 0 { loop.scheduleFlush(self) }
            }
        }
        let loop = try EventLoop()
        let flusher = Flusher(loop)
        loop.become { loop.scheduleFlush(flusher) }
        loop.wait("three turns") { flusher.remaining == 0 }
        #expect(flusher.turns == [1, 2, 3])
        #expect(loop.turnCounts.waits == 0)
        loop.finish()
    }

    @Test(arguments: BackendKind.real)
    func submissionStorm(_ kind: BackendKind) async throws {
        let loop = try kind.makeLoop()
        try loop.start()
        let threads = 4
        let each = 20_000
        let seen = LoopBound(Counter(threads), on: loop)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<threads {
                group.addTask {
                    for number in 0..<each { loop.submit { seen.value.note(thread, number) } }
                }
            }
        }
        let (total, inOrder) = await loop.perform { (seen.value.total, seen.value.isInOrder) }
        #expect(total == threads * each && inOrder)
        let (turns, wakes) = await loop.perform { (loop.turnCounts, loop.counts.eventWrite) }
        #expect(turns.submissions == UInt64(threads * each) + 2)
        #expect(wakes <= turns.waits)
        loop.stop()
        loop.join()
    }

    final class Counter {
        var total = 0
        var isInOrder = true
        var next: [Int]
        init(_ threads: Int) { next = Array(repeating: 0, count: threads) }
        func note(_ thread: Int, _ number: Int) {
            if next[thread] != number { isInOrder = false }
            next[thread] = number + 1
            total += 1
        }
    }

    @Test func tasksRunOnTheLoopsThread() async throws {
        let loop = try EventLoop()
        try loop.start()
        let hops = await Task(executorPreference: loop) {
            var offLoop = 0
            for _ in 0..<1_000 {
                await Task.yield()
                if !loop.isOnLoop { offLoop += 1 }
            }
            return offLoop
        }.value
        #expect(hops == 0)
        let counter = LoopActor(loop)
        for _ in 0..<100 { await counter.increment() }
        #expect(await counter.value == 100)
        #expect(await counter.offLoop == 0)
        #expect(await loop.perform { loop.turnCounts.jobs } > 1_000)
        loop.stop()
        loop.join()
    }

    actor LoopActor {
        let loop: EventLoop
        var value = 0
        var offLoop = 0
        nonisolated var unownedExecutor: UnownedSerialExecutor { executorReference(to: loop) }
        init(_ loop: EventLoop) { self.loop = loop }
        func increment() {
            value += 1
            if !loop.isOnLoop { offLoop += 1 }
            loop.preconditionIsolated()
        }
    }

    /// Stopping with everything in flight: submitted work runs, handlers hear why, pending connects end, tasks go on to their end.
    @Test(arguments: BackendKind.real)
    func stopWithWorkInFlight(_ kind: BackendKind) async throws {
        let loop = try kind.makeLoop()
        try loop.start()
        let log = Mutex<[String]>([])
        let ran = Atomic<Int>(0)
        await loop.perform {
            var held: [Endpoint] = []
            do throws(ChannelError) {
                let pattern = PatternBytes(seed: 1)
                let listener = try loop.listen(on: .loopback4(port: 0)) { channel in
                    let server = Endpoint(channel)
                    server.onFailed = { _, error in log.withLock { $0.append("server \(error)") } }
                    held.append(server)
                    channel.start(server)
                    channel.pauseReceiving()
                }
                loop.connect(to: listener.address) { result in
                    guard case .success(let channel) = result else { return }
                    let client = Endpoint(channel)
                    client.onFailed = { _, error in log.withLock { $0.append("client \(error)") } }
                    client.source = { pattern.slice(at: 0, count: 65_521) }
                    held.append(client)
                    channel.start(client)
                    client.pump()
                    log.withLock { $0.append("connected") }
                }
            } catch {
                log.withLock { $0.append("\(error)") }
            }
        }
        while log.withLock({ $0.isEmpty }) {
            try Task.checkCancellation()
            await Task.yield()
        }
        _ = await loop.perform { loop.channelCount }
        let waiting = Task(executorPreference: loop) {
            while !Task.isCancelled { await Task.yield() }
            return loop.isOnLoop
        }
        for _ in 0..<100 { loop.submit { ran.add(1, ordering: .relaxed) } }
        loop.stop()
        loop.stop()
        for _ in 0..<100 { loop.submit { ran.add(1, ordering: .relaxed) } }
        waiting.cancel()
        #expect(await waiting.value)
        loop.join()
        for _ in 0..<100 { loop.submit { ran.add(1, ordering: .relaxed) } }
        #expect(ran.load(ordering: .relaxed) == 300)
        let told = log.withLock { $0 }
        #expect(told.contains("server the event loop was stopped") && told.contains("client the event loop was stopped"))
        #expect(await loop.perform { loop.isOnLoop && loop.channelCount == 0 })
    }

    /// Work that comes while the loop's thread is on its way out runs behind it, and on the loop.
    @Test(arguments: BackendKind.real)
    func workMeetsTheEnd(_ kind: BackendKind) async throws {
        final class Tally {
            var value = 0
        }
        for _ in 0..<200 {
            let loop = try kind.makeLoop()
            let count = LoopBound(Tally(), on: loop)
            try loop.start()
            await withTaskGroup(of: Void.self) { group in
                group.addTask { loop.stop() }
                group.addTask {
                    for _ in 0..<200 { loop.submit { count.value.value += 1 } }
                }
            }
            #expect(await loop.perform { count.value.value } == 200)
            loop.join()
        }
    }

    /// After the end nothing begins, and it says so.
    @Test(arguments: BackendKind.available)
    func nothingBeginsAfterTheEnd(_ kind: BackendKind) throws {
        let loop = try kind.makeLoop()
        let pair = try loop.makePair()
        loop.become { pair.client.channel.start(pair.client) }
        loop.finish()
        #expect(pair.client.failure == .loopStopped)
        loop.become {
            #expect(throws: ChannelError.loopStopped) { try loop.listen(on: .loopback4(port: 0)) { _ in } }
            pair.server.close()
            pair.client.close()
        }
        loop.finish()
    }

    @Test func pinnedLoopSaysWhenItCannot() throws {
        var configuration = EventLoopConfiguration()
        configuration.core = 1_000
        let loop = try EventLoop(configuration)
        loop.stop()
        loop.run()
        #expect(loop.pinFailure != nil)
    }

    /// A spinning loop looks without sleeping, and still sleeps in the end.
    @Test func spinning() throws {
        let loop = try BackendKind.epoll.makeLoop(configure: { $0.spinNanoseconds = 200_000 })
        var fired = false
        loop.become { loop.schedule(at: loop.refreshNow() + 5_000_000) { fired = true } }
        loop.wait("the timer") { fired }
        #expect(loop.turnCounts.spins > 0)
        loop.finish()
    }

    /// Descriptors come back: counted in a process of its own, where nothing else opens any.
    @Test(arguments: BackendKind.real)
    func noDescriptorLeaks(_ kind: BackendKind) async {
        await #expect(processExitsWith: .success) { [name = kind.rawValue as String] in
            let kind = try #require(BackendKind(rawValue: name))
            // The first loop may open what stays open for the process.
            try runBriefLoop(kind)
            let before = try ResourceLimits.openDescriptorCount()
            for _ in 0..<5 { try runBriefLoop(kind) }
            let after = try ResourceLimits.openDescriptorCount()
            // The parent hears only that something was wrong.
            if after != before { print("\(before) descriptors were open, then \(after): \(openDescriptors())") }
            #expect(after == before)
        }
    }
}

/// What the open descriptors are.
private func openDescriptors() -> [String] {
    let folder = "/proc/self/fd"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.map { "\($0) " + ((try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) ?? "gone") }
}

/// A loop that connects, fails to connect, transfers and ends with channels open.
private func runBriefLoop(_ kind: BackendKind) throws {
    let loop = try kind.makeLoop()
    for _ in 0..<10 {
        let pair = try loop.makePair()
        loop.become {
            pair.server.channel.start(pair.server)
            pair.client.channel.start(pair.client)
            pair.client.queue(Slice(copying: [1]))
        }
        loop.wait("a byte") { pair.server.bytesReceived == 1 }
    }
    let closed = try loop.become {
        let listener = try loop.listen(on: .loopback4(port: 0)) { _ in }
        listener.close()
        return listener.address
    }
    var isRefused = false
    loop.become { loop.connect(to: closed) { _ in isRefused = true } }
    loop.wait("the refusal") { isRefused }
    loop.finish()
}
