/// Why a cipher, a hash or a key refuses. ``origin`` says who caused it.
public enum CipherError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Who caused it.
    public enum Origin: Sendable {
        /// The library or the machine.
        case local
        /// Whoever supplied the key or its encoding: a file on this side, or the far end.
        case supplier
    }

    /// OpenSSL could not do it: out of memory, or built without the algorithm.
    case library(operation: String, reason: String)
    /// A key or a nonce of the wrong length.
    case wrongByteCount(Int, expected: Int)
    /// A shared secret of zeros only: the public key is a point of small order (RFC 7748, section 6.1).
    case weakPublicKey
    /// The encoding of a key is not what its type prescribes.
    case malformedKey(IdentityKeyType)
    /// An RSA key that is too small to be safe, or so large that verifying would be work for nothing.
    case keySizeRefused(bits: Int, allowed: ClosedRange<Int>)
    /// An RSA key whose public exponent makes verifying slow.
    case exponentRefused(bits: Int, limit: Int)
    /// The public part that came with a private key is not its own.
    case mismatchedKeyPair

    /// Who caused it.
    public var origin: Origin {
        if case .library = self { .local } else { .supplier }
    }

    public var description: String {
        switch self {
        case .library(let operation, let reason): "OpenSSL failed to \(operation): \(reason)"
        case .wrongByteCount(let count, let expected): "\(count) bytes where \(expected) belong"
        case .weakPublicKey: "a public key of small order"
        case .malformedKey(let type): "not an encoding of a key of type \(type)"
        case .keySizeRefused(let bits, let allowed): "an RSA key of \(bits) bits; \(allowed.lowerBound) to \(allowed.upperBound) are accepted"
        case .exponentRefused(let bits, let limit): "an RSA exponent of \(bits) bits; at most \(limit) are accepted"
        case .mismatchedKeyPair: "the public part of the key does not belong to the private one"
        }
    }
}
