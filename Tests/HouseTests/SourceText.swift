/// A Swift file, taken apart into what the compiler reads and what people read.
///
/// Invariant: `code` and `comments` have the file's length and its line breaks; each other byte stands in at most one of them, and is
/// a space in the other. String literals are in neither, but what is interpolated into them is code.
struct SourceText {
    let code: [UInt8]
    let comments: [UInt8]

    private enum State {
        /// Parentheses open inside an interpolation; the outermost code has none to wait for.
        case code(depth: Int)
        case string(hashes: Int, isMultiline: Bool)
        case lineComment
        case blockComment(depth: Int)
    }

    init(_ text: String) {
        let bytes = Array(text.utf8)
        var code = bytes.map { $0 == newline ? newline : space }
        var comments = code
        var states: [State] = [.code(depth: 0)]
        var index = 0
        while index < bytes.count {
            let start = index
            switch states[states.count - 1] {
            case .code(let depth):
                index += Self.stepCode(bytes, index, depth, &states)
                if case .lineComment = states[states.count - 1] { continue }
                if case .blockComment = states[states.count - 1] { continue }
                if case .string = states[states.count - 1] { continue }
                for place in start..<index { code[place] = bytes[place] }
            case .string(let hashes, let isMultiline):
                index += Self.stepString(bytes, index, hashes, isMultiline, &states)
            case .lineComment:
                if bytes[index] == newline { states.removeLast() }
                comments[index] = bytes[index]
                index += 1
            case .blockComment(let depth):
                index += Self.stepBlockComment(bytes, index, depth, &states)
                for place in start..<index { comments[place] = bytes[place] }
            }
        }
        self.code = code
        self.comments = comments
    }

    /// Moves over one byte of code, or over what begins a comment or string. Returns how many bytes that was.
    private static func stepCode(_ bytes: [UInt8], _ index: Int, _ depth: Int, _ states: inout [State]) -> Int {
        switch bytes[index] {
        case UInt8(ascii: "/") where at(bytes, index + 1) == UInt8(ascii: "/"):
            states.append(.lineComment)
            return 2
        case UInt8(ascii: "/") where at(bytes, index + 1) == UInt8(ascii: "*"):
            states.append(.blockComment(depth: 1))
            return 2
        case quote:
            return begin(bytes, index, hashes: 0, &states)
        case hash:
            var hashes = 1
            while at(bytes, index + hashes) == hash { hashes += 1 }
            guard at(bytes, index + hashes) == quote else { return hashes }
            return hashes + begin(bytes, index + hashes, hashes: hashes, &states)
        case UInt8(ascii: "(") where states.count > 1:
            states[states.count - 1] = .code(depth: depth + 1)
        case UInt8(ascii: ")") where states.count > 1:
            if depth == 1 { states.removeLast() } else { states[states.count - 1] = .code(depth: depth - 1) }
        default:
            break
        }
        return 1
    }

    private static func begin(_ bytes: [UInt8], _ index: Int, hashes: Int, _ states: inout [State]) -> Int {
        let isMultiline = at(bytes, index + 1) == quote && at(bytes, index + 2) == quote
        states.append(.string(hashes: hashes, isMultiline: isMultiline))
        return isMultiline ? 3 : 1
    }

    private static func stepString(
        _ bytes: [UInt8], _ index: Int, _ hashes: Int, _ isMultiline: Bool, _ states: inout [State]
    ) -> Int {
        func areHashes(from place: Int) -> Bool { (0..<hashes).allSatisfy { at(bytes, place + $0) == hash } }
        if bytes[index] == UInt8(ascii: "\\"), areHashes(from: index + 1) {
            guard at(bytes, index + 1 + hashes) == UInt8(ascii: "(") else { return 2 + hashes }
            states.append(.code(depth: 1))
            return 2 + hashes
        }
        // A string of one line that does not end there is not Swift; going on would lose the rest of the file.
        if bytes[index] == newline, !isMultiline { states.removeLast() }
        let quotes = isMultiline ? 3 : 1
        guard (0..<quotes).allSatisfy({ at(bytes, index + $0) == quote }), areHashes(from: index + quotes) else { return 1 }
        states.removeLast()
        return quotes + hashes
    }

    private static func stepBlockComment(_ bytes: [UInt8], _ index: Int, _ depth: Int, _ states: inout [State]) -> Int {
        let (first, second) = (bytes[index], at(bytes, index + 1))
        if first == UInt8(ascii: "*"), second == UInt8(ascii: "/") {
            if depth == 1 { states.removeLast() } else { states[states.count - 1] = .blockComment(depth: depth - 1) }
            return 2
        }
        if first == UInt8(ascii: "/"), second == UInt8(ascii: "*") {
            states[states.count - 1] = .blockComment(depth: depth + 1)
            return 2
        }
        return 1
    }

    private static func at(_ bytes: [UInt8], _ index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }
}

private let newline = UInt8(ascii: "\n")
private let space = UInt8(ascii: " ")
private let quote = UInt8(ascii: "\"")
private let hash = UInt8(ascii: "#")

extension SourceText {
    /// A word of code: an identifier or keyword, without its backticks or sigil.
    struct Word {
        let text: String
        let line: Int
        let range: Range<Int>
    }

    var words: [Word] { Self.words(of: code) }
    var commentWords: [Word] { Self.words(of: comments) }

    static func words(of bytes: [UInt8]) -> [Word] {
        var words: [Word] = []
        var line = 1
        var start: Int?
        for index in 0...bytes.count {
            let byte = index < bytes.count ? bytes[index] : newline
            if isWordByte(byte) {
                start = start ?? index
                continue
            }
            if let first = start {
                words.append(Word(text: String(decoding: bytes[first..<index], as: UTF8.self), line: line, range: first..<index))
                start = nil
            }
            if byte == newline { line += 1 }
        }
        return words
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), 128...: true
        default: false
        }
    }

    /// Modules that the file imports, with their lines.
    var imports: [(module: String, line: Int)] {
        let words = words
        return words.indices.dropLast().compactMap { index in
            let (word, next) = (words[index], words[index + 1])
            guard word.text == "import", next.line == word.line else { return nil }
            // `import struct Foundation.Data`
            let isKind = ["struct", "class", "enum", "func", "var", "let", "protocol", "typealias"].contains(next.text)
            guard isKind, index + 2 < words.count else { return (next.text, word.line) }
            return (words[index + 2].text, word.line)
        }
    }
}

extension SourceText {
    /// A function, initialiser or computed property with its body's extent.
    struct Function {
        let name: String
        let lines: ClosedRange<Int>
        var lineCount: Int { lines.count }
    }

    private static let openers: Set = ["func", "init", "deinit", "subscript", "var"]
    /// A body that belongs to what was looked at comes before any of these.
    private static let declarations = openers.union([
        "let", "case", "struct", "class", "enum", "protocol", "extension", "typealias", "actor", "static", "public", "private", "internal",
        "fileprivate", "mutating", "import", "for", "while", "if", "guard", "return", "switch",
    ])

    /// Everything with a body, found by matching braces from the line of its keyword on.
    var functions: [Function] {
        let words = words
        let lineOf = lineNumbers
        return words.indices.compactMap { index in
            let word = words[index]
            guard Self.openers.contains(word.text), !isCall(word), let open = body(of: index, words) else { return nil }
            let close = matchingBrace(open)
            let name = ["func", "var"].contains(word.text) && index + 1 < words.count ? words[index + 1].text : word.text
            return Function(name: name, lines: word.line...lineOf[close])
        }
    }

    /// `self.init(...)`, `.init(...)`.
    private func isCall(_ word: Word) -> Bool { word.range.lowerBound > 0 && code[word.range.lowerBound - 1] == UInt8(ascii: ".") }

    private func body(of index: Int, _ words: [Word]) -> Int? {
        var next = index + 1
        var depth = 0
        var place = words[index].range.upperBound
        while place < code.count {
            if next < words.count, words[next].range.lowerBound == place {
                if depth == 0, Self.declarations.contains(words[next].text) { return nil }
                place = words[next].range.upperBound
                next += 1
                continue
            }
            switch code[place] {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            // A default argument may be a closure.
            case UInt8(ascii: "{") where depth > 0:
                place = matchingBrace(place)
                while next < words.count, words[next].range.lowerBound < place { next += 1 }
            case UInt8(ascii: "{"): return place
            case UInt8(ascii: "}"): return nil
            default: break
            }
            if depth < 0 { return nil }
            place += 1
        }
        return nil
    }

    private func matchingBrace(_ open: Int) -> Int {
        var depth = 0
        for place in open..<code.count {
            if code[place] == UInt8(ascii: "{") { depth += 1 }
            if code[place] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return place }
        }
        return code.count - 1
    }

    private var lineNumbers: [Int] {
        var line = 1
        return code.map { byte in
            defer { if byte == newline { line += 1 } }
            return line
        }
    }
}
