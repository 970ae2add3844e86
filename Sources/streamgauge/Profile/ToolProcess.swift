import Foundation
import Glibc
import Kernel
import Load
import Synchronization

/// Ends the run of a profile early when somebody asks for it: the tool and what it started hear of it, and what was measured until then is looked at.
final class ToolInterruption: Sendable {
    private let state = Mutex<(isInterrupted: Bool, processID: Int32?)>((false, nil))

    var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    func interrupt() {
        state.withLock { state in
            state.isInterrupted = true
            if let processID = state.processID { Self.interrupt(processID) }
        }
    }

    /// A tool has started; nil when it has ended.
    fileprivate func follow(_ processID: Int32?) {
        state.withLock { state in
            state.processID = processID
            if let processID, state.isInterrupted { Self.interrupt(processID) }
        }
    }

    /// Tools are started in a group of their own, which a terminal's Ctrl-C does not reach, and the run is in the tool's group.
    private static func interrupt(_ processID: Int32) { if kill(-processID, SIGINT) != 0 { kill(processID, SIGINT) } }
}

/// Programs that `streamgauge profile` starts.
enum ToolProcess {
    /// Runs a program to its end, however long it takes.
    ///
    /// - Parameters:
    ///   - command: the program, by name or path, and its arguments.
    ///   - environment: what is added to this process's.
    ///   - input: what it reads; nothing when nil.
    ///   - output: the file that its standard output goes to, made anew; nil for nowhere.
    ///   - errors: the same for standard error; nil for this process's.
    ///   - interruption: what ends it early; nil when it goes to its end.
    /// - Returns: how it ended.
    static func run(
        _ command: [String], environment: [String: String] = [:], input: String? = nil, output: String? = nil, errors: String? = nil, interruption: ToolInterruption? = nil
    ) async throws -> ProcessEnd.Kind {
        guard let program = command.first.flatMap({ $0.contains("/") ? $0 : Programs.find($0) }) else {
            throw ProfileError.toolFailed(command: command.first ?? "", how: "nothing: it is not installed")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = Array(command.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let opened = [try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) }, try output.map(create), try errors.map(create)]
        defer { for handle in opened { try? handle?.close() } }
        process.standardInput = opened[0] ?? FileHandle.nullDevice
        process.standardOutput = opened[1] ?? FileHandle.nullDevice
        if let errors = opened[2] { process.standardError = errors }
        let end = ProcessEnd(of: process)
        // perf and others learn from a signal that their child has ended, and this thread may be one of those that hear none.
        try SignalMask.withNoneBlocked { try process.run() }
        interruption?.follow(process.processIdentifier)
        let how = await end.value
        interruption?.follow(nil)
        return how
    }

    private static func create(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(fileURLWithPath: path))
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }
}
