import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct MultihashTests {
    /// multiformats/multihash, `tests/values/test_cases.csv`; those whose digest is whole.
    @Test(arguments: [
        (Multihash.Code.sha256, "1220ffb31f07aa15348368c90c73a834dbf9f8710365860fa0fd4ddce9ac2782cc17"),
        (.sha256, "12203afa34fba2f3572ac56d80f52002e8727dd95f17a2e7c9376a3147a96d3e78ac"),
        (
            .sha512,
            "1340abffa1926b038a2f1833092d93859ba2ee56e07a86b158200fc7d4d5d1eaf350b0f0e511ea6f5043a9f4a7c7886f93355652114709d75b2db4c33741124fd4fe"
        ),
        (.identity, "0003010203"), (.identity, "0000"),
        // Functions whose digests nobody here looks into: sha1, and md5 as a certificate hash of go-multiaddr's tests has it.
        (.init(rawValue: 0x11), "1114e861e452cfd84dca9a176258c3d06e020a0c93d8"),
        (.init(rawValue: 0xD5), "d5011070ec311055dbb6d57a4f2d3d6a8a4d9e"),
    ])
    func vectorsGoThereAndBack(code: Multihash.Code, text: String) throws {
        let bytes = hex(text)
        let hash = try Multihash(bytes: bytes.rawSpan)
        #expect(hash.code == code)
        #expect(hexText(hash.bytes) == text)
        #expect(try Multihash(code, digest: hash.digest) == hash)
    }

    static let refused: [(String, MultiformatError)] = [
        ("", .truncated(.multihash)), ("12", .truncated(.multihash)), ("80", .truncated(.multihash)),
        ("1220ff", .truncated(.multihash)), ("0003ffff", .truncated(.multihash)),
        // The test cases of the specification include digests cut short.
        ("120affb31f07aa15348368c9", .wrongDigestLength(code: 0x12, byteCount: 10, expected: 32)),
        ("1320abffa1926b038a2f1833", .wrongDigestLength(code: 0x13, byteCount: 32, expected: 64)),
        ("1221", .wrongDigestLength(code: 0x12, byteCount: 33, expected: 32)),
        ("00ffffffffffffffff7f", .tooLarge(.multihash, byteCount: 0x7FFF_FFFF_FFFF_FFFF, limitBytes: 128)),
        ("00ffffffffffffffffff01", .malformedVarint(.multihash, .tooLong)), ("8000", .malformedVarint(.multihash, .notMinimal)),
        ("008000", .malformedVarint(.multihash, .notMinimal)), ("000101ee", .trailingBytes(.multihash, byteCount: 1)),
    ]

    @Test(arguments: refused)
    func refusals(text: String, error: MultiformatError) {
        let bytes = hex(text)
        #expect(throws: error) { try Multihash(bytes: bytes.rawSpan) }
    }

    @Test func digestsAreMeasured() {
        #expect(throws: MultiformatError.wrongDigestLength(code: 0x12, byteCount: 31, expected: 32)) {
            try Multihash(.sha256, digest: [UInt8](repeating: 1, count: 31))
        }
        #expect(throws: MultiformatError.tooLarge(.multihash, byteCount: 129, limitBytes: 128)) {
            try Multihash(.identity, digest: [UInt8](repeating: 1, count: 129))
        }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let code = Multihash.Code(rawValue: random.next() >> UInt64(random.int(1...63)))
            let hash = try Multihash(code, digest: random.bytes(code.digestByteCount ?? random.int(0...128)))
            let bytes = hash.bytes
            #expect(try Multihash(bytes: bytes.rawSpan) == hash)
            for cut in 0..<bytes.count {
                let part = Array(bytes.prefix(cut))
                #expect(throws: MultiformatError.truncated(.multihash)) { try Multihash(bytes: part.rawSpan) }
            }
        }
    }
}
