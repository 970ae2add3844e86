import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct KeyTests {
    @Test(arguments: KeyVector.all) func vectorsGoThereAndBack(vector: KeyVector) throws {
        let publicBytes = hex(vector.publicKey)
        let publicKey = try PublicKey(encoded: publicBytes.rawSpan)
        #expect(publicKey.type == vector.type)
        #expect(hexText(publicKey.encoded) == vector.publicKey)
        let privateBytes = hex(vector.privateKey)
        let privateKey = try PrivateKey(encoded: privateBytes.rawSpan)
        #expect(privateKey.type == vector.type)
        #expect(hexText(privateKey.encoded) == vector.privateKey)
        // The public half of an Ed25519 pair stands in the private key.
        if vector.type == .ed25519 { #expect(Array(privateKey.data[32...]) == publicKey.data) }
    }

    @Test(arguments: KeyVector.all) func keysHavePeerIDs(vector: KeyVector) throws {
        let publicBytes = hex(vector.publicKey)
        let key = try PublicKey(encoded: publicBytes.rawSpan)
        var hashed: [[UInt8]] = []
        let peerID = PeerID(of: key) { bytes in
            hashed.append(bytes.array())
            return hex(vector.sha256)
        }
        #expect(peerID.description == vector.peerID)
        #expect(peerID.cidText() == vector.cid)
        let isLong = publicBytes.count > PeerID.inlineKeyByteCountMax
        #expect(hashed == (isLong ? [publicBytes] : []))
        #expect(try peerID.inlinePublicKey() == (isLong ? nil : key))
    }

    @Test func wrongDigestsAreAMistake() async {
        await #expect(processExitsWith: .failure) {
            let key = try PublicKey(.rsa, data: [UInt8](repeating: 1, count: 100))
            _ = PeerID(of: key) { _ in [1, 2, 3] }
        }
    }

    static let ed25519 = [UInt8](repeating: 7, count: 32)

    static let refused: [(String, MultiformatError)] = [
        ("", .missingField(.publicKey, number: 1)), ("1200", .missingField(.publicKey, number: 1)),
        ("0801", .missingField(.publicKey, number: 2)), ("08", .truncated(.protobuf)), ("0801122007", .truncated(.protobuf)),
        ("08041201aa", .unknownKeyType(4)), ("0aff", .truncated(.protobuf)), ("0a01011201aa", .wrongWireType(field: 1)),
        ("08011005", .wrongWireType(field: 2)), ("0801121f" + String(repeating: "07", count: 31), .wrongKeyLength(.ed25519, byteCount: 31)),
        ("08001200", .wrongKeyLength(.rsa, byteCount: 0)), ("08021201aa", .wrongKeyLength(.secp256k1, byteCount: 1)),
        // An uncompressed point would give its key a second peer ID.
        ("0802124104" + String(repeating: "07", count: 64), .wrongKeyLength(.secp256k1, byteCount: 65)),
        ("08031200", .wrongKeyLength(.ecdsa, byteCount: 0)),
        // Section "Keys": the shortest form, in order, once, nothing else.
        ("0881001220" + String(repeating: "07", count: 32), .notDeterministic(.publicKey)),
        ("080112a000" + String(repeating: "07", count: 32), .notDeterministic(.publicKey)),
        ("1220" + String(repeating: "07", count: 32) + "0801", .notDeterministic(.publicKey)),
        ("080108011220" + String(repeating: "07", count: 32), .notDeterministic(.publicKey)),
        ("08011220" + String(repeating: "07", count: 32) + "1801", .notDeterministic(.publicKey)),
    ]

    @Test(arguments: refused)
    func refusals(text: String, error: MultiformatError) {
        let bytes = hex(text)
        #expect(throws: error) { try PublicKey(encoded: bytes.rawSpan) }
        #expect(!error.description.isEmpty)
    }

    @Test func sizesAreLimited() throws {
        let largest = try PublicKey(.rsa, data: [UInt8](repeating: 1, count: PublicKey.dataByteCountMax))
        let bytes = largest.encoded
        #expect(try PublicKey(encoded: bytes.rawSpan) == largest)
        #expect(throws: MultiformatError.tooLarge(.publicKey, byteCount: 2049, limitBytes: 2048)) {
            try PublicKey(.ecdsa, data: [UInt8](repeating: 1, count: 2049))
        }
        let long = [UInt8](repeating: 1, count: 2055)
        #expect(throws: MultiformatError.tooLarge(.publicKey, byteCount: 2055, limitBytes: 2054)) { try PublicKey(encoded: long.rawSpan) }
        #expect(throws: MultiformatError.tooLarge(.privateKey, byteCount: 8193, limitBytes: 8192)) {
            try PrivateKey(.rsa, data: [UInt8](repeating: 1, count: 8193))
        }
    }

    @Test func olderPrivateKeysHoldThePublicKeyTwice() throws {
        let seed = [UInt8](repeating: 1, count: 32)
        let key = try PrivateKey(.ed25519, data: seed + Self.ed25519 + Self.ed25519)
        #expect(key.data == seed + Self.ed25519)
        #expect(throws: MultiformatError.keyCopiesDiffer) { try PrivateKey(.ed25519, data: seed + Self.ed25519 + seed) }
        #expect(throws: MultiformatError.wrongKeyLength(.ed25519, byteCount: 32)) { try PrivateKey(.ed25519, data: seed) }
        #expect(throws: MultiformatError.wrongKeyLength(.secp256k1, byteCount: 33)) { try PrivateKey(.secp256k1, data: seed + [1]) }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let type = KeyType.allCases[random.int(0...3)]
            let byteCount = type == .ed25519 ? 32 : type == .secp256k1 ? 33 : max(1, random.size(upTo: 2048))
            let key = try PublicKey(type, data: random.bytes(byteCount))
            let bytes = key.encoded
            #expect(try PublicKey(encoded: bytes.rawSpan) == key)
            var broken = bytes
            broken[random.int(0...min(3, bytes.count - 1))] ^= UInt8(random.int(1...255))
            if let other = try? PublicKey(encoded: broken.rawSpan) { #expect(other.encoded == broken) }
        }
    }
}
