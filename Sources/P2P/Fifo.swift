/// A queue that lets go of what it has given away: an element is held from ``append(_:)`` until ``popFirst()``, and no longer.
///
/// Invariant: `elements[head...]` are what waits, in order, and everything before is nil; at most half of a long `elements` is nil.
struct Fifo<Element> {
    /// A shorter prefix of nothing is not worth moving the rest.
    private static var idlePrefixMax: Int { 32 }

    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { head == elements.count }
    var first: Element? { isEmpty ? nil : elements[head] }

    var last: Element? {
        get { isEmpty ? nil : elements[elements.count - 1] }
        set { elements[elements.count - 1] = newValue }
    }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = elements[head].take()
        head += 1
        if isEmpty {
            elements.removeAll(keepingCapacity: elements.count <= Self.idlePrefixMax)
            head = 0
        } else if head > Self.idlePrefixMax, head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func replaceFirst(_ element: Element) { elements[head] = element }

    mutating func pushFirst(_ element: Element) {
        if head > 0 {
            head -= 1
            elements[head] = element
        } else {
            elements.insert(element, at: 0)
        }
    }

    /// Everything that waits, in order, and nothing waits any more.
    mutating func takeAll() -> [Element] {
        let all = elements[head...].compactMap { $0 }
        elements = []
        head = 0
        return all
    }
}
