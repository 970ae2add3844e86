/// A place in a program as `perf script` names it.
public struct PerfFrame: Hashable, Sendable {
    /// As the linker has it; `[unknown]` where nobody knows.
    public let symbol: String
    /// Path of the program or library, `[kernel.kallsyms]` for the kernel.
    public let object: String

    public init(symbol: String, object: String) {
        self.symbol = symbol
        self.object = object
    }

    static let unknownName = "[unknown]"

    public var isKernel: Bool { object.hasPrefix("[kernel") || object.hasPrefix("[guest.kernel") || object.hasSuffix(".ko") || object.hasSuffix("/vmlinux") }
    /// An address that is in nothing: what is read where a function keeps something else in the register of the frame pointer.
    var isNowhere: Bool { symbol == Self.unknownName && object == Self.unknownName }
}

/// One sample or event as `perf script -F comm,pid,tid,time,...` tells it.
public struct PerfSample: Sendable, Equatable {
    /// Name of the thread.
    public var thread: String
    public var processID: Int32
    public var threadID: Int32
    /// By the clock that `perf record` was given.
    public var time_ns: UInt64
    /// `cpu-clock`, `sched:sched_switch`, ...
    public var event: String
    /// What a tracepoint tells beside, as perf writes it.
    public var fields: String
    /// From the leaf to the root.
    public var frames: [PerfFrame]

    /// From the root to the leaf, without addresses at the root that are in nothing.
    public var stack: [PerfFrame] {
        let kept = frames.lastIndex { !$0.isNowhere }.map { frames[...$0] } ?? frames[..<0]
        return kept.isEmpty && !frames.isEmpty ? [frames[0]] : kept.reversed()
    }
}

/// Reads the text of `perf script` as it comes, however long it is: only the sample that is being read is held.
///
/// Call order: ``read(_:_:)`` for each part of the text, ``finish(_:)`` at its end.
public struct PerfScriptReader {
    /// Longer lines than any symbol makes are cut: a text that has no ends of lines must not be held whole.
    static let lineBytesMax = 1 << 16
    static let framesMax = 1024

    /// Lines that are neither a sample's head nor a frame.
    public private(set) var unreadableLines = 0
    private var line: [UInt8] = []
    private var sample: PerfSample?

    public init() {}

    /// - Parameters:
    ///   - bytes: the next part of the text; it may end anywhere.
    ///   - body: called with each sample that is complete.
    public mutating func read(_ bytes: some Sequence<UInt8>, _ body: (PerfSample) throws -> Void) rethrows {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                try take(body)
            } else if line.count < Self.lineBytesMax {
                line.append(byte)
            }
        }
    }

    /// The text has ended.
    public mutating func finish(_ body: (PerfSample) throws -> Void) rethrows {
        if !line.isEmpty { try take(body) }
        try emit(body)
    }

    private mutating func emit(_ body: (PerfSample) throws -> Void) rethrows {
        if let complete = sample {
            sample = nil
            try body(complete)
        }
    }

    private mutating func take(_ body: (PerfSample) throws -> Void) rethrows {
        defer { line.removeAll(keepingCapacity: true) }
        guard let first = line.first(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") && $0 != UInt8(ascii: "\r") }) else {
            try emit(body)
            return
        }
        if first == UInt8(ascii: "#") && line[0] == first { return }
        let text = String(decoding: line, as: UTF8.self)
        if line[0] == UInt8(ascii: "\t") || (line[0] == UInt8(ascii: " ") && sample != nil) {
            guard sample != nil, let frame = Self.frame(text) else { return unreadableLines += 1 }
            if sample?.frames.count ?? 0 < Self.framesMax { sample?.frames.append(frame) }
            return
        }
        try emit(body)
        sample = Self.head(text)
        if sample == nil { unreadableLines += 1 }
    }

    /// `name pid/tid [cpu] seconds.nanoseconds: period event: fields`, of which the CPU, the period and the fields may be missing. The name may have blanks in it.
    static func head(_ text: String) -> PerfSample? {
        let line = Substring(text)
        // The first word that is a time, with two numbers before it; what is before those is the name.
        var search = line.startIndex
        while let colon = line[search...].firstIndex(of: ":") {
            search = line.index(after: colon)
            guard let space = line[..<colon].lastIndex(of: " "), let time = nanoseconds(line[line.index(after: space)..<colon]) else { continue }
            var words = line[..<space].split(separator: " ")
            if let last = words.last, last.hasPrefix("["), last.hasSuffix("]") { words.removeLast() }
            guard let numbers = words.last?.split(separator: "/"), numbers.count == 2, let process = Int32(numbers[0]), let thread = Int32(numbers[1]),
                let place = words.last?.startIndex else { continue }
            var rest = line[search...].drop { $0 == " " }
            // The period comes first when it was asked for.
            if let end = rest.firstIndex(of: " "), rest[..<end].allSatisfy(\.isNumber) { rest = rest[end...].drop { $0 == " " } }
            let (event, fields) = eventName(rest)
            return PerfSample(
                thread: String(trimmed(line[..<place])), processID: process, threadID: thread, time_ns: time, event: event, fields: fields, frames: [])
        }
        return nil
    }

    /// Events may have colons in their names: the one that ends it is followed by a blank or nothing.
    private static func eventName(_ text: Substring) -> (String, String) {
        var search = text.startIndex
        while let colon = text[search...].firstIndex(of: ":") {
            let next = text.index(after: colon)
            if next == text.endIndex || text[next] == " " { return (String(text[..<colon]), String(trimmed(text[next...]))) }
            search = next
        }
        return (String(trimmed(text)), "")
    }

    private static func nanoseconds(_ text: Substring) -> UInt64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...9).contains(parts[1].utf8.count), parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let seconds = UInt64(parts[0]), let fraction = UInt64(parts[1]) else { return nil }
        let scale = (parts[1].utf8.count..<9).reduce(UInt64(1)) { scale, _ in scale * 10 }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = whole.addingReportingOverflow(fraction * scale)
        return overflow || overflow2 ? nil : sum
    }

    /// `address symbol (object)`; the symbol may have blanks and brackets in it, and an offset at its end.
    static func frame(_ text: String) -> PerfFrame? {
        let line = trimmed(Substring(text))
        guard let space = line.firstIndex(of: " "), line[..<space].allSatisfy(\.isHexDigit), line.hasSuffix(")"),
            let open = line.range(ofLast: " (") else { return nil }
        guard open.lowerBound > space else { return nil }
        var symbol = trimmed(line[space..<open.lowerBound])
        if let plus = symbol.range(ofLast: "+0x"), symbol[plus.upperBound...].allSatisfy(\.isHexDigit) { symbol = symbol[..<plus.lowerBound] }
        let object = line[open.upperBound..<line.index(before: line.endIndex)]
        guard !symbol.isEmpty, !object.isEmpty else { return nil }
        return PerfFrame(symbol: String(symbol), object: String(object))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
        while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
        return text
    }
}

extension Substring {
    /// Where `needle` stands last.
    fileprivate func range(ofLast needle: String) -> Range<Index>? {
        guard let first = needle.first else { return nil }
        var end = endIndex
        while let place = self[..<end].lastIndex(of: first) {
            if self[place...].hasPrefix(needle) { return place..<index(place, offsetBy: needle.count) }
            end = place
        }
        return nil
    }
}
