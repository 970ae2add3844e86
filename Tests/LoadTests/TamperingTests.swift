import Bytes
import Foundation
import Gauge
@testable import Load
import Testing
import TestSupport

/// A run whose bytes were changed on the way, or whose accounts were, says that it must not be believed, and where the difference is.
@Suite(.serialized, .timeLimit(.minutes(5))) struct TamperingTests {
    /// Runs `scenario` through a relay that attacks.
    private func run(_ scenario: Scenario, _ attack: Attack, location: SourceLocation = #_sourceLocation) async throws -> RunFigures {
        let lab = try await Lab.start(threads: scenario.threads)
        let relay = try await Relay.start(to: lab.responder.address, attack)
        let figures: RunFigures
        do {
            var limits = RunLimits.forTests
            limits.phaseSeconds = 3
            figures = try await lab.run(scenario, through: relay.address, limits: limits)
        } catch {
            await relay.stop()
            await lab.stop()
            throw error
        }
        await relay.stop()
        await lab.stop()
        return figures
    }

    private func bulk(_ direction: String = "up", verify: String = "full", subject: String = "tcp+yamux") throws -> Scenario {
        try .counted(subject, .bulk, count: 40, streams: 4, messageSizeBytes: 20_000, direction: direction, verify: verify)
    }

    // MARK: The relay itself

    /// A relay that changes nothing leaves an honest run.
    @Test(arguments: ["up", "both"], ["tcp", "tcp+yamux"])
    func honestRelay(direction: String, subject: String) async throws {
        let attack = Attack()
        if subject == "tcp" { attack.onBytes = { $3 } } else { attack.onFrame = { [$0] } }
        attack.onControl = { $2 }
        expectHonest(try await run(try bulk(direction, subject: subject), attack))
    }

    // MARK: Bytes

    /// One bit of one payload byte, in the first message of a stream: seen with either rule, and named.
    @Test(arguments: ["up", "down"], ["full", "sampled"])
    func flippedBit(direction: String, verify: String) async throws {
        let attack = Attack()
        attack.onFrame = { frame in
            guard frame.carriesPayload, frame.ordinal == 2, attack.count == 0 else { return [frame] }
            attack.struck()
            var changed = frame
            changed.body[7_777] ^= 0x10
            return [changed]
        }
        let figures = try await run(try bulk(direction, verify: verify), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 2", "message 0", "differs from what was sent")
    }

    /// Every byte of every message counts when all are verified.
    @Test(arguments: [0, 1, 9_999, 19_998, 19_999])
    func flippedByteAnywhere(offset: Int) async throws {
        let attack = Attack()
        let seen = Counter()
        attack.onFrame = { frame in
            // The third message of the second stream.
            guard frame.carriesPayload, frame.ordinal == 1, seen.withLock({ $0 += 1; return $0 }) == 3 else { return [frame] }
            attack.struck()
            var changed = frame
            changed.body[offset] = ~changed.body[offset]
            return [changed]
        }
        let figures = try await run(try bulk(), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 1", "message 2", "differs from what was sent")
    }

    /// The last message of every stream is checked whole, whatever the rule.
    @Test(arguments: ["up", "down"])
    func flippedByteInTheLastMessage(direction: String) async throws {
        let attack = Attack()
        let flow: Attack.Flow = direction == "up" ? .up : .down
        var held: Attack.Frame?
        attack.onFrame = { frame in
            guard frame.flow == flow, frame.isData, frame.ordinal == 3 else { return [frame] }
            var passed = held.map { [$0] } ?? []
            held = frame
            guard frame.isFinish else { return passed }
            attack.struck()
            held = nil
            passed.append(frame)
            let last = frame.carriesPayload ? passed.count - 1 : 0
            passed[last].body[0] ^= 1
            return passed
        }
        let figures = try await run(try bulk(direction, verify: "1/1048576"), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 3", "differs from what was sent")
    }

    /// Two streams' payloads exchanged: all counts are right, and the bytes are not.
    @Test(arguments: ["up", "down"], ["full", "sampled"])
    func swappedStreams(direction: String, verify: String) async throws {
        let attack = Attack()
        let flow: Attack.Flow = direction == "up" ? .up : .down
        // The first stream's frames wait for the second one's first.
        var held: [Attack.Frame] = []
        attack.onFrame = { frame in
            guard frame.flow == flow, attack.count == 0 else { return [frame] }
            if frame.ordinal == 0, frame.carriesPayload || !held.isEmpty {
                held.append(frame)
                return []
            }
            guard frame.ordinal == 1, frame.carriesPayload, !held.isEmpty else { return [frame] }
            attack.struck()
            var second = frame
            swap(&held[0].body, &second.body)
            return held + [second]
        }
        let figures = try await run(try bulk(direction, verify: verify), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 0", "message 0", "differs from what was sent")
        expectInvalid(figures, "connection 0, stream 1", "message 0", "differs from what was sent")
    }

    /// Two streams exchanged from some message on, in the middle where `sampled` compares one message in 64: the last one tells.
    @Test(arguments: ["full", "sampled", "1/1048576"])
    func swappedStreamsToTheEnd(verify: String) async throws {
        let attack = Attack()
        var bytes = [0, 0, 0, 0]
        attack.onFrame = { frame in
            guard frame.flow == .up, frame.isData, frame.ordinal < 2 else { return [frame] }
            let isBetweenMessages = bytes[0] % 20_000 == 0 && bytes[1] % 20_000 == 0
            if bytes[0] > 0, bytes[1] > 0, isBetweenMessages || attack.count > 0 {
                attack.struck()
                var changed = frame
                changed.header[7] ^= 2
                return [changed]
            }
            bytes[frame.ordinal] += frame.body.count
            return [frame]
        }
        let figures = try await run(try bulk(verify: verify), attack)
        #expect(attack.count > 0)
        expectInvalid(figures, "connection 0, stream 0")
    }

    /// Two messages of one stream exchanged.
    @Test func swappedOrder() async throws {
        let attack = Attack()
        var held: Attack.Frame?
        attack.onFrame = { frame in
            guard frame.carriesPayload, frame.ordinal == 0, attack.count == 0 else { return [frame] }
            guard var first = held else {
                held = frame
                return []
            }
            attack.struck()
            var second = frame
            swap(&first.body, &second.body)
            return [first, second]
        }
        let figures = try await run(try bulk(), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 0", "differs from what was sent")
    }

    @Test(arguments: ["lost", "doubled"])
    func messagesLostOrDoubled(what: String) async throws {
        let attack = Attack()
        attack.onFrame = { frame in
            guard frame.carriesPayload, frame.ordinal == 1, attack.count == 0 else { return [frame] }
            attack.struck()
            return what == "lost" ? [] : [frame, frame]
        }
        let figures = try await run(try bulk(verify: "sampled"), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 1")
        expectInvalid(figures, "the client sent")
    }

    /// Without a multiplexer, and answers to requests.
    @Test(arguments: [Workload.bulk, .request, .connect])
    func flippedByteWithoutMuxer(workload: Workload) async throws {
        let attack = Attack()
        attack.onBytes = { connection, flow, position, bytes in
            guard connection == 1, flow == .up, position == 0, attack.count == 0 else { return bytes }
            attack.struck()
            var changed = bytes
            changed[5] ^= 0xff
            return changed
        }
        let figures = try await run(
            try .counted("tcp", workload, count: 20, connections: 2, messageSizeBytes: 100, verify: "sampled"), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 1", "differs from what was sent")
    }

    /// Streams that live for one message are added up, and still a changed byte shows.
    @Test func flippedByteInChurn() async throws {
        let attack = Attack()
        attack.onFrame = { frame in
            guard frame.carriesPayload, frame.flow == .down, frame.ordinal == 17 else { return [frame] }
            attack.struck()
            var changed = frame
            changed.body[50] ^= 1
            return [changed]
        }
        let figures = try await run(try .counted("tcp+yamux", .churn, count: 50, streams: 3, messageSizeBytes: 100), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "connection 0, stream 17", "differs from what was sent")
    }

    /// Any byte of anything: the run ends, and when it is believed the payload was whole.
    @Test(arguments: SeededGenerator.seeds(12), ["tcp+yamux", "tcp+mplex"])
    func randomDamage(seed: UInt64, subject: String) async throws {
        var random = SeededGenerator(seed: seed)
        let attack = Attack()
        let flow: Attack.Flow = random.oneIn(2) ? .up : .down
        let (target, mask) = (random.int(0...60_000), UInt8(random.int(1...255)))
        attack.onBytes = { _, passing, position, bytes in
            guard passing == flow, (position..<position + bytes.count).contains(target) else { return bytes }
            attack.struck()
            var changed = bytes
            changed[target - position] ^= mask
            return changed
        }
        let figures = try await run(
            try .counted(subject, .request, count: 60, streams: 4, messageSizeBytes: 1000, verify: "full"), attack)
        #expect(attack.count == 1, "seed \(seed): \(flow) \(target)")
        #expect(figures.valid == figures.invalidReasons.isEmpty, "seed \(seed)")
        guard figures.valid else { return }
        #expect(figures.messages == 60 && figures.ledger.balanced, "seed \(seed)")
        #expect(subject == "tcp+yamux", "mplex has no byte that may change: seed \(seed), \(flow) \(target) ^ \(mask)")
    }

    // MARK: Accounts

    /// Changes the receipts that the server sends.
    private func receipts(_ scenario: Scenario, _ change: @escaping (inout [Receipt]) -> Void) async throws -> RunFigures {
        let attack = Attack()
        attack.onControl = { flow, kind, body in
            guard flow == .down, kind == .receipts, var receipts = try? ReceiptList.decode(Slice(copying: body).bytes) else { return body }
            attack.struck()
            change(&receipts)
            return ReceiptList.encode(receipts)
        }
        let figures = try await run(scenario, attack)
        #expect(attack.count == 1)
        return figures
    }

    @Test(arguments: ["up", "down", "both"])
    func droppedReceipt(direction: String) async throws {
        let figures = try await receipts(try bulk(direction)) { receipts in
            let first = receipts[0].direction
            receipts.removeAll { $0.stream == 2 && $0.direction == first }
        }
        expectInvalid(figures, "connection 0, stream 2")
        #expect(figures.invalidReasons.count == 1, "\(figures.invalidReasons)")
    }

    @Test func inventedReceipt() async throws {
        let figures = try await receipts(try bulk()) { $0.append(Receipt(connection: 0, stream: 99, direction: .up, bytes: 20_000, messages: 1)) }
        expectInvalid(figures, "connection 0, stream 99")
    }

    @Test(arguments: ["bytes", "messages", "checksum", "last"])
    func changedReceipt(field: String) async throws {
        let figures = try await receipts(try bulk()) { receipts in
            let index = receipts.firstIndex { $0.stream == 3 } ?? 0
            switch field {
            case "bytes": receipts[index].bytes += 1
            case "messages": receipts[index].messages -= 1
            case "checksum": receipts[index].checksum ^= 1
            default: receipts[index].lastMessageChecksum &+= 1
            }
        }
        expectInvalid(figures, "connection 0, stream 3")
        #expect(figures.invalidReasons.count == 1, "\(figures.invalidReasons)")
    }

    @Test(arguments: [Workload.churn, .connect])
    func changedPooledReceipt(workload: Workload) async throws {
        let figures = try await receipts(try .counted("tcp+yamux", workload, count: 20, connections: 2)) { $0[0].bytes += 64 }
        expectInvalid(figures, "connection")
    }

    /// A server that counts other bytes than its sockets carried.
    @Test(arguments: ["payload", "socket", "header"])
    func changedLedger(account: String) async throws {
        let attack = Attack()
        attack.onControl = { flow, kind, body in
            guard flow == .down, kind == .json, case .outcome(var outcome)? = try? ControlCodec.decode(ControlReply.self, body) else { return body }
            attack.struck()
            switch account {
            case "payload": outcome.ledger.received.payload += 1
            case "socket": outcome.ledger.received.socketBytes += 1
            default: outcome.ledger.sent.muxWindowUpdate -= 12
            }
            return (try? JSONEncoder().encode(ControlReply.outcome(outcome))).map { Array($0) } ?? body
        }
        let figures = try await run(try bulk(), attack)
        #expect(attack.count == 1)
        #expect(!figures.valid && !figures.ledger.balanced)
        expectInvalid(figures, "server")
    }

    @Test func receiptsThatAreNone() async throws {
        let attack = Attack()
        attack.onControl = { flow, kind, body in
            guard flow == .down, kind == .receipts else { return body }
            attack.struck()
            return Array("no receipts here".utf8)
        }
        let figures = try await run(try bulk(), attack)
        #expect(attack.count == 1)
        expectInvalid(figures, "not a list of receipts")
        #expect(figures.partial)
    }
}
