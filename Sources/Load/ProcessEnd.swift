public import Foundation
import Synchronization

/// How a process has ended, once it has.
///
/// Every wait has a limit. Foundation learns of an end when nobody holds the other end of a socket any more, and a process that is started by another thread
/// at the same moment may hold it by accident, for as long as that one lives: `Process.waitUntilExit` waits for both.
public final class ProcessEnd: Sendable {
    public enum Kind: Equatable, CustomStringConvertible {
        case exit(Int32)
        case signal(Int32)
        /// It was killed, and nothing was heard of it within `forcedSecondsMax`.
        case unheard

        public var description: String {
            switch self {
            case .exit(let status): "status \(status)"
            case .signal(let number): "signal \(number)"
            case .unheard: "signal \(SIGKILL)"
            }
        }
    }

    /// The kernel ends what was killed at once, but for what waits for a disk.
    private static let forcedSecondsMax = 5.0

    private let kind = Mutex<Kind?>(nil)
    private let hasCome = DispatchSemaphore(value: 0)

    /// - Parameter process: one that is yet to run.
    public init(of process: Process) {
        process.terminationHandler = { [self] process in
            let isExit = process.terminationReason == .exit
            kind.withLock { $0 = isExit ? .exit(process.terminationStatus) : .signal(process.terminationStatus) }
            hasCome.signal()
        }
    }

    /// Nil when it has not ended within `seconds`.
    public func wait(_ seconds: Double) -> Kind? {
        guard hasCome.wait(timeout: .now() + seconds) == .success else { return nil }
        // For whoever asks next.
        hasCome.signal()
        return kind.withLock { $0 }
    }

    /// How it ended, however long that takes.
    public var value: Kind {
        get async {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    hasCome.wait()
                    hasCome.signal()
                    continuation.resume(returning: kind.withLock { $0 } ?? .unheard)
                }
            }
        }
    }

    /// Kills what has not ended, and tells how it ended.
    public func force(_ processID: Int32) -> Kind {
        send(SIGKILL, to: processID)
        return wait(Self.forcedSecondsMax) ?? .unheard
    }

    /// Kills it at `deadline`, unless what is returned is cancelled.
    func killing(_ processID: Int32, at deadline: DispatchTime) -> DispatchWorkItem {
        let work = DispatchWorkItem { [self] in send(SIGKILL, to: processID) }
        DispatchQueue.global().asyncAfter(deadline: deadline, execute: work)
        return work
    }

    /// Nothing for a process that has ended: its number may be another's by now.
    private func send(_ signal: Int32, to processID: Int32) {
        if wait(0) == nil { kill(processID, signal) }
    }
}
