/// Stacks of calls, each with how often it was seen or how long: all that is kept of a profiler's samples, however many there were.
///
/// A stack is its frames from the root (where the thread began) to the leaf (what ran).
public struct StackCounts<Frame: Hashable & Sendable>: Sendable, Equatable {
    private(set) var frames: [Frame] = []
    private var numbers: [Frame: Int32] = [:]
    private(set) var counts: [[Int32]: UInt64] = [:]
    /// Of all stacks together.
    public private(set) var total: UInt64 = 0

    public init() {}

    public var isEmpty: Bool { total == 0 }

    /// Every frame that some stack has, once each.
    public var allFrames: [Frame] { frames }

    /// - Parameter stack: from the root to the leaf.
    public mutating func add(_ stack: some Sequence<Frame>, _ weight: UInt64 = 1) {
        guard weight > 0 else { return }
        let key = stack.map { frame in
            if let number = numbers[frame] { return number }
            let number = Int32(frames.count)
            numbers[frame] = number
            frames.append(frame)
            return number
        }
        counts[key, default: 0] += weight
        total += weight
    }

    /// The same stacks with other frames; those that have become alike are one.
    public func mapped<Other>(_ transform: (Frame) -> Other) -> StackCounts<Other> {
        let names = frames.map(transform)
        var result = StackCounts<Other>()
        for (stack, weight) in counts { result.add(stack.map { names[Int($0)] }, weight) }
        return result
    }

    /// Calls `body` with every stack, from the root to the leaf, and its weight; in no particular order.
    public func forEach(_ body: (_ stack: [Frame], _ weight: UInt64) -> Void) {
        for (stack, weight) in counts { body(stack.map { frames[Int($0)] }, weight) }
    }

    public static func == (left: Self, right: Self) -> Bool {
        func byFrames(_ stacks: Self) -> [[Frame]: UInt64] {
            Dictionary(stacks.counts.map { ($0.map { stacks.frames[Int($0)] }, $1) }, uniquingKeysWith: +)
        }
        return left.total == right.total && byFrames(left) == byFrames(right)
    }
}

/// Stacks whose frames are names, as files keep them.
public typealias FoldedStacks = StackCounts<String>

extension StackCounts where Frame == String {
    /// Brendan Gregg's folded format: a line a stack, its frames from the root separated by semicolons, then its weight. In order, so that the same stacks are
    /// always the same text.
    public var text: String {
        var lines: [String] = []
        forEach { stack, weight in lines.append("\(stack.joined(separator: ";")) \(weight)") }
        return lines.sorted().map { $0 + "\n" }.joined()
    }

    /// Reads the folded format; nil when a line is none of it.
    public init?(folded text: String) {
        self.init()
        for line in text.split(separator: "\n") {
            guard let space = line.lastIndex(of: " "), let weight = UInt64(line[line.index(after: space)...]) else { return nil }
            guard !total.addingReportingOverflow(weight).overflow else { return nil }
            add(line[..<space].split(separator: ";", omittingEmptySubsequences: false).map(String.init), weight)
        }
    }
}
