import Foundation
import Load
import Report

/// Names for the addresses of a heap profile: of the file each is mapped from, by `nm`, demangled by `swift demangle` where there is one.
struct HeapSymbols {
    /// What is to be known of it, as a sentence; nil when all is as it should be.
    private(set) var note: String?
    private var objects: [String: ObjectSymbols] = [:]
    private var demangled: [String: String] = [:]

    /// - Parameters:
    ///   - profiles: whose addresses are asked for later.
    ///   - folder: for files that are removed again.
    init(_ profiles: [HeapProfile], in folder: String) async throws {
        let (output, complaints) = ("\(folder)/.nm", "\(folder)/.nm-errors")
        defer { for file in [output, complaints] { try? FileManager.default.removeItem(atPath: file) } }
        for path in Set(profiles.flatMap { $0.mappings.map(\.path) }).sorted() {
            guard let header = Self.head(of: path) else { continue }
            var text = ""
            // A library that was stripped has the names that others link to.
            for which in [["nm", "--defined-only", path], ["nm", "-D", "--defined-only", path]] {
                // It complains of files without symbols and goes on.
                guard try await ToolProcess.run(which, output: output, errors: complaints) == .exit(0) else { continue }
                text += String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self)
            }
            objects[path] = ObjectSymbols(header: header, nm: text)
        }
        var mangled: Set<String> = []
        for profile in profiles {
            for address in Set(profile.entries.keys.joined()) {
                if let name = symbol(address, profile)?.name, name.hasPrefix("$s") || name.hasPrefix("_Z") { mangled.insert(name) }
            }
        }
        try await demangle(mangled.filter { $0.hasPrefix("$s") }.sorted(), ["swift", "demangle", "--simplified"], folder)
        try await demangle(mangled.filter { $0.hasPrefix("_Z") }.sorted(), ["c++filt"], folder)
    }

    private static func head(of path: String) -> [UInt8]? {
        guard let file = try? FileHandle(forReadingFrom: URL(fileURLWithPath: path)) else { return nil }
        defer { try? file.close() }
        return (try? file.read(upToCount: 4096)).map { Array($0) }
    }

    private mutating func demangle(_ names: [String], _ command: [String], _ folder: String) async throws {
        guard !names.isEmpty else { return }
        guard Programs.find(command[0]) != nil else {
            note = "Some names are as the compiler mangles them: there is no `\(command[0])` in PATH to turn them."
            return
        }
        let (input, output) = ("\(folder)/.mangled", "\(folder)/.demangled")
        defer { for file in [input, output] { try? FileManager.default.removeItem(atPath: file) } }
        try Data(names.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: input))
        let end = try await ToolProcess.run(command, input: input, output: output)
        let lines = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self).split(separator: "\n")
        guard end == .exit(0), lines.count == names.count else {
            note = "Some names are as the compiler mangles them: `\(command.joined(separator: " "))` ended with \(end) and \(lines.count) of \(names.count) names."
            return
        }
        for (name, line) in zip(names, lines) { demangled[name] = String(line) }
    }

    /// The stack of a profile with names, from the leaf to the root as it is.
    func frames(_ stack: [UInt64], _ profile: HeapProfile) -> [HeapSites.Frame] {
        stack.map { address in
            guard let (name, path) = symbol(address, profile) else { return HeapSites.Frame(name: "[unknown]", object: "") }
            let file = path.split(separator: "/").last.map(String.init) ?? path
            return HeapSites.Frame(name: name.map { demangled[$0] ?? $0 } ?? "[\(file)]", object: path)
        }
    }

    private func symbol(_ address: UInt64, _ profile: HeapProfile) -> (name: String?, path: String)? {
        // What is noted is where a call returns to: behind it, perhaps in the next function.
        let call = address &- 1
        guard let mapping = profile.mappings.first(where: { $0.addresses.contains(call) }) else { return nil }
        return (objects[mapping.path]?.name(atFileOffset: call - mapping.addresses.lowerBound + mapping.fileOffset), mapping.path)
    }
}
