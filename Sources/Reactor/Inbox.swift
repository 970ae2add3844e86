import Kernel
import Synchronization

/// What other threads ask of a loop: the one place where threads meet.
///
/// A loop that is awake finds new work by itself, so only a submitter that finds it asleep wakes it, and only the first: wake-ups coalesce.
///
/// Invariant: `isAsleep` is true only while the loop waits in its backend, or is about to with nothing in `items`.
final class Inbox: Sendable {
    enum Item: Sendable {
        case work(@Sendable () -> Void)
        case job(UnownedJob)
    }

    private struct State {
        var items: [Item] = []
        var isAsleep = false
        var isStopRequested = false
        /// The loop is over: whoever adds an item runs it, one thread at a time.
        var isOver = false
        var isDraining = false
        var wakes: UInt64 = 0
        var submissions: UInt64 = 0
    }

    private let state = Locked(State())
    /// A hint that may be read without the lock: false means that there is certainly nothing that was added before.
    private let mayHaveItems = Atomic<Bool>(false)
    private let stopRequested = Atomic<Bool>(false)

    enum AddOutcome {
        case queued, wake
        /// The loop is over, and the caller must drain.
        case drain
    }

    func add(_ item: Item) -> AddOutcome {
        state.withLock { state in
            state.items.append(item)
            state.submissions += 1
            if state.isOver {
                if state.isDraining { return .queued }
                state.isDraining = true
                return .drain
            }
            mayHaveItems.store(true, ordering: .releasing)
            return Self.wakeOutcome(&state)
        }
    }

    func requestStop() -> AddOutcome {
        state.withLock { state in
            state.isStopRequested = true
            stopRequested.store(true, ordering: .releasing)
            return Self.wakeOutcome(&state)
        }
    }

    private static func wakeOutcome(_ state: inout State) -> AddOutcome {
        guard state.isAsleep else { return .queued }
        state.isAsleep = false
        state.wakes += 1
        return .wake
    }

    var isStopRequested: Bool { stopRequested.load(ordering: .acquiring) }
    var isOver: Bool { state.withLock { $0.isOver } }
    var hasItems: Bool { mayHaveItems.load(ordering: .acquiring) }
    var wakes: UInt64 { state.withLock { $0.wakes } }
    var submissions: UInt64 { state.withLock { $0.submissions } }

    /// Whether the loop may wait: nothing is left to do. Then the next `add` wakes it.
    func fallAsleep() -> Bool {
        state.withLock { state in
            guard state.items.isEmpty, !state.isStopRequested else { return false }
            state.isAsleep = true
            return true
        }
    }

    func awake() {
        state.withLock { $0.isAsleep = false }
    }

    /// Exchanges the items for the empty `batch`, whose storage is used again.
    func take(into batch: inout [Item]) {
        guard hasItems else { return }
        state.withLock { state in
            swap(&state.items, &batch)
            mayHaveItems.store(false, ordering: .releasing)
        }
    }

    /// The loop is over when there is nothing left; false when there is.
    func finish() -> Bool {
        state.withLock { state in
            guard state.items.isEmpty else { return false }
            state.isOver = true
            return true
        }
    }

    /// After ``AddOutcome/drain``: the next items to run, or empty when this thread's turn is over.
    func nextAfterEnd() -> [Item] {
        state.withLock { state in
            let items = state.items
            state.items = []
            if items.isEmpty { state.isDraining = false }
            return items
        }
    }
}
