import Bytes
import Testing
import TestSupport

@Suite struct CodecTests {
    @Test func bigEndianReads() {
        let bytes: [UInt8] = [0xFF, 1, 2, 3, 4, 5, 6, 7, 8]
        let span = bytes.rawSpan
        #expect(span.bigEndian16(at: 1) == 0x0102)
        #expect(span.bigEndian32(at: 1) == 0x0102_0304)
        #expect(span.bigEndian64(at: 1) == 0x0102_0304_0506_0708)
        #expect(span.littleEndian64(at: 1) == 0x0807_0605_0403_0201)
        #expect(span.byte(at: 0) == 0xFF)
    }

    @Test func readsOutsideTheSpanTrap() async {
        await #expect(processExitsWith: .failure) { _ = ([1, 2, 3] as [UInt8]).rawSpan.bigEndian32(at: 0) }
        await #expect(processExitsWith: .failure) { _ = ([1, 2, 3] as [UInt8]).rawSpan.byte(at: 3) }
    }

    @Test func equality() {
        func same(_ left: [UInt8], _ right: [UInt8]) -> Bool { left.rawSpan.equals(right.rawSpan) }
        #expect(same([1, 2, 3], [1, 2, 3]))
        #expect(!same([1, 2, 3], [1, 2, 4]))
        #expect(!same([1, 2, 3], [1, 2]))
        #expect(same([], []))
    }

    static func read(_ bytes: [UInt8], at offset: Int = 0) -> Varint.Outcome { Varint.read(bytes.rawSpan, at: offset) }

    /// The examples of multiformats/unsigned-varint, and the edges of each length.
    static let vectors: [(UInt64, [UInt8])] = [
        (0, [0]), (1, [1]), (127, [0x7F]), (128, [0x80, 1]), (255, [0xFF, 1]), (300, [0xAC, 2]), (16383, [0xFF, 0x7F]),
        (16384, [0x80, 0x80, 1]),
        ((1 << 63) - 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
    ]

    @Test(arguments: vectors) func varintVectors(_ value: UInt64, _ wire: [UInt8]) {
        var written: [UInt8] = []
        Varint.append(value, to: &written)
        #expect(written == wire)
        #expect(Varint.byteCount(of: value) == wire.count)
        #expect(Self.read(wire) == .value(value, byteCount: wire.count))
        let shifted = [0xEE, 0xEE] + wire + [0xEE]
        #expect(Self.read(shifted, at: 2) == .value(value, byteCount: wire.count))
        for cut in 0..<wire.count {
            let part = Array(wire.prefix(cut))
            #expect(Self.read(part) == .incomplete)
        }
    }

    @Test func varintsThatTheSpecificationForbids() {
        #expect(Self.read([0x81, 0]) == .notMinimal)
        #expect(Self.read([0x80, 0x80, 0]) == .notMinimal)
        #expect(Self.read([UInt8](repeating: 0xFF, count: 9)) == .tooLong)
        #expect(Self.read([UInt8](repeating: 0x80, count: 9) + [1]) == .tooLong)
        #expect(Self.read([UInt8](repeating: 0xFF, count: 8)) == .incomplete)
        #expect(Self.read([]) == .incomplete)
    }

    @Test(arguments: SeededGenerator.seeds(4)) func varintsComeBack(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let value = random.next() >> UInt64(random.int(1...63))
            var wire: [UInt8] = []
            Varint.append(value, to: &wire)
            #expect(wire.count == Varint.byteCount(of: value))
            #expect(Self.read(wire) == .value(value, byteCount: wire.count))
        }
    }
}
