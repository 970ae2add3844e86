/// Names of frames as people read them.
///
/// ``MODULE`NAME`` for what runs in a program (the Swift module, or the library's file name) and `NAME_[k]` for the kernel: the customs of DTrace and of flame graphs.
public enum FrameNames {
    /// What languages and places a frame's name tells of; pictures have a colour for each.
    public enum Kind: String, CaseIterable, Sendable { case kernel, swift, c, other }

    /// - Parameters:
    ///   - frame: as perf has it.
    ///   - demangled: of mangled Swift symbols, by ``mangled(_:)``; nil to leave the symbol as it is.
    public static func name(_ frame: PerfFrame, demangled: String?) -> String {
        // A semicolon separates frames.
        let symbol = (demangled.map(shortened) ?? frame.symbol).map { $0 == ";" || $0 == "\n" ? "," : String($0) }.joined()
        if frame.isKernel { return symbol + "_[k]" }
        let file = frame.object.split(separator: "/").last.map(String.init) ?? frame.object
        let module = (mangled(frame.symbol) ? Self.module(frame.symbol) : nil) ?? file
        return "\(module.map { $0 == ";" || $0 == "`" ? "," : String($0) }.joined())`\(symbol)"
    }

    /// Whether it is a mangled Swift symbol.
    public static func mangled(_ symbol: String) -> Bool { symbol.hasPrefix("$s") || symbol.hasPrefix("$S") || symbol.hasPrefix("_$s") }

    /// The Swift module that a mangled symbol is from; nil where the symbol names none, as thunks between calling conventions do.
    public static func module(_ symbol: String) -> String? {
        guard let start = symbol.firstIndex(of: "$") else { return nil }
        let rest = symbol[symbol.index(start, offsetBy: 2)...]
        if rest.hasPrefix("So") || rest.hasPrefix("SC") { return "C" }
        if rest.hasPrefix("s") || rest.hasPrefix("S") { return "Swift" }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard !digits.hasPrefix("0"), let count = Int(digits), count > 0 else { return nil }
        let name = rest.dropFirst(digits.count).prefix(count)
        return name.count == count ? String(name) : nil
    }

    public static func kind(_ name: String) -> Kind {
        if name.hasSuffix("_[k]") { return .kernel }
        guard let tick = name.firstIndex(of: "`") else { return .other }
        let module = name[..<tick]
        if module.hasPrefix("[") || name[name.index(after: tick)...] == PerfFrame.unknownName && !module.contains(".so") { return .other }
        let isLibrary = module.contains(".so")
        let isSwift = module.hasPrefix("libswift") || module.hasPrefix("libFoundation") || module.hasPrefix("lib_Foundation") || module.hasPrefix("libdispatch")
        return isLibrary && !isSwift ? .c : .swift
    }

    /// What says how the compiler made a function, and nothing of what it does, is left out.
    static func shortened(_ name: String) -> String {
        var name = name
        let prefixes = [
            "specialized ", "generic specialization of ", "merged ", "partial apply for ", "dispatch thunk of ", "method lookup function for ", "default argument 0 of ", "@objc ",
            "@nonobjc ", "suspend resume partial function for ",
        ]
        while let prefix = prefixes.first(where: { name.hasPrefix($0) }) { name.removeFirst(prefix.count) }
        if name.hasPrefix("reabstraction thunk") { return "reabstraction thunk" }
        for prefix in ["value witness for ", "outlined "] where name.hasPrefix(prefix) { return name }
        let witness = "protocol witness for "
        if name.hasPrefix(witness), let place = name.range(ofFirst: " in conformance ") {
            let requirement = name[name.index(name.startIndex, offsetBy: witness.count)..<place.lowerBound]
            return withoutGenerics("\(name[place.upperBound...]): \(requirement)")
        }
        for resume in [" await resume partial function for ", " suspend resume partial function for "] {
            if let place = name.range(ofFirst: resume), name.hasPrefix("(") { name = String(name[place.upperBound...]) }
        }
        return withoutGenerics(name)
    }

    /// `f<A, B>(_:)` is `f(_:)`; operators keep their signs.
    private static func withoutGenerics(_ name: String) -> String {
        var result = ""
        var rest = Substring(name)
        while let open = rest.firstIndex(of: "<") {
            result += rest[..<open]
            guard let close = rest[open...].firstIndex(of: ">"), open > rest.startIndex else {
                result += rest[open...]
                return result
            }
            let inside = rest[rest.index(after: open)..<close]
            let isParameters = !inside.isEmpty && inside.split(separator: ",").allSatisfy { part in
                let word = part.drop { $0 == " " }
                return word.first?.isUppercase == true && word.count <= 2
            }
            if !isParameters { result += rest[open...close] }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }
}

extension String {
    fileprivate func range(ofFirst needle: String) -> Range<Index>? {
        guard let first = needle.first else { return nil }
        var start = startIndex
        while let place = self[start...].firstIndex(of: first) {
            if self[place...].hasPrefix(needle) { return place..<index(place, offsetBy: needle.count) }
            start = index(after: place)
        }
        return nil
    }
}
