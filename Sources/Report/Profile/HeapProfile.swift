import Foundation

/// What jemalloc's profiler has written: for each call stack what is held, and what was ever allocated.
public struct HeapProfile: Sendable {
    public struct Amount: Equatable, Sendable {
        public var objects: Double
        public var bytes: Double

        public static let zero = Amount(objects: 0, bytes: 0)

        static func - (left: Self, right: Self) -> Self { Self(objects: left.objects - right.objects, bytes: left.bytes - right.bytes) }
        static func += (left: inout Self, right: Self) {
            left.objects += right.objects
            left.bytes += right.bytes
        }
    }

    public struct Entry: Equatable, Sendable {
        public var held: Amount
        public var allocated: Amount
    }

    /// A part of a file that is mapped as code.
    public struct Mapping: Equatable, Sendable {
        public var addresses: Range<UInt64>
        /// Of its first byte in the file.
        public var fileOffset: UInt64
        public var path: String
    }

    /// By the return addresses, the innermost first.
    public private(set) var entries: [[UInt64]: Entry] = [:]
    public private(set) var mappings: [Mapping] = []
    /// Bytes between two allocations that were looked at, on average; 1 when every one was.
    public private(set) var sampleBytes: UInt64 = 1

    /// Why a text is no profile.
    public struct FormatError: Error, CustomStringConvertible {
        public let line: Int
        public let description: String
    }

    /// - Parameter text: of a file in the format `heap_v2`.
    public init(_ text: String) throws(FormatError) {
        var stack: [UInt64]?
        var isMappings = false
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func wrong(_ what: String) -> FormatError { FormatError(line: number + 1, description: "line \(number + 1): \(what)") }
            if number == 0 {
                guard line.hasPrefix("heap_v2/"), let bytes = UInt64(line.dropFirst(8)), bytes > 0 else { throw wrong("it does not begin with heap_v2/ and a number") }
                sampleBytes = bytes
            } else if line.hasPrefix("MAPPED_LIBRARIES") {
                isMappings = true
            } else if isMappings {
                if let mapping = Self.mapping(line) { mappings.append(mapping) }
            } else if line.hasPrefix("@") {
                let addresses = line.dropFirst().split(separator: " ").map { UInt64($0.dropFirst(2), radix: 16) }
                guard !addresses.contains(nil) else { throw wrong("an address is not 0x and digits") }
                stack = addresses.compactMap { $0 }
            } else if let own = stack, line.drop(while: { $0 == " " }).hasPrefix("t*:") {
                // The sum of all threads, which follow line by line.
                guard let entry = Self.entry(line, sampleBytes) else { throw wrong("it is not 't*: objects: bytes [objects: bytes]'") }
                entries[own, default: Entry(held: .zero, allocated: .zero)].held += entry.held
                entries[own]?.allocated += entry.allocated
                stack = nil
            }
        }
    }

    /// `t*: 13: 6688 [20: 9000]`.
    private static func entry(_ line: Substring, _ sampleBytes: UInt64) -> Entry? {
        let numbers = line.split { $0 == " " || $0 == ":" || $0 == "[" || $0 == "]" }.dropFirst().compactMap { Double($0) }
        guard numbers.count == 4 else { return nil }
        return Entry(held: scaled(numbers[0], numbers[1], sampleBytes), allocated: scaled(numbers[2], numbers[3], sampleBytes))
    }

    /// What was sampled stands for so much more as it was likely to be missed.
    private static func scaled(_ objects: Double, _ bytes: Double, _ sampleBytes: UInt64) -> Amount {
        guard sampleBytes > 1, objects > 0, bytes > 0 else { return Amount(objects: objects, bytes: bytes) }
        let factor = 1 / (1 - exp(-(bytes / objects) / Double(sampleBytes)))
        return Amount(objects: objects * factor, bytes: bytes * factor)
    }

    /// A line of `/proc/PID/maps`.
    private static func mapping(_ line: Substring) -> Mapping? {
        let words = line.split(separator: " ", maxSplits: 5)
        guard words.count == 6, words[1].contains("x"), let offset = UInt64(words[2], radix: 16) else { return nil }
        let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
        let path = String(words[5].drop { $0 == " " })
        guard ends.count == 2, ends[0] < ends[1], path.hasPrefix("/") else { return nil }
        return Mapping(addresses: ends[0]..<ends[1], fileOffset: offset, path: path)
    }

    /// Everything together.
    public var total: Entry {
        entries.values.reduce(into: Entry(held: .zero, allocated: .zero)) {
            $0.held += $1.held
            $0.allocated += $1.allocated
        }
    }

    /// What has been allocated since an earlier profile of the same process, by stack.
    public func allocations(since earlier: HeapProfile) -> [[UInt64]: Amount] {
        var result: [[UInt64]: Amount] = [:]
        for (stack, entry) in entries {
            let change = entry.allocated - (earlier.entries[stack]?.allocated ?? .zero)
            if change.objects > 0 { result[stack] = change }
        }
        return result
    }
}
