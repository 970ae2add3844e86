import Bytes
import Kernel
import Multiformats
import Negotiation
import P2P
import Reactor
import Synchronization
import Testing
import TestSupport

/// Two hosts in one process: streams to handlers, over every stack.
@Suite(.timeLimit(.minutes(5))) struct HostTests {
    @Test(arguments: HostStack.all)
    func manyStreamsEcho(stack: HostStack) async throws {
        try await withHosts(stack) { client, server, address in
            server.handle(Echo.protocolID, Echo.service)
            let connection = try await client.connect(to: address, server)
            #expect(connection.remotePeerID == server.peerID && connection.security == stack.security && connection.muxer == stack.muxer)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        var random = SeededGenerator(seed: UInt64(number))
                        let bytes = random.bytes(random.size(upTo: 200_000))
                        let stream = try await connection.openStream(Echo.protocolID)
                        try await stream.write(bytes)
                        try await stream.finish()
                        return try await stream.readAll() == bytes
                    }
                }
                for try await isSame in group { #expect(isSame) }
            }
        }
    }

    /// Handlers of tasks run on the loop of the connection, before and behind every wait.
    @Test func handlersRunOnTheLoop() async throws {
        try await withHosts { client, server, address in
            server.handle("/where/1.0.0") { stream in
                var places = [stream.loop.isOnLoop]
                while try await stream.read() != nil { places.append(stream.loop.isOnLoop) }
                try await stream.write(places.map { $0 ? 1 : 0 })
                places.append(stream.loop.isOnLoop)
                try await stream.write(places.map { $0 ? 1 : 0 })
            }
            let stream = try await client.connect(to: address).openStream("/where/1.0.0")
            for _ in 0..<3 {
                try await stream.write([1])
                _ = try await Ping.open(on: stream.connection).roundTrip()
            }
            try await stream.finish()
            let answer = try await stream.readAll()
            #expect(answer.count >= 5 && answer.allSatisfy { $0 == 1 })
        }
    }

    @Test(arguments: [HostLink.memory, .tcp, .unix])
    func halfCloseLeavesTheOtherHalf(link: HostLink) async throws {
        try await withHosts(HostStack(link: link)) { client, server, address in
            server.handle("/sum/1.0.0") { stream in
                var sum: UInt64 = 0
                for try await bytes in stream { sum += bytes.reduce(0) { $0 + UInt64($1) } }
                try await stream.write("\(sum)")
            }
            let stream = try await client.connect(to: address, server).openStream("/sum/1.0.0")
            for _ in 0..<10 { try await stream.write([1, 2, 3]) }
            try await stream.finish()
            #expect(String(decoding: try await stream.readAll(), as: UTF8.self) == "60")
            guard case .streamClosed? = await hostError({ try await stream.write([1]) }) else {
                Issue.record("written behind the end")
                return
            }
        }
    }

    /// A writer is held back when the far end's handler does not read, and goes on when it does.
    @Test func backPressureReachesTheSender() async throws {
        try await withHosts { client, server, address in
            let gate = Gate()
            let total = 24 << 20
            server.handle("/slow/1.0.0") { stream in
                try await gate.wait()
                var count = 0
                for try await bytes in stream { count += bytes.count }
                try await stream.write("\(count)")
            }
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream("/slow/1.0.0")
            let written = Counter()
            let writer = Task(executorPreference: connection.loop) {
                for _ in 0..<total >> 16 {
                    try await stream.write([UInt8](repeating: 7, count: 1 << 16))
                    written.add(1 << 16)
                }
                try await stream.finish()
            }
            // Written no more while many pings have come and gone: held back.
            let ping = try await Ping.open(on: connection)
            var (before, quiet) = (-1, 0)
            while quiet < 20 {
                _ = try await ping.roundTrip()
                let now = written.value
                quiet = now == before && now > 0 ? quiet + 1 : 0
                before = now
            }
            #expect(written.value < total / 2)
            gate.open()
            try await writer.value
            #expect(String(decoding: try await stream.readAll(), as: UTF8.self) == "\(total)")
        }
    }

    /// A host may speak more protocols than a list may name; a stream may not propose more than a negotiation may take.
    @Test func manyProtocolsAreSpoken() async throws {
        try await withHosts { client, server, address in
            let ids = try (0..<2000).map { try ProtocolID("/of/many/\($0)") }
            for id in ids { server.handle(id, Echo.service) }
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream(ids[1999])
            try await stream.write([1, 2])
            #expect(try await stream.read(exactly: 2) == [1, 2])
            stream.reset()
            let error = await hostError { try await connection.openStream(Array(ids.prefix(65))) }
            guard case .tooManyProposals(65, limit: 64)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    /// What the far end said to its end is read, although the connection has ended since.
    @Test func finishedBytesOutliveTheConnection() async throws {
        try await withHosts { client, server, address in
            let said = Gate()
            server.handle("/say/1.0.0") { stream in
                _ = try await stream.read()
                try await stream.write("all of it")
                try await stream.finish()
                said.open()
                for try await _ in stream {}
            }
            let events = client.makeEvents()
            let connection = try await client.connect(to: address)
            let stream = try await connection.openStream("/say/1.0.0")
            try await stream.write([1])
            try await said.wait()
            // What was said has arrived when something that was said later has.
            let back = try await server.openStream(to: client.peerID, protocols: [Ping.protocolID])
            _ = try await Ping.open(on: back.connection).roundTrip()
            back.connection.abort()
            #expect(await next(events) { if case .disconnected(connection, _) = $0 { true } else { nil } } == true)
            #expect(try await stream.readAll() == Array("all of it".utf8))
            guard case .connectionEnded? = await hostError({ try await stream.write([2]) }) else {
                Issue.record("written to a connection that is over")
                return
            }
        }
    }

    /// A handler that waits for something else than its stream is cancelled when that is reset.
    @Test func handlersOfResetStreamsAreCancelled() async throws {
        try await withHosts { client, server, address in
            let (ends, tell) = AsyncStream.makeStream(of: Bool.self)
            let begun = Gate()
            server.handle("/busy/1.0.0") { _ in
                begun.open()
                let (never, hold) = AsyncStream.makeStream(of: Void.self)
                // Comes to an end by cancellation only.
                for await _ in never {}
                withExtendedLifetime(hold) { _ = tell.yield(Task.isCancelled) }
            }
            let stream = try await client.connect(to: address).openStream("/busy/1.0.0")
            try await stream.write([1])
            try await begun.wait()
            stream.reset()
            #expect(await ends.first { _ in true } == true)
        }
    }

    @Test func cancellationResetsTheStream() async throws {
        try await withHosts { client, server, address in
            let (seen, tell) = AsyncStream.makeStream(of: HostError.self)
            server.handle("/wait/1.0.0") { stream in
                do throws(HostError) {
                    while try await stream.read() != nil {}
                } catch {
                    tell.yield(error)
                    throw error
                }
            }
            for isOnLoop in [true, false] {
                let stream = try await client.connect(to: address).openStream("/wait/1.0.0")
                try await stream.write([1])
                let reader = Task(executorPreference: isOnLoop ? stream.loop : nil) { try await stream.read() }
                // Its negotiation is over, so that the handler is there to hear of the reset.
                _ = try await Ping.open(on: stream.connection).roundTrip()
                reader.cancel()
                guard case .failure(let error) = await reader.result, case .cancelled? = error as? HostError else {
                    Issue.record("a cancelled read returned")
                    return
                }
                guard case .streamReset? = await seen.first(where: { _ in true }) else {
                    Issue.record("the far end heard of no reset")
                    return
                }
            }
        }
    }

    @Test func handlersThatThrowResetTheStream() async throws {
        struct Refusal: Error {}
        try await withHosts { client, server, address in
            server.handle("/no/1.0.0") { _ in throw Refusal() }
            let stream = try await client.connect(to: address).openStream("/no/1.0.0")
            guard case .streamReset? = await hostError({ try await stream.read() }) else {
                Issue.record("no reset came")
                return
            }
        }
    }

    /// A stream that is let go of does not stay open.
    @Test func abandonedStreamsAreReset() async throws {
        try await withHosts { client, server, address in
            let events = server.makeEvents()
            server.handle("/hold/1.0.0") { stream in for try await _ in stream {} }
            let connection = try await client.connect(to: address)
            try await connection.openStream("/hold/1.0.0").write([1])
            let closed = await next(events) { event -> ProtocolID? in
                if case .streamClosed(_, "/hold/1.0.0", .inbound) = event { "/hold/1.0.0" } else { nil }
            }
            #expect(closed == "/hold/1.0.0")
        }
    }

    // MARK: Protocols

    /// Exact IDs and predicates, in the order of registration; bytes right behind a lazy proposal arrive.
    @Test(arguments: MuxerKind.allCases)
    func protocolsAreMatchedInOrder(muxer: MuxerKind) async throws {
        try await withHosts(HostStack(muxer: muxer)) { client, server, address in
            func say(_ word: String) -> StreamService {
                .task { stream in
                    let heard = try await stream.readAll()
                    try await stream.write("\(word) \(stream.protocolID) " + String(decoding: heard, as: UTF8.self))
                }
            }
            server.handle("/a/1.0.0", say("exact"))
            server.handle(matching: "/a/1.x", { $0.description.hasPrefix("/a/1.") }, say("any"))
            let connection = try await client.connect(to: address)
            for (proposals, answer) in [
                (["/a/1.0.0"], "exact /a/1.0.0 hi"), (["/a/1.7.0"], "any /a/1.7.0 hi"), (["/b/1.0.0", "/c/1.0.0", "/a/1.2.0"], "any /a/1.2.0 hi"),
            ] as [([ProtocolID], String)] {
                let stream = try await connection.openStream(proposals)
                try await stream.write("hi")
                try await stream.finish()
                #expect(String(decoding: try await stream.readAll(), as: UTF8.self) == answer)
            }
        }
    }

    @Test func protocolsThatAreNotSpokenAreNamed() async throws {
        try await withHosts { client, _, address in
            let connection = try await client.connect(to: address)
            let lazy = try await connection.openStream("/x/1.0.0")
            guard case .negotiation(.noProtocolInCommon(["/x/1.0.0"]))? = await hostError({ try await lazy.read() }) else {
                Issue.record("a lazy stream was not refused")
                return
            }
            guard case .negotiation(.noProtocolInCommon)? = await hostError({ try await connection.openStream(["/x/1.0.0", "/y/1.0.0"]) }) else {
                Issue.record("a stream was opened")
                return
            }
        }
    }

    /// The bytes of every negotiation are counted, alike at both ends, and nothing else is.
    @Test(arguments: MuxerKind.allCases)
    func negotiationBytesAreExact(muxer: MuxerKind) async throws {
        try await withHosts(HostStack(muxer: muxer)) { client, server, address in
            let events = client.makeEvents()
            server.handle(Echo.protocolID, Echo.service)
            let connection = try await client.connect(to: address)
            let identified = await next(events) { if case .identified = $0 { true } else { nil } }
            #expect(identified == true)
            for _ in 0..<10 {
                let stream = try await connection.openStream(Echo.protocolID)
                try await stream.write([1, 2, 3])
                try await stream.finish()
                #expect(try await stream.readAll() == [1, 2, 3])
            }
            // Header and proposal, header and confirmation: 20 + 13 bytes each way; identify, once each way: 20 + 16.
            let ours = await connection.counters()
            #expect(ours.streamNegotiation.sent == 10 * 33 + 36 * 2 && ours.streamNegotiation.received == 10 * 33 + 36 * 2)
            let theirs = try #require(await server.connections.first?.counters())
            #expect(theirs.streamNegotiation.sent == ours.streamNegotiation.received)
            #expect(theirs.streamNegotiation.received == ours.streamNegotiation.sent)
        }
    }
}

/// A number that tasks add to.
final class Counter: Sendable {
    private let stored = Atomic<Int>(0)
    var value: Int { stored.load(ordering: .acquiring) }
    func add(_ count: Int) { stored.wrappingAdd(count, ordering: .acquiringAndReleasing) }
}
