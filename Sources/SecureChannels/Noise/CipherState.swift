import Bytes
import Ciphers

/// A key and the number of messages it has been used for (Noise specification, section 5.1).
///
/// Call order: any of the ways to seal or open a message, each using up one nonce. A message that arrives in pieces takes three calls, with
/// nothing else between them.
///
/// Invariant: no nonce is used twice; the last one, 2^64 - 1, never is.
struct CipherState: ~Copyable {
    private let key: AEADKey
    /// The number of the next message.
    private(set) var nonce: UInt64 = 0

    init(key: Secret) throws(SecureChannelError) {
        do {
            self.key = try AEADKey(.chaCha20Poly1305, key: key.bytes)
        } catch {
            throw .library(error)
        }
    }

    /// For the test of what happens at the end of the numbers (`SetNonce` in the specification).
    mutating func setNonce(_ nonce: UInt64) { self.nonce = nonce }

    private mutating func takeNonce() throws(SecureChannelError) -> AEADNonce {
        guard nonce < .max else { throw .nonceExhausted }
        defer { nonce += 1 }
        return AEADNonce(littleEndianCounter: nonce)
    }

    // MARK: Handshake messages

    /// `EncryptWithAd`.
    mutating func encrypt(_ plaintext: RawSpan, associated: RawSpan) throws(SecureChannelError) -> [UInt8] {
        let nonce = try takeNonce()
        do {
            return try key.seal(plaintext, nonce: nonce, authenticating: associated)
        } catch {
            throw .library(error)
        }
    }

    /// `DecryptWithAd`; nil when the ciphertext is not authentic.
    mutating func decrypt(_ ciphertext: RawSpan, associated: RawSpan) throws(SecureChannelError) -> [UInt8]? {
        key.open(ciphertext, nonce: try takeNonce(), authenticating: associated)
    }

    // MARK: Transport messages

    /// Encrypts the next `byteCount` bytes of `gather` behind `cursor` into `block` at `offset`, with the tag behind them.
    mutating func seal(
        _ gather: inout Gather, from cursor: inout Gather.Cursor, byteCount: Int, into block: Block, at offset: Int
    ) throws(SecureChannelError) {
        let nonce = try takeNonce()
        do {
            try key.seal(&gather, from: &cursor, byteCount: byteCount, nonce: nonce, authenticating: RawSpan(), into: block, at: offset)
        } catch {
            throw .library(error)
        }
    }

    /// Decrypts `range` of `block` in place, its last 16 bytes being the tag. Returns whether it is authentic.
    mutating func open(_ block: Block, _ range: Range<Int>) throws(SecureChannelError) -> Bool {
        key.open(block, range, nonce: try takeNonce(), authenticating: RawSpan())
    }

    mutating func beginOpening() throws(SecureChannelError) {
        let nonce = try takeNonce()
        do {
            try key.beginOpening(nonce: nonce, authenticating: RawSpan())
        } catch {
            throw .library(error)
        }
    }

    func openPiece(_ piece: RawSpan, into block: Block, at offset: Int) throws(SecureChannelError) {
        do {
            try key.openPiece(piece, into: block, at: offset)
        } catch {
            throw .library(error)
        }
    }

    func finishOpening(tag: RawSpan) -> Bool { key.finishOpening(tag: tag) }
}
