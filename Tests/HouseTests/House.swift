import Foundation

/// The tree that the rules are about, found from where this file was compiled.
enum House {
    struct File {
        /// From the root of the tree, with slashes.
        let path: String
        let text: String

        var lineCount: Int { text.isEmpty ? 0 : text.utf8.reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) } + (text.hasSuffix("\n") ? 0 : 1) }
        var isSwift: Bool { path.hasSuffix(".swift") }
        /// The folder below `Sources` or `Tests`.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Text files of the tree, in order. What tools write there is left out, and so are pictures and the like.
    static let files: [File] = {
        let skipped: Set = [".build", ".git", ".swiftpm", ".peers", ".benchmarkBaselines", "node_modules", "Package.resolved"]
        guard let walker = FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.isRegularFileKey]) else { return [] }
        var files: [File] = []
        for case let url as URL in walker {
            let name = url.lastPathComponent
            if skipped.contains(name) || name.hasPrefix(".build-") {
                walker.skipDescendants()
                continue
            }
            guard (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true,
                let text = try? String(contentsOf: url, encoding: .utf8) else { continue }
            files.append(File(path: String(url.path.dropFirst(root.path.count + 1)), text: text))
        }
        return files.sorted { $0.path < $1.path }
    }()

    static func under(_ folders: String...) -> [File] {
        files.filter { file in folders.contains { file.path.hasPrefix($0 + "/") } }
    }

    static let sources = under("Sources").filter(\.isSwift)
    /// Taken apart once for all rules.
    static let texts: [String: SourceText] = Dictionary(
        uniqueKeysWithValues: files.filter(\.isSwift).map { ($0.path, SourceText($0.text)) })

    static func text(_ file: File) -> SourceText { texts[file.path] ?? SourceText(file.text) }

    static func file(_ path: String) -> File? { files.first { $0.path == path } }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) }
}
