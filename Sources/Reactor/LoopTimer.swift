/// A moment at which a loop calls a closure. Made by ``EventLoop/makeTimer(_:)``, armed any number of times; arming an armed timer moves it and
/// allocates nothing. All on the loop.
///
/// A timer fires at or after its deadline, once, in the order of deadlines; timers of one deadline in the order in which they were armed.
public final class LoopTimer {
    enum State {
        case idle
        /// In the heap, at `heapIndex`.
        case armed
        /// Taken from the heap to be run in this turn.
        case due
    }

    var state = State.idle
    var heapIndex = 0
    var action: () -> Void
    /// When it fires, in the loop's time, nanoseconds. Meaningful while armed.
    public internal(set) var deadline: UInt64 = 0
    private unowned let loop: EventLoop

    init(loop: EventLoop, action: @escaping () -> Void) {
        self.loop = loop
        self.action = action
    }

    /// Whether it is going to fire.
    public var isArmed: Bool { state != .idle }

    /// Fires at `deadline` instead of whenever it would have. A deadline in the past fires in the next turn.
    public func arm(at deadline: UInt64) { loop.arm(self, at: deadline) }

    /// Does not fire. Harmless when it is not armed.
    public func cancel() { loop.cancel(self) }
}

/// The armed timers of a loop, earliest first: a binary heap.
///
/// A timer that is moved to a later time stays where it is and is sorted anew when its old time comes, so that a keepalive that is pushed back with
/// every byte costs a store.
///
/// Invariant: `entries[i].deadline <= entries[i].timer.deadline`; no entry is due before its parent; `entries[i].timer.heapIndex == i`.
struct TimerHeap {
    private struct Entry {
        var deadline: UInt64
        /// Breaks ties: who was armed first fires first.
        var order: UInt64
        let timer: LoopTimer
    }

    private var entries: [Entry] = []
    private var nextOrder: UInt64 = 0

    var count: Int { entries.count }

    /// When to look at the heap next; nothing is due before.
    var nextDeadline: UInt64? { entries.first?.deadline }

    mutating func arm(_ timer: LoopTimer, at deadline: UInt64) {
        timer.deadline = deadline
        nextOrder += 1
        guard timer.state == .armed else {
            timer.state = .armed
            timer.heapIndex = entries.count
            entries.append(Entry(deadline: deadline, order: nextOrder, timer: timer))
            return siftUp(timer.heapIndex)
        }
        let index = timer.heapIndex
        if deadline < entries[index].deadline {
            entries[index].deadline = deadline
            entries[index].order = nextOrder
            siftUp(index)
        }
    }

    mutating func cancel(_ timer: LoopTimer) {
        if timer.state == .armed { remove(timer.heapIndex) }
        timer.state = .idle
    }

    /// Takes a timer that is due at `now`, or nil when none is. Its state is then `due`.
    mutating func popDue(at now: UInt64) -> LoopTimer? {
        while let first = entries.first, first.deadline <= now {
            if first.timer.deadline > first.deadline {
                nextOrder += 1
                entries[0].deadline = first.timer.deadline
                entries[0].order = nextOrder
                siftDown(0)
                continue
            }
            remove(0)
            first.timer.state = .due
            return first.timer
        }
        return nil
    }

    mutating func removeAll() {
        // Out of the heap first: what the timers' closures hold may end with them, and come back to the heap as it does.
        let removed = entries
        entries = []
        for entry in removed { entry.timer.state = .idle }
    }

    private mutating func remove(_ index: Int) {
        let last = entries.removeLast()
        guard index < entries.count else { return }
        entries[index] = last
        last.timer.heapIndex = index
        siftUp(index)
        siftDown(last.timer.heapIndex)
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (entries[left].deadline, entries[left].order) < (entries[right].deadline, entries[right].order)
    }

    private mutating func swap(_ left: Int, _ right: Int) {
        entries.swapAt(left, right)
        entries[left].timer.heapIndex = left
        entries[right].timer.heapIndex = right
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, isBefore(index, (index - 1) / 2) {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < entries.count && isBefore(child, least) { least = child }
            if least == index { return }
            swap(index, least)
            index = least
        }
    }
}
