/// The rules for a single file. Each gives a sentence for every place where it is broken.
enum Rules {
    static let fileLinesMax = 500
    static let functionLinesMax = 80
    /// Where memory is handled by hand: the fenced floors, and the one file that calls libnghttp2.
    static let fenced = ["Sources/Bytes/", "Sources/Kernel/", "Sources/Ciphers/", "Sources/HTTP2/Session.swift"]

    static func fenceCrossings(path: String, _ text: SourceText) -> [String] {
        guard !fenced.contains(where: path.hasPrefix) else { return [] }
        return text.words.filter { $0.text.lowercased().contains("unsafe") }.map { "\(path):\($0.line): '\($0.text)' outside the fenced targets" }
    }

    static func fileLength(path: String, lineCount: Int) -> [String] {
        lineCount > fileLinesMax ? ["\(path) has \(lineCount) lines; at most \(fileLinesMax)"] : []
    }

    static func functionLength(path: String, _ text: SourceText) -> [String] {
        text.functions.filter { $0.lineCount > functionLinesMax }.map {
            "\(path):\($0.lines.lowerBound): '\($0.name)' has \($0.lineCount) lines; at most \(functionLinesMax)"
        }
    }

    /// What is unfinished belongs into an issue.
    static func unfinished(path: String, _ words: [SourceText.Word]) -> [String] {
        words.filter { ["TODO", "FIXME", "XXX", "HACK"].contains($0.text) }.map { "\(path):\($0.line): \($0.text)" }
    }

    /// Waiting for a time instead of an event makes tests slow on a fast machine and wrong on a slow one.
    static func sleeps(path: String, _ text: SourceText) -> [String] {
        text.words.filter { ["sleep", "usleep", "nanosleep"].contains($0.text) && isCalled($0, text) }
            .map { "\(path):\($0.line): \($0.text)" }
    }

    private static func isCalled(_ word: SourceText.Word, _ text: SourceText) -> Bool {
        word.range.upperBound < text.code.count && text.code[word.range.upperBound] == UInt8(ascii: "(")
    }

    static func sleepsInScript(path: String, _ text: String) -> [String] {
        numberedLines(text).compactMap { number, line in
            let code = line.prefix { $0 != "#" }
            let words = code.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
            return words.contains("sleep") ? "\(path):\(number): \(line.trimmed)" : nil
        }
    }

    /// A path that exists on one machine only.
    static func machinePaths(path: String, _ text: String) -> [String] {
        // Spelled in parts, so that this file is not what it looks for.
        let homes = ["work", "root", "home", "Users", "workspace"].map { "/" + $0 + "/" }
        return numberedLines(text).compactMap { number, line in
            homes.contains { home in occursAsRoot(home, in: line) } ? "\(path):\(number): \(line.trimmed)" : nil
        }
    }

    /// Whether `folder` stands in `line` as the beginning of a path.
    private static func occursAsRoot(_ folder: String, in line: Substring) -> Bool {
        var rest = line
        while let found = rest.firstRange(of: folder) {
            let before = found.lowerBound == line.startIndex ? nil : line[line.index(before: found.lowerBound)]
            if before.map({ !($0.isLetter || $0.isNumber || "._-~/)}".contains($0)) }) ?? true { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }

    private static func numberedLines(_ text: String) -> [(Int, Substring)] {
        Array(zip(1..., text.split(separator: "\n", omittingEmptySubsequences: false)))
    }

    /// Files under `scripts/` that a text names.
    static func scripts(namedIn text: String) -> Set<String> {
        var names: Set<String> = []
        var rest = text[...]
        while let found = rest.firstRange(of: "scripts/") {
            let before = found.lowerBound == text.startIndex ? " " : text[text.index(before: found.lowerBound)]
            let name = text[found.upperBound...].prefix { $0.isLetter || $0.isNumber || "_-".contains($0) }
            rest = text[found.upperBound...]
            if !name.isEmpty, !(before.isLetter || before.isNumber || before == "_") { names.insert("scripts/" + name) }
        }
        return names
    }
}

extension Substring {
    fileprivate var trimmed: String { drop { $0 == " " }.description }
}
