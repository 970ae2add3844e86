/// What a package manifest says about its targets, read from its text.
struct Manifest {
    struct Target {
        let name: String
        let kind: String
        let line: Int
        let dependencies: Set<String>
        let hasSharedSettings: Bool
    }

    /// Settings that every Swift target of this package has, as they are spelled.
    static let settingsRequired = [
        ".strictMemorySafety()", #".treatWarning("StrictMemorySafety", as: .error)"#, #".enableUpcomingFeature("ExistentialAny")"#,
        #".enableUpcomingFeature("MemberImportVisibility")"#, #".enableUpcomingFeature("NonisolatedNonsendingByDefault")"#,
    ]

    let text: String
    let targets: [Target]

    init(_ text: String) {
        self.text = text
        let calls = [".target(", ".executableTarget(", ".testTarget(", "house(", "tests("]
        var targets: [Target] = []
        for call in calls {
            var rest = text[...]
            while let found = rest.firstRange(of: call) {
                rest = text[found.upperBound...]
                let before = found.lowerBound == text.startIndex ? " " : text[text.index(before: found.lowerBound)]
                if before.isLetter || call.first == "." && before != " " { continue }
                let arguments = Self.arguments(text, from: found.upperBound)
                guard let name = Self.strings(arguments).first, arguments.contains("\"") else { continue }
                // The definitions of the two helpers name no target of their own.
                let isHelper = !call.hasPrefix(".")
                targets.append(
                    Target(
                        name: name, kind: String(call.dropLast()), line: text[..<found.lowerBound].count { $0 == "\n" } + 1,
                        dependencies: Set(Self.strings(arguments).dropFirst()),
                        hasSharedSettings: isHelper || arguments.contains("swiftSettings: settings")))
            }
        }
        self.targets = targets
    }

    /// The definitions of helpers that make targets, each with its arguments: `house`, `tests`.
    var helpersWithoutSettings: [String] {
        ["house", "tests"].filter { name in
            guard let found = text.firstRange(of: "func \(name)(") else { return true }
            return !text[found.upperBound...].prefix(400).contains("swiftSettings: settings")
        }
    }

    var settingsMissing: [String] { Self.settingsRequired.filter { !text.contains($0) } }

    private static func arguments(_ text: String, from start: String.Index) -> Substring {
        var depth = 1
        var index = start
        while index < text.endIndex {
            if text[index] == "(" { depth += 1 }
            if text[index] == ")" { depth -= 1 }
            if depth == 0 { break }
            index = text.index(after: index)
        }
        return text[start..<index]
    }

    private static func strings(_ text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}
