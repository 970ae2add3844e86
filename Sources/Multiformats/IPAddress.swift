/// An IPv4 address; the number is in host byte order.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    /// In the machine's order: 127.0.0.1 is 0x7f00_0001.
    public let value: UInt32

    /// The address of a number, 0x7f00_0001 for 127.0.0.1.
    public init(_ value: UInt32) { self.value = value }

    /// Four decimal numbers and three dots. Leading zeros are refused: some programs read them as octal.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.count == 1 || part.first != UInt8(ascii: "0"), let number = Decimal.parse(part, max: 255) else { return nil }
            value = value << 8 | UInt32(number)
        }
        self.value = value
    }

    public var description: String { "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)" }
}

/// An IPv6 address in two halves in host byte order.
public struct IPv6Address: Hashable, Sendable, CustomStringConvertible {
    /// The first 64 bits, in the machine's order.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64

    /// The address of two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses the forms of RFC 4291, section 2.2. A zone (`%eth0`) is no part of the address: multiaddrs have a component for it.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        // "0000:0000:0000:0000:0000:ffff:255.255.255.255"
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        var groups: [UInt16] = []
        /// Before which group "::" stands.
        var gap: Int?
        var index = 0
        if bytes[0] == colon {
            guard bytes[1] == colon else { return nil }
            gap = 0
            index = 2
        }
        while index < bytes.count {
            let end = bytes[index...].firstIndex(of: colon) ?? bytes.count
            let piece = bytes[index..<end]
            if piece.contains(UInt8(ascii: ".")) {
                guard end == bytes.count, let tail = IPv4Address(String(decoding: piece, as: UTF8.self)) else { return nil }
                groups += [UInt16(tail.value >> 16), UInt16(tail.value & 0xFFFF)]
                break
            }
            guard piece.count <= 4, let group = Decimal.parseHex(piece) else { return nil }
            groups.append(UInt16(group))
            guard end < bytes.count else { break }
            index = end + 1
            guard index < bytes.count else { return nil }
            if bytes[index] == colon {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        if let gap {
            // "::" stands for one group at least.
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        high = groups[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4...].reduce(0) { $0 << 16 | UInt64($1) }
    }

    /// The one text form that RFC 5952 recommends (sections 4 and 5).
    public var description: String {
        if high == 0 && low >> 32 == 0xFFFF { return "::ffff:\(IPv4Address(UInt32(truncatingIfNeeded: low)))" }
        let groups = [high, low].flatMap { half in stride(from: UInt64(48), through: 0, by: -16).map { UInt16(truncatingIfNeeded: half >> $0) } }
        guard let zeros = Self.longestZeros(groups) else { return Self.join(groups[...]) }
        return "\(Self.join(groups[..<zeros.lowerBound]))::\(Self.join(groups[zeros.upperBound...]))"
    }

    private static func join(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// The longest run of at least two groups of zeros, the first one of several.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var longest = 0..<0
        var start = 0
        for index in 0...groups.count where index == groups.count || groups[index] != 0 {
            if index - start > longest.count { longest = start..<index }
            start = index + 1
        }
        return longest.count >= 2 ? longest : nil
    }
}

/// Numbers in text, digits only: the standard library's parsers also take a sign.
enum Decimal {
    static func parse(_ digits: some Collection<UInt8>, max: UInt64) -> UInt64? {
        guard !digits.isEmpty, digits.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        guard let value = UInt64(String(decoding: digits, as: UTF8.self)), value <= max else { return nil }
        return value
    }

    static func parseHex(_ digits: some Collection<UInt8>) -> UInt64? {
        guard !digits.isEmpty, digits.allSatisfy({ ($0 >= 48 && $0 <= 57) || ($0 | 0x20 >= 97 && $0 | 0x20 <= 102) }) else { return nil }
        return UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
