/// Amounts by call stack with names instead of addresses: as folded stacks, and as a list of the sites that take most.
public struct HeapSites: Sendable {
    /// A function in a file.
    public struct Frame: Hashable, Sendable {
        public var name: String
        /// Path of the program or library.
        public var object: String

        public init(name: String, object: String) {
            self.name = name
            self.object = object
        }

        /// The allocator and the run-time libraries: they allocate for others.
        var isLibrary: Bool {
            let file = object.split(separator: "/").last ?? ""
            return ["libjemalloc", "libswift", "libFoundation", "lib_Foundation", "libdispatch", "libstdc++", "libgcc", "libc.so", "libpthread", "ld-linux"].contains { file.hasPrefix($0) }
        }
        var isAllocator: Bool { (object.split(separator: "/").last ?? "").hasPrefix("libjemalloc") }
    }

    public struct Site: Equatable, Sendable {
        /// The innermost function that is not of the allocator nor of a run-time library.
        public var name: String
        /// Who called it, and who called that: three at most, the innermost first. Containers that many use are told apart by it.
        public var callers: String
        public var amount: Double
    }

    /// From the root to the leaf.
    private var stacks: [[Frame]: Double] = [:]

    public init() {}

    /// - Parameter stack: from the leaf to the root.
    public mutating func add(_ stack: [Frame], _ amount: Double) {
        let own = stack.drop { $0.isAllocator }
        stacks[Array((own.isEmpty ? stack[...] : own).reversed()), default: 0] += amount
    }

    public var total: Double { stacks.values.reduce(0, +) }

    /// The same as whole numbers, for pictures and files; names without what separates frames there.
    public var folded: FoldedStacks {
        var folded = FoldedStacks()
        for (stack, amount) in stacks where amount.rounded() > 0 {
            folded.add(stack.map { frame in frame.name.map { $0 == ";" || $0 == "\n" ? "," : String($0) }.joined() }, UInt64(amount.rounded()))
        }
        return folded
    }

    /// The sites that take most, those first.
    public func top(_ count: Int) -> [Site] {
        var sums: [[String]: Double] = [:]
        for (stack, amount) in stacks {
            let place = stack.lastIndex { !$0.isLibrary } ?? stack.count - 1
            guard place >= 0 else { continue }
            let callers = stack[..<place].suffix(3).reversed().map(\.name).joined(separator: " < ")
            sums[[stack[place].name, callers.isEmpty ? "-" : callers], default: 0] += amount
        }
        return sums.map { Site(name: $0[0], callers: $0[1], amount: $1) }.sorted { ($0.amount, $1.name, $1.callers) > ($1.amount, $0.name, $0.callers) }.prefix(count).map { $0 }
    }
}
