import Gauge
public import Links
import Muxers

/// What may stand in parentheses behind a layer's name: `link(rtt=60ms,rate=1Gbit,buffer=7500000,jitter=1ms,seed=7)`, `yamux(window=256KiB)`.
enum LayerOptions {
    static let linkKeys = ["rtt", "rate", "buffer", "jitter", "seed"]
    static let yamuxKeys = ["window"]

    /// The layers' names without options, and what the options say.
    static func split(_ text: String) throws(LayerOptionError) -> (names: String, link: LinkShape?, window: Int?) {
        var names: [String] = []
        var link: LinkShape?
        var window: Int?
        for (index, layer) in text.split(separator: "+", omittingEmptySubsequences: false).enumerated() {
            let name = layer.prefix { $0 != "(" }
            guard name.count < layer.count else {
                if layer == "link" { throw .missingValue(layer: "link", key: "rtt") }
                names.append(String(layer))
                continue
            }
            guard layer.last == ")" else { throw .notClosed(String(layer)) }
            let inside = layer.dropFirst(name.count + 1).dropLast()
            switch name {
            case "link":
                guard index == 0 else { throw .linkNotFirst }
                link = try LinkShape(options: values(inside, "link", linkKeys))
            case "yamux":
                window = try windowBytes(values(inside, "yamux", yamuxKeys))
                names.append("yamux")
            default: throw .noOptions(layer: String(name), nearest: Nearest.to(String(name), among: ["link", "yamux"]))
            }
        }
        return (names.joined(separator: "+"), link, window)
    }

    /// `key=value` by `key`, each once.
    private static func values(_ text: Substring, _ layer: String, _ known: [String]) throws(LayerOptionError) -> [String: String] {
        var values: [String: String] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let key = words.first, known.contains(key) else {
                let key = words.first ?? ""
                throw .unknownKey(layer: layer, key: key, nearest: Nearest.to(key, among: known), known: known)
            }
            guard words.count == 2, !words[1].isEmpty else { throw .missingValue(layer: layer, key: key) }
            guard values.updateValue(words[1], forKey: key) == nil else { throw .twice(layer: layer, key: key) }
        }
        return values
    }

    private static func windowBytes(_ values: [String: String]) throws(LayerOptionError) -> Int {
        guard let text = values["window"] else { throw .missingValue(layer: "yamux", key: "window") }
        let bytes = try read("window", text) { text throws(UnitsError) in try Units.bytes(text) }
        let least = Int(YamuxLimits.windowBytesInitial)
        // All windows of a connection together grow by no more than this.
        guard (least...YamuxLimits().windowBudgetBytesMax).contains(bytes) else {
            throw .outOfRange(key: "window", value: text, allowed: "256KiB, with which every stream begins, to 64MiB")
        }
        return bytes
    }

    static func spelled(windowBytes: Int) -> String { "(window=\(Units.spelled(bytes: windowBytes)))" }

    static func read<Value>(
        _ key: String, _ text: String, _ parse: (String) throws(UnitsError) -> Value
    ) throws(LayerOptionError) -> Value {
        do {
            return try parse(text)
        } catch {
            throw .malformed(key: key, reason: error.description)
        }
    }
}

extension LinkShape {
    /// The longest round trip, 10 s: beyond that runs would wait for little else.
    static let roundTripNanosecondsMax: UInt64 = 10_000_000_000
    /// The least rate, 10 kbit/s, and the highest, 100 Gbit/s, which no relay in user space keeps up with.
    static let bitsPerSecondRange: ClosedRange<UInt64> = 10_000...100_000_000_000
    /// The least buffer, two small reads, and the largest, which memory has to hold.
    static let bufferBytesRange = (16 << 10)...(1 << 30)

    /// Reads what stands in parentheses behind `link`.
    public init(parsing text: String) throws(LayerOptionError) {
        guard let link = try LayerOptions.split("link(\(text))").link else { throw .missingValue(layer: "link", key: "rtt") }
        self = link
    }

    init(options values: [String: String]) throws(LayerOptionError) {
        func require(_ isFine: Bool, _ key: String, _ allowed: String) throws(LayerOptionError) {
            guard isFine else { throw .outOfRange(key: key, value: values[key] ?? "", allowed: allowed) }
        }
        func duration(_ key: String) throws(LayerOptionError) -> UInt64? {
            guard let text = values[key] else { return nil }
            return try LayerOptions.read(key, text) { text throws(UnitsError) in try Units.duration(text) }
        }
        guard let roundTrip = try duration("rtt") else { throw .missingValue(layer: "link", key: "rtt") }
        guard let rateText = values["rate"] else { throw .missingValue(layer: "link", key: "rate") }
        try require(roundTrip <= Self.roundTripNanosecondsMax, "rtt", "0s to 10s")
        let rate = try Self.bitsPerSecond(rateText)
        try require(Self.bitsPerSecondRange.contains(rate), "rate", "10kbit to 100Gbit, a second")
        var buffer: Int?
        if let text = values["buffer"] {
            buffer = try LayerOptions.read("buffer", text) { text throws(UnitsError) in try Units.bytes(text) }
        }
        let jitter = try duration("jitter") ?? 0
        try require(jitter <= 1_000_000_000, "jitter", "0s to 1s")
        var seed: UInt64 = 1
        if let text = values["seed"] { seed = UInt64(try LayerOptions.read("seed", text) { text throws(UnitsError) in try Units.count(text) }) }
        self.init(roundTripNanoseconds: roundTrip, bitsPerSecond: rate, bufferBytes: buffer, jitterNanoseconds: jitter, seed: seed)
        guard Self.bufferBytesRange.contains(bufferBytes) else {
            throw .outOfRange(key: "buffer", value: values["buffer"] ?? "\(bufferBytes), one bandwidth-delay product", allowed: "16KiB to 1GiB")
        }
    }

    /// A rate in bits a second, `/s` or not.
    private static func bitsPerSecond(_ text: String) throws(LayerOptionError) -> UInt64 {
        let body = text.hasSuffix("/s") ? String(text.dropLast(2)) : text
        let bytes = try LayerOptions.read("rate", body) { text throws(UnitsError) in try Units.bytes(text) }
        guard body.hasSuffix("bit") else { throw .malformed(key: "rate", reason: "\"\(text)\" is not in bits: write 1Gbit, 100Mbit or 512kbit") }
        return UInt64(bytes) * 8
    }

    /// As a subject spells it.
    public var spelled: String {
        var parts = ["rtt=\(Units.spelled(nanoseconds: roundTripNanoseconds))", "rate=\(spelledRate)", "buffer=\(Units.spelled(bytes: bufferBytes))"]
        if jitterNanoseconds > 0 { parts += ["jitter=\(Units.spelled(nanoseconds: jitterNanoseconds))", "seed=\(seed)"] }
        return "link(\(parts.joined(separator: ",")))"
    }

    private var spelledRate: String {
        for (unit, scale) in [("Gbit", UInt64(1_000_000_000)), ("Mbit", 1_000_000), ("kbit", 1_000)] where bitsPerSecond % scale == 0 {
            return "\(bitsPerSecond / scale)\(unit)"
        }
        return "\(bitsPerSecond)bit"
    }
}

/// What is wrong with what stands in parentheses behind a layer's name.
public enum LayerOptionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No such option; `nearest` is one that is spelled alike.
    case unknownKey(layer: String, key: String, nearest: String?, known: [String])
    /// An option that is needed is not there, or has no value.
    case missingValue(layer: String, key: String)
    case twice(layer: String, key: String)
    /// A value that cannot be read.
    case malformed(key: String, reason: String)
    case outOfRange(key: String, value: String, allowed: String)
    /// A closing parenthesis is missing, or something stands behind it.
    case notClosed(String)
    /// A layer that takes no options.
    case noOptions(layer: String, nearest: String?)
    case linkNotFirst
    case linkNeedsTCP(transport: String)

    private static let linkForm = "a link is written link(rtt=60ms,rate=1Gbit), perhaps with buffer=4MiB, jitter=1ms and seed=7"

    public var description: String {
        switch self {
        case .unknownKey(let layer, let key, let nearest, let known):
            "\(layer) has no option '\(key)'\(nearest.map { "; did you mean '\($0)'?" } ?? "") It has \(known.joined(separator: ", "))"
        case .missingValue("link", let key): "\(key) is missing: \(Self.linkForm)"
        case .missingValue(let layer, let key): "\(key) is missing: write \(layer)(\(key)=256KiB)"
        case .twice(let layer, let key): "\(layer) has \(key) twice"
        case .malformed(let key, let reason): "\(key): \(reason)"
        case .outOfRange(let key, let value, let allowed): "\(key) is \(value); allowed is \(allowed)"
        case .notClosed(let layer): "'\(layer)' must end with its closing parenthesis"
        case .noOptions(let layer, let nearest):
            "the layer '\(layer)' takes no options\(nearest.map { "; did you mean '\($0)'?" } ?? "") \(Self.linkForm); yamux takes window=256KiB"
        case .linkNotFirst: "the link is the lowest layer and stands first: link(rtt=60ms,rate=1Gbit)+tcp+yamux"
        case .linkNeedsTCP(let transport): "a link is emulated by a relay of TCP connections, and the transport is \(transport): use tcp"
        }
    }
}
