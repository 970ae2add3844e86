import Bytes
import Ciphers
import Testing

@Suite struct HashTests {
    // Spans are taken of named values only: the compiler fails on those of temporary ones where an error may be thrown.
    private func sha256(_ first: [UInt8], _ second: [UInt8] = []) throws -> [UInt8] { try SHA256.hash(first.rawSpan, second.rawSpan) }
    private func hmac(_ first: String, _ second: String = "", key: [UInt8]) throws -> [UInt8] {
        let (first, second) = (Array(first.utf8), Array(second.utf8))
        let tag = try HMACSHA256.authenticate(first.rawSpan, second.rawSpan, key: key.rawSpan)
        return tag.bytes.array()
    }

    /// FIPS 180-4, the examples "abc" and the empty message.
    @Test func sha256Vectors() throws {
        #expect(try sha256([]) == hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
        let expected = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(try sha256(Array("abc".utf8)) == expected)
        #expect(try sha256(Array("a".utf8), Array("bc".utf8)) == expected)
    }

    /// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
    @Test func hmacVectors() throws {
        let first = try hmac("Hi There", key: [UInt8](repeating: 0x0b, count: 20))
        #expect(first == hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"))
        let second = try hmac("what do ya want ", "for nothing?", key: Array("Jefe".utf8))
        #expect(second == hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"))
        let sixth = try hmac("Test Using Larger Than Block-Size Key - Hash Key First", key: [UInt8](repeating: 0xaa, count: 131))
        #expect(sixth == hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"))
    }

    /// RFC 5869, test case 3: no salt and no info, which is what this form of HKDF can express. 42 bytes are 1.3 outputs.
    @Test func hkdfVector() throws {
        let expected = hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
        let input = [UInt8](repeating: 0x0b, count: 22)
        let noSalt = Secret(copying: RawSpan())
        let (one, two) = try HKDF.two(chainingKey: noSalt, input: input.rawSpan)
        #expect(one.bytes.array() == Array(expected.prefix(32)))
        #expect(Array(two.bytes.array().prefix(10)) == Array(expected.suffix(10)))
        let (first, second, third) = try HKDF.three(chainingKey: noSalt, input: input.rawSpan)
        #expect(first.bytes.array() == one.bytes.array() && second.bytes.array() == two.bytes.array())
        #expect(third.byteCount == 32 && third.bytes.array() != second.bytes.array())
    }

    @Test func randomBytesDiffer() throws {
        #expect(try SecureRandom.bytes(0).isEmpty)
        #expect(try SecureRandom.bytes(32) != SecureRandom.bytes(32))
    }
}
