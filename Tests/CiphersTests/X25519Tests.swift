import Bytes
import Ciphers
import Testing

@Suite struct X25519Tests {
    /// RFC 7748, section 6.1.
    @Test func vector() throws {
        let alice = try pair(hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
        let bob = try pair(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
        #expect(alice.publicKey == hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"))
        #expect(bob.publicKey == hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        #expect(try secret(alice, bob.publicKey) == shared)
        #expect(try secret(bob, alice.publicKey) == shared)
    }

    @Test func bothEndsAgree() throws {
        let one = try X25519Key()
        let other = try X25519Key()
        #expect(one.publicKey != other.publicKey)
        #expect(try secret(one, other.publicKey) == secret(other, one.publicKey))
    }

    // Spans are taken of named values only: the compiler fails on those of temporary ones where an error may be thrown.
    private func pair(_ privateKey: [UInt8]) throws -> X25519Key { try X25519Key(privateKey: privateKey.rawSpan) }
    private func secret(_ own: X25519Key, _ publicKey: [UInt8]) throws -> [UInt8] {
        let secret = try own.sharedSecret(with: publicKey.rawSpan)
        return secret.bytes.array()
    }

    /// Points of small order: zero, one, and two of order eight. With any of them the secret would be zeros.
    @Test(arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]) func weakPublicKeys(point: String) throws {
        let key = try X25519Key()
        #expect(throws: CipherError.weakPublicKey) { try secret(key, hex(point)) }
    }

    @Test func wrongSizes() throws {
        let key = try X25519Key()
        #expect(throws: CipherError.wrongByteCount(31, expected: 32)) { try secret(key, [UInt8](repeating: 9, count: 31)) }
        #expect(throws: CipherError.wrongByteCount(33, expected: 32)) { try pair([UInt8](repeating: 9, count: 33)) }
    }
}
