import Bytes
import FoundationEssentials

/// Why bytes are not a histogram. They come from the other process, so nothing about them is taken for granted.
public enum HistogramDecodingError: Error, Equatable, Sendable, CustomStringConvertible {
    case empty
    case unknownVersion(UInt8)
    case malformed(atByte: Int)
    case valueOutOfRange(nanoseconds: UInt64)
    case countOverflow
    case trailingBytes(Int)
    case notBase64

    public var description: String {
        switch self {
        case .empty: "the encoded histogram is empty"
        case .unknownVersion(let version): "the histogram's encoding version is \(version); this program reads version 1"
        case .malformed(let offset): "the encoded histogram is malformed at byte \(offset)"
        case .valueOutOfRange(let value): "the encoded histogram holds \(value) ns, which is above one hour"
        case .countOverflow: "the counts of the encoded histogram do not fit 64 bits"
        case .trailingBytes(let count): "\(count) bytes follow the encoded histogram"
        case .notBase64: "the encoded histogram is not base64 text"
        }
    }
}

/// The encoding: version (1 byte), number of filled classes, then for each class, ascending, the distance of its first value from the last
/// class's and its count; then the exact smallest and largest values. All numbers are varints (up to 63 bits).
/// A run's latency takes a few hundred to a few thousand bytes.
extension LatencyHistogram {
    private static let version: UInt8 = 1

    /// The exact contents in a compact form.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = [Self.version]
        let filled = filledClasses
        Varint.append(UInt64(filled.count), to: &bytes)
        var previous: UInt64 = 0
        for entry in filled {
            Varint.append(entry.lowest - previous, to: &bytes)
            Varint.append(entry.count, to: &bytes)
            previous = entry.lowest
        }
        guard !filled.isEmpty else { return bytes }
        Varint.append(exactMin, to: &bytes)
        Varint.append(exactMax, to: &bytes)
        return bytes
    }

    /// - Throws: ``HistogramDecodingError`` when the bytes are anything but one whole encoding.
    public init(decoding bytes: RawSpan) throws(HistogramDecodingError) {
        guard bytes.byteCount > 0 else { throw .empty }
        guard bytes.byte(at: 0) == Self.version else { throw .unknownVersion(bytes.byte(at: 0)) }
        var reader = VarintReader(offset: 1)
        let classCount = try reader.next(bytes)
        // A class takes at least two bytes: a larger number is a lie, found before any work is done for it.
        guard classCount <= UInt64(bytes.byteCount) / 2 else { throw .malformed(atByte: 1) }
        var entries: [(lowest: UInt64, count: UInt64)] = []
        entries.reserveCapacity(Int(classCount))
        var value: UInt64 = 0
        var total: UInt64 = 0
        for index in 0..<classCount {
            let start = reader.offset
            let distance = try reader.next(bytes)
            let count = try reader.next(bytes)
            guard count > 0, index == 0 || distance > 0 else { throw .malformed(atByte: start) }
            value = try Self.checkedAdd(value, distance)
            guard value <= Self.nanosecondsMax else { throw .valueOutOfRange(nanoseconds: value) }
            guard Self.lowestOfClass(value) == value else { throw .malformed(atByte: start) }
            total = try Self.checkedAdd(total, count)
            entries.append((value, count))
        }
        if let first = entries.first, let last = entries.last {
            let start = reader.offset
            let min = try reader.next(bytes)
            let max = try reader.next(bytes)
            guard max <= Self.nanosecondsMax else { throw .valueOutOfRange(nanoseconds: max) }
            guard min <= max, total > 1 || min == max, Self.lowestOfClass(min) == first.lowest,
                Self.lowestOfClass(max) == last.lowest
            else { throw .malformed(atByte: start) }
            self.init(classes: entries, min: min, max: max)
        } else {
            self.init()
        }
        guard reader.offset == bytes.byteCount else { throw .trailingBytes(bytes.byteCount - reader.offset) }
    }

    private static func checkedAdd(_ left: UInt64, _ right: UInt64) throws(HistogramDecodingError) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        guard !overflow else { throw .countOverflow }
        return sum
    }
}

private struct VarintReader {
    var offset: Int

    mutating func next(_ bytes: RawSpan) throws(HistogramDecodingError) -> UInt64 {
        guard case .value(let value, let byteCount) = Varint.read(bytes, at: offset) else { throw .malformed(atByte: offset) }
        offset += byteCount
        return value
    }
}

/// In JSON a histogram is one string: the compact form in base64.
extension LatencyHistogram: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let data = Data(base64Encoded: text) else { throw HistogramDecodingError.notBase64 }
        let slice = Slice(copying: [UInt8](data))
        try self.init(decoding: slice.bytes)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(encoded()).base64EncodedString())
    }
}
