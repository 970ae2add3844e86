import FoundationEssentials

/// Why a file cannot be written, found before a run is measured where possible.
public enum OutputError: Error, Equatable, Sendable, CustomStringConvertible {
    case emptyPath
    case directoryMissing(path: String, directory: String)
    case notADirectory(path: String, directory: String)
    case isADirectory(path: String)
    case notWritable(path: String, detail: String)
    case writeFailed(path: String, detail: String)

    public var description: String {
        switch self {
        case .emptyPath: "the name of the file to write is empty"
        case .directoryMissing(let path, let directory): "\(path) cannot be written: the directory \(directory) does not exist"
        case .notADirectory(let path, let directory): "\(path) cannot be written: \(directory) is not a directory"
        case .isADirectory(let path): "\(path) cannot be written: it is a directory"
        case .notWritable(let path, let detail): "\(path) cannot be written: \(detail)"
        case .writeFailed(let path, let detail): "writing \(path) failed: \(detail)"
        }
    }
}

/// A file that a run will write its record to.
///
/// Call order: ``prepare(_:)`` before the run, so that a path that cannot be written is found before anything is measured; ``write(_:)``
/// after it. The file appears whole or not at all: it is written beside its place and renamed. What is not a regular file (a pipe, a terminal,
/// `/dev/null`) is written directly, since it must not be replaced.
public struct OutputFile: Sendable {
    /// As the user named it.
    public let path: String
    private let target: String
    private let isReplaced: Bool

    /// - Throws: ``OutputError`` when the file could not be written now.
    public static func prepare(_ path: String) throws(OutputError) -> OutputFile {
        guard !path.isEmpty else { throw .emptyPath }
        let files = FileManager.default
        var isDirectory = false
        let exists = files.fileExists(atPath: path, isDirectory: &isDirectory)
        if isDirectory { throw .isADirectory(path: path) }
        // A link's target is what is replaced, not the link.
        let resolved = exists ? URL(fileURLWithPath: path).resolvingSymlinksInPath().path : path
        if exists, !isRegular(resolved) {
            guard files.isWritableFile(atPath: path) else { throw .notWritable(path: path, detail: "no permission") }
            return OutputFile(path: path, target: path, isReplaced: false)
        }
        let directory = directory(of: resolved)
        guard files.fileExists(atPath: directory, isDirectory: &isDirectory) else {
            throw .directoryMissing(path: path, directory: directory)
        }
        guard isDirectory else { throw .notADirectory(path: path, directory: directory) }
        // Permissions, a full disk and read-only file systems all show themselves when a file is really made.
        let probe = directory + "/.streamgauge-probe-\(UInt64.random(in: .min ... .max))"
        do {
            try Data([0]).write(to: URL(fileURLWithPath: probe))
            try files.removeItem(atPath: probe)
        } catch {
            throw .notWritable(path: path, detail: reason(error))
        }
        return OutputFile(path: path, target: resolved, isReplaced: true)
    }

    /// Writes the file's whole content.
    public func write(_ bytes: [UInt8]) throws(OutputError) {
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: target), options: isReplaced ? [.atomic] : [])
        } catch {
            throw .writeFailed(path: path, detail: Self.reason(error))
        }
    }

    private static func isRegular(_ path: String) -> Bool {
        let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        return type == .typeRegular
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? CocoaError else { return "\(error)" }
        return switch error.code {
        case .fileWriteNoPermission: "no permission"
        case .fileWriteOutOfSpace: "the disk is full"
        case .fileWriteVolumeReadOnly: "the file system is read-only"
        case .fileNoSuchFile: "the directory does not exist"
        case .fileWriteInvalidFileName: "the name is not valid"
        default: "\(error.underlying.map { "\($0)" } ?? "\(error)")"
        }
    }
}
