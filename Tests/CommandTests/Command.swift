import Foundation
import Glibc
import Testing
import TestSupport

/// The built program as a process, with what it prints.
///
/// Whatever a test does, the process and what it started are over when it has run for ``secondsMax``: a test that waits for it fails instead of
/// hanging. They are over as well when nobody refers to the command any more, so a test that fails leaves nothing behind.
final class Command: Sendable {
    /// Shorter than a test's time limit, and longer than a test waits for a thread while all tests run at once: two minutes on a busy machine of two cores.
    static let secondsMax = 240.0

    struct Outcome: Sendable {
        /// Exit code, or nil when a signal ended it. Nil as well, as `signal` is, when it was cut off.
        var code: Int32?
        var signal: Int32?
        /// Whether it, or what it started, went on until the time was up.
        var wasCut: Bool
        /// Standard output and standard error.
        var output: String
        var errors: String
    }

    let processID: Int32
    let output = Gathered()
    let errors = Gathered()
    /// How the process ended. Foundation hears of it when nobody holds a certain socket any more, which what the process started may have as well.
    private let end: Gathered

    /// Starts `streamgauge` with `arguments`.
    ///
    /// - Parameters:
    ///   - executable: another program to start instead.
    ///   - environment: variables that it gets beside those of this process.
    ///   - descriptors: how many descriptors the process may have; nil for as many as this one.
    init(_ arguments: [String], executable: String = Executable.path, environment: [String: String] = [:], descriptors: Int? = nil) throws {
        let process = Process()
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let descriptors {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "ulimit -n \(descriptors); exec \"$0\" \"$@\"", executable] + arguments
        } else {
            process.executableURL = URL(fileURLWithPath: executable)
            process.arguments = arguments
        }
        let (out, err) = (Pipe(), Pipe())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = out
        process.standardError = err
        let end = Gathered()
        self.end = end
        process.terminationHandler = { process in
            end.add(Data("\(process.terminationReason == .exit ? "exit" : "signal") \(process.terminationStatus)".utf8))
            end.close()
        }
        try process.run()
        processID = process.processIdentifier
        for (pipe, gathered) in [(out, output), (err, errors)] {
            let handle = pipe.fileHandleForReading
            Thread.detachNewThread {
                // What is there, at once: `read(upToCount:)` waits for as much as it may return.
                while case let data = handle.availableData, !data.isEmpty { gathered.add(data) }
                // Foundation keeps some processes for ever, and their pipes with them: with a thousand descriptors it hears of no end any more.
                try? handle.close()
                gathered.close()
            }
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.secondsMax) { [weak self] in self?.cut() }
    }

    deinit { cut() }

    /// Kills what still runs, and waits for nothing more: whoever holds a pipe after that has left the group that the process leads.
    func cut() {
        let open = [end, output, errors].filter { $0.close(cut: true) }
        if !open.isEmpty { Glibc.kill(-processID, SIGKILL) }
    }

    /// Runs to the end.
    static func run(_ arguments: String..., descriptors: Int? = nil) async throws -> Outcome {
        try await Command(arguments, descriptors: descriptors).outcome()
    }

    /// Waits for the end, and until nobody can print any more: what it started holds standard error as well.
    func outcome() async -> Outcome {
        await end.closed()
        await output.closed()
        await errors.closed()
        let wasCut = [end, output, errors].contains { $0.wasCut }
        guard !wasCut else { return Outcome(wasCut: true, output: output.text, errors: errors.text) }
        let words = end.text.split(separator: " ")
        let status = words.last.flatMap { Int32($0) }
        let isExit = words.first == "exit"
        return Outcome(code: isExit ? status : nil, signal: isExit ? nil : status, wasCut: false, output: output.text, errors: errors.text)
    }

    /// Nothing for a process that has ended: its number may be another's by now.
    func send(_ signal: Int32) {
        if !end.isClosed { Glibc.kill(processID, signal) }
    }

    /// Processes that this one has started and that are there.
    var children: [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { number in
            // pid (name) state ppid ...; the name may hold anything.
            let stat = (try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)) ?? ""
            let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && Int32(fields[1]) == processID
        }
    }
}

/// Text that grows, for whoever waits for it.
///
/// Kept as bytes: a read may end within a character.
final class Gathered: @unchecked Sendable {
    private let lock = NSLock()
    private var gathered = Data()
    private var isOver = false
    private var isCut = false
    private var waiting: [(needle: String?, continuation: CheckedContinuation<Bool, Never>)] = []

    var text: String { String(decoding: lock.withLock { gathered }, as: UTF8.self) }
    var isClosed: Bool { lock.withLock { isOver } }
    /// Whether it was closed before it was complete.
    var wasCut: Bool { lock.withLock { isCut } }

    /// Nothing is added to what is closed.
    func add(_ bytes: Data) {
        lock.withLock { if !isOver { gathered += bytes } }
        tell()
    }

    /// Whether this was open until now.
    @discardableResult
    func close(cut: Bool = false) -> Bool {
        let wasOpen = lock.withLock {
            let wasOpen = !isOver
            if wasOpen { (isOver, isCut) = (true, cut) }
            return wasOpen
        }
        tell()
        return wasOpen
    }

    private func tell() {
        let ready = lock.withLock {
            let ready = waiting.filter { isOver || isFound($0.needle) }
            waiting.removeAll { isOver || isFound($0.needle) }
            return ready.map { ($0.continuation, isFound($0.needle)) }
        }
        for (continuation, found) in ready { continuation.resume(returning: found) }
    }

    private func isFound(_ needle: String?) -> Bool { needle.map { gathered.range(of: Data($0.utf8)) != nil } ?? isOver }

    /// Waits until `needle` has come; false when the text is complete without it.
    func has(_ needle: String?) async -> Bool {
        await withCheckedContinuation { continuation in
            let answer: Bool? = lock.withLock {
                if isOver || isFound(needle) { return isFound(needle) }
                waiting.append((needle, continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Waits until nothing more will come.
    func closed() async { _ = await has(nil) }
}

/// A directory for one test's files.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/streamgauge-command-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, as name: String) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))) }
}

/// Expects a refusal of what was typed: exit code 64, nothing on standard output, and all of `words` in the first lines on standard error.
func expectUsage(_ outcome: Command.Outcome, _ words: [String], location: SourceLocation = #_sourceLocation) {
    #expect(outcome.code == 64, "\(outcome)", sourceLocation: location)
    #expect(outcome.output == "", sourceLocation: location)
    let message = outcome.errors.components(separatedBy: "\nUsage:")[0]
    #expect(message.hasPrefix("Error: ") && outcome.errors.contains("--help"), "\(outcome.errors)", sourceLocation: location)
    for word in words { #expect(message.contains(word), "no '\(word)' in '\(message)'", sourceLocation: location) }
}

/// Expects something that could not be done: exit code 2 and all of `words` on standard error.
func expectFailure(_ outcome: Command.Outcome, _ words: String..., location: SourceLocation = #_sourceLocation) {
    #expect(outcome.code == 2, "\(outcome)", sourceLocation: location)
    for word in words { #expect(outcome.errors.contains(word), "no '\(word)' in '\(outcome.errors)'", sourceLocation: location) }
}
