/// Which layer of the program a stack's cost belongs to: a short text that anybody may change.
///
/// A line is `LAYER: WHERE PATTERN`; an empty line, or one that begins with `#`, says nothing. Rules are tried from the first to the last, and the first one that
/// matches decides. `WHERE` is one of
///
/// * `leaf`: the pattern is of the frame that was running, the last one of the stack;
/// * `stack`: of any frame;
/// * `nearest`: such rules that follow each other are one step: from the leaf towards the root, the first frame that one of them matches decides, by the first
///   that matches it. What no pattern knows, such as a copy in the C library, so belongs to who called it.
///
/// In a pattern `*` is any characters and `?` is one; everything else is itself. Frames have the names that folded stacks have: ``MODULE`NAME``, and `NAME_[k]` in the kernel.
/// What matches nothing is `other`.
public struct LayerRules: Sendable {
    public enum Place: String, CaseIterable, Sendable { case leaf, stack, nearest }

    public struct Rule: Sendable, Equatable {
        public let layer: String
        public let place: Place
        public let pattern: String
    }

    /// The layer of what no rule matches.
    public static let other = "other"

    public let rules: [Rule]
    /// In the order in which the text has them first, ``other`` last.
    public let layers: [String]
    private let patterns: [[UInt8]]

    /// - Parameters:
    ///   - text: the rules.
    ///   - file: where they are from, for the error's words.
    public init(_ text: String, file: String) throws(LayerRulesError) {
        var rules: [Rule] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            func fail(_ detail: String) -> LayerRulesError { LayerRulesError(file: file, line: index + 1, detail: detail) }
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard let colon = line.firstIndex(of: ":") else { throw fail("there is no colon after the layer's name; a rule is 'LAYER: WHERE PATTERN'") }
            let layer = line[..<colon].split(separator: " ").joined(separator: " ")
            guard !layer.isEmpty else { throw fail("there is no layer before the colon; a rule is 'LAYER: WHERE PATTERN'") }
            guard !layer.contains("|"), layer.utf8.count <= 64 else { throw fail("the layer's name goes into a table: it must be without '|' and at most 64 bytes long") }
            let rest = line[line.index(after: colon)...].split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard let word = rest.first, let place = Place(rawValue: String(word)) else {
                throw fail("after the layer comes \(Place.allCases.map(\.rawValue).joined(separator: ", ")), and not '\(rest.first ?? "")'")
            }
            let pattern = rest.dropFirst().joined(separator: " ")
            guard !pattern.isEmpty else { throw fail("there is no pattern after '\(word)'") }
            rules.append(Rule(layer: layer, place: place, pattern: pattern))
        }
        guard !rules.isEmpty else { throw LayerRulesError(file: file, line: 1, detail: "there is no rule in it; a rule is 'LAYER: WHERE PATTERN'") }
        self.init(rules)
    }

    /// What the program does without a file.
    public static let standard = LayerRules(StandardLayerRules.rules)

    init(_ rules: [Rule]) {
        self.rules = rules
        patterns = rules.map { Array($0.pattern.utf8) }
        var layers: [String] = []
        for rule in rules where !layers.contains(rule.layer) && rule.layer != Self.other { layers.append(rule.layer) }
        self.layers = layers + [Self.other]
    }

    /// Whether `pattern`, with its `*` and `?`, is all of `name`.
    static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
        var (place, star, retry) = (0, -1, 0)
        var index = 0
        while index < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                (star, retry) = (place, index)
                place += 1
            } else if place < pattern.count, pattern[place] == name[index] || pattern[place] == UInt8(ascii: "?") {
                place += 1
                index += 1
            } else if star >= 0 {
                retry += 1
                (place, index) = (star + 1, retry)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Which rules match a frame, by their numbers.
    func matching(_ frame: String) -> [Int] {
        let name = Array(frame.utf8)
        return patterns.indices.filter { Self.matches(patterns[$0], name) }
    }
}

/// What is wrong with a file of rules.
public struct LayerRulesError: Error, Equatable, Sendable, CustomStringConvertible {
    public let file: String
    public let line: Int
    public let detail: String
    public var description: String { "\(file):\(line): \(detail)" }
}

/// Finds the layers of stacks; remembers which rules match which frame.
public struct LayerSorter {
    private let rules: LayerRules
    private var known: [String: [Int]] = [:]

    public init(_ rules: LayerRules) { self.rules = rules }

    /// - Parameter stack: from the root to the leaf.
    public mutating func layer(of stack: [String]) -> String {
        let matched = stack.map { frame in
            if let numbers = known[frame] { return numbers }
            let numbers = rules.matching(frame)
            known[frame] = numbers
            return numbers
        }
        var rule = 0
        while rule < rules.rules.count {
            switch rules.rules[rule].place {
            case .leaf: if matched.last?.contains(rule) == true { return rules.rules[rule].layer }
            case .stack: if matched.contains(where: { $0.contains(rule) }) { return rules.rules[rule].layer }
            case .nearest:
                let end = rules.rules[rule...].firstIndex { $0.place != .nearest } ?? rules.rules.count
                for numbers in matched.reversed() {
                    if let found = numbers.first(where: { (rule..<end).contains($0) }) { return rules.rules[found].layer }
                }
                rule = end - 1
            }
            rule += 1
        }
        return LayerRules.other
    }
}
