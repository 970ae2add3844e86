import Foundation
import Testing

/// What the tests of commands rely on: an end comes to everything that they start.
@Suite(.timeLimit(.minutes(5))) struct CommandTests {
    /// A pipe with a name, and what waits until nobody holds its other end any more.
    private func witness(_ scratch: Scratch) async throws -> (path: String, holders: Command) {
        let path = scratch.path + "/pipe"
        let made = try await Command([path], executable: "/usr/bin/mkfifo").outcome()
        try #require(made.code == 0, "\(made)")
        return (path, try Command([path], executable: "/bin/cat"))
    }

    /// A shell that holds `pipe` and does `line`, which has to say `ready`.
    private func shell(holding pipe: String, _ line: String) async throws -> Command {
        let command = try Command(["-c", "exec 3>\"$0\"; \(line)", pipe], executable: "/bin/sh")
        try #require(await command.output.has("ready\n"), "\(command.errors.text)")
        return command
    }

    /// The process ends by itself; what it started goes on, and holds its standard output and error.
    @Test func childrenThatStayAreCutOff() async throws {
        let scratch = try Scratch()
        let (pipe, holders) = try await witness(scratch)
        let command = try await shell(holding: pipe, "tail -f /dev/null & echo ready")
        command.cut()
        let outcome = await command.outcome()
        #expect(outcome.wasCut && outcome.code == nil && outcome.signal == nil, "\(outcome)")
        #expect(outcome.output == "ready\n")
        let end = await holders.outcome()
        #expect(end.code == 0 && !end.wasCut, "what was started is still there: \(end)")
    }

    /// Cutting off what has ended changes nothing.
    @Test func endsAreKept() async throws {
        let command = try Command(["-c", "echo done; exit 3"], executable: "/bin/sh")
        #expect(await command.outcome().code == 3)
        command.cut()
        let outcome = await command.outcome()
        #expect(outcome.code == 3 && !outcome.wasCut && outcome.output == "done\n", "\(outcome)")
    }

    @Test func whatNobodyRefersToIsEnded() async throws {
        let scratch = try Scratch()
        let (pipe, holders) = try await witness(scratch)
        _ = try await shell(holding: pipe, "echo ready; tail -f /dev/null")
        let end = await holders.outcome()
        #expect(end.code == 0 && !end.wasCut, "what was started is still there: \(end)")
    }

    /// A character may come in two reads.
    @Test func charactersAreWhole() async {
        let gathered = Gathered()
        for byte in "\u{b5}s\u{1F680}".utf8 { gathered.add(Data([byte])) }
        #expect(await gathered.has("s\u{1F680}"))
        gathered.close()
        gathered.add(Data("more".utf8))
        #expect(gathered.text == "\u{b5}s\u{1F680}" && !gathered.wasCut)
        #expect(await !gathered.has("more"))
    }
}
