import Bytes
import Ciphers
import Foundation
import Testing

/// Keys that others published, as libp2p's messages `PrivateKey` and `PublicKey`: type, then data.
struct KeyVectors: Decodable {
    struct Pair: Decodable {
        let type: String
        let `private`: String
        let `public`: String
    }

    struct Signed: Decodable {
        let type: String
        let `private`: String
        let `public`: String
        let signature: String
    }

    let message: String
    let keys: [Pair]
    let signatures: [Signed]

    static func read() throws -> KeyVectors {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try JSONDecoder().decode(KeyVectors.self, from: Data(contentsOf: folder.appending(path: "Vectors/identity-keys.json")))
    }

    /// Takes the message apart: field 1 is the type, field 2 the data.
    static func parts(_ message: String) throws -> (IdentityKeyType, [UInt8]) {
        let bytes = hex(message)
        #expect(bytes[0] == 0x08 && bytes[2] == 0x12)
        let type = try #require(IdentityKeyType(rawValue: UInt64(bytes[1])))
        guard case .value(let count, let byteCount) = Varint.read(bytes.rawSpan, at: 3) else { throw CipherError.malformedKey(type) }
        #expect(bytes.count == 3 + byteCount + Int(count))
        return (type, Array(bytes[(3 + byteCount)...]))
    }
}

// Spans are taken of named values only: the compiler fails on those of temporary ones where an error may be thrown.
private func publicKey(_ type: IdentityKeyType, _ data: [UInt8]) throws -> IdentityPublicKey { try IdentityPublicKey(type, keyData: data.rawSpan) }
private func privateKey(_ type: IdentityKeyType, _ data: [UInt8]) throws -> IdentityKey { try IdentityKey(type, keyData: data.rawSpan) }

extension IdentityKey {
    fileprivate func keyBytes() throws -> [UInt8] {
        let secret = try keyData()
        return secret.bytes.array()
    }

    fileprivate func signature(_ message: [UInt8]) throws -> [UInt8] { try sign(message.rawSpan) }
}

extension IdentityPublicKey {
    fileprivate func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool { verify(signature.rawSpan, of: message.rawSpan) }
}

@Suite struct IdentityTests {
    @Test func vectorsOfTheSpecification() throws {
        let vectors = try KeyVectors.read()
        #expect(vectors.keys.count == 4)
        for pair in vectors.keys {
            let (type, privateData) = try KeyVectors.parts(pair.private)
            let (publicType, publicData) = try KeyVectors.parts(pair.public)
            #expect(type == publicType)
            let key = try privateKey(type, privateData)
            #expect(key.publicKey.keyData == publicData)
            #expect(try key.keyBytes() == privateData)
            let theirs = try publicKey(type, publicData)
            #expect(theirs == key.publicKey)
            let message = Array("anything".utf8)
            let signature = try key.signature(message)
            #expect(theirs.verifies(signature, of: message))
        }
    }

    /// Keys and signatures made by go-libp2p.
    @Test func signaturesOfOthers() throws {
        let vectors = try KeyVectors.read()
        let message = Array(vectors.message.utf8)
        #expect(vectors.signatures.count == 3)
        for signed in vectors.signatures {
            let (type, publicData) = try KeyVectors.parts(signed.public)
            let theirs = try publicKey(type, publicData)
            let signature = hex(signed.signature)
            #expect(theirs.verifies(signature, of: message), "\(type)")
            let (_, privateData) = try KeyVectors.parts(signed.private)
            let key = try privateKey(type, privateData)
            #expect(key.publicKey == theirs)
            // PKCS #1 v1.5 is the only one of these three that has no random part here.
            if type == .rsa { #expect(try key.signature(message) == signature) }
        }
    }

    /// RFC 8032, section 7.1, test 2.
    @Test func ed25519Vector() throws {
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
        let publicKey = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        let key = try privateKey(.ed25519, (seed + publicKey))
        let signature = try key.signature([0x72])
        #expect(
            signature
                == hex(
                    """
                    92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
                    """))
        #expect(key.publicKey.verifies(signature, of: [0x72]))
        #expect(!key.publicKey.verifies(signature, of: [0x73]))
        // Files of old versions hold the public key twice.
        let old = try privateKey(.ed25519, (seed + publicKey + publicKey))
        #expect(old.publicKey == key.publicKey)
        var wrong = publicKey
        wrong[3] ^= 1
        #expect(throws: CipherError.mismatchedKeyPair) { _ = try privateKey(.ed25519, (seed + wrong)) }
        #expect(throws: CipherError.mismatchedKeyPair) { _ = try privateKey(.ed25519, (seed + publicKey + wrong)) }
        #expect(throws: CipherError.malformedKey(.ed25519)) { _ = try privateKey(.ed25519, seed) }
    }

    @Test(arguments: IdentityKeyType.allCases) func generatedKeys(type: IdentityKeyType) throws {
        let key = try IdentityKey(generating: type)
        let privateData = try key.keyBytes()
        let again = try privateKey(type, privateData)
        #expect(again.publicKey == key.publicKey)
        let publicData = key.publicKey.keyData
        let theirs = try publicKey(type, publicData)
        let other = try IdentityKey(generating: type)
        #expect(other.publicKey != theirs)
        for length in [0, 1, 56, 1000] {
            let message = [UInt8](repeating: 0x5a, count: length)
            let signature = try again.signature(message)
            #expect(theirs.verifies(signature, of: message))
            #expect(!other.publicKey.verifies(signature, of: message))
            var falsified = signature
            falsified[falsified.count - 1] ^= 1
            #expect(!theirs.verifies(falsified, of: message))
            #expect(!theirs.verifies(signature, of: message + [0]))
            #expect(!theirs.verifies(Array(signature.dropLast()), of: message))
            #expect(!theirs.verifies([], of: message))
        }
    }

    /// BIP 62: the larger of two equivalent values of `s` is never sent, half of all signatures would have it.
    @Test func secp256k1SignsWithTheLowValue() throws {
        let key = try IdentityKey(generating: .secp256k1)
        for number in 0..<40 as Range<UInt8> {
            let signature = try key.signature([number])
            // SEQUENCE, INTEGER r, INTEGER s: the low half of the values has 32 bytes at most and begins below 0x80.
            let lengthOfR = Int(signature[3])
            let s = signature[(4 + lengthOfR + 2)...]
            #expect(s.count <= 32 && (s.count < 32 || s.first.map { $0 < 0x80 } == true))
            #expect(key.publicKey.verifies(signature, of: [number]))
        }
    }

    /// Everything that is not the one encoding of a key is refused: cut, longer, with any bit of its frame changed.
    @Test(arguments: IdentityKeyType.allCases) func encodingsThatAreNone(type: IdentityKeyType) throws {
        let good = try IdentityKey(generating: type).publicKey.keyData
        for count in 0..<good.count {
            #expect(throws: CipherError.self) { _ = try publicKey(type, Array(good.prefix(count))) }
        }
        #expect(throws: CipherError.malformedKey(type)) { _ = try publicKey(type, (good + [0])) }
        for bit in 0..<good.count * 8 {
            var falsified = good
            falsified[bit / 8] ^= 1 << UInt8(bit % 8)
            // It may be another key; if so, it is its canonical form.
            if let key = try? publicKey(type, falsified) { #expect(key.keyData == falsified && key.type == type) }
        }
        let long = [UInt8](repeating: 0x30, count: 5000)
        #expect(throws: CipherError.malformedKey(type)) { _ = try publicKey(type, long) }
        #expect(throws: CipherError.malformedKey(type)) { _ = try privateKey(type, [0x30, 0x80, 0]) }
        #expect(throws: CipherError.malformedKey(type)) { _ = try privateKey(type, []) }
    }

    @Test func rsaSizes() throws {
        #expect(throws: CipherError.keySizeRefused(bits: 1024, allowed: 2048...8192)) { _ = try IdentityKey(generating: .rsa, rsaBits: 1024) }
        // SubjectPublicKeyInfo with a modulus of 1,024 bits and the exponent 65,537.
        let prefix = hex("30819f300d06092a864886f70d010101050003818d003081890281 8100")
        let small = prefix + [UInt8](repeating: 0xc5, count: 128) + hex("0203010001")
        #expect(throws: CipherError.keySizeRefused(bits: 1024, allowed: 2048...8192)) { _ = try publicKey(.rsa, small) }
        // The same with 2,048 bits and an exponent of 32.
        let large = hex("30820125300d06092a864886f70d01010105000382011200 3082010d0282010100") + [UInt8](repeating: 0xc5, count: 256) + hex("020700ffffffffff01")
        #expect(throws: CipherError.self) { _ = try publicKey(.rsa, large) }
    }

    /// A P-256 key is not taken for one of another curve, nor with a public part that is not its own.
    @Test func ecdsaKeysOfOtherCurves() throws {
        let vectors = try KeyVectors.read()
        let pair = try #require(vectors.keys.first { $0.type == "ecdsa" })
        var (_, data) = try KeyVectors.parts(pair.private)
        let last = data.count - 1
        data[last] ^= 1
        #expect(throws: CipherError.malformedKey(.ecdsa)) { _ = try privateKey(.ecdsa, data) }
        var (_, publicData) = try KeyVectors.parts(pair.public)
        // The curve's object identifier: P-256 is 1.2.840.10045.3.1.7.
        publicData[22] = 6
        #expect(throws: CipherError.malformedKey(.ecdsa)) { _ = try publicKey(.ecdsa, publicData) }
    }
}
