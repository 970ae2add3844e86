/// Reading and writing the integers of wire formats over spans. Every read says by its return value whether the bytes were
/// there; nothing here traps on what a peer sends.

extension RawSpan {
    /// The byte at `offset`, which must be inside the span.
    @inlinable public func byte(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount)
        return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// A big-endian 16-bit integer at `offset`; the caller has checked that 2 bytes are there.
    @inlinable public func bigEndian16(at offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset + 2 <= byteCount)
        return unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    /// A big-endian 32-bit integer at `offset`; the caller has checked that 4 bytes are there.
    @inlinable public func bigEndian32(at offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset + 4 <= byteCount)
        return unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// A big-endian 64-bit integer at `offset`; the caller has checked that 8 bytes are there.
    @inlinable public func bigEndian64(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset + 8 <= byteCount)
        return unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// A little-endian 32-bit integer at `offset`; the caller has checked that 4 bytes are there.
    @inlinable public func littleEndian32(at offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset + 4 <= byteCount)
        return unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// A little-endian 64-bit integer at `offset`; the caller has checked that 8 bytes are there.
    @inlinable public func littleEndian64(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset + 8 <= byteCount)
        return unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// Whether the two spans hold the same bytes.
    @inlinable public func equals(_ other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let left = mine.baseAddress, let right = theirs.baseAddress else { return true }
                return unsafe compare(left, right, mine.count)
            }
        }
    }

    /// The bytes as an array; a copy, for tests and cold paths.
    public func array() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe Array($0) }
    }
}

extension [UInt8] {
    /// The elements as a raw span, valid while the array is borrowed.
    @inlinable public var rawSpan: RawSpan {
        @_lifetime(borrow self) get {
            let bytes = unsafe span.bytes
            return unsafe _overrideLifetime(bytes, borrowing: self)
        }
    }
}

/// An unsigned varint (multiformats/unsigned-varint): seven bits a byte, least significant first.
public enum Varint {
    /// The specification's practical maximum: nine bytes, 63 bits.
    public static let byteCountMax = 9

    /// What was found at a place.
    public enum Outcome: Equatable {
        /// The value, and how many bytes it took.
        case value(UInt64, byteCount: Int)
        /// The span ends inside the varint.
        case incomplete
        /// Longer than ``Varint/byteCountMax``.
        case tooLong
        /// Not the shortest form of its value: the specification forbids it.
        case notMinimal
    }

    /// A varint that comes byte by byte, for a reader whose input may end anywhere.
    public struct Assembler: BitwiseCopyable, Sendable {
        @usableFromInline var value: UInt64 = 0
        @usableFromInline var shift: UInt64 = 0

        @inlinable public init() {}

        /// Bytes of the unfinished varint.
        @inlinable public var byteCount: Int { Int(shift / 7) }

        /// Takes the next byte. After any outcome but `incomplete` the assembler must be replaced.
        @inlinable @inline(__always)
        public mutating func append(_ byte: UInt8) -> Outcome {
            value |= UInt64(byte & 0x7f) << shift
            shift += 7
            if byte < 0x80 {
                if byte == 0 && shift > 7 { return .notMinimal }
                return .value(value, byteCount: byteCount)
            }
            return shift >= 63 ? .tooLong : .incomplete
        }
    }

    /// Reads the varint at `offset`.
    @inlinable
    public static func read(_ bytes: RawSpan, at offset: Int) -> Outcome {
        var assembler = Assembler()
        var index = offset
        while index < bytes.byteCount {
            let outcome = assembler.append(bytes.byte(at: index))
            if outcome != .incomplete { return outcome }
            index += 1
        }
        return .incomplete
    }

    /// How many bytes `value` takes.
    @inlinable
    public static func byteCount(of value: UInt64) -> Int {
        max(1, (64 - value.leadingZeroBitCount + 6) / 7)
    }

    /// Appends `value` to `bytes`; for cold paths (the data path writes into a ``Gather``).
    public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
