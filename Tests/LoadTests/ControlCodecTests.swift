import Bytes
@testable import Load
import Testing
import TestSupport

/// Control messages come from the network: whatever arrives, the codec gives whole messages or a typed error, and holds no more than it was given.
@Suite struct ControlCodecTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func messagesSurviveAnySplit() throws {
        let requests: [ControlRequest] = [.start, .progress, .collect(timeoutSeconds: 1.5), .setup(try .counted("tcp", .bulk, count: 1), token: .max)]
        let stream = try requests.flatMap { try ControlCodec.frame($0) } + ControlCodec.frame(.receipts, [1, 2, 3])
        for size in [1, 2, 3, 5, 64, stream.count] {
            var codec = ControlCodec()
            var found: [ControlRequest] = []
            var receipts: [[UInt8]] = []
            for start in stride(from: 0, to: stream.count, by: size) {
                codec.append(Slice(copying: Array(stream[start..<min(start + size, stream.count)])).bytes)
                while let (kind, body) = try codec.next() {
                    switch kind {
                    case .json: found.append(try ControlCodec.decode(ControlRequest.self, body))
                    case .receipts: receipts.append(body)
                    }
                }
            }
            #expect(found == requests && receipts == [[1, 2, 3]], "in reads of \(size)")
            #expect(codec.byteCountHeld == 0)
        }
    }

    @Test func foreignProtocolsAreNamed() {
        for text in ["HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail.example ESMTP\r\n"] {
            var codec = ControlCodec()
            codec.append(Slice(copying: bytes(text)).bytes)
            do {
                _ = try codec.next()
                Issue.record("'\(text)' was taken")
            } catch {
                #expect(error.description.contains("does not speak StreamGauge's protocol"))
                #expect(error.description.contains(text.prefix(8)), "it shows what came: \(error)")
            }
        }
    }

    @Test func limitIsKept() throws {
        var codec = ControlCodec(byteCountMax: 100)
        codec.append(Slice(copying: ControlCodec.frame(.json, [UInt8](repeating: 32, count: 99))).bytes)
        #expect(try codec.next()?.1.count == 99)
        codec.append(Slice(copying: ControlCodec.frame(.json, [UInt8](repeating: 32, count: 100))).bytes)
        #expect(throws: ControlError.frameTooLarge(byteCount: 101, limit: 100)) { try codec.next() }
    }

    @Test func emptyAndUnknownAreRefused() {
        for (header, said) in [([0, 0, 0, 0, 1], "0 bytes"), ([0, 0, 0, 1, 9], "kind 9")] as [([UInt8], String)] {
            var codec = ControlCodec()
            // After a message of ours the far end is known to be no stranger.
            codec.append(Slice(copying: ControlCodec.frame(.json, bytes("{}")) + header).bytes)
            _ = try? codec.next()
            do {
                _ = try codec.next()
                Issue.record("\(header) was taken")
            } catch {
                #expect(error.description.contains(said), "\(error)")
            }
        }
    }

    @Test func announcementsCostNothing() throws {
        var codec = ControlCodec()
        codec.append(Slice(copying: [0x0f, 0xff, 0xff, 0xff, 1, 2, 3]).bytes)
        #expect(try codec.next() == nil)
        #expect(codec.byteCountHeld == 7)
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func randomBytesGiveTypedErrors(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            var codec = ControlCodec(byteCountMax: 4096)
            var given = 0
            for _ in 0..<random.int(1...20) {
                let piece = plausible(&random)
                given += piece.count
                codec.append(Slice(copying: piece).bytes)
                do {
                    while let (kind, body) = try codec.next() {
                        #expect(body.count < 4096)
                        if kind == .json { _ = try? ControlCodec.decode(ControlRequest.self, body) }
                    }
                } catch {
                    break
                }
                #expect(codec.byteCountHeld <= given && codec.byteCountHeld <= 4096 + 5 + piece.count, "seed \(seed)")
            }
        }
    }

    /// Noise, or messages with one byte changed, or cut short.
    private func plausible(_ random: inout SeededGenerator) -> [UInt8] {
        guard !random.oneIn(3), let frame = try? ControlCodec.frame(ControlRequest.collect(timeoutSeconds: Double(random.int(0...9)))) else {
            return random.bytes(random.int(0...300))
        }
        var bytes = frame
        if random.oneIn(2) { bytes[random.int(0...bytes.count - 1)] = UInt8(random.int(0...255)) }
        return random.oneIn(4) ? Array(bytes.prefix(random.int(0...bytes.count))) : bytes
    }

    @Test func brokenJSONSaysSo() {
        #expect(throws: ControlError.self) { try ControlCodec.decode(ControlRequest.self, bytes("{\"dance\":{}}")) }
        #expect(throws: ControlError.self) { try ControlCodec.decode(ControlReply.self, []) }
    }
}
