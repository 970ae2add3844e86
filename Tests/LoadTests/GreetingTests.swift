import Bytes
@testable import Load
import Testing
import TestSupport

@Suite struct GreetingTests {
    private func decode(_ bytes: [UInt8]) throws(GreetingError) -> Greeting { try Greeting(decoding: Slice(copying: bytes).bytes) }

    @Test func goesThereAndBack() throws {
        for role in [Greeting.Role.control, .data] {
            let greeting = Greeting(role: role, connection: .max - 1, streamBase: .max - 2, token: 0x0123_4567_89ab_cdef)
            #expect(greeting.encoded.count == Greeting.byteCount)
            #expect(try decode(greeting.encoded) == greeting)
            #expect(try decode(greeting.encoded + [1, 2, 3]) == greeting, "what follows is the muxer's")
        }
    }

    @Test func refusalsSayWhy() {
        var bytes = Greeting(role: .data, token: 1).encoded
        #expect(throws: GreetingError.short(byteCount: 31)) { try decode(Array(bytes.dropLast())) }
        #expect(throws: GreetingError.short(byteCount: 0)) { try decode([]) }
        bytes[8] = 9
        #expect(throws: GreetingError.unknownRole(9)) { try decode(bytes) }
        bytes[8] = 1
        bytes[9] = 200
        #expect(throws: GreetingError.unknownVersion(200)) { try decode(bytes) }
        #expect(throws: GreetingError.foreign) { try decode(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)) }
        #expect(GreetingError.short(byteCount: 5).description.contains("5 of the greeting's 32"))
        #expect(GreetingError.unknownVersion(200).description.contains("200"))
    }

    @Test(arguments: SeededGenerator.seeds(5))
    func randomBytesAreForeign(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1000 {
            var bytes = random.bytes(random.int(0...64))
            // Now and then something that nearly is one.
            if random.oneIn(2) { bytes = Array(Greeting(role: .data, token: 1).encoded.prefix(random.int(0...32))) + bytes }
            if !bytes.isEmpty, random.oneIn(2) { bytes[random.int(0...bytes.count - 1)] ^= UInt8(random.int(0...255)) }
            if let greeting = try? decode(bytes) {
                #expect(greeting.encoded.prefix(10) == bytes.prefix(10)[...], "seed \(seed)")
            }
        }
    }
}
