/// Stacks as a tree: what every function was called by, with the weight of it and of what it called.
struct FlameTree {
    final class Node {
        let name: String
        var weight: UInt64 = 0
        /// The same place in an earlier profile; 0 where it was not there.
        var earlier: UInt64 = 0
        private(set) var children: [String: Node] = [:]

        init(_ name: String) { self.name = name }

        func child(_ name: String) -> Node {
            if let known = children[name] { return known }
            let made = Node(name)
            children[name] = made
            return made
        }
    }

    /// A frame of the picture.
    struct Box: Equatable {
        let name: String
        /// From the root, which is 0.
        let depth: Int
        /// Where it begins, in weight from the left.
        let start: UInt64
        let weight: UInt64
        let earlier: UInt64
    }

    let root = Node("all")

    init(_ stacks: FoldedStacks, earlier: FoldedStacks? = nil) {
        add(stacks, \.weight)
        if let earlier { add(earlier, \.earlier) }
    }

    private func add(_ stacks: FoldedStacks, _ field: ReferenceWritableKeyPath<Node, UInt64>) {
        stacks.forEach { stack, weight in
            var node = root
            node[keyPath: field] += weight
            for name in stack {
                node = node.child(name)
                node[keyPath: field] += weight
            }
        }
    }

    /// All frames of at least `least` weight, parents before what they called, in order of their names so that the same stacks are the same picture.
    func boxes(least: Double) -> [Box] {
        var boxes: [Box] = []
        // By hand instead of by recursion: stacks may be deeper than this program's own.
        var open: [(node: Node, depth: Int, start: UInt64)] = [(root, 0, 0)]
        while let (node, depth, start) = open.popLast() {
            guard node.weight > 0, Double(node.weight) >= least else { continue }
            boxes.append(Box(name: node.name, depth: depth, start: start, weight: node.weight, earlier: node.earlier))
            var place = start
            for child in node.children.values.sorted(by: { $0.name < $1.name }) {
                open.append((child, depth + 1, place))
                place += child.weight
            }
        }
        return boxes
    }
}
