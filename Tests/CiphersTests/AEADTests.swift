import Bytes
import Ciphers
import Testing
import TestSupport

@Suite struct AEADTests {
    // Spans are taken of named values only: the compiler fails on those of temporary ones where an error may be thrown.
    private func nonce(_ text: String) throws -> AEADNonce {
        let bytes = hex(text)
        return try AEADNonce(bytes.rawSpan)
    }

    /// RFC 8439, section 2.8.2.
    @Test func chaCha20Poly1305Vector() throws {
        let key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
        let nonce = try nonce("070000004041424344454647")
        let associated = hex("50515253c0c1c2c3c4c5c6c7")
        let plaintext = Array(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.".utf8)
        let aead = try AEADKey(.chaCha20Poly1305, key: key.rawSpan)
        let sealed = try aead.seal(plaintext.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
        #expect(
            sealed
                == hex(
                    """
                    d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
                    92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116
                    1ae10b594f09e26a7e902ecbd0600691
                    """))
        let opened = aead.open(sealed.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
        #expect(opened == plaintext)
        let openedWithoutAssociated = aead.open(sealed.rawSpan, nonce: nonce, authenticating: RawSpan())
        #expect(openedWithoutAssociated == nil)
    }

    /// NIST's test case 14 of GCM: key and nonce of zeros, 16 bytes of zeros.
    @Test func aes256GCMVector() throws {
        let key = [UInt8](repeating: 0, count: 32)
        let aead = try AEADKey(.aes256GCM, key: key.rawSpan)
        let zeros = [UInt8](repeating: 0, count: 16)
        let sealed = try aead.seal(zeros.rawSpan, nonce: AEADNonce(bigEndianCounter: 0), authenticating: RawSpan())
        #expect(sealed == hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"))
    }

    @Test func noncesOfCounters() throws {
        let little = try nonce("000000000807060504030201")
        let big = try nonce("000000000102030405060708")
        for (counterNonce, nonce) in [
            (AEADNonce(littleEndianCounter: 0x0102_0304_0506_0708), little), (AEADNonce(bigEndianCounter: 0x0102_0304_0506_0708), big),
        ] {
            let (key, message) = ([UInt8](repeating: 7, count: 32), [1, 2, 3] as [UInt8])
            let aead = try AEADKey(.chaCha20Poly1305, key: key.rawSpan)
            let one = try aead.seal(message.rawSpan, nonce: counterNonce, authenticating: RawSpan())
            let other = try aead.seal(message.rawSpan, nonce: nonce, authenticating: RawSpan())
            #expect(one == other)
        }
    }

    @Test func wrongSizesAreRefused() {
        func useKey(_ bytes: [UInt8]) throws { _ = try AEADKey(.chaCha20Poly1305, key: bytes.rawSpan) }
        func useNonce(_ bytes: [UInt8]) throws { _ = try AEADNonce(bytes.rawSpan) }
        #expect(throws: CipherError.wrongByteCount(31, expected: 32)) { try useKey([UInt8](repeating: 0, count: 31)) }
        #expect(throws: CipherError.wrongByteCount(8, expected: 12)) { try useNonce([UInt8](repeating: 0, count: 8)) }
    }

    /// What one way of sealing makes, each way of opening opens: from a gather or a span, whole or in pieces, in place or elsewhere.
    @Test(arguments: [AEADKey.Algorithm.chaCha20Poly1305, .aes256GCM], SeededGenerator.seeds(12))
    func allWaysAgree(algorithm: AEADKey.Algorithm, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let key = random.bytes(32)
        let aead = try AEADKey(algorithm, key: key.rawSpan)
        for counter in 0..<20 as Range<UInt64> {
            let plaintext = random.bytes(random.size(upTo: 70_000))
            let nonce = AEADNonce(littleEndianCounter: counter)
            let associated = random.bytes(random.oneIn(2) ? 0 : random.int(1...50))
            let expected = try aead.seal(plaintext.rawSpan, nonce: nonce, authenticating: associated.rawSpan)

            let offset = random.int(0...100)
            let block = Block(capacity: offset + expected.count + random.int(0...50))
            var gather = gathered(plaintext, &random)
            var cursor = Gather.Cursor()
            try aead.seal(
                &gather, from: &cursor, byteCount: plaintext.count, nonce: nonce, authenticating: associated.rawSpan, into: block, at: offset)
            let (read, left) = (cursor.byteCount, gather.byteCount)
            #expect(read == plaintext.count && left == plaintext.count)
            let range = offset..<offset + expected.count
            #expect(block.bytes(range).array() == expected)

            let opened = aead.open(expected.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
            #expect(opened == plaintext)
            let isAuthentic = aead.open(block, range, nonce: nonce, authenticating: associated.rawSpan)
            #expect(isAuthentic && block.bytes(offset..<offset + plaintext.count).array() == plaintext)
            try openPieces(aead, expected, plaintext, nonce, associated, &random)
        }
    }

    private func gathered(_ bytes: [UInt8], _ random: inout SeededGenerator) -> Gather {
        var gather = Gather()
        var offset = 0
        while offset < bytes.count {
            let count = min(random.size(upTo: 40_000), bytes.count - offset)
            gather.endFrame(tag: 0, payload: Slice(copying: Array(bytes[offset..<offset + count])))
            offset += count
        }
        return gather
    }

    private func openPieces(
        _ aead: borrowing AEADKey, _ sealed: [UInt8], _ plaintext: [UInt8], _ nonce: AEADNonce, _ associated: [UInt8],
        _ random: inout SeededGenerator
    ) throws {
        let block = Block(capacity: plaintext.count)
        try aead.beginOpening(nonce: nonce, authenticating: associated.rawSpan)
        var offset = 0
        while offset < plaintext.count {
            let count = min(random.size(upTo: 20_000), plaintext.count - offset)
            try aead.openPiece(sealed.rawSpan.extracting(offset..<offset + count), into: block, at: offset)
            offset += count
        }
        let isAuthentic = aead.finishOpening(tag: sealed.rawSpan.extracting(plaintext.count..<sealed.count))
        #expect(isAuthentic && block.bytes(0..<plaintext.count).array() == plaintext)
    }

    @Test func everyBitIsAuthenticated() throws {
        let key = [UInt8](repeating: 7, count: 32)
        let (message, associated) = ([1, 2, 3, 4, 5] as [UInt8], [9] as [UInt8])
        let aead = try AEADKey(.chaCha20Poly1305, key: key.rawSpan)
        let nonce = AEADNonce(littleEndianCounter: 3)
        let sealed = try aead.seal(message.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
        for bit in 0..<sealed.count * 8 {
            var falsified = sealed
            falsified[bit / 8] ^= 1 << UInt8(bit % 8)
            let opened = aead.open(falsified.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
            #expect(opened == nil)
            let block = Block(copying: falsified.rawSpan)
            let isAuthentic = aead.open(block, 0..<sealed.count, nonce: nonce, authenticating: associated.rawSpan)
            #expect(!isAuthentic)
        }
        // The key is of use after a failure as before.
        let opened = aead.open(sealed.rawSpan, nonce: nonce, authenticating: associated.rawSpan)
        #expect(opened == message)
        for count in 0..<sealed.count {
            let opened = aead.open(sealed.rawSpan.extracting(0..<count), nonce: nonce, authenticating: associated.rawSpan)
            #expect(opened == nil)
        }
    }
}
