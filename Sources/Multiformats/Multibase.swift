/// Bytes as text in a base that the first character names (multiformats/multibase).
///
/// Bases whose digits hold a whole number of bits (RFC 4648, no padding) are turned digit by digit. Base 36 and base 58 are one large number, whose
/// conversion takes time with the square of its length: they are limited to ``numberByteCountMax``.
///
/// Decoding accepts exactly what encoding gives, except that bases without a difference between small and large letters accept both.
public enum Multibase: Sendable, CaseIterable, Hashable {
    case base16, base16upper, base32, base32upper, base36, base36upper, base58btc, base64, base64url

    /// The most bytes in base 36 or 58. What libp2p writes that way is a peer ID (at most 44 bytes) or the hash of a certificate (at most 132);
    /// 256 bytes take some ten microseconds.
    public static let numberByteCountMax = 256

    /// The first character of a text in this base.
    public var prefix: UInt8 {
        switch self {
        case .base16: UInt8(ascii: "f")
        case .base16upper: UInt8(ascii: "F")
        case .base32: UInt8(ascii: "b")
        case .base32upper: UInt8(ascii: "B")
        case .base36: UInt8(ascii: "k")
        case .base36upper: UInt8(ascii: "K")
        case .base58btc: UInt8(ascii: "z")
        case .base64: UInt8(ascii: "m")
        case .base64url: UInt8(ascii: "u")
        }
    }

    /// Decodes a text that begins with the prefix of its base.
    public static func decode(_ text: String) throws(MultiformatError) -> (base: Multibase, bytes: [UInt8]) {
        guard let first = text.utf8.first else { throw .unknownBase(prefix: "") }
        guard let base = allCases.first(where: { $0.prefix == first }) else { throw .unknownBase(prefix: String(text.prefix(1))) }
        return (base, try base.bytes(ofDigits: Array(text.utf8.dropFirst())))
    }

    /// `bytes` as text with the prefix of this base in front.
    public func text(of bytes: [UInt8]) -> String {
        String(decoding: [prefix] + digits(of: bytes), as: UTF8.self)
    }

    /// `bytes` as digits of this base, without a prefix.
    ///
    /// Base 36 and base 58 take at most ``numberByteCountMax`` bytes.
    public func digits(of bytes: [UInt8]) -> [UInt8] {
        let alphabet = alphabet
        guard let bits = bitsPerDigit else {
            precondition(bytes.count <= Self.numberByteCountMax, "too many bytes for a number in \(self)")
            return Self.convert(bytes, from: 256, to: UInt32(alphabet.digits.count)).map { alphabet.digits[Int($0)] }
        }
        var digits: [UInt8] = []
        digits.reserveCapacity((bytes.count * 8 + bits - 1) / bits)
        var held: UInt32 = 0
        var heldBits = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            heldBits += 8
            while heldBits >= bits {
                heldBits -= bits
                digits.append(alphabet.digits[Int(held >> UInt32(heldBits)) & (1 << bits - 1)])
            }
        }
        if heldBits > 0 { digits.append(alphabet.digits[Int(held << UInt32(bits - heldBits)) & (1 << bits - 1)]) }
        return digits
    }

    /// The bytes that `digits` (ASCII, without a prefix) stand for.
    public func bytes(ofDigits digits: [UInt8]) throws(MultiformatError) -> [UInt8] {
        guard let bits = bitsPerDigit else { return try number(ofDigits: digits) }
        let values = alphabet.values
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count * bits / 8)
        var held: UInt32 = 0
        var heldBits = 0
        for (offset, digit) in digits.enumerated() {
            let value = values[Int(digit)]
            guard value != Alphabet.noDigit else { throw .characterOutsideAlphabet(self, offset: offset) }
            held = held << UInt32(bits) | UInt32(value)
            heldBits += bits
            guard heldBits >= 8 else { continue }
            heldBits -= 8
            bytes.append(UInt8(truncatingIfNeeded: held >> UInt32(heldBits)))
        }
        guard heldBits < bits else { throw .impossibleLength(self, characterCount: digits.count) }
        guard held & (1 << UInt32(heldBits) - 1) == 0 else { throw .nonZeroPadding(self) }
        return bytes
    }

    private func number(ofDigits digits: [UInt8]) throws(MultiformatError) -> [UInt8] {
        // A digit of either base holds more than five bits.
        let digitCountMax = Self.numberByteCountMax * 8 / 5
        guard digits.count <= digitCountMax else {
            throw .tooLarge(.multibase, byteCount: UInt64(digits.count), limitBytes: digitCountMax)
        }
        let alphabet = alphabet
        var values: [UInt8] = []
        for (offset, digit) in digits.enumerated() {
            let value = alphabet.values[Int(digit)]
            guard value != Alphabet.noDigit else { throw .characterOutsideAlphabet(self, offset: offset) }
            values.append(value)
        }
        let bytes = Self.convert(values, from: UInt32(alphabet.digits.count), to: 256)
        guard bytes.count <= Self.numberByteCountMax else {
            throw .tooLarge(.multibase, byteCount: UInt64(bytes.count), limitBytes: Self.numberByteCountMax)
        }
        return bytes
    }

    /// Digits of one base as digits of another, most significant first; each leading zero stays one (multibase, "Base36"; Bitcoin's base 58 likewise).
    private static func convert(_ digits: [UInt8], from: UInt32, to: UInt32) -> [UInt8] {
        let zeros = digits.prefix { $0 == 0 }.count
        // Least significant first.
        var result: [UInt8] = []
        for digit in digits.dropFirst(zeros) {
            var carry = UInt32(digit)
            for index in result.indices {
                carry += UInt32(result[index]) * from
                result[index] = UInt8(truncatingIfNeeded: carry % to)
                carry /= to
            }
            while carry > 0 {
                result.append(UInt8(truncatingIfNeeded: carry % to))
                carry /= to
            }
        }
        return [UInt8](repeating: 0, count: zeros) + result.reversed()
    }

    /// Bits of one digit, or nil when the base is no power of two.
    private var bitsPerDigit: Int? {
        switch self {
        case .base16, .base16upper: 4
        case .base32, .base32upper: 5
        case .base64, .base64url: 6
        case .base36, .base36upper, .base58btc: nil
        }
    }

    // MARK: Alphabets

    private struct Alphabet: Sendable {
        static let noDigit: UInt8 = 0xFF

        let digits: [UInt8]
        /// What each byte counts as a digit.
        let values: [UInt8]

        init(_ digits: String, letters: Letters) {
            self.digits = Array(digits.utf8)
            var values = [UInt8](repeating: Self.noDigit, count: 256)
            for (value, digit) in self.digits.enumerated() {
                values[Int(digit)] = UInt8(value)
                let isLetter = (65...90).contains(digit & ~0x20)
                if letters == .either && isLetter { values[Int(digit ^ 0x20)] = UInt8(value) }
            }
            self.values = values
        }
    }

    private enum Letters {
        /// Small and large letters are different digits.
        case distinct
        case either
    }

    private static let lowerHex = Alphabet("0123456789abcdef", letters: .either)
    private static let upperHex = Alphabet("0123456789ABCDEF", letters: .either)
    private static let lower32 = Alphabet("abcdefghijklmnopqrstuvwxyz234567", letters: .either)
    private static let upper32 = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", letters: .either)
    private static let lower36 = Alphabet("0123456789abcdefghijklmnopqrstuvwxyz", letters: .either)
    private static let upper36 = Alphabet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", letters: .either)
    private static let bitcoin58 = Alphabet("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", letters: .distinct)
    private static let standard64 = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", letters: .distinct)
    private static let url64 = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", letters: .distinct)

    private var alphabet: Alphabet {
        switch self {
        case .base16: Self.lowerHex
        case .base16upper: Self.upperHex
        case .base32: Self.lower32
        case .base32upper: Self.upper32
        case .base36: Self.lower36
        case .base36upper: Self.upper36
        case .base58btc: Self.bitcoin58
        case .base64: Self.standard64
        case .base64url: Self.url64
        }
    }
}
