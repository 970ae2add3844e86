import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct PeerIDTests {
    /// Each line is one peer: base 58 first, then CIDs. From the libp2p specification and go-multiaddr's tests.
    @Test(arguments: [
        ["QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"],
        ["12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"],
        ["QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC", "k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl7"],
        [
            "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV", "k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs",
            "bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u",
        ],
    ])
    func bothFormsNameOnePeer(texts: [String]) throws {
        let peerID = try PeerID(texts[0])
        #expect(peerID.description == texts[0])
        for text in texts.dropFirst() {
            #expect(try PeerID(text) == peerID)
            let base = try Multibase.decode(text).base
            #expect(peerID.cidText(in: base) == text)
        }
        let bytes = peerID.bytes
        #expect(try PeerID(bytes: bytes.rawSpan) == peerID)
        for base in Multibase.allCases { #expect(try PeerID(peerID.cidText(in: base)) == peerID) }
    }

    static let refused: [(String, MultiformatError)] = [
        ("", .notAPeerID("")), ("?", .notAPeerID("?")), ("Rubbish", .notAPeerID("Rubbish")),
        ("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S0", .characterOutsideAlphabet(.base58btc, offset: 51)),
        ("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S", .tooLarge(.multihash, byteCount: 1055, limitBytes: 128)),
        ("1", .truncated(.multihash)),
        // A SHA-256 that claims to be longer (go-multiaddr's tests).
        ("QmxoHT6iViN5xAjoz1VZ553cL31U9F94ht3QvWR1FrEbZY", .wrongDigestLength(code: 0x12, byteCount: 33, expected: 32)),
        // The codec is that of DAGs, not that of keys (go-multiaddr's tests).
        ("k2jmtxwoe2phm1hbqp0e7nufqf6umvuu2e9qd7ana7h411a0haqj6i2z", .notALibp2pKey(codec: 0x70)),
        ("k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl-", .characterOutsideAlphabet(.base36, offset: 54)),
        ("f0072", .unsupportedCIDVersion(0)), ("f0172", .truncated(.multihash)), ("f01", .truncated(.peerID)),
        ("f017211", .truncated(.multihash)), ("f017213020102", .wrongDigestLength(code: 0x13, byteCount: 2, expected: 64)),
        ("f017215020102", .unsupportedPeerIDHash(code: 0x15)), ("f0172000101ff", .trailingBytes(.multihash, byteCount: 1)),
    ]

    @Test(arguments: refused)
    func refusals(text: String, error: MultiformatError) {
        #expect(throws: error) { try PeerID(text) }
    }

    /// Two zero bytes are an identity hash of nothing: a multihash, and so an ID, though of no key.
    @Test func anIDNeedNotHoldAKey() throws {
        let empty = try PeerID("11")
        #expect(empty.bytes == [0, 0])
        #expect(throws: MultiformatError.missingField(.publicKey, number: 1)) { try empty.inlinePublicKey() }
    }

    @Test func sizesAreLimited() throws {
        let largest = try PeerID(Multihash(.identity, digest: [UInt8](repeating: 0xFF, count: 42)))
        for base in Multibase.allCases { #expect(largest.cidText(in: base).utf8.count <= 93) }
        #expect(throws: MultiformatError.tooLarge(.peerID, byteCount: 43, limitBytes: 42)) {
            try PeerID(Multihash(.identity, digest: [UInt8](repeating: 1, count: 43)))
        }
        #expect(throws: MultiformatError.tooLarge(.peerID, byteCount: 129, limitBytes: 128)) { try PeerID(String(repeating: "1", count: 129)) }
        #expect(throws: MultiformatError.unsupportedPeerIDHash(code: 0x13)) {
            try PeerID(Multihash(.sha512, digest: [UInt8](repeating: 1, count: 64)))
        }
    }

    /// Invalid bytes of go-multiaddr's tests, without the component's code and length.
    @Test func badBytesAreRefused() {
        let bytes = hex("1221c05877cbae039d70a5e600ea02c6f9f2942439285c9e344e26f8d280c850fad6")
        #expect(throws: MultiformatError.wrongDigestLength(code: 0x12, byteCount: 33, expected: 32)) { try PeerID(bytes: bytes.rawSpan) }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let isHash = random.oneIn(2)
            let hash = try Multihash(isHash ? .sha256 : .identity, digest: random.bytes(isHash ? 32 : random.int(0...42)))
            let peerID = try PeerID(hash)
            // An identity hash begins with a zero byte, a SHA-256 with 0x12 0x20: in base 58 that is "1" and "Qm".
            #expect(try PeerID(peerID.description) == peerID)
            #expect(try PeerID(peerID.cidText()) == peerID)
        }
    }
}
