import Bytes

/// What the decoders here share: reads that move an offset along and say what was wrong with which item.
extension RawSpan {
    /// Reads a multiformats varint at `offset`, and moves the offset behind it.
    func readVarint(_ offset: inout Int, of item: MultiformatError.Item) throws(MultiformatError) -> UInt64 {
        switch Varint.read(self, at: offset) {
        case .value(let value, let byteCount):
            offset += byteCount
            return value
        case .incomplete: throw .truncated(item)
        case .tooLong: throw .malformedVarint(item, .tooLong)
        case .notMinimal: throw .malformedVarint(item, .notMinimal)
        }
    }

    /// The next `byteCount` bytes as a range; moves the offset behind them.
    func readRange(_ byteCount: UInt64, _ offset: inout Int, of item: MultiformatError.Item) throws(MultiformatError) -> Range<Int> {
        guard byteCount <= UInt64(self.byteCount - offset) else { throw .truncated(item) }
        let range = offset..<offset + Int(byteCount)
        offset = range.upperBound
        return range
    }

    /// A copy of the bytes of `range`.
    func copy(_ range: Range<Int>) -> [UInt8] { extracting(range).array() }

    /// The bytes of `range` as text, or nil when they are not UTF-8.
    func text(_ range: Range<Int>) -> String? { String(validating: copy(range), as: UTF8.self) }
}
