import Foundation
import Gauge
import Kernel
import Synchronization

/// Has the allocator's profiler look at one side of a run, and write what it saw at the edges of the window: what `streamgauge profile --heap` reads.
///
/// Both processes of a run obey the environment variable ``variable``, which names the folder for the files.
public final class HeapDumps: Sendable {
    public static let variable = "STREAMGAUGE_HEAP_PROFILE"

    /// The edges of the window.
    enum Moment: String { case begin, end }

    private let folder: String
    private let side: Side
    private let found = Mutex<[String]>([])

    /// Nil when nobody has asked for it.
    init?(side: Side, sharesProcess: Bool) {
        guard let folder = ProcessInfo.processInfo.environment[Self.variable], !folder.isEmpty else { return nil }
        // One process has one profile.
        if sharesProcess && side == .server { return nil }
        self.folder = folder
        self.side = side
        attempt("cannot be started") { () throws(Errno) in try HeapProfiler.activate() }
    }

    func dump(_ moment: Moment) {
        let path = "\(folder)/\(side).\(moment.rawValue).heap"
        attempt("has not written \(path)") { () throws(Errno) in try HeapProfiler.dump(to: path) }
    }

    /// Sentences of what went wrong.
    var problems: [String] { found.withLock { $0 } }

    private func attempt(_ what: String, _ body: () throws(Errno) -> Void) {
        do throws(Errno) {
            try body()
        } catch {
            found.withLock { $0.append("the allocator's profiler \(what): \(error)") }
        }
    }
}
