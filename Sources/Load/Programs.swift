import Foundation

/// Programs that are started beside this one.
public enum Programs {
    /// Where a program is, by `PATH` and in the place for administrators' tools, which is often not in it; nil when it is not installed.
    public static func find(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin"]
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
