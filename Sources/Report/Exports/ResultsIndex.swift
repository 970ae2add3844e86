import Foundation
import Gauge

/// What a folder of committed records holds, as one page: a part for each file, made from nothing but the files.
public enum ResultsIndex {
    /// - Parameter folder: with records in it and in the folders below it.
    /// - Throws: ``RecordFileError`` for a file ending in `.json` that is none of records.
    public static func markdown(_ folder: String) throws(RecordFileError) -> String {
        let root = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        let names = try paths(root)
        var lines = [
            "# Results", "",
            "Every record in this folder, newest first. `scripts/results-index` makes this page from the records; `README.md` says what each key means.", "",
        ]
        var entries: [(date: String, lines: [String])] = []
        for name in names {
            let file = try RecordFile.read(root + "/" + name)
            let report = RecordReport([file])
            let date = date(report, name)
            entries.append((date, section(report, name, date, neighbours(root, name))))
        }
        for entry in entries.sorted(by: { $0.date > $1.date }) { lines += entry.lines }
        return lines.map { $0 + "\n" }.joined()
    }

    /// Records below the folder, by name. Those that `scripts/bench` writes stay on their machine, as git ignores them.
    private static func paths(_ root: String) throws(RecordFileError) -> [String] {
        guard let walker = FileManager.default.enumerator(atPath: root), FileManager.default.fileExists(atPath: root) else { throw .missing(path: root) }
        var names: [String] = []
        for case let name as String in walker where name.hasSuffix(".json") && !name.hasPrefix("bench-") { names.append(name) }
        guard !names.isEmpty else { throw .folderWithoutRecords(path: root) }
        return names.sorted()
    }

    /// Pages and pictures beside a record that has a folder of its own.
    private static func neighbours(_ root: String, _ name: String) -> [String] {
        guard let slash = name.lastIndex(of: "/") else { return [] }
        let folder = String(name[..<slash])
        let contents = (try? FileManager.default.contentsOfDirectory(atPath: root + "/" + folder)) ?? []
        return contents.filter { other in [".md", ".html", ".svg", ".csv"].contains { other.hasSuffix($0) } }.sorted().map { folder + "/" + $0 }
    }

    /// When the first run began; a record that does not say so has its date in its name.
    private static func date(_ report: RecordReport, _ name: String) -> String {
        if let first = report.dates.split(separator: " ").first { return String(first.prefix(10)) }
        for start in name.indices {
            let part = name[start...].prefix(10)
            if isDate(part) { return String(part) }
        }
        return "no date"
    }

    private static func isDate(_ text: Substring) -> Bool {
        guard text.utf8.count == 10 else { return false }
        return zip(text.utf8, "0000-00-00".utf8).allSatisfy { found, wanted in
            wanted == UInt8(ascii: "-") ? found == wanted : (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(found)
        }
    }

    private static func section(_ report: RecordReport, _ name: String, _ date: String, _ neighbours: [String]) -> [String] {
        let reported = report.reported
        var lines = ["## \(date): [\(Markdown.escaped(name))](\(link(name)))", ""]
        for environment in reported.environments { lines += [Markdown.escaped(environment.machineLine) + commit(environment), ""] }
        for command in reported.commands { lines += ["```", command.replacing("```", with: "` ` `"), "```", ""] }
        if !neighbours.isEmpty {
            let links = neighbours.map { path in "[\(Markdown.escaped(path.split(separator: "/").last.map(String.init) ?? path))](\(link(path)))" }
            lines += ["Beside it: \(links.joined(separator: ", ")).", ""]
        }
        let verdicts = Verdicts(reported: reported)
        if verdicts.headline.standing != .good { lines += ["**\(verdicts.headline.word)**: \(Markdown.escaped(verdicts.headline.sentence))", ""] }
        for entry in verdicts.remarkable {
            lines.append("* **\(entry.word)**: \(Markdown.escaped(entry.sentence))")
            lines += entry.reasons.map { "  * " + Markdown.escaped($0) }
        }
        if !verdicts.remarkable.isEmpty { lines.append("") }
        if !reported.runs.isEmpty { lines += verdicts.runTable.markdown + [""] }
        for comparison in reported.comparisons {
            let record = comparison.record
            lines += ["Ratios to \(Markdown.escaped(record.subjects.baseline)): ▲ better, ▼ worse, = equal, ? cannot tell.", ""]
            lines += Verdicts.matrix(record).markdown + [""]
        }
        return lines
    }

    private static func commit(_ environment: Environment) -> String { environment.commit.value.map { ", commit " + Markdown.escaped($0) } ?? "" }

    /// A path as the target of a link: what could end it is written as its bytes.
    private static func link(_ path: String) -> String {
        var link = ""
        for byte in path.utf8 {
            let character = Character(UnicodeScalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "/._-+".contains(character) {
                link.append(character)
            } else {
                link += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return link
    }
}
