/// The functions of a program or library, by address: out of its program headers and what `nm` tells.
public struct ObjectSymbols: Sendable {
    private struct Segment {
        var fileOffset: UInt64
        var byteCount: UInt64
        var address: UInt64
    }

    private var segments: [Segment] = []
    private var starts: [UInt64] = []
    private var names: [String] = []

    /// - Parameters:
    ///   - header: the first bytes of the file, with the program headers: 64 bits, little-endian.
    ///   - nm: what `nm --defined-only` writes of it: address, kind and name on each line.
    ///
    /// Nil when it is no such file.
    public init?(header: [UInt8], nm: String) {
        func number(_ offset: Int, _ count: Int) -> UInt64? {
            guard offset >= 0, offset + count <= header.count else { return nil }
            return (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(header[offset + $1]) }
        }
        guard header.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let first = number(32, 8), let size = number(54, 2), let count = number(56, 2) else { return nil }
        for index in 0..<Int(count) {
            let place = Int(truncatingIfNeeded: first) + index * Int(size)
            guard let kind = number(place, 4), let offset = number(place + 8, 8), let address = number(place + 16, 8), let bytes = number(place + 32, 8) else { return nil }
            // PT_LOAD
            if kind == 1 { segments.append(Segment(fileOffset: offset, byteCount: bytes, address: address)) }
        }
        var symbols: [(UInt64, String)] = []
        for line in nm.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, ["t", "T", "w", "W", "i", "v", "V"].contains(words[1]), let address = UInt64(words[0], radix: 16) else { continue }
            // Libraries tell the version of a symbol behind its name.
            symbols.append((address, String(words[2].prefix { $0 != "@" })))
        }
        symbols.sort { ($0.0, $0.1) < ($1.0, $1.1) }
        for (address, name) in symbols where starts.last != address {
            starts.append(address)
            names.append(name)
        }
    }

    /// The function that has the byte at `fileOffset`; nil when no symbol is before it.
    public func name(atFileOffset fileOffset: UInt64) -> String? {
        guard let segment = segments.first(where: { fileOffset >= $0.fileOffset && fileOffset - $0.fileOffset < $0.byteCount }) else { return nil }
        let address = fileOffset - segment.fileOffset + segment.address
        // The last start that is not behind it.
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : names[low - 1]
    }
}
