import Foundation
import Testing

/// Stored records against each other, as a script does it: exit codes and what is printed.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DiffTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A real record of six repeats, and the same with its goodput and commit changed as asked.
    private func records(_ name: String, goodputs: [Int], changing changes: [(String, String)] = []) async throws -> String {
        let made = try await Command.run("run", "memory+yamux", "-n", "50", "--repeat", "6", "--seed", "1", "--format", "json")
        try #require(made.code == 0, "\(made)")
        var lines = made.output.split(separator: "\n").map(String.init)
        var next = 0
        for index in lines.indices where lines[index].contains("\"goodput_bytes_per_second\":") {
            // The first is the headline's, the others are the repeats'.
            lines[index] = lines[index].prefix { $0 == " " } + "\"goodput_bytes_per_second\": \(next == 0 ? goodputs[0] : goodputs[next - 1]),"
            next += 1
        }
        try #require(next == 7, "a headline and six repeats")
        var text = lines.joined(separator: "\n")
        for (old, new) in changes {
            try #require(text.contains(old))
            text = text.replacing(old, with: new)
        }
        return try scratch.write(text, as: name)
    }

    private static let steady = [3_000_000, 3_020_000, 2_990_000, 3_010_000, 3_030_000, 2_980_000]
    private static let slower = steady.map { $0 * 4 / 5 }

    @Test func regressionsAreFoundInEveryFormat() async throws {
        let old = try await records("old.json", goodputs: Self.steady)
        let new = try await records("new.json", goodputs: Self.slower)
        let text = try await Command.run("diff", old, new)
        #expect(text.code == 1 && text.errors == "", "\(text)")
        #expect(text.output.contains("1 REGRESSION of more than 5 %") && text.output.contains("REGRESSION, worse: 20.0 % less"), "\(text.output)")
        let json = try await Command.run("diff", old, new, "--format", "json")
        #expect(json.code == 1 && json.output.hasPrefix("{\n  \"schema\": \"streamgauge.diff/1\""), "\(json)")
        #expect(json.output.contains("\"is_regression\": true"))
        let markdown = try await Command.run("diff", old, new, "--format", "markdown")
        #expect(markdown.code == 1 && markdown.output.contains("| subject | workload | metric |"), "\(markdown)")
        let allowed = try await Command.run("diff", old, new, "--threshold", "25%")
        #expect(allowed.code == 0 && allowed.output.contains("No regression of more than 25 % was found"), "\(allowed)")
        let back = try await Command.run("diff", new, old)
        #expect(back.code == 0 && back.output.contains("better: 25.0 % more"), "\(back)")
        // A folder is its files.
        let folder = scratch.path + "/folder"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: new, toPath: folder + "/one.json")
        let folders = try await Command.run("diff", old, folder)
        #expect(folders.code == 1, "\(folders)")
    }

    @Test func whatCannotBeComparedEndsWithTwo() async throws {
        let old = try await records("old.json", goodputs: Self.steady)
        let invalid = try await records(
            "new.json", goodputs: Self.slower,
            changing: [("\"valid\": true", "\"valid\": false"), ("\"invalid_reasons\": []", "\"invalid_reasons\": [\"the ledger does not balance\"]")])
        let told = try await Command.run("diff", old, invalid)
        #expect(told.code == 2, "\(told)")
        #expect(told.output.contains("INVALID and not compared:") && told.output.contains("the ledger does not balance"), "\(told.output)")
        let other = try await records("other.json", goodputs: Self.slower, changing: [("\"streams\": 1,", "\"streams\": 2,")])
        let nothing = try await Command.run("diff", old, other)
        #expect(nothing.code == 2 && nothing.output.contains("Nothing could be compared"), "\(nothing)")
        #expect(nothing.output.contains("Only in the old:") && nothing.output.contains("Only in the new:"), "\(nothing.output)")
    }

    @Test func otherEnvironmentsAreRefusedUnlessAskedFor() async throws {
        let old = try await records("old.json", goodputs: Self.steady)
        let new = try await records("new.json", goodputs: Self.slower, changing: [("\"build_configuration\": \"", "\"build_configuration\": \"other ")])
        expectUsage(
            try await Command.run("diff", old, new), ["different environments", "build configuration: ", "now other ", "--across-environments"])
        let across = try await Command.run("diff", old, new, "--across-environments")
        #expect(across.code == 1 && across.output.contains("Environments differ"), "\(across)")
    }

    @Test func filesThatAreNoneAreRefused() async throws {
        let good = try await records("good.json", goodputs: Self.steady)
        let text = String(decoding: try scratch.read("good.json"), as: UTF8.self)
        let cut = try scratch.write(String(text.prefix(2000)), as: "cut.json")
        expectUsage(try await Command.run("diff", good, cut), [cut, "ends in the middle", "make it again"])
        expectUsage(try await Command.run("diff", cut, good), [cut])
        let words = try scratch.write("goodput: 5", as: "words.json")
        expectUsage(try await Command.run("diff", good, words), [words, "is not JSON"])
        let other = try scratch.write("{\"schema\": \"somebody.else/1\"}", as: "other.json")
        expectUsage(try await Command.run("diff", good, other), [other, "schema \"somebody.else/1\"", "streamgauge.run/1"])
        expectUsage(try await Command.run("diff", good, scratch.path + "/none.json"), ["there is no file or folder", "none.json"])
        expectUsage(try await Command.run("diff", good, "/dev/zero"), ["/dev/zero is larger than 256 MiB"])
    }

    @Test(arguments: [
        (["--threshold", "5"], ["--threshold is 5", "5 % is written 5%"]), (["--threshold", "much"], ["--threshold", "\"much\" is not a fraction"]),
        (["--level", "0.2"], ["--level is 0.2", "0.5 to 0.9999"]), (["--metric", "speed"], ["no metric 'speed'", "goodput_bytes_per_second"]),
        (["--format", "csv"], ["'csv'", "'text', 'json' or 'markdown'"]),
    ])
    func optionsThatAreNoneAreRefused(options: [String], said: [String]) async throws {
        expectUsage(try await Command(["diff", "a.json", "b.json"] + options).outcome(), said)
    }
}
