import Multiformats
import TestSupport
import Testing

@Suite struct MultibaseTests {
    /// multiformats/multibase, `tests/basic.csv`, `leading_zero.csv`, `two_leading_zeros.csv`; and the examples of "Base36".
    static let vectors: [(bytes: [UInt8], Multibase, text: String)] = {
        let plain = Array("yes mani !".utf8)
        let basic: [(Multibase, String)] = [
            (.base16, "f796573206d616e692021"), (.base16upper, "F796573206D616E692021"), (.base32, "bpfsxgidnmfxgsibb"),
            (.base32upper, "BPFSXGIDNMFXGSIBB"), (.base36, "k2lcpzo5yikidynfl"), (.base36upper, "K2LCPZO5YIKIDYNFL"),
            (.base58btc, "z7paNL19xttacUY"), (.base64, "meWVzIG1hbmkgIQ"), (.base64url, "ueWVzIG1hbmkgIQ"),
        ]
        let oneZero: [(Multibase, String)] = [
            (.base16, "f00796573206d616e692021"), (.base16upper, "F00796573206D616E692021"), (.base32, "bab4wk4zanvqw42jaee"),
            (.base32upper, "BAB4WK4ZANVQW42JAEE"), (.base36, "k02lcpzo5yikidynfl"), (.base36upper, "K02LCPZO5YIKIDYNFL"),
            (.base58btc, "z17paNL19xttacUY"), (.base64, "mAHllcyBtYW5pICE"), (.base64url, "uAHllcyBtYW5pICE"),
        ]
        let twoZeros: [(Multibase, String)] = [
            (.base16, "f0000796573206d616e692021"), (.base16upper, "F0000796573206D616E692021"), (.base32, "baaahszltebwwc3tjeaqq"),
            (.base32upper, "BAAAHSZLTEBWWC3TJEAQQ"), (.base36, "k002lcpzo5yikidynfl"), (.base36upper, "K002LCPZO5YIKIDYNFL"),
            (.base58btc, "z117paNL19xttacUY"), (.base64, "mAAB5ZXMgbWFuaSAh"), (.base64url, "uAAB5ZXMgbWFuaSAh"),
        ]
        let base36: [([UInt8], String)] = [([0, 1], "k01"), ([0, 0, 0xFF], "k0073"), ([1, 0], "k74"), ([0, 1, 0], "k074")]
        return basic.map { (plain, $0.0, $0.1) } + oneZero.map { ([0] + plain, $0.0, $0.1) } + twoZeros.map { ([0, 0] + plain, $0.0, $0.1) }
            + base36.map { ($0.0, .base36, $0.1) }
    }()

    @Test(arguments: vectors) func vectorsGoThereAndBack(bytes: [UInt8], base: Multibase, text: String) throws {
        #expect(base.text(of: bytes) == text)
        let decoded = try Multibase.decode(text)
        #expect(decoded.base == base)
        #expect(decoded.bytes == bytes)
    }

    /// `case_insensitivity.csv`.
    @Test(arguments: [
        "f68656c6c6f20776F726C64", "F68656c6c6f20776F726C64", "bnbswy3dpeB3W64TMMQ", "Bnbswy3dpeB3W64TMMQ", "kfUvrsIvVnfRbjWaJo", "KfUVrSIVVnFRbJWAJo",
    ])
    func bothSizesOfLettersAreRead(text: String) throws {
        #expect(try Multibase.decode(text).bytes == Array("hello world".utf8))
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for base in Multibase.allCases {
            for _ in 0..<60 {
                var bytes = random.bytes(random.int(0...Multibase.numberByteCountMax))
                for index in bytes.indices.prefix(random.int(0...3)) { bytes[index] = 0 }
                #expect(try base.bytes(ofDigits: base.digits(of: bytes)) == bytes)
                #expect(try Multibase.decode(base.text(of: bytes)).bytes == bytes)
            }
        }
    }

    static let refused: [(String, MultiformatError)] = [
        ("", .unknownBase(prefix: "")), ("?abc", .unknownBase(prefix: "?")), ("Zabc", .unknownBase(prefix: "Z")),
        ("é", .unknownBase(prefix: "é")),
        ("z7pO", .characterOutsideAlphabet(.base58btc, offset: 2)), ("z0", .characterOutsideAlphabet(.base58btc, offset: 0)),
        ("zé", .characterOutsideAlphabet(.base58btc, offset: 0)),
        ("f7g", .characterOutsideAlphabet(.base16, offset: 1)), ("ba1", .characterOutsideAlphabet(.base32, offset: 1)),
        ("uab+/", .characterOutsideAlphabet(.base64url, offset: 2)), ("mab-_", .characterOutsideAlphabet(.base64, offset: 2)),
        ("bpfsxgidnmfxgsibb=", .characterOutsideAlphabet(.base32, offset: 16)), ("k2-", .characterOutsideAlphabet(.base36, offset: 1)),
        // A digit too many or too few.
        ("f7", .impossibleLength(.base16, characterCount: 1)), ("ba", .impossibleLength(.base32, characterCount: 1)),
        ("baaa", .impossibleLength(.base32, characterCount: 3)), ("uA", .impossibleLength(.base64url, characterCount: 1)),
        ("bab", .nonZeroPadding(.base32)), ("uAB", .nonZeroPadding(.base64url)), ("uAAB", .nonZeroPadding(.base64url)),
    ]

    @Test(arguments: refused)
    func refusals(text: String, error: MultiformatError) {
        #expect(throws: error) { try Multibase.decode(text) }
        #expect(!error.description.isEmpty)
    }

    @Test func numbersAreLimited() {
        let limit = Multibase.numberByteCountMax
        let zeros = [UInt8](repeating: UInt8(ascii: "1"), count: limit)
        #expect((try? Multibase.base58btc.bytes(ofDigits: zeros)) == [UInt8](repeating: 0, count: limit))
        #expect(throws: MultiformatError.tooLarge(.multibase, byteCount: UInt64(limit + 1), limitBytes: limit)) {
            try Multibase.base58btc.bytes(ofDigits: zeros + [UInt8(ascii: "1")])
        }
        #expect(throws: MultiformatError.tooLarge(.multibase, byteCount: 1_000_000, limitBytes: limit * 8 / 5)) {
            try Multibase.base36.bytes(ofDigits: [UInt8](repeating: UInt8(ascii: "z"), count: 1_000_000))
        }
    }

    @Test func tooLongANumberIsAMistake() async {
        await #expect(processExitsWith: .failure) {
            _ = Multibase.base58btc.digits(of: [UInt8](repeating: 1, count: Multibase.numberByteCountMax + 1))
        }
    }
}
