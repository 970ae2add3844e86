import Bytes

/// One field of a protobuf message: its number and what the wire holds. Bytes are a range of the message they were read from.
public struct ProtobufField: Equatable, Sendable {
    /// What a field holds, by its wire type.
    public enum Value: Equatable, Sendable {
        /// Wire type 0: integers, booleans and enumerations.
        case varint(UInt64)
        /// Wire type 1.
        case fixed64(UInt64)
        /// Wire type 2: bytes, strings, messages within the message.
        case bytes(Range<Int>)
        /// Wire type 5.
        case fixed32(UInt32)
    }

    /// As the message's definition numbers it.
    public let number: UInt32
    public let value: Value

    public init(number: UInt32, value: Value) {
        self.number = number
        self.value = value
    }

    /// The value of a field that must be a varint.
    public func varint() throws(MultiformatError) -> UInt64 {
        guard case .varint(let value) = value else { throw .wrongWireType(field: number) }
        return value
    }

    /// Where the bytes of a field are that must hold bytes.
    public func bytes() throws(MultiformatError) -> Range<Int> {
        guard case .bytes(let range) = value else { throw .wrongWireType(field: number) }
        return range
    }
}

/// Reads a protobuf message field by field, without a copy (protobuf documentation, "Encoding").
///
/// Call order: make it over the whole message, then ``next()`` until it gives nil or throws. Fields that the caller does not know it just passes over;
/// of a field that comes again, the last counts. A message within the message is read by another reader over its range.
///
/// Invariant: `offset <= bytes.byteCount`; every range handed out lies inside the message. Groups (wire types 3 and 4) are long deprecated and refused.
public struct ProtobufReader: ~Escapable {
    /// The most fields of one message, unless told otherwise. The longest message of libp2p's own, identify, has some hundred.
    public static let fieldsMaxDefault = 1024
    /// The specification's highest field number.
    private static let fieldNumberMax: UInt64 = 1 << 29 - 1

    private let bytes: RawSpan
    private let fieldsMax: Int
    private var offset = 0
    private var fields = 0

    /// - Parameters:
    ///   - bytes: the whole message.
    ///   - fieldsMax: the most fields before the message is refused.
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan, fieldsMax: Int = ProtobufReader.fieldsMaxDefault) {
        self.bytes = bytes
        self.fieldsMax = fieldsMax
    }

    /// The next field, or nil at the end of the message.
    public mutating func next() throws(MultiformatError) -> ProtobufField? {
        guard offset < bytes.byteCount else { return nil }
        guard fields < fieldsMax else { throw .tooManyFields(limit: fieldsMax) }
        fields += 1
        let tag = try readVarint()
        guard tag >> 3 >= 1, tag >> 3 <= Self.fieldNumberMax else { throw .invalidFieldNumber(tag >> 3) }
        let value: ProtobufField.Value
        switch UInt8(truncatingIfNeeded: tag & 7) {
        case 0: value = .varint(try readVarint())
        case 1: value = .fixed64(bytes.littleEndian64(at: try bytes.readRange(8, &offset, of: .protobuf).lowerBound))
        case 2: value = .bytes(try bytes.readRange(try readVarint(), &offset, of: .protobuf))
        case 5: value = .fixed32(bytes.littleEndian32(at: try bytes.readRange(4, &offset, of: .protobuf).lowerBound))
        case let type: throw .unsupportedWireType(type)
        }
        return ProtobufField(number: UInt32(tag >> 3), value: value)
    }

    /// Protobuf's varints have up to ten bytes and need not be minimal, unlike those of multiformats; bits beyond 64 are refused.
    private mutating func readVarint() throws(MultiformatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.byteCount {
            let byte = bytes.byte(at: offset)
            offset += 1
            if shift == 63 && byte > 1 { throw .malformedVarint(.protobuf, .tooLong) }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .truncated(.protobuf)
    }

    /// The bytes of a field, in place.
    @_lifetime(copy self)
    public func bytes(_ range: Range<Int>) -> RawSpan { bytes.extracting(range) }

    /// A copy of the bytes of a field.
    public func array(_ range: Range<Int>) -> [UInt8] { bytes.copy(range) }

    /// The text of a field of type `string`, which must be UTF-8.
    public func text(_ range: Range<Int>) throws(MultiformatError) -> String {
        guard let text = bytes.text(range) else { throw .notUTF8(.protobuf) }
        return text
    }
}

/// Writes a protobuf message field by field, in the order of the calls and always in the shortest form, so that the same calls give the same bytes.
public struct ProtobufWriter {
    /// The message so far.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Appends an integer, a boolean (0 or 1) or the number of an enumeration.
    public mutating func appendVarint(_ value: UInt64, field: UInt32) {
        appendTag(field, wireType: 0)
        Self.append(value, to: &bytes)
    }

    /// Appends bytes, or a message that another writer wrote.
    public mutating func append(_ value: [UInt8], field: UInt32) {
        appendTag(field, wireType: 2)
        Self.append(UInt64(value.count), to: &bytes)
        bytes += value
    }

    public mutating func append(_ value: String, field: UInt32) { append(Array(value.utf8), field: field) }

    public mutating func appendFixed64(_ value: UInt64, field: UInt32) {
        appendTag(field, wireType: 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    public mutating func appendFixed32(_ value: UInt32, field: UInt32) {
        appendTag(field, wireType: 5)
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    private mutating func appendTag(_ field: UInt32, wireType: UInt64) {
        precondition(field >= 1 && field < 1 << 29, "\(field) is no protobuf field number")
        Self.append(UInt64(field) << 3 | wireType, to: &bytes)
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) { Varint.append(value, to: &bytes) }
}
