import Foundation
import Load

/// Programs that `streamgauge profile` starts.
enum ToolProcess {
    /// Where a program is, by `PATH`; nil when it is not installed.
    static func find(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") + ["/usr/bin", "/usr/sbin"]
        return folders.lazy.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a program to its end, however long it takes.
    ///
    /// - Parameters:
    ///   - command: the program, by name or path, and its arguments.
    ///   - environment: what is added to this process's.
    ///   - input: what it reads; nothing when nil.
    ///   - output: the file that its standard output goes to, made anew; nil for nowhere.
    ///   - errors: the same for standard error; nil for this process's.
    /// - Returns: how it ended.
    static func run(
        _ command: [String], environment: [String: String] = [:], input: String? = nil, output: String? = nil, errors: String? = nil
    ) async throws -> ProcessEnd.Kind {
        guard let program = command.first.flatMap({ $0.contains("/") ? $0 : find($0) }) else {
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
        try process.run()
        return await end.value
    }

    private static func create(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(fileURLWithPath: path))
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }
}
