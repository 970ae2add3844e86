import Foundation
import Glibc
import Kernel
import Load
import Report

/// What `streamgauge profile` needs of perf on this machine.
enum PerfTool {
    /// Samples a second: not a round number, so that samples do not keep step with what a program does at round times.
    static let samplesPerSecond = 999
    static let packageRemedy = "install it: scripts/install linux-perf (Debian; linux-tools elsewhere)"

    /// What samples are taken by.
    struct Sampling: Equatable {
        /// As perf names it.
        let event: String
        /// What is to be known of it, as sentences.
        let notes: [String]
    }

    static func check(_ pass: String) throws {
        guard Programs.find("perf") != nil else { throw ProfileError.unavailable(pass: pass, reason: "perf is not installed", remedy: packageRemedy) }
    }

    /// The folder of the kernel's tracepoints, nil where it is not to be seen.
    static var tracing: String? {
        let visible = { ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].first { FileManager.default.fileExists(atPath: "\($0)/events") } }
        if let folder = visible() { return folder }
        // Perf mounts it where it may, once it is asked for an event.
        guard geteuid() == 0, let perf = Programs.find("perf"), case .works = InstrumentTrials.record(perf, "sched:sched_switch") else { return nil }
        return visible()
    }

    /// Hardware cycles where the machine has them, the kernel's clock where not; throws where neither may be used.
    static func sampling(_ pass: String) throws -> Sampling {
        let readings = PerfEvents().read()
        guard let clock = readings.first(where: { $0.name == "task-clock" }) else {
            throw ProfileError.unavailable(pass: pass, reason: "the kernel counts no task clock", remedy: "use a kernel with perf events")
        }
        if case .unavailable(let reason) = clock.value {
            throw ProfileError.unavailable(pass: pass, reason: "this process may not use perf events (\(reason))", remedy: "as root: sysctl kernel.perf_event_paranoid=1")
        }
        var notes: [String] = []
        var event = "cycles"
        if case .unavailable(let reason)? = readings.first(where: { $0.name == "cycles" })?.value {
            event = "cpu-clock"
            notes.append("Samples are taken by the kernel's clock (`cpu-clock`) and not by the processor's cycles: \(reason).")
        } else {
            notes.append("Samples are taken by the processor's cycles (`cycles`).")
        }
        if clock.note != nil {
            event += ":u"
            notes.append("What the kernel did is not in it: this process may not see it (as root: `sysctl kernel.perf_event_paranoid=1`).")
        } else if geteuid() != 0, setting("kernel/kptr_restrict") != "0" {
            notes.append("The kernel's functions have no names: this process may not see its addresses (as root: `sysctl kernel.kptr_restrict=0`).")
        }
        return Sampling(event: event, notes: notes)
    }

    private static func setting(_ name: String) -> String? {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Writes what `perf script` makes of `data` into the file `text`, and what it complains of into the file `complaints`.
    static func script(_ data: String, fields: String, showsSwitches: Bool = false, into text: String, complaints: String) async throws {
        // Mangled names of C++ are turned by perf itself; it knows no Swift. Inlined functions would be asked of addr2line one by one.
        let command = ["perf", "script", "-i", data, "--header", "--ns", "--no-inline", "-F", fields] + (showsSwitches ? ["--show-switch-events"] : [])
        let end = try await ToolProcess.run(command, output: text, errors: complaints)
        guard end == .exit(0) else { throw ProfileError.toolFailed(command: command.joined(separator: " "), how: "\(end): \(lastLine(of: complaints))") }
    }

    private static func lastLine(of file: String) -> String {
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
    }

    /// Calls `body` with each sample of a file that ``script(_:fields:showsSwitches:into:complaints:)`` has written, holding one at a time.
    ///
    /// - Returns: how many lines were neither a sample's head nor a frame.
    @discardableResult
    static func forEachSample(in path: String, _ body: (PerfSample) throws -> Void) throws -> Int {
        let file: FileHandle
        do {
            file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        } catch {
            throw ProfileError.unreadable(path: path, detail: error.localizedDescription)
        }
        defer { try? file.close() }
        var reader = PerfScriptReader()
        while let part = try file.read(upToCount: 1 << 20), !part.isEmpty { try reader.read(part, body) }
        try reader.finish(body)
        return reader.unreadableLines
    }
}

/// Mangled names of Swift and what people call them.
struct SwiftNames {
    private let names: [String: String]
    /// What is to be known of it, as a sentence; nil when all is as it should be.
    let note: String?

    /// Asks `swift demangle` for all at once. Files are written into `folder` and removed again.
    init(of symbols: Set<String>, in folder: String) async throws {
        let mangled = symbols.filter { FrameNames.mangled($0) && !$0.contains("\n") }.sorted()
        guard !mangled.isEmpty else {
            (names, note) = ([:], nil)
            return
        }
        guard Programs.find("swift") != nil else {
            (names, note) = ([:], "Names of Swift functions are as the compiler mangles them: there is no `swift` in PATH to turn them (`swift demangle`).")
            return
        }
        let (input, output, errors) = ("\(folder)/.mangled", "\(folder)/.demangled", "\(folder)/.demangle-errors")
        defer { for file in [input, output, errors] { try? FileManager.default.removeItem(atPath: file) } }
        try Data(mangled.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: input))
        let end = try await ToolProcess.run(["swift", "demangle", "--simplified"], input: input, output: output, errors: errors)
        let lines = try String(decoding: Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard end == .exit(0), lines.count == mangled.count + 1 else {
            (names, note) = ([:], "Names of Swift functions are as the compiler mangles them: `swift demangle` ended with \(end) and \(lines.count - 1) of \(mangled.count) names.")
            return
        }
        (names, note) = (Dictionary(zip(mangled, lines.map(String.init)), uniquingKeysWith: { first, _ in first }), nil)
    }

    func name(_ frame: PerfFrame) -> String { FrameNames.name(frame, demangled: names[frame.symbol].flatMap { $0 == frame.symbol ? nil : $0 }) }

    /// Without the module; for formats that have a place of its own for it.
    func symbol(_ frame: PerfFrame) -> String { names[frame.symbol] ?? frame.symbol }
}
